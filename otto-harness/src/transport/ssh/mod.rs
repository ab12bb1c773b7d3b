//! SSH: a connection per host, dialled when first used, with a channel per process and two per shell.
//!
//! See `docs/design/ssh.md` for how and why.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;

use crate::error::{Error, Phase, Result};

use super::fault::Fault;
use super::{BoxFuture, ByteStream, Connector, Duplex, Exec, Service, TcpListening, Transport};

mod auth;
mod channel;
mod connect;
mod connection;
mod console;
mod control;
mod exec;
mod forward;
mod host_key;
mod inbox;
mod known_hosts;
mod service;
mod shell;
mod target;
#[cfg(test)]
mod testbed;
#[cfg(test)]
mod tests;
mod trouble;
mod watcher;
mod wire;

pub(crate) use target::{Auth, HostKeyCheck, HostKeyPolicy, SshTarget};

use connection::{Connection, Permit};
use forward::Forward;
use trouble::Trouble;

/// Makes shells and processes on one SSH server.
#[derive(Debug)]
pub(crate) struct SshConnector {
    target: Arc<SshTarget>,
    /// The first, and further ones for when its channels are taken for long.
    connections: Mutex<Vec<Arc<Connection>>>,
    /// How many channels a connection may have, as far as is known.
    channels: AtomicUsize,
    /// Held while dialling, with how the last dial failed.
    dialling: AsyncMutex<Option<Fault>>,
    /// Set once the server was found to give shells on terminals only.
    no_pipes: AtomicBool,
}

/// A connection and what was found on it.
#[derive(Debug)]
struct Chosen<T> {
    connection: Arc<Connection>,
    found: T,
    /// Dialled just now.
    new: bool,
}

impl SshConnector {
    /// A connector that has not contacted anything yet.
    pub(crate) fn new(target: SshTarget) -> Self {
        Self {
            channels: AtomicUsize::new(target.channels.max(1)),
            target: Arc::new(target),
            connections: Mutex::default(),
            dialling: AsyncMutex::default(),
            no_pipes: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that `choose` takes, dialled if need be. Callers that wait for one dial share its failure.
    async fn connection<T>(
        &self,
        choose: impl Fn(&[Arc<Connection>]) -> Option<(Arc<Connection>, T)>,
    ) -> Result<Chosen<T>, Fault> {
        let find = || {
            let mut connections = self.lock();
            connections.retain(|connection| connection.is_alive());
            choose(&connections).map(|(connection, found)| Chosen { connection, found, new: false })
        };
        if let Some(chosen) = find() {
            return Ok(chosen);
        }
        let (mut dials, waited) = match self.dialling.try_lock() {
            Ok(dials) => (dials, false),
            Err(_) => (self.dialling.lock().await, true),
        };
        if let Some(chosen) = find() {
            return Ok(chosen);
        }
        if waited && let Some(failure) = &*dials {
            return Err(failure.clone());
        }
        // So that nobody takes the failure of before for that of a dial that is given up.
        *dials = None;
        let dialled = connect::dial(&self.target, self.channels.load(Ordering::Relaxed)).await;
        *dials = dialled.as_ref().err().cloned();
        let connection = dialled?;
        let (_, found) = choose(std::slice::from_ref(&connection)).ok_or_else(|| {
            Fault::at(Phase::Channel, "a shell needs two channels, and the server allows one on a connection")
                .hint("set MaxSessions to 2 or more in the server's configuration")
        })?;
        self.lock().push(Arc::clone(&connection));
        Ok(Chosen { connection, found, new: true })
    }

    /// For what is forwarded, which takes no place of a session.
    async fn any_connection(&self) -> Result<Chosen<()>> {
        let any = |connections: &[Arc<Connection>]| connections.first().map(|connection| (Arc::clone(connection), ()));
        self.connection(any).await.map_err(|fault| self.error(fault))
    }

    async fn place_for_exec(&self) -> Result<Chosen<Permit>, Fault> {
        let mut new = false;
        loop {
            // The one with most room; but one whose places are all taken for long may never have any.
            let chosen = self
                .connection(|connections| {
                    let open = connections.iter().filter(|connection| connection.has_short_places());
                    open.max_by_key(|connection| connection.free()).map(|connection| (Arc::clone(connection), ()))
                })
                .await?;
            new |= chosen.new;
            if let Some(found) = chosen.connection.one().await {
                return Ok(Chosen { connection: chosen.connection, found, new });
            }
        }
    }

    async fn place_for_shell(&self, channels: usize) -> Result<Chosen<Vec<Permit>>, Fault> {
        self.connection(|connections| {
            connections.iter().find_map(|connection| Some((Arc::clone(connection), connection.try_long(channels)?)))
        })
        .await
    }

    /// Whether to try again after `trouble`. A connection that turns out to be dead is replaced, once.
    fn again(&self, trouble: Trouble, connection: &Connection, new: bool, redialled: &mut bool) -> Result<()> {
        match trouble {
            Trouble::Full => {
                self.channels.fetch_min(connection.limit().max(1), Ordering::Relaxed);
                Ok(())
            }
            Trouble::Fault(fault) if fault.is_lost() && !new && !std::mem::replace(redialled, true) => Ok(()),
            Trouble::NoPipes(why) => {
                self.no_pipes.store(true, Ordering::Relaxed);
                tracing::info!(host = &*self.target.host, "shells are on a terminal alone here: {}", why.message());
                Ok(())
            }
            Trouble::Fault(fault) => Err(self.error(fault)),
        }
    }

    fn error(&self, fault: Fault) -> Error {
        fault.on(&self.target.host)
    }
}

impl Connector for SshConnector {
    fn open_shell(&self) -> BoxFuture<'_, Result<Box<dyn Transport>>> {
        Box::pin(async move {
            let mut redialled = false;
            loop {
                self.target.progress.reached(Phase::Channel);
                let pipes = !self.no_pipes.load(Ordering::Relaxed) && self.channels.load(Ordering::Relaxed) > 1;
                let Chosen { connection, found: mut permits, new } =
                    self.place_for_shell(if pipes { 2 } else { 1 }).await.map_err(|fault| self.error(fault))?;
                self.target.progress.reached(Phase::Shell);
                let (limit, second) = (self.target.limits.shell, permits.pop());
                let opened: Result<Box<dyn Transport>, Trouble> = match (permits.pop(), second) {
                    (Some(first), Some(second)) => {
                        shell::open(&connection, (first, second), limit).await.map(|shell| Box::new(shell) as _)
                    }
                    (_, Some(only)) => console::open(&connection, only, limit).await.map(|shell| Box::new(shell) as _),
                    _ => Err(Trouble::Full),
                };
                match opened {
                    Ok(shell) => return Ok(shell),
                    Err(trouble) => self.again(trouble, &connection, new, &mut redialled)?,
                }
            }
        })
    }

    fn phase(&self) -> Option<Phase> {
        self.target.progress.get()
    }

    fn exec(&self, exec: Exec) -> BoxFuture<'_, Result<Box<dyn Transport>>> {
        Box::pin(async move {
            let mut redialled = false;
            loop {
                let Chosen { connection, found: permit, new } =
                    self.place_for_exec().await.map_err(|fault| self.error(fault))?;
                match exec::start(&connection, permit, &exec).await {
                    Ok(process) => return Ok(Box::new(process) as Box<dyn Transport>),
                    Err(trouble) => self.again(trouble, &connection, new, &mut redialled)?,
                }
            }
        })
    }

