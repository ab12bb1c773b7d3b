//! One command or shell on a simulated host, from its start to its end.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use russh::server::{Handle, Msg};
use russh::{ChannelWriteHalf, Sig};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, empty};
use tokio::process::{Child, Command};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::inbox::Incoming;
use super::processes::MARK;
use super::pty::{Master, PtyRequest, Resizer};
use super::server::Account;

/// As much as one SSH packet carries.
const CHUNK: usize = 32 << 10;

/// What to start.
#[derive(Debug)]
pub(super) enum Start<'a> {
    /// A login shell.
    Shell,
    /// This, by the account's shell.
    Command(&'a [u8]),
}

/// What surrounds a command: the account it runs in and what the client asked for before.
#[derive(Debug)]
pub(super) struct Setting<'a> {
    pub(super) account: &'a Account,
    pub(super) mark: &'a str,
    pub(super) peer: &'a str,
    pub(super) variables: &'a [(String, String)],
    pub(super) pty: Option<&'a PtyRequest>,
}

/// A command that runs, and its ends of the pipes.
pub(super) struct Running {
    child: Child,
    pub(super) pid: Pid,
    pub(super) resizer: Option<Resizer>,
    stdin: Box<dyn AsyncWrite + Send + Unpin>,
    stdout: Box<dyn AsyncRead + Send + Unpin>,
    stderr: Box<dyn AsyncRead + Send + Unpin>,
}

impl Running {
    pub(super) fn start(start: &Start<'_>, setting: &Setting<'_>) -> io::Result<Self> {
        let Account { id, user, home, shell } = setting.account;
        let shell_name = shell.file_name().unwrap_or_default().to_string_lossy();
        let mut command = Command::new(shell);
        match start {
            Start::Shell => command.arg0(format!("-{shell_name}")),
            Start::Command(text) => command.arg0(&*shell_name).arg("-c").arg(OsStr::from_bytes(text)),
        };
        command
            .current_dir(home)
            .env_clear()
            .env("HOME", home)
            .env("USER", user)
            .env("LOGNAME", user)
            .env("SHELL", shell)
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("SSH_CLIENT", setting.peer)
            .env("SSH_CONNECTION", setting.peer)
            .envs(setting.variables.iter().map(|(name, value)| (name, value)))
            .env("OTTO_SIM_HOST", id)
            .env(MARK, setting.mark);
        let Some(request) = setting.pty else {
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            super::system::lead_session(&mut command, false);
            let mut child = command.spawn()?;
            let pid = pid_of(&child)?;
            let (Some(stdin), Some(stdout), Some(stderr)) =
                (child.stdin.take(), child.stdout.take(), child.stderr.take())
            else {
                return Err(io::ErrorKind::BrokenPipe.into());
            };
            let (stdin, stdout, stderr) = (Box::new(stdin), Box::new(stdout), Box::new(stderr));
            return Ok(Self { child, pid, resizer: None, stdin, stdout, stderr });
        };
        let (master, slave) = Master::open(request)?;
        command
            .env("TERM", &request.term)
            .env(
                "SSH_TTY",
                rustix::termios::ttyname(&slave, Vec::new())
                    .map_or_else(|_| String::new(), |name| name.to_string_lossy().into_owned()),
            )
            .stdin(slave.try_clone()?)
            .stdout(slave.try_clone()?)
            .stderr(slave);
        super::system::lead_session(&mut command, true);
        let child = command.spawn()?;
        let pid = pid_of(&child)?;
        let resizer = Some(master.resizer());
        let (stdin, stdout, stderr) = (Box::new(master.clone()), Box::new(master), Box::new(empty()));
        Ok(Self { child, pid, resizer, stdin, stdout, stderr })
    }

