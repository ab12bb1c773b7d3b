//! What is written of a run: JUnit, an HTML page, an event file, and the lines after the results. See
//! `docs/design/reports.md`.

pub(super) mod events;
mod html;
mod junit;
mod reporting;
#[cfg(test)]
pub(super) mod samples;
mod summary;
mod write;

use std::collections::BTreeMap;
use std::time::Duration;

pub(in crate::harness) use reporting::{Reporting, path};
use summary::summary;
use write::{Destinations, write};

use super::record::{Attempt, RunRecord, TestRecord, Verdict};

/// How many tests ended how; those that did not happen are not in it.
fn counts(run: &RunRecord) -> BTreeMap<Verdict, usize> {
    let mut counts = BTreeMap::new();
    for test in &run.tests {
        *counts.entry(test.verdict).or_default() += 1;
    }
    counts
}

fn millis(took: Duration) -> f64 {
    events::in_millis(took)
}

impl TestRecord {
    /// All of its attempts together.
    fn took(&self) -> Duration {
        self.attempts.iter().map(|attempt| attempt.took).sum()
    }

    /// The newest attempt that did not pass.
    fn failed_attempt(&self) -> Option<&Attempt> {
        self.attempts.iter().rev().find(|attempt| attempt.verdict.is_failure())
    }
}

/// A duration as people read it: three digits, in the unit that fits.
fn human(took: Duration) -> String {
    let seconds = took.as_secs_f64();
    match took.as_secs() {
        0 if took.as_millis() < 10 => format!("{:.1} ms", seconds * 1e3),
        0 => format!("{:.0} ms", seconds * 1e3),
        1..=9 => format!("{seconds:.2} s"),
        10..=59 => format!("{seconds:.1} s"),
        60..=3599 => format!("{} min {:02} s", took.as_secs() / 60, took.as_secs() % 60),
        _ => format!("{} h {:02} min", took.as_secs() / 3600, took.as_secs() / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_that_fits() {
        let of = |millis| human(Duration::from_millis(millis));
        let all = [0, 3, 480, 4210, 31_070, 61_000, 3_700_000].map(of);
        assert_eq!(all, ["0.0 ms", "3.0 ms", "480 ms", "4.21 s", "31.1 s", "1 min 01 s", "1 h 01 min"]);
    }
}
