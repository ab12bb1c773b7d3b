//! Files to be put or got, put together word by word and then awaited: [`TransferRun`].

use std::fmt;
use std::future::IntoFuture;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval, sleep_until};

use crate::command::{IntoLimit, Limit};
use crate::crowd::Crowd;
use crate::error::{Error, ErrorKind, Result};
use crate::result::Status;
use crate::transport::BoxFuture;

use super::copying::{Copying, Manner};
use super::files::{Fault, Files, Outcome, shown};
use super::local::LocalFiles;
use super::plan::{Item, Plan, plan, side_by_side};
use super::progress::{Meter, Progress};
use super::results::{TransferResult, TransferResults};
use super::{FileService, Transfer};

type OnProgress<'a> = Box<dyn FnMut(&Progress) + Send + 'a>;

/// How often a callback is called at the most.
const TICK: Duration = Duration::from_millis(100);

/// What names one path or several: text, a [`Path`], an array, a slice or a [`Vec`] of them.
pub trait IntoPaths {
    /// The paths.
    fn into_paths(self) -> Vec<PathBuf>;
}

macro_rules! one_path {
    ($($type:ty),*) => {$(
        impl IntoPaths for $type {
            fn into_paths(self) -> Vec<PathBuf> {
                vec![PathBuf::from(self)]
            }
        }
    )*};
}
one_path!(&str, String, &String, &Path, PathBuf, &PathBuf, std::ffi::OsString);

impl<P: AsRef<Path>, const N: usize> IntoPaths for [P; N] {
    fn into_paths(self) -> Vec<PathBuf> {
        self.iter().map(|path| path.as_ref().to_owned()).collect()
    }
}

impl<P: AsRef<Path>> IntoPaths for &[P] {
    fn into_paths(self) -> Vec<PathBuf> {
        self.iter().map(|path| path.as_ref().to_owned()).collect()
    }
}

impl<P: AsRef<Path>> IntoPaths for Vec<P> {
    fn into_paths(self) -> Vec<PathBuf> {
        self.as_slice().into_paths()
    }
}

impl<P: AsRef<Path>> IntoPaths for &Vec<P> {
    fn into_paths(self) -> Vec<PathBuf> {
        self.as_slice().into_paths()
    }
}

/// Files on their way to a host or from it: what [`Host::put`](crate::Host::put) and [`Host::get`](crate::Host::get) make.
/// Await it.
///
/// * Sources are files, folders (with all that is in them), or patterns (`*`, `?`, `[a-z]`, `**`). A path that a file has is
///   no pattern. Links are followed; one that leads back to where it is in is a failure of its own.
/// * They go *into* `dest` if that is a folder, ends in `/`, or if there are several sources; else the source *becomes*
///   `dest`, as with `cp -r`. Folders that are missing are made, and those that are there are kept and added to.
/// * Paths of the host that are not absolute begin in the folder that its login begins in; those of this machine in that of
///   the process.
/// * Each file is written under a temporary name beside its target, its size (with [`checksum`](Self::checksum) all of it) is
///   looked at, and then it is renamed. So whatever happens, under its name is the old file or the new one. The temporary
///   file of a transfer that failed or was dropped is removed, if need be over a new connection, in the background.
/// * A file has the permission bits of its source (`rwx`), whatever the umask is, unless [`mode`](Self::mode) says others.
///
/// Awaiting gives `Err` only when nothing was copied: the host cannot be reached or was closed, `dest` cannot be a folder. How
/// each file fared is in the [`TransferResults`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> otto::Result<()> {
/// # let folder = std::env::temp_dir().join(format!("otto-doc-put-{}", std::process::id()));
/// # let host = otto::Host::local();
/// # host.fs().create_dir_all(&folder).await?;
/// std::fs::write(folder.join("firmware.bin"), [7; 1000]).unwrap();
/// let results = host.put(folder.join("firmware.bin"), folder.join("copy")).mode(0o755).await?.ok()?;
/// assert_eq!(results.bytes(), 1000);
/// let about = host.fs().metadata(folder.join("copy")).await?;
/// assert_eq!((about.len(), about.mode()), (1000, 0o755));
/// # host.fs().remove_dir_all(&folder).await?;
/// # host.close().await
/// # }
/// ```
#[must_use = "nothing is copied until it is awaited"]
pub struct TransferRun<'a> {
    service: Arc<FileService>,
    to_host: bool,
    sources: Vec<PathBuf>,
    dest: PathBuf,
    wanted: Option<Transfer>,
    manner: Manner,
    limit: Option<Result<Limit>>,
    on_progress: Option<OnProgress<'a>>,
}

