//! [`HostSpec`]: what a lab says about one host.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::diagnose::Place;
use super::extra::Extra;
use super::file::Word;
use super::identity::{address_fault, login_fault, name_fault};
use super::secret::Secret;
use super::serial::SerialOptions;
use super::telnet::TelnetOptions;

/// How a host is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Term {
    /// Over SSH.
    #[default]
    Ssh,
    /// Over telnet.
    Telnet,
    /// Over a serial line.
    Serial,
    /// It is this machine.
    Local,
    /// On a console behind a terminal server, as otto-sh's `console_options` say: kept, and refused on first use.
    Console,
}

impl Term {
    pub(crate) const NAMES: [&'static str; 5] = ["ssh", "telnet", "serial", "local", "console"];

    /// As lab files write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Ssh, Self::Telnet, Self::Serial, Self::Local, Self::Console]
            .into_iter()
            .find(|term| term.as_str() == name)
    }

    /// The port of its protocol, if it has ports.
    #[must_use]
    pub fn default_port(self) -> Option<u16> {
        match self {
            Self::Ssh => Some(22),
            Self::Telnet => Some(23),
            Self::Serial | Self::Local | Self::Console => None,
        }
    }
}

impl Word for Term {
    const WORDS: &'static [&'static str] = &Self::NAMES;

    fn of(word: &str) -> Option<Self> {
        Self::parse(word)
    }
}

/// What is done about a host key that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum HostKeyCheck {
    /// Refused.
    #[default]
    Strict,
    /// Accepted, and written to the host's `known_hosts`; a key that changed is refused.
    AcceptNew,
    /// Accepted, as is any key: whoever is in between can read and change everything. Every report shows it.
    Insecure,
}

impl HostKeyCheck {
    pub(crate) const NAMES: [&'static str; 3] = ["strict", "accept-new", "insecure"];

    /// As lab files write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Strict, Self::AcceptNew, Self::Insecure].into_iter().find(|check| check.as_str() == name)
    }
}

impl Word for HostKeyCheck {
    const WORDS: &'static [&'static str] = &Self::NAMES;

    fn of(word: &str) -> Option<Self> {
        Self::parse(word)
    }
}

/// A login, and what proves it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Cred {
    /// The user's name there.
    pub login: String,
    /// The password.
    pub password: Option<Secret>,
    /// The file of a private key.
    pub key_file: Option<PathBuf>,
    /// The passphrase of `key_file`.
    pub passphrase: Option<Secret>,
    /// What otto-sh's files may say beyond this (`proxy`, `via`, `params`, `protocols`): kept, not used.
    pub extra: Extra,
}

impl Cred {
    /// A login without a proof: what an agent holds will have to do.
    pub fn new(login: impl Into<String>) -> Self {
        Self { login: login.into(), ..Self::default() }
    }

    /// With a password.
    #[must_use]
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// With the file of a private key.
    #[must_use]
    pub fn key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.key_file = Some(path.into());
        self
    }

    /// With the passphrase of the private key.
    #[must_use]
    pub fn passphrase(mut self, passphrase: impl Into<Secret>) -> Self {
        self.passphrase = Some(passphrase.into());
        self
    }
}

/// What a host says about its SSH connection beyond address, port and keys.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct SshOptions {
    /// The limit for connecting.
    pub connect_timeout: Option<Duration>,
    /// How long the connection may be silent before the peer is asked whether it lives.
    pub keepalive_interval: Option<Duration>,
    /// How many such questions may stay unanswered.
    pub keepalive_count_max: Option<u32>,
    /// Files of private keys, for any login.
    pub client_keys: Vec<PathBuf>,
    /// All else that the table says: kept, not used.
    pub extra: Extra,
}

