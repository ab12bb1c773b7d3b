//! The list of tests, and writing to stdout.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use super::argv::Options;
use super::selection::Instance;

/// The lines that cargo, nextest and editors read, whatever `--format` says: `name: test`.
pub(super) fn tests(instances: &[Instance], options: &Options) -> String {
    let mut text = String::new();
    for instance in instances.iter().filter(|instance| !instance.is_filtered_out(options)) {
        let _ = writeln!(text, "{}: test", instance.full_name());
    }
    text
}

/// Writes to stdout, whose reader may be gone already: `… --list | head -1`.
pub(super) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
