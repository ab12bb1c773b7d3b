//! [`Files`] of this machine, by the system's own calls.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tokio::task::spawn_blocking;

use crate::transport::BoxFuture;

use super::Transfer;
use super::files::{Download, Fault, Files, Metadata, Moved, Outcome, Upload, Writing};

/// The files of this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalFiles;

/// A call that may wait for a disk, off the threads of the runtime.
fn off<'a, T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> BoxFuture<'a, Outcome<T>> {
    let work = spawn_blocking(work);
    Box::pin(async move {
        match work.await {
            Ok(done) => done.map_err(Fault::from),
            Err(_) => Err(Fault::File(io::ErrorKind::Interrupted, "the runtime ended meanwhile".to_owned())),
        }
    })
}

/// An empty path is the folder that one is in.
fn own(path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_owned() }
}

pub(super) fn metadata(found: &fs::Metadata) -> Metadata {
    let mut metadata = Metadata::of_stat(found.mode(), found.len(), 0, (found.uid(), found.gid()));
    metadata.modified = found.modified().ok();
    metadata
}

/// Copies from where `from` stands to its end.
fn copy_bytes(from: &mut fs::File, to: &mut fs::File, moved: &Moved) -> io::Result<u64> {
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(count) => {
                to.write_all(&buffer[..count])?;
                total += count as u64;
                if !moved(count as u64) {
                    return Err(io::ErrorKind::Interrupted.into());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Opens what is a regular file or becomes none: a pipe would be waited for.
fn open(path: &Path, options: &mut fs::OpenOptions) -> io::Result<fs::File> {
    options.custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)
}

impl Files for LocalFiles {
    fn transfer(&self) -> Transfer {
        Transfer::Local
    }

    fn width(&self) -> usize {
        8
    }

    fn metadata<'a>(&'a self, path: &'a Path, follow: bool) -> BoxFuture<'a, Outcome<Metadata>> {
        let path = own(path);
        off(move || {
            let found = if follow { fs::metadata(path) } else { fs::symlink_metadata(path) };
            found.map(|found| metadata(&found))
        })
    }

    /// In one go: going to another thread takes longer than looking.
    fn metadata_of<'a>(&'a self, paths: &'a [PathBuf]) -> BoxFuture<'a, Vec<Outcome<Metadata>>> {
        let (paths, count) = (paths.iter().map(|path| own(path)).collect::<Vec<_>>(), paths.len());
        let look = |path: &PathBuf| fs::metadata(path).map(|found| metadata(&found)).map_err(Fault::from);
        let looks = off(move || Ok(paths.iter().map(look).collect::<Vec<_>>()));
        Box::pin(async move {
            let gone = || Err(Fault::File(io::ErrorKind::Interrupted, "the runtime ended meanwhile".to_owned()));
            looks.await.unwrap_or_else(|_| (0..count).map(|_| gone()).collect())
        })
    }

    fn list<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Outcome<Vec<(OsString, Metadata)>>> {
        let path = own(path);
        off(move || {
            let mut names = Vec::new();
            for entry in fs::read_dir(path)? {
                let entry = entry?;
                match entry.metadata() {
                    Ok(found) => names.push((entry.file_name(), metadata(&found))),
                    // It went meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(names)
        })
    }

    fn real_path<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Outcome<PathBuf>> {
        let path = own(path);
        off(move || fs::canonicalize(path))
    }

    fn create_dir<'a>(&'a self, path: &'a Path, mode: u32) -> BoxFuture<'a, Outcome<()>> {
        let path = own(path);
        off(move || fs::DirBuilder::new().mode(mode).create(path))
    }

    fn remove_file<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Outcome<()>> {
        let path = own(path);
        off(move || fs::remove_file(path))
    }

    fn remove_dir<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Outcome<()>> {
        let path = own(path);
        off(move || fs::remove_dir(path))
    }

    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Outcome<()>> {
        let (from, to) = (own(from), own(to));
        off(move || fs::rename(from, to))
    }

    fn chmod<'a>(&'a self, path: &'a Path, mode: u32) -> BoxFuture<'a, Outcome<()>> {
        let path = own(path);
        off(move || fs::set_permissions(path, fs::Permissions::from_mode(mode)))
    }

    fn set_modified<'a>(&'a self, path: &'a Path, time: SystemTime) -> BoxFuture<'a, Outcome<()>> {
        let path = own(path);
        off(move || {
            let time = std::fs::FileTimes::new().set_modified(time).set_accessed(time);
            open(&path, fs::OpenOptions::new().read(true))?.set_times(time)
        })
    }

    fn read<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Outcome<Vec<u8>>> {
        let path = own(path);
        off(move || fs::read(path))
    }

    fn write<'a>(&'a self, path: &'a Path, data: &'a [u8], how: Writing) -> BoxFuture<'a, Outcome<()>> {
        let (path, data) = (own(path), data.to_vec());
        off(move || {
            let mut options = fs::OpenOptions::new();
            match how {
                Writing::Whole => options.write(true).create(true).truncate(true),
                Writing::Append => options.append(true).create(true),
            };
            options.open(path)?.write_all(&data)
        })
    }

    fn copy<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Outcome<u64>> {
        let (from, to) = (own(from), own(to));
        off(move || {
            let mut source = open(&from, fs::OpenOptions::new().read(true))?;
            let about = source.metadata()?;
            if about.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            let mut options = fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(about.mode() & 0o777);
            let mut target = options.open(to)?;
            io::copy(&mut source, &mut target)
        })
    }

    fn upload<'a>(&'a self, upload: Upload<'a>) -> BoxFuture<'a, Outcome<()>> {
        let Upload { local, remote, from, mode, modified, moved, .. } = upload;
        let (local, remote) = (own(local), own(remote));
        off(move || {
            let mut source = open(&local, fs::OpenOptions::new().read(true))?;
            let mut options = fs::OpenOptions::new();
            let mut target =
                options.write(true).create(true).truncate(from == 0).mode(mode & 0o777 | 0o200).open(&remote)?;
            source.seek(SeekFrom::Start(from))?;
            target.seek(SeekFrom::Start(from))?;
            if let Err(error) = copy_bytes(&mut source, &mut target, &moved) {
                if error.kind() == io::ErrorKind::Interrupted {
                    // Whoever wanted it may have looked for it before it was there.
                    let _ = fs::remove_file(&remote);
                }
                return Err(error);
            }
            target.set_permissions(fs::Permissions::from_mode(mode))?;
            if let Some(time) = modified {
                target.set_times(fs::FileTimes::new().set_modified(time).set_accessed(time))?;
            }
            Ok(())
        })
    }

    fn download<'a>(&'a self, download: Download<'a>) -> BoxFuture<'a, Outcome<u64>> {
        let Download { remote, local, from, moved, .. } = download;
        let remote = own(remote);
        off(move || {
            let source = open(&remote, fs::OpenOptions::new().read(true))?;
            let mut buffer = vec![0; 256 << 10];
            let mut at = from;
            loop {
                match source.read_at(&mut buffer, at) {
                    Ok(0) => return Ok(at),
                    Ok(count) => {
                        local.write_all_at(&buffer[..count], at)?;
                        at += count as u64;
                        if !moved(count as u64) {
                            return Err(io::ErrorKind::Interrupted.into());
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        })
    }
}
