//! What every way to files gives, whatever it runs over: [`Files`], and why something did not work: [`Fault`].

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::{Error, ErrorKind};
use crate::transport::BoxFuture;

use super::Transfer;
use super::plan::side_by_side;

/// What a file, a folder or another thing in a folder is like.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> otto::Result<()> {
/// let host = otto::Host::local();
/// let about = host.fs().metadata("/tmp").await?;
/// assert!(about.is_dir() && !about.is_file());
/// # host.close().await
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    pub(super) len: u64,
    pub(super) mode: u32,
    pub(super) file_type: FileType,
    pub(super) modified: Option<SystemTime>,
    pub(super) owner: Option<(u32, u32)>,
}

/// What kind of thing a name in a folder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileType {
    /// A regular file.
    File,
    /// A folder.
    Dir,
    /// A symbolic link, when it was not followed.
    Symlink,
    /// A device, a pipe, a socket.
    Other,
}

impl FileType {
    /// Of the bits of `st_mode`.
    pub(super) fn of_mode(mode: u32) -> Self {
        match mode & 0o170_000 {
            0o100_000 => Self::File,
            0o040_000 => Self::Dir,
            0o120_000 => Self::Symlink,
            _ => Self::Other,
        }
    }
}

#[expect(clippy::len_without_is_empty, reason = "as std::fs::Metadata: it is the size of a file, not of a collection")]
impl Metadata {
    /// Its size in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Its permission bits, such as `0o644`; with the bits for set-uid, set-gid and sticky.
    #[must_use]
    pub fn mode(&self) -> u32 {
        self.mode
    }

    /// What it is.
    #[must_use]
    pub fn file_type(&self) -> FileType {
        self.file_type
    }

    /// Whether it is a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.file_type == FileType::File
    }

    /// Whether it is a folder.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.file_type == FileType::Dir
    }

    /// Whether it is a symbolic link. [`metadata`](super::HostFs::metadata) follows links; the entries of a
    /// [`list`](super::HostFs::list) are not followed.
    #[must_use]
    pub fn is_symlink(&self) -> bool {
        self.file_type == FileType::Symlink
    }

    /// When it was last written, to the second on a host; `None` if nobody said.
    #[must_use]
    pub fn modified(&self) -> Option<SystemTime> {
        self.modified
    }

    /// The numbers of its user and its group; `None` if nobody said.
    #[must_use]
    pub fn owner(&self) -> Option<(u32, u32)> {
        self.owner
    }

    /// From what `stat` says, in numbers.
    pub(super) fn of_stat(mode: u32, len: u64, modified: u64, owner: (u32, u32)) -> Self {
        Self {
            len,
            mode: mode & 0o7777,
            file_type: FileType::of_mode(mode),
            modified: Some(UNIX_EPOCH + Duration::from_secs(modified)),
            owner: Some(owner),
        }
    }
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    pub(super) path: PathBuf,
    pub(super) metadata: Metadata,
}

impl DirEntry {
    /// The folder's path and the name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name in the folder.
    #[must_use]
    pub fn name(&self) -> &std::ffi::OsStr {
        self.path.file_name().unwrap_or_default()
    }

    /// What it is like; a link is not followed.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// Why something could not be done.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It is about the file; what the system or the server said.
    File(io::ErrorKind, String),
    /// It is about the host: it cannot be reached, was lost, was closed, or does not answer.
    Host(Error),
}

pub(crate) type Outcome<T> = Result<T, Fault>;

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        // Without the number in brackets, which says nothing to most.
        let text = error.to_string();
        let text = text.split(" (os error").next().unwrap_or_default().to_lowercase();
        Self::File(error.kind(), text)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Host(error)
    }
}

impl Fault {
    /// Of this kind, with the usual text of that kind.
    pub(super) fn new(kind: io::ErrorKind) -> Self {
        Self::File(kind, kind.to_string())
    }

    pub(super) fn is(&self, kind: io::ErrorKind) -> bool {
        matches!(self, Self::File(found, _) if *found == kind)
    }

    /// As an error that names what was to be done with which file.
    pub(super) fn at(self, what: &str, path: &Path) -> Error {
        match self {
            Self::File(kind, text) => {
                Error::new(ErrorKind::File(kind), format!("cannot {what} {}: {text}", shown(path)))
            }
            Self::Host(error) if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Connect(_)) => error,
            Self::Host(error) => {
                let message = format!("cannot {what} {}", shown(path));
                Error::new(error.kind(), message).caused_by(error)
            }
        }
    }
}

