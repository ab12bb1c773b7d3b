//! What the tests of a run have come to so far, shared by all that run: it becomes the [`RunRecord`].

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use super::argv::Options;
use super::execute::Job;
use super::holding::Holding;
use super::record::{Attempt, RunRecord, TestRecord, Verdict};
use super::selection::Instance;
use crate::os_user::os_user;

/// So many attempts at a test are kept.
const KEPT: usize = 1000;

/// Which test of the run: its place in the order in which they were listed.
pub(super) type Number = usize;

#[derive(Debug)]
pub(super) struct Collector {
    since: Instant,
    run: Mutex<RunRecord>,
}

impl Collector {
    /// For a run of these tests, none of which has begun. `rerun` is the command line that runs one of them again.
    pub(super) fn new(options: &Options, jobs: &[Job], filtered: usize, rerun: impl Fn(&Instance) -> String) -> Self {
        let began = SystemTime::now();
        let mut labs: Vec<String> = Vec::new();
        for lab in jobs.iter().filter_map(|job| job.instance.lab.as_ref()) {
            if !labs.contains(lab) {
                labs.push(lab.clone());
            }
        }
        let run = RunRecord {
            id: id(began),
            began,
            took: std::time::Duration::ZERO,
            user: options.as_user.clone().or_else(|| os_user().ok()).unwrap_or_else(|| "unknown".to_owned()),
            arguments: options.arguments.clone(),
            labs,
            seed: options.seed,
            filtered,
            tests: jobs.iter().map(|job| blank(job, rerun(&job.instance))).collect(),
        };
        Self { since: Instant::now(), run: Mutex::new(run) }
    }

    fn run(&self) -> MutexGuard<'_, RunRecord> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One attempt at a test is over.
    pub(super) fn attempted(&self, number: Number, attempt: Attempt) {
        let mut run = self.run();
        let test = &mut run.tests[number];
        test.runs += 1;
        test.passes += u64::from(!attempt.verdict.is_failure());
        if test.attempts.len() >= KEPT {
            // Of a run of days, what passed long ago is missed least.
            let oldest = test.attempts.iter().position(|kept| !kept.verdict.is_failure()).unwrap_or(0);
            test.attempts.remove(oldest);
        }
        test.attempts.push(attempt);
    }

    /// A test is over, or will not be begun.
    pub(super) fn ended(&self, number: Number, verdict: Verdict, reason: Option<String>) {
        let mut run = self.run();
        let test = &mut run.tests[number];
        (test.verdict, test.reason) = (verdict, reason);
    }

    /// How many attempts at a test are over.
    pub(super) fn runs(&self, number: Number) -> u64 {
        self.run().tests[number].runs
    }

    /// The record of one test as it stands.
    pub(super) fn test(&self, number: Number) -> TestRecord {
        self.run().tests[number].clone()
    }

    /// The record as it stands. Tests that nobody said anything of were not begun.
    pub(super) fn finish(&self) -> RunRecord {
        let mut run = self.run().clone();
        run.took = self.since.elapsed();
        run
    }
}

fn blank(job: &Job, rerun: String) -> TestRecord {
    let (instance, case) = (&job.instance, job.instance.case);
    let held = match &job.holding {
        Holding::Lab => &[][..],
        Holding::Hosts(chosen) => &chosen.hosts,
    };
    let ids =
        |shared: bool| held.iter().filter(move |held| !shared || held.shared).map(|held| held.id.clone()).collect();
    TestRecord {
        name: instance.name.clone(),
        lab: instance.lab.clone(),
        package: case.package.to_owned(),
        file: case.file.to_owned(),
        line: case.line,
        tags: case.tags.iter().map(|tag| (*tag).to_owned()).collect(),
        hosts: ids(false),
        shared: ids(true),
        verdict: Verdict::Ignored,
        reason: None,
        attempts: Vec::new(),
        runs: 0,
        passes: 0,
        rerun,
    }
}

/// `20261121-0931-7f3a`: when it began, in UTC, and what tells it from another of the same minute.
fn id(began: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(began).unwrap_or_default();
    // Keyed anew in each process and for each hasher.
    let lot = RandomState::new().hash_one(std::process::id()) & 0xffff;
    format!("{}-{lot:04x}", time.strftime("%Y%m%d-%H%M"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn ids_sort_by_time() {
        let at = |seconds| id(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let (first, second) = (at(1_795_253_460), at(1_795_253_520));
        assert!(first.starts_with("20261121-0931-") && first.len() == 18, "{first}");
        assert!(first < second, "{first} {second}");
    }
}
