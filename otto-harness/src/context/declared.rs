//! The hosts that a test said it uses: its context has those and no others.

use crate::error::{Error, ErrorKind, Result};

/// What `hosts(…)`, `shared(…)` and `each_host` came to on a lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declared {
    /// The ids, in lab order.
    pub(crate) ids: Vec<String>,
    /// Names and the ids that they stand for.
    pub(crate) bound: Vec<(String, String)>,
    /// The host that `each_host` made the test for.
    pub(crate) each: Option<String>,
}

impl Declared {
    /// The id that a name is bound to.
    pub(super) fn id_of(&self, name: &str) -> Option<&str> {
        self.bound.iter().find(|(bound, _)| bound == name).map(|(_, id)| &**id)
    }

    /// That the test holds the host, which is one of the lab.
    ///
    /// # Errors
    /// That it does not, and how it would: one of kind [`ErrorKind::Host`].
    pub(super) fn check(&self, id: &str, lab: &str) -> Result<()> {
        if self.ids.iter().any(|held| held == id) {
            return Ok(());
        }
        let message = format!("host `{id}` of lab `{lab}` is not among the hosts that this test holds");
        let ids: Vec<&str> = self.ids.iter().map(String::as_str).collect();
        Err(Error::new(ErrorKind::Host, message).hint(format!(
            "add `hosts(\"{id}\")` to its attribute to have the host for itself, or `shared(\"{id}\")` to share it; it \
             holds {}",
            super::listed(&ids)
        )))
    }
}
