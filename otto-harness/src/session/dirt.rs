//! What may still run on a host after its command is over: [`Dirt`].

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// A command that could not be shown to have ended, so that something of it may still run on its host.
///
/// A host with any is *dirty*: see [`Host::is_dirty`](crate::Host::is_dirty). What left its process group (`setsid`, a
/// daemon) is nobody's to find, and is no dirt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dirt {
    /// The command, without secrets; `(not logged)` if it is not to be logged.
    pub command: String,
    /// The session it ran in.
    pub session: String,
    /// When that was found.
    pub since: SystemTime,
    /// Why its end is not known.
    pub why: String,
}

impl fmt::Display for Dirt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.command.lines().next().unwrap_or_default();
        let cut = line.char_indices().nth(120).map_or(line.len(), |(at, _)| at);
        let more = if cut < self.command.len() { "…" } else { "" };
        write!(f, "`{}{more}` [session {}] may still run: {}", &line[..cut], self.session, self.why)
    }
}

/// The dirt of one host.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Vec<Dirt>>>);

/// How much of it is kept; a host that is dirty a hundred times over is dirty.
const KEPT: usize = 100;

impl Ledger {
    fn all(&self) -> MutexGuard<'_, Vec<Dirt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, dirt: Dirt) {
        let mut all = self.all();
        if all.len() < KEPT {
            all.push(dirt);
        }
    }

    pub(crate) fn is_dirty(&self) -> bool {
        !self.all().is_empty()
    }

    pub(crate) fn list(&self) -> Vec<Dirt> {
        self.all().clone()
    }

    pub(crate) fn clear(&self) {
        self.all().clear();
    }
}
