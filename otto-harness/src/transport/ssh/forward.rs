//! A TCP connection that the server makes for us (RFC 4254, section 7.2), as a socket.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::channel::{Channel, Writer};
use super::inbox::Taken;

/// The stream. What arrives is always taken from the connection, so that a reader who is slow holds up nobody else; one who
/// is further behind than an inbox holds loses the stream, because a stream with a hole would be a wrong one.
pub(super) struct Forward {
    channel: Channel,
    writer: Writer,
    /// What was taken and did not fit.
    rest: Vec<u8>,
    read: usize,
}

impl Forward {
    pub(super) fn new(channel: Channel) -> Self {
        // It ends when its input does, so closing the channel is enough to stop it.
        channel.inbox.lock().ends_with_input = true;
        let writer = channel.writer();
        Self { channel, writer, rest: Vec::new(), read: 0 }
    }
}

impl AsyncRead for Forward {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read == this.rest.len() {
            this.rest.clear();
            this.read = 0;
            let mut state = this.channel.inbox.lock();
            match state.take(&mut this.rest) {
                Some(Taken::Data(_)) => {}
                Some(Taken::Discarded(count)) => {
                    let text = format!("{count} bytes came faster than they were taken, and are lost");
                    return Poll::Ready(Err(io::Error::other(text)));
                }
                Some(Taken::Over) => {
                    return Poll::Ready(match &state.lost {
                        Some(reason) => Err(io::Error::other(format!("the connection of its hop was lost: {reason}"))),
                        None => Ok(()),
                    });
                }
                None => {
                    state.watch(cx);
                    return Poll::Pending;
                }
            }
        }
        let count = buf.remaining().min(this.rest.len() - this.read);
        buf.put_slice(&this.rest[this.read..this.read + count]);
        this.read += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Forward {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().writer.poll_write(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().writer.poll_held(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().writer.poll_end(cx)
    }
}
