//! A process of its own on this machine.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Sleep, sleep};

use super::pipes::{Reader, Writer};
use super::process::Process;
use crate::transport::{BoxFuture, Exec, Incoming, Inlet, Interrupt, Outlet, Transport, Wiring};

/// How long output may go on after the process ended before its end is reported: a child of it that was left in the
/// background may hold the pipe for ever.
const SILENCE: Duration = Duration::from_millis(50);

/// A process of its own, started by a shell with `-c`, in a process group of its own.
#[derive(Debug)]
pub(super) struct LocalProcess {
    input: Option<(Writer, Vec<u8>, usize)>,
    outlets: Vec<(Outlet, Reader)>,
    process: Process,
    silence: Option<Pin<Box<Sleep>>>,
}

impl LocalProcess {
    pub(super) fn start(shell: &Path, exec: Exec) -> io::Result<Self> {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(shell);
        if shell.file_name().is_some_and(|name| name == "busybox") {
            command.arg("ash");
        }
        command.arg("-c").arg(&exec.command).process_group(0);
        let (output, output_in) = io::pipe()?;
        let mut outlets = vec![(Outlet::Out, Reader::new(output.into())?)];
        if exec.merge {
            command.stderr(output_in.try_clone()?);
        } else {
            let (errors, errors_in) = io::pipe()?;
            command.stderr(errors_in);
            outlets.push((Outlet::Err, Reader::new(errors.into())?));
        }
        command.stdout(output_in);
        let mut input = None;
        if exec.stdin.is_empty() {
            command.stdin(Stdio::null());
        } else {
            let (input_out, ours) = io::pipe()?;
            command.stdin(input_out);
            input = Some((Writer::new(ours.into())?, exec.stdin, 0));
        }
        Ok(Self { input, outlets, process: Process::start(command)?, silence: None })
    }

    /// Feeds the process as much of its input as it takes now. One that no longer reads has its input closed.
    fn feed(&mut self, cx: &mut Context<'_>) {
        while let Some((wire, data, at)) = &mut self.input {
            match wire.poll_write(cx, &data[*at..]) {
                Poll::Ready(Ok(count)) if *at + count < data.len() => *at += count,
                Poll::Ready(_) => self.input = None,
                Poll::Pending => return,
            }
        }
    }
}

impl Transport for LocalProcess {
    fn wiring(&self) -> Wiring {
        Wiring::Pipes
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<Incoming>> {
        self.feed(cx);
        let mut at = 0;
        while let Some((outlet, wire)) = self.outlets.get_mut(at) {
            match wire.poll_read(cx, into)? {
                Poll::Ready(0) => drop(self.outlets.remove(at)),
                Poll::Ready(_) => {
                    self.silence = None;
                    return Poll::Ready(Ok(Incoming::Data(*outlet)));
                }
                Poll::Pending => at += 1,
            }
        }
        if !self.process.has_ended() {
            if self.process.poll_ending(cx).is_pending() {
                return Poll::Pending;
            }
            return self.poll_read(cx, into);
        }
        if !self.outlets.is_empty() {
            let silence = self.silence.get_or_insert_with(|| Box::pin(sleep(SILENCE)));
            if silence.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        self.process.poll_ending(cx).map(|ending| Ok(Incoming::Ended(ending.clone())))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, _: Inlet, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
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
            if !self.process.has_ended() {
                self.process.kill().await;
                self.process.ends_within(Duration::from_secs(1)).await;
            }
        })
    }
}
