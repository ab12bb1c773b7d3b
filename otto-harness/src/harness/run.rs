//! A whole run: parse, load the labs, select, check reservations, run.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::hash::BuildHasher;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use libtest_mimic::{Conclusion, FormatSetting, Trial};

use super::argv::{self, Options};
use super::attempts::{self, Policy};
use super::collector::Collector;
use super::execute::{self, Job, Shared};
use super::exit::Exit;
use super::gate::Gate;
use super::holding::{FREE_LABS, Holding};
use super::lab_fixture;
use super::list;
use super::panic;
use super::plan;
use super::progress::Showing;
use super::registry::TestCase;
use super::report::{self, Runner};
use super::reports::Reporting;
use super::selection::{self, Ignored, Instance, Labs};
use super::signals;
use super::wiring::{Project, Refused};
use crate::lab::Lab;
use crate::lab::diagnose::did_you_mean;
use crate::reservations::TestLeases;

/// The name of what stands for a test that was filtered out, so that libtest-mimic counts it. No test is called that.
const FILTERED: &str = "\0";

/// More tests than this never wait at once; a thread that waits costs little, but not nothing.
const MAX_WAITING: usize = 256;

/// Runs the registered tests as these arguments say.
pub(super) fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let cases = inventory::iter::<TestCase>.into_iter().collect();
    match begin(arguments, cases) {
        Ok(exit) => exit,
        Err(Refused { exit, text }) => {
            eprintln!("error: {text}");
            exit
        }
    }
}

fn usage(text: impl Into<String>) -> Refused {
    Refused { exit: Exit::Usage, text: text.into() }
}

fn begin(arguments: impl IntoIterator<Item = OsString>, mut cases: Vec<&'static TestCase>) -> Result<Exit, Refused> {
    let options = argv::parse(arguments, argv::variable).map_err(usage)?;
    if options.help {
        list::print(&argv::help());
        return Ok(Exit::Success);
    }
    for note in &options.notes {
        eprintln!("otto: {note}");
    }
    if options.lab_schema {
        // Of use above all where the lab files have mistakes, so they are not read.
        list::print(&crate::lab::json_schema());
        return Ok(Exit::Success);
    }
    let project = Project::discover(&options)?;
    let labs = project.choose_labs(&options)?;
    if let Some(text) = listing(&options, &project, &labs)? {
        list::print(&text);
        return Ok(Exit::Success);
    }
    note_unknown_tags(&options, &cases);
    let (mut instances, left_out) = selection::select(&mut cases, &labs, &|lab| project.outline(lab));
    if let Some(text) = selection::same_names(&instances) {
        return Err(usage(text));
    }
    if options.mimic.list {
        list::print(&list::tests(&instances, &options));
        return Ok(Exit::Success);
    }
    project.explain_unknown_labs(&mut instances);
    if cases.is_empty() {
        return Err(Refused { exit: Exit::Failed, text: NO_TESTS.to_owned() });
    }
    if left_out > 0 && instances.is_empty() {
        eprintln!("otto: no test of this binary is for lab {}", labs.names.join(" or "));
    }
    if options.shuffle {
        let seed = options.seed.unwrap_or_else(|| RandomState::new().hash_one(std::process::id()));
        eprintln!("otto: shuffled with --shuffle-seed {seed}");
        selection::shuffle(&mut instances, seed);
    }
    let (kept, filtered) = instances.into_iter().partition::<Vec<_>, _>(|one| !one.is_filtered_out(&options));
    if report::under_nextest() && options.mimic.exact && kept.len() != 1 {
        return Err(Refused {
            exit: Exit::Failed,
            text: format!("nextest asked for one test, and {} fit: {:?}", kept.len(), options.filters),
        });
    }
    if let Some(path) = &options.mimic.logfile {
        fs::File::create(path).map_err(|error| usage(format!("cannot write --logfile {path}: {error}")))?;
    }

    let (jobs, leases) = ready(&project, &options, kept)?;
    let filtered = filtered.len() + left_out;
    Ok(run(&options, jobs, leases, filtered))
}

