//! What ran on a host, as a file a session and as log lines. See `docs/design/output.md`.
//!
//! What is typed by `send` or as an answer to a prompt never comes here, nor does anything that was run with
//! [`LogMode::Never`](crate::LogMode); secrets were taken out before.

mod lines;
mod names;
mod page;
mod stamp;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

pub(crate) use self::lines::spell_out;
pub(super) use self::names::part;
use self::page::Page;
use crate::result::CommandStatus;
use crate::session::Observer;

/// Appends what a host's sessions do to a file each, `<host>.<session>.log`. A disk that is full or gone costs a warning,
/// not the test.
#[derive(Debug)]
pub(super) struct Transcript {
    host: String,
    folder: Option<PathBuf>,
    files: Mutex<HashMap<String, Page>>,
    /// The end of each session's output that is no whole line yet, for the log.
    parts: Mutex<HashMap<String, Vec<u8>>>,
    logged: bool,
    warned: AtomicBool,
}

/// The longest log line.
const LOG_LINE: usize = 4096;

impl Transcript {
    pub(super) fn new(host: &str, folder: Option<PathBuf>, logged: bool) -> Self {
        Self {
            host: host.to_owned(),
            folder,
            files: Mutex::default(),
            parts: Mutex::default(),
            logged,
            warned: AtomicBool::new(false),
        }
    }

    fn write(&self, session: &str, write: impl FnOnce(&mut Page) -> io::Result<()>) {
        let Some(folder) = &self.folder else { return };
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let written = match files.get_mut(session) {
            Some(page) => write(page),
            None => Page::open(folder, &self.host, session)
                .and_then(|page| write(files.entry(session.to_owned()).or_insert(page))),
        };
        if let Err(error) = written
            && !self.warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(host = self.host, session, "cannot write the transcript to {}: {error}", folder.display());
        }
    }

    fn log(&self, session: &str, text: &str) {
        if self.logged {
            let mut shown = Vec::with_capacity(text.len());
            lines::escape(text, &mut shown);
            let shown = String::from_utf8_lossy(&shown);
            tracing::info!(target: "otto::command", host = self.host, session, "{shown}");
        }
    }

    /// Logs output line by line, however it came.
    fn log_lines(&self, session: &str, bytes: &[u8]) {
        if !self.logged {
            return;
        }
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let part = parts.entry(session.to_owned()).or_default();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            part.extend_from_slice(piece);
            if piece.ends_with(b"\n") || part.len() >= LOG_LINE {
                self.log_part(session, part);
            }
        }
    }

    fn log_part(&self, session: &str, part: &mut Vec<u8>) {
        let line = part.strip_suffix(b"\n").unwrap_or(part);
        self.log(session, &String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)));
        part.clear();
    }

    /// Logs the line that is not at its end: something else follows.
    fn log_rest(&self, session: &str) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(part) = parts.get_mut(session).filter(|part| !part.is_empty()) {
            self.log_part(session, part);
        }
    }
}

impl Observer for Transcript {
    fn command(&self, session: &str, command: &str) {
        self.command_since(session, command, SystemTime::now());
    }

    fn command_since(&self, session: &str, command: &str, began: SystemTime) {
        self.log_rest(session);
        self.log(session, &format!("$ {command}"));
        self.write(session, |page| page.command(command, began));
    }

    fn output(&self, session: &str, bytes: &[u8]) {
        self.log_lines(session, bytes);
        self.write(session, |page| page.output(bytes, '|'));
    }

    fn ended(&self, session: &str, status: &CommandStatus) {
        let mut how = match (status.retcode, &status.signal, status.cause()) {
            _ if status.timed_out => "timed out".to_owned(),
            (_, _, Some(cause)) => cause.to_owned(),
            (_, Some(signal), _) => format!("signal {signal}"),
            (Some(code), ..) => format!("exit {code}"),
            (None, None, None) => format!("{:?}", status.status),
        };
        // Writing to a string cannot fail.
        let _ = write!(how, " after {:.3} s", status.duration.as_secs_f64());
        if let (true, Some(cause)) = (status.timed_out, status.cause()) {
            how = format!("{how}: {cause}");
        }
        self.log_rest(session);
        self.log(session, &how);
        self.write(session, |page| page.entry('=', &how));
    }

    fn sent(&self, session: &str) {
        self.write(session, |page| page.entry('>', "(typed by `send`)"));
    }

    fn shown(&self, session: &str, bytes: &[u8]) {
        self.log_lines(session, bytes);
        self.write(session, |page| page.output(bytes, '<'));
    }

    fn noted(&self, session: &str, note: &str) {
        self.log_rest(session);
        self.log(session, note);
        self.write(session, |page| page.entry('!', note));
    }
}

impl Drop for Transcript {
    /// A last line without ending gets one.
    fn drop(&mut self) {
        for page in self.files.get_mut().unwrap_or_else(PoisonError::into_inner).values_mut() {
            // Nobody is left to be told.
            let _ = page.finish();
        }
    }
}
