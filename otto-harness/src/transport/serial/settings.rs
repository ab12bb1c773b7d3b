//! Which device, at which speed, and how to log in there: [`SerialTarget`].

use std::path::PathBuf;
use std::time::Duration;

use crate::transport::login::LoginScript;

/// The parity bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parity {
    None,
    Even,
    Odd,
}

/// How the far side says that it cannot take more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    None,
    /// By wires of the line.
    RtsCts,
    /// By the bytes ^S and ^Q, which then cannot be data.
    XonXoff,
}

/// How fast to write to a console that loses bytes when they come at full speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// So many bytes at once; without it, a line at once.
    pub(crate) chunk: Option<usize>,
    /// Then the line is left idle for so long.
    pub(crate) pause: Duration,
}

/// One console and how to get in.
#[derive(Debug, Clone)]
pub(crate) struct SerialTarget {
    /// The host's id, for messages.
    pub(crate) host: String,
    pub(crate) device: PathBuf,
    pub(crate) baud: u32,
    /// 5 to 8.
    pub(crate) data_bits: u8,
    pub(crate) parity: Parity,
    /// 1 or 2.
    pub(crate) stop_bits: u8,
    pub(crate) flow: Flow,
    pub(crate) pace: Option<Pace>,
    pub(crate) login: LoginScript,
}

impl SerialTarget {
    /// 115200 8N1 without flow control, as consoles of Linux have it.
    pub(crate) fn new(host: impl Into<String>, device: impl Into<PathBuf>, login: LoginScript) -> Self {
        Self {
            host: host.into(),
            device: device.into(),
            baud: 115_200,
            data_bits: 8,
            parity: Parity::None,
            stop_bits: 1,
            flow: Flow::None,
            pace: None,
            login: LoginScript { wake: true, ..login },
        }
    }

    /// How long so many bytes take on the wire.
    pub(crate) fn time_of(&self, bytes: usize) -> Duration {
        let bits = 1 + u32::from(self.data_bits) + u32::from(self.parity != Parity::None) + u32::from(self.stop_bits);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Duration::from_secs(1).saturating_mul(bits.saturating_mul(bytes)) / self.baud.max(1)
    }
}
