//! What the ticks of one task answered, as many of them as are kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::error::Result;

/// One tick: when it began, how long it took, and what it answered.
#[derive(Debug)]
#[non_exhaustive]
pub struct Tick<T> {
    /// Counts from 0. Slots that were missed have no tick, so numbers are without gaps.
    pub number: u64,
    /// When it began, by the clock of this machine.
    pub began: SystemTime,
    /// How long after its slot it began.
    pub late: Duration,
    /// How long it took.
    pub took: Duration,
    /// What it answered. Failures are kept as results.
    pub result: Arc<Result<T>>,
}

impl<T> Clone for Tick<T> {
    fn clone(&self) -> Self {
        Self {
            number: self.number,
            began: self.began,
            late: self.late,
            took: self.took,
            result: Arc::clone(&self.result),
        }
    }
}

/// The newest ticks of one task.
#[derive(Debug)]
pub(super) struct History<T>(Mutex<Kept<T>>);

#[derive(Debug)]
struct Kept<T> {
    ticks: VecDeque<Tick<T>>,
    max: usize,
    /// Slots without a tick.
    missed: u64,
}

impl<T> History<T> {
    pub(super) fn new(max: usize) -> Self {
        Self(Mutex::new(Kept { ticks: VecDeque::new(), max, missed: 0 }))
    }

    pub(super) fn add(&self, tick: Tick<T>) {
        self.with(|kept| {
            kept.ticks.push_back(tick);
            while kept.ticks.len() > kept.max {
                kept.ticks.pop_front();
            }
        });
    }

    pub(super) fn miss(&self, slots: u64) {
        self.with(|kept| kept.missed += slots);
    }

    pub(super) fn missed(&self) -> u64 {
        self.with(|kept| kept.missed)
    }

    /// Oldest first.
    pub(super) fn ticks(&self) -> Vec<Tick<T>> {
        self.with(|kept| kept.ticks.iter().cloned().collect())
    }

    fn with<R>(&self, look: impl FnOnce(&mut Kept<T>) -> R) -> R {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
