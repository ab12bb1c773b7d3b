//! What is told of leases: who holds what, who waits, and why a lease is gone.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::holder::Holder;
use super::request::LeaseMode;
use crate::error::{Error, ErrorKind};

/// Whether the items of a lease are held yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    /// They are.
    Held,
    /// Its holder-to-be waits for them.
    Waiting,
}

/// A lease as others see it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LeaseInfo {
    /// Its fencing number. Of two leases that exclude each other, the later has the higher number: what keeps the number
    /// of the last one that it obeyed can refuse one that was lost and does not know.
    pub fence: u64,
    /// What it is on.
    pub items: BTreeMap<String, LeaseMode>,
    /// Who has it.
    pub holder: Holder,
    /// Whether it is held, or waited for.
    pub state: LeaseState,
    /// Since when, by the clock of its machine.
    pub since: SystemTime,
}

/// What somebody waits for, and for whom.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Waiting {
    /// The place in the queue: 1 is the next, when those who hold are done.
    pub position: usize,
    /// Those whose end is waited for, in the order they came: who holds, and who waits for the same and came earlier.
    pub ahead: Vec<LeaseInfo>,
    /// What is asked for and not free.
    pub items: Vec<String>,
    /// For how long already.
    pub waited: Duration,
}

impl Waiting {
    /// Those who hold something of it now.
    pub fn holders(&self) -> impl Iterator<Item = &LeaseInfo> {
        self.ahead.iter().filter(|lease| lease.state == LeaseState::Held)
    }
}

/// `host:router1 is held by alice (test bgp::converges, pid 12 on ci3) since 2026-…; position 1 in the queue`.
impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 4;
        let items = self.items.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = |count: usize| if count > SHOWN { format!(" and {} more", count - SHOWN) } else { String::new() };
        write!(f, "{items}{} ", more(self.items.len()))?;
        let holders: Vec<_> = self.holders().collect();
        if holders.is_empty() {
            write!(f, "will be held by who came earlier")?;
        } else {
            let verb = if self.items.len() == 1 { "is" } else { "are" };
            write!(f, "{verb} held by ")?;
            for (number, lease) in holders.iter().take(SHOWN).enumerate() {
                let comma = if number == 0 { "" } else { ", " };
                write!(f, "{comma}{} since {}", lease.holder, shown(lease.since))?;
            }
            f.write_str(&more(holders.len()))?;
        }
        write!(f, "; position {} in the queue", self.position)
    }
}

/// That a lease was taken from its holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Theft {
    /// The number of the lease.
    pub fence: u64,
    /// Who had it.
    pub from: Holder,
    /// What it was on.
    pub items: Vec<String>,
    /// Who took it.
    pub by: Holder,
    /// Why.
    pub reason: String,
    /// When, by the clock of who took it.
    pub at: SystemTime,
}

/// Why a lease is gone although its holder did not release it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// It could not be renewed in time: the process or the machine was stopped, or the engine could not be reached.
    Expired {
        /// How long ago it was last renewed.
        unrenewed: Duration,
        /// Why the last attempt at it failed, if there was one.
        because: Option<String>,
    },
    /// It was held for as long as it may be.
    Maximum(Duration),
    /// Somebody took it.
    Stolen {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// The engine does not know it any more.
    Gone(String),
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { unrenewed, because } => {
                write!(f, "it was not renewed for {:.1} s", unrenewed.as_secs_f64())?;
                match because {
                    Some(because) => write!(f, ": {because}"),
                    None => f.write_str(", because this process or its machine stood still"),
                }
            }
            Self::Maximum(time) => write!(f, "it was held for {} s, which is its maximum", time.as_secs()),
            Self::Stolen { by, reason } => write!(f, "{by} took it: {reason}"),
            Self::Gone(why) => f.write_str(why),
        }
    }
}

impl Loss {
    /// The error of whoever relied on the lease.
    pub(super) fn error(&self, fence: u64, items: &BTreeMap<String, LeaseMode>) -> Error {
        const SHOWN: usize = 4;
        let names = items.keys().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if items.len() > SHOWN { format!(" and {} more", items.len() - SHOWN) } else { String::new() };
        Error::new(ErrorKind::ReservationLost, format!("the lease {fence} of {names}{more} is lost: {self}"))
            .hint("somebody else may be using it by now: what was done since then, and what was seen, says nothing")
    }
}

/// A time as it is shown to people.
pub(super) fn shown(time: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(time).and_then(|time| time.round(jiff::Unit::Second));
    time.map_or_else(|_| "a time beyond all calendars".to_owned(), |time| time.to_string())
}
