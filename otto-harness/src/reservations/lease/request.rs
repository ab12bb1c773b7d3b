//! [`LeaseRequest`]: what is to be held, how, and for how long.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::holder::Holder;
use crate::error::{Error, ErrorKind, Result};

/// How long a lease lasts that is not renewed.
pub(super) const TTL: Duration = Duration::from_secs(30);
/// How long a lease lasts however often it is renewed.
const MAXIMUM: Duration = Duration::from_secs(24 * 60 * 60);
/// Shorter than this, a loaded machine would lose leases that it renews in time.
const LEAST_TTL: Duration = Duration::from_secs(1);
/// Longer than this, a crash would block others for too long to be called a lease.
const MOST_TTL: Duration = Duration::from_secs(60 * 60);

/// How an item is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeaseMode {
    /// By nobody else.
    Exclusive,
    /// Together with all who share it.
    Shared,
    /// Together with those who share it among the same group: what a lab has in common is shared by the tests of that lab,
    /// and by no other lab's.
    Among(String),
}

impl LeaseMode {
    pub(super) fn allows(&self, other: &Self) -> bool {
        *self != Self::Exclusive && self == other
    }

    /// The mode that serves both.
    pub(super) fn and(self, other: &Self) -> Self {
        if self == *other { self } else { Self::Exclusive }
    }
}

/// A set of items that are to be held together, by whom, and for how long. All of them are granted at once, or none.
///
/// ```
/// use otto::reservations::{Holder, LeaseMode, LeaseRequest};
/// use std::time::Duration;
/// let holder = Holder::of_this_process("alice", "test bgp::converges");
/// let request = LeaseRequest::new(holder).exclusive("host:router1").shared("host:dns1").ttl(Duration::from_secs(10));
/// assert_eq!(request.items().next(), Some(("host:dns1", &LeaseMode::Shared)));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct LeaseRequest {
    pub(super) holder: Holder,
    pub(super) items: BTreeMap<String, LeaseMode>,
    pub(super) ttl: Duration,
    pub(super) maximum: Duration,
}

impl LeaseRequest {
    /// A request for nothing yet. A lease of it lasts 30 s without renewal, and 24 h at most.
    pub fn new(holder: Holder) -> Self {
        Self { holder, items: BTreeMap::new(), ttl: TTL, maximum: MAXIMUM }
    }

    /// With an item that nobody else may hold meanwhile. An item that is named in several modes is held exclusively.
    pub fn exclusive(self, item: impl Into<String>) -> Self {
        self.item(item, LeaseMode::Exclusive)
    }

    /// With an item that others may share.
    pub fn shared(self, item: impl Into<String>) -> Self {
        self.item(item, LeaseMode::Shared)
    }

    /// With an item in any mode.
    pub fn item(mut self, item: impl Into<String>, mode: LeaseMode) -> Self {
        let item = item.into();
        let mode = match self.items.remove(&item) {
            Some(known) => known.and(&mode),
            None => mode,
        };
        self.items.insert(item, mode);
        self
    }

    /// How long the lease lasts when it is not renewed: from 1 s to 1 h, 30 s if not said. It is renewed three times in that
    /// time, so this is how long others wait for a holder that crashed where the engine cannot see it.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// How long the lease lasts however often it is renewed; 24 h if not said.
    pub fn maximum(mut self, maximum: Duration) -> Self {
        self.maximum = maximum;
        self
    }

    /// The items, sorted by name.
    pub fn items(&self) -> impl Iterator<Item = (&str, &LeaseMode)> {
        self.items.iter().map(|(item, mode)| (&**item, mode))
    }

    /// That it can be asked for.
    pub(super) fn check(&self) -> Result<()> {
        let refused = |message: String| Err(Error::new(ErrorKind::Invalid, message));
        if self.items.is_empty() {
            return refused("a lease has to be on something, and this request names no item".to_owned());
        }
        for item in self.items.keys() {
            if item.is_empty() || item.len() > 1024 || item.chars().any(char::is_control) {
                let shown: String = item.chars().take(60).collect();
                return refused(format!(
                    "{shown:?} is no name of an item: it has to have 1 to 1024 bytes, without control characters"
                ));
            }
        }
        if self.ttl < LEAST_TTL || self.ttl > MOST_TTL {
            return refused(format!("the ttl of a lease has to be from 1 s to 1 h, and this is {:?}", self.ttl));
        }
        if self.maximum < self.ttl {
            let (maximum, ttl) = (self.maximum, self.ttl);
            return refused(format!("the maximum of a lease, {maximum:?}, is less than its ttl, {ttl:?}"));
        }
        Ok(())
    }
}
