//! What hosts made in code have in common, whatever protocol they are reached by.

use crate::lab::{Cred, HostSpec};
use crate::redact::Redactor;
use crate::session::Audience;

use super::Host;

/// A host in the making: what is known of it, and of its one login. Both may be said in any order.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) spec: HostSpec,
    pub(super) cred: Cred,
    /// The host that it is reached over.
    pub(super) hop: Option<Host>,
}

impl Draft {
    pub(super) fn new(spec: HostSpec) -> Self {
        Self { spec, cred: Cred::default(), hop: None }
    }

    /// The host, with this user if none was named and something is there that proves who it is.
    pub(super) fn build(self, user: impl FnOnce() -> String) -> Host {
        let Self { mut spec, mut cred, hop } = self;
        if cred.password.is_some() || cred.key_file.is_some() {
            cred.login = spec.user.clone().unwrap_or_else(user);
            spec.creds.push(cred);
        }
        spec.hop = hop.as_ref().map(|hop| hop.id().to_owned());
        Host::with(&spec, Audience::default(), &Redactor::of_hosts([&spec]), false, hop.as_ref())
    }
}