/// One host of a lab: plain data, with all fields public.
///
/// ```
/// use otto::lab::{HostSpec, Term};
/// let host = HostSpec::ssh("router1", "10.0.0.1").port(2222).user("admin").password("pw").resource("rack3").tag("smoke");
/// assert_eq!((host.term, host.port), (Term::Ssh, Some(2222)));
/// assert_eq!(host.login(), Some("admin"));
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct HostSpec {
    /// Its name in tests, unique in the lab.
    pub id: String,
    /// Its name for people.
    pub name: Option<String>,
    /// Its address or DNS name.
    pub ip: Option<String>,
    /// The port of the protocol that `term` names, if not the usual one.
    pub port: Option<u16>,
    /// How it is reached.
    pub term: Term,
    /// Who to log in as; see [`login`](Self::login).
    pub user: Option<String>,
    /// Logins there, in order of preference.
    pub creds: Vec<Cred>,
    /// The one host key it may have, as `ssh-ed25519 AAAA…` or `SHA256:…`.
    pub host_key: Option<String>,
    /// What is done about a host key that is not known.
    pub host_key_check: HostKeyCheck,
    /// A file of known host keys that is asked before the user's own.
    pub known_hosts: Option<PathBuf>,
    /// The id of the host that it is reached through.
    pub hop: Option<String>,
    /// What the user has to have reserved to use it.
    pub resources: Vec<String>,
    /// Words to select it by.
    pub tags: Vec<String>,
    /// The labs it is in.
    pub labs: Vec<String>,
    /// More about its SSH connection.
    pub ssh_options: SshOptions,
    /// More about its telnet connection, and about its login.
    pub telnet_options: TelnetOptions,
    /// Its serial line.
    pub serial_options: SerialOptions,
    /// What the lab file says beyond this, by otto-sh's names for it: kept, not used.
    pub extra: Extra,
    /// Where it is described.
    pub(crate) place: Option<Place>,
    /// Where each of its fields is said, those of tables as `ssh_options.port`.
    pub(crate) origins: Vec<(Box<str>, Place)>,
}

impl HostSpec {
    fn new(id: impl Into<String>, term: Term) -> Self {
        Self { id: id.into(), term, ..Self::default() }
    }

    /// A host that is reached over SSH.
    pub fn ssh(id: impl Into<String>, ip: impl Into<String>) -> Self {
        Self { ip: Some(ip.into()), ..Self::new(id, Term::Ssh) }
    }

    /// A host that is reached over telnet.
    pub fn telnet(id: impl Into<String>, ip: impl Into<String>) -> Self {
        Self { ip: Some(ip.into()), ..Self::new(id, Term::Telnet) }
    }

    /// A host whose console is at a serial line of this machine.
    ///
    /// ```
    /// use otto::lab::{HostSpec, Term};
    /// let mut host = HostSpec::serial("board1", "/dev/ttyUSB0").user("root").password("pw");
    /// host.serial_options.baud = Some(9600);
    /// assert_eq!(host.term, Term::Serial);
    /// ```
    pub fn serial(id: impl Into<String>, device: impl Into<PathBuf>) -> Self {
        let serial_options = SerialOptions { device: Some(device.into()), ..SerialOptions::default() };
        Self { serial_options, ..Self::new(id, Term::Serial) }
    }

    /// This machine.
    pub fn local(id: impl Into<String>) -> Self {
        Self::new(id, Term::Local)
    }

    /// With a port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// With who to log in as.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// With one more login.
    #[must_use]
    pub fn cred(mut self, cred: Cred) -> Self {
        self.creds.push(cred);
        self
    }

