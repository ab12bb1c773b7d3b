//! Sessions with names: shells of their own, side by side on one host.

use std::fmt;
use std::sync::Arc;

use super::Pattern;
use super::manager::{SessionManager, Slot};
use super::run::{ExpectRun, Run};
use crate::command::IntoCommands;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::BoxFuture;
use crate::unwind;

/// One shell on a host, with a directory, variables and functions of its own.
///
/// Cheap to clone: clones share the shell. After [`close`](Self::close), whatever is asked of it is an error of kind
/// [`Closed`](crate::ErrorKind::Closed); a shell that died is replaced by the next `run`, which says `state_lost`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> otto::Result<()> {
/// let host = otto::Host::local();
/// let (one, two) = (host.open_session("one").await?, host.open_session("two").await?);
/// one.run("cd /tmp").await?.ok()?;
/// two.run("cd /var").await?.ok()?;
/// assert_eq!(one.run("pwd").await?.only()?.output, "/tmp");
/// assert_eq!(two.run("pwd").await?.only()?.output, "/var");
/// host.close().await
/// # }
/// ```
#[derive(Clone)]
pub struct HostSession {
    pub(super) manager: SessionManager,
    pub(super) slot: Arc<Slot>,
}

impl HostSession {
    pub(super) fn new(manager: SessionManager, slot: Arc<Slot>) -> Self {
        Self { manager, slot }
    }

    /// The name it was opened by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.slot.name
    }

    /// Whether its shell is live, as far as is known.
    #[must_use]
    pub fn alive(&self) -> bool {
        self.slot.gate.is_shut().is_none() && self.slot.session.alive()
    }

    /// Commands for its shell; see [`Run`].
    pub fn run<'a>(&self, commands: impl IntoCommands) -> Run<'a> {
        Run::new(self.clone(), commands.into_commands())
    }

    /// Text for its terminal, as if typed: `"\n"` is the Enter key. What is sent is never logged.
    pub fn send(&self, text: impl AsRef<[u8]>) -> BoxFuture<'static, Result<()>> {
        let (session, text) = (self.clone(), text.as_ref().to_vec());
        Box::pin(async move {
            if session.manager.is_dry_run() {
                tracing::info!(host = session.manager.host(), session = session.name(), "dry run: would send text");
                return Ok(());
            }
            session.manager.note_use();
            session.slot.gate.pass(session.slot.session.send(&text)).await.map_err(|error| session.located(error))
        })
    }

    /// Waits for a pattern in what its terminal shows; see [`ExpectRun`].
    pub fn expect(&self, pattern: impl Into<Pattern>) -> ExpectRun {
        ExpectRun::new(self.clone(), pattern.into())
    }

    /// Ends its shell and all that runs in it. Its name is free again. Closing twice does no harm.
    ///
    /// # Errors
    /// If the shell was not gone after 5 s; it is then dropped, and ends in the background.
    #[must_use = "nothing is closed until it is awaited"]
    pub fn close(&self) -> BoxFuture<'static, Result<()>> {
        self.manager.close_slot(&self.slot)
    }

    /// Does `body` with it and closes it on every way out: an answer, an error, a panic, a future that is dropped.
    ///
    /// # Errors
    /// That of the body, else that of closing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> otto::Result<()> {
    /// let host = otto::Host::local();
    /// let session = host.open_session("short").await?;
    /// let answer = session.clone().scoped(async |s| s.run("echo hi").await?.only()).await?;
    /// assert_eq!(answer.output, "hi");
    /// assert!(session.run("true").await.unwrap_err().is_closed());
    /// # host.close().await
    /// # }
    /// ```
    pub async fn scoped<T, F>(self, body: F) -> Result<T>
    where
        F: AsyncFnOnce(HostSession) -> Result<T>,
    {
        let session = self.clone();
        unwind::closing(body(self), move || session.close()).await
    }

    /// The error with host and session named and secrets taken out, and what to do about a session that was closed for good.
    pub(super) fn located(&self, error: Error) -> Error {
        let error = error.on_host(self.manager.host()).in_session(self.name()).redacted(self.manager.redactor());
        if error.kind() != ErrorKind::Closed {
            error
        } else if self.manager.is_retired() {
            error.hint("a task that outlives its test has no hosts any more: await or abort it before the test ends")
        } else if self.slot.gate.is_shut().is_some() {
            error.hint("`open_session` opens a new one of that name")
        } else {
            error
        }
    }
}

impl fmt::Debug for HostSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostSession")
            .field("host", &self.manager.host())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}
