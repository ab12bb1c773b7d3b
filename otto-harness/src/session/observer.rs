//! [`Observer`]: who is told what sessions do.

use std::time::SystemTime;

use crate::result::CommandStatus;

/// Sees what sessions do, for logs and transcripts. It is called in the middle of the work: it must not block.
///
/// It is never given an answer to a prompt, nor a command or output that is not to be logged. Secrets of the lab were taken
/// out of what it is given by a host.
pub trait Observer: Send + Sync + std::fmt::Debug {
    /// A command is about to run in this session.
    fn command(&self, session: &str, command: &str);

    /// A piece of its output came.
    fn output(&self, session: &str, bytes: &[u8]);

    /// It ended.
    fn ended(&self, session: &str, status: &CommandStatus);

    /// As [`command`](Self::command), of one that began earlier: oneshots are told of when they have ended.
    fn command_since(&self, session: &str, command: &str, began: SystemTime) {
        let _ = began;
        self.command(session, command);
    }

    /// Something was typed by `send`; what, may be a secret.
    fn sent(&self, session: &str) {
        let _ = session;
    }

    /// The session's terminal showed this while no command ran: what `expect` searches.
    fn shown(&self, session: &str, bytes: &[u8]) {
        let _ = (session, bytes);
    }

    /// Something happened to the session that is no command: it was opened or lost, a command was given up.
    fn noted(&self, session: &str, note: &str) {
        let _ = (session, note);
    }

    /// A command was stopped, or its connection was lost, and could not be shown to have ended: something of it may still
    /// run on the host. `command` says so if it is not to be logged.
    fn left_running(&self, session: &str, command: &str, why: &str) {
        let _ = (session, command, why);
    }
}