/// A tag that no test has selects nothing, or leaves out nothing: it may be misspelt, or for the tests of another binary.
fn note_unknown_tags(options: &Options, cases: &[&'static TestCase]) {
    let known: BTreeSet<&str> = cases.iter().flat_map(|case| case.tags).copied().collect();
    let asked = options.tags.iter().chain(&options.without_tags);
    for tag in asked.filter(|tag| !options.mimic.list && !known.contains(&***tag)) {
        let near = did_you_mean(tag, known.iter().copied());
        eprintln!("otto: no test of this binary has the tag `{tag}`{near}");
    }
}

const NO_TESTS: &str = "no test is registered in this binary
  hint: write one beside `otto::main!();`:

      #[otto::test]
      async fn answers(ctx: otto::OttoContext) -> otto::Result<()> { … }

  Tests of a library are linked only if it is named: `otto::main!(my_suite);`";

/// What `--list-labs` and `--list-hosts` print; `None` if neither was asked for, or `--list` was, whose output is a
/// protocol.
fn listing(options: &Options, project: &Project, labs: &Labs) -> Result<Option<String>, Refused> {
    if options.mimic.list || !(options.list_labs || options.list_hosts) {
        return Ok(None);
    }
    let mut text = String::new();
    if options.list_labs {
        for lab in project.lab_names()? {
            let _ = writeln!(text, "{lab}");
        }
    }
    if options.list_hosts {
        for lab in &labs.names {
            for host in project.host_ids(lab)? {
                let _ = writeln!(text, "{lab}\t{host}");
            }
        }
    }
    Ok(Some(text))
}

/// Loads the labs that tests will run on, chooses their hosts, then checks the reservations of each lab. Hosts are untouched
/// until all are held. With what the tests hold while they run, if that is configured.
fn ready(project: &Project, options: &Options, kept: Vec<Instance>) -> Result<(Vec<Job>, Option<TestLeases>), Refused> {
    let in_several = project.in_several_labs();
    let mut loaded: BTreeMap<String, Lab> = BTreeMap::new();
    let mut jobs = Vec::with_capacity(kept.len());
    for (number, mut instance) in kept.into_iter().enumerate() {
        let name = instance.lab.clone().filter(|_| will_run(&instance, options));
        let Some(name) = name else {
            let (lab, holding, claims) = (None, Holding::Lab, Vec::new());
            jobs.push(Job { number, instance, runs: false, lab, holding, claims });
            continue;
        };
        let lab = if let Some(lab) = loaded.get(&name) {
            lab.clone()
        } else {
            // Nothing is started for a plan; what a lab file says has to be right in a plan as well.
            let is_free = selection::parts(&name).iter().all(|part| FREE_LABS.contains(part));
            let lab = if options.dry_run && is_free {
                project.outline(&name).map_err(usage)?
            } else {
                project.load(&name)?
            };
            loaded.insert(name.clone(), lab.clone());
            lab
        };
        let mut holding = Holding::Lab;
        if instance.fault.is_none() {
            match Holding::choose(instance.case, instance.host.as_deref(), &lab) {
                Ok(chosen) => holding = chosen,
                Err(fault) => instance.fault = Some(fault),
            }
        }
        let claims = if instance.fault.is_none() { holding.claims(&lab, &in_several) } else { Vec::new() };
        jobs.push(Job { number, instance, runs: true, lab: Some(lab), holding, claims });
    }
    if loaded.is_empty() || options.dry_run {
        return Ok((jobs, None));
    }
    signals::listen(false);
    loaded.values().try_for_each(|lab| project.check_reservations(lab))?;
    Ok((jobs, project.leases(options)?))
}

fn forced(options: &Options) -> bool {
    options.mimic.ignored || options.mimic.include_ignored
}

fn will_run(instance: &Instance, options: &Options) -> bool {
    let benches_only = options.mimic.bench && !options.mimic.test;
    !benches_only
        && match instance.ignored {
            None => true,
            Some(Ignored::ByAttribute(_)) => forced(options),
            Some(Ignored::NoLab) => false,
        }
}

fn run(options: &Options, jobs: Vec<Job>, leases: Option<TestLeases>, filtered: usize) -> Exit {
    let default = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let threads = options.threads.unwrap_or_else(default).get();
    let runner = if report::under_nextest() { Runner::Nextest } else { Runner::Otto };
    let policy = Policy::of(options, runner);
    if options.dry_run {
        show(&plan::plan(&jobs, threads, &policy, options.limits), options);
    }
    let output_dir = options.output_dir.clone().map(writable);
    let unwritten: Vec<String> = output_dir.iter().filter_map(|dir| dir.as_ref().err().cloned()).collect();
    for trouble in &unwritten {
        eprintln!("otto: {trouble}; the tests run all the same, and the run fails");
    }
    let rerun = |instance: &Instance| Shared::rerun(runner, instance, options.as_user.as_deref());
    let collector = Collector::new(options, &jobs, filtered, rerun);
    let shared = Arc::new(Shared {
        gate: Gate::new(threads),
        leases,
        reporting: Reporting::open(options, &collector.finish()),
        collector,
        stop: Arc::default(),
        policy,
        dry_run: options.dry_run,
        output_dir: output_dir.and_then(Result::ok),
        limits: options.limits,
        runner,
        as_user: options.as_user.clone(),
        errors: Mutex::default(),
        dirt: Mutex::default(),
    });

    let mut mimic = options.mimic.clone();
    mimic.skip = vec![FILTERED.to_owned()];
    mimic.exact = false;
    mimic.bench &= !mimic.test;
    if mimic.format.is_some() {
        mimic.quiet = false;
    }
    // With one thread, tests run in order. Those that wait for hosts must not keep others from the workers, so there is one
    // for each; those that wait for nothing need no more than may run at once.
    let waiting = if jobs.iter().all(|job| job.claims.is_empty()) { threads } else { jobs.len() };
    mimic.test_threads = Some(if threads == 1 { 1 } else { waiting.clamp(2, MAX_WAITING) });
    lab_fixture::set_limits(options.limits);
    let forced = forced(options);
    let tests = jobs.len();
    let mut trials: Vec<_> = (0..filtered).map(|_| Trial::test(FILTERED, || Ok(()))).collect();
    trials.extend(jobs.into_iter().map(|job| execute::trial(job, forced, &shared)));

    let showing = Showing::begin(options, tests);
    // libtest-mimic panics when nobody reads its output.
    let ended = thread::scope(|scope| {
        let stop = Arc::clone(&shared.stop);
        let printing = thread::Builder::new().name("otto-results".to_owned()).spawn_scoped(scope, move || {
            panic::watch_this_thread(true, Some(stop));
            catch_unwind(AssertUnwindSafe(|| libtest_mimic::run(&mimic, trials)))
        });
        printing.map(thread::ScopedJoinHandle::join)
    });
    drop(showing);
    for error in shared.errors.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        eprintln!("Error: {error}");
    }
    for (number, line) in shared.dirt.lock().unwrap_or_else(PoisonError::into_inner).iter().enumerate() {
        if number == 0 {
            eprintln!("otto: hosts are dirty, because something may still run on them:");
        }
        eprintln!("  {line}");
    }
    if shared.policy.iterates() {
        eprint!("{}", attempts::stability(&shared.collector.finish()));
    }
    // They failed the run, and no test of it.
    let of_labs = lab_fixture::take_failures();
    for error in &of_labs {
        eprintln!("Error: {error}");
    }
    let exit = exit(ended, unwritten.is_empty() && of_labs.is_empty());
    // What was asked for and is not there is a failure: CI would look at an old report.
    let written = shared.reporting.finish(&shared.collector.finish(), exit.code());
    if !written && exit == Exit::Success { Exit::Failed } else { exit }
}

