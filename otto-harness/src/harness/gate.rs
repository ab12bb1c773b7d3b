//! Who may run now: so many tests at once, and one at a time on each lab.
//!
//! The tests of a lab share its devices, so they run one after the other; tests of different labs run in parallel, and
//! `a+b` waits for both `a` and `b`. The built-in labs `sim` and `local` have no devices to share: their tests are
//! limited by `--test-threads` alone.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::selection::parts;

/// Labs that any number of tests can be on.
const SHARED: [&str; 2] = ["local", "sim"];

#[derive(Debug)]
pub(super) struct Gate {
    limit: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    held: Vec<String>,
    /// In the order they came, so that a test of `a+b` is not passed by for ever by tests of `a` and of `b`.
    waiting: BTreeMap<u64, Vec<String>>,
    tickets: u64,
}

/// One test's leave to run; dropping it lets the next one in.
#[derive(Debug)]
pub(super) struct Permit<'gate> {
    gate: &'gate Gate,
    labs: Vec<String>,
}

impl Gate {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), state: Mutex::default(), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a test of `lab` may run. `None` if `give_up` says so first.
    pub(super) fn enter(&self, lab: &str, give_up: impl Fn() -> bool) -> Option<Permit<'_>> {
        let labs: Vec<_> = parts(lab).into_iter().filter(|part| !SHARED.contains(part)).map(str::to_owned).collect();
        let mut state = self.state();
        let ticket = state.tickets;
        state.tickets += 1;
        state.waiting.insert(ticket, labs.clone());
        loop {
            if give_up() {
                state.waiting.remove(&ticket);
                self.changed.notify_all();
                return None;
            }
            let before_me = state.waiting.range(..ticket).flat_map(|(_, labs)| labs);
            let free = !labs.iter().any(|lab| state.held.iter().chain(before_me.clone()).any(|other| other == lab));
            if free && state.running < self.limit {
                state.running += 1;
                state.waiting.remove(&ticket);
                state.held.extend(labs.iter().cloned());
                return Some(Permit { gate: self, labs });
            }
            // Whoever makes `give_up` true does not notify.
            state =
                self.changed.wait_timeout(state, Duration::from_millis(100)).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.running -= 1;
        state.held.retain(|held| !self.labs.contains(held));
        drop(state);
        self.gate.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Whether a test of `lab` gets in at once.
    fn tries<'a>(gate: &'a Gate, lab: &str) -> Option<Permit<'a>> {
        let asked = Cell::new(false);
        gate.enter(lab, || asked.replace(true))
    }

    #[test]
    fn one_at_a_time_on_a_lab_and_labs_beside_each_other() {
        let gate = Gate::new(8);
        let a = tries(&gate, "a").unwrap();
        assert!(tries(&gate, "a").is_none() && tries(&gate, "a+b").is_none());
        let b = tries(&gate, "b").unwrap();
        drop((a, b));
        let both = tries(&gate, "b+a").unwrap();
        assert!(tries(&gate, "a").is_none() && tries(&gate, "b").is_none());
        drop(both);
        assert!(tries(&gate, "a").is_some());
    }

    #[test]
    fn built_in_labs_are_shared_up_to_the_limit() {
        let gate = Gate::new(2);
        let two = (tries(&gate, "sim").unwrap(), tries(&gate, "sim+local").unwrap());
        assert!(tries(&gate, "sim").is_none());
        drop(two);
        assert!(tries(&gate, "sim").is_some());
    }
}
