//! Whether a server's host key is the right one, and what to say and do when it is not.

use std::sync::Arc;

use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate};

use crate::error::Phase;

use super::known_hosts::{self, KnownHosts, Verdict};
use super::target::{HostKeyCheck, SshTarget};
use crate::transport::fault::Fault;

/// One of the keys that a target names itself.
#[derive(Debug)]
enum Pin {
    Key(PublicKey),
    Fingerprint(String),
}

/// The host keys that a target trusts.
#[derive(Debug)]
pub(super) struct HostKeys {
    target: Arc<SshTarget>,
    pins: Vec<Pin>,
    known: KnownHosts,
}

impl HostKeys {
    pub(super) fn load(target: &Arc<SshTarget>) -> Result<Self, Fault> {
        let pins = target.host_key.pinned.iter().map(|text| pin(text)).collect::<Result<_, _>>()?;
        let mut files = target.host_key.known_hosts.clone();
        if let HostKeyCheck::AcceptNew(file) = &target.host_key.check
            && !files.contains(file)
        {
            files.push(file.clone());
        }
        let known = KnownHosts::load(&files).map_err(|(file, error)| {
            Fault::at(Phase::HostKey, format!("cannot read the known hosts in {}: {error}", file.display()))
                .hint("make the file readable, or leave it out of `known_hosts`")
        })?;
        Ok(Self { target: Arc::clone(target), pins, known })
    }

    /// The algorithms to ask for: of the keys that are known first, since a server shows one key only. Never `ssh-rsa`
    /// with SHA-1.
    pub(super) fn algorithms(&self, all: &[Algorithm]) -> Vec<Algorithm> {
        let pinned = self.pins.iter().filter_map(|pin| match pin {
            Pin::Key(key) => Some(key),
            Pin::Fingerprint(_) => None,
        });
        let of_known = self.known.keys_of(&self.target.address, self.target.port);
        let known: Vec<_> = pinned.chain(of_known).map(PublicKey::algorithm).collect();
        let is_known = |offered: &Algorithm| {
            known.iter().any(|known| {
                known == offered || matches!((known, offered), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }))
            })
        };
        let mut offered: Vec<_> =
            all.iter().filter(|algorithm| **algorithm != Algorithm::Rsa { hash: None }).cloned().collect();
        offered.sort_by_key(|algorithm| !is_known(algorithm));
        offered
    }

    /// Says yes by returning.
    pub(super) fn check(&self, presented: &PublicKeyOrCertificate) -> Result<(), Fault> {
        let SshTarget { address, port, host_key, .. } = &*self.target;
        if host_key.check == HostKeyCheck::Insecure {
            return Ok(());
        }
        let PublicKeyOrCertificate::PublicKey { key, .. } = presented else {
            return Err(certificates());
        };
        let shown = format!("{} {}", key.algorithm(), known_hosts::fingerprint(key));
        let verdict = self.known.check(address, *port, key);
        if !self.pins.is_empty() && !matches!(verdict, Verdict::Revoked(_)) {
            return if self.pins.iter().any(|pin| pin.fits(key)) {
                Ok(())
            } else {
                Err(Fault::at(
                    Phase::HostKey,
                    format!("the host key is {shown}, which is not the `host_key` of the lab"),
                )
                .hint(format!(
                    "somebody may be in between. If the host was reinstalled, set host_key = \"{}\"",
                    known_hosts::bare(key)
                )))
            };
        }
        match verdict {
            Verdict::Known => Ok(()),
            Verdict::Revoked(place) => {
                Err(Fault::at(Phase::HostKey, format!("the host key {shown} is revoked, at {place}"))
                    .hint("do not log in; ask whoever runs the host for its new key"))
            }
            Verdict::Changed(place) => Err(Fault::at(
                Phase::HostKey,
                format!("the host key has changed: it is {shown}, and {place} has another"),
            )
            .hint(format!(
                "somebody may be in between. If the host was reinstalled, replace that line by: {}",
                known_hosts::line(address, *port, key)
            ))),
            Verdict::AuthorityOnly(_) => Err(certificates()),
            Verdict::Unknown => match &host_key.check {
                HostKeyCheck::AcceptNew(file) => known_hosts::learn(file, address, *port, key).map_err(|error| {
                    Fault::at(Phase::HostKey, format!("cannot add the host key {shown} to {}: {error}", file.display()))
                        .hint("make the file writable")
                }),
                _ => Err(Fault::at(Phase::HostKey, format!("the host key {shown} is not known"))
                    .hint(format!("if that is the host's, set host_key = \"{}\"", known_hosts::bare(key)))),
            },
        }
    }
}

fn certificates() -> Fault {
    Fault::at(
        Phase::HostKey,
        "the host is known by a certificate authority only, and otto cannot check certificates yet",
    )
    .hint("set the host's own key as `host_key`")
}

fn pin(text: &str) -> Result<Pin, Fault> {
    let text = text.trim();
    if text.starts_with("SHA256:") {
        return Ok(Pin::Fingerprint(text.trim_end_matches('=').to_owned()));
    }
    PublicKey::from_openssh(text).map(Pin::Key).map_err(|error| {
        Fault::at(Phase::HostKey, format!("`host_key` is no key: {error}"))
            .hint("write it as in a .pub file, \"ssh-ed25519 AAAA…\", or as \"SHA256:…\"")
    })
}

impl Pin {
    fn fits(&self, key: &PublicKey) -> bool {
        match self {
            Self::Key(pinned) => pinned.key_data() == key.key_data(),
            Self::Fingerprint(pinned) => *pinned == key.fingerprint(HashAlg::Sha256).to_string(),
        }
    }
}
