//! Login by prompts, for wires that carry nothing but a terminal: telnet and serial.
//!
//! [`login`] answers the host's questions and then replaces the account's shell by one that says who it is, so that
//! whatever the account starts (csh, fish, a shell with a hostile start-up file), a plain shell of the Bourne family is what
//! a session talks to. See `docs/design/login.md`.

mod dialogue;
mod screen;
mod script;
mod takeover;
#[cfg(test)]
mod testbed;
#[cfg(test)]
mod tests;

pub(crate) use script::LoginScript;

use crate::error::Result;
use crate::transport::Transport;

/// A shell that has greeted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// Its process id on the host.
    pub(crate) pid: u32,
    /// Its process group, when the host could say so and the shell leads it: then nothing but what the shell starts is in it.
    pub(crate) group: Option<u32>,
    /// Whether it is bash; else it is the host's `sh`.
    pub(crate) bash: bool,
}

/// Logs in and leaves a plain shell at the other end of the wire, at its prompt.
///
/// Dropping the future leaves the wire where it is in the dialogue; close it then.
///
/// # Errors
/// In phase banner when the host says nothing, in phase login when it does not let us in, and in phase shell when no shell
/// answers. Each is bounded by a limit of the script and shows the last lines that the host wrote, without the password.
pub(crate) async fn login(wire: &mut dyn Transport, script: &LoginScript) -> Result<Arrived> {
    dialogue::Dialogue::new(wire, script).run().await
}
