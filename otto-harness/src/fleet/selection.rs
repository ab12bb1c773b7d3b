//! Which hosts of a lab are meant.

use regex::Regex;

use crate::context::{OttoContext, listed};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{Host, LOCAL};

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

/// The regex that matches a whole id or nothing.
pub(crate) fn full_match(pattern: &str) -> Result<Regex> {
    let refused = |error: regex::Error| {
        Error::new(ErrorKind::Invalid, format!("the pattern `{pattern}` is not a regex")).caused_by(error)
    };
    // By itself first: `a)(b` must not become one by what is put around it.
    Regex::new(pattern).map_err(refused)?;
    // The line break ends a comment, which `(?x)` allows; without `(?x)` the first form is right.
    let plain = Regex::new(&format!(r"\A(?:{pattern})\z"));
    plain.or_else(|_| Regex::new(&format!("\\A(?:{pattern}\n)\\z"))).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_matched_in_full() {
        let fits = |pattern: &str, id: &str| full_match(pattern).unwrap().is_match(id);
        assert!(fits("router.*", "router1") && !fits("router", "router1") && !fits("outer.*", "router1"));
        assert!(fits("a|ab", "ab") && fits("(?i)ROUTER1", "router1") && !fits("a$", "a\n"));
        assert!(fits("(?x) router \\d # any", "router1"));
        assert_eq!(full_match("a)(b").unwrap_err().kind(), ErrorKind::Invalid);
    }
}
