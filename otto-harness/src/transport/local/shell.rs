//! A shell on this machine: pipes for commands, output and errors, and a pseudo-terminal beside them.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, OutputModes, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use super::pipes::{Reader, Writer};
use super::process::Process;
use super::spawn::{above, in_session_of_its_own};
use crate::transport::{BoxFuture, Incoming, Inlet, Interrupt, Outlet, Transport, Wiring};

/// The terminal's size. Wide, so that programs that fold their lines at its edge seldom do.
const SIZE: Winsize = Winsize { ws_row: 50, ws_col: 255, ws_xpixel: 0, ws_ypixel: 0 };

/// A shell on this machine.
#[derive(Debug)]
pub(super) struct LocalShell {
    commands: Option<Writer>,
    /// What can still be read, in the order it is asked.
    outlets: Vec<(Outlet, Reader)>,
    terminal: Option<Reader>,
    keyboard: Option<Writer>,
    /// Held open, because a terminal that no process holds answers reads with an error.
    _other_side: OwnedFd,
    process: Process,
}

impl LocalShell {
    /// Starts `program`, a shell of the Bourne family.
    pub(super) fn start(program: &Path) -> io::Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let slave = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        let mut modes = tcgetattr(&slave)?;
        modes.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
        modes.output_modes.remove(OutputModes::OPOST);
        tcsetattr(&slave, OptionalActions::Now, &modes)?;
        tcsetwinsize(&slave, SIZE)?;

        let (commands_in, commands) = pipe()?;
        let (output, output_in) = pipe()?;
        let (errors, errors_in) = pipe()?;
        let output_again = output_in.try_clone()?;
        let output_saved = output_in.try_clone()?;
        let wires = [(commands_in, 0), (output_in, 1), (output_again, 2), (output_saved, 8), (errors_in, 9)]
            .into_iter()
            .map(|(wire, number)| Ok((above(wire)?, number)))
            .collect::<io::Result<Vec<_>>>()?;

        let mut command = Command::new(program);
        command
            .args(interactive_arguments(program))
            .env("TERM", "dumb")
            .env("HISTFILE", "/dev/null")
            .env_remove("ENV")
            .env_remove("BASH_ENV")
            .env_remove("TMOUT")
            .env_remove("PROMPT_COMMAND")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        in_session_of_its_own(&mut command, above(slave.try_clone()?)?, wires);
        let process = Process::start(command)?;
        Ok(Self {
            commands: Some(Writer::new(commands)?),
            outlets: vec![(Outlet::Out, Reader::new(output)?), (Outlet::Err, Reader::new(errors)?)],
            terminal: Some(Reader::new(master.try_clone()?)?),
            keyboard: Some(Writer::new(master)?),
            _other_side: slave,
            process,
        })
    }
}

/// A pipe whose ends no child inherits by accident.
fn pipe() -> io::Result<(std::os::fd::OwnedFd, std::os::fd::OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

/// Interactive, so that ^C stops the command and not the shell; without job control, so that all it runs is one process
/// group; without what a person would want at a prompt.
fn interactive_arguments(program: &Path) -> &'static [&'static str] {
    match program.file_name().and_then(|name| name.to_str()) {
        Some("bash") => &["--norc", "--noprofile", "--noediting", "-i", "+m"],
        Some("zsh") => &["-f", "-i", "+m", "+Z"],
        Some("busybox") => &["ash", "-i", "+m"],
        _ => &["-i", "+m"],
    }
}

impl Transport for LocalShell {
    fn wiring(&self) -> Wiring {
        Wiring::Pipes
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<Incoming>> {
        let mut at = 0;
        while let Some((outlet, wire)) = self.outlets.get(at) {
            match wire.poll_read(cx, into)? {
                Poll::Ready(0) => drop(self.outlets.remove(at)),
                Poll::Ready(_) => return Poll::Ready(Ok(Incoming::Data(*outlet))),
                Poll::Pending => at += 1,
            }
        }
        if let Some(terminal) = &self.terminal
            && let Poll::Ready(count) = terminal.poll_read(cx, into)?
            && count > 0
        {
            return Poll::Ready(Ok(Incoming::Data(Outlet::Terminal)));
        }
        if !self.process.has_ended() && self.process.poll_ending(cx).is_ready() {
            // What the shell wrote before it ended is in the pipes by now: one more round reads it.
            return self.poll_read(cx, into);
        }
        self.process.poll_ending(cx).map(|ending| Ok(Incoming::Ended(ending.clone())))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, inlet: Inlet, data: &[u8]) -> Poll<io::Result<usize>> {
        let wire = match inlet {
            Inlet::Commands => &self.commands,
            Inlet::Terminal => &self.keyboard,
        };
        match wire {
            Some(wire) => wire.poll_write(cx, data),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn interrupt(&mut self, how: Interrupt) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            match how {
                Interrupt::Gentle => self.process.signal(Signal::INT),
                Interrupt::Kill => self.process.kill().await,
            }
        })
    }

    fn close(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            // End of file on its commands ends an idle shell; a hang-up, as when a terminal is closed, ends a busy one.
            self.commands = None;
            if !self.process.ends_within(Duration::from_millis(200)).await {
                self.terminal = None;
                self.keyboard = None;
                self.process.signal(Signal::HUP);
                if !self.process.ends_within(Duration::from_millis(300)).await {
                    self.process.kill().await;
                    self.process.ends_within(Duration::from_millis(500)).await;
                }
            }
        })
    }
}
