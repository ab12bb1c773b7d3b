//! Making a connection, phase by phase, each with its own limit and its own error.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Handle};
use russh::{Preferred, SshId, cipher, kex};
use tokio::time::{sleep, timeout};

use crate::error::Phase;
use crate::transport::Route;
use crate::transport::fault::Fault;
use crate::transport::tcp;

use super::auth::authenticate;
use super::connection::Connection;
use super::host_key::HostKeys;
use super::target::SshTarget;
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
    let wire = wire(target).await?;

    let config = Arc::new(config(target, &host_keys));
    let table = Arc::new(Table::default());
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

/// The stream to the server's port.
async fn wire(target: &SshTarget) -> Result<Wire, Fault> {
    let SshTarget { address, port, limits, progress, .. } = target;
    if let Route::Over(hop) = &target.route {
        progress.reached(Phase::Tcp);
        return Ok(Wire::over(hop.open((address, *port), limits.tcp).await?));
    }
    progress.reached(Phase::Resolve);
    let addresses = tcp::resolve(address, *port, limits.resolve).await?;
    progress.reached(Phase::Tcp);
    let socket = tcp::connect((address, *port), &addresses, limits.tcp, "sshd").await?;
    // russh's keepalive does not run while it waits to write, so the kernel watches over that.
    tcp::tune(&socket, target.keepalive);
    Ok(Wire::new(socket))
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
