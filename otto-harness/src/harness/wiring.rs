//! The only place where the harness touches labs, reservations and contexts.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::argv::Options;
use super::exit::Exit;
use super::holding::host_key;
use super::output;
use super::recorder::Recorder;
use super::runtime::runtime;
use super::selection::{Ignored, Instance, Labs, parts};
use super::signals;
use crate::context::{self, Declared, OfTest, OttoContext};
use crate::error::{Error, ErrorKind, Result};
use crate::lab::{Lab, LabCatalog, ProjectConfig};
use crate::reservations::ReservationGate;

/// The lab that a project has which configures none.
const EMBEDDED: &str = "sim";

/// The project that the tests belong to: its labs, and who may use them.
#[derive(Debug)]
pub(super) struct Project {
    catalog: LabCatalog,
    default_labs: Vec<String>,
    gate: ReservationGate,
    loaded: Mutex<HashMap<String, Lab>>,
    outlines: Mutex<HashMap<String, Outline>>,
}

/// A lab as far as tests choose hosts by it, or why there is none.
pub(super) type Outline = Result<Lab, String>;

/// Why a run does not begin, and the exit code that says so.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) exit: Exit,
    pub(super) text: String,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let exit = match error.kind() {
            ErrorKind::Reservation | ErrorKind::ReservationBackend => Exit::Reservation,
            _ => Exit::Usage,
        };
        Self { exit, text: error.report(colours_on_stderr()) }
    }
}

/// Whether what is written to stderr is for a person who sees colours.
fn colours_on_stderr() -> bool {
    use std::io::IsTerminal;
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

impl Project {
    /// Reads `otto.toml` and the lab files, whose mistakes matter only to those who need them. No host is touched, and no
    /// reservation.
    pub(super) fn discover(options: &Options) -> Result<Self, Refused> {
        let config = ProjectConfig::find()?;
        let gate =
            ReservationGate::new(&config.reservations, options.as_user.as_deref(), options.skip_reservation_check);
        Ok(Self {
            catalog: config.catalog(),
            default_labs: config.default_labs,
            gate,
            loaded: Mutex::default(),
            outlines: Mutex::default(),
        })
    }

    /// The labs to run on: those that were asked for, else those of `otto.toml`, else the built-in ones.
    pub(super) fn choose_labs(&self, options: &Options) -> Result<Labs, Refused> {
        let labs = if options.labs.is_empty() && self.default_labs.is_empty() {
            let sim = cfg!(feature = "sim").then_some(EMBEDDED);
            Labs {
                names: sim.map(str::to_owned).into_iter().collect(),
                explicit: false,
                always: sim.into_iter().chain(["local"]).collect(),
            }
        } else {
            Labs::choose(&options.labs, &self.default_labs)
        };
        labs.names.iter().try_for_each(|lab| self.host_ids(lab).map(drop))?;
        Ok(labs)
    }

    /// The names of all labs, sorted.
    pub(super) fn lab_names(&self) -> Result<Vec<String>, Refused> {
        Ok(self.catalog.names()?)
    }

    /// The ids of the hosts of a lab, in lab order, found without loading it; an error if there is no such lab.
    pub(super) fn host_ids(&self, lab: &str) -> Result<Vec<String>, Refused> {
        Ok(self.catalog.host_ids(lab)?)
    }

    /// The ids and tags of a lab's hosts, found without loading it; looked up once a process.
    pub(super) fn outline(&self, lab: &str) -> Outline {
        let mut outlines = self.outlines.lock().unwrap_or_else(PoisonError::into_inner);
        let known = outlines.entry(lab.to_owned());
        known.or_insert_with(|| self.catalog.outline(lab).map_err(|error| error.chain())).clone()
    }

    /// The hosts that stand in several labs, as claims name them.
    pub(super) fn in_several_labs(&self) -> HashSet<String> {
        self.catalog.in_several_labs().map(|(id, ip)| host_key(id, ip)).collect()
    }

    /// Gives those that are ignored for want of a lab which does not even exist that as their reason, and says it on stderr:
    /// a name that is misspelt in the source must not look like a choice.
    pub(super) fn explain_unknown_labs(&self, instances: &mut [Instance]) {
        for instance in instances.iter_mut().filter(|instance| instance.ignored == Some(Ignored::NoLab)) {
            let Some(lab) = &instance.lab else { continue };
            if let Err(refused) = self.host_ids(lab)
                && let Some(why) = refused.text.lines().next()
            {
                eprintln!("otto: {} is ignored: {why}", instance.full_name());
                instance.unknown_lab = Some(why.to_owned());
            }
        }
    }

    /// The lab of that name, loaded once a process.
    pub(super) fn load(&self, lab: &str) -> Result<Lab, Refused> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let key = parts(lab).join("+");
        if let Some(known) = loaded.get(&key) {
            return Ok(known.clone());
        }
        // A built-in lab may start servers, which are tasks of the runtime.
        let _on_the_runtime = runtime().enter();
        let found = self.catalog.load(lab)?;
        for warning in found.warnings() {
            eprintln!("otto: warning: {warning}");
        }
        loaded.insert(key, found.clone());
        Ok(found)
    }

    /// Whether the user holds what the lab requires. Leaves when a signal comes: the backend may be far away.
    pub(super) fn check_reservations(&self, lab: &Lab) -> Result<(), Refused> {
        runtime().block_on(async {
            tokio::select! {
                biased;
                number = signals::interrupted() => {
                    Err(Refused { exit: Exit::Signal(number), text: "interrupted while checking reservations".to_owned() })
                }
                checked = self.gate.check(lab) => checked.map_err(Refused::from),
            }
        })
    }
}

/// What a test's context is made with.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) output_dir: Option<PathBuf>,
    /// The hosts that it may use, if it said which.
    pub(super) declared: Option<Declared>,
    /// Who is told what runs on the hosts.
    pub(super) recorder: Recorder,
}

/// What the context of a test of that name knows of it.
pub(super) fn of_test(setting: &Setting, lab: &str, name: &str) -> OfTest {
    let folder = match &setting.output_dir {
        Some(folder) => folder.clone(),
        None => output::of_test(output::default(), lab, name),
    };
    OfTest { folder }
}

/// Makes the context of one test. Hosts connect on first use, so nothing is contacted yet.
pub(super) async fn open(lab: Lab, setting: Setting, of_test: OfTest) -> Result<OttoContext> {
    let mut builder =
        context::open_context(lab).declared(setting.declared).watched_by(Arc::new(setting.recorder)).of_test(of_test);
    if let Some(dir) = setting.output_dir {
        builder = builder.output_dir(dir);
    }
    builder.open().await
}

/// Closes every host of a context in that time; the error names those that did not close. Also what may still run on
/// them.
pub(super) async fn close(ctx: OttoContext, limit: Duration) -> (Result<()>, Vec<String>) {
    ctx.close_and_look(limit).await
}

/// Polls `future` with `ctx` as the active context.
pub(super) async fn with_active<F: Future>(ctx: OttoContext, future: F) -> F::Output {
    context::with_active(ctx, future).await
}
