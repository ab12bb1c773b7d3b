//! The file of one ticket, locked by its process for as long as that lives.

use std::fs::{File, OpenOptions, Permissions};
use std::io::ErrorKind as IoKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::faults::{at, io};
use super::folder::Folder;
use crate::error::Result;

/// The locked file of a ticket of this process. The kernel unlocks it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Alive {
    _file: File,
    path: PathBuf,
    pub(super) id: String,
}

impl Alive {
    pub(super) fn new(folder: &Folder) -> Result<Self> {
        for _ in 0..16 {
            let id = random_id()?;
            let path = folder.alive().join(&id);
            let file = OpenOptions::new().write(true).create_new(true).mode(folder.file_mode).open(&path);
            let file =
                file.map_err(|error| io(&path, "cannot make the file that says that a lease is alive", error))?;
            // Whoever sweeps up may have found it before it was locked.
            let locked = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
            if locked && file.metadata().is_ok_and(|found| found.nlink() > 0) {
                // The umask may have narrowed it.
                file.set_permissions(Permissions::from_mode(folder.file_mode))
                    .map_err(|error| io(&path, "cannot share the file", error))?;
                return Ok(Self { _file: file, path, id });
            }
        }
        Err(at(&folder.alive(), "no file in it stays locked"))
    }

    /// Removes the file, which tells those who wait.
    pub(super) fn remove(&self) {
        // Nothing depends on it: the ticket is gone, and what is left is swept up by the next who comes.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What the file of a ticket says of its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pulse {
    Alive,
    Dead,
    /// There is no file: it was released, or somebody tidied up. Only time can tell.
    Unknown,
}

/// Feels whether the process of a ticket is alive.
pub(super) fn pulse(folder: &Folder, id: &str) -> Result<Pulse> {
    let path = folder.alive().join(id);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == IoKind::NotFound => return Ok(Pulse::Unknown),
        Err(error) => return Err(io(&path, "cannot ask whether a lease is alive", error)),
    };
    // Shared, so that two who ask do not take each other for the holder.
    Ok(match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Pulse::Dead,
        Err(_) => Pulse::Alive,
    })
}

/// Removes files that no process locks and no ticket names, and says whether any is locked.
pub(super) fn sweep(folder: &Folder, is_known: impl Fn(&str) -> bool) -> bool {
    let mut locked = false;
    for entry in std::fs::read_dir(folder.alive()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if is_known(&name.to_string_lossy()) {
            continue;
        }
        let Ok(file) = File::open(entry.path()) else { continue };
        // The lock is kept until the file is gone, so that its maker notices.
        if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
            let _ = std::fs::remove_file(entry.path());
        } else {
            locked = true;
        }
    }
    locked
}

/// Removes the file of a ticket whose process is dead.
pub(super) fn bury(folder: &Folder, id: &str) {
    let _ = std::fs::remove_file(folder.alive().join(id));
}

fn random_id() -> Result<String> {
    let mut bytes = [0_u8; 12];
    getrandom::fill(&mut bytes).map_err(|error| at(Path::new("getrandom"), &error.to_string()))?;
    Ok(format!("{:024x}", bytes.iter().fold(0_u128, |number, byte| (number << 8) | u128::from(*byte))))
}
