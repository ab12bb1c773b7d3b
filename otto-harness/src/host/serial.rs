//! A host over a serial line made in code, without a lab.

use std::path::PathBuf;
use std::time::Duration;

use super::Host;
use crate::lab::{Cred, Flow, HostSpec, Parity, Secret};

/// A host over a serial line in the making: what [`Host::serial`] gives. 115200 8N1 without flow control unless said.
///
/// ```
/// let host = otto::Host::serial("/dev/ttyUSB0").baud(9600).user("root").password("pw").id("board1").build();
/// assert_eq!(host.id(), "board1");
/// assert!(!format!("{host:?}").contains("pw"));
/// ```
#[derive(Debug, Clone)]
#[must_use = "`build` makes the host"]
pub struct SerialHost {
    spec: HostSpec,
    password: Option<Secret>,
}

impl SerialHost {
    pub(super) fn new(device: PathBuf) -> Self {
        Self { spec: HostSpec::serial(device.display().to_string(), device), password: None }
    }

    /// What errors, logs and results call it; else its device.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.spec.id = id.into();
        self
    }

    /// Bits in a second; not only the usual numbers, if the device can do others.
    pub fn baud(mut self, baud: u32) -> Self {
        self.spec.serial_options.baud = Some(baud);
        self
    }

    /// From 5 to 8.
    pub fn data_bits(mut self, bits: u8) -> Self {
        self.spec.serial_options.data_bits = Some(bits);
        self
    }

    /// The parity bit.
    pub fn parity(mut self, parity: Parity) -> Self {
        self.spec.serial_options.parity = parity;
        self
    }

    /// 1 or 2.
    pub fn stop_bits(mut self, bits: u8) -> Self {
        self.spec.serial_options.stop_bits = Some(bits);
        self
    }

    /// The flow control.
    pub fn flow(mut self, flow: Flow) -> Self {
        self.spec.serial_options.flow = flow;
        self
    }

    /// Writes so many bytes at once and rests in between, for a console that loses what comes too fast.
    pub fn paced(mut self, bytes: usize, pause: Duration) -> Self {
        self.spec.serial_options.write_chunk = Some(bytes);
        self.spec.serial_options.write_pause = Some(pause);
        self
    }

    /// Rests after each line that is written.
    pub fn line_pause(mut self, pause: Duration) -> Self {
        self.spec.serial_options.write_chunk = None;
        self.spec.serial_options.write_pause = Some(pause);
        self
    }

    /// Who to log in as, if the console asks.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.spec.user = Some(user.into());
        self
    }

    /// The password, if the console asks.
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// A regular expression for the question for the user name.
    pub fn login_prompt(mut self, pattern: impl Into<String>) -> Self {
        self.spec.serial_options.login.login_prompt = Some(pattern.into());
        self
    }

    /// A regular expression for the question for the password.
    pub fn password_prompt(mut self, pattern: impl Into<String>) -> Self {
        self.spec.serial_options.login.password_prompt = Some(pattern.into());
        self
    }

    /// A regular expression for the prompt of the shell.
    pub fn shell_prompt(mut self, pattern: impl Into<String>) -> Self {
        self.spec.serial_options.login.shell_prompt = Some(pattern.into());
        self
    }

    /// How long the login may take, from the first byte to the shell.
    pub fn login_timeout(mut self, limit: Duration) -> Self {
        self.spec.serial_options.login.login_timeout = Some(limit);
        self
    }

    /// The host. Nothing is opened before first use, and what is wrong with these words is reported then.
    #[must_use]
    pub fn build(self) -> Host {
        let Self { mut spec, password } = self;
        if let Some(password) = password {
            // A console may ask for a password and no name.
            let login = spec.user.clone().unwrap_or_default();
            spec.creds.push(Cred::new(login).password(password));
        }
        Host::from_spec(&spec)
    }
}