/// A path as an error shows it: on one line, in quotes if it has to be.
#[expect(clippy::unnecessary_debug_formatting, reason = "bytes that are no text are to be told apart")]
pub(super) fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '\'' | '"' | '`');
    if !text.is_empty() && text.chars().all(plain) { text.into_owned() } else { format!("{:?}", path.as_os_str()) }
}

/// Is told how many more bytes have come or gone; answers whether anybody still wants them.
pub(crate) type Moved = Arc<dyn Fn(u64) -> bool + Send + Sync>;

/// A file of this machine that is to become one of the host.
pub(crate) struct Upload<'a> {
    pub(crate) local: &'a Path,
    pub(crate) remote: &'a Path,
    /// So many bytes of it are there already.
    pub(crate) from: u64,
    pub(crate) len: u64,
    pub(crate) mode: u32,
    pub(crate) modified: Option<SystemTime>,
    /// What is there at any time has to be the beginning of the file, without holes.
    pub(crate) in_order: bool,
    pub(crate) moved: Moved,
}

/// A file of the host that is to become one of this machine.
pub(crate) struct Download<'a> {
    pub(crate) remote: &'a Path,
    /// Where it is written to, from `from` on.
    pub(crate) local: std::fs::File,
    pub(crate) from: u64,
    /// How long it is; 0 if nobody knows.
    pub(crate) len: u64,
    pub(crate) moved: Moved,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writing {
    /// It is made if it is not there, and holds this alone.
    Whole,
    /// It is made if it is not there, and holds this at its end.
    Append,
}

/// A way to the files of one machine. The same call means the same on all.
///
/// Paths that are not absolute begin in the folder that a login begins in. Links are followed unless said otherwise.
pub(crate) trait Files: Send + Sync + fmt::Debug {
    fn transfer(&self) -> Transfer;

    /// How many calls are worth making at once.
    fn width(&self) -> usize;

    fn metadata<'a>(&'a self, path: &'a Path, follow: bool) -> BoxFuture<'a, Outcome<Metadata>>;

    /// Of many at once; links are followed.
    fn metadata_of<'a>(&'a self, paths: &'a [PathBuf]) -> BoxFuture<'a, Vec<Outcome<Metadata>>> {
        Box::pin(side_by_side(self.width(), paths.iter().map(|path| self.metadata(path, true)).collect()))
    }

    /// The names in a folder, without `.` and `..`, in no order; links are not followed.
    fn list<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Outcome<Vec<(OsString, Metadata)>>>;

    /// The path without links, `.` and `..`.
    fn real_path<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Outcome<PathBuf>>;

    fn create_dir<'a>(&'a self, path: &'a Path, mode: u32) -> BoxFuture<'a, Outcome<()>>;

    fn remove_file<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Outcome<()>>;

    fn remove_dir<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Outcome<()>>;

    /// Puts a file in the place of another, or a folder where none is.
    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Outcome<()>>;

    fn chmod<'a>(&'a self, path: &'a Path, mode: u32) -> BoxFuture<'a, Outcome<()>>;

    fn set_modified<'a>(&'a self, path: &'a Path, time: SystemTime) -> BoxFuture<'a, Outcome<()>>;

    fn read<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Outcome<Vec<u8>>>;

    fn write<'a>(&'a self, path: &'a Path, data: &'a [u8], how: Writing) -> BoxFuture<'a, Outcome<()>>;

    fn copy<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Outcome<u64>>;

    /// Makes the file at `remote`, or goes on writing it: all its bytes, its mode and its time. Its size is looked at
    /// in the end.
    fn upload<'a>(&'a self, upload: Upload<'a>) -> BoxFuture<'a, Outcome<()>>;

    /// Writes what the file holds into the one here; says how long it is then.
    fn download<'a>(&'a self, download: Download<'a>) -> BoxFuture<'a, Outcome<u64>>;

    /// The SHA-256 of a file in hexadecimal, computed where it is; `None` where that cannot be had.
    fn sha256<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Option<Outcome<String>>> {
        let _ = path;
        Box::pin(async { None })
    }

    /// Removes a whole folder, and whatever is in it, in one go; `None` where that cannot be had.
    fn remove_tree<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Option<Outcome<()>>> {
        let _ = path;
        Box::pin(async { None })
    }
}
