//! How files fared on their way: [`TransferResult`] for each, [`TransferResults`] for all.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::result::Status;

use super::Transfer;
use super::files::shown;

/// How one file fared.
#[derive(Debug)]
#[non_exhaustive]
pub struct TransferResult {
    /// Where it came from: a path of this machine for `put`, of the host for `get`.
    pub source: PathBuf,
    /// Where it was to go.
    pub target: PathBuf,
    /// `Success`; `Error` if it is not there; `NotRun` in a dry run, or if the limit had passed before it was begun.
    pub status: Status,
    /// Its size, if it arrived.
    pub bytes: u64,
    /// So many of them were there already.
    pub resumed_from: u64,
    /// Why it is not there.
    pub error: Option<Error>,
    /// How long it took.
    pub duration: Duration,
}

impl TransferResult {
    pub(super) fn new(source: impl Into<PathBuf>, target: impl Into<PathBuf>, status: Status) -> Self {
        let (source, target) = (source.into(), target.into());
        Self { source, target, status, bytes: 0, resumed_from: 0, error: None, duration: Duration::ZERO }
    }

    pub(super) fn failed(source: impl Into<PathBuf>, target: impl Into<PathBuf>, error: Error) -> Self {
        Self { error: Some(error), ..Self::new(source, target, Status::Error) }
    }

    /// Whether it arrived.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.status.is_ok()
    }
}

/// How all files of a `put` or a `get` fared, in the order in which they were found; one result a file.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> otto::Result<()> {
/// let folder = std::env::temp_dir().join(format!("otto-doc-results-{}", std::process::id()));
/// let host = otto::Host::local();
/// let results = host.put(["/etc/hostname", "/no/such/file"], &folder).await?;
/// assert_eq!(results.files.len(), 2);
/// assert!(!results.is_ok() && results.failed().count() == 1);
/// assert!(results.ok().unwrap_err().is_not_found());
/// # host.fs().remove_dir_all(&folder).await?;
/// # host.close().await
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct TransferResults {
    /// The host's id.
    pub host: String,
    /// What they went over.
    pub transfer: Transfer,
    /// One for each file, and one for each folder that could not be made or read.
    pub files: Vec<TransferResult>,
    /// How long it took in all.
    pub duration: Duration,
}

impl TransferResults {
    /// Whether every file arrived.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.files.iter().all(TransferResult::is_ok)
    }

    /// Those that did not arrive.
    pub fn failed(&self) -> impl Iterator<Item = &TransferResult> {
        self.files.iter().filter(|file| !file.is_ok())
    }

    /// The size of all that arrived.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The result of the file that came from there.
    #[must_use]
    pub fn get(&self, source: impl AsRef<Path>) -> Option<&TransferResult> {
        self.files.iter().find(|file| file.source == source.as_ref())
    }

    /// These results, if every file arrived.
    ///
    /// # Errors
    /// Else the error of the first that did not, which says how many others there are.
    pub fn ok(self) -> Result<Self> {
        let failed = self.files.iter().filter(|file| !file.is_ok()).count();
        if failed == 0 {
            return Ok(self);
        }
        let all = self.files.len();
        let Some(first) = self.files.into_iter().find(|file| !file.is_ok()) else {
            return Err(Error::new(ErrorKind::Command, "nothing was transferred"));
        };
        let error = first
            .error
            .unwrap_or_else(|| Error::new(ErrorKind::Command, format!("{} was not transferred", shown(&first.source))));
        let error = error.on_host(self.host);
        Err(if failed == 1 { error } else { error.hint(format!("{failed} of {all} files did not arrive")) })
    }
}
