//! A host over telnet made in code, without a lab.

use std::time::Duration;

use super::Host;
use super::draft::Draft;
use crate::lab::{HostSpec, Secret};

/// A host over telnet in the making: what [`Host::telnet`] gives.
///
/// Whatever telnet carries, the password too, can be read and changed by whoever is in between.
///
/// ```
/// let host = otto::Host::telnet("10.0.0.3").port(2323).user("admin").password("secret").login_prompt("Name: ").build();
/// assert_eq!(host.id(), "10.0.0.3");
/// assert!(!format!("{host:?}").contains("secret"));
/// ```
#[derive(Debug, Clone)]
#[must_use = "`build` makes the host"]
pub struct TelnetHost(Draft);

impl TelnetHost {
    pub(super) fn new(address: String) -> Self {
        Self(Draft::new(HostSpec::telnet(address.clone(), address)))
    }

    /// What errors, logs and results call it; else its address.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.0.spec.id = id.into();
        self
    }

    /// The port of its telnet server, 23 unless said.
    pub fn port(mut self, port: u16) -> Self {
        self.0.spec.port = Some(port);
        self
    }

    /// Who to log in as.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.0.spec.user = Some(user.into());
        self
    }

    /// The password.
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.0.cred.password = Some(password.into());
        self
    }

    /// The question for the user's name, as a regular expression, if it is not one that most hosts ask.
    pub fn login_prompt(mut self, pattern: impl Into<String>) -> Self {
        self.0.spec.telnet_options.login.login_prompt = Some(pattern.into());
        self
    }

    /// The question for the password, as a regular expression, if it is not one that most hosts ask.
    pub fn password_prompt(mut self, pattern: impl Into<String>) -> Self {
        self.0.spec.telnet_options.login.password_prompt = Some(pattern.into());
        self
    }

    /// The prompt of its shell, as a regular expression. A shell with a prompt of an unknown look is found too, but later.
    pub fn shell_prompt(mut self, pattern: impl Into<String>) -> Self {
        self.0.spec.telnet_options.login.shell_prompt = Some(pattern.into());
        self
    }

    /// The limit for the login, from the connection to the shell.
    pub fn login_timeout(mut self, limit: Duration) -> Self {
        self.0.spec.telnet_options.login.login_timeout = Some(limit);
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
        // A password alone is for a host that asks for nothing else.
        self.0.build(String::new)
    }
}
