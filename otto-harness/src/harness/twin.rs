//! Tests under libtest, because their binary does not say `harness = false`, or because they stand in `src/`.
//!
//! `#[otto::test]` expands to a plain `#[test]` as well, which rustc keeps only when libtest is there. It calls
//! [`run_under_libtest`], which runs the registered test as the runner would. libtest knows no labs, so they are
//! selected by `OTTO_LAB` or `otto.toml` alone.

use std::collections::{HashMap, HashSet};
use std::panic::resume_unwind;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use super::argv::{self, Options};
use super::attempts::{Attempted, Policy};
use super::case;
use super::gate::Gate;
use super::holding::Holding;
use super::lab_fixture::{self, Needs};
use super::output;
use super::record::Verdict;
use super::recorder::Recorder;
use super::registry::TestCase;
use super::report::{self, Runner};
use super::selection::{self, Ignored, Labs};
use super::signals::{self, Running};
use super::wiring::{Project, Setting};

/// What all tests of the process share.
#[derive(Debug)]
struct Process {
    options: Options,
    project: Project,
    labs: Labs,
    gate: Gate,
    policy: Policy,
    /// The hosts that stand in several labs.
    in_several: HashSet<String>,
    /// What the check of each lab said.
    checked: Mutex<HashMap<String, Result<(), String>>>,
}

fn process() -> Result<&'static Process, String> {
    static PROCESS: OnceLock<Result<Process, String>> = OnceLock::new();
    PROCESS
        .get_or_init(|| {
            let options = argv::parse([], argv::variable)?;
            let project = Project::discover(&options).map_err(|refused| refused.text)?;
            let labs = project.choose_labs(&options).map_err(|refused| refused.text)?;
            lab_fixture::set_limits(options.limits);
            // libtest has its own `--test-threads`, so only the labs are kept apart here.
            let (policy, in_several) = (Policy::of(&options, Runner::Libtest), project.in_several_labs());
            let (gate, checked) = (Gate::new(usize::MAX), Mutex::default());
            Ok(Process { options, project, labs, gate, policy, in_several, checked })
        })
        .as_ref()
        .map_err(Clone::clone)
}

/// Runs the registered test of that module and name on every selected lab that it is for.
///
/// # Panics
/// If it fails, with the text of its failure; also if no lab is selected for it, as a test that was not run has not
/// passed.
pub fn run_under_libtest(module: &str, name: &str) {
    let running = Running::begin();
    let ended = run(module, name);
    if let Err(text) = &ended {
        eprintln!("{text}");
    }
    drop(running);
    if signals::received().is_some() {
        // The process ends when the last test is here, with the code of the signal; libtest would end it with its own.
        loop {
            thread::park();
        }
    }
    if let Err(text) = ended {
        // The text has been shown, and a second place, inside otto, would only hide the first.
        resume_unwind(Box::new(text));
    }
}

fn run(module: &str, name: &str) -> Result<(), String> {
    let case = inventory::iter::<TestCase>
        .into_iter()
        .find(|case| case.module == module && case.name == name)
        .ok_or_else(|| format!("no test {module}::{name} is registered"))?;
    let process = process()?;
    let (instances, _) = selection::select(&mut [case], &process.labs, &|lab| process.project.outline(lab));
    let runnable: Vec<_> = instances.iter().filter(|instance| instance.ignored != Some(Ignored::NoLab)).collect();
    if runnable.is_empty() {
        let lab = case.labs.first().copied().unwrap_or("NAME");
        return Err(format!(
            "this test is for lab {}, which is not selected; select with OTTO_LAB={lab}\n  \
             hint: with `harness = false` in its [[test]] section and `otto::main!();` it is ignored instead, and --lab works",
            if case.labs.is_empty() { "NAME".to_owned() } else { case.labs.join(" or ") }
        ));
    }
    signals::listen(true);
    let mut failures = Vec::new();
    for instance in runnable {
        let Some(lab) = &instance.lab else { continue };
        if let Some(fault) = &instance.fault {
            failures.push(fault.clone());
            continue;
        }
        if process.options.dry_run {
            return Err("nothing is run in a dry run, and libtest would call that passed\n  \
                        hint: with `harness = false` in its [[test]] section and `otto::main!();` the plan is shown"
                .to_owned());
        }
        let loaded = process.ready(lab)?;
        let holding = match Holding::choose(case, instance.host.as_deref(), &loaded) {
            Ok(holding) => holding,
            Err(fault) => {
                failures.push(fault);
                continue;
            }
        };
        let claims = holding.claims(&loaded, &process.in_several);
        let interrupted = || signals::received().is_some();
        let Some(_permit) = process.gate.enter(claims, interrupted) else {
            return Err("interrupted before it began".to_owned());
        };
        // libtest names this thread after the test, `r#` included, unless it runs all tests on the main one.
        let thread = thread::current();
        let own_name = thread.name().filter(|name| *name != "main").unwrap_or(&instance.name);
        let options = &process.options;
        // libtest does not say which tests it runs, so this one is the last that is known of.
        let needs = Needs::of(case, loaded.name());
        let rerun =
            report::rerun(Runner::Libtest, case, (own_name, &instance.full_name()), lab, options.as_user.as_deref());
        let judged = process.policy.run(case, interrupted, |_| {
            let setting = Setting {
                output_dir: options.output_dir.as_deref().map(|dir| output::of_test(dir, lab, &instance.name)),
                declared: holding.declared(),
                recorder: Recorder::default(),
            };
            let report = case::run(case, own_name, loaded.clone(), setting, options.limits);
            let (if_failed, is_last) = (Verdict::of_failure(&report.end), report.end.is_last());
            Attempted::new(report.judge(case, lab, &rerun), if_failed, is_last)
        });
        match (judged.failure, judged.verdict, judged.reason) {
            (Some(failure), ..) => failures.push(failure.text),
            (None, Verdict::Flaky, Some(reason)) => eprintln!("otto: test {own_name} is flaky: {reason}"),
            // libtest cannot be told at run time that a test is ignored.
            (None, Verdict::Skipped, Some(why)) => eprintln!("otto: test {own_name} was skipped: {why}"),
            (None, ..) => {}
        }
        drop(needs);
        failures.extend(lab_fixture::take_failures());
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n\n")) }
}

impl Process {
    /// The lab, once its reservations have been checked.
    fn ready(&self, lab: &str) -> Result<crate::lab::Lab, String> {
        let loaded = self.project.load(lab).map_err(|refused| refused.text)?;
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = checked
            .entry(lab.to_owned())
            .or_insert_with(|| self.project.check_reservations(&loaded).map_err(|refused| refused.text));
        answer.clone().map(|()| loaded)
    }
}
