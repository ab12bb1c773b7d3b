//! A shell behind a login: one line for everything.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::timeout;

use crate::error::Result;
use crate::transport::login::login;
use crate::transport::{BoxFuture, Ending, Incoming, Inlet, Interrupt, Outlet, Transport, Wiring};

use super::Shared;
use super::connection::Connection;
use super::control::{Killing, Prey, StandBy};

/// How long a server may take to hang up.
const HANGING_UP: Duration = Duration::from_secs(2);

/// How long a shell that has just greeted may take to say who it is.
const ANSWERING: Duration = Duration::from_secs(5);

/// How long closing may wait for what is being killed.
const KILLING: Duration = Duration::from_millis(2500);

/// A terminal on a telnet server, and after the login the shell on it.
#[derive(Debug)]
pub(super) struct TelnetShell {
    connection: Connection,
    shared: Arc<Shared>,
    /// What to kill when it has to be, once the shell is there and said it.
    prey: Option<Prey>,
    /// Whether something was interrupted, so that something may run on that does not heed the end of its terminal.
    suspect: bool,
    stand_by: Option<StandBy>,
    killing: Option<Killing>,
}

impl TelnetShell {
    /// Connects and logs in. Dropping the future hangs up.
    pub(super) async fn open(shared: &Arc<Shared>) -> Result<Self> {
        let host = &*shared.target.host;
        let connection = Connection::dial(&shared.target).await.map_err(|fault| fault.on(host))?;
        let mut shell = Self::before_login(connection, shared);
        login(&mut shell, &shared.target.script).await.map_err(|error| error.on_host(host))?;
        Ok(shell)
    }

    /// As [`open`](Self::open), for a session: one that can be killed.
    pub(super) async fn open_for_session(shared: &Arc<Shared>) -> Result<Self> {
        let mut shell = Self::open(shared).await?;
        // It may have ended just now, which its first read says.
        shell.prey = timeout(ANSWERING, Prey::of(&mut shell)).await.ok().flatten();
        Ok(shell)
    }

    pub(super) fn before_login(connection: Connection, shared: &Arc<Shared>) -> Self {
        shared.opened(connection.line());
        Self { connection, shared: Arc::clone(shared), prey: None, suspect: false, stand_by: None, killing: None }
    }

    fn kill(&mut self) -> Option<&mut Killing> {
        if self.killing.is_none() {
            let stand_by = self.stand_by.take();
            let ready = match stand_by {
                Some(ready) => ready,
                None => StandBy::start(&self.shared, self.prey?),
            };
            self.killing = Some(ready.kill(&self.shared));
        }
        self.killing.as_mut()
    }

    /// Whether something may be left when the terminal is hung up.
    fn may_leave_something(&self) -> bool {
        self.suspect && !self.killing.as_ref().is_some_and(Killing::has_proof)
    }
}

impl Transport for TelnetShell {
    fn wiring(&self) -> Wiring {
        Wiring::Line
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<Incoming>> {
        ready!(self.connection.poll_read(cx, into));
        Poll::Ready(Ok(match self.connection.lost() {
            // Whatever came in one piece with the end was given before.
            Some(reason) => Incoming::Ended(Ending { lost: Some(reason.to_owned()), ..Ending::default() }),
            None => Incoming::Data(Outlet::Out),
        }))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, _: Inlet, data: &[u8]) -> Poll<io::Result<usize>> {
        self.connection.poll_write(cx, data)
    }

    fn interrupt(&mut self, how: Interrupt) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            let again = std::mem::replace(&mut self.suspect, true);
            if again
                && self.stand_by.as_ref().is_none_or(StandBy::is_over)
                && self.killing.is_none()
                && let Some(prey) = self.prey
            {
                // The first was not enough, and nor may this one be.
                self.stand_by = Some(StandBy::start(&self.shared, prey));
            }
            match how {
                // The key, and not telnet's own "interrupt process": BusyBox does not know that one.
                Interrupt::Gentle => {
                    let sent = async {
                        let typed = poll_fn(|cx| self.connection.poll_write(cx, b"\x03")).await;
                        self.connection.flush().await;
                        typed.is_ok()
                    };
                    // A server does not read on when its terminal is full.
                    timeout(Duration::from_millis(100), sent).await.unwrap_or(false) && self.connection.lost().is_none()
                }
                Interrupt::Kill => match self.kill() {
                    Some(killing) => killing.outcome().await,
                    None => false,
                },
            }
        })
    }

    fn close(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let killing = if self.may_leave_something() { self.kill().cloned() } else { None };
            if let Some(mut killing) = killing {
                // Before the hang-up, so that its number is still that of this group.
                let _ = timeout(KILLING, killing.outcome()).await;
            }
            if self.connection.lost().is_none() {
                self.connection.line().hang_up(HANGING_UP).await;
            }
        })
    }
}

impl Drop for TelnetShell {
    /// The end of the connection hangs up the terminal, of which the shell and what heeds it die.
    fn drop(&mut self) {
        if self.may_leave_something() && self.connection.lost().is_none() {
            self.kill();
        }
    }
}
