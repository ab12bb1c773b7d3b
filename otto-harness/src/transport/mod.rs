//! Bytes in, bytes out, close: the wires between a session and a shell.
//!
//! A [`Transport`] is one shell that somebody else started: on this machine, over SSH, on a console. It knows nothing of
//! commands. See `docs/design/transport.md`.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, ErrorKind, Phase, Result};

mod fault;
pub(crate) mod hidden;
mod killing;
pub(crate) mod local;
pub(crate) mod login;
mod route;
pub(crate) mod serial;
pub(crate) mod ssh;
mod stream;
pub(crate) mod tcp;
pub(crate) mod telnet;

pub(crate) use route::{Hop, Route};
pub use stream::{ByteStream, Service, StreamReader, StreamWriter};
/// Why a connection was lost that we ended.
pub(crate) const CLOSED_HERE: &str = "it was closed on this side";

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A stream of bytes in both directions, as a socket is.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl fmt::Debug for dyn Duplex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Duplex")
    }
}

/// A port that a host listens on for us.
#[derive(Debug)]
pub struct TcpListening {
    /// The port.
    pub port: u16,
    /// The connections that come. No more will when this ends: the host, or its connection, is gone.
    pub streams: mpsc::UnboundedReceiver<Box<dyn Duplex>>,
    /// Dropped, it has the host listen no more.
    pub stop: oneshot::Sender<()>,
}

/// Where bytes that are read came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlet {
    /// The shell's standard output. With [`Wiring::Line`], all there is.
    Out,
    /// The shell's descriptor for errors that are wanted apart.
    Err,
    /// The terminal.
    Terminal,
}

/// Where bytes that are written go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inlet {
    /// The shell's standard input, from which it reads its commands.
    Commands,
    /// The keyboard of the terminal. With [`Wiring::Line`] the same as `Commands`.
    Terminal,
}

/// How a shell is wired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wiring {
    /// Commands, output and errors on pipes (descriptors 0, 1 = 2 = 8, and 9), beside a terminal that controls the shell's
    /// process group and is what `/dev/tty` names. 8-bit clean; echo and output processing of the terminal are off.
    Pipes,
    /// One line for everything: a console, a terminal, a bare pipe.
    Line,
}

/// What a read gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// Bytes were appended to the buffer; they came from there.
    Data(Outlet),
    /// So many bytes are missing here: more waited to be read than the transport keeps, and the oldest went.
    Gap(u64),
    /// The shell ended. Every byte that it wrote before was delivered before this.
    Ended(Ending),
}

/// How a shell ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ending {
    /// Its exit code, if that was seen.
    pub code: Option<i32>,
    /// The signal that ended it, without `SIG`. With a code as well it is what a shell said, for which both are the same.
    pub signal: Option<String>,
    /// Set when not the shell but the connection to it ended, with the reason. Code and signal are then unknown.
    pub lost: Option<String>,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.lost, &self.signal, self.code) {
            (Some(reason), ..) => write!(f, "the connection was lost: {reason}"),
            (None, Some(signal), Some(code)) => {
                write!(f, "the shell was ended by signal {signal}, or exited with {code}")
            }
            (None, Some(signal), None) => write!(f, "the shell was ended by signal {signal}"),
            (None, None, Some(code)) => write!(f, "the shell exited with {code}"),
            (None, None, None) => f.write_str("the shell ended without an exit code"),
        }
    }
}

/// How hard to stop what runs in a shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// As ^C: the foreground process group gets `SIGINT`. An interactive shell survives it.
    Gentle,
    /// The whole process group, the shell included, gets `SIGKILL`.
    Kill,
}

/// One running shell, as bytes.
///
/// `poll_read` and `poll_write` are as in [`std::future::Future::poll`]: they wake the task of the last call, and dropping
/// the future around them loses nothing. Dropping a transport stops the shell and all its processes in the background.
pub trait Transport: Send + fmt::Debug {
    /// How it is wired.
    fn wiring(&self) -> Wiring;

    /// Reads some bytes onto the end of `into`, from whichever outlet has any.
    ///
    /// # Errors
    /// Those of this machine (out of descriptors or the like). A lost connection is [`Incoming::Ended`].
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<Incoming>>;

