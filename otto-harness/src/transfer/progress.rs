//! How far a transfer has come: [`Progress`].

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::files::Moved;

/// How far a transfer has come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes that came, or were acknowledged, so far; of all files.
    pub bytes: u64,
    /// The size of all files together, as it was found before the first began.
    pub total: u64,
    /// Files that are done, well or not.
    pub files_done: usize,
    /// How many files there are.
    pub files: usize,
    /// The source of the file that was begun last.
    pub file: PathBuf,
}

/// Counts what the parts of a transfer do, on whichever thread.
#[derive(Debug)]
pub(super) struct Meter {
    bytes: AtomicU64,
    total: u64,
    done: AtomicUsize,
    files: usize,
    file: Mutex<PathBuf>,
    /// Nobody waits for it any more.
    given_up: AtomicBool,
}

impl Meter {
    pub(super) fn new(total: u64, files: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes: AtomicU64::new(0),
            total,
            done: AtomicUsize::new(0),
            files,
            file: Mutex::default(),
            given_up: AtomicBool::new(false),
        })
    }

    pub(super) fn begins(&self, file: &Path) {
        file.clone_into(&mut self.file.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn ends(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// What is told of bytes that moved; it answers whether to go on.
    pub(super) fn moved(self: &Arc<Self>) -> Moved {
        let meter = Arc::clone(self);
        Arc::new(move |bytes| {
            meter.add(bytes);
            !meter.given_up.load(Ordering::Relaxed)
        })
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            bytes: self.bytes.load(Ordering::Relaxed),
            total: self.total,
            files_done: self.done.load(Ordering::Relaxed),
            files: self.files,
            file: self.file.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