/// What libtest-mimic said in the end: nothing if its thread did not start, or panicked because nobody reads it.
type Printed = io::Result<thread::Result<thread::Result<Conclusion>>>;

fn exit(ended: Printed, is_written: bool) -> Exit {
    if let Some(number) = signals::received() {
        return Exit::Signal(number);
    }
    match ended {
        Ok(Ok(Ok(conclusion))) if !conclusion.has_failed() && is_written => Exit::Success,
        Ok(Ok(Ok(_))) => Exit::Failed,
        Ok(_) => {
            eprintln!("error: the results cannot be written: {}", io::Error::from(io::ErrorKind::BrokenPipe));
            Exit::Failed
        }
        Err(error) => {
            eprintln!("error: cannot start a thread: {error}");
            Exit::Failed
        }
    }
}

/// Shows a text that is not of the tests' results, which with `--format json` are all that stdout has.
fn show(text: &str, options: &Options) {
    match options.mimic.format {
        Some(FormatSetting::Json) => eprint!("{text}"),
        _ => list::print(text),
    }
}

/// The folder, made if it is not there; what is wrong if nothing can be written into it.
fn writable(dir: PathBuf) -> Result<PathBuf, String> {
    let tried = fs::create_dir_all(&dir).and_then(|()| tempfile::tempfile_in(&dir).map(drop));
    tried.map_err(|error| format!("cannot write into --output-dir {}: {error}", dir.display())).map(|()| dir)
}
