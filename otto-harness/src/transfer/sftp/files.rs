//! [`Files`] over SFTP.
//!
//! OpenSSH's server says no more than "Failure" of a full disk, a folder where a file should be, or a name that is taken.
//! What it was is then looked up, so that errors mean the same everywhere.

use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::Semaphore;

use crate::crowd;
use crate::error::Error;
use crate::session::SessionManager;
use crate::transfer::Transfer;
use crate::transfer::files::{Download, Fault, FileType, Files, Metadata, Outcome, Upload, Writing};
use crate::transport::{BoxFuture, ByteStream, Connector};

use super::client::{Client, Extensions, Handle};
use super::wire::{
    APPENDING, ATTRS, CREATING, EXTENDED, EXTENDED_REPLY, FOR_READING, FOR_WRITING, FSTAT, LSTAT, MKDIR, NAME, OPEN,
    OPENDIR, Packet, READDIR, REALPATH, REMOVE, RENAME, RMDIR, SETSTAT, STAT, TRUNCATING,
};

/// How many channels beside the first one may carry one file where answers take long: a server takes 2 MB on each before
/// it has to say that it took them.
const LANES: usize = 4;

/// The files of a host with an SFTP server.
#[derive(Debug)]
pub(crate) struct Sftp {
    pub(super) client: Client,
    /// What opens further channels.
    pub(super) connector: Arc<dyn Connector>,
    /// How many further channels there may be.
    pub(super) lanes: Arc<Semaphore>,
}

impl Sftp {
    /// Over a stream to the host's SFTP subsystem. `Err(Ok(why))` if there is no SFTP server behind it.
    pub(crate) async fn start(stream: ByteStream, sessions: &SessionManager) -> Result<Self, Result<String, Error>> {
        let connector = Arc::clone(sessions.connector());
        Ok(Self { client: Client::start(stream).await?, connector, lanes: Arc::new(Semaphore::new(LANES)) })
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.client.is_alive()
    }

    /// So that more of them can be had side by side when answers take long.
    pub(super) fn extensions(&self) -> &Extensions {
        &self.client.extensions
    }

    pub(super) async fn done(&self, packet: Packet) -> Outcome<()> {
        self.client.send(packet).await?.done()
    }

    pub(super) async fn stat(&self, packet: Packet) -> Outcome<Metadata> {
        self.client.send(packet).await?.of_kind(ATTRS)?.attributes()
    }

    pub(super) async fn open_file(&self, path: &Path, how: u32, mode: Option<u32>) -> Outcome<Handle> {
        let packet = Packet::new(OPEN).path(path).number(how).attributes(mode, None);
        let opened = self.client.open(packet).await;
        self.explain(opened, async {
            let found = self.metadata(path, true).await.ok()?;
            match found.file_type {
                FileType::Dir => Some(io::ErrorKind::IsADirectory),
                _ if how & super::wire::EXCLUSIVELY != 0 => Some(io::ErrorKind::AlreadyExists),
                _ => None,
            }
        })
        .await
    }

    /// Looks up what a failure of no known kind was.
    pub(super) async fn explain<T>(
        &self,
        done: Outcome<T>,
        look: impl Future<Output = Option<io::ErrorKind>>,
    ) -> Outcome<T> {
        match done {
            Err(Fault::File(io::ErrorKind::Other, text)) => Err(match look.await {
                None => Fault::File(io::ErrorKind::Other, format!("the server says no more than `{text}`")),
                Some(kind) => Fault::new(kind),
            }),
            other => other,
        }
    }

    /// Whether the disk of a folder is full: what a write that failed was most likely about.
    pub(super) async fn is_full(&self, path: &Path) -> bool {
        if !self.extensions().statvfs {
            return false;
        }
        let folder = path.parent().unwrap_or(path);
        let ask = async {
            let packet = Packet::new(EXTENDED).string(b"statvfs@openssh.com").path(folder);
            let answer = self.client.send(packet).await?;
            let mut fields = answer.of_kind(EXTENDED_REPLY)?;
            let (_size, _fragment, _blocks, _free) = (fields.long()?, fields.long()?, fields.long()?, fields.long()?);
            let available = fields.long()?;
            let (_files, _free_files) = (fields.long()?, fields.long()?);
            Ok::<_, Fault>(available == 0 || fields.long()? == 0)
        };
        ask.await.unwrap_or(false)
    }

