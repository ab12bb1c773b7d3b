//! Scripts of otto's own on a host: in no log, in no transcript, and let through although the host is being closed.

use super::manager::SessionManager;
use super::{Oneshot, oneshot};
use crate::command::{Limit, LogMode, ShellCommand};
use crate::error::Result;
use crate::result::CommandStatus;

impl SessionManager {
    /// Runs a script in a process of its own, or in a shell that is kept for oneshots.
    ///
    /// Cancel-safe: dropping the future kills it.
    pub(crate) async fn script(&self, text: String, stdin: Vec<u8>, limit: Limit) -> Result<CommandStatus> {
        self.note_use();
        let command = ShellCommand::new(text).log(LogMode::Never);
        let request = Oneshot { command, stdin, limit: Some(limit), on_output: None, observer: None };
        let (connector, host) = (self.connector(), self.host());
        if connector.has_exec() {
            oneshot(connector, host, request).await
        } else {
            self.0.pool.oneshot(connector, host, request).await
        }
    }

    /// The answer of `work`, unless the host is closed before that.
    pub(crate) async fn unless_closed<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.note_use();
        let done = self.0.gate.pass(work).await;
        done.map_err(|error| error.on_host(self.host()).redacted(self.redactor()))
    }

    /// How often the host was closed.
    pub(crate) fn closes(&self) -> u64 {
        self.0.gate.sweeps()
    }

    /// Whether what was begun when it had been closed so often may still be undone: its connection is there, or is just
    /// being closed. After that, nothing may be contacted any more.
    pub(crate) fn may_undo(&self, closes: u64) -> bool {
        self.0.is_being_closed() || !self.is_retired() && self.closes() == closes
    }

    /// Tells transcripts of something that is no command.
    pub(crate) fn note(&self, session: &str, note: &str) {
        self.observer().noted(session, note);
    }
}
