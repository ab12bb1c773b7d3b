//! A child process: who it is, that it is reaped, how it ended, and that its whole group is gone.

use std::io;
use std::pin::Pin;
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use crate::transport::Ending;

/// How long a killed process group may take to be gone.
const DEATH: Duration = Duration::from_secs(1);

/// The groups whose leaders have not been reaped, so that their numbers are still theirs.
static LIVE: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

fn live() -> MutexGuard<'static, Vec<Pid>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills all that otto started on this machine and that still runs, for a process that leaves at once.
pub(crate) fn kill_all() {
    for group in live().iter() {
        // It may have ended since.
        let _ = kill_process_group(*group, Signal::KILL);
    }
}

/// A child that leads its process group. A task waits for it, so that it is reaped whoever is dropped.
#[derive(Debug)]
pub(super) struct Process {
    group: Pid,
    exit: oneshot::Receiver<io::Result<ExitStatus>>,
    ending: Option<Ending>,
}

impl Process {
    pub(super) fn start(command: Command) -> io::Result<Self> {
        let mut child = tokio::process::Command::from(command).spawn()?;
        let group = child
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()))
            .ok_or_else(|| io::Error::other("the process has no id"))?;
        live().push(group);
        let (tell, exit) = oneshot::channel();
        tokio::spawn(async move {
            let exit = child.wait().await;
            live().retain(|live| *live != group);
            // Nobody may listen any more; the wait still reaps it.
            let _ = tell.send(exit);
        });
        Ok(Self { group, exit, ending: None })
    }

    /// How it ended, once it has.
    pub(super) fn poll_ending(&mut self, cx: &mut Context<'_>) -> Poll<&Ending> {
        if self.ending.is_none() {
            match Pin::new(&mut self.exit).poll(cx) {
                Poll::Ready(exit) => self.ending = Some(ending(exit)),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.ending.as_ref().map_or(Poll::Pending, Poll::Ready)
    }

    /// Whether its end was seen.
    pub(super) fn has_ended(&self) -> bool {
        self.ending.is_some()
    }

    /// Waits for its end; false if that did not come.
    pub(super) async fn ends_within(&mut self, limit: Duration) -> bool {
        timeout(limit, std::future::poll_fn(|cx| self.poll_ending(cx).map(|_| ()))).await.is_ok()
    }

    /// Sends a signal to the group.
    pub(super) fn signal(&self, signal: Signal) -> bool {
        kill_process_group(self.group, signal).is_ok()
    }

    /// Kills the group; whether every process of it was seen to be gone.
    pub(super) async fn kill(&mut self) -> bool {
        let deadline = Instant::now() + DEATH;
        let mut pause = Duration::from_millis(1);
        while any_alive(self.group) {
            self.signal(Signal::KILL);
            if Instant::now() >= deadline {
                return false;
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        true
    }
}

/// Whether the group has a process that still runs. A dead one that its parent has not reaped yet does not.
fn any_alive(group: Pid) -> bool {
    if test_kill_process_group(group) == Err(Errno::SRCH) {
        return false;
    }
    let Ok(processes) = std::fs::read_dir("/proc") else { return true };
    processes.flatten().any(|process| {
        // `pid (name) state ppid pgrp …`, proc_pid_stat(5); the name may hold anything.
        let stat = std::fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        let mut fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
        let state = fields.next();
        let its_group = fields.nth(1).and_then(|group| group.parse().ok());
        its_group == Some(group.as_raw_nonzero().get()) && !matches!(state, Some("Z" | "X"))
    })
}

impl Drop for Process {
    /// Nothing of it stays when nobody saw it end.
    fn drop(&mut self) {
        if self.ending.is_none() && self.exit.try_recv().is_err() {
            self.signal(Signal::KILL);
        }
    }
}

fn ending(exit: Result<io::Result<ExitStatus>, oneshot::error::RecvError>) -> Ending {
    use std::os::unix::process::ExitStatusExt;
    match exit {
        Ok(Ok(status)) => Ending { code: status.code(), signal: status.signal().map(signal_name), lost: None },
        Ok(Err(error)) => Ending { lost: Some(format!("waiting for it failed: {error}")), ..Ending::default() },
        Err(_) => Ending { lost: Some("the runtime that watched it is gone".to_owned()), ..Ending::default() },
    }
}

/// A signal's name without `SIG`, or its number.
fn signal_name(number: i32) -> String {
    const NAMES: [&str; 15] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
        "TERM",
    ];
    usize::try_from(number - 1)
        .ok()
        .and_then(|at| NAMES.get(at))
        .map_or_else(|| number.to_string(), ToString::to_string)
}
