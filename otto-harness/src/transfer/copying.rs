//! One file on its way: under a temporary name, looked at, and then under its own.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use crate::result::Status;
use crate::transport::BoxFuture;

use super::FileService;
use super::files::{Download, Fault, Files, Outcome, Upload};
use super::local::LocalFiles;
use super::names::{hex, resumable, temporary};
use super::plan::Item;
use super::progress::Meter;
use super::results::TransferResult;
use super::temporary::{LocalTemporary, Temporary, sha256_of};

/// A target of a file this large is looked at before all of it is sent for nothing.
const LARGE: u64 = 1 << 20;

/// How files are copied.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Manner {
    pub(super) mode: Option<u32>,
    pub(super) times: bool,
    pub(super) resume: bool,
    pub(super) checksum: bool,
}

/// What all files of one transfer share.
pub(super) struct Copying {
    pub(super) service: Arc<FileService>,
    pub(super) files: Arc<dyn Files>,
    /// What computes checksums on the host.
    pub(super) shell: Arc<dyn Files>,
    pub(super) manner: Manner,
    pub(super) meter: Arc<Meter>,
    pub(super) to_host: bool,
}

fn gone() -> Fault {
    Fault::File(io::ErrorKind::Interrupted, "the runtime ended meanwhile".to_owned())
}

/// The SHA-256 of a file here, in hexadecimal.
pub(super) async fn sha256_here(mut file: File) -> Outcome<String> {
    let sum = spawn_blocking(move || -> io::Result<String> {
        file.rewind()?;
        let (mut hash, mut buffer) = (Sha256::new(), vec![0; 256 << 10]);
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(hex(&hash.finalize())),
                Ok(count) => hash.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    });
    Ok(sum.await.map_err(|_| gone())??)
}

impl Copying {
    /// Copies one file, whatever comes of it.
    pub(super) fn copy<'a>(&'a self, item: &'a Item) -> BoxFuture<'a, TransferResult> {
        Box::pin(self.copied(item))
    }

    async fn copied(&self, item: &Item) -> TransferResult {
        self.meter.begins(&item.source);
        let began = Instant::now();
        let mut result = TransferResult::new(&item.source, &item.target, Status::Success);
        let done = if self.to_host { self.put(item, &mut result).await } else { self.get(item, &mut result).await };
        self.meter.ends();
        result.duration = began.elapsed();
        if let Err(fault) = done {
            let to = super::files::shown(&item.target);
            result.status = Status::Error;
            result.bytes = 0;
            result.error =
                Some(fault.at(&format!("{} {to} from", if self.to_host { "put" } else { "get" }), &item.source));
        }
        result
    }

    fn mode(&self, item: &Item) -> u32 {
        self.manner.mode.unwrap_or(item.about.mode & 0o777)
    }

    async fn put(&self, item: &Item, result: &mut TransferResult) -> Outcome<()> {
        let Item { source, target, about } = item;
        let files = &*self.files;
        let path = if self.manner.resume { resumable(target, source, about) } else { temporary(target) };
        let guard = Temporary::file(&self.service, files.transfer(), path);
        let sent = self.send(item, guard.path(), result).await;
        match sent {
            Ok(()) => {
                guard.keep();
                result.bytes = about.len;
                Ok(())
            }
            // What has come so far is what the next attempt goes on with, unless it is of no use.
            Err(fault) if self.manner.resume && !fault.is(io::ErrorKind::InvalidData) => {
                guard.keep();
                Err(fault)
            }
            Err(fault) => {
                guard.try_to_remove().await;
                Err(fault)
            }
        }
    }

    async fn send(&self, item: &Item, path: &Path, result: &mut TransferResult) -> Outcome<()> {
        let Item { source, target, about } = item;
        let files = &*self.files;
        if about.len > LARGE && files.metadata(target, false).await.is_ok_and(|found| found.is_dir()) {
            return Err(Fault::new(io::ErrorKind::IsADirectory));
        }
        let mut from = 0;
        if self.manner.resume {
            let there = files.metadata(path, false).await.map_or(0, |found| found.len);
            from = if there > about.len { 0 } else { there };
            self.meter.add(from);
        }
        result.resumed_from = from;
        let modified = about.modified.filter(|_| self.manner.times);
        let moved = self.meter.moved();
        let (len, mode) = (about.len, self.mode(item));
        let in_order = self.manner.resume;
        files.upload(Upload { local: source, remote: path, from, len, mode, modified, in_order, moved }).await?;
        if self.manner.checksum || from > 0 {
            let there = sha256_of(files, &*self.shell, path).await?;
            let file = File::open(source)?;
            compare(&sha256_here(file).await?, &there)?;
        }
        files.rename(path, target).await
    }

    async fn get(&self, item: &Item, result: &mut TransferResult) -> Outcome<()> {
        let Item { source, target, about } = item;
        let path = if self.manner.resume { resumable(target, source, about) } else { temporary(target) };
        let guard = LocalTemporary::new(path);
        let received = self.receive(item, &guard.path, result).await;
        match received {
            Ok(length) => {
                guard.keep();
                result.bytes = length;
                Ok(())
            }
            Err(fault) => {
                if self.manner.resume && !fault.is(io::ErrorKind::InvalidData) {
                    guard.keep();
                }
                Err(fault)
            }
        }
    }

    async fn receive(&self, item: &Item, path: &Path, result: &mut TransferResult) -> Outcome<u64> {
        let Item { source, target, about } = item;
        if about.len > LARGE && LocalFiles.metadata(target, false).await.is_ok_and(|found| found.is_dir()) {
            return Err(Fault::new(io::ErrorKind::IsADirectory));
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(!self.manner.resume).mode(0o600);
        let local = options.open(path)?;
        let mut from = 0;
        if self.manner.resume {
            let there = local.metadata()?.len();
            if there > about.len {
                local.set_len(0)?;
            } else {
                from = there;
            }
            self.meter.add(from);
        }
        result.resumed_from = from;
        let (copy, moved) = (local.try_clone()?, self.meter.moved());
        let download = Download { remote: source, local: copy, from, len: about.len, moved };
        let length = self.files.download(download).await?;
        if self.manner.checksum || from > 0 {
            let there = sha256_of(&*self.files, &*self.shell, source).await?;
            compare(&sha256_here(local.try_clone()?).await?, &there)?;
        }
        let modified = about.modified.filter(|_| self.manner.times);
        let (mode, path, target) = (self.mode(item), path.to_owned(), target.to_owned());
        let conclude = spawn_blocking(move || -> Outcome<()> {
            let here = local.metadata()?.len();
            if here != length {
                let text = format!("{here} bytes are here of {length} that came");
                return Err(Fault::File(io::ErrorKind::UnexpectedEof, text));
            }
            local.set_permissions(std::fs::Permissions::from_mode(mode))?;
            if let Some(time) = modified {
                local.set_times(std::fs::FileTimes::new().set_modified(time).set_accessed(time))?;
            }
            Ok(std::fs::rename(path, target)?)
        });
        conclude.await.map_err(|_| gone())??;
        Ok(length)
    }
}

fn compare(here: &str, there: &str) -> Outcome<()> {
    if here == there {
        return Ok(());
    }
    let text = format!("it is not the same on both sides: SHA-256 {here} here, {there} on the host");
    Err(Fault::File(io::ErrorKind::InvalidData, text))
}
