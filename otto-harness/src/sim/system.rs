//! What needs `unsafe`: what a child does between `fork` and `exec`, what this process does last, and waiting for a terminal.

#![expect(unsafe_code, reason = "pre_exec, atexit and AsyncFd have no safe form")]

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::process::Signal;
use tokio::io::unix::AsyncFd;
use tokio::process::Command;

/// Has the child of `command` lead a session of its own, as sshd's children do; with `terminal`, its standard input
/// becomes the controlling terminal of that session.
pub(super) fn lead_session(command: &mut Command, terminal: bool) {
    let prepare = move || -> io::Result<()> {
        // A harness that was started in the background ignores SIGINT, and a shell cannot undo what it inherits.
        for signal in 1..32 {
            // SAFETY: signal(2) is async-signal-safe and SIG_DFL is no handler; it refuses KILL and STOP, rightly.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        rustix::process::setsid()?;
        if terminal {
            // SAFETY: the parent has put the terminal there, and nobody closes it before exec.
            rustix::process::ioctl_tiocsctty(unsafe { BorrowedFd::borrow_raw(0) })?;
        }
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        // When the process that runs the lab is killed, the shell gets what it would get from a lost terminal.
        rustix::process::set_parent_process_death_signal(Some(Signal::HUP))?;
        Ok(())
    };
    // SAFETY: `prepare` only makes system calls that are async-signal-safe, and allocates nothing.
    unsafe { command.pre_exec(prepare) };
}

/// Has `last` called when this process ends by returning from `main` or by `exit`.
pub(super) fn at_exit(last: extern "C" fn()) {
    // SAFETY: `last` lives as long as the program; a refusal only means that it is not called.
    unsafe { libc::atexit(last) };
}

/// Registers a descriptor with the runtime.
pub(super) fn async_fd(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is one and the same open descriptor for as long as it lives, and nobody swaps it in there.
    Ok(unsafe { AsyncFd::register(fd) }?)
}
