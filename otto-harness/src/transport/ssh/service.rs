//! A subsystem or a program on a channel of its own, as bytes in both directions.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use crate::transport::{BoxFuture, ByteStream, Ending, Service, StreamReader, StreamWriter};

use super::channel::Channel;
use super::connection::{Connection, Permit};
use super::inbox::{GREETING, Stream, Taken};
use super::trouble::Trouble;

/// What is kept of an error stream.
const COMPLAINT: usize = 4096;

/// Opens a stream; `None` if the server refuses the service.
pub(super) async fn open(
    connection: &Arc<Connection>,
    permit: Permit,
    service: &Service,
) -> Result<Option<ByteStream>, Trouble> {
    let channel = connection.open(Some(permit)).await?;
    match service {
        Service::Subsystem(name) => {
            // It ends when its input does, so closing the channel is enough to stop it.
            channel.inbox.lock().ends_with_input = true;
            if !channel.subsystem(name).await? {
                return Ok(None);
            }
        }
        Service::Program(command) => {
            {
                let mut state = channel.inbox.lock();
                state.expect_greeting(Stream::Out);
                state.expect_greeting(Stream::Err);
            }
            let mut script = format!("echo;echo {GREETING} $$;{{ echo;echo {GREETING};}} >&2\n").into_bytes();
            script.extend_from_slice(command);
            channel.exec(script).await?;
        }
    }
    let channel = Arc::new(channel);
    Ok(Some(ByteStream {
        reader: Box::new(Reader { channel: Arc::clone(&channel), complaint: Vec::new() }),
        writer: Box::new(Writer(channel)),
    }))
}

struct Reader {
    channel: Arc<Channel>,
    complaint: Vec<u8>,
}

impl StreamReader for Reader {
    fn read<'a>(&'a mut self, into: &'a mut Vec<u8>) -> BoxFuture<'a, io::Result<Option<Ending>>> {
        Box::pin(poll_fn(move |cx| {
            let inbox = &self.channel.inbox;
            let mut state = inbox.lock();
            loop {
                let before = into.len();
                match state.take(into) {
                    Some(Taken::Data(Stream::Out)) => return Poll::Ready(Ok(None)),
                    Some(Taken::Data(Stream::Err)) => {
                        self.complaint.extend(into.drain(before..));
                        let excess = self.complaint.len().saturating_sub(COMPLAINT);
                        self.complaint.drain(..excess);
                    }
                    Some(Taken::Discarded(count)) => {
                        let lost = format!("{count} bytes came faster than they were taken, and are lost");
                        return Poll::Ready(Err(io::Error::other(lost)));
                    }
                    // The output is over before the server says how the service ended.
                    Some(Taken::Over) if state.is_settled() => return Poll::Ready(Ok(Some(state.ending()))),
                    Some(Taken::Over) | None => {
                        state.watch(cx);
                        return Poll::Pending;
                    }
                }
            }
        }))
    }

    fn complaint(&self) -> String {
        let text = String::from_utf8_lossy(&self.complaint);
        let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(3)..].join("; ").chars().filter(|c| !c.is_control()).collect()
    }
}

struct Writer(Arc<Channel>);

impl Writer {
    /// Does it, unless the service has ended.
    async fn unless_over(&self, work: impl Future<Output = Result<(), russh::Error>>) -> io::Result<()> {
        let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads this any more");
        tokio::select! {
            done = work => done.map_err(|_| gone()),
            () = self.0.inbox.settled() => Err(gone()),
        }
    }
}

impl StreamWriter for Writer {
    fn write(&mut self, data: Vec<u8>) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move {
            let out = self.0.out();
            self.unless_over(out.data_bytes(data)).await
        })
    }

    fn finish(&mut self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move {
            let out = self.0.out();
            self.unless_over(out.eof()).await
        })
    }
}
