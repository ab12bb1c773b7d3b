//! Finding and ending what the simulated hosts started.
//!
//! Every process of a host inherits a mark in its environment. Those of a lost connection are ended by mark and session,
//! so that a daemon that took a session of its own survives, as under sshd; those of a lab by mark alone.

use std::collections::HashSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process;
use std::sync::{Mutex, MutexGuard, Once, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::error::{Error, ErrorKind, Result};

/// The variable that carries the mark.
pub(super) const MARK: &str = "OTTO_SIM_MARK";

/// How long a process that was told to hang up may take before it is killed.
const GRACE: Duration = Duration::from_millis(200);

/// Folders to remove, should nobody do so before this process ends.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn folders() -> MutexGuard<'static, Vec<PathBuf>> {
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The mark of this process, of which those of its labs and connections are extensions.
pub(super) fn process_mark() -> Result<&'static str> {
    static MARK: OnceLock<String> = OnceLock::new();
    static ONCE: Once = Once::new();
    if let Some(mark) = MARK.get() {
        return Ok(mark);
    }
    let nonce = u64::from_le_bytes(super::keys::random::<8>()?);
    let mark = MARK.get_or_init(|| format!("{}-{nonce:016x}", process::id()));
    ONCE.call_once(|| super::system::at_exit(clean_up));
    Ok(mark)
}

/// A folder that goes with its owner, or at the latest when this process ends.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("otto-sim-").tempdir().map_err(|error| {
            Error::new(ErrorKind::Io, "cannot make a folder for the simulated lab").caused_by(error)
        })?;
        let path = folder.keep();
        folders().push(path.clone());
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        folders().retain(|path| *path != self.0);
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The last thing this process does: labs that nobody dropped, the built-in one among them, leave nothing behind.
extern "C" fn clean_up() {
    let Ok(mark) = process_mark() else { return };
    // A child that was forked and did not exec runs this too, and is not the owner.
    if !mark.starts_with(&format!("{}-", process::id())) {
        return;
    }
    kill_all(mark);
    for path in folders().drain(..) {
        let _ = fs::remove_dir_all(path);
    }
}

/// Kills every process with a mark that begins so, and returns when there is none, or after two seconds.
pub(super) fn kill_all(mark: &str) {
    let end = Instant::now() + Duration::from_secs(2);
    loop {
        let found = marked(mark, None);
        if found.is_empty() || Instant::now() > end {
            return;
        }
        for process in &found {
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Hangs up the processes of these sessions that have this mark, and kills what is left after a while.
pub(super) async fn hang_up(mark: &str, sessions: &HashSet<i32>) {
    if sessions.is_empty() {
        return;
    }
    let end = Instant::now() + GRACE;
    let mut told = false;
    loop {
        let found = marked(mark, Some(sessions));
        if found.is_empty() || Instant::now() > end + GRACE {
            return;
        }
        for process in &found {
            if Instant::now() > end {
                let _ = pidfd_send_signal(process, Signal::KILL);
            } else if !told {
                let _ = pidfd_send_signal(process, Signal::HUP);
                let _ = pidfd_send_signal(process, Signal::CONT);
            }
        }
        told = true;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The living processes whose mark begins with `mark`, by a descriptor that cannot come to mean another process.
fn marked(mark: &str, sessions: Option<&HashSet<i32>>) -> Vec<OwnedFd> {
    let wanted = format!("{MARK}={mark}");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if sessions.is_some_and(|sessions| session_of(pid).is_none_or(|session| !sessions.contains(&session))) {
            continue;
        }
        let Some(Ok(process)) = Pid::from_raw(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty())) else { continue };
        // Read after the descriptor was opened: what is seen belongs to it, or it is dead already.
        let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
        if environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(wanted.as_bytes())) {
            found.push(process);
        }
    }
    found
}

/// The session of a process: the fourth field after its name, which may hold spaces and brackets itself.
fn session_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};

    // Not the session of this process: in a container that was entered from outside, the system calls that one 0.
    #[test]
    fn the_leader_of_a_session_has_its_own_number() {
        let mut leader = Command::new("setsid")
            .args(["sh", "-c", "echo; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cannot start setsid: apt-get install util-linux");
        let ready = leader.stdout.take().expect("it was asked for").read_exact(&mut [0]);
        let own = leader.id().cast_signed();
        let found = super::session_of(own);
        leader.kill().expect("cannot end what this test started");
        leader.wait().expect("cannot end what this test started");
        ready.expect("setsid or sh did not start");
        assert_eq!(found, Some(own));
    }
}