    /// For a write that failed.
    async fn looks_full(&self, path: &Path) -> Option<io::ErrorKind> {
        self.is_full(path).await.then_some(io::ErrorKind::StorageFull)
    }

    async fn read_all(&self, path: &Path) -> Outcome<Vec<u8>> {
        let handle = self.open_file(path, FOR_READING, None).await?;
        let read = self.contents(&handle).await;
        // A folder can be opened by some servers, and not be read.
        self.explain(read, async {
            let found = self.metadata(path, true).await.ok()?;
            found.is_dir().then_some(io::ErrorKind::IsADirectory)
        })
        .await
    }

    async fn rename_over(&self, from: &Path, to: &Path) -> Outcome<()> {
        if self.extensions().posix_rename {
            return self.done(Packet::new(EXTENDED).string(b"posix-rename@openssh.com").path(from).path(to)).await;
        }
        // The draft's rename replaces nothing.
        let renamed = self.done(Packet::new(RENAME).path(from).path(to)).await;
        if renamed.is_err() && self.metadata(to, false).await.is_ok_and(|found| !found.is_dir()) {
            self.done(Packet::new(REMOVE).path(to)).await?;
            return self.done(Packet::new(RENAME).path(from).path(to)).await;
        }
        renamed
    }

    async fn copy_all(&self, from: &Path, to: &Path) -> Outcome<u64> {
        let source = self.open_file(from, FOR_READING, None).await?;
        let about = self.stat(Packet::new(FSTAT).string(source.bytes())).await?;
        if about.is_dir() {
            return Err(Fault::new(io::ErrorKind::IsADirectory));
        }
        let target = self.open_file(to, FOR_WRITING | CREATING | TRUNCATING, Some(about.mode & 0o777)).await?;
        let copied = self.copy_open(&source, &target, about.len).await;
        let copied = self.explain(copied, self.looks_full(to)).await?;
        target.close(&self.client).await?.done()?;
        Ok(copied)
    }
}

/// A boxed future of the trait.
type Answered<'a, T> = BoxFuture<'a, Outcome<T>>;

fn boxed<'a, T>(work: impl Future<Output = Outcome<T>> + Send + 'a) -> Answered<'a, T> {
    Box::pin(work)
}

impl Files for Sftp {
    fn transfer(&self) -> Transfer {
        Transfer::Sftp
    }

    fn width(&self) -> usize {
        64
    }

    fn metadata<'a>(&'a self, path: &'a Path, follow: bool) -> Answered<'a, Metadata> {
        boxed(self.stat(Packet::new(if follow { STAT } else { LSTAT }).path(path)))
    }

    fn list<'a>(&'a self, path: &'a Path) -> Answered<'a, Vec<(OsString, Metadata)>> {
        boxed(async move {
            let opened = self.client.open(Packet::new(OPENDIR).path(path)).await;
            let handle = match opened {
                // Of a file, OpenSSH's says that it is not there.
                Err(fault @ Fault::File(..)) => match self.metadata(path, true).await {
                    Ok(found) if !found.is_dir() => return Err(Fault::new(io::ErrorKind::NotADirectory)),
                    _ => return Err(fault),
                },
                opened => opened?,
            };
            let mut names = Vec::new();
            loop {
                let answer = self.client.send(Packet::new(READDIR).string(handle.bytes())).await?;
                if answer.status().is_some_and(|status| status.code == super::wire::EOF) {
                    return Ok(names);
                }
                let mut fields = answer.of_kind(NAME)?;
                let count = fields.number()?;
                if count == 0 {
                    return Ok(names);
                }
                for _ in 0..count {
                    let (name, _long, about) = (fields.name()?, fields.string()?, fields.attributes()?);
                    if name != "." && name != ".." {
                        names.push((name, about));
                    }
                }
            }
        })
    }

    fn real_path<'a>(&'a self, path: &'a Path) -> Answered<'a, PathBuf> {
        boxed(async move {
            let answer = self.client.send(Packet::new(REALPATH).path(path)).await?;
            let mut fields = answer.of_kind(NAME)?;
            fields.number()?;
            Ok(PathBuf::from(OsString::from_vec(fields.string()?.to_vec())))
        })
    }

