//! The simulated lab: SSH hosts inside this process, with real shells behind them.
//!
//! It is what `lab = "sim"` means, what otto's examples run on, and a means to test a suite of your own without hardware:
//! [`SimLab`] makes labs, [`SimHost`] describes their hosts, [`Fault`] what is wrong with them. Commands run as you, on
//! your machine: it simulates the network, not the isolation. How it works, and how far it is like OpenSSH, is on
//! [a page of its own](https://github.com/otto-harness/otto/blob/main/docs/design/sim.md).

mod command;
mod connection;
mod fault;
mod inbox;
mod keys;
mod lab;
mod processes;
mod pty;
mod server;
mod stream;
mod system;

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use russh::keys::ssh_key::LineEnding;
use tokio::sync::{oneshot, watch};

pub use self::fault::Fault;
pub(crate) use self::lab::HOSTS;
pub use self::lab::builtin_lab;

use self::fault::Faults;
use self::processes::Folder;
use self::server::{Account, Busy, Credentials, Host};
use self::stream::Gate;
use crate::error::{Error, ErrorKind, Result};

/// The description of a simulated host: how one logs in to it and what is wrong with it.
///
/// A name alone is one too: a host that is logged in to by key, with nothing wrong.
#[derive(Debug, Clone)]
pub struct SimHost {
    id: String,
    user: String,
    by_password: bool,
    shell: Option<PathBuf>,
    hop: Option<String>,
    max_sessions: usize,
    faults: Vec<Fault>,
}

impl SimHost {
    /// A host with this id in the lab.
    pub fn new(id: impl Into<String>) -> Self {
        let (id, user) = (id.into(), "otto".to_owned());
        Self { id, user, by_password: false, shell: None, hop: None, max_sessions: 10, faults: Vec::new() }
    }

    /// With this user instead of `otto`. It is only a name: commands run as whoever runs the lab.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = user.into();
        self
    }

    /// With a password instead of a key.
    #[must_use]
    pub fn password(mut self) -> Self {
        self.by_password = true;
        self
    }

    /// With this as the account's shell, instead of bash or, where that is missing, `/bin/sh`.
    #[must_use]
    pub fn shell(mut self, shell: impl Into<PathBuf>) -> Self {
        self.shell = Some(shell.into());
        self
    }

    /// Reached over the host of that id in the same lab, as a host behind a bastion is.
    #[must_use]
    pub fn hop(mut self, id: impl Into<String>) -> Self {
        self.hop = Some(id.into());
        self
    }

    /// With room for this many session channels on a connection instead of 10; more are refused, as sshd does.
    #[must_use]
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = sessions;
        self
    }

    /// With this fault, besides those it has.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }
}

impl From<&str> for SimHost {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

/// Describes a [`SimLab`].
#[derive(Debug, Clone, Default)]
pub struct SimLabBuilder {
    hosts: Vec<SimHost>,
}

impl SimLabBuilder {
    /// With this host, after those it has.
    #[must_use]
    pub fn host(mut self, host: impl Into<SimHost>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// Starts the hosts; they accept connections when this returns.
    ///
    /// # Errors
    ///
    /// When two hosts have one id, or the system refuses a port, a folder or a thread.
    pub fn start(self) -> Result<SimLab> {
        SimLab::start(self.hosts)
    }
}

/// A host of a [`SimLab`] that runs.
pub struct RunningHost {
    id: String,
    user: String,
    port: u16,
    host_key: String,
    password: Option<String>,
    key_file: Option<PathBuf>,
    home: PathBuf,
    hop: Option<String>,
    faults: watch::Sender<Faults>,
    gate: watch::Sender<Gate>,
}

impl RunningHost {
    /// Its id in the lab.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Who may log in.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The public host key that the lab names, as in `known_hosts`: type and base64.
    #[must_use]
    pub fn host_key(&self) -> &str {
        &self.host_key
    }

    /// The password, of a host that is logged in to by one.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The file of the private key, of a host that is logged in to by one.
    #[must_use]
    pub fn key_file(&self) -> Option<&Path> {
        self.key_file.as_deref()
    }

    /// The home folder, which goes with the lab.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Has these faults, and no others, from the next connection on.
    pub fn set_faults(&self, faults: &[Fault]) {
        self.faults.send_replace(Faults::of(faults));
    }

    /// Stops reading and writing on all connections, as a machine does that hangs. They stay open.
    pub fn freeze(&self) {
        self.gate.send_modify(|gate| gate.frozen = true);
    }

    /// Goes on after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        self.gate.send_modify(|gate| gate.frozen = false);
    }

    /// Cuts all connections, as a machine does that reboots. New ones are served.
    pub fn drop_connections(&self) {
        self.gate.send_modify(|gate| gate.epoch += 1);
    }
}

impl fmt::Debug for RunningHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningHost").field("id", &self.id).field("port", &self.port).finish_non_exhaustive()
    }
}

/// SSH hosts inside this process, on ports of 127.0.0.1, for as long as this value lives.
///
/// Dropping it closes the connections and ends all that was started on its hosts.
///
/// ```
/// use otto::sim::{SimHost, SimLab};
///
/// let lab = SimLab::builder().host("server").host(SimHost::new("router").password()).start()?;
/// assert!(lab.host("router").unwrap().password().is_some());
/// assert!(lab.host("server").unwrap().key_file().unwrap().exists());
/// # Ok::<(), otto::Error>(())
/// ```
#[derive(Debug)]
pub struct SimLab {
    hosts: Vec<RunningHost>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Goes last, when nobody can use it any more.
    _folder: Folder,
}

