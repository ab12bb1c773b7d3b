//! One test of a run: whether it is begun, its attempts, and what they come to.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use libtest_mimic::{Completion, Failed, Trial};

use super::attempts::{Attempted, Judged, Policy};
use super::budget::Limits;
use super::case;
use super::collector::{Collector, Number};
use super::gate::{Claim, Gate};
use super::holding::Holding;
use super::lab_fixture::Needs;
use super::output;
use super::progress;
use super::record::{Attempt, Verdict};
use super::report::{self, Failure, Runner};
use super::reports::Reporting;
use super::selection::{Ignored, Instance};
use super::signals;
use super::wiring::Setting;
use crate::lab::Lab;

/// What all tests of a run share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) gate: Gate,
    pub(super) collector: Collector,
    pub(super) reporting: Reporting,
    /// No test is begun any more: one failed under `--fail-fast`, or nobody reads the results.
    pub(super) stop: Arc<AtomicBool>,
    pub(super) policy: Policy,
    pub(super) dry_run: bool,
    pub(super) output_dir: Option<PathBuf>,
    pub(super) limits: Limits,
    pub(super) runner: Runner,
    pub(super) as_user: Option<String>,
    /// For nextest, which digs the message of a failure out of stderr.
    pub(super) errors: Mutex<Vec<String>>,
    /// What tests left running on hosts, which concerns those who use the lab next.
    pub(super) dirt: Mutex<Vec<String>>,
}

impl Shared {
    fn stopped(&self) -> Option<&'static str> {
        if signals::received().is_some() {
            Some("interrupted")
        } else if self.stop.load(Ordering::Relaxed) {
            Some("--fail-fast: a test failed before it")
        } else {
            None
        }
    }

    /// The command line that runs a test again.
    pub(super) fn rerun(runner: Runner, instance: &Instance, as_user: Option<&str>) -> String {
        let lab = instance.lab.as_deref().unwrap_or("NAME");
        report::rerun(runner, instance.case, (&instance.name, &instance.full_name()), lab, as_user)
    }

    /// A test is over, or will not be begun.
    fn ended(&self, number: Number, verdict: Verdict, reason: Option<String>) {
        self.collector.ended(number, verdict, reason);
        progress::ended(verdict);
        self.reporting.test_ended(|| self.collector.test(number));
    }

    fn keep_error(&self, text: &str) {
        if self.runner == Runner::Nextest {
            self.errors.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
        }
    }
}

/// One test of the run: what it runs on, and what it has to itself meanwhile.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) number: Number,
    pub(super) instance: Instance,
    /// Whether it is run, as far as is known before the first test.
    pub(super) runs: bool,
    /// Loaded, if it runs.
    pub(super) lab: Option<Lab>,
    pub(super) holding: Holding,
    pub(super) claims: Vec<Claim>,
}

impl Job {
    /// What it waits for before it begins.
    fn place(&self) -> String {
        match &self.holding {
            Holding::Lab => self.instance.lab.clone().unwrap_or_default(),
            Holding::Hosts(chosen) => chosen.hosts.iter().map(|host| host.id.as_str()).collect::<Vec<_>>().join(" "),
        }
    }

    /// Why it is not run; nothing, if its `#[ignore]` says nothing.
    pub(super) fn why_not(&self) -> Option<String> {
        match &self.instance.ignored {
            Some(Ignored::ByAttribute(reason)) => reason.map(str::to_owned),
            Some(Ignored::NoLab) => Some(self.instance.how_to_select()),
            None => None,
        }
    }
}

/// A test as libtest-mimic runs it.
pub(super) fn trial(job: Job, forced: bool, shared: &Arc<Shared>) -> Trial {
    let (name, kind) = (job.instance.name.clone(), job.instance.lab.clone().unwrap_or_default());
    let ignored = job.instance.ignored.clone();
    // A flag shows no reason, so it is used only where it decides, or where there is none.
    let flagged =
        (ignored.is_some() && (forced || ignored == Some(Ignored::ByAttribute(None)))) || (forced && shared.dry_run);
    let shared = Arc::clone(shared);
    let needs = job.lab.as_ref().filter(|_| !shared.dry_run).map(|lab| Needs::of(job.instance.case, lab.name()));
    Trial::ignorable_test(name, move || {
        let number = job.number;
        let leave = |reason: Option<String>| {
            shared.ended(number, Verdict::Ignored, reason.clone());
            Ok(reason.map_or_else(Completion::ignored, Completion::ignored_with))
        };
        match (&job.instance.ignored, &job.lab) {
            _ if shared.dry_run && job.runs => leave(Some("dry run".to_owned())),
            (Some(_), _) if !forced => leave(job.why_not()),
            (_, Some(lab)) => run_one(&job, lab, needs, &shared),
            _ => {
                let text = format!("no lab is selected for it: {}", job.instance.how_to_select());
                shared.keep_error(&text);
                shared.ended(number, Verdict::Failed, Some(text.clone()));
                Err(Failed::from(text))
            }
        }
    })
    .with_kind(kind)
    .with_ignored_flag(flagged)
}

