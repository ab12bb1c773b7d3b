//! One host: its sessions, its oneshots, and how they end. See `docs/design/host.md`.

mod connect;
mod draft;
mod quote;
mod serial;
mod ssh;
mod telnet;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

pub use quote::sh_quote;
pub use serial::SerialHost;
pub use ssh::SshHost;
pub use telnet::TelnetHost;

use crate::command::{IntoCommands, IntoLimit, LogMode, ShellCommand};
use crate::error::{Error, ErrorKind, Result};
use crate::lab::{HostSpec, Term};
use crate::redact::Redactor;
use crate::session::{Audience, Dirt, ExpectRun, HostSession, OneshotRun, Pattern, Run, SessionManager};
use crate::transport::{BoxFuture, Connector};

/// A machine that commands run on: one of a lab, this one, or one made by hand.
///
/// Cheap to clone: clones share sessions and connection. It connects on first use. One from a context is closed with the
/// context; one made by hand is yours to [`close`](Self::close), and dropping the last handle closes it in the background.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> otto::Result<()> {
/// let host = otto::Host::local();
/// host.run("cd /tmp").await?.ok()?;
/// assert_eq!(host.run("pwd").await?.only()?.output, "/tmp");
/// host.close().await
/// # }
/// ```
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    id: String,
    term: Option<Term>,
    address: Option<String>,
    hop: Option<String>,
    sessions: SessionManager,
}

impl Host {
    /// This machine.
    #[must_use]
    pub fn local() -> Self {
        Self::from_spec(&HostSpec::local(LOCAL))
    }

    /// A host over SSH, by address or name.
    pub fn ssh(address: impl Into<String>) -> SshHost {
        SshHost::new(address.into())
    }

    /// A host over telnet, by address or name.
    pub fn telnet(address: impl Into<String>) -> TelnetHost {
        TelnetHost::new(address.into())
    }

    /// A host whose console is at a serial line of this machine.
    pub fn serial(device: impl Into<PathBuf>) -> SerialHost {
        SerialHost::new(device.into())
    }

    /// A host over a connector of your own.
    #[must_use]
    pub fn over(id: impl Into<String>, connector: Arc<dyn Connector>) -> Self {
        let id = id.into();
        let sessions = SessionManager::new(id.clone(), connector);
        Self(Arc::new(Inner { id, term: None, address: None, hop: None, sessions }))
    }

    /// A host as a lab describes it. A hop is given to it by the context, not by this.
    #[must_use]
    pub fn from_spec(spec: &HostSpec) -> Self {
        Self::with(spec, Audience::default(), &Redactor::of_hosts([spec]), false)
    }

    pub(crate) fn with(spec: &HostSpec, audience: Audience, redactor: &Redactor, dry_run: bool) -> Self {
        let connector = connect::connector(spec);
        let sessions = SessionManager::with(spec.id.clone(), connector, audience, redactor.clone(), dry_run);
        let address = match &spec.serial_options.device {
            Some(device) if spec.term == Term::Serial => Some(device.display().to_string()),
            _ => spec.ip.as_ref().map(|ip| spec.port.map_or(ip.clone(), |port| format!("{ip}:{port}"))),
        };
        Self(Arc::new(Inner { id: spec.id.clone(), term: Some(spec.term), address, hop: spec.hop.clone(), sessions }))
    }

    /// Its id in the lab.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Runs commands in the host's default session, one after the other; directory, variables and functions stay from
    /// call to call. See [`Run`].
    pub fn run<'a>(&self, commands: impl IntoCommands) -> Run<'a> {
        self.0.sessions.run_cmd(commands)
    }

    /// Runs one command in a process of its own, beside whatever else runs. See [`OneshotRun`].
    pub fn oneshot<'a>(&self, command: impl Into<ShellCommand>) -> OneshotRun<'a> {
        self.0.sessions.oneshot(command)
    }

    /// Runs a program with these arguments in the default session. Each is quoted, so that no shell reads anything into
    /// it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> otto::Result<()> {
    /// let host = otto::Host::local();
    /// let result = host.exec_argv(["printf", "%s|", "two words", "$HOME", "it's"]).await?;
    /// assert_eq!(result.only()?.output, "two words|$HOME|it's|");
    /// # host.close().await
    /// # }
    /// ```
    pub fn exec_argv<'a>(&self, argv: impl IntoIterator<Item = impl AsRef<str>>) -> Run<'a> {
        let mut words = Vec::new();
        let mut refused = None;
        for word in argv {
            if word.as_ref().contains('\0') {
                refused = Some("an argument has a NUL in it, which no program can be given");
            }
            words.push(sh_quote(word.as_ref()).into_owned());
        }
        if words.is_empty() {
            refused = Some("no program was named");
        }
        match refused {
            Some(why) => self.run(Vec::<String>::new()).refuse(Error::new(ErrorKind::Invalid, why)),
            None => self.run(words.join(" ")),
        }
    }