impl<'a> TransferRun<'a> {
    pub(crate) fn new(service: Arc<FileService>, to_host: bool, sources: Vec<PathBuf>, dest: &Path) -> Self {
        let dest = dest.to_owned();
        let manner = Manner::default();
        Self { service, to_host, sources, dest, wanted: None, manner, limit: None, on_progress: None }
    }

    /// What to go over, instead of the best that the host has.
    pub fn backend(mut self, transfer: Transfer) -> Self {
        self.wanted = Some(transfer);
        self
    }

    /// The permission bits of the files, such as `0o755`, instead of those of the sources. Folders keep theirs.
    pub fn mode(mut self, mode: u32) -> Self {
        self.manner.mode = Some(mode);
        self
    }

    /// Whether files and folders keep the time of their last change, in whole seconds. They do not, unless asked to.
    pub fn preserve_times(mut self, yes: bool) -> Self {
        self.manner.times = yes;
        self
    }

    /// Whether a file that was cut off by a transfer of before is gone on with. Such a transfer has to have been one with
    /// `resume(true)` too: it leaves its temporary file behind when it fails, for this. The source must have the same
    /// path, size and time as then. The whole is compared by SHA-256 in the end.
    pub fn resume(mut self, yes: bool) -> Self {
        self.manner.resume = yes;
        self
    }

    /// Whether both sides are compared by SHA-256 before a file gets its name: by the host's `sha256sum`, else by fetching
    /// it. Over a line that can lose characters (telnet, serial) it is done wherever there is a `sha256sum`.
    pub fn checksum(mut self, yes: bool) -> Self {
        self.manner.checksum = yes;
        self
    }

    /// How long all of it may take; there is no limit otherwise. When it has passed, files that are not done have an error
    /// of kind [`Timeout`](ErrorKind::Timeout), and those not begun are [`NotRun`](Status::NotRun). Without a limit, a host
    /// that does not answer for a minute is an error all the same.
    pub fn timeout(mut self, limit: impl IntoLimit) -> Self {
        self.limit = Some(limit.into_limit());
        self
    }

    /// Called with how far it has come: when it begins, ten times a second at the most, and when it ends. It may borrow.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> otto::Result<()> {
    /// # let host = otto::Host::local();
    /// # let target = std::env::temp_dir().join(format!("otto-doc-progress-{}", std::process::id()));
    /// let mut last = (0, 0);
    /// host.put("/bin/sh", &target).on_progress(|p| last = (p.bytes, p.total)).await?.ok()?;
    /// assert!(last.0 > 0 && last.0 == last.1);
    /// # host.fs().remove(&target).await?;
    /// # host.close().await
    /// # }
    /// ```
    pub fn on_progress(mut self, seen: impl FnMut(&Progress) + Send + 'a) -> Self {
        self.on_progress = Some(Box::new(seen));
        self
    }

    /// With a bar on the error stream, if that is a terminal.
    #[cfg(feature = "progress")]
    pub fn bar(self) -> Self {
        let mut bar = super::bar::Bar::new(if self.to_host { "put" } else { "get" }, self.service.sessions().host());
        self.on_progress(move |progress| bar.show(progress))
    }

