//! Making a connection, phase by phase, each with its own limit and its own error.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Handle};
use russh::{Preferred, SshId, cipher, kex};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::error::Phase;

use super::auth::authenticate;
use super::connection::Connection;
use super::fault::Fault;
use super::host_key::HostKeys;
use super::target::{Keepalive, SshTarget};
use super::watcher::{Stopped, Table, Watcher};
use super::wire::{Greeting, Wire};

/// What one channel may be sent before we say that there is room for more: enough for 200 MB/s at 50 ms.
const WINDOW: u32 = 16 << 20;

/// Dropbear of 2022 ends the connection when many channels come and go at once.
const CHANNELS_OF_DROPBEAR: usize = 4;

/// Connects and logs in, with at most `channels` channels.
pub(super) async fn dial(target: &Arc<SshTarget>, channels: usize) -> Result<Arc<Connection>, Fault> {
    // Before anything is contacted, since it may be wrong by itself.
    let host_keys = HostKeys::load(target)?;
    target.progress.reached(Phase::Resolve);
    let addresses = resolve(target).await?;
    target.progress.reached(Phase::Tcp);
    let socket = connect(target, &addresses).await?;
    tune(&socket, target.keepalive);

    let config = Arc::new(config(target, &host_keys));
    let table = Arc::new(Table::default());
    let wire = Wire::new(socket);
    let greeting = wire.greeting();
    // Whenever this future is dropped from here on, russh's task sees the end of the stream, and ends too.
    let hang_up = wire.hang_up();
    let watcher = Watcher { table: Arc::clone(&table), host_keys, keepalive: target.keepalive };
    target.progress.reached(Phase::Banner);
    let mut handle = handshake(target, config, wire, &greeting, watcher).await?;

    target.progress.reached(Phase::Auth);
    match timeout(target.limits.auth, authenticate(&mut handle, target, &table)).await {
        Ok(result) => result?,
        Err(_) => {
            return Err(Fault::at(Phase::Auth, format!("no decision within {:?}", target.limits.auth))
                .hint("the server may wait for a directory service or a name server"));
        }
    }
    let is_dropbear = greeting.identification().is_some_and(|line| line.to_ascii_lowercase().contains("dropbear"));
    let channels = if is_dropbear { channels.min(CHANNELS_OF_DROPBEAR) } else { channels };
    Ok(Connection::start(handle, table, hang_up, channels, Arc::clone(target)))
}

async fn resolve(target: &SshTarget) -> Result<Vec<SocketAddr>, Fault> {
    let SshTarget { address, port, limits, .. } = target;
    let fault = |reason: &str| {
        Fault::at(Phase::Resolve, format!("no address for `{address}`: {reason}"))
            .hint("check `ip` of the host in the lab file, or the name service of this machine")
    };
    match timeout(limits.resolve, tokio::net::lookup_host((address.as_str(), *port))).await {
        Ok(Ok(found)) => {
            let found: Vec<_> = found.collect();
            if found.is_empty() { Err(fault("the name has none")) } else { Ok(found) }
        }
        Ok(Err(error)) => Err(fault(&error.to_string())),
        Err(_) => Err(fault(&format!("no answer within {:?}", limits.resolve))),
    }
}

/// The first address that takes the connection.
async fn connect(target: &SshTarget, addresses: &[SocketAddr]) -> Result<TcpStream, Fault> {
    let limit = target.limits.tcp;
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
            return Err(Fault::at(
                Phase::Tcp,
                format!("{}:{} did not answer within {limit:?}", target.address, target.port),
            )
            .hint("is the host up, and does a firewall let this port through?"));
        }
    }
    let Some((address, error)) = last else {
        return Err(Fault::at(Phase::Tcp, "there is no address to connect to"));
    };
    let hint = match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens there: is sshd running, and is the port right?",
        _ => "is the host up, and can it be reached from this machine?",
    };
    Err(Fault::at(Phase::Tcp, format!("{address}: {error}")).hint(hint))
}