    /// With a password for the user that was named before, or for the last login.
    #[must_use]
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.last_cred().password = Some(password.into());
        self
    }

    /// With a private key for the user that was named before, or for the last login.
    #[must_use]
    pub fn key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.last_cred().key_file = Some(path.into());
        self
    }

    fn last_cred(&mut self) -> &mut Cred {
        let login = self.user.clone().or_else(|| self.creds.last().map(|cred| cred.login.clone())).unwrap_or_default();
        let index = self.creds.iter().rposition(|cred| cred.login == login).unwrap_or_else(|| {
            self.creds.push(Cred::new(login));
            self.creds.len() - 1
        });
        &mut self.creds[index]
    }

    /// With the one host key it may have.
    #[must_use]
    pub fn host_key(mut self, key: impl Into<String>) -> Self {
        self.host_key = Some(key.into());
        self
    }

    /// With what is done about a host key that is not known.
    #[must_use]
    pub fn host_key_check(mut self, check: HostKeyCheck) -> Self {
        self.host_key_check = check;
        self
    }

    /// With a file of known host keys.
    #[must_use]
    pub fn known_hosts(mut self, path: impl AsRef<Path>) -> Self {
        self.known_hosts = Some(path.as_ref().to_owned());
        self
    }

    /// Reached through the host with that id.
    #[must_use]
    pub fn hop(mut self, id: impl Into<String>) -> Self {
        self.hop = Some(id.into());
        self
    }

    /// With one more resource to have reserved.
    #[must_use]
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resources.push(resource.into());
        self
    }

    /// With one more tag.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Who to log in as: `user`, else the first of `creds`.
    #[must_use]
    pub fn login(&self) -> Option<&str> {
        self.user.as_deref().or_else(|| self.creds.first().map(|cred| &*cred.login))
    }

    /// What proves [`login`](Self::login), if the lab says.
    pub fn login_creds(&self) -> impl Iterator<Item = &Cred> {
        self.creds.iter().filter(|cred| Some(&*cred.login) == self.login())
    }

    /// Where it is described (`file:line:column`), if in a file.
    #[must_use]
    pub fn origin(&self) -> Option<String> {
        self.place.as_ref().map(ToString::to_string)
    }

    /// Where that field is said (`file:line:column`): with the host, in the file's `[defaults]`, in an OS profile, or in another
    /// description of the same host. A field of a table is named as `ssh_options.port`. Lists that were united have several.
    ///
    /// ```
    /// let lab = otto::Lab::from_toml("\
    /// lab = 'bench'
    /// defaults = { port = 2222 }
    /// [[hosts]]
    /// id = 'router1'
    /// ip = '10.0.0.1'
    /// ")?;
    /// let host = lab.host("router1").unwrap();
    /// assert_eq!(host.port, Some(2222));
    /// assert_eq!(host.origins_of("port").collect::<Vec<_>>(), ["<toml>:2:21"]);
    /// assert_eq!(host.origins_of("ip").collect::<Vec<_>>(), ["<toml>:5:6"]);
    /// assert_eq!(host.origins_of("user").count(), 0);
    /// # Ok::<(), otto::Error>(())
    /// ```
    pub fn origins_of(&self, field: &str) -> impl Iterator<Item = String> {
        self.origins_at(field).map(ToString::to_string)
    }

    /// Those of its secrets that otto keeps as data and does not use.
    pub(crate) fn kept_secrets(&self) -> impl Iterator<Item = Secret> {
        let logins = self.creds.iter().map(|cred| &cred.extra);
        let options = [&self.extra, &self.ssh_options.extra, &self.telnet_options.extra];
        options.into_iter().chain(logins).flat_map(Extra::secrets)
    }

    pub(crate) fn origins_at(&self, field: &str) -> impl Iterator<Item = &Place> {
        self.origins.iter().filter(move |(name, _)| **name == *field).map(|(_, place)| place)
    }

    /// What is wrong with it by itself: names and addresses that no host can have.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |what: &str, value: &str, fault: Option<&str>| {
            faults.extend(fault.map(|fault| format!("the {what} {value:?} {fault}")));
        };
        check("id", &self.id, name_fault(&self.id));
        if let Some(ip) = &self.ip {
            check("address", ip, address_fault(ip));
        }
        for login in self.user.iter().chain(self.creds.iter().map(|cred| &cred.login)) {
            check("login", login, login_fault(login));
        }
        if self.ip.is_none() && matches!(self.term, Term::Ssh | Term::Telnet) {
            faults.push(format!("host `{}` has no `ip`, and {} needs one", self.id, self.term.as_str()));
        }
        if self.term == Term::Serial && self.serial_options.device.is_none() {
            faults.push(format!("host `{}` has no `device` in its `serial_options`, and serial needs one", self.id));
        }
        faults.extend(self.serial_options.faults());
        faults.extend(self.telnet_options.login.faults());
        if self.port == Some(0) {
            faults.push(format!("host `{}` has port 0", self.id));
        }
        faults
    }
}
