//! Non-blocking reads and writes on the ends of pipes and pseudo-terminals, woken by the runtime.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tokio::net::unix::pipe::{Receiver, Sender};

/// How many bytes one read may give: a pipe's capacity on Linux.
const CHUNK: usize = 64 * 1024;

/// Our end of a pipe or pseudo-terminal, for reading.
#[derive(Debug)]
pub(super) struct Reader(Receiver);

/// Our end of a pipe or pseudo-terminal, for writing.
#[derive(Debug)]
pub(super) struct Writer(Sender);

impl Reader {
    /// # Errors
    /// When the runtime cannot watch the descriptor.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        // Unchecked: a pseudo-terminal is watched like a pipe.
        Receiver::from_file_unchecked(non_blocking(fd)?).map(Self)
    }

    /// Appends some bytes to `into`; 0 is the end.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            into.reserve(CHUNK);
            match self.0.try_read_buf(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // A terminal whose other side is gone answers so; it is its end of file.
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
        Sender::from_file_unchecked(non_blocking(fd)?).map(Self)
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

fn non_blocking(fd: OwnedFd) -> io::Result<File> {
    let flags = fcntl_getfl(&fd)?;
    fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
    Ok(File::from(fd))
}
