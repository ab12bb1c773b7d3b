//! A host over SSH made in code, without a lab.

use std::path::PathBuf;

use super::Host;
use super::draft::Draft;
use crate::lab::{HostKeyCheck, HostSpec, Secret};

/// A host over SSH in the making: what [`Host::ssh`] gives.
///
/// ```
/// let host = otto::Host::ssh("10.0.0.1").port(2222).user("admin").password("pw").build();
/// assert_eq!(host.id(), "10.0.0.1");
/// assert!(!format!("{host:?}").contains("pw"));
/// ```
#[derive(Debug, Clone)]
#[must_use = "`build` makes the host"]
pub struct SshHost(Draft);

impl SshHost {
    pub(super) fn new(address: String) -> Self {
        Self(Draft::new(HostSpec::ssh(address.clone(), address)))
    }

    /// What errors, logs and results call it; else its address.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.0.spec.id = id.into();
        self
    }

    /// The port of its SSH server, 22 unless said.
    pub fn port(mut self, port: u16) -> Self {
        self.0.spec.port = Some(port);
        self
    }

    /// Who to log in as; else the user of this process.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.0.spec.user = Some(user.into());
        self
    }

    /// The password, tried after the key file if both are given. With neither, the agent and the user's usual keys are
    /// tried.
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.0.cred.password = Some(password.into());
        self
    }

    /// The file of a private key.
    pub fn key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.0.cred.key_file = Some(path.into());
        self
    }

    /// The passphrase of the private key.
    pub fn passphrase(mut self, passphrase: impl Into<Secret>) -> Self {
        self.0.cred.passphrase = Some(passphrase.into());
        self
    }

    /// The one host key that it may have, as `ssh-ed25519 AAAA…` or `SHA256:…`.
    pub fn host_key(mut self, key: impl Into<String>) -> Self {
        self.0.spec.host_key = Some(key.into());
        self
    }

    /// A file of known host keys that is asked before the user's own.
    pub fn known_hosts(mut self, path: impl Into<PathBuf>) -> Self {
        self.0.spec.known_hosts = Some(path.into());
        self
    }

    /// Any host key is taken: whoever is in between can read and change everything.
    pub fn insecure(mut self) -> Self {
        self.0.spec.host_key_check = HostKeyCheck::Insecure;
        self
    }

    /// The host over SSH that it is reached over: the address is then one that this host can reach. Its connection is shared by
    /// all that are reached over it.
    pub fn hop(mut self, hop: &Host) -> Self {
        self.0.hop = Some(hop.clone());
        self
    }

    /// The host. Nothing is contacted before first use, and what is wrong with these words is reported then.
    #[must_use]
    pub fn build(self) -> Host {
        self.0.build(|| crate::os_user::os_user().unwrap_or_default())
    }
}
