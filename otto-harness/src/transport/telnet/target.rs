//! Where to connect, and how to get in: [`TelnetTarget`].

use std::time::Duration;

use crate::transport::Route;
use crate::transport::login::LoginScript;
use crate::transport::tcp::Keepalive;

use super::codec::Terminal;

/// One telnet server and how to get in.
#[derive(Debug, Clone)]
pub(crate) struct TelnetTarget {
    /// The host's id, for messages.
    pub(crate) host: String,
    /// A name or an address.
    pub(crate) address: String,
    pub(crate) port: u16,
    /// How that port is reached.
    pub(crate) route: Route,
    pub(crate) script: LoginScript,
    pub(crate) limits: Limits,
    pub(crate) keepalive: Keepalive,
    pub(crate) columns: u16,
    pub(crate) rows: u16,
}

/// How long each phase before the login may take; the login has limits of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) resolve: Duration,
    pub(crate) tcp: Duration,
}

impl TelnetTarget {
    /// A target with the usual limits.
    pub(crate) fn new(host: impl Into<String>, address: impl Into<String>, port: u16, script: LoginScript) -> Self {
        let limit = Duration::from_secs(10);
        Self {
            host: host.into(),
            address: address.into(),
            port,
            route: Route::Direct,
            script,
            limits: Limits { resolve: limit, tcp: limit },
            keepalive: Keepalive::default(),
            columns: 255,
            rows: 50,
        }
    }

    /// What the server is told of the terminal.
    pub(super) fn terminal(&self) -> Terminal {
        Terminal { kind: "dumb", columns: self.columns, rows: self.rows }
    }
}
