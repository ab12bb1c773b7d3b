//! The files of a host, call by call: [`HostFs`].

use std::fmt;
use std::future::Future;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use tokio::time::timeout;

use crate::command::{IntoLimit, Limit};
use crate::error::{Error, ErrorKind, Result};
use crate::transport::BoxFuture;

use super::files::{DirEntry, Fault, FileType, Files, Metadata, Outcome, Writing, shown};
use super::plan::{create_all, side_by_side};
use super::temp_dir::TempDir;
use super::{FileService, Transfer, glob};

/// The files of a host: what [`Host::fs`](crate::Host::fs) gives.
///
/// Calls mean the same on every host: over SFTP, over a shell where there is none, and on this machine. Any number of them
/// can be in flight at once, each with a result of its own. Links are followed unless a call says otherwise. Paths that are
/// not absolute begin in the folder that a login begins in. Names can be any bytes.
///
/// An error is of kind [`ErrorKind::File`] when it is about the file, with [`Error::is_not_found`] for one that does not exist.
/// Dropping a call gives up its answer; what it asked for may be done all the same.
///
/// In a dry run what would change something succeeds without doing it, and what would look is empty, or an error.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> otto::Result<()> {
/// let host = otto::Host::local();
/// let fs = host.fs();
/// let folder = fs.temp_dir().await?;
/// let file = folder.path().join("a file");
/// fs.write(&file, "one\n").await?;
/// fs.append(&file, "two\n").await?;
/// assert_eq!(fs.read_to_string(&file).await?, "one\ntwo\n");
/// assert!(fs.read("/no/such/file").await.unwrap_err().is_not_found());
/// folder.close().await?;
/// assert!(!fs.exists(&file).await?);
/// host.close().await
/// # }
/// ```
#[derive(Clone)]
pub struct HostFs {
    pub(super) service: Arc<FileService>,
    pub(super) wanted: Option<Transfer>,
    limit: Option<Limit>,
    refused: Option<Arc<Error>>,
}

/// As in [`std::fs`]: what is below a file is not there.
fn not_there(fault: Fault) -> Fault {
    if fault.is(io::ErrorKind::NotADirectory) { Fault::new(io::ErrorKind::NotFound) } else { fault }
}

impl HostFs {
    pub(crate) fn new(service: Arc<FileService>) -> Self {
        Self { service, wanted: None, limit: None, refused: None }
    }

    /// The same files over something else than the best that the host has.
    #[must_use]
    pub fn backend(mut self, transfer: Transfer) -> Self {
        self.wanted = Some(transfer);
        self
    }

    /// With a limit for each call. Without one, a host that does not answer for a minute is an error all the same.
    #[must_use]
    pub fn timeout(mut self, limit: impl IntoLimit) -> Self {
        match limit.into_limit() {
            Ok(limit) => self.limit = Some(limit),
            Err(error) => self.refused = Some(Arc::new(error)),
        }
        self
    }

    /// Does something with a path, or says that it would.
    pub(super) fn call<T, Fut>(
        &self,
        what: &'static str,
        path: impl AsRef<Path>,
        dry: Result<T, ()>,
        work: impl FnOnce(Arc<dyn Files>, PathBuf) -> Fut + Send + 'static,
    ) -> BoxFuture<'static, Result<T>>
    where
        T: Send + 'static,
        Fut: Future<Output = Outcome<T>> + Send + 'static,
    {
        let (service, wanted, path) = (Arc::clone(&self.service), self.wanted, path.as_ref().to_owned());
        let (limit, refused) = (self.limit, self.refused.clone());
        Box::pin(async move {
            let sessions = service.sessions();
            if let Some(error) = refused {
                return Err(Error::new(error.kind(), error.to_string()).on_host(sessions.host()));
            }
            if sessions.is_dry_run() {
                tracing::info!(host = sessions.host(), "dry run: would {what} {}", shown(&path));
                let text = || format!("cannot {what} {}: this is a dry run", shown(&path));
                return dry.map_err(|()| Error::new(ErrorKind::Invalid, text()).on_host(sessions.host()));
            }
            let all = async {
                let files = service.files(wanted).await?;
                work(files, path.clone()).await.map_err(|fault| fault.at(what, &path))
            };
            let all = async {
                match limit {
                    None => all.await,
                    Some(limit) => timeout(limit.get(), all).await.unwrap_or_else(|_| {
                        let text = format!("cannot {what} {}: it was not done within {:?}", shown(&path), limit.get());
                        Err(Error::new(ErrorKind::Timeout, text))
                    }),
                }
            };
            sessions.unless_closed(all).await
        })
    }

