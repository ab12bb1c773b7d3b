//! Opening a context.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::OttoContext;
use super::active::with_active;
use super::declared::Declared;
use super::transcript::Transcript;
use crate::error::{Error, ErrorKind, Result};
use crate::lab::{HostSpec, Lab, LabSelection, ProjectConfig};
use crate::redact::Redactor;
use crate::session::{Audience, Observer};
use crate::unwind;

/// A context for this lab: a name, `"a+b"`, several names, or a [`Lab`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> otto::Result<()> {
/// let uname = otto::open_context("local").with(async |ctx| {
///     otto::get_context()?;                             // inside, it is the active one
///     ctx.get_host("local")?.run("uname").await?.only()
/// }).await?;
/// assert!(uname.is_ok());
///
/// let ctx = otto::open_context("local").dry_run(true).open().await?;      // the same, by hand
/// let result = ctx.get_host("local")?.run("reboot").await?;
/// assert_eq!(result.status, otto::Status::NotRun);
/// ctx.close().await
/// # }
/// ```
pub fn open_context(lab: impl Into<LabSelection>) -> OpenContext {
    OpenContext { lab: lab.into(), search: Vec::new(), settings: Settings::default() }
}

/// A context in the making: what [`open_context`] gives.
#[derive(Debug, Clone)]
#[must_use = "`with` or `open` opens it"]
pub struct OpenContext {
    lab: LabSelection,
    search: Vec<PathBuf>,
    settings: Settings,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    pub(super) dry_run: bool,
    log_command_output: bool,
    pub(super) output_dir: Option<PathBuf>,
    /// The hosts that the test said it uses, if it did.
    pub(super) declared: Option<Declared>,
    watcher: Option<Arc<dyn Watcher>>,
    pub(super) of_test: Option<OfTest>,
}

/// Who watches all hosts of a context for otto itself. See [`Audience::insider`].
pub(crate) trait Watcher: Send + Sync + fmt::Debug {
    /// The observer of this host, which is given everything as it came and shows nothing that this redactor knows.
    fn host(&self, spec: &HostSpec, redactor: &Redactor) -> Arc<dyn Observer>;
}

/// What the harness knows of the test that a context is for.
#[derive(Debug, Clone)]
pub(crate) struct OfTest {
    /// Where its attachments go if there is no output folder. Made when there is one.
    pub(crate) folder: PathBuf,
}

impl Settings {
    /// The same for what belongs to no single test: it may use any host, and no test's record has what it does.
    pub(super) fn without_test(self) -> Self {
        Self { declared: None, watcher: None, of_test: None, ..self }
    }

    /// Who is told what runs on that host.
    pub(super) fn audience(&self, host: &HostSpec, redactor: &Redactor) -> Audience {
        let is_written = self.output_dir.is_some() || self.log_command_output;
        let transcript = || -> Arc<dyn Observer> {
            Arc::new(Transcript::new(&host.id, self.output_dir.clone(), self.log_command_output))
        };
        Audience {
            observer: is_written.then(transcript),
            insider: self.watcher.as_ref().map(|watcher| watcher.host(host, redactor)),
        }
    }
}

impl OpenContext {
    /// A lab file or a folder of them. With none, the project's `otto.toml` says where they are.
    pub fn search_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.search.push(path.into());
        self
    }

    /// Whether nothing is contacted: commands answer [`NotRun`](crate::Status::NotRun), and what they would do is logged.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.settings.dry_run = dry_run;
        self
    }

    /// Whether commands and their output are logged, with `tracing`, target `otto::command`.
    pub fn log_command_output(mut self, log: bool) -> Self {
        self.settings.log_command_output = log;
        self
    }

    /// Writes a transcript of each session into this folder, as `<host>.<session>.log`.
    pub fn output_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.settings.output_dir = Some(folder.into());
        self
    }

    /// With these hosts of the lab and no others.
    pub(crate) fn declared(mut self, declared: Option<Declared>) -> Self {
        self.settings.declared = declared;
        self
    }

    /// Tells it everything that happens on the hosts.
    pub(crate) fn watched_by(mut self, watcher: Arc<dyn Watcher>) -> Self {
        self.settings.watcher = Some(watcher);
        self
    }

    /// For a test, which can be skipped, and whose failed checks the harness reports.
    pub(crate) fn of_test(mut self, test: OfTest) -> Self {
        self.settings.of_test = Some(test);
        self
    }

    /// Opens it. It is then yours to [`close`](OttoContext::close), and is not the active context until
    /// [`set_context`](crate::set_context) makes it that.
    ///
    /// # Errors
    /// If the lab cannot be found or loaded.
    pub async fn open(self) -> Result<OttoContext> {
        let Self { lab, search, settings } = self;
        let lab = match lab {
            LabSelection::Lab(lab) => lab,
            // Files are read, perhaps from far away, and a built-in lab may have to be started.
            names => {
                tokio::task::spawn_blocking(move || load(names, search)).await.unwrap_or_else(|failed| match failed
                    .try_into_panic()
                {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => Err(Error::new(ErrorKind::Interrupted, "the runtime ended while a lab was being loaded")),
                })?
            }
        };
        Ok(OttoContext::new(lab, settings))
    }

    /// Opens it, does `body` with it as the active context, and closes every host on every way out: an answer, an error,
    /// a panic, a future that is dropped.
    ///
    /// # Errors
    /// If the lab cannot be loaded; what the body returns; else, if hosts did not close in time, which; else, if
    /// [checks](OttoContext::expect_that) had failed, those.
    pub async fn with<T, F>(self, body: F) -> Result<T>
    where
        F: AsyncFnOnce(OttoContext) -> Result<T>,
    {
        let ctx = self.open().await?;
        let (scope, checked) = (ctx.scope().clone(), ctx.clone());
        let value = unwind::closing(with_active(ctx.clone(), body(ctx)), move || scope.close()).await?;
        checked.check_checks().map(|()| value)
    }
}

fn load(names: LabSelection, search: Vec<PathBuf>) -> Result<Lab> {
    if search.is_empty() { ProjectConfig::find()?.catalog().load(names) } else { Lab::load(names, search) }
}
