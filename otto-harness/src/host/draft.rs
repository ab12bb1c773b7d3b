//! What hosts made in code have in common, whatever protocol they are reached by.

use crate::lab::{Cred, HostSpec};

use super::Host;

/// A host in the making: what is known of it, and of its one login. Both may be said in any order.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) spec: HostSpec,
    pub(super) cred: Cred,
}

impl Draft {
    pub(super) fn new(spec: HostSpec) -> Self {
        Self { spec, cred: Cred::default() }
    }

    /// The host, with this user if none was named and something is there that proves who it is.
    pub(super) fn build(self, user: impl FnOnce() -> String) -> Host {
        let Self { mut spec, mut cred } = self;
        if cred.password.is_some() || cred.key_file.is_some() {
            cred.login = spec.user.clone().unwrap_or_else(user);
            spec.creds.push(cred);
        }
        Host::from_spec(&spec)
    }
}
