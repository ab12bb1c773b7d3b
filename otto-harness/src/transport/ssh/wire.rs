//! The TCP stream under a connection: acknowledged at once, and watched for the server's greeting.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};

use rustix::net::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::transport::tcp;

/// What is kept of a first line that is no greeting, to show it.
const KEPT: usize = 1024;

/// What a server said before the key exchange.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    said: Mutex<Said>,
    complete: Notify,
}

#[derive(Debug, Default)]
struct Said {
    text: Vec<u8>,
    line: Option<String>,
}

impl Greeting {
    fn feed(&self, bytes: &[u8]) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.line.is_some() {
            return;
        }
        // Lines before the identification are allowed (RFC 4253, section 4.2), so only a whole line that begins so counts.
        said.text.extend_from_slice(bytes);
        let line = said.text.split_inclusive(|byte| *byte == b'\n').find_map(|line| {
            let whole = line.starts_with(b"SSH-") && line.ends_with(b"\n");
            whole.then(|| String::from_utf8_lossy(line).trim_end().to_owned())
        });
        if line.is_some() {
            said.line = line;
            said.text = Vec::new();
            self.complete.notify_one();
        } else if let Some(excess) = said.text.len().checked_sub(KEPT) {
            said.text.drain(..excess);
        }
    }

    /// Waits for the whole identification line.
    pub(super) async fn seen(&self) {
        self.complete.notified().await;
    }

    /// The identification line, `SSH-2.0-…`.
    pub(super) fn identification(&self) -> Option<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).line.clone()
    }

    /// What came in its place.
    pub(super) fn instead(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&said.text).lines().next().unwrap_or_default().chars().take(80).collect()
    }
}

/// The stream that russh reads and writes.
#[derive(Debug)]
pub(super) struct Wire {
    socket: Arc<TcpStream>,
    greeting: Arc<Greeting>,
}

impl Wire {
    pub(super) fn new(socket: TcpStream) -> Self {
        let wire = Self { socket: Arc::new(socket), greeting: Arc::default() };
        tcp::acknowledge_at_once(&wire.socket);
        wire
    }

    pub(super) fn greeting(&self) -> Arc<Greeting> {
        Arc::clone(&self.greeting)
    }

    pub(super) fn hang_up(&self) -> HangUp {
        HangUp { socket: Arc::downgrade(&self.socket) }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.socket.poll_read_ready(cx))?;
            let room = buf.initialize_unfilled();
            match self.socket.try_read(room) {
                Ok(count) => {
                    self.greeting.feed(&room[..count]);
                    buf.advance(count);
                    tcp::acknowledge_at_once(&self.socket);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.socket.poll_write_ready(cx))?;
            match self.socket.try_write(data) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Never fails: russh would then keep the reason why the connection ended to itself.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = rustix::net::shutdown(&*self.socket, Shutdown::Write);
        Poll::Ready(Ok(()))
    }
}

/// Ends the stream when dropped, whatever russh's task is waiting for.
#[derive(Debug)]
pub(super) struct HangUp {
    socket: Weak<TcpStream>,
}

impl Drop for HangUp {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.upgrade() {
            let _ = rustix::net::shutdown(&*socket, Shutdown::Both);
        }
    }
}