fn tune(socket: &TcpStream, Keepalive { interval, misses }: Keepalive) {
    // None of these can fail on a socket that is connected, and it would work without them.
    let _ = socket.set_nodelay(true);
    // russh's keepalive does not run while it waits to write, so the kernel watches over that.
    let patience = interval.saturating_mul(u32::try_from(misses).unwrap_or(u32::MAX).saturating_add(1));
    let _ = rustix::net::sockopt::set_tcp_user_timeout(socket, u32::try_from(patience.as_millis()).unwrap_or(u32::MAX));
}

fn config(target: &SshTarget, host_keys: &HostKeys) -> client::Config {
    let mut kex = Preferred::DEFAULT.kex.to_vec();
    // Some hosts in FIPS mode have these only. They are faster than any of the groups that follow.
    let groups = kex.iter().position(|name| *name == kex::DH_GEX_SHA256).unwrap_or(0);
    kex.splice(groups..groups, [kex::ECDH_SHA2_NISTP256, kex::ECDH_SHA2_NISTP384, kex::ECDH_SHA2_NISTP521]);
    client::Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-otto_", env!("CARGO_PKG_VERSION")))),
        window_size: WINDOW,
        preferred: Preferred {
            kex: kex.into(),
            key: host_keys.algorithms(&Preferred::DEFAULT.key).into(),
            // AES in hardware is half as fast again as ChaCha.
            cipher: Cow::Borrowed(&[
                cipher::AES_256_GCM,
                cipher::AES_128_GCM,
                cipher::CHACHA20_POLY1305,
                cipher::AES_256_CTR,
                cipher::AES_192_CTR,
                cipher::AES_128_CTR,
            ]),
            ..Preferred::DEFAULT
        },
        keepalive_interval: Some(target.keepalive.interval),
        keepalive_max: target.keepalive.misses,
        nodelay: true,
        ..client::Config::default()
    }
}

/// From the greeting to the host key.
async fn handshake(
    target: &SshTarget,
    config: Arc<client::Config>,
    wire: Wire,
    greeting: &Greeting,
    watcher: Watcher,
) -> Result<Handle<Watcher>, Fault> {
    let limits = target.limits;
    let mut connecting = pin!(client::connect_stream(config, wire, watcher));
    let done = tokio::select! {
        done = &mut connecting => done,
        () = greeting.seen() => {
            target.progress.reached(Phase::Kex);
            match timeout(limits.kex, &mut connecting).await {
                Ok(done) => done,
                Err(_) => return Err(Fault::at(Phase::Kex, format!("it did not end within {:?}", limits.kex))
                    .hint("the server greeted and then stalled; look at its load and its log")),
            }
        }
        () = sleep(limits.banner) => return Err(silent(greeting, limits.banner)),
    };
    done.map_err(|stopped| match stopped {
        Stopped::Fault(fault) => fault,
        Stopped::Russh(error) if greeting.identification().is_none() => no_greeting(greeting, &error),
        Stopped::Russh(error @ russh::Error::NoCommonAlgo { .. }) => Fault::at(Phase::Kex, error.to_string())
            .hint("the server is too old or set up too narrowly; enable one of ours on it"),
        Stopped::Russh(error) => Fault::at(Phase::Kex, error.to_string()).hint(format!(
            "the server, {}, greeted and then broke off; look at its log",
            greeting.identification().unwrap_or_default()
        )),
    })
}

fn silent(greeting: &Greeting, limit: Duration) -> Fault {
    let instead = greeting.instead();
    if instead.is_empty() {
        Fault::at(Phase::Banner, format!("the server said nothing within {limit:?}")).hint(
            "something accepts connections there, but is it sshd? Or has it no room for more logins (MaxStartups)?",
        )
    } else {
        no_greeting(greeting, &russh::Error::Version)
    }
}

fn no_greeting(greeting: &Greeting, error: &russh::Error) -> Fault {
    let instead = greeting.instead();
    if instead.is_empty() {
        Fault::at(Phase::Banner, format!("the server closed the connection without a greeting ({error})"))
            .hint("it may have no room for more logins (MaxStartups), or deny this machine")
    } else {
        let shown: String = instead.chars().filter(|c| !c.is_control()).collect();
        Fault::at(Phase::Banner, format!("what answers is no SSH server: it said `{shown}`")).hint("is the port right?")
    }
}
