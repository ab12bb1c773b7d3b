//! Files and folders that must not outlast what they are for, on a host or here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::session::Leftover;

use super::files::{Fault, Files, Outcome, shown};
use super::fs::remove_tree;
use super::{FileService, Transfer};

/// How long removing may take.
const REMOVING: Duration = Duration::from_secs(5);

/// Something on a host that is removed when this is dropped: in the background, within 5 s, over the connection that it
/// was made on or a new one, unless the host was closed meanwhile.
pub(super) struct Temporary {
    service: Arc<FileService>,
    wanted: Option<Transfer>,
    path: PathBuf,
    folder: bool,
    closes: u64,
    leftover: Option<Leftover>,
    /// It is to be removed.
    armed: bool,
}

impl Temporary {
    /// To be called before the file is made. Closing the host waits until it is gone.
    pub(super) fn file(service: &Arc<FileService>, wanted: Transfer, path: PathBuf) -> Self {
        let leftover = Some(service.sessions().leftovers().begin());
        Self::new(service, Some(wanted), path, false, leftover)
    }

    /// Closing the host waits only if it is dropped before.
    pub(super) fn folder(service: &Arc<FileService>, wanted: Option<Transfer>, path: PathBuf) -> Self {
        Self::new(service, wanted, path, true, None)
    }

    fn new(
        service: &Arc<FileService>,
        wanted: Option<Transfer>,
        path: PathBuf,
        folder: bool,
        leftover: Option<Leftover>,
    ) -> Self {
        let (service, closes) = (Arc::clone(service), service.sessions().closes());
        Self { service, wanted, path, folder, closes, leftover, armed: true }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// It stays: it has its final name now, or is to be gone on with.
    pub(super) fn keep(mut self) {
        self.armed = false;
    }

    /// Removes it now.
    pub(super) async fn remove(mut self) -> Outcome<()> {
        let done = remove(&self.service, self.wanted, &self.path, self.folder).await;
        self.armed = false;
        done
    }

    /// Removes it now, as well as that can be done within 5 s.
    pub(super) async fn try_to_remove(self) {
        let path = self.path.clone();
        match timeout(REMOVING, self.remove()).await {
            Ok(Ok(()) | Err(Fault::File(std::io::ErrorKind::NotFound, _))) | Err(_) => {}
            Ok(Err(fault)) => tracing::warn!("left on the host: {}", fault.at("remove", &path)),
        }
    }
}

async fn remove(service: &FileService, wanted: Option<Transfer>, path: &Path, folder: bool) -> Outcome<()> {
    // What it was made over may be gone with its connection; then it is found anew.
    let files = match service.files(wanted).await {
        Err(_) if wanted.is_some() => service.files(None).await?,
        files => files?,
    };
    if folder { remove_tree(&*files, path).await } else { files.remove_file(path).await }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        if !self.service.sessions().may_undo(self.closes) {
            let (host, path) = (self.service.sessions().host(), shown(&self.path));
            tracing::warn!(host, "{path} is left there: the host was closed before it was removed");
            return;
        }
        let leftover = self.leftover.take().unwrap_or_else(|| self.service.sessions().leftovers().begin());
        let (service, wanted, path, folder) = (self.service.clone(), self.wanted, self.path.clone(), self.folder);
        leftover.undo_within(REMOVING, async move {
            let mut done = remove(&service, wanted, &path, folder).await;
            if matches!(wanted, Some(Transfer::Shell | Transfer::Scp)) {
                // A process that was just begun may make it once more before it is killed.
                sleep(Duration::from_millis(300)).await;
                done = done.or(remove(&service, wanted, &path, folder).await);
            }
            match done {
                Ok(()) | Err(Fault::File(std::io::ErrorKind::NotFound, _)) => {}
                Err(fault) => tracing::warn!("left on the host: {}", fault.at("remove", &path)),
            }
        });
    }
}

/// A file here that is removed when this is dropped.
pub(super) struct LocalTemporary {
    pub(super) path: PathBuf,
    armed: bool,
}

impl LocalTemporary {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, armed: true }
    }

    pub(super) fn keep(mut self) {
        self.armed = false;
    }
}

impl Drop for LocalTemporary {
    fn drop(&mut self) {
        if self.armed {
            // It may not have been made.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The SHA-256 of a file of the host, in hexadecimal.
pub(super) async fn sha256_of(files: &dyn Files, shell: &dyn Files, path: &Path) -> Outcome<String> {
    if let Some(Ok(sum)) = shell.sha256(path).await
        && sum.len() == 64
    {
        return Ok(sum);
    }
    // The host cannot say, or its shell sees other paths: then it is fetched, and looked at here.
    let file = tempfile::tempfile()?;
    let copy = file.try_clone()?;
    let moved = Arc::new(|_| true);
    files.download(super::files::Download { remote: path, local: copy, from: 0, len: 0, moved }).await?;
    super::copying::sha256_here(file).await
}
