//! The byte stream of one connection, with the faults that a wire has.
//!
//! It also reads ahead while a write waits: the SSH library does not read while it flushes, so a client that does the
//! same would otherwise wait for this side, and this side for it, for ever.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Sleep;

use super::fault::WireFaults;

/// How much a connection reads ahead while a write of its own waits: the windows of a dozen channels.
const READ_AHEAD: usize = 32 << 20;

/// What the streams of a host obey.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gate {
    /// Nothing is read and nothing is written.
    pub(super) frozen: bool,
    /// Connections that were made in an earlier epoch are cut.
    pub(super) epoch: u64,
}

type Changed = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) struct SimStream {
    inner: TcpStream,
    gate: watch::Receiver<Gate>,
    /// Wakes the connection when the gate moves.
    changed: Changed,
    epoch: u64,
    faults: WireFaults,
    sent: u64,
    delay: Option<Pin<Box<Sleep>>>,
    ahead: VecDeque<u8>,
    ended: bool,
}

impl SimStream {
    pub(super) fn new(inner: TcpStream, gate: watch::Receiver<Gate>, faults: WireFaults) -> Self {
        let epoch = gate.borrow().epoch;
        let changed = changed(&gate);
        Self { inner, gate, changed, epoch, faults, sent: 0, delay: None, ahead: VecDeque::new(), ended: false }
    }

    /// Ready while bytes may pass; an error once the connection is cut, which it is too when its lab is gone.
    fn poll_gate(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let gate = *self.gate.borrow_and_update();
            if gate.epoch != self.epoch || self.gate.has_changed().is_err() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            if self.changed.as_mut().poll(cx).is_ready() {
                self.changed = changed(&self.gate);
                continue;
            }
            let frozen = gate.frozen || self.faults.freeze_after.is_some_and(|limit| self.sent >= limit);
            return if frozen { Poll::Pending } else { Poll::Ready(Ok(())) };
        }
    }

    /// How many of `wanted` bytes may still be sent before a fault strikes.
    fn allowance(&self, wanted: usize) -> usize {
        let limits = [self.faults.drop_after, self.faults.freeze_after];
        let left = limits.into_iter().flatten().map(|limit| limit.saturating_sub(self.sent)).min();
        left.map_or(wanted, |left| wanted.min(usize::try_from(left).unwrap_or(usize::MAX)))
    }

    fn read_ahead(&mut self, cx: &mut Context<'_>) {
        let mut chunk = [0; 16 << 10];
        while !self.ended && self.ahead.len() < READ_AHEAD {
            let mut buffer = ReadBuf::new(&mut chunk);
            match Pin::new(&mut self.inner).poll_read(cx, &mut buffer) {
                // An error shows again at the next read proper.
                Poll::Pending | Poll::Ready(Err(_)) => return,
                Poll::Ready(Ok(())) => {
                    self.ended = buffer.filled().is_empty();
                    self.ahead.extend(buffer.filled());
                }
            }
        }
    }
}

fn changed(gate: &watch::Receiver<Gate>) -> Changed {
    let mut gate = gate.clone();
    Box::pin(async move {
        let _ = gate.changed().await;
    })
}

impl AsyncRead for SimStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_gate(cx))?;
        if this.ahead.is_empty() {
            return if this.ended { Poll::Ready(Ok(())) } else { Pin::new(&mut this.inner).poll_read(cx, out) };
        }
        let (front, _) = this.ahead.as_slices();
        let taken = front.len().min(out.remaining());
        out.put_slice(&front[..taken]);
        this.ahead.drain(..taken);
        if this.ahead.is_empty() {
            this.ahead = VecDeque::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_gate(cx))?;
        if let Some(slow) = this.faults.slow {
            let delay = this.delay.get_or_insert_with(|| Box::pin(tokio::time::sleep(slow)));
            ready!(delay.as_mut().poll(cx));
        }
        let allowed = this.allowance(bytes.len());
        if allowed == 0 && !bytes.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        match Pin::new(&mut this.inner).poll_write(cx, &bytes[..allowed]) {
            Poll::Ready(Ok(written)) => {
                this.delay = None;
                this.sent += written as u64;
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                this.read_ahead(cx);
                Poll::Pending
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