    fn verb(&self) -> &'static str {
        if self.to_host { "put" } else { "get" }
    }

    async fn run(mut self) -> Result<TransferResults> {
        let service = Arc::clone(&self.service);
        let sessions = service.sessions();
        let checked = self.limit.take().transpose();
        let limit = checked.map_err(|error| error.on_host(sessions.host()))?;
        if let Some(mode) = self.manner.mode.filter(|mode| *mode > 0o7777) {
            let text = format!("a mode has at most the bits 0o7777, and this has {mode:#o}");
            return Err(Error::new(ErrorKind::Invalid, text).on_host(sessions.host()));
        }
        if sessions.is_dry_run() {
            return Ok(self.dry());
        }
        let began = Instant::now();
        let (verb, count) = (self.verb(), self.sources.len());
        let (dest, first) = (shown(&self.dest), self.sources.first().map(|path| shown(path)).unwrap_or_default());
        let mut results = sessions.unless_closed(Box::pin(self.work(limit))).await?;
        results.duration = began.elapsed();
        for file in &mut results.files {
            file.error = file.error.take().map(|error| error.on_host(sessions.host()).redacted(sessions.redactor()));
        }
        let others = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
        let failed = results.failed().count();
        sessions.note(
            "files",
            &format!(
                "{verb} {first}{others} to {dest} over {:?}: {} files, {} bytes, {failed} failed, in {:?}",
                results.transfer,
                results.files.len(),
                results.bytes(),
                results.duration
            ),
        );
        Ok(results)
    }

    fn dry(self) -> TransferResults {
        let (verb, host) = (self.verb(), self.service.sessions().host());
        for source in &self.sources {
            tracing::info!(host, "dry run: would {verb} {} to {}", shown(source), shown(&self.dest));
        }
        let not_run = |source| TransferResult::new(source, &self.dest, Status::NotRun);
        TransferResults {
            host: host.to_owned(),
            transfer: self.wanted.unwrap_or(Transfer::Local),
            files: self.sources.into_iter().map(not_run).collect(),
            duration: Duration::ZERO,
        }
    }

    async fn work(mut self, limit: Option<Limit>) -> Result<TransferResults> {
        let deadline = limit.map(|limit| tokio::time::Instant::now() + limit.get());
        let late = async || match deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        };
        let too_late = || {
            let limit = limit.map(Limit::get).unwrap_or_default();
            Error::new(ErrorKind::Timeout, format!("it was not done within {limit:?}"))
        };
        let preparing = async {
            let files = self.service.files(self.wanted).await?;
            let (from, to): (&dyn Files, &dyn Files) =
                if self.to_host { (&LocalFiles, &*files) } else { (&*files, &LocalFiles) };
            let mut plan = plan(from, to, &self.sources, &self.dest).await?;
            let unmade = make_folders(to, &mut plan).await?;
            Ok((files, plan, unmade))
        };
        let (files, mut plan, unmade) = tokio::select! {
            prepared = preparing => prepared?,
            () = late() => return Err(too_late()),
        };
        let mut manner = self.manner;
        let shell = self.service.files(Some(Transfer::Shell)).await?;
        // A line may lose characters, and a size alone does not show those that were changed.
        if files.transfer() == Transfer::Shell && !self.service.sessions().connector().has_exec() {
            manner.checksum |= shell.sha256(Path::new("/dev/null")).await.is_some_and(|sum| sum.is_ok());
        }
        let total = plan.files.iter().map(|item| item.about.len).sum();
        let meter = Meter::new(total, plan.files.len());
        let _given_up = GiveUp(Arc::clone(&meter));
        let copying = Copying {
            service: Arc::clone(&self.service),
            files: Arc::clone(&files),
            shell,
            manner,
            meter: Arc::clone(&meter),
            to_host: self.to_host,
        };
        let mut failed = std::mem::take(&mut plan.failed);
        failed.extend(unmade);
        let mut tell = self.on_progress.take();
        let mut told = None;
        let mut say = |last: bool| {
            if let Some(tell) = &mut tell {
                let progress = meter.progress();
                if last || told.as_ref() != Some(&progress) {
                    tell(&progress);
                    told = Some(progress);
                }
            }
        };
        say(false);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.reset();
        let mut results: Vec<Option<TransferResult>> = Vec::new();
        results.resize_with(plan.files.len(), || None);
        {
            let mut crowd = Crowd::new();
            let mut left = plan.files.iter();
            let mut begun = 0;
            loop {
                while crowd.len() < files.width() {
                    let Some(item) = left.next() else { break };
                    crowd.push(copying.copy(item));
                    begun += 1;
                }
                tokio::select! {
                    done = crowd.next() => match done {
                        Some((number, result)) => results[number] = Some(result),
                        None => break,
                    },
                    _ = ticks.tick() => say(false),
                    () = late() => break,
                }
            }
            for (number, (item, result)) in plan.files.iter().zip(&mut results).enumerate() {
                if result.is_none() {
                    let error = too_late();
                    let mut missing = TransferResult::failed(&item.source, &item.target, error);
                    if number >= begun {
                        missing.status = Status::NotRun;
                    }
                    *result = Some(missing);
                }
            }
        }
        let to: &dyn Files = if self.to_host { &*files } else { &LocalFiles };
        tokio::select! {
            unfinished = finish_folders(to, &plan, manner.times) => failed.extend(unfinished),
            () = late() => {}
        }
        say(true);
        failed.extend(results.into_iter().flatten());
        let host = self.service.sessions().host().to_owned();
        Ok(TransferResults { host, transfer: files.transfer(), files: failed, duration: Duration::ZERO })
    }
}