    fn create_dir<'a>(&'a self, path: &'a Path, mode: u32) -> Answered<'a, ()> {
        boxed(async move {
            let answer = self.done(Packet::new(MKDIR).path(path).attributes(Some(mode), None)).await;
            self.explain(answer, async {
                match self.metadata(path, false).await {
                    Ok(_) => Some(io::ErrorKind::AlreadyExists),
                    Err(_) if self.is_full(path).await => Some(io::ErrorKind::StorageFull),
                    Err(_) => {
                        let above = self.metadata(path.parent()?, true).await.ok()?;
                        (!above.is_dir()).then_some(io::ErrorKind::NotADirectory)
                    }
                }
            })
            .await
        })
    }

    fn remove_file<'a>(&'a self, path: &'a Path) -> Answered<'a, ()> {
        boxed(async move {
            let removed = self.done(Packet::new(REMOVE).path(path)).await;
            self.explain(removed, async {
                let found = self.metadata(path, false).await.ok()?;
                found.is_dir().then_some(io::ErrorKind::IsADirectory)
            })
            .await
        })
    }

    fn remove_dir<'a>(&'a self, path: &'a Path) -> Answered<'a, ()> {
        boxed(async move {
            let removed = self.done(Packet::new(RMDIR).path(path)).await;
            self.explain(removed, async {
                let found = self.metadata(path, false).await.ok()?;
                if !found.is_dir() {
                    return Some(io::ErrorKind::NotADirectory);
                }
                let inside = self.list(path).await.ok()?;
                (!inside.is_empty()).then_some(io::ErrorKind::DirectoryNotEmpty)
            })
            .await
        })
    }

    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> Answered<'a, ()> {
        boxed(async move {
            let renamed = self.rename_over(from, to).await;
            self.explain(renamed, async {
                let found = crowd::all([self.metadata(from, false), self.metadata(to, false)]).await;
                let [Ok(source), Ok(target)] = &found[..] else { return None };
                match (source.is_dir(), target.is_dir()) {
                    (false, true) => Some(io::ErrorKind::IsADirectory),
                    (true, false) => Some(io::ErrorKind::NotADirectory),
                    (true, true) => Some(io::ErrorKind::DirectoryNotEmpty),
                    (false, false) => None,
                }
            })
            .await
        })
    }

    fn chmod<'a>(&'a self, path: &'a Path, mode: u32) -> Answered<'a, ()> {
        boxed(self.done(Packet::new(SETSTAT).path(path).attributes(Some(mode), None)))
    }

    fn set_modified<'a>(&'a self, path: &'a Path, time: SystemTime) -> Answered<'a, ()> {
        boxed(self.done(Packet::new(SETSTAT).path(path).attributes(None, Some(time))))
    }

    fn read<'a>(&'a self, path: &'a Path) -> Answered<'a, Vec<u8>> {
        boxed(self.read_all(path))
    }

    fn write<'a>(&'a self, path: &'a Path, data: &'a [u8], how: Writing) -> Answered<'a, ()> {
        boxed(async move {
            let how = match how {
                Writing::Whole => FOR_WRITING | CREATING | TRUNCATING,
                Writing::Append => FOR_WRITING | CREATING | APPENDING,
            };
            let handle = self.open_file(path, how, None).await?;
            let written = self.write_bytes(&handle, data).await;
            let done = match written {
                Ok(()) => handle.close(&self.client).await?.done(),
                failed => failed,
            };
            self.explain(done, self.looks_full(path)).await
        })
    }

    fn copy<'a>(&'a self, from: &'a Path, to: &'a Path) -> Answered<'a, u64> {
        boxed(self.copy_all(from, to))
    }

    fn upload<'a>(&'a self, upload: Upload<'a>) -> Answered<'a, ()> {
        boxed(async move {
            let path = upload.remote;
            let done = self.put_file(upload).await;
            self.explain(done, self.looks_full(path)).await
        })
    }

    fn download<'a>(&'a self, download: Download<'a>) -> Answered<'a, u64> {
        boxed(self.get_file(download))
    }
}