fn run_one(job: &Job, lab: &Lab, needs: Option<Needs>, shared: &Shared) -> Result<Completion, Failed> {
    let number = job.number;
    let judged = if let Some(fault) = &job.instance.fault {
        let case = job.instance.case;
        let text = format!("{fault}\n\n  the test is at {}:{}", case.file, case.line);
        let failure = Some(Failure { text, shown: false });
        Judged { verdict: Verdict::Failed, reason: Some(fault.clone()), failure }
    } else {
        let stopped = || shared.stopped().is_some();
        let waiting = progress::waiting(&job.place());
        let Some(_permit) = shared.gate.enter(job.claims.clone(), stopped) else {
            let why = shared.stopped().unwrap_or_default();
            shared.ended(number, Verdict::Ignored, Some(why.to_owned()));
            return Ok(Completion::ignored_with(why));
        };
        drop(waiting);
        // Taken before the first test was begun, and dropped before the permit: what is closed then uses the hosts.
        let _needs = needs;
        shared.reporting.test_started(|| shared.collector.test(number));
        shared.policy.run(job.instance.case, stopped, |_| attempt(job, lab.clone(), shared))
    };
    shared.ended(number, judged.verdict, judged.reason.clone());
    match judged.failure {
        None if judged.verdict == Verdict::Skipped => {
            if let (Some(why), Runner::Nextest) = (&judged.reason, shared.runner) {
                // It shows no reason, and calls this a pass.
                eprintln!("otto: test {} was skipped: {why}", job.instance.name);
            }
            Ok(judged.reason.map_or_else(Completion::ignored, Completion::ignored_with))
        }
        None => Ok(Completion::Completed),
        Some(failure) => {
            if shared.policy.fail_fast() {
                shared.stop.store(true, Ordering::Relaxed);
            }
            if !failure.shown {
                shared.keep_error(&failure.text);
            }
            Err(Failed::from(failure.text))
        }
    }
}

/// Runs a test once, with a context of its own.
fn attempt(job: &Job, lab: Lab, shared: &Shared) -> Attempted {
    let (number, instance) = (job.number, &job.instance);
    let lab_name = instance.lab.as_deref().unwrap_or_default();
    let round = shared.collector.runs(number) + 1;
    let output_dir = shared.output_dir.as_deref().map(|dir| output_dir(dir, lab_name, &instance.name, round));
    let (recorder, teller) =
        shared.reporting.attempt(&instance.name, lab_name, usize::try_from(round).unwrap_or(usize::MAX));
    let setting = Setting { output_dir: output_dir.clone(), declared: job.holding.declared(), recorder };
    let rerun = Shared::rerun(shared.runner, instance, shared.as_user.as_deref());
    let (began, since) = (SystemTime::now(), Instant::now());
    let _shown = progress::running(&instance.name, lab_name, &setting.recorder);
    let report = case::run(instance.case, &instance.name, lab, setting, shared.limits);
    let took = since.elapsed();
    let dirt = report.left.running.iter().map(|line| format!("{line} (left by test {})", instance.name));
    shared.dirt.lock().unwrap_or_else(PoisonError::into_inner).extend(dirt);
    let if_failed = Verdict::of_failure(&report.end);
    let is_last = report.end.is_last();
    let (commands, commands_left_out) = report.recorded.for_reports(shared.reporting.keeps_commands());
    let attachments = report.attachments.clone();
    let attempted = Attempted::new(report.judge(instance.case, lab_name, &rerun), if_failed, is_last);
    let attempt = Attempt {
        round,
        began,
        took,
        verdict: attempted.verdict,
        failure: attempted.failure.as_ref().map(|failure| failure.text.clone()),
        output_dir,
        commands,
        commands_left_out,
        attachments,
    };
    Reporting::attempt_ended(teller, &attempt);
    shared.collector.attempted(number, attempt);
    attempted
}

/// The folder of one test inside `--output-dir`, so that tests do not overwrite each other's files.
fn output_dir(dir: &Path, lab: &str, name: &str, attempt: u64) -> PathBuf {
    let own = output::of_test(dir, lab, name);
    // The first stands where one looks for it, also if there are no others.
    if attempt == 1 { own } else { own.join(format!("attempt-{attempt}")) }
}
