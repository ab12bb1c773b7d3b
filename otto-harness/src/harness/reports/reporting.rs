//! What of a run is told to whom: opened before the first test, closed after the last.

use std::path::PathBuf;

use super::events::{Events, Teller};
use super::{Destinations, summary, write};
use crate::harness::argv::Options;
use crate::harness::record::{Attempt, RunRecord, TestRecord};
use crate::harness::recorder::Recorder;
use crate::harness::report;

/// The reports of a run, and its event file if there is one.
#[derive(Debug, Default)]
pub(in crate::harness) struct Reporting {
    to: Destinations,
    events: Option<Events>,
    /// What was asked for could not be opened.
    failed: bool,
    /// Under nextest each process has one test, of which nobody wants a summary.
    alone: bool,
}

impl Reporting {
    /// Opens what is written while tests run. What cannot be is said on stderr; the tests run all the same.
    pub(in crate::harness) fn open(options: &Options, run: &RunRecord) -> Self {
        let alone = report::under_nextest();
        let mut to = Destinations { junit: options.junit.clone(), html: options.report.clone() };
        if alone && (to.junit.is_some() || to.html.is_some()) {
            eprintln!(
                "otto: --junit and --report are for `cargo test`: under nextest each test is a process of its own, and they \
                 would overwrite each other's; nextest writes JUnit itself, and OTTO_EVENTS works with both"
            );
            to = Destinations::default();
        }
        let mut failed = false;
        let events = options.events.as_ref().and_then(|path| {
            let opened = Events::open(path, &run_id(run));
            failed = opened.is_err();
            opened
                .inspect_err(|error| eprintln!("error: the event file {} cannot be opened: {error}", path.display()))
                .ok()
        });
        if let Some(events) = &events {
            events.run_started(run, run.tests.len());
        }
        Self { to, events, failed, alone }
    }

    /// Whether anybody will read what the hosts did.
    pub(in crate::harness) fn keeps_commands(&self) -> bool {
        self.to.junit.is_some() || self.to.html.is_some()
    }

    /// A test begins: it holds its hosts.
    pub(in crate::harness) fn test_started(&self, test: impl FnOnce() -> TestRecord) {
        if let Some(events) = &self.events {
            events.test_started(&test());
        }
    }

    /// A test is over, or will not be begun.
    pub(in crate::harness) fn test_ended(&self, test: impl FnOnce() -> TestRecord) {
        if let Some(events) = &self.events {
            events.test_ended(&test());
        }
    }

    /// An attempt begins; `number` counts from 1. What its hosts do goes to the recorder.
    pub(in crate::harness) fn attempt(&self, test: &str, lab: &str, number: usize) -> (Recorder, Option<Teller>) {
        let teller = self.events.as_ref().map(|events| events.attempt(test, lab, number));
        (Recorder::telling(teller.clone()), teller)
    }

    /// The attempt is over.
    pub(in crate::harness) fn attempt_ended(teller: Option<Teller>, attempt: &Attempt) {
        if let Some(teller) = teller {
            teller.attempt_ended(attempt);
        }
    }

    /// Writes what is written of the whole, and says on stderr where it is. False if something that was asked for is not
    /// there.
    pub(in crate::harness) fn finish(&self, run: &RunRecord, exit: u8) -> bool {
        if !self.alone {
            eprint!("{}", summary(run));
        }
        let written = write(run, &self.to);
        let mut told = true;
        if let Some(events) = &self.events {
            events.run_ended(run, if written { exit } else { exit.max(101) });
            told = !events.has_failed();
            if told && !self.alone {
                eprintln!("otto: events: {}", events.path().display());
            }
        }
        written && told && !self.failed
    }
}

/// Under nextest all processes are one run.
fn run_id(run: &RunRecord) -> String {
    let of_nextest = std::env::var("NEXTEST_RUN_ID").ok().filter(|_| report::under_nextest());
    of_nextest.unwrap_or_else(|| run.id.clone())
}

/// A path that was given, unless it names nothing.
pub(in crate::harness) fn path(value: String, given: &str) -> Result<PathBuf, String> {
    if value.trim().is_empty() {
        return Err(format!("{given} names no file"));
    }
    Ok(value.into())
}
