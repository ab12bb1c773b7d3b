//! A folder on a host that removes itself: [`TempDir`].

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Result;
use crate::transport::BoxFuture;

use super::HostFs;
use super::files::{Fault, Files};
use super::names::nonce;
use super::temporary::Temporary;

/// A folder on a host that is removed with all that is in it: by [`close`](Self::close), or when it is dropped, in the
/// background and within 5 s. Closing the host waits for a removal that is under way, for 2 s. A guard that outlives
/// the closing of its host removes nothing, and says so in the log.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> otto::Result<()> {
/// let host = otto::Host::local();
/// let path = {
///     let folder = host.fs().temp_dir().await?;
///     host.put("/etc/hostname", folder.path()).await?.ok()?;
///     folder.path().to_owned()
/// };
/// host.close().await?;
/// assert!(!path.exists());
/// # Ok(())
/// # }
/// ```
#[must_use = "the folder is removed when this is dropped"]
pub struct TempDir {
    /// None in a dry run, in which nothing was made.
    guard: Option<Temporary>,
    path: PathBuf,
    fs: HostFs,
}

impl TempDir {
    pub(super) fn make(fs: HostFs) -> BoxFuture<'static, Result<Self>> {
        Box::pin(async move {
            let path = PathBuf::from(format!("/tmp/otto-{}", nonce()));
            if fs.service.sessions().is_dry_run() {
                return Ok(Self { guard: None, path, fs });
            }
            // Before it is made: whoever stops waiting for it leaves none.
            let guard = Temporary::folder(&fs.service, fs.wanted, path.clone());
            let make = |files: Arc<dyn Files>, path: PathBuf| async move { files.create_dir(&path, 0o700).await };
            let call = fs.call("make the folder", &path, Ok(()), make);
            match call.await {
                Ok(()) => Ok(Self { guard: Some(guard), path, fs }),
                Err(error) => {
                    if error.kind() == crate::ErrorKind::File(io::ErrorKind::AlreadyExists) {
                        // What is there is not ours to remove.
                        guard.keep();
                    }
                    Err(error)
                }
            }
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it, and all that is in it.
    ///
    /// # Errors
    /// If something in it cannot be removed. One that is gone already is fine.
    #[must_use = "nothing is removed until it is awaited"]
    pub fn close(mut self) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let Some(guard) = self.guard.take() else { return Ok(()) };
            let work = async {
                match guard.remove().await {
                    Err(fault @ Fault::File(io::ErrorKind::NotFound, _)) => drop(fault),
                    Err(fault) => return Err(fault.at("remove", &self.path)),
                    Ok(()) => {}
                }
                Ok(())
            };
            Box::pin(self.fs.service.sessions().unless_closed(work)).await
        })
    }
}

impl fmt::Debug for TempDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TempDir").field("path", &self.path).field("fs", &self.fs).finish_non_exhaustive()
    }
}
