//! A whole run: parse, load the labs, select, check reservations, run.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::hash::BuildHasher;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use libtest_mimic::{Completion, Failed, Trial};

use super::argv::{self, Options};
use super::budget::Limits;
use super::case;
use super::exit::Exit;
use super::gate::Gate;
use super::lab_fixture::{self, Needs};
use super::list;
use super::output;
use super::panic;
use super::registry::TestCase;
use super::report::{self, Fine, Runner};
use super::selection::{self, Ignored, Instance, Labs};
use super::signals;
use super::wiring::{Project, Refused, Setting};
use crate::lab::Lab;

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
    let mut options = argv::parse(arguments, |name| std::env::var(name).ok()).map_err(usage)?;
    if options.help {
        list::print(&argv::help());
        return Ok(Exit::Success);
    }
    for note in &options.notes {
        eprintln!("otto: {note}");
    }
    let project = Project::discover(&options)?;
    let labs = project.choose_labs(&options)?;
    if let Some(text) = listing(&options, &project, &labs)? {
        list::print(&text);
        return Ok(Exit::Success);
    }
    let (mut instances, left_out) = selection::select(&mut cases, &labs);
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

    let loaded = ready(&project, &options, &kept)?;
    let filtered = filtered.len() + left_out;
    Ok(run(&mut options, kept, filtered, &loaded))
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

