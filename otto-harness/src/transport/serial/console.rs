//! The shell at the other end of a serial line: [`Console`].

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::time::{Sleep, sleep, timeout};

use super::Seated;
use super::device::Device;
use super::settings::{Pace, SerialTarget};
use crate::transport::{BoxFuture, Ending, Incoming, Inlet, Interrupt, Outlet, Transport, Wiring};

/// How many bytes one read may give: what a terminal holds.
const CHUNK: usize = 4 * 1024;

/// How long a key may take that is typed past everything else.
const KEY: Duration = Duration::from_millis(200);

/// How long a shell has for its farewell, and the silence that ends it.
const FAREWELL: Duration = Duration::from_millis(1500);
const SILENCE: Duration = Duration::from_millis(250);

/// The line that ends the shell.
const LEAVE: &[u8] = b" exit\n";

#[derive(Debug)]
pub(super) struct Console {
    reader: Receiver,
    writer: Sender,
    target: Arc<SerialTarget>,
    /// While the line rests between two writes.
    rest: Option<Pin<Box<Sleep>>>,
    ended: Option<Ending>,
    /// Whether a shell of ours is there.
    arrived: bool,
    /// Whether it was told to end.
    left: bool,
    // Dropped in this order: the settings go back while the device is still ours.
    _device: Device,
    seated: Seated,
}

impl Console {
    pub(super) fn new(device: Device, target: &Arc<SerialTarget>, seated: Seated) -> io::Result<Self> {
        // Unchecked: a terminal is watched like a pipe. It was opened as one that does not block.
        let reader = Receiver::from_file_unchecked(device.handle()?)?;
        let writer = Sender::from_file_unchecked(device.handle()?)?;
        let target = target.clone();
        Ok(Self {
            reader,
            writer,
            target,
            rest: None,
            ended: None,
            arrived: false,
            left: false,
            _device: device,
            seated,
        })
    }

    pub(super) fn arrived(&mut self) {
        self.arrived = true;
    }

    fn lost(&mut self, why: &str) -> Incoming {
        let lost = Some(format!("the serial line {} went away: {why}", self.target.device.display()));
        let ending = Ending { lost, ..Ending::default() };
        Incoming::Ended(self.ended.insert(ending).clone())
    }

    /// Types past the pace and whatever waits to be written; whether the device took it.
    async fn press(&self, keys: &[u8]) -> bool {
        let mut rest = keys;
        let typed = timeout(KEY, async {
            while !rest.is_empty() {
                self.writer.writable().await?;
                match self.writer.try_write(rest) {
                    Ok(count) => rest = &rest[count..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        });
        matches!(typed.await, Ok(Ok(())))
    }

    /// For a shell of ours that an earlier line was lost to: what runs in it is ours too, and nobody waits for it.
    pub(super) async fn stop_what_runs(&self) {
        self.press(b"\x03").await;
    }

    /// Ends the shell as one who logs out does, and waits for what it says to that.
    async fn log_out(&mut self) {
        self.left = true;
        if self.ended.is_some() || !self.press(b"\x03").await {
            return;
        }
        sleep(Duration::from_millis(100)).await;
        let leave: &[u8] = if self.arrived { LEAVE } else { b"\x04" };
        if !self.press(leave).await {
            return;
        }
        let farewell = async {
            let mut said = Vec::new();
            while let Ok(Ok(Incoming::Data(_))) = timeout(SILENCE, poll_fn(|cx| self.poll_read(cx, &mut said))).await {
                said.clear();
            }
        };
        let _ = timeout(FAREWELL, farewell).await;
    }
}

/// How much of `data` the pace allows at once.
fn allowed(pace: Pace, data: &[u8]) -> usize {
    match pace.chunk {
        Some(chunk) => chunk.clamp(1, data.len().max(1)).min(data.len()),
        None => memchr::memchr2(b'\n', b'\r', data).map_or(data.len(), |at| at + 1),
    }
}

impl Transport for Console {
    fn wiring(&self) -> Wiring {
        Wiring::Line
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<Incoming>> {
        if let Some(ending) = &self.ended {
            return Poll::Ready(Ok(Incoming::Ended(ending.clone())));
        }
        loop {
            ready!(self.reader.poll_read_ready(cx))?;
            into.reserve(CHUNK);
            match self.reader.try_read_buf(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(count) if count > 0 => return Poll::Ready(Ok(Incoming::Data(Outlet::Out))),
                // A hang-up, on a line where no carrier is looked at, is the device itself.
                Ok(_) => return Poll::Ready(Ok(self.lost("it was hung up"))),
                Err(error) => return Poll::Ready(Ok(self.lost(&error.to_string()))),
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, _: Inlet, data: &[u8]) -> Poll<io::Result<usize>> {
        if self.ended.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if let Some(rest) = &mut self.rest {
            ready!(rest.as_mut().poll(cx));
            self.rest = None;
        }
        let pace = self.target.pace;
        let piece = pace.map_or(data, |pace| &data[..allowed(pace, data)]);
        loop {
            ready!(self.writer.poll_write_ready(cx))?;
            match self.writer.try_write(piece) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(count) => {
                    // The device has it, and the wire takes its time: only then the pause begins.
                    self.rest = pace.map(|pace| Box::pin(sleep(pace.pause + self.target.time_of(count))));
                    return Poll::Ready(Ok(count));
                }
                error => return Poll::Ready(error),
            }
        }
    }

    /// A serial line has no second way in, so what does not heed a key cannot be stopped, nor its end be proven.
    fn interrupt(&mut self, how: Interrupt) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            let gently = self.press(b"\x03").await;
            match how {
                Interrupt::Gentle => gently,
                Interrupt::Kill => {
                    sleep(Duration::from_millis(100)).await;
                    self.press(b"\x1c").await;
                    false
                }
            }
        })
    }

    fn close(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        self.seated.leaves();
        Box::pin(async move { self.log_out().await })
    }
}

impl Drop for Console {
    /// Without a farewell: the keys are typed, and nobody waits for what becomes of them.
    fn drop(&mut self) {
        self.seated.leaves();
        if self.ended.is_some() && self.arrived {
            self.seated.leaves_a_shell_behind();
        }
        if self.left || self.ended.is_some() {
            return;
        }
        let leave: &[u8] = if self.arrived { b"\x03 exit\n" } else { b"\x03\x04" };
        if let Ok(count) = self.writer.try_write(leave) {
            // What has not left the device when it is closed is thrown away.
            std::thread::sleep(self.target.time_of(count).min(Duration::from_millis(20)));
        }
    }
}
