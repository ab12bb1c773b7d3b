//! A thousand tests that do nothing, on bare libtest-mimic; with `--nothing` a binary that does nothing at all.
//! `benches/harness.rs` compares with it.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--nothing") {
        return ExitCode::SUCCESS;
    }
    let trials = (0..1000).map(|number| Trial::test(format!("a::test{number}"), || Ok(()))).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