    /// Carries bytes and the end of the command between the process and its channel, as sshd does: the status as soon as
    /// there is one, end of file when the last writer has closed, CLOSE. Only never end of file before the status, which
    /// a client may answer with CLOSE; sshd still tells the status then, and the library here has closed the channel.
    pub(super) async fn serve(self, line: Line, handle: Handle, tell_status: bool) {
        let Self { mut child, pid, stdin, stdout, stderr, .. } = self;
        let Line { incoming, channel, mut signals, closed, slot } = line;
        let lost = {
            let output = async {
                tokio::join!(pump(stdout, &channel, None), pump(stderr, &channel, Some(1)));
            };
            let status = async {
                let status = loop {
                    tokio::select! {
                        status = child.wait() => break status,
                        // Here, where the process is not yet reaped, its number cannot have come to mean another.
                        Some(signal) = signals.recv() => {
                            let _ = kill_process_group(pid, signal);
                        }
                    }
                };
                if let Ok(status) = status
                    && tell_status
                {
                    report(status, &channel, &handle).await;
                }
            };
            let input = async {
                incoming.pour(stdin).await;
                std::future::pending::<()>().await;
            };
            tokio::select! {
                ((), ()) = async { tokio::join!(output, status) } => {
                    // The client may be gone, and then there is nothing to close.
                    let _ = channel.eof().await;
                    let _ = channel.close().await;
                    false
                }
                () = input => false,
                // An error when the whole connection went.
                closed = closed => closed.is_err(),
            }
        };
        // The pipes or the terminal are closed now: whoever uses them learns that way.
        drop(slot);
        if lost && child.id().is_some() {
            let _ = kill_process_group(pid, Signal::HUP);
            if tokio::time::timeout(Duration::from_millis(200), child.wait()).await.is_err() {
                let _ = kill_process_group(pid, Signal::KILL);
            }
        }
        let _ = child.wait().await;
    }
}

/// The client's side of a command.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) incoming: Incoming,
    pub(super) channel: ChannelWriteHalf<Msg>,
    pub(super) signals: mpsc::UnboundedReceiver<Signal>,
    /// Sent when the client closes the channel, dropped with the connection.
    pub(super) closed: oneshot::Receiver<()>,
    pub(super) slot: OwnedSemaphorePermit,
}

fn pid_of(child: &Child) -> io::Result<Pid> {
    child.id().and_then(|id| Pid::from_raw(id.cast_signed())).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Sends what `from` says until it ends; each piece waits for the client's window.
pub(super) async fn pump(mut from: impl AsyncRead + Unpin, channel: &ChannelWriteHalf<Msg>, stream: Option<u32>) {
    loop {
        let mut data = Vec::with_capacity(CHUNK);
        match from.read_buf(&mut data).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let sent = match stream {
            None => channel.data_bytes(data).await,
            Some(stream) => channel.extended_data_bytes(stream, data).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn report(status: ExitStatus, channel: &ChannelWriteHalf<Msg>, handle: &Handle) {
    // A client that is gone does not want to know.
    if let Some(code) = status.code() {
        let _ = channel.exit_status(code.cast_unsigned()).await;
    } else if let Some(signal) = status.signal() {
        let name = ssh_name(signal);
        let _ =
            handle.exit_signal_request(channel.id(), name, status.core_dumped(), String::new(), String::new()).await;
    }
}

/// The name that RFC 4254, section 6.10, has for a signal, and for others the one that sshd uses.
fn ssh_name(signal: i32) -> Sig {
    match signal {
        libc::SIGABRT => Sig::ABRT,
        libc::SIGALRM => Sig::ALRM,
        libc::SIGFPE => Sig::FPE,
        libc::SIGHUP => Sig::HUP,
        libc::SIGILL => Sig::ILL,
        libc::SIGINT => Sig::INT,
        libc::SIGKILL => Sig::KILL,
        libc::SIGPIPE => Sig::PIPE,
        libc::SIGQUIT => Sig::QUIT,
        libc::SIGSEGV => Sig::SEGV,
        libc::SIGTERM => Sig::TERM,
        libc::SIGUSR1 => Sig::USR1,
        libc::SIGUSR2 => Sig::Custom("USR2".into()),
        _ => Sig::Custom("SIG@openssh.com".into()),
    }
}

/// The signal of a `signal` request, if it is one of those that sshd delivers.
pub(super) fn signal_of(name: &Sig) -> Option<Signal> {
    Some(match name {
        Sig::ABRT => Signal::ABORT,
        Sig::ALRM => Signal::ALARM,
        Sig::FPE => Signal::FPE,
        Sig::HUP => Signal::HUP,
        Sig::ILL => Signal::ILL,
        Sig::INT => Signal::INT,
        Sig::KILL => Signal::KILL,
        Sig::PIPE => Signal::PIPE,
        Sig::QUIT => Signal::QUIT,
        Sig::SEGV => Signal::SEGV,
        Sig::TERM => Signal::TERM,
        Sig::USR1 => Signal::USR1,
        Sig::Custom(name) if name == "USR2" => Signal::USR2,
        Sig::Custom(_) => return None,
    })
}