    /// The session of that name, live: a shell beside the default one, with a state of its own. From however many tasks,
    /// one name is one session.
    ///
    /// # Errors
    /// If the host cannot be reached, or its shell does not start.
    pub fn open_session(&self, name: impl Into<String>) -> BoxFuture<'static, Result<HostSession>> {
        self.0.sessions.open_session(name)
    }

    /// Text for the terminal of the default session, as if typed: `"\n"` is the Enter key. What is sent is never logged.
    ///
    /// # Errors
    /// If the host cannot be reached, or the session's shell ended.
    pub fn send(&self, text: impl AsRef<[u8]>) -> BoxFuture<'static, Result<()>> {
        self.0.sessions.send(text)
    }

    /// Waits for a pattern in what the default session's terminal shows. See [`ExpectRun`].
    pub fn expect(&self, pattern: impl Into<Pattern>) -> ExpectRun {
        self.0.sessions.expect(pattern)
    }

    /// Ends its sessions, what runs in them, and its connection. The next use connects again; named sessions stay closed.
    /// Closing twice, or from several tasks, does no harm; what is under way ends with an error of kind
    /// [`ErrorKind::Closed`].
    ///
    /// # Errors
    /// If not all was gone after 5 s; it is then dropped, and ends in the background.
    #[must_use = "nothing is closed until it is awaited"]
    pub fn close(&self) -> BoxFuture<'static, Result<()>> {
        self.0.sessions.close_all()
    }

    /// The limit of `run` and `expect` when a call sets none, for all handles of this host; 10 s at first.
    ///
    /// # Errors
    /// If it is no limit: zero, negative, not a number.
    pub fn set_timeout(&self, limit: impl IntoLimit) -> Result<()> {
        self.0.sessions.set_limit(limit)
    }

    /// How much is logged when a call says nothing of it, for all handles of this host.
    pub fn set_log(&self, mode: LogMode) {
        self.0.sessions.set_log(mode);
    }

    /// Whether any of its sessions has a live shell.
    #[must_use]
    pub fn has_live_sessions(&self) -> bool {
        self.0.sessions.has_live_sessions()
    }

    /// Whether something may still run there that was to be stopped: a command at its limit, cancelled, or whose connection was
    /// lost, that could not be shown to have ended. It stays dirty until [`clear_dirt`](Self::clear_dirt): a new shell
    /// that answers is no proof.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> otto::Result<()> {
    /// let host = otto::Host::local();
    /// let status = host.run("trap '' INT; sleep 60").timeout("200ms").await?.only()?;
    /// // It was killed, and seen to be gone.
    /// assert!(status.timed_out && !status.left_running() && !host.is_dirty());
    /// # host.close().await
    /// # }
    /// ```
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.0.sessions.ledger().is_dirty()
    }

    /// What makes it [dirty](Self::is_dirty), oldest first.
    #[must_use]
    pub fn dirt(&self) -> Vec<Dirt> {
        self.0.sessions.ledger().list()
    }

    /// Declares it clean, because you made sure of it or started it anew.
    pub fn clear_dirt(&self) {
        self.0.sessions.ledger().clear();
    }

    /// Its sessions, as the session layer has them.
    #[must_use]
    pub fn sessions(&self) -> &SessionManager {
        &self.0.sessions
    }

    /// As [`close`](Self::close), for good: its context is gone.
    pub(crate) fn retire(&self) -> BoxFuture<'static, Result<()>> {
        self.0.sessions.retire("the context of this host was closed")
    }

    /// The id of the host that it is reached through.
    pub(crate) fn hop(&self) -> Option<&str> {
        self.0.hop.as_deref()
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The id of the built-in host that is this machine.
pub(crate) const LOCAL: &str = "local";

impl From<&Host> for Host {
    fn from(host: &Host) -> Self {
        host.clone()
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Host");
        shown.field("id", &self.0.id);
        if let Some(term) = self.0.term {
            shown.field("term", &term);
        }
        if let Some(address) = &self.0.address {
            shown.field("address", address);
        }
        shown.finish_non_exhaustive()
    }
}