impl SimLab {
    /// A lab without hosts, to add some.
    #[must_use]
    pub fn builder() -> SimLabBuilder {
        SimLabBuilder::default()
    }

    /// The hosts, in the order they were added.
    #[must_use]
    pub fn hosts(&self) -> &[RunningHost] {
        &self.hosts
    }

    /// The host with this id.
    #[must_use]
    pub fn host(&self, id: &str) -> Option<&RunningHost> {
        self.hosts.iter().find(|host| host.id == id)
    }

    fn start(descriptions: Vec<SimHost>) -> Result<Self> {
        static LABS: AtomicU64 = AtomicU64::new(0);
        for (at, host) in descriptions.iter().enumerate() {
            if descriptions[..at].iter().any(|other| other.id == host.id) {
                let message = format!("two simulated hosts have the id `{}`", host.id);
                return Err(Error::new(ErrorKind::Invalid, message).hint("Give each host an id of its own."));
            }
        }
        // With full stops, so that no mark is the beginning of another.
        let mark = format!("{}.{}.", processes::process_mark()?, LABS.fetch_add(1, Ordering::Relaxed));
        let folder = Folder::new()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| refused("a runtime", error))?;
        let busy = Busy::default();
        let mut hosts = Vec::new();
        let mut servers = Vec::new();
        for (number, description) in descriptions.into_iter().enumerate() {
            // The id may be no file name.
            let home = folder.path().join(number.to_string());
            let entered = runtime.enter();
            let socket = server::bind(0).map_err(|error| refused("a port", error))?;
            drop(entered);
            let port = socket.local_addr().map_err(|error| refused("a port", error))?.port();
            let (running, host) = prepare(description, home, port, &mark)?;
            let (faults, gate) = (running.faults.subscribe(), running.gate.subscribe());
            servers.push((Arc::new(host), socket, faults, gate));
            hosts.push(running);
        }
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = std::sync::mpsc::channel();
        let serve = async move {
            for (host, socket, faults, gate) in servers {
                let busy = busy.clone();
                tokio::spawn(async move {
                    let id = host.account.id.clone();
                    if let Err(error) = server::serve(host, socket, faults, gate, busy).await {
                        tracing::error!(host = id, %error, "the simulated host cannot listen");
                    }
                });
            }
            tokio::task::yield_now().await;
            // Whoever starts the lab waits for this; if not, nobody needs it.
            let _ = ready.send(());
            let _ = stopped.await;
            // The gates are closed by now: connections end, and with them their channels.
            busy.ended(Duration::from_millis(20)).await;
            processes::kill_all(&mark);
            busy.ended(Duration::from_secs(2)).await;
        };
        let thread = std::thread::Builder::new()
            .name("otto-sim".into())
            .spawn(move || runtime.block_on(serve))
            .map_err(|error| refused("a thread", error))?;
        let lab = Self { hosts, stop: Some(stop), thread: Some(thread), _folder: folder };
        started.recv().map_err(|error| refused("a thread", error))?;
        Ok(lab)
    }
}

impl Drop for SimLab {
    fn drop(&mut self) {
        self.hosts.clear();
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // If it panicked, there is nothing left to wait for.
            let _ = thread.join();
        }
    }
}

fn refused(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Io, format!("the system refuses {what} for the simulated lab")).caused_by(error)
}

/// Makes the keys and the home of a host.
fn prepare(description: SimHost, home: PathBuf, port: u16, mark: &str) -> Result<(RunningHost, Host)> {
    let SimHost { id, user, by_password, shell, hop, max_sessions, faults } = description;
    fs::create_dir(&home).map_err(|error| refused("a folder", error))?;
    let (mut password, mut key_file) = (None, None);
    let credentials = if by_password {
        let secret = keys::password()?;
        password = Some(secret.clone());
        Credentials::Password(secret)
    } else {
        let key = keys::ed25519()?;
        let path = home.with_extension("key");
        write_key(&path, &key)?;
        key_file = Some(path);
        Credentials::Key(key.public_key().clone())
    };
    let host_key = keys::ed25519()?;
    let public = host_key.public_key().to_openssh().map_err(|error| refused("a key", error))?;
    let bash = Path::new("/bin/bash");
    let shell = shell.unwrap_or_else(|| if bash.exists() { bash.into() } else { "/bin/sh".into() });
    let running = RunningHost {
        id: id.clone(),
        user: user.clone(),
        port,
        host_key: public,
        password,
        key_file,
        home: home.clone(),
        hop,
        faults: watch::Sender::new(Faults::of(&faults)),
        gate: watch::Sender::new(Gate::default()),
    };
    let host = Host {
        mark: format!("{mark}{port}."),
        account: Account { id, user, home, shell },
        credentials,
        key: host_key,
        other_key: keys::ed25519()?,
        max_sessions,
        connections: AtomicU64::new(0),
    };
    Ok((running, host))
}

fn write_key(path: &Path, key: &russh::keys::PrivateKey) -> Result<()> {
    let text = key.to_openssh(LineEnding::LF).map_err(|error| refused("a key", error))?;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| refused("a key file", error))?;
    file.write_all(text.as_bytes()).map_err(|error| refused("a key file", error))
}
