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
mod dirt;
mod execution;
pub mod expect;
mod frame;
#[cfg(test)]
mod fuzz;
mod gate;
mod greeting;
mod interactive;
mod journal;
mod line;
mod live;
mod manager;
mod named;
mod observer;
mod oneshot;
mod outlet;
mod pool;
mod run;
mod shell;
mod terminal;
mod told;
mod verdict;

#[cfg(test)]
mod tests;

pub use dirt::Dirt;
pub use expect::Pattern;
pub use manager::SessionManager;
pub use named::HostSession;
pub use observer::Observer;
pub(crate) use oneshot::{Oneshot, oneshot};
pub use run::{ExpectRun, OneshotRun, Run};
pub use shell::ShellSession;
pub(crate) use told::Audience;