/// Loads the labs that tests will run on, then checks the reservations of each. Hosts are untouched until all are held.
fn ready(project: &Project, options: &Options, kept: &[Instance]) -> Result<BTreeMap<String, Lab>, Refused> {
    let mut loaded = BTreeMap::new();
    for instance in kept.iter().filter(|instance| will_run(instance, options)) {
        if let Some(name) = instance.lab.as_ref().filter(|name| !loaded.contains_key(*name)) {
            loaded.insert(name.clone(), project.load(name)?);
        }
    }
    if loaded.is_empty() {
        return Ok(loaded);
    }
    signals::listen(false);
    loaded.values().try_for_each(|lab| project.check_reservations(lab))?;
    Ok(loaded)
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

/// What all tests of a run share.
struct Shared {
    gate: Gate,
    /// No test is begun any more: one failed under `--fail-fast`, or nobody reads the results.
    stop: Arc<AtomicBool>,
    fail_fast: bool,
    dry_run: bool,
    output_dir: Option<PathBuf>,
    limits: Limits,
    runner: Runner,
    as_user: Option<String>,
    /// For nextest, which digs the message of a failure out of stderr.
    errors: Mutex<Vec<String>>,
    /// What tests left running on hosts, which concerns those who use the lab next.
    dirt: Mutex<Vec<String>>,
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
}

fn run(options: &mut Options, kept: Vec<Instance>, filtered: usize, loaded: &BTreeMap<String, Lab>) -> Exit {
    let default = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let threads = options.threads.unwrap_or_else(default).get();
    let shared = Arc::new(Shared {
        gate: Gate::new(threads),
        stop: Arc::default(),
        fail_fast: options.fail_fast,
        dry_run: options.dry_run,
        output_dir: options.output_dir.clone(),
        limits: options.limits,
        runner: if report::under_nextest() { Runner::Nextest } else { Runner::Otto },
        as_user: options.as_user.clone(),
        errors: Mutex::default(),
        dirt: Mutex::default(),
    });

    lab_fixture::set_limits(options.limits);
    let forced = forced(options);
    let waiting = kept.len();
    let mut trials: Vec<_> = (0..filtered).map(|_| Trial::test(FILTERED, || Ok(()))).collect();
    trials.extend(kept.into_iter().map(|instance| {
        let lab = instance.lab.as_ref().and_then(|name| loaded.get(name)).cloned();
        let needs =
            lab.as_ref().filter(|_| will_run(&instance, options)).map(|lab| Needs::of(instance.case, lab.name()));
        trial(instance, lab, needs, forced, &shared)
    }));

    let mut mimic = options.mimic.clone();
    mimic.skip = vec![FILTERED.to_owned()];
    mimic.exact = false;
    mimic.bench &= !mimic.test;
    if mimic.format.is_some() {
        mimic.quiet = false;
    }
    // A thread for each test, most of which wait at the gate: tests of one lab must not keep those of another from the
    // workers. With one thread, tests run in order.
    mimic.test_threads = Some(if threads == 1 { 1 } else { waiting.clamp(2, MAX_WAITING) });

    // libtest-mimic panics when nobody reads its output.
    let ended = thread::scope(|scope| {
        let stop = Arc::clone(&shared.stop);
        let printing = thread::Builder::new().name("otto-results".to_owned()).spawn_scoped(scope, move || {
            panic::watch_this_thread(true, Some(stop));
            catch_unwind(AssertUnwindSafe(|| libtest_mimic::run(&mimic, trials)))
        });
        printing.map(thread::ScopedJoinHandle::join)
    });
    for error in shared.errors.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        eprintln!("Error: {error}");
    }
    let of_labs = lab_fixture::take_failures();
    for error in &of_labs {
        eprintln!("Error: {error}");
    }
    for (number, line) in shared.dirt.lock().unwrap_or_else(PoisonError::into_inner).iter().enumerate() {
        if number == 0 {
            eprintln!("otto: hosts are dirty, because something may still run on them:");
        }
        eprintln!("  {line}");
    }
    if let Some(number) = signals::received() {
        return Exit::Signal(number);
    }
    match ended {
        Ok(Ok(Ok(conclusion))) if !conclusion.has_failed() && of_labs.is_empty() => Exit::Success,
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

fn trial(instance: Instance, lab: Option<Lab>, needs: Option<Needs>, forced: bool, shared: &Arc<Shared>) -> Trial {
    let (name, kind) = (instance.name.clone(), instance.lab.clone().unwrap_or_default());
    let ignored = instance.ignored.clone();
    // A flag shows no reason, so it is used only where it decides, or where there is none.
    let flagged = ignored.is_some() && (forced || ignored == Some(Ignored::ByAttribute(None)));
    let shared = Arc::clone(shared);
    Trial::ignorable_test(name, move || match (&instance.ignored, lab) {
        (Some(Ignored::ByAttribute(reason)), _) if !forced => {
            Ok(reason.map_or_else(Completion::ignored, Completion::ignored_with))
        }
        (Some(Ignored::NoLab), _) if !forced => Ok(Completion::ignored_with(instance.how_to_select())),
        (_, Some(lab)) => run_one(&instance, lab, needs, &shared),
        _ => {
            let text = format!("no lab is selected for it: {}", instance.how_to_select());
            shared
                .errors
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend((shared.runner == Runner::Nextest).then(|| text.clone()));
            Err(Failed::from(text))
        }
    })
    .with_kind(kind)
    .with_ignored_flag(flagged)
}

fn run_one(instance: &Instance, lab: Lab, needs: Option<Needs>, shared: &Shared) -> Result<Completion, Failed> {
    let lab_name = instance.lab.as_deref().unwrap_or_default();
    let Some(_permit) = shared.gate.enter(lab_name, || shared.stopped().is_some()) else {
        return Ok(Completion::ignored_with(shared.stopped().unwrap_or_default()));
    };
    // Dropped before the permit: what is closed then uses the devices of the lab.
    let _needs = needs;
    let setting = Setting {
        dry_run: shared.dry_run,
        output_dir: shared.output_dir.as_deref().map(|dir| output::of_test(dir, lab_name, &instance.name)),
    };
    let rerun = report::rerun(
        shared.runner,
        instance.case,
        (&instance.name, &instance.full_name()),
        lab_name,
        shared.as_user.as_deref(),
    );
    let report = case::run(instance.case, &instance.name, lab, setting, shared.limits);
    let dirt = report.left.running.iter().map(|line| format!("{line} (left by test {})", instance.name));
    shared.dirt.lock().unwrap_or_else(PoisonError::into_inner).extend(dirt);
    let judged = report.judge(instance.case, lab_name, &rerun);
    if let (Ok(Fine::Skipped(why)), Runner::Nextest) = (&judged, shared.runner) {
        // It shows no reason, and calls this a pass.
        eprintln!("otto: test {} was skipped: {why}", instance.name);
    }
    judged.map(Completion::from).map_err(|failure| {
        if shared.fail_fast {
            shared.stop.store(true, Ordering::Relaxed);
        }
        if shared.runner == Runner::Nextest && !failure.shown {
            shared.errors.lock().unwrap_or_else(PoisonError::into_inner).push(failure.text.clone());
        }
        Failed::from(failure.text)
    })
}

impl From<Fine> for Completion {
    fn from(fine: Fine) -> Self {
        match fine {
            Fine::Passed => Self::Completed,
            Fine::Skipped(why) => Self::ignored_with(why),
        }
    }
}
