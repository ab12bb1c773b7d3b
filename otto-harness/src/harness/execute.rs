//! One test of a run: whether it is begun, its attempts, and what they come to.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use libtest_mimic::{Completion, Failed, Trial};

use super::case;
use super::collector::{Collector, Number};
use super::gate::Gate;
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
    pub(super) fail_fast: bool,
    pub(super) dry_run: bool,
    pub(super) output_dir: Option<PathBuf>,
    pub(super) timeout: Option<Duration>,
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
        self.reporting.test_ended(|| self.collector.test(number));
    }

    fn keep_error(&self, text: &str) {
        if self.runner == Runner::Nextest {
            self.errors.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
        }
    }
}

/// A test as libtest-mimic runs it.
pub(super) fn trial(number: Number, instance: Instance, lab: Option<Lab>, forced: bool, shared: &Arc<Shared>) -> Trial {
    let (name, kind) = (instance.name.clone(), instance.lab.clone().unwrap_or_default());
    let ignored = instance.ignored.clone();
    // A flag shows no reason, so it is used only where it decides, or where there is none.
    let flagged = ignored.is_some() && (forced || ignored == Some(Ignored::ByAttribute(None)));
    let shared = Arc::clone(shared);
    Trial::ignorable_test(name, move || {
        let leave = |reason: Option<String>| {
            shared.ended(number, Verdict::Ignored, reason.clone());
            Ok(reason.map_or_else(Completion::ignored, Completion::ignored_with))
        };
        match (&instance.ignored, lab) {
            (Some(Ignored::ByAttribute(reason)), _) if !forced => leave(reason.map(str::to_owned)),
            (Some(Ignored::NoLab), _) if !forced => leave(Some(instance.how_to_select())),
            (_, Some(lab)) => run_one(number, &instance, &lab, &shared),
            _ => {
                let text = format!("no lab is selected for it: {}", instance.how_to_select());
                shared.keep_error(&text);
                shared.ended(number, Verdict::Failed, Some(text.clone()));
                Err(Failed::from(text))
            }
        }
    })
    .with_kind(kind)
    .with_ignored_flag(flagged)
}

fn run_one(number: Number, instance: &Instance, lab: &Lab, shared: &Shared) -> Result<Completion, Failed> {
    let lab_name = instance.lab.as_deref().unwrap_or_default();
    let Some(_permit) = shared.gate.enter(lab_name, || shared.stopped().is_some()) else {
        let why = shared.stopped().unwrap_or_default();
        shared.ended(number, Verdict::Ignored, Some(why.to_owned()));
        return Ok(Completion::ignored_with(why));
    };
    shared.reporting.test_started(|| shared.collector.test(number));
    let (verdict, ended) = attempt(number, instance, lab.clone(), shared);
    shared.ended(number, verdict, None);
    ended.map(|()| Completion::Completed).map_err(|failure| {
        if shared.fail_fast {
            shared.stop.store(true, Ordering::Relaxed);
        }
        if !failure.shown {
            shared.keep_error(&failure.text);
        }
        Failed::from(failure.text)
    })
}

/// Runs a test once, with a context of its own.
fn attempt(number: Number, instance: &Instance, lab: Lab, shared: &Shared) -> (Verdict, Result<(), Failure>) {
    let lab_name = instance.lab.as_deref().unwrap_or_default();
    let output_dir = shared.output_dir.as_deref().map(|dir| output_dir(dir, lab_name, &instance.name));
    let round = shared.collector.attempts(number) + 1;
    let (recorder, teller) = shared.reporting.attempt(&instance.name, lab_name, round);
    let setting = Setting { dry_run: shared.dry_run, output_dir: output_dir.clone(), recorder };
    let rerun = Shared::rerun(shared.runner, instance, shared.as_user.as_deref());
    let (began, since) = (SystemTime::now(), Instant::now());
    let report = case::run(instance.case, &instance.name, lab, setting, shared.timeout);
    let took = since.elapsed();
    let dirt = report.left.running.iter().map(|line| format!("{line} (left by test {})", instance.name));
    shared.dirt.lock().unwrap_or_else(PoisonError::into_inner).extend(dirt);
    let if_failed = Verdict::of_failure(&report.end);
    let (commands, commands_left_out) = report.recorded.for_reports(shared.reporting.keeps_commands());
    let ended = report.judge(instance.case, lab_name, &rerun);
    let verdict = if ended.is_ok() { Verdict::Passed } else { if_failed };
    let failure = ended.as_ref().err().map(|failure| failure.text.clone());
    let attachments = Vec::new();
    let attempt =
        Attempt { began, took, verdict, failure, output_dir, commands, commands_left_out, attachments };
    Reporting::attempt_ended(teller, &attempt);
    shared.collector.attempted(number, attempt);
    (verdict, ended)
}

/// The folder of one test inside `--output-dir`, so that tests do not overwrite each other's files.
fn output_dir(dir: &Path, lab: &str, name: &str) -> PathBuf {
    let safe = |name: &str| name.replace("::", ".").replace(['/', '\0'], "_");
    dir.join(safe(lab)).join(safe(name))
}