    /// All bytes of a file.
    ///
    /// # Errors
    /// If there is no such file, or it cannot be read.
    pub fn read(&self, path: impl AsRef<Path>) -> BoxFuture<'static, Result<Vec<u8>>> {
        self.call("read", path, Ok(Vec::new()), |files, path| async move { files.read(&path).await.map_err(not_there) })
    }

    /// All text of a file.
    ///
    /// # Errors
    /// As [`read`](Self::read), and if it is not UTF-8.
    pub fn read_to_string(&self, path: impl AsRef<Path>) -> BoxFuture<'static, Result<String>> {
        self.call("read", path, Ok(String::new()), |files, path| async move {
            let bytes = files.read(&path).await.map_err(not_there)?;
            String::from_utf8(bytes).map_err(|_| {
                Fault::File(io::ErrorKind::InvalidData, "it is not UTF-8; `read` gives its bytes".to_owned())
            })
        })
    }

    /// Makes a file of these bytes, or puts them in the place of all that it held. It is written where it is: for a file that
    /// is whole at any time, use [`Host::put`](crate::Host::put).
    ///
    /// # Errors
    /// If it cannot be written, or its folder does not exist.
    pub fn write(&self, path: impl AsRef<Path>, data: impl AsRef<[u8]>) -> BoxFuture<'static, Result<()>> {
        let data = data.as_ref().to_vec();
        self.call("write", path, Ok(()), |files, path| async move { files.write(&path, &data, Writing::Whole).await })
    }

    /// Puts bytes at the end of a file, which is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be written, or its folder does not exist.
    pub fn append(&self, path: impl AsRef<Path>, data: impl AsRef<[u8]>) -> BoxFuture<'static, Result<()>> {
        let data = data.as_ref().to_vec();
        self.call(
            "append to",
            path,
            Ok(()),
            |files, path| async move { files.write(&path, &data, Writing::Append).await },
        )
    }

    /// Whether there is something of that name. A link that leads nowhere is nothing.
    ///
    /// # Errors
    /// If that cannot be found out: for a folder above it that may not be looked into, say.
    pub fn exists(&self, path: impl AsRef<Path>) -> BoxFuture<'static, Result<bool>> {
        self.call("look for", path, Ok(false), |files, path| async move {
            match files.metadata(&path, true).await.map_err(not_there) {
                Ok(_) => Ok(true),
                Err(fault) if fault.is(io::ErrorKind::NotFound) => Ok(false),
                Err(fault) => Err(fault),
            }
        })
    }

    /// What it is like.
    ///
    /// # Errors
    /// If there is no such thing.
    pub fn metadata(&self, path: impl AsRef<Path>) -> BoxFuture<'static, Result<Metadata>> {
        self.call("look at", path, Err(()), |files, path| async move {
            files.metadata(&path, true).await.map_err(not_there)
        })
    }

    /// As [`metadata`](Self::metadata), of the link itself if it is one.
    ///
    /// # Errors
    /// If there is no such thing.
    pub fn symlink_metadata(&self, path: impl AsRef<Path>) -> BoxFuture<'static, Result<Metadata>> {
        self.call("look at", path, Err(()), |files, path| async move {
            files.metadata(&path, false).await.map_err(not_there)
        })
    }

    /// What is in a folder, by name. Links are not followed.
    ///
    /// # Errors
    /// If there is no such folder, or it may not be looked into.
    pub fn list(&self, path: impl AsRef<Path>) -> BoxFuture<'static, Result<Vec<DirEntry>>> {
        self.call("list", path, Ok(Vec::new()), |files, path| async move {
            let names = files.list(&path).await?;
            let entry = |(name, metadata)| DirEntry { path: path.join(name), metadata };
            let mut entries: Vec<DirEntry> = names.into_iter().map(entry).collect();
            entries.sort_by(|one, other| one.path.cmp(&other.path));
            Ok(entries)
        })
    }

    /// The paths that a pattern fits, in order: `*` is any text within a name, `?` any character, `[a-z]` and `[!a-z]` one of
    /// those, or not, and `**` any folders. A name that begins with a dot is fitted only by a pattern that does.
    ///
    /// # Errors
    /// If the host cannot be asked. A pattern that fits nothing gives no paths.
    pub fn glob(&self, pattern: impl AsRef<Path>) -> BoxFuture<'static, Result<Vec<PathBuf>>> {
        self.call("look for", pattern, Ok(Vec::new()), |files, path| async move { glob::expand(&*files, &path).await })
    }

    /// Makes a folder, and those that it is in. One that is there already is fine.
    ///
    /// # Errors
    /// If that is not allowed, or a file is in the way.
    pub fn create_dir_all(&self, path: impl AsRef<Path>) -> BoxFuture<'static, Result<()>> {
        self.call("make the folder", path, Ok(()), |files, path| async move { create_all(&*files, &path).await })
    }

    /// Removes a file or a link.
    ///
    /// # Errors
    /// If there is none, it is a folder, or that is not allowed.
    pub fn remove(&self, path: impl AsRef<Path>) -> BoxFuture<'static, Result<()>> {
        self.call(
            "remove",
            path,
            Ok(()),
            |files, path| async move { files.remove_file(&path).await.map_err(not_there) },
        )
    }

    /// Removes a folder and all that is in it. Links in it are removed, never followed.
    ///
    /// # Errors
    /// If there is none, it is no folder, or that is not allowed. `/`, `.` and what ends in `..` are refused.
    pub fn remove_dir_all(&self, path: impl AsRef<Path>) -> BoxFuture<'static, Result<()>> {
        self.call("remove", path, Ok(()), |files, path| async move {
            if !matches!(path.components().next_back(), Some(Component::Normal(_))) {
                return Err(Fault::File(
                    io::ErrorKind::InvalidInput,
                    "this is never removed; name the folder itself".to_owned(),
                ));
            }
            remove_tree(&*files, &path).await
        })
    }

    /// Gives a file or a folder another path on the same disk. A file takes the place of another; a folder does not.
    ///
    /// # Errors
    /// If there is none, or something is in the way.
    pub fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> BoxFuture<'static, Result<()>> {
        let to = to.as_ref().to_owned();
        self.call("rename", from, Ok(()), |files, from| async move {
            // An empty folder would be replaced by some, and not by others.
            if files.metadata(&to, false).await.is_ok_and(|found| found.is_dir())
                && files.metadata(&from, false).await.map_err(not_there)?.is_dir()
            {
                return Err(Fault::new(io::ErrorKind::AlreadyExists));
            }
            files.rename(&from, &to).await
        })
    }

    /// Copies a file on the host, with its permission bits if it is a new one; says how many bytes that were.
    ///
    /// # Errors
    /// If one of them is a folder, or cannot be read or written.
    pub fn copy(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> BoxFuture<'static, Result<u64>> {
        let to = to.as_ref().to_owned();
        self.call("copy", from, Ok(0), |files, from| async move { files.copy(&from, &to).await })
    }

    /// Sets the permission bits, such as `0o640`.
    ///
    /// # Errors
    /// If there is no such thing, or that is not allowed.
    pub fn chmod(&self, path: impl AsRef<Path>, mode: u32) -> BoxFuture<'static, Result<()>> {
        self.call("change the mode of", path, Ok(()), move |files, path| async move {
            if mode > 0o7777 {
                return Err(Fault::File(io::ErrorKind::InvalidInput, format!("{mode:#o} has bits that are no mode's")));
            }
            files.chmod(&path, mode).await.map_err(not_there)
        })
    }

    /// A new folder in `/tmp` that only this account may look into. See [`TempDir`].
    ///
    /// # Errors
    /// If it cannot be made.
    #[must_use = "no folder is made until it is awaited"]
    pub fn temp_dir(&self) -> BoxFuture<'static, Result<TempDir>> {
        TempDir::make(self.clone())
    }
}