    /// Writes some bytes of `data`; says how many.
    ///
    /// # Errors
    /// When the shell takes no more bytes, ever; `poll_read` then has the reason.
    fn poll_write(&mut self, cx: &mut Context<'_>, inlet: Inlet, data: &[u8]) -> Poll<io::Result<usize>>;

    /// Reads what lies there, without waiting: `None` when there is nothing.
    ///
    /// # Errors
    /// As [`poll_read`](Self::poll_read).
    fn try_read(&mut self, into: &mut Vec<u8>) -> io::Result<Option<Incoming>> {
        match self.poll_read(&mut Context::from_waker(Waker::noop()), into) {
            Poll::Ready(found) => found.map(Some),
            Poll::Pending => Ok(None),
        }
    }

    /// Whether [`try_read`](Self::try_read) finds all that was written before it is called, because nothing is ever on its
    /// way. The session then needs no sign in a command's output that it has begun.
    fn sees_all(&self) -> bool {
        false
    }

    /// Whether anybody waits for what comes on [`Outlet::Err`]. If not, it may be left where it is until `try_read` asks, or
    /// the shell ends, instead of waking a reader. A hint.
    fn heed_errors(&mut self, heed: bool) {
        let _ = heed;
    }

    /// These bytes alone, if they come next on [`Outlet::Out`], are no reason to wake a reader. A hint for transports where
    /// waking costs; a reader that comes by itself gets them.
    fn let_sleep(&mut self, through: &[u8]) {
        let _ = through;
    }

    /// Stops what runs in the shell. For [`Interrupt::Kill`] the answer says whether every process of the group was *seen*
    /// to be gone; for [`Interrupt::Gentle`] only that the signal was sent.
    fn interrupt(&mut self, how: Interrupt) -> BoxFuture<'_, bool>;

    /// Ends the shell as a hang-up does, and says when it is gone. Bounded: 5 s.
    fn close(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// A process to start with nothing of its own but its command.
#[derive(Debug, Clone)]
pub struct Exec {
    /// Script text for the account's shell.
    pub command: String,
    /// All of its standard input; end of file follows.
    pub stdin: Vec<u8>,
    /// Whether its error stream is to be the same as its output, so that both arrive in the order written.
    pub merge: bool,
}

/// What makes shells and processes on one host: this machine, or one connection that is dialled when first used.
pub trait Connector: Send + Sync + fmt::Debug {
    /// Starts a shell. Dropping the future undoes what it has begun.
    fn open_shell(&self) -> BoxFuture<'_, Result<Box<dyn Transport>>>;

    /// Whether oneshots are to be started by [`exec`](Self::exec). If not, they run in subshells of shells that are opened
    /// and kept for them.
    fn has_exec(&self) -> bool {
        true
    }

    /// Starts a process of its own. Its transport reads [`Outlet::Out`] and [`Outlet::Err`] and takes no input.
    fn exec(&self, exec: Exec) -> BoxFuture<'_, Result<Box<dyn Transport>>>;

    /// Whether this is the machine that otto itself runs on, so that its files are reached without any detour.
    fn is_this_machine(&self) -> bool {
        false
    }

    /// Opens a stream of bytes to a service of the host; `None` if the host, or this kind of connection, has no such
    /// service. Dropping the future undoes what it has begun.
    fn open_stream(&self, service: Service) -> BoxFuture<'_, Result<Option<ByteStream>>> {
        let _ = service;
        Box::pin(async { Ok(None) })
    }

    /// Opens a TCP connection from the host to an address that it can reach, within this limit, for what lies behind it. What
    /// the stream reads and writes goes through this host's connection, which lives as long as the stream.
    ///
    /// # Errors
    /// If the host cannot be reached, refuses, or cannot reach that address; the error is on this host. By default: that it
    /// is no host to hop over.
    fn open_tcp(&self, address: String, port: u16, limit: Duration) -> BoxFuture<'_, Result<Box<dyn Duplex>>> {
        let _ = limit;
        Box::pin(async move {
            Err(Error::new(ErrorKind::Connect(Phase::Tcp), format!("it has no way to open {address}:{port}"))
                .hint("only hosts over ssh forward ports, or lead on to others"))
        })
    }

    /// Has the host listen on this address and port of its own; 0 is a port of its choice. Dropping what this gives ends that, in
    /// the background.
    ///
    /// # Errors
    /// If the host cannot be reached, or refuses. By default: that it has no way to.
    fn listen_tcp(&self, address: String, port: u16) -> BoxFuture<'_, Result<TcpListening>> {
        Box::pin(async move {
            Err(Error::new(
                ErrorKind::Connect(Phase::Tcp),
                format!("it has no way to listen on {address}:{port} for us"),
            )
            .hint("only hosts over ssh forward ports"))
        })
    }

    /// How far a connection that is being made has come, for an error that says where its time went; `None` if it is made, or
    /// nobody knows.
    fn phase(&self) -> Option<Phase> {
        None
    }

    /// Ends the connection and all that runs over it; whether the host was seen to have ended it. Bounded: 5 s. The next use
    /// makes a new one.
    fn close(&self) -> BoxFuture<'_, bool>;
}
