//! Telnet: a connection and a login for each shell.
//!
//! See `docs/design/telnet.md` for how and why.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::error::{Error, ErrorKind, Result};

use super::{BoxFuture, Connector, Exec, Transport};

mod codec;
mod connection;
mod control;
mod options;
mod shell;
mod target;
#[cfg(test)]
mod tests;

pub(crate) use target::TelnetTarget;

use connection::Line;
use shell::TelnetShell;

/// Logins under way at once. A small host takes its time for each.
const LOGINS: usize = 8;

/// Makes shells on one telnet server.
#[derive(Debug)]
pub(crate) struct TelnetConnector(Arc<Shared>);

/// What a connector and its shells have in common.
#[derive(Debug)]
struct Shared {
    target: TelnetTarget,
    logins: Semaphore,
    /// The connections that were opened. Those that are gone are not counted.
    lines: Mutex<Vec<Weak<Line>>>,
    /// How many tasks are under way in the background.
    background: watch::Sender<usize>,
    /// Counts closes: a login that is under way when it changes is given up.
    closes: watch::Sender<u64>,
}

impl Shared {
    fn opened(&self, line: &Arc<Line>) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.retain(|line| line.strong_count() > 0);
        lines.push(Arc::downgrade(line));
    }

    /// Does it in a task of its own, for which closing waits. Without a runtime it is not done.
    fn in_background(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        let Ok(runtime) = Handle::try_current() else { return };
        let counted = Counted::new(self);
        runtime.spawn(async move {
            let _counted = counted;
            work.await;
        });
    }
}

/// One task in the background.
struct Counted(Arc<Shared>);

impl Counted {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.background.send_modify(|count| *count += 1);
        Self(Arc::clone(shared))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.background.send_modify(|count| *count -= 1);
    }
}

impl TelnetConnector {
    /// A connector that has not contacted anything yet.
    pub(crate) fn new(target: TelnetTarget) -> Self {
        Self(Arc::new(Shared {
            target,
            logins: Semaphore::new(LOGINS),
            lines: Mutex::default(),
            background: watch::Sender::new(0),
            closes: watch::Sender::new(0),
        }))
    }
}

impl Connector for TelnetConnector {
    fn open_shell(&self) -> BoxFuture<'_, Result<Box<dyn Transport>>> {
        Box::pin(async move {
            let mut closes = self.0.closes.subscribe();
            let opened = async {
                let _turn = self.0.logins.acquire().await;
                TelnetShell::open_for_session(&self.0).await
            };
            tokio::select! {
                biased;
                shell = opened => Ok(Box::new(shell?) as Box<dyn Transport>),
                _ = closes.changed() => {
                    Err(Error::new(ErrorKind::Closed, "the host was closed during the login").on_host(&*self.0.target.host))
                }
            }
        })
    }

    fn has_exec(&self) -> bool {
        false
    }

    fn exec(&self, _: Exec) -> BoxFuture<'_, Result<Box<dyn Transport>>> {
        Box::pin(async move {
            Err(Error::new(ErrorKind::Invalid, "telnet has shells only, and no way to start a process without one")
                .on_host(&*self.0.target.host)
                .hint("use `run`, in the default session or in one of its own (`open_session`)"))
        })
    }

    fn close(&self) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            self.0.closes.send_modify(|count| *count += 1);
            let everything = async {
                // What is being killed needs connections of its own.
                let mut background = self.0.background.subscribe();
                let _ = background.wait_for(|count| *count == 0).await;
                let lines = std::mem::take(&mut *self.0.lines.lock().unwrap_or_else(PoisonError::into_inner));
                let lines: Vec<_> = lines.iter().filter_map(Weak::upgrade).collect();
                let mut closing = tokio::task::JoinSet::new();
                for line in lines {
                    closing.spawn(async move { line.hang_up(Duration::from_secs(2)).await });
                }
                closing.join_all().await.into_iter().all(|seen| seen)
            };
            timeout(Duration::from_millis(4500), everything).await.unwrap_or(false)
        })
    }
}
