//! A shell on this machine: pipes for commands, output and errors, and a pseudo-terminal beside them.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, OutputModes, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use super::pipes::{CHUNK, Reader, Writer};
use super::process::Process;
use super::spawn::{above, in_session_of_its_own};
use crate::transport::{BoxFuture, Incoming, Inlet, Interrupt, Outlet, Transport, Wiring};

/// The terminal's size. Wide, so that programs that fold their lines at its edge seldom do.
const SIZE: Winsize = Winsize { ws_row: 50, ws_col: 255, ws_xpixel: 0, ws_ypixel: 0 };

/// How much the pipe of output holds, if that is allowed: four times the usual.
const LARGE: usize = 256 << 10;

/// How long a thread waits on the spot for what a shell writes next.
///
/// A shell answers most commands that start no program within tens of microseconds. To have the runtime watch the pipe, and
/// then to be woken by the thread that watches for it, takes as long again, and a wake-up of another thread at that. So the
/// thread waits itself, asleep in the kernel; after a time in vain not again for some commands.
const ON_THE_SPOT: Duration = Duration::from_micros(100);

/// For so many commands at the most it is not tried again when it was in vain several times in a row.
const MOST_SKIPS: u8 = 64;

/// How often it does so for one command at the most, and again after each read that was full: what a command wrote, and the end
/// of it, come as separate pieces.
const WAITS: u8 = 4;

/// A shell on this machine.
#[derive(Debug)]
pub(super) struct LocalShell {
    commands: Option<Writer>,
    output: Option<Reader>,
    errors: Option<Reader>,
    terminal: Option<Reader>,
    keyboard: Option<Writer>,
    /// Whether anybody waits for errors.
    heeds_errors: bool,
    /// Whether it is their turn to be read.
    errors_next: bool,
    /// Whether they were read since the last command.
    errors_read: bool,
    /// For how many commands it is not tried again to wait on the spot.
    skips: u8,
    /// How many those are after the next time in vain.
    penalty: u8,
    /// How many waits on the spot are left for this command.
    waits: u8,
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
        // So that a command that writes much and its reader take turns less often. Not everybody may have it.
        let _ = rustix::pipe::fcntl_setpipe_size(&output, LARGE);
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
            output: Some(Reader::alone(output)?),
            errors: Some(Reader::alone(errors)?),
            terminal: Some(Reader::new(master.try_clone()?)?),
            keyboard: Some(Writer::new(master)?),
            heeds_errors: true,
            errors_next: false,
            errors_read: false,
            skips: 0,
            penalty: 1,
            waits: 0,
            _other_side: slave,
            process,
        })
    }
}

impl LocalShell {
    /// What lies in the outlets beside the main one.
    fn beside(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> io::Result<Option<Incoming>> {
        if let Some(found) = self.errors(cx, into)? {
            return Ok(Some(found));
        }
        let Some(terminal) = &mut self.terminal else { return Ok(None) };
        match terminal.poll_read(cx, into)? {
            Poll::Ready(0) | Poll::Pending => Ok(None),
            Poll::Ready(_) => Ok(Some(Incoming::Data(Outlet::Terminal))),
        }
    }

    fn errors(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> io::Result<Option<Incoming>> {
        let Some(errors) = self.errors.as_mut().filter(|_| self.heeds_errors) else { return Ok(None) };
        match errors.poll_read(cx, into)? {
            Poll::Ready(0) => self.errors = None,
            Poll::Ready(_) => return Ok(Some(Incoming::Data(Outlet::Err))),
            Poll::Pending => {}
        }
        Ok(None)
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
        // It would write to its terminal even before it is told to be quiet.
        Some("zsh") => &["-f", "-i", "+m", "+Z", "+o", "promptsp"],
        Some("busybox") => &["ash", "-i", "+m"],
        _ => &["-i", "+m"],
    }
}

impl Transport for LocalShell {
    fn wiring(&self) -> Wiring {
        Wiring::Pipes
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<Incoming>> {
        // After output it is the turn of errors, so that neither waits for the end of the other.
        if std::mem::take(&mut self.errors_next)
            && let Some(found) = self.errors(cx, into)?
        {
            return Poll::Ready(Ok(found));
        }
        while let Some(output) = &mut self.output {
            if self.waits > 0 {
                self.waits -= 1;
                if output.wait(ON_THE_SPOT) {
                    self.penalty = 1;
                } else {
                    (self.waits, self.skips) = (0, self.penalty);
                    self.penalty = self.penalty.saturating_mul(2).min(MOST_SKIPS);
                }
            }
            match output.poll_read(cx, into)? {
                Poll::Ready(0) => self.output = None,
                Poll::Ready(count) => {
                    if count >= CHUNK {
                        // There is a lot to come, and soon.
                        self.waits = self.waits.max(1);
                        output.leave_alone()?;
                    }
                    self.errors_next = true;
                    return Poll::Ready(Ok(Incoming::Data(Outlet::Out)));
                }
                Poll::Pending => break,
            }
        }
        if let Some(found) = self.beside(cx, into)? {
            return Poll::Ready(Ok(found));
        }
        if !self.process.has_ended() && self.process.poll_ending(cx).is_ready() {
            // What the shell wrote before it ended is in the pipes by now: one more round reads it.
            self.heeds_errors = true;
            return self.poll_read(cx, into);
        }
        self.process.poll_ending(cx).map(|ending| Ok(Incoming::Ended(ending.clone())))
    }

    fn try_read(&mut self, into: &mut Vec<u8>) -> io::Result<Option<Incoming>> {
        // The pipes themselves are asked, not the runtime, which may not have come to hear of what is in them. The one of
        // errors first and once a command: one read takes all that a pipe can hold.
        if !std::mem::replace(&mut self.errors_read, true) {
            match self.errors.as_ref().map_or(Ok(None), |errors| errors.try_read(into))? {
                Some(0) => self.errors = None,
                Some(_) => return Ok(Some(Incoming::Data(Outlet::Err))),
                None => {}
            }
        }
        match self.output.as_ref().map_or(Ok(None), |output| output.try_read(into))? {
            Some(0) => self.output = None,
            Some(_) => return Ok(Some(Incoming::Data(Outlet::Out))),
            None => {}
        }
        let mut cx = Context::from_waker(Waker::noop());
        if let Some(found) = self.beside(&mut cx, into)? {
            return Ok(Some(found));
        }
        if self.process.poll_ending(&mut cx).is_pending() {
            return Ok(None);
        }
        match self.poll_read(&mut cx, into) {
            Poll::Ready(found) => found.map(Some),
            Poll::Pending => Ok(None),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, inlet: Inlet, data: &[u8]) -> Poll<io::Result<usize>> {
        let wire = match inlet {
            Inlet::Commands => &self.commands,
            Inlet::Terminal => &self.keyboard,
        };
        let done = match wire {
            Some(wire) => wire.poll_write(cx, data),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        };
        if inlet == Inlet::Commands && matches!(done, Poll::Ready(Ok(_))) {
            self.errors_read = false;
            if self.skips > 0 {
                self.skips -= 1;
            } else {
                self.waits = WAITS;
                if let Some(output) = &mut self.output {
                    // If not, the next read says why.
                    let _ = output.leave_alone();
                }
            }
        }
        done
    }

    fn sees_all(&self) -> bool {
        true
    }

    fn heed_errors(&mut self, heed: bool) {
        self.heeds_errors = heed;
        if let Some(errors) = self.errors.as_mut().filter(|_| !heed) {
            // If not, the next read says why.
            let _ = errors.leave_alone();
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
