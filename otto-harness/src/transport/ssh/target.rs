//! Where to connect, as whom, and whom to trust: [`SshTarget`].

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::error::Phase;
use crate::transport::Route;
pub(crate) use crate::transport::hidden::Hidden;
use crate::transport::tcp::Keepalive;

/// One way to prove who we are.
#[derive(Debug, Clone)]
pub(crate) enum Auth {
    /// The keys of the agent at `SSH_AUTH_SOCK`.
    Agent,
    /// A private key in a file, with the passphrase if it is encrypted.
    KeyFile { path: PathBuf, passphrase: Option<Hidden> },
    /// A password; also the answer when the server asks for just that by keyboard-interactive.
    Password(Hidden),
}

/// What to do about a host key that no file knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostKeyCheck {
    /// Refuse.
    Strict,
    /// Write it to this file and go on.
    AcceptNew(PathBuf),
    /// Take any key, even a changed one.
    Insecure,
}

/// Which host keys are right.
#[derive(Debug, Clone)]
pub(crate) struct HostKeyPolicy {
    /// Keys (`ssh-ed25519 AAAA…`) or fingerprints (`SHA256:…`). When there are any, nothing else is right.
    pub(crate) pinned: Vec<String>,
    /// Files in the format of `known_hosts`. One that does not exist is empty.
    pub(crate) known_hosts: Vec<PathBuf>,
    pub(crate) check: HostKeyCheck,
}

/// How long each phase of connecting may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) resolve: Duration,
    pub(crate) tcp: Duration,
    pub(crate) banner: Duration,
    /// The key exchange and the host key.
    pub(crate) kex: Duration,
    pub(crate) auth: Duration,
    /// Opening one channel, once the server has room for it.
    pub(crate) channel: Duration,
    /// Each step of starting a shell; rc files may take their time.
    pub(crate) shell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            resolve: seconds(10),
            tcp: seconds(10),
            banner: seconds(10),
            kex: seconds(15),
            auth: seconds(30),
            channel: seconds(10),
            shell: seconds(15),
        }
    }
}

/// One SSH server and how to get in.
#[derive(Debug, Clone)]
pub(crate) struct SshTarget {
    /// The host's id, for messages.
    pub(crate) host: String,
    /// A name or an address.
    pub(crate) address: String,
    pub(crate) port: u16,
    /// How that port is reached.
    pub(crate) route: Route,
    pub(crate) user: String,
    /// Tried in this order.
    pub(crate) auth: Vec<Auth>,
    pub(crate) host_key: HostKeyPolicy,
    pub(crate) limits: Limits,
    pub(crate) keepalive: Keepalive,
    /// Channels that are open at once on one connection; fewer when the server turns out to allow fewer.
    pub(crate) channels: usize,
    /// How far the newest attempt to get in came.
    pub(crate) progress: Progress,
}

/// How far something came that is still under way; clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress(Arc<Mutex<Option<Phase>>>);

impl Progress {
    pub(crate) fn reached(&self, phase: Phase) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(phase);
    }

    pub(crate) fn get(&self) -> Option<Phase> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SshTarget {
    /// A target with no way to get in yet, that trusts no host key yet.
    pub(crate) fn new(host: impl Into<String>, address: impl Into<String>, port: u16, user: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            address: address.into(),
            port,
            route: Route::Direct,
            user: user.into(),
            auth: Vec::new(),
            host_key: HostKeyPolicy { pinned: Vec::new(), known_hosts: Vec::new(), check: HostKeyCheck::Strict },
            limits: Limits::default(),
            keepalive: Keepalive::default(),
            channels: 8,
            progress: Progress::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let mut target = SshTarget::new("dut", "10.0.0.1", 22, "root");
        target.auth = vec![
            Auth::Password("hunter2".into()),
            Auth::KeyFile { path: "id".into(), passphrase: Some("hunter3".into()) },
        ];
        let text = format!("{target:?}");
        assert!(!text.contains("hunter"), "{text}");
    }
}
