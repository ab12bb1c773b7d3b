//! The listener of a simulated host and what it does with the connections that come.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use russh::keys::{PrivateKey, PublicKey};
use russh::server::{Config, run_stream};
use russh::{MethodKind, MethodSet, SshId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::connection::Connection;
use super::fault::Faults;
use super::inbox::WINDOW;
use super::stream::{Gate, SimStream};

/// Who logs in, and to what.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) id: String,
    pub(super) user: String,
    pub(super) home: PathBuf,
    pub(super) shell: PathBuf,
}

pub(super) enum Credentials {
    Key(PublicKey),
    Password(String),
}

impl Credentials {
    pub(super) fn method(&self) -> MethodKind {
        match self {
            Self::Key(_) => MethodKind::PublicKey,
            Self::Password(_) => MethodKind::Password,
        }
    }
}

/// All that a connection needs to know of its host.
pub(super) struct Host {
    pub(super) account: Account,
    pub(super) credentials: Credentials,
    pub(super) key: PrivateKey,
    /// The key of `Fault::WrongHostKey`.
    pub(super) other_key: PrivateKey,
    pub(super) max_sessions: usize,
    pub(super) mark: String,
    pub(super) connections: AtomicU64,
}

/// Counts the tasks that have to end before the lab's runtime may.
#[derive(Debug, Clone, Default)]
pub(super) struct Busy(Arc<AtomicUsize>);

impl Busy {
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        struct Running(Arc<AtomicUsize>);
        impl Drop for Running {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.0.fetch_add(1, Ordering::Relaxed);
        let running = Running(Arc::clone(&self.0));
        // The last tasks are dropped with the runtime, and then there is nothing to spawn on.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let _running = running;
                task.await;
            });
        }
    }

    /// Returns when all have ended, or after this long.
    pub(super) async fn ended(&self, limit: Duration) {
        let ended = async {
            while self.0.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        // Past the limit, dropping the runtime ends them.
        let _ = tokio::time::timeout(limit, ended).await;
    }
}

impl Host {
    fn config(&self, faults: &Faults) -> Config {
        let key = if faults.wrong_host_key { &self.other_key } else { &self.key };
        Config {
            server_id: SshId::Standard(concat!("SSH-2.0-otto_sim_", env!("CARGO_PKG_VERSION")).into()),
            methods: MethodSet::from(&[self.credentials.method()][..]),
            auth_rejection_time: Duration::from_millis(20),
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: vec![key.clone()],
            window_size: WINDOW,
            max_auth_attempts: 6,
            inactivity_timeout: None,
            nodelay: true,
            ..Config::default()
        }
    }
}

/// A socket that holds the port: not yet listening, so that connections are refused.
pub(super) fn bind(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Connections of an earlier listener on this port may still be there; but once it is ours, it is nobody else's.
    socket.set_reuseaddr(port != 0)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    socket.set_reuseaddr(false)?;
    Ok(socket)
}

/// A child of this process that has not come to `exec` yet holds a copy of the old listener, for a moment.
async fn bind_again(port: u16) -> io::Result<TcpSocket> {
    let mut attempts = 200;
    loop {
        match bind(port) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempts > 0 => attempts -= 1,
            result => return result,
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Serves a host until its faults cannot change any more, which is when its lab stops.
pub(super) async fn serve(
    host: Arc<Host>,
    mut socket: TcpSocket,
    mut faults: watch::Receiver<Faults>,
    gate: watch::Receiver<Gate>,
    busy: Busy,
) -> io::Result<()> {
    let port = socket.local_addr()?.port();
    loop {
        while faults.borrow_and_update().refuse {
            if faults.changed().await.is_err() {
                return Ok(());
            }
        }
        // So that the port can be bound again while connections made here are there: see `bind`.
        socket.set_reuseaddr(true)?;
        let listener = socket.listen(1024)?;
        while !faults.borrow_and_update().refuse {
            let stream = tokio::select! {
                changed = faults.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return Ok(()),
                },
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // Out of descriptors, most likely: a moment later there may be some.
                        tracing::warn!(host = host.account.id, %error, "the simulated host cannot accept");
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        continue;
                    }
                },
            };
            let (host, faults, gate) = (Arc::clone(&host), faults.borrow().clone(), gate.clone());
            let connection = connection(host, stream, faults, gate, busy.clone());
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection to a simulated host ended");
                }
            });
        }
        drop(listener);
        socket = bind_again(port).await?;
    }
}

async fn connection(
    host: Arc<Host>,
    stream: TcpStream,
    faults: Faults,
    gate: watch::Receiver<Gate>,
    busy: Busy,
) -> Result<(), russh::Error> {
    stream.set_nodelay(true)?;
    let (client, server) = (stream.peer_addr()?, stream.local_addr()?);
    let peer = format!("{} {} {} {}", client.ip(), client.port(), server.ip(), server.port());
    let mut stream = SimStream::new(stream, gate, faults.wire);
    if let Some(garbage) = &faults.garbage {
        stream.write_all(garbage).await?;
        stream.shutdown().await?;
    }
    if faults.silent || faults.garbage.is_some() {
        // Until the client gives up; closing with unread data would reset the connection.
        let mut ignored = [0; 1024];
        while stream.read(&mut ignored).await? > 0 {}
        return Ok(());
    }
    let number = host.connections.fetch_add(1, Ordering::Relaxed);
    let mark = format!("{}{number}.", host.mark);
    let config = Arc::new(host.config(&faults));
    let handler = Connection::new(host, mark, peer, !faults.no_exit_status, busy);
    run_stream(config, stream, handler).await?.await
}
