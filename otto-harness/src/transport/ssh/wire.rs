//! The stream under a connection: acknowledged at once, and watched for the server's greeting.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};

use rustix::net::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::transport::{Duplex, tcp};

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
    socket: Arc<Socket>,
    greeting: Arc<Greeting>,
}

/// What is below it.
#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    /// What goes through another host. Taken out when it is hung up.
    Over(Mutex<Over>),
}

#[derive(Debug)]
struct Over {
    stream: Option<Box<dyn Duplex>>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Wire {
    pub(super) fn new(socket: TcpStream) -> Self {
        tcp::acknowledge_at_once(&socket);
        Self { socket: Arc::new(Socket::Tcp(socket)), greeting: Arc::default() }
    }

    pub(super) fn over(stream: Box<dyn Duplex>) -> Self {
        let over = Over { stream: Some(stream), reader: None, writer: None };
        Self { socket: Arc::new(Socket::Over(Mutex::new(over))), greeting: Arc::default() }
    }

    pub(super) fn greeting(&self) -> Arc<Greeting> {
        Arc::clone(&self.greeting)
    }

    pub(super) fn hang_up(&self) -> HangUp {
        HangUp { socket: Arc::downgrade(&self.socket) }
    }
}

fn lock(over: &Mutex<Over>) -> MutexGuard<'_, Over> {
    over.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let socket = match &*self.socket {
            Socket::Tcp(socket) => socket,
            Socket::Over(over) => {
                let mut over = lock(over);
                over.reader = Some(cx.waker().clone());
                let Some(stream) = &mut over.stream else { return Poll::Ready(Ok(())) };
                let before = buf.filled().len();
                ready!(Pin::new(stream).poll_read(cx, buf))?;
                self.greeting.feed(&buf.filled()[before..]);
                return Poll::Ready(Ok(()));
            }
        };
        loop {
            ready!(socket.poll_read_ready(cx))?;
            let room = buf.initialize_unfilled();
            match socket.try_read(room) {
                Ok(count) => {
                    self.greeting.feed(&room[..count]);
                    buf.advance(count);
                    tcp::acknowledge_at_once(socket);
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
        let socket = match &*self.socket {
            Socket::Tcp(socket) => socket,
            Socket::Over(over) => {
                let mut over = lock(over);
                over.writer = Some(cx.waker().clone());
                let Some(stream) = &mut over.stream else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
                return Pin::new(stream).poll_write(cx, data);
            }
        };
        loop {
            ready!(socket.poll_write_ready(cx))?;
            match socket.try_write(data) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Socket::Over(over) = &*self.socket else { return Poll::Ready(Ok(())) };
        let mut over = lock(over);
        over.writer = Some(cx.waker().clone());
        match &mut over.stream {
            Some(stream) => Pin::new(stream).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Never fails: russh would then keep the reason why the connection ended to itself.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &*self.socket {
            Socket::Tcp(socket) => {
                let _ = rustix::net::shutdown(socket, Shutdown::Write);
            }
            Socket::Over(over) => {
                let mut over = lock(over);
                over.writer = Some(cx.waker().clone());
                if let Some(stream) = &mut over.stream {
                    let _ = ready!(Pin::new(stream).poll_shutdown(cx));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Ends the stream when dropped, whatever russh's task is waiting for.
#[derive(Debug)]
pub(super) struct HangUp {
    socket: Weak<Socket>,
}

impl Drop for HangUp {
    fn drop(&mut self) {
        match self.socket.upgrade().as_deref() {
            Some(Socket::Tcp(socket)) => _ = rustix::net::shutdown(socket, Shutdown::Both),
            Some(Socket::Over(over)) => {
                let (stream, wakers) = {
                    let mut over = lock(over);
                    (over.stream.take(), [over.reader.take(), over.writer.take()])
                };
                drop(stream);
                wakers.into_iter().flatten().for_each(Waker::wake);
            }
            None => {}
        }
    }
}
