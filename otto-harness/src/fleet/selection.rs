//! Which hosts of a lab are meant.

use crate::context::{OttoContext, listed};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{Host, LOCAL};
use crate::lab::pattern::full_match;

/// All hosts of a lab, less those that a pattern leaves out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    pub(super) pattern: Option<String>,
    pub(super) include_local: bool,
}

impl Selection {
    pub(crate) fn matching(pattern: &str) -> Self {
        Self { pattern: Some(pattern.to_owned()), include_local: false }
    }

    /// The hosts, in lab order, `local` last if it is not of the lab.
    ///
    /// # Errors
    /// If the pattern is no regex, or nothing is left; it says what left nothing.
    pub(crate) fn of(&self, ctx: &OttoContext) -> Result<Vec<Host>> {
        let regex = self.pattern.as_deref().map(full_match).transpose()?;
        let fits = |id: &str| regex.as_ref().is_none_or(|regex| regex.is_match(id));
        let mut hosts = ctx.all_hosts();
        if self.include_local && !hosts.iter().any(|host| host.is(ctx.local())) {
            hosts.push(ctx.local().clone());
        }
        let (chosen, left): (Vec<_>, Vec<_>) = hosts.into_iter().partition(|host| fits(host.id()));
        if !chosen.is_empty() {
            return Ok(chosen);
        }
        let lab = ctx.lab().name();
        let Some(pattern) = &self.pattern else {
            return Err(Error::new(ErrorKind::Host, format!("lab `{lab}` has no hosts"))
                .hint("`include_local(true)` takes this machine in"));
        };
        let error =
            Error::new(ErrorKind::Host, format!("no host of lab `{lab}` matches the pattern `{pattern}` in full"));
        if !self.include_local && fits(LOCAL) {
            return Err(error.hint("`local` does, and is taken only with `include_local(true)`"));
        }
        let ids: Vec<_> = left.iter().map(Host::id).collect();
        Err(if ids.is_empty() {
            error.hint("the lab has no hosts; `include_local(true)` takes this machine in")
        } else {
            error.hint(format!("its hosts: {}", listed(&ids)))
        })
    }
}
