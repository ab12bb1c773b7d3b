//! The lease of a test: what it uses is its own while it runs, also among processes. See `docs/design/reservations.md`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::holding::Holding;
use super::runtime::runtime;
use super::signals;
use crate::error::Error;
use crate::lab::Lab;
use crate::reservations::{Holds, Lease, TestLeases, Waiting};

/// How often a wait that goes on is told of again.
const AGAIN: Duration = Duration::from_secs(30);

/// What came of asking for a lease.
#[derive(Debug)]
pub(super) enum Leased {
    /// It is held; nothing, if there is nothing to hold.
    Held(Option<Lease>),
    /// The run is over before it was the test's turn.
    GivenUp,
    Refused(Error),
}

/// Waits until all that a test uses is free, and holds it. The wait is told on stderr, and ends with a signal or when `give_up`
/// says so.
pub(super) fn hold(
    leases: Option<&TestLeases>,
    lab: &Lab,
    holding: &Holding,
    test: &str,
    give_up: impl Fn() -> bool,
) -> Leased {
    let Some(leases) = leases else { return Leased::Held(None) };
    let told = Arc::new(Told::default());
    let name = test.to_owned();
    let on_wait = move |waiting: &Waiting| told.tell(&name, waiting);
    let given_up = async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if give_up() {
                break;
            }
        }
    };
    let holds = holding.holds();
    runtime().block_on(async {
        tokio::select! {
            biased;
            _ = signals::interrupted() => Leased::GivenUp,
            held = leases.hold(lab, &holds, test, on_wait) => match held {
                Ok(lease) => Leased::Held(lease),
                Err(error) => Leased::Refused(error),
            },
            () = given_up => Leased::GivenUp,
        }
    })
}

/// What was said of a wait, and when.
#[derive(Debug, Default)]
struct Told(Mutex<Option<(usize, Instant)>>);

impl Told {
    fn tell(&self, test: &str, waiting: &Waiting) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = last.is_none_or(|(position, when)| position != waiting.position || when.elapsed() >= AGAIN);
        if is_news {
            eprintln!("otto: test {test} waits: {waiting}");
            *last = Some((waiting.position, Instant::now()));
        }
    }
}

impl Holding {
    /// What is to be held for it.
    fn holds(&self) -> Holds {
        match self {
            Self::Lab => Holds::Lab,
            Self::Hosts(chosen) => {
                let of = |shared: bool| {
                    let held = chosen.hosts.iter().filter(move |held| held.shared == shared);
                    held.map(|held| held.id.clone()).collect()
                };
                Holds::Hosts { exclusive: of(false), shared: of(true) }
            }
        }
    }
}
