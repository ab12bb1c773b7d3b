//! One connection: the socket, the codec before it, and whether the host is still there.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::{Shutdown, sockopt};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::transport::Route;
use crate::transport::fault::Fault;
use crate::transport::tcp::{self, Keepalive};

use super::codec::Codec;
use super::target::TelnetTarget;

/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// How much may wait to be sent. While more does, nothing is taken: no typing, and no reading either, because what is read
/// may want an answer.
const BACKLOG: usize = 64 << 10;

/// A server that does not read what is typed, because the program there does not, does not answer questions either. So
/// none is asked while it may be that: a server and a terminal hold more than this.
const HARMLESS: usize = 4 << 10;

/// The socket, as both the connection and whoever may close it from outside see it.
#[derive(Debug)]
pub(super) struct Line {
    socket: TcpStream,
    closed_here: AtomicBool,
}

impl Line {
    /// Tells the server that nothing more will come, which makes it hang up its terminal and end; whether it was seen to.
    pub(super) async fn hang_up(&self, limit: Duration) -> bool {
        self.closed_here.store(true, Ordering::Release);
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
        let ended = async {
            // What the server still sends is of no interest; it is readable for as long as nobody takes it.
            while !self.socket.ready(Interest::READABLE).await.is_ok_and(tokio::io::Ready::is_read_closed) {
                let mut rest = [0; 4096];
                match self.socket.try_read(&mut rest) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Ok(1..) => tokio::task::yield_now().await,
                    Ok(0) | Err(_) => return,
                }
            }
        };
        let seen = timeout(limit, ended).await.is_ok();
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
        seen
    }
}

/// A connection to a telnet server. Dropping it hangs up.
pub(super) struct Connection {
    line: Arc<Line>,
    codec: Codec,
    chunk: Box<[u8]>,
    lost: Option<String>,
    keepalive: Keepalive,
    heard: Instant,
    /// How many questions since then had no answer.
    unanswered: usize,
    /// How much was typed since then.
    typed: usize,
    alarm: Pin<Box<Sleep>>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What waits to be sent may be a password.
        f.debug_struct("Connection")
            .field("socket", &self.line.socket)
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects. Nothing is negotiated yet.
    pub(super) async fn dial(target: &TelnetTarget) -> Result<Self, Fault> {
        let TelnetTarget { address, port, limits, keepalive, .. } = target;
        let socket = if let Route::Over(hop) = &target.route {
            hop.open_socket((address, *port), limits.tcp).await?
        } else {
            let addresses = tcp::resolve(address, *port, limits.resolve).await?;
            tcp::connect((address, *port), &addresses, limits.tcp, "telnetd").await?
        };
        tcp::tune(&socket, *keepalive);
        tcp::keep_alive(&socket, *keepalive);
        // When it throws output away, a server sends a mark as urgent data. Out of line the mark would be missing, and the
        // byte after it would be taken for a command.
        let _ = sockopt::set_socket_oobinline(&socket, true);
        tcp::acknowledge_at_once(&socket);
        Ok(Self {
            line: Arc::new(Line { socket, closed_here: AtomicBool::new(false) }),
            codec: Codec::new(target.terminal()),
            chunk: vec![0; CHUNK].into_boxed_slice(),
            lost: None,
            keepalive: *keepalive,
            heard: Instant::now(),
            unanswered: 0,
            typed: 0,
            alarm: Box::pin(sleep(keepalive.interval)),
        })
    }

    pub(super) fn line(&self) -> &Arc<Line> {
        &self.line
    }

    /// Why there is no connection any more.
    pub(super) fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    fn lose(&mut self, reason: &str) {
        let reason = if self.line.closed_here.load(Ordering::Acquire) { "it was closed on this side" } else { reason };
        self.lost.get_or_insert_with(|| reason.to_owned());
    }

    /// Reads some data onto the end of `into`; ready without any once the connection is lost.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<()> {
        let before = into.len();
        loop {
            if self.lost.is_some() {
                return Poll::Ready(());
            }
            // What is queued goes out even if nobody writes any more.
            if self.poll_send(cx).is_pending() && self.codec.out().len() > BACKLOG {
                return self.poll_alive(cx);
            }
            match self.poll_socket(cx) {
                Poll::Ready(Ok(0)) => self.lose("the host closed the connection: its shell ended, or it rebooted"),
                Poll::Ready(Ok(count)) => {
                    self.heard_something();
                    self.codec.receive(&self.chunk[..count], into);
                    if into.len() > before {
                        // The answers to what came go out now, or with the next read.
                        let _ = self.poll_send(cx);
                        return Poll::Ready(());
                    }
                }
                Poll::Ready(Err(error)) => self.lose(&why(&error)),
                Poll::Pending => return self.poll_alive(cx),
            }
        }
    }

    fn heard_something(&mut self) {
        self.heard = Instant::now();
        self.unanswered = 0;
        self.typed = 0;
        tcp::acknowledge_at_once(&self.line.socket);
    }

    fn poll_socket(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.line.socket.poll_read_ready(cx))?;
            match self.line.socket.try_read(&mut self.chunk) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// The kernel sees when the host is gone; this sees when the server is there and frozen. Ready when it is lost.
    fn poll_alive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let now = Instant::now();
            let due = self.heard + self.keepalive.interval;
            if due > now {
                self.alarm.as_mut().reset(due);
                continue;
            }
            self.alarm.as_mut().reset(now + self.keepalive.interval);
            if self.unanswered >= self.keepalive.misses {
                let silent = self.heard.elapsed().as_secs_f64();
                self.lose(&format!("the server has answered nothing for {silent:.0} s; it is frozen or unreachable"));
                return Poll::Ready(());
            }
            if self.typed <= HARMLESS && self.codec.ask_whether_there() {
                self.unanswered += 1;
                let _ = self.poll_send(cx);
            }
        }
    }

    /// Takes some of what is typed.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if self.codec.out().len() > BACKLOG {
            ready!(self.poll_send(cx));
        }
        if self.lost.is_some() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, "the connection has ended")));
        }
        let taken = &data[..data.len().min(BACKLOG)];
        self.codec.send(taken);
        self.typed += taken.len();
        let _ = self.poll_send(cx);
        Poll::Ready(Ok(taken.len()))
    }

    /// Sends what is queued; ready when all of it went, or never will.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.codec.out().is_empty() {
            let sent = match ready!(self.line.socket.poll_write_ready(cx)) {
                Ok(()) => self.line.socket.try_write(self.codec.out()),
                Err(error) => Err(error),
            };
            let out = self.codec.out();
            match sent {
                Ok(count) => {
                    // What was sent may be a password.
                    out[..count].fill(0);
                    out.drain(..count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The read says why, once it has given what came before.
                Err(_) => out.clear(),
            }
        }
        Poll::Ready(())
    }

    /// Sends what is queued.
    pub(super) async fn flush(&mut self) {
        poll_fn(|cx| self.poll_send(cx)).await;
    }
}

fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionReset => "the host reset the connection; did it reboot?".to_owned(),
        io::ErrorKind::TimedOut => "the host does not answer any more".to_owned(),
        _ => error.to_string(),
    }
}
