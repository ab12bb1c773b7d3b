//! The clock beside tokio's: a test that blocks its thread is never polled again, so its own time-out cannot fire.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::signals;
use crate::context::OttoContext;

/// How long after its limit a phase may still end by itself.
const GRACE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(100);

/// Whether a thread was left behind that may never end.
static ABANDONED: AtomicBool = AtomicBool::new(false);

/// Whether the process has a thread that it must not wait for.
pub(super) fn has_abandoned() -> bool {
    ABANDONED.load(Ordering::Relaxed)
}

/// The part of a test that is running. Each has a budget of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Setup,
    Body,
    /// Closing the fixtures.
    Fixtures,
    /// Closing the hosts.
    Teardown,
}

/// How far a test has come, as its own thread tells.
#[derive(Debug)]
pub(super) struct Progress(Mutex<State>);

#[derive(Debug)]
struct State {
    phase: Phase,
    since: Instant,
    budget: Duration,
    context: Option<OttoContext>,
}

/// A test whose thread has to be left behind.
#[derive(Debug)]
pub(super) struct Stuck {
    pub(super) phase: Phase,
    pub(super) after: Duration,
    pub(super) signal: Option<i32>,
    /// What it holds, to be closed by somebody else.
    pub(super) context: Option<OttoContext>,
    /// Its thread ended without a result, which only a bug of otto can do.
    pub(super) vanished: bool,
}

impl Progress {
    pub(super) fn begin(budget: Duration) -> Self {
        Self(Mutex::new(State { phase: Phase::Setup, since: Instant::now(), budget, context: None }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self, phase: Phase, budget: Duration, context: Option<OttoContext>) {
        *self.state() = State { phase, since: Instant::now(), budget, context };
    }
}

/// Waits for a test's result, and gives its thread up when it is stuck.
pub(super) fn wait<T>(result: &Receiver<T>, progress: &Progress) -> Result<T, Box<Stuck>> {
    let mut signalled = None;
    loop {
        let vanished = match result.recv_timeout(TICK) {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
        };
        let mut state = progress.state();
        let signal = signals::received();
        if signal.is_some() {
            signalled.get_or_insert_with(Instant::now);
        }
        let heedless = !matches!(state.phase, Phase::Fixtures | Phase::Teardown)
            && signalled.is_some_and(|since: Instant| since.elapsed() > GRACE);
        if vanished || heedless || state.since.elapsed() > state.budget + GRACE {
            ABANDONED.store(true, Ordering::Relaxed);
            return Err(Box::new(Stuck {
                phase: state.phase,
                after: state.since.elapsed(),
                signal: signal.filter(|_| heedless),
                context: state.context.take(),
                vanished,
            }));
        }
    }
}
