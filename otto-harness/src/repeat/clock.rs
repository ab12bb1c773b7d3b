//! When a tick is due: fixed slots from a monotonic clock, so that nothing drifts.

use std::time::{Duration, Instant, SystemTime};

use tokio::time::Instant as Monotonic;

/// What is done about slots that were missed because a tick took longer than the interval. Ticks never overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Missed {
    /// They are left out, and the next tick is at the next slot.
    #[default]
    Skip,
    /// They are made up for: ticks follow each other at once until none is late.
    Burst,
    /// All later slots move: the next tick is due at once, and the one after it an interval later.
    Delay,
}

/// A point in time at which repeating ends: made from an [`Instant`] or a [`SystemTime`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(pub(super) Monotonic);

impl From<Instant> for Deadline {
    fn from(at: Instant) -> Self {
        Self(at.into())
    }
}

impl From<Monotonic> for Deadline {
    fn from(at: Monotonic) -> Self {
        Self(at)
    }
}

impl From<SystemTime> for Deadline {
    /// As far from now as the system's clock says now; setting that clock later changes nothing.
    fn from(at: SystemTime) -> Self {
        let now = Monotonic::now();
        Self(match at.duration_since(SystemTime::now()) {
            Ok(ahead) => now.checked_add(ahead).unwrap_or_else(|| far(now)),
            Err(past) => now.checked_sub(past.duration()).unwrap_or(now),
        })
    }
}

/// Later than any test.
fn far(now: Monotonic) -> Monotonic {
    now + Duration::from_secs(30 * 365 * 24 * 3600)
}

/// The slots of one task.
#[derive(Debug)]
pub(super) struct Slots {
    /// Of slot 0.
    origin: Monotonic,
    interval: Duration,
    /// The number of the next slot.
    next: u32,
    missed: Missed,
}

impl Slots {
    pub(super) fn new(origin: Monotonic, interval: Duration, missed: Missed) -> Self {
        Self { origin, interval, next: 0, missed }
    }

    /// When the next tick is due.
    pub(super) fn due(&self) -> Monotonic {
        self.interval
            .checked_mul(self.next)
            .and_then(|ahead| self.origin.checked_add(ahead))
            .unwrap_or_else(|| far(self.origin))
    }

    /// That the tick of the next slot has ended at `now`; how many slots are left out because of it.
    pub(super) fn passed(&mut self, now: Monotonic) -> u64 {
        self.next = self.next.saturating_add(1);
        let Some(late) = now.checked_duration_since(self.due()).filter(|late| !late.is_zero()) else { return 0 };
        match self.missed {
            Missed::Burst => 0,
            Missed::Delay => {
                (self.origin, self.next) = (now, 0);
                0
            }
            Missed::Skip => {
                // The slot that is due this very moment is not missed, those before it are.
                let over = late.as_nanos().div_ceil(self.interval.as_nanos());
                let over = u32::try_from(over).unwrap_or(u32::MAX);
                self.next = self.next.saturating_add(over);
                over.into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn after(missed: Missed, ends: &[u32]) -> (Vec<u32>, u64) {
        let origin = Monotonic::now();
        let mut slots = Slots::new(origin, 100 * MS, missed);
        let (mut dues, mut left_out) = (Vec::new(), 0);
        for end in ends {
            dues.push(u32::try_from((slots.due() - origin).as_millis()).unwrap());
            left_out += slots.passed(origin + *end * MS);
        }
        dues.push(u32::try_from((slots.due() - origin).as_millis()).unwrap());
        (dues, left_out)
    }

    #[test]
    fn slots_are_fixed() {
        for missed in [Missed::Skip, Missed::Burst, Missed::Delay] {
            assert_eq!(after(missed, &[30, 130, 299]), (vec![0, 100, 200, 300], 0), "{missed:?}");
        }
    }

    #[test]
    fn late_ticks() {
        assert_eq!(after(Missed::Skip, &[350]), (vec![0, 400], 3));
        assert_eq!(after(Missed::Skip, &[300]), (vec![0, 300], 2));
        assert_eq!(after(Missed::Burst, &[350, 360, 370, 380]), (vec![0, 100, 200, 300, 400], 0));
        assert_eq!(after(Missed::Delay, &[350, 360]), (vec![0, 350, 450], 0));
    }

    #[test]
    fn a_deadline_of_the_system_clock_is_as_far_as_it_says() {
        let ahead = Deadline::from(SystemTime::now() + Duration::from_secs(60)).0 - Monotonic::now();
        assert!(ahead > Duration::from_secs(58) && ahead <= Duration::from_secs(60), "{ahead:?}");
        assert!(Deadline::from(SystemTime::now() - Duration::from_secs(60)).0 <= Monotonic::now());
    }
}