    fn open_tcp(&self, address: String, port: u16, limit: Duration) -> BoxFuture<'_, Result<Box<dyn Duplex>>> {
        Box::pin(async move {
            let mut redialled = false;
            loop {
                let Chosen { connection, new, .. } = self.any_connection().await?;
                match connection.open_tcp((&address, port), limit).await {
                    Ok(channel) => return Ok(Box::new(Forward::new(channel)) as Box<dyn Duplex>),
                    Err(fault) => self.again(fault.into(), &connection, new, &mut redialled)?,
                }
            }
        })
    }

    fn listen_tcp(&self, address: String, port: u16) -> BoxFuture<'_, Result<TcpListening>> {
        Box::pin(async move {
            let mut redialled = false;
            loop {
                let Chosen { connection, new, .. } = self.any_connection().await?;
                match connection.listen(&address, port).await {
                    Ok(listening) => return Ok(listening),
                    Err(fault) => self.again(fault.into(), &connection, new, &mut redialled)?,
                }
            }
        })
    }

    fn open_stream(&self, service: Service) -> BoxFuture<'_, Result<Option<ByteStream>>> {
        Box::pin(async move {
            let mut redialled = false;
            loop {
                let Chosen { connection, found: mut permits, new } =
                    self.place_for_shell(1).await.map_err(|fault| self.error(fault))?;
                let opened = match permits.pop() {
                    Some(permit) => service::open(&connection, permit, &service).await,
                    None => Err(Trouble::Full),
                };
                match opened {
                    Ok(stream) => return Ok(stream),
                    Err(trouble) => self.again(trouble, &connection, new, &mut redialled)?,
                }
            }
        })
    }

    fn close(&self) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            let connections = std::mem::take(&mut *self.lock());
            let mut closing = tokio::task::JoinSet::new();
            for connection in connections {
                closing.spawn(async move { connection.close().await });
            }
            let mut seen = true;
            while let Some(one) = closing.join_next().await {
                seen &= one.unwrap_or(false);
            }
            seen
        })
    }
}
