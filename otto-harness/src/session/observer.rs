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

    /// The command that runs in this session is not waited for any more. [`ended`](Self::ended) does not follow.
    fn given_up(&self, session: &str) {
        let _ = session;
    }

    /// A oneshot began. It is told of in whole when it is over, as [`command_since`](Self::command_since) says; this is
    /// for who wants to know what runs now. `id` is its own in this process.
    fn oneshot_began(&self, id: u64, command: &str) {
        let _ = (id, command);
    }

    /// The oneshot with this id is over; what it did is told next, with nothing of other oneshots between.
    fn oneshot_over(&self, id: u64) {
        let _ = id;
    }

    /// A shell is about to be opened for this session, which may have to connect first.
    fn opening(&self, session: &str) {
        let _ = session;
    }

    /// It was opened, or could not be.
    fn opened(&self, session: &str, is_open: bool) {
        let _ = (session, is_open);
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
