//! Who may run now: so many tests at once, and none beside another that uses the same devices.
//!
//! A test claims its whole lab, or hosts of it, for itself or together with others; a test of hosts has a share in their
//! labs, so that it keeps those out which claim such a lab as a whole. What a test claims it gets all at once, or it
//! waits: nobody holds one thing while waiting for another, so no two tests wait for each other. Who came first is served
//! first, as far as they want the same.
//!
//! This holds within the process. A lease, which holds among processes, is to be taken by whoever has the [`Permit`], and
//! given back before it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Something that a test wants while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    /// What it is: tests that say the same here mean the same.
    pub(super) what: String,
    /// Nobody else has it meanwhile; else others that do not want it alone may.
    pub(super) alone: bool,
}

#[derive(Debug)]
pub(super) struct Gate {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    /// What is held, and by how many; 0 stands for one that has it alone.
    held: HashMap<String, usize>,
    /// In the order they came.
    waiting: Vec<Arc<Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    claims: Vec<Claim>,
    admitted: AtomicBool,
    /// Each has its own, so that only those wake up that may go.
    called: Condvar,
}

/// One test's leave to run; dropping it lets others in.
#[derive(Debug)]
pub(super) struct Permit<'gate> {
    gate: &'gate Gate,
    who: Arc<Waiting>,
}

impl Gate {
    /// For `limit` tests at once.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a test with these claims may run. `None` if `give_up` says so first.
    pub(super) fn enter(&self, claims: Vec<Claim>, give_up: impl Fn() -> bool) -> Option<Permit<'_>> {
        let who = Arc::new(Waiting { claims, admitted: AtomicBool::new(false), called: Condvar::new() });
        let mut state = self.state();
        state.waiting.push(Arc::clone(&who));
        loop {
            if give_up() {
                if who.admitted.load(Ordering::Relaxed) {
                    drop(state);
                    // As if it had run: it gives back what it has.
                    drop(Permit { gate: self, who });
                } else {
                    state.waiting.retain(|other| !Arc::ptr_eq(other, &who));
                    state.admit(self.limit);
                }
                return None;
            }
            state.admit(self.limit);
            if who.admitted.load(Ordering::Relaxed) {
                return Some(Permit { gate: self, who });
            }
            // Whoever makes `give_up` true calls nobody.
            state =
                who.called.wait_timeout(state, Duration::from_millis(100)).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl State {
    /// Lets in all that may go now.
    fn admit(&mut self, limit: usize) {
        // What those want who stay, so that they are not passed by for ever.
        let mut wanted: HashMap<&str, bool> = HashMap::new();
        let mut admitted = Vec::new();
        for (at, who) in self.waiting.iter().enumerate() {
            if self.running == limit {
                break;
            }
            let free = who.claims.iter().all(|claim| {
                let held = self.held.get(&claim.what).is_none_or(|holders| *holders > 0 && !claim.alone);
                held && wanted.get(&*claim.what).is_none_or(|alone| !alone && !claim.alone)
            });
            if free {
                self.running += 1;
                for claim in &who.claims {
                    let holders = self.held.entry(claim.what.clone()).or_default();
                    *holders += usize::from(!claim.alone);
                }
                admitted.push(at);
            } else {
                for claim in &who.claims {
                    *wanted.entry(&claim.what).or_default() |= claim.alone;
                }
            }
        }
        for at in admitted.into_iter().rev() {
            let who = self.waiting.remove(at);
            who.admitted.store(true, Ordering::Relaxed);
            who.called.notify_one();
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.running -= 1;
        for claim in &self.who.claims {
            if let Some(holders) = state.held.get_mut(&claim.what) {
                *holders = holders.saturating_sub(1);
                if *holders == 0 {
                    state.held.remove(&claim.what);
                }
            }
        }
        state.admit(self.gate.limit);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn claims(texts: &[&str]) -> Vec<Claim> {
        let claim = |text: &&str| match text.strip_suffix('~') {
            Some(what) => Claim { what: what.to_owned(), alone: false },
            None => Claim { what: (*text).to_owned(), alone: true },
        };
        texts.iter().map(claim).collect()
    }

    /// Whether a test with these claims gets in at once.
    fn tries<'a>(gate: &'a Gate, texts: &[&str]) -> Option<Permit<'a>> {
        let asked = Cell::new(false);
        gate.enter(claims(texts), || asked.replace(true))
    }

    #[test]
    fn one_at_a_time_on_a_lab_and_labs_beside_each_other() {
        let gate = Gate::new(8);
        let a = tries(&gate, &["a"]).unwrap();
        assert!(tries(&gate, &["a"]).is_none() && tries(&gate, &["a", "b"]).is_none());
        let b = tries(&gate, &["b"]).unwrap();
        drop((a, b));
        let both = tries(&gate, &["b", "a"]).unwrap();
        assert!(tries(&gate, &["a"]).is_none() && tries(&gate, &["b"]).is_none());
        drop(both);
        assert!(tries(&gate, &["a"]).is_some());
    }

    #[test]
    fn hosts_of_one_lab_beside_each_other_and_none_beside_the_whole_lab() {
        let gate = Gate::new(8);
        let first = tries(&gate, &["a~", "r1", "dns~"]).unwrap();
        let second = tries(&gate, &["a~", "r2", "dns~"]).unwrap();
        assert!(tries(&gate, &["a~", "r2~"]).is_none(), "somebody has it alone");
        assert!(tries(&gate, &["a~", "dns"]).is_none(), "others share it");
        assert!(tries(&gate, &["a"]).is_none(), "the whole lab");
        drop(first);
        assert!(tries(&gate, &["a"]).is_none(), "the other is still there");
        drop(second);
        let whole = tries(&gate, &["a"]).unwrap();
        assert!(tries(&gate, &["a~", "r1"]).is_none());
        drop(whole);
        assert!(gate.state().held.is_empty() && gate.state().waiting.is_empty());
    }

    #[test]
    fn what_claims_nothing_is_limited_by_number_alone() {
        let gate = Gate::new(2);
        let two = (tries(&gate, &[]).unwrap(), tries(&gate, &[]).unwrap());
        assert!(tries(&gate, &[]).is_none());
        drop(two);
        assert!(tries(&gate, &[]).is_some());
    }

    #[test]
    fn who_wants_all_of_it_is_not_passed_by() {
        let gate = Gate::new(8);
        let shares = tries(&gate, &["a~"]).unwrap();
        let order = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _all = gate.enter(claims(&["a"]), || false);
                order.lock().unwrap().push("all");
            });
            while gate.state().waiting.is_empty() {
                std::thread::yield_now();
            }
            assert!(tries(&gate, &["a~"]).is_none(), "it would pass by one who waits for all");
            scope.spawn(|| {
                let _share = gate.enter(claims(&["a~"]), || false);
                order.lock().unwrap().push("share");
            });
            while gate.state().waiting.len() < 2 {
                std::thread::yield_now();
            }
            assert!(tries(&gate, &["b"]).is_some(), "who wants something else may go");
            drop(shares);
        });
        assert_eq!(*order.lock().unwrap(), ["all", "share"]);
    }
}
