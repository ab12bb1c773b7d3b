//! What a child does between `fork` and `exec`: the one place of this crate with unsafe code.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::process::Command;

/// Makes `command` start as the leader of a new session with default signals, `terminal` as its controlling terminal, and
/// `wires` as its descriptors: each is given with the number it has in the child.
///
/// The numbers of the wires in this process must not be among the numbers that they get; [`above`] sees to it.
pub(super) fn in_session_of_its_own(command: &mut Command, terminal: OwnedFd, wires: Vec<(OwnedFd, RawFd)>) {
    use std::os::unix::process::CommandExt;
    let prepare = move || -> io::Result<()> {
        rustix::process::setsid()?;
        rustix::process::ioctl_tiocsctty(&terminal)?;
        default_signals();
        for (wire, number) in &wires {
            duplicate(wire.as_raw_fd(), *number)?;
        }
        Ok(())
    };
    #[expect(
        unsafe_code,
        reason = "between fork and exec only async-signal-safe calls are made, and nothing allocates"
    )]
    // SAFETY: `prepare` makes system calls alone: setsid, ioctl, signal and dup2.
    unsafe {
        command.pre_exec(prepare);
    }
}

/// A program started with `&` by a shell without job control hands down ignored `SIGINT` and `SIGQUIT`, and a shell cannot
/// make a signal count again that was ignored when it started: ^C would do nothing.
fn default_signals() {
    for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGTERM] {
        #[expect(unsafe_code, reason = "the standard library has no call for it")]
        // SAFETY: signal with SIG_DFL installs no handler.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
}

/// As dup2: the copy has no close-on-exec flag.
fn duplicate(from: RawFd, to: RawFd) -> io::Result<()> {
    #[expect(unsafe_code, reason = "the target is a number in the child that nothing owns")]
    // SAFETY: both are plain numbers; a wrong one is answered with an error.
    let done = unsafe { libc::dup2(from, to) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The same wire under a number that no wire of a child has.
pub(super) fn above(fd: OwnedFd) -> io::Result<OwnedFd> {
    const FIRST_FREE: RawFd = 10;
    if fd.as_raw_fd() >= FIRST_FREE {
        return Ok(fd);
    }
    Ok(rustix::io::fcntl_dupfd_cloexec(&fd, FIRST_FREE)?)
}
