//! Sessions: shells that keep their state, over any stream of bytes.
//!
//! A [`ShellSession`] frames each command so that its output and exit code can be told from everything else the shell and
//! its jobs write; it stops commands at their limit and proves that the shell answers again. It knows nothing of how the
//! bytes travel: that is a [`Transport`](crate::transport::Transport). See `docs/design/sessions.md`.
//!
//! A [`SessionManager`] keeps the sessions of one host, over a [`Connector`](crate::transport::Connector) that makes their
//! shells. See `docs/design/host.md`.

mod answers;
mod capture;
mod execution;
pub mod expect;
mod frame;
mod gate;
mod greeting;
mod interactive;
mod journal;
mod line;
mod live;
mod manager;
mod named;
mod oneshot;
mod outlet;
mod pool;
mod run;
mod shell;
mod terminal;
mod verdict;

#[cfg(test)]
mod tests;

pub use expect::Pattern;
pub use manager::SessionManager;
pub use named::HostSession;
pub(crate) use oneshot::{Oneshot, oneshot};
pub use run::{ExpectRun, OneshotRun, Run};
pub use shell::ShellSession;

use crate::result::CommandStatus;

/// Sees what sessions do, for logs and transcripts. It is called in the middle of the work: it must not block.
///
/// It is never given an answer to a prompt, nor a command or output that is not to be logged.
pub trait Observer: Send + Sync + std::fmt::Debug {
    /// A command is about to run in this session.
    fn command(&self, session: &str, command: &str);

    /// A piece of its output came.
    fn output(&self, session: &str, bytes: &[u8]);

    /// It ended.
    fn ended(&self, session: &str, status: &CommandStatus);

    /// Something was typed by `send`; what, may be a secret.
    fn sent(&self, session: &str) {
        let _ = session;
    }
}
