//! How a port is reached: from this machine, or from a host that lies in between. See `docs/design/hops.md`.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::error::Phase;

use super::fault::Fault;
use super::{Connector, Duplex};

/// How a port is reached.
#[derive(Debug, Clone, Default)]
pub(crate) enum Route {
    /// From this machine.
    #[default]
    Direct,
    /// From another host.
    Over(Hop),
}

/// A host that others are reached over.
#[derive(Debug, Clone)]
pub(crate) struct Hop {
    id: String,
    connector: Arc<dyn Connector>,
}

impl Hop {
    pub(crate) fn new(id: impl Into<String>, connector: Arc<dyn Connector>) -> Self {
        Self { id: id.into(), connector }
    }

    /// A stream from there to this address. `limit` is for the last stretch: the hop's own connection has limits of its own.
    pub(super) async fn open(&self, (address, port): (&str, u16), limit: Duration) -> Result<Box<dyn Duplex>, Fault> {
        let opened = self.connector.open_tcp(address.to_owned(), port, limit).await;
        opened.map_err(|error| Fault::over(&self.id, &error))
    }

    /// As [`open`](Self::open), for what needs a socket of the kernel's: the other end of a connection within this machine,
    /// which a task joins to the stream.
    pub(super) async fn open_socket(&self, to: (&str, u16), limit: Duration) -> Result<TcpStream, Fault> {
        let mut stream = self.open(to, limit).await?;
        let (ours, mut theirs) = pair().await.map_err(|error| {
            Fault::at(Phase::Tcp, format!("no connection within this machine can be made: {error}"))
        })?;
        tokio::spawn(async move {
            // Either end says why it ended to whoever reads it; here nobody listens.
            let _ = copy_bidirectional(&mut theirs, &mut stream).await;
        });
        Ok(ours)
    }
}

/// Two sockets that are connected with each other, and with nobody else.
async fn pair() -> std::io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let ours = TcpStream::connect(listener.local_addr()?).await?;
    let name = ours.local_addr()?;
    let accepting = async {
        loop {
            let (theirs, from) = listener.accept().await?;
            // Anybody on this machine may connect to the port while it is open.
            if from == name {
                return std::io::Result::Ok(theirs);
            }
        }
    };
    let theirs = timeout(Duration::from_secs(5), accepting).await.map_err(std::io::Error::from)??;
    theirs.set_nodelay(true)?;
    Ok((ours, theirs))
}