impl fmt::Debug for HostFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostFs")
            .field("host", &self.service.sessions().host())
            .field("backend", &self.wanted)
            .finish_non_exhaustive()
    }
}

/// Removes a folder and all below it; no link is followed.
pub(super) async fn remove_tree(files: &dyn Files, path: &Path) -> Outcome<()> {
    if let Some(done) = files.remove_tree(path).await {
        return done;
    }
    if !files.metadata(path, false).await.map_err(not_there)?.is_dir() {
        return Err(Fault::new(io::ErrorKind::NotADirectory));
    }
    let (mut level, mut folders) = (vec![path.to_owned()], Vec::new());
    while !level.is_empty() {
        let lists = side_by_side(files.width(), level.iter().map(|folder| files.list(folder)).collect()).await;
        let (mut next, mut unlinked) = (Vec::new(), Vec::new());
        for (folder, names) in level.iter().zip(lists) {
            for (name, about) in names? {
                let here = folder.join(name);
                if about.file_type == FileType::Dir { next.push(here) } else { unlinked.push(here) }
            }
        }
        for done in side_by_side(files.width(), unlinked.iter().map(|path| files.remove_file(path)).collect()).await {
            match done {
                Err(fault) if !fault.is(io::ErrorKind::NotFound) => return Err(fault),
                _ => {}
            }
        }
        folders.push(level);
        level = next;
    }
    for level in folders.iter().rev() {
        for done in side_by_side(files.width(), level.iter().map(|path| files.remove_dir(path)).collect()).await {
            match done {
                Err(fault) if !fault.is(io::ErrorKind::NotFound) => return Err(fault),
                _ => {}
            }
        }
    }
    Ok(())
}
