//! The exit codes, which are a contract with scripts and with CI.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the process says when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Every test that ran passed.
    Success,
    /// A reservation is not held, or nobody could say whether it is.
    Reservation,
    /// A wrong flag or variable, a wrong lab file, an unknown lab.
    Usage,
    /// A test failed, or there was none.
    Failed,
    /// A signal ended the run.
    Signal(i32),
}

impl Exit {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Reservation => 1,
            Self::Usage => 2,
            Self::Failed => 101,
            Self::Signal(number) => u8::try_from(128 + number).unwrap_or(u8::MAX),
        }
    }
}

/// Whether tests are running, so that the process must not end with success.
static RUNNING: AtomicBool = AtomicBool::new(false);

/// Sees to it that a test which ends the whole process fails the run: with exit code 0 its other tests would count as passed.
pub(super) fn guard() {
    if !RUNNING.swap(true, Ordering::Relaxed) {
        #[expect(unsafe_code, reason = "the standard library has no hook for the end of the process")]
        // SAFETY: the hook is a plain function that lives as long as the process.
        unsafe {
            libc::atexit(refuse);
        }
    }
}

/// From here on the process may end as it likes.
pub(super) fn unguard() {
    RUNNING.store(false, Ordering::Relaxed);
}

extern "C" fn refuse() {
    if RUNNING.load(Ordering::Relaxed) {
        super::progress::restore();
        eprintln!("otto: a test ended the process, so the others were not run to their end");
        #[expect(unsafe_code, reason = "exit must not be called within exit")]
        // SAFETY: it ends the process.
        unsafe {
            libc::_exit(Exit::Failed.code().into());
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
