//! A shell on one terminal line, for the engine's own tests: what telnet and a console are, without a network.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

use super::pipes::{Reader, Writer};
use super::process::Process;
use super::spawn::{above, in_session_of_its_own};
use crate::error::{Error, ErrorKind, Result};
use crate::transport::{BoxFuture, Connector, Ending, Exec, Incoming, Inlet, Interrupt, Outlet, Transport, Wiring};

/// What a console's shell is started by, and what is odd about the console.
#[derive(Debug, Clone, Default)]
pub(crate) struct Console {
    /// Program and arguments.
    pub(crate) command: Vec<String>,
    /// Whether bytes come one by one.
    pub(crate) dribbles: bool,
    /// `PATH`, if it is to be another.
    pub(crate) path: Option<String>,
    /// How much of what is typed first the login throws away: lines.
    pub(crate) swallows: usize,
}

impl Console {
    pub(crate) fn new(command: &[&str]) -> Self {
        Self { command: command.iter().map(ToString::to_string).collect(), ..Self::default() }
    }
}

impl Connector for Console {
    fn open_shell(&self) -> BoxFuture<'_, Result<Box<dyn Transport>>> {
        Box::pin(async { Ok(Box::new(ConsoleShell::start(self).unwrap()) as Box<dyn Transport>) })
    }

    fn exec(&self, _: Exec) -> BoxFuture<'_, Result<Box<dyn Transport>>> {
        Box::pin(async { Err(Error::new(ErrorKind::Invalid, "a console has no processes of its own")) })
    }

    fn close(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { true })
    }
}

/// The far side of a pseudo-terminal, in the state that a login leaves it in: echo on, output processed.
#[derive(Debug)]
struct ConsoleShell {
    screen: Option<Reader>,
    keyboard: Option<Writer>,
    process: Process,
    dribbles: bool,
    pending: std::collections::VecDeque<u8>,
    swallows: usize,
}

impl ConsoleShell {
    fn start(console: &Console) -> io::Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let slave = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        let wires = (0..3).map(|number| Ok((above(slave.try_clone()?)?, number))).collect::<io::Result<Vec<_>>>()?;
        let mut command = Command::new(&console.command[0]);
        command
            .args(&console.command[1..])
            .env("TERM", "vt100")
            .env("HISTFILE", "/dev/null")
            .env_remove("ENV")
            .env_remove("BASH_ENV")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(path) = &console.path {
            command.env("PATH", path);
        }
        let terminal: OwnedFd = above(slave)?;
        in_session_of_its_own(&mut command, terminal, wires);
        Ok(Self {
            screen: Some(Reader::new(master.try_clone()?)?),
            keyboard: Some(Writer::new(master)?),
            process: Process::start(command)?,
            dribbles: console.dribbles,
            pending: std::collections::VecDeque::new(),
            swallows: console.swallows,
        })
    }

    fn dribble(&mut self, into: &mut Vec<u8>) -> Option<Poll<io::Result<Incoming>>> {
        into.push(self.pending.pop_front()?);
        Some(Poll::Ready(Ok(Incoming::Data(Outlet::Out))))
    }
}

impl Transport for ConsoleShell {
    fn wiring(&self) -> Wiring {
        Wiring::Line
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<Incoming>> {
        if let Some(one) = self.dribble(into) {
            return one;
        }
        if let Some(screen) = &mut self.screen {
            let from = into.len();
            match screen.poll_read(cx, into)? {
                Poll::Ready(0) => self.screen = None,
                Poll::Ready(_) => {
                    if self.dribbles {
                        self.pending.extend(into.drain(from..));
                        return self.dribble(into).unwrap_or(Poll::Pending);
                    }
                    return Poll::Ready(Ok(Incoming::Data(Outlet::Out)));
                }
                Poll::Pending => {}
            }
        }
        if self.screen.is_some() {
            return Poll::Pending;
        }
        // A line tells that it is over, and nothing more.
        self.process.poll_ending(cx).map(|_| Ok(Incoming::Ended(Ending::default())))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, _: Inlet, data: &[u8]) -> Poll<io::Result<usize>> {
        if self.swallows > 0 && data.ends_with(b"\n") {
            self.swallows -= 1;
            return Poll::Ready(Ok(data.len()));
        }
        match &self.keyboard {
            Some(keyboard) => keyboard.poll_write(cx, data),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn interrupt(&mut self, how: Interrupt) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            match how {
                Interrupt::Gentle => {
                    let Some(keyboard) = &self.keyboard else { return false };
                    std::future::poll_fn(|cx| keyboard.poll_write(cx, b"\x03")).await.is_ok()
                }
                Interrupt::Kill => self.process.kill().await,
            }
        })
    }

    fn close(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            self.screen = None;
            self.keyboard = None;
            if !self.process.ends_within(Duration::from_millis(300)).await {
                self.process.signal(Signal::HUP);
                if !self.process.ends_within(Duration::from_millis(300)).await {
                    self.process.kill().await;
                    self.process.ends_within(Duration::from_millis(500)).await;
                }
            }
        })
    }
}
