//! Non-blocking reads and writes on the ends of pipes and pseudo-terminals, woken by the runtime.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use tokio::net::unix::pipe::{Receiver, Sender};

/// How many bytes one read may give: the usual capacity of a pipe on Linux.
pub(super) const CHUNK: usize = 64 * 1024;

/// Our end of a pipe or pseudo-terminal, for reading.
#[derive(Debug)]
pub(super) struct Reader(Watch);

/// Our end of a pipe or pseudo-terminal, for writing.
#[derive(Debug)]
pub(super) struct Writer(Sender);

#[derive(Debug)]
enum Watch {
    /// The runtime knows nothing of it: a read asks the kernel.
    Alone(OwnedFd),
    /// The runtime says when there is something to read.
    Watched(Receiver),
    /// In between the two.
    Nothing,
}

impl Reader {
    /// One that the runtime watches from now on.
    ///
    /// # Errors
    /// When the runtime cannot watch the descriptor.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        let mut new = Self::alone(fd)?;
        new.watch()?;
        Ok(new)
    }

    /// One that the runtime watches only once somebody had to wait for it.
    pub(super) fn alone(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self(Watch::Alone(non_blocking(fd)?)))
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.0 {
            Watch::Alone(fd) => Some(fd.as_fd()),
            Watch::Watched(receiver) => Some(receiver.as_fd()),
            Watch::Nothing => None,
        }
    }

    fn watch(&mut self) -> io::Result<()> {
        self.0 = match std::mem::replace(&mut self.0, Watch::Nothing) {
            // Unchecked: a pseudo-terminal is watched like a pipe.
            Watch::Alone(fd) => Watch::Watched(Receiver::from_owned_fd_unchecked(fd)?),
            other => other,
        };
        Ok(())
    }

    /// The runtime is not to be woken by it any more.
    pub(super) fn leave_alone(&mut self) -> io::Result<()> {
        self.0 = match std::mem::replace(&mut self.0, Watch::Nothing) {
            Watch::Watched(receiver) => Watch::Alone(receiver.into_nonblocking_fd()?),
            other => other,
        };
        Ok(())
    }

    /// Appends what is there to `into`; 0 is the end, `None` that there is nothing now.
    pub(super) fn try_read(&self, into: &mut Vec<u8>) -> io::Result<Option<usize>> {
        let Some(fd) = self.fd() else { return Ok(Some(0)) };
        into.reserve(CHUNK);
        loop {
            return match rustix::io::read(fd, spare_capacity(into)) {
                Ok(count) => Ok(Some(count)),
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => Ok(None),
                // A terminal whose other side is gone answers so; it is its end of file.
                Err(Errno::IO) => Ok(Some(0)),
                Err(error) => Err(error.into()),
            };
        }
    }

    /// Has the thread wait until there is something to read, but no longer than this; whether there is.
    pub(super) fn wait(&self, limit: Duration) -> bool {
        let Some(fd) = self.fd() else { return true };
        let limit = Timespec { tv_sec: 0, tv_nsec: i64::from(limit.subsec_nanos()) };
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&limit)).is_ok_and(|ready| ready > 0)
    }

    /// Appends some bytes to `into`; 0 is the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        if let Watch::Alone(_) = &self.0 {
            if let Some(count) = self.try_read(into)? {
                return Poll::Ready(Ok(count));
            }
            self.watch()?;
        }
        loop {
            let Watch::Watched(receiver) = &self.0 else { return Poll::Ready(Ok(0)) };
            ready!(receiver.poll_read_ready(cx))?;
            into.reserve(CHUNK);
            match receiver.try_read_buf(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.raw_os_error() == Some(libc::EIO) => return Poll::Ready(Ok(0)),
                result => return Poll::Ready(result),
            }
        }
    }
}

impl Writer {
    /// # Errors
    /// When the runtime cannot watch the descriptor.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        Sender::from_owned_fd_unchecked(non_blocking(fd)?).map(Self)
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_write(data) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

fn non_blocking(fd: OwnedFd) -> io::Result<OwnedFd> {
    let flags = fcntl_getfl(&fd)?;
    fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
    Ok(fd)
}
