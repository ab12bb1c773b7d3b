//! Reaching a server over TCP, phase by phase, each with its own limit and its own error.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::error::Phase;

use super::fault::Fault;

/// Asking a silent host whether it is still there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keepalive {
    pub(crate) interval: Duration,
    /// After so many unanswered ones the connection is lost.
    pub(crate) misses: usize,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self { interval: Duration::from_secs(15), misses: 3 }
    }
}

impl Keepalive {
    /// How long a host may be silent in all.
    pub(super) fn patience(self) -> Duration {
        self.interval.saturating_mul(u32::try_from(self.misses).unwrap_or(u32::MAX).saturating_add(1))
    }
}

/// The addresses of a host.
pub(super) async fn resolve(address: &str, port: u16, limit: Duration) -> Result<Vec<SocketAddr>, Fault> {
    let fault = |reason: &str| {
        Fault::at(Phase::Resolve, format!("no address for `{address}`: {reason}"))
            .hint("check `ip` of the host in the lab file, or the name service of this machine")
    };
    match timeout(limit, tokio::net::lookup_host((address, port))).await {
        Ok(Ok(found)) => {
            let found: Vec<_> = found.collect();
            if found.is_empty() { Err(fault("the name has none")) } else { Ok(found) }
        }
        Ok(Err(error)) => Err(fault(&error.to_string())),
        Err(_) => Err(fault(&format!("no answer within {limit:?}"))),
    }
}

/// A connection to the first address that takes one. `server` is the program that should listen there.
pub(super) async fn connect(
    (address, port): (&str, u16),
    addresses: &[SocketAddr],
    limit: Duration,
    server: &str,
) -> Result<TcpStream, Fault> {
    let mut last = None;
    let attempts = async {
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(socket) => return Some(socket),
                Err(error) => last = Some((*address, error)),
            }
        }
        None
    };
    match timeout(limit, attempts).await {
        Ok(Some(socket)) => return Ok(socket),
        Ok(None) => {}
        Err(_) => {
            return Err(Fault::at(Phase::Tcp, format!("{address}:{port} did not answer within {limit:?}"))
                .hint("is the host up, and does a firewall let this port through?"));
        }
    }
    let Some((address, error)) = last else {
        return Err(Fault::at(Phase::Tcp, "there is no address to connect to"));
    };
    let fault = Fault::at(Phase::Tcp, format!("{address}: {error}"));
    Err(match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            fault.hint(format!("nothing listens there: is {server} running, and is the port right?"))
        }
        _ => fault.hint("is the host up, and can it be reached from this machine?"),
    })
}

/// Small writes go out at once, and the kernel gives up on a host that acknowledges nothing.
pub(super) fn tune(socket: &TcpStream, keepalive: Keepalive) {
    // None of these can fail on a socket that is connected, and it would work without them.
    let _ = socket.set_nodelay(true);
    let patience = u32::try_from(keepalive.patience().as_millis()).unwrap_or(u32::MAX);
    let _ = sockopt::set_tcp_user_timeout(socket, patience);
}

/// The kernel asks a silent host whether it is still there.
pub(super) fn keep_alive(socket: &TcpStream, Keepalive { interval, misses }: Keepalive) {
    let _ = sockopt::set_tcp_keepidle(socket, interval);
    let _ = sockopt::set_tcp_keepintvl(socket, interval);
    let _ = sockopt::set_tcp_keepcnt(socket, u32::try_from(misses).unwrap_or(u32::MAX));
    let _ = sockopt::set_socket_keepalive(socket, true);
}

/// Has what arrived acknowledged at once. The kernel forgets this after a while, so it is set again after every read.
/// Without it, each small answer of a server that keeps Nagle's algorithm on costs a delayed acknowledgement: 40 ms.
pub(super) fn acknowledge_at_once(socket: &TcpStream) {
    // It is only about speed, so a kernel without it is fine.
    let _ = sockopt::set_tcp_quickack(socket, true);
}
