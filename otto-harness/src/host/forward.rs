//! Ports that lead through a host: [`PortForward`].

use std::future::{Future, pending};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::error::{Error, ErrorKind, Result};
use crate::session::SessionManager;
use crate::transport::{BoxFuture, Connector, Duplex, TcpListening};

/// How long the last stretch, from the host to the address, may take.
const REACH: Duration = Duration::from_secs(10);

/// A port that leads through a host: what [`Host::forward_local`](super::Host::forward_local) and
/// [`Host::forward_remote`](super::Host::forward_remote) make. Dropping it closes the port and what goes through it.
#[derive(Debug)]
#[must_use = "dropping it closes the port"]
pub struct PortForward {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    /// Its sender is gone when all has ended.
    ended: watch::Receiver<()>,
}

impl PortForward {
    /// Where to connect to: on this machine for a local one, on the host for a remote one.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the port and the connections that go through it.
    ///
    /// # Errors
    /// None today; it answers as other `close`s do.
    pub async fn close(mut self) -> Result<()> {
        self.stop.send_replace(true);
        // Nothing is ever sent; the error says that the other side is gone.
        let _ = self.ended.changed().await;
        Ok(())
    }
}

pub(super) fn local(sessions: SessionManager, to: String) -> BoxFuture<'static, Result<PortForward>> {
    Box::pin(async move {
        let (host, port) = address(&to)?;
        let connector = sessions.connector().clone();
        // So that a host that cannot be reached, or a refusal, is an error here and not a connection that ends at once.
        let first = connector.open_tcp(host.clone(), port, REACH);
        drop(sessions.unless_closed(first).await?);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| {
            Error::new(ErrorKind::Io, "this machine gives no port to forward").on_host(sessions.host()).caused_by(error)
        })?;
        let address = listener.local_addr().map_err(|error| Error::new(ErrorKind::Io, "no port").caused_by(error))?;
        let (streams, incoming) = mpsc::channel(1);
        let accepting = async move {
            while let Ok((socket, _)) = listener.accept().await {
                let joined: BoxFuture<'static, ()> =
                    Box::pin(through(Arc::clone(&connector), socket, host.clone(), port));
                if streams.send(joined).await.is_err() {
                    break;
                }
            }
        };
        Ok(start(sessions, address, accepting, incoming))
    })
}

pub(super) fn remote(sessions: SessionManager, port: u16, to: String) -> BoxFuture<'static, Result<PortForward>> {
    Box::pin(async move {
        let to = address(&to)?;
        let connector = sessions.connector().clone();
        let listening = connector.listen_tcp(Ipv4Addr::LOCALHOST.to_string(), port);
        let TcpListening { port, streams: mut came, stop } = sessions.unless_closed(listening).await?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (streams, incoming) = mpsc::channel(1);
        let accepting = async move {
            // The host listens for as long as this is there.
            let _stop = stop;
            while let Some(stream) = came.recv().await {
                let joined: BoxFuture<'static, ()> = Box::pin(from_there(stream, to.clone()));
                if streams.send(joined).await.is_err() {
                    break;
                }
            }
        };
        Ok(start(sessions, address, accepting, incoming))
    })
}

/// Serves until it is stopped, dropped, or the host is closed.
fn start(
    sessions: SessionManager,
    address: SocketAddr,
    accepting: impl Future<Output = ()> + Send + 'static,
    mut incoming: mpsc::Receiver<BoxFuture<'static, ()>>,
) -> PortForward {
    let (stop, mut stopped) = watch::channel(false);
    let (ending, ended) = watch::channel(());
    tokio::spawn(async move {
        let _ending = ending;
        let mut joined = JoinSet::new();
        let until_closed = sessions.unless_closed(pending::<Result<()>>());
        tokio::select! {
            // An error says that the guard is gone, which is the same.
            _ = stopped.wait_for(|stop| *stop) => {}
            _ = until_closed => {}
            () = accepting => {}
            () = async {
                while let Some(one) = incoming.recv().await {
                    while joined.try_join_next().is_some() {}
                    joined.spawn(one);
                }
            } => {}
        }
        joined.shutdown().await;
    });
    PortForward { address, stop, ended }
}

/// Joins a connection of this machine to one from the host.
async fn through(connector: Arc<dyn Connector>, mut socket: TcpStream, host: String, port: u16) {
    match connector.open_tcp(host, port, REACH).await {
        // Either end says why it ended to whoever reads it.
        Ok(mut stream) => _ = copy_bidirectional(&mut socket, &mut stream).await,
        Err(error) => tracing::warn!("a connection to a forwarded port ends at once: {error}"),
    }
}

/// Joins a connection that came in on the host to one from this machine.
async fn from_there(mut stream: Box<dyn Duplex>, (host, port): (String, u16)) {
    match timeout(REACH, TcpStream::connect((&*host, port))).await {
        Ok(Ok(mut socket)) => _ = copy_bidirectional(&mut stream, &mut socket).await,
        Ok(Err(error)) => tracing::warn!("a connection to a forwarded port ends at once: {host}:{port}: {error}"),
        Err(_) => tracing::warn!("a connection to a forwarded port ends at once: {host}:{port} does not answer"),
    }
}

/// Splits `host:port`; an IPv6 address stands in brackets.
fn address(text: &str) -> Result<(String, u16)> {
    let wrong = || {
        Error::new(ErrorKind::Invalid, format!("`{text}` is no address to forward to"))
            .hint("write host and port: `10.0.0.5:80`, `[::1]:80`, `name:80`")
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match port.parse() {
        Ok(port @ 1..) if !host.is_empty() => Ok((host.to_owned(), port)),
        _ => Err(wrong()),
    }
}
