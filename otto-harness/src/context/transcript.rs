//! What ran on a host, as a file a session and as log lines.
//!
//! What is typed by `send` or as an answer to a prompt never comes here, nor does anything that was run with
//! [`LogMode::Never`](crate::LogMode).

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::result::CommandStatus;
use crate::session::Observer;

/// Appends what a host's sessions do to `<host>.<session>.log`. A disk that is full or gone costs a warning, not the test.
#[derive(Debug)]
pub(super) struct Transcript {
    host: String,
    folder: Option<PathBuf>,
    files: Mutex<HashMap<String, Page>>,
    logged: bool,
    warned: AtomicBool,
}

/// One file, and whether it stands at the start of a line.
#[derive(Debug)]
struct Page {
    file: File,
    fresh_line: bool,
}

impl Transcript {
    pub(super) fn new(host: &str, folder: Option<PathBuf>, logged: bool) -> Self {
        Self { host: host.to_owned(), folder, files: Mutex::default(), logged, warned: AtomicBool::new(false) }
    }

    fn write(&self, session: &str, write: impl FnOnce(&mut Page) -> io::Result<()>) {
        let Some(folder) = &self.folder else { return };
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let written = match files.get_mut(session) {
            Some(page) => write(page),
            None => open(folder, &self.host, session)
                .and_then(|page| write(files.entry(session.to_owned()).or_insert(page))),
        };
        if let Err(error) = written
            && !self.warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(host = self.host, session, "cannot write the transcript to {}: {error}", folder.display());
        }
    }
}

fn open(folder: &Path, host: &str, session: &str) -> io::Result<Page> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(format!("{}.{}.log", file_name(host), file_name(session)));
    Ok(Page { file: OpenOptions::new().create(true).append(true).open(path)?, fresh_line: true })
}

/// A name that stays inside its folder.
fn file_name(name: &str) -> String {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.chars().map(|c| if allowed(c) { c } else { '_' }).take(100).collect()
}

impl Observer for Transcript {
    fn command(&self, session: &str, command: &str) {
        if self.logged {
            tracing::info!(target: "otto::command", host = self.host, session, "$ {command}");
        }
        self.write(session, |page| {
            let end = if page.fresh_line { "" } else { "\n" };
            page.fresh_line = true;
            page.file.write_all(format!("{end}[{}] $ {command}\n", stamp(SystemTime::now())).as_bytes())
        });
    }

    fn output(&self, session: &str, bytes: &[u8]) {
        if self.logged {
            for line in String::from_utf8_lossy(bytes).lines() {
                tracing::info!(target: "otto::command", host = self.host, session, "{line}");
            }
        }
        self.write(session, |page| {
            page.fresh_line = bytes.last().map_or(page.fresh_line, |last| *last == b'\n');
            page.file.write_all(bytes)
        });
    }

    fn ended(&self, session: &str, status: &CommandStatus) {
        let how = match (status.retcode, &status.signal, status.cause()) {
            _ if status.timed_out => "timed out".to_owned(),
            (_, _, Some(cause)) => cause.to_owned(),
            (_, Some(signal), _) => format!("signal {signal}"),
            (Some(code), ..) => format!("exit {code}"),
            (None, None, None) => format!("{:?}", status.status),
        };
        let took = status.duration.as_secs_f64();
        if self.logged {
            tracing::info!(target: "otto::command", host = self.host, session, "{how} after {took:.3} s");
        }
        self.write(session, |page| {
            let end = if page.fresh_line { "" } else { "\n" };
            page.fresh_line = true;
            page.file.write_all(format!("{end}[{}] {how} after {took:.3} s\n", stamp(SystemTime::now())).as_bytes())
        });
    }
}

/// UTC as RFC 3339 writes it, with milliseconds.
fn stamp(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, seconds) = (since.as_secs() / 86400, since.as_secs() % 86400);
    // Days to a date of the Gregorian calendar, by eras of 400 years that begin on the 1st of March.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Status;

    #[test]
    fn stamps_are_dates() {
        let at = |seconds: u64| stamp(SystemTime::UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 7));
        assert_eq!(at(0), "1970-01-01T00:00:00.007Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59.007Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.007Z");
        assert_eq!(at(1_767_225_599), "2025-12-31T23:59:59.007Z");
    }

    #[test]
    fn names_stay_in_the_folder() {
        assert_eq!(file_name("../a b/c"), ".._a_b_c");
    }

    #[test]
    fn commands_output_and_ends_are_written_each_on_lines_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let transcript = Transcript::new("r1", Some(folder.path().join("deep")), false);
        let mut status = CommandStatus::new("printf abc", Status::Success);
        status.retcode = Some(0);
        transcript.command("default", "printf abc");
        transcript.output("default", b"abc");
        transcript.ended("default", &status);
        let text = std::fs::read_to_string(folder.path().join("deep/r1.default.log")).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].ends_with("Z] $ printf abc"), "{text}");
        assert_eq!(lines[1], "abc");
        assert!(lines[2].ends_with("] exit 0 after 0.000 s"), "{text}");
    }

    #[test]
    fn a_folder_that_cannot_be_made_costs_nothing_but_a_warning() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let transcript = Transcript::new("r1", Some(file.path().join("x")), true);
        transcript.command("default", "true");
        transcript.output("default", b"x");
        assert!(transcript.warned.load(Ordering::Relaxed));
    }
}
