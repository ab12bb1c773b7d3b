//! Oneshots where the host starts no processes by themselves: in shells that are kept for them.
//!
//! A login over telnet costs a second and more, so a few shells serve any number of oneshots. Each command runs in a
//! subshell with an output of its own: what it does to directory, variables, functions, traps, options and descriptors
//! ends with it, and what it leaves in the background writes into a pipe that nobody reads any longer, never into the
//! output of the next one. See `docs/design/sessions.md`.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{Observer, ShellSession};
use crate::command::{IntoLimit, LogMode, ShellCommand};
use crate::error::{Error, ErrorKind, Result};
use crate::result::{CommandStatus, HIDDEN, Status};
use crate::transport::Connector;

use super::frame::quote_onto;
use super::oneshot::{ONESHOT, Oneshot};

/// How many shells are kept for oneshots on one host; more of them wait their turn.
const SHELLS: usize = 4;

/// What stands for "no limit" to a session, which always has one.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// What a command gets whose turn came at the last moment.
const LEAST: Duration = Duration::from_millis(1);

/// The shells of one host.
#[derive(Debug)]
pub(crate) struct Pool {
    idle: Mutex<Vec<Kept>>,
    places: Semaphore,
}

/// A shell, and who hears of what it could not stop.
#[derive(Debug)]
struct Kept {
    shell: ShellSession,
    dirt: Arc<DirtOnly>,
}

/// Tells of dirt alone: of all else a oneshot tells by itself. The command that a shell of the pool runs is no name for the user's.
#[derive(Debug, Default)]
struct DirtOnly(Mutex<Option<(Arc<dyn Observer>, String)>>);

impl DirtOnly {
    fn now(&self, observer: Option<Arc<dyn Observer>>, command: &str) {
        let now = observer.map(|observer| (observer, command.to_owned()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

impl Observer for DirtOnly {
    fn command(&self, _: &str, _: &str) {}

    fn output(&self, _: &str, _: &[u8]) {}

    fn ended(&self, _: &str, _: &CommandStatus) {}

    fn left_running(&self, _: &str, _: &str, why: &str) {
        let now = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((observer, command)) = now {
            observer.left_running(ONESHOT, &command, why);
        }
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self { idle: Mutex::default(), places: Semaphore::new(SHELLS) }
    }
}

impl Pool {
    fn idle(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a command in a subshell of a shell that no other command is in.
    ///
    /// Cancel-safe: when the future is dropped, the shell it ran in is stopped and not used again.
    pub(super) async fn oneshot(
        &self,
        connector: &Arc<dyn Connector>,
        host: &str,
        request: Oneshot<'_>,
    ) -> Result<CommandStatus> {
        let Oneshot { command, stdin, limit, on_output, observer } = request;
        if command.text.contains('\0') {
            return Err(Error::new(ErrorKind::Invalid, "a command cannot hold a NUL character").on_host(host));
        }
        let log = command.log.unwrap_or_default();
        let everyone = observer.clone();
        let observer = observer.filter(|_| log != LogMode::Never);
        if let Some(observer) = &observer {
            observer.command(ONESHOT, &command.text);
        }
        // An error must not show the wrapped text: what is hidden of the command, or its input, would be in it.
        let inner = ShellCommand::new(in_a_subshell(&command.text, &stdin)).log(LogMode::Never);
        let closed = |_| Error::new(ErrorKind::Closed, "the host was closed").on_host(host);
        let started = Instant::now();
        let work = async {
            let late = |_| Error::new(ErrorKind::Timeout, "its turn did not come within its limit");
            let place = self.places.acquire();
            let _place = match limit {
                Some(limit) => timeout(limit.get(), place).await.map_err(late)?,
                None => place.await,
            }
            .map_err(closed)?;
            // What is left of a limit that was asked for holds for the opening of a shell too.
            let (inner, session_limit) = match limit {
                Some(limit) => {
                    let left = limit.get().saturating_sub(started.elapsed()).max(LEAST).into_limit()?;
                    (inner.timeout(left), left)
                }
                None => (inner, FOR_EVER.into_limit()?),
            };
            // The one that was used last: those that were not are let go by their hosts, if they have a limit for that.
            let idle = self.idle().pop().filter(|kept| kept.shell.alive());
            let kept = idle.unwrap_or_else(|| {
                let dirt = Arc::<DirtOnly>::default();
                Kept { shell: ShellSession::new(host, "oneshot", connector.clone(), Some(dirt.clone())), dirt }
            });
            kept.dirt.now(everyone.clone(), if log == LogMode::Never { HIDDEN } else { &command.text });
            let status = kept.shell.run_cmd(&inner, session_limit, on_output).await?;
            if kept.shell.alive() && !status.timed_out {
                self.idle().push(kept);
            } else {
                kept.shell.close().await;
            }
            Ok::<_, Error>(status)
        };
        let mut status = match work.await {
            // As of a process that was not started in time.
            Err(error) if limit.is_some() && error.kind() == ErrorKind::Timeout => {
                let mut status = CommandStatus::new(String::new(), Status::Error);
                status.timed_out = true;
                status.cause = Some(error.to_string());
                status.duration = started.elapsed();
                status
            }
            done => done?,
        };
        status.command.clone_from(&command.text);
        status.log = log;
        // A oneshot has no state to lose.
        status.state_lost = false;
        if let Some(observer) = &observer {
            if log == LogMode::Normal {
                observer.output(ONESHOT, status.bytes());
            }
            observer.ended(ONESHOT, &status);
        }
        Ok(status)
    }

    /// Takes out the shells that nobody uses, to be closed.
    pub(super) fn take(&self) -> Vec<ShellSession> {
        std::mem::take(&mut *self.idle()).into_iter().map(|kept| kept.shell).collect()
    }
}

/// A script that runs `text` in a subshell whose output is a pipe of its own.
///
/// The pipe is a FIFO with a reader that copies to the shell's output. It is unlinked as soon as both sides have it.
/// When the command ends and something of it still has the pipe, the reader is given a moment and then ended. Where no
/// FIFO can be made, the output is the shell's own. What the outer shell says of how the command died is not its output.
fn in_a_subshell(text: &str, stdin: &[u8]) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quote_onto(&mut quoted, text);
    let input = if stdin.is_empty() { String::new() } else { format!("\\command printf '{}'|", octal(stdin)) };
    let from = if stdin.is_empty() { "</dev/null" } else { "" };
    format!(
        "(__otto_d=`mktemp -d 2>/dev/null`&&mkfifo \"$__otto_d/o\" 2>/dev/null||{{ rmdir \"$__otto_d\" 2>/dev/null;\
         unset __otto_d;{input}(\\command eval {quoted}) {from} 2>&1;exit $?;}};\
         cat \"$__otto_d/o\"&__otto_c=$!;\
         {input}(exec >\"$__otto_d/o\" 2>&1;rm -rf \"$__otto_d\";unset __otto_d __otto_c;\\command eval {quoted}) {from};\
         __otto_r=$?;(sleep 0.2 2>/dev/null||sleep 1;kill \"$__otto_c\") >/dev/null 2>&1&\
         wait \"$__otto_c\" 2>/dev/null;kill $! 2>/dev/null;exit $__otto_r) 2>/dev/null"
    )
}

/// Bytes as a format of `printf` gives them.
fn octal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(4 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "\\{byte:03o}");
        text
    })
}

#[cfg(test)]
mod tests;