/// Tells threads that still copy that nobody waits for them.
struct GiveUp(Arc<Meter>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

/// Makes the folders, those of one depth side by side. They can be written to, whatever mode they are to have. Those that
/// were there already are no longer in the plan then.
async fn make_folders(to: &dyn Files, plan: &mut Plan) -> Result<Vec<TransferResult>> {
    let mut unmade = Vec::new();
    for level in &mut plan.folders {
        let made = side_by_side(to.width(), level.iter().map(|item| make_folder(to, item)).collect()).await;
        let mut ours = Vec::new();
        for (item, made) in std::mem::take(level).into_iter().zip(made) {
            match made {
                Ok(true) => ours.push(item),
                Ok(false) => {}
                Err(fault @ Fault::File(..)) => {
                    let error = fault.at("make the folder", &item.target);
                    unmade.push(TransferResult::failed(&item.source, &item.target, error));
                }
                Err(fault) => return Err(fault.at("make the folder", &item.target)),
            }
        }
        *level = ours;
    }
    Ok(unmade)
}

/// Whether it was made, and not there before.
fn make_folder<'a>(to: &'a dyn Files, item: &'a Item) -> BoxFuture<'a, Outcome<bool>> {
    Box::pin(async move {
        match to.create_dir(&item.target, item.about.mode & 0o777 | 0o700).await {
            Ok(()) => Ok(true),
            Err(fault @ Fault::File(..)) => match to.metadata(&item.target, true).await {
                Ok(found) if found.is_dir() => Ok(false),
                _ => Err(fault),
            },
            Err(fault) => Err(fault),
        }
    })
}

fn finish_folder<'a>(to: &'a dyn Files, item: &'a Item, times: bool) -> BoxFuture<'a, Outcome<()>> {
    Box::pin(async move {
        if let Some(time) = item.about.modified.filter(|_| times) {
            to.set_modified(&item.target, time).await?;
        }
        to.chmod(&item.target, item.about.mode & 0o777).await
    })
}

/// Gives the folders their modes and times, which what was written into them would have been against, or changed.
async fn finish_folders(to: &dyn Files, plan: &Plan, times: bool) -> Vec<TransferResult> {
    let mut unfinished = Vec::new();
    for level in plan.folders.iter().rev() {
        let done = side_by_side(to.width(), level.iter().map(|item| finish_folder(to, item, times)).collect()).await;
        for (item, done) in level.iter().zip(done) {
            if let Err(fault) = done {
                let error = fault.at("set the mode of", &item.target);
                unfinished.push(TransferResult::failed(&item.source, &item.target, error));
            }
        }
    }
    unfinished
}

impl<'a> IntoFuture for TransferRun<'a> {
    type Output = Result<TransferResults>;
    type IntoFuture = BoxFuture<'a, Result<TransferResults>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for TransferRun<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransferRun")
            .field("host", &self.service.sessions().host())
            .field("to_host", &self.to_host)
            .field("sources", &self.sources)
            .field("dest", &self.dest)
            .field("manner", &self.manner)
            .finish_non_exhaustive()
    }
}
