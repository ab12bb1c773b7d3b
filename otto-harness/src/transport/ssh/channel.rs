//! One channel: requests, the way out, and an end that always frees its place on the server.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use russh::client::Msg;
use russh::{Channel as RawChannel, ChannelWriteHalf, Sig};
use tokio::io::AsyncWrite;
use tokio::time::timeout;

use crate::error::Phase;

use super::connection::{Connection, Permit};
use super::control;
use super::inbox::Inbox;
use crate::transport::fault::Fault;

/// How long the server gets to close a channel itself, before we do.
const PATIENCE: Duration = Duration::from_secs(1);

/// An open channel. Dropping it kills what still runs in it and closes it, in the background.
pub(super) struct Channel {
    pub(super) inbox: Arc<Inbox>,
    out: Arc<ChannelWriteHalf<Msg>>,
    connection: Arc<Connection>,
    permit: Option<Permit>,
    /// Whether there may be a process in it.
    started: AtomicBool,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("id", &self.out.id()).field("inbox", &self.inbox).finish_non_exhaustive()
    }
}

impl Channel {
    /// Takes over a channel that was just opened. Its own queue of messages is let go: they come through the inbox.
    pub(super) fn new(raw: RawChannel<Msg>, connection: Arc<Connection>, permit: Option<Permit>) -> Self {
        let (_, out) = raw.split();
        let out = Arc::new(out);
        let inbox = connection.table().inbox(out.id());
        inbox.out.get_or_init(|| Arc::clone(&out));
        Self { inbox, out, connection, permit, started: AtomicBool::new(false) }
    }

    pub(super) fn out(&self) -> Arc<ChannelWriteHalf<Msg>> {
        Arc::clone(&self.out)
    }

    /// Waits for the answer to a request that was just sent.
    pub(super) async fn granted(
        &self,
        what: &str,
        request: impl Future<Output = Result<(), russh::Error>>,
    ) -> Result<(), Fault> {
        let sent = request.await.is_ok();
        match if sent { self.inbox.answer().await } else { None } {
            Some(true) => Ok(()),
            Some(false) => Err(Fault::at(Phase::Shell, format!("the server refused {what}"))
                .hint("look for restrictions of this account: a forced command, `no-pty`, or a login shell that does not exist")),
            None => Err(match self.connection.table().lost() {
                Some(reason) => Fault::lost(&reason),
                None => Fault::at(Phase::Shell, format!("the server closed the channel instead of granting {what}")),
            }),
        }
    }

    pub(super) async fn exec(&self, command: impl Into<Vec<u8>>) -> Result<(), Fault> {
        let request = async {
            self.out.exec(true, command).await?;
            self.started.store(true, Ordering::Relaxed);
            Ok(())
        };
        self.granted("to run a command", request).await
    }

    /// Starts a subsystem; whether the server has it.
    pub(super) async fn subsystem(&self, name: &str) -> Result<bool, Fault> {
        let sent = self.out.request_subsystem(true, name).await.is_ok();
        match if sent { self.inbox.answer().await } else { None } {
            Some(granted) => Ok(granted),
            None => match self.connection.table().lost() {
                Some(reason) => Err(Fault::lost(&reason)),
                None => Ok(false),
            },
        }
    }

    /// Sends a signal to the process group; whether that could be said.
    pub(super) async fn send_signal(&self, signal: Sig) -> bool {
        let group = self.inbox.lock().group;
        match group {
            Some(group) => control::signal(&self.connection, &format!("{signal:?}"), &[group]).await,
            None => matches!(timeout(PATIENCE, self.out.signal(signal)).await, Ok(Ok(()))),
        }
    }

    /// Kills the process group; whether it was seen to be gone.
    pub(super) async fn kill(&self) -> bool {
        kill(&self.inbox, &self.out, &self.connection, control::PROMPT).await
    }

    /// Closes it from this side. Nothing more is heard of it.
    pub(super) async fn shut(&self) {
        let _ = timeout(PATIENCE, self.out.close()).await;
        self.inbox.note(|state| state.closed = true);
    }

    pub(super) fn writer(&self) -> Writer {
        Writer { out: Box::pin(self.out.make_writer()), inbox: Arc::clone(&self.inbox), held: Vec::new(), sent: 0 }
    }
}

/// By the request of SSH, which most servers grant at once, and by a command, which gives proof.
async fn kill(inbox: &Inbox, out: &ChannelWriteHalf<Msg>, connection: &Arc<Connection>, limit: Duration) -> bool {
    let _ = timeout(PATIENCE, out.signal(Sig::KILL)).await;
    // The process may not have come to say who it is.
    match timeout(limit, inbox.group()).await.ok().flatten() {
        Some(group) => control::kill(connection, &[group], limit).await,
        None => inbox.lock().exit.is_some(),
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let (inbox, out, connection, permit) =
            (Arc::clone(&self.inbox), self.out(), Arc::clone(&self.connection), self.permit.take());
        let (running, gone) = {
            let state = inbox.lock();
            let running = self.started.load(Ordering::Relaxed) && !state.is_settled();
            (running, state.closed || state.lost.is_some())
        };
        if gone {
            connection.table().remove(out.id());
            return;
        }
        let runtime = connection.runtime().clone();
        runtime.spawn(async move {
            if running {
                kill(&inbox, &out, &connection, control::BACKGROUND).await;
                // After our CLOSE nothing of the channel would be heard, and its place is free only with its process.
                let _ = timeout(PATIENCE, inbox.closed()).await;
            }
            let closed = inbox.lock().closed;
            if !closed {
                let _ = timeout(PATIENCE, out.close()).await;
            }
            connection.table().remove(out.id());
            drop(permit);
        });
    }
}

/// The way into a channel, as `poll_write`.
pub(super) struct Writer {
    out: Pin<Box<dyn AsyncWrite + Send + Sync>>,
    inbox: Arc<Inbox>,
    /// Bytes that were accepted and are not sent yet. russh's writer may have taken some of them already, so it has to be
    /// offered these and no others.
    held: Vec<u8>,
    sent: usize,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("held", &self.held.len()).finish_non_exhaustive()
    }
}

/// The most that is accepted before it is sent.
const HELD: usize = 32 << 10;

impl Writer {
    /// Sends on what was accepted.
    pub(super) fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.held.len() {
            match self.out.as_mut().poll_write(cx, &self.held[self.sent..]) {
                Poll::Ready(Ok(count)) => self.sent += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.held.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Sends on what was accepted, and then the end of the input.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.poll_held(cx))?;
        self.out.as_mut().poll_shutdown(cx)
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.inbox.check_writable(cx)?;
        std::task::ready!(self.poll_held(cx))?;
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        match self.out.as_mut().poll_write(cx, data) {
            Poll::Pending => {
                let count = data.len().min(HELD);
                self.held.extend_from_slice(&data[..count]);
                Poll::Ready(Ok(count))
            }
            done @ Poll::Ready(_) => done,
        }
    }
}
