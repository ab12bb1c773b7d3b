//! A shell on one channel with a terminal, for servers where one on pipes cannot be had: no `/proc`, or channels that are
//! sockets.
//!
//! Commands, output and prompts share the terminal's line, as over telnet: [`Wiring::Line`].

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use russh::Sig;
use tokio::time::timeout;

use crate::transport::{BoxFuture, Incoming, Inlet, Interrupt, Outlet, Transport, Wiring};

use super::channel::{Channel, Writer};
use super::connection::{Connection, Permit};
use super::exec::Silence;
use super::inbox::{GREETING, Stream, Taken};
use super::shell::{MODES, failed, type_interrupt};
use super::trouble::Trouble;
use crate::transport::fault::Fault;

/// Says who it is, and becomes the shell.
fn bootstrap() -> String {
    format!(
        "exec sh -c 'echo; echo {GREETING} $$; \
         unset ENV BASH_ENV TMOUT PROMPT_COMMAND; HISTFILE=/dev/null; export HISTFILE; \
         command -v bash >/dev/null 2>&1 && exec bash --norc --noprofile --noediting -i; exec sh -i'"
    )
}

/// Starts a shell, which may take `limit`.
pub(super) async fn open(
    connection: &Arc<Connection>,
    permit: Permit,
    limit: Duration,
) -> Result<ConsoleTransport, Trouble> {
    let channel = connection.open(Some(permit)).await?;
    channel.inbox.lock().expect_greeting(Stream::Out);
    let out = channel.out();
    channel.granted("a terminal", out.request_pty(true, "dumb", 255, 50, 0, 0, MODES)).await?;
    channel.exec(bootstrap()).await?;
    let greeting = timeout(limit, channel.inbox.greeting()).await;
    if !matches!(greeting, Ok(Some(_))) {
        let late = greeting.is_err().then_some(limit);
        let fault: Fault = failed("no `sh` came up in a terminal", late, &[&channel]);
        return Err(fault.into());
    }
    Ok(ConsoleTransport { keyboard: channel.writer(), channel, silence: Silence::default(), last_interrupt: None })
}

/// A shell over one channel.
#[derive(Debug)]
pub(super) struct ConsoleTransport {
    channel: Channel,
    keyboard: Writer,
    silence: Silence,
    last_interrupt: Option<Instant>,
}

impl ConsoleTransport {
    fn poll_channel(&mut self, cx: &Context<'_>, into: &mut Vec<u8>) -> Option<Incoming> {
        let mut state = self.channel.inbox.lock();
        let found = match state.take(into) {
            Some(Taken::Data(_)) => Incoming::Data(Outlet::Out),
            Some(Taken::Discarded(count)) => Incoming::Gap(count),
            Some(Taken::Over) | None => {
                state.watch(cx);
                return None;
            }
        };
        drop(state);
        self.silence.broken();
        Some(found)
    }
}

impl Transport for ConsoleTransport {
    fn wiring(&self) -> Wiring {
        Wiring::Line
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<Incoming>> {
        // Bytes that were accepted go out even if nobody writes any more. An error here shows as the end, below.
        let _ = self.keyboard.poll_held(cx);
        if let Some(found) = self.poll_channel(cx, into) {
            return Poll::Ready(Ok(found));
        }
        let (settled, over, ending) = {
            let state = self.channel.inbox.lock();
            (state.is_settled(), state.is_over(), state.ending())
        };
        if !settled {
            return Poll::Pending;
        }
        if !over {
            std::task::ready!(self.silence.poll(cx));
        }
        // Something may have come between the look at the channel and the look at the end.
        Poll::Ready(Ok(self.poll_channel(cx, into).unwrap_or(Incoming::Ended(ending))))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, _: Inlet, data: &[u8]) -> Poll<io::Result<usize>> {
        if self.channel.inbox.lock().is_settled() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, "the shell has ended")));
        }
        self.keyboard.poll_write(cx, data)
    }

    fn interrupt(&mut self, how: Interrupt) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            match how {
                Interrupt::Gentle => type_interrupt(&self.channel, &mut self.last_interrupt).await,
                Interrupt::Kill => self.channel.kill().await,
            }
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let soon = Duration::from_millis(500);
            let inbox = &self.channel.inbox;
            if !inbox.lock().is_settled()
                && self.channel.send_signal(Sig::HUP).await
                && timeout(soon, inbox.settled()).await.is_err()
            {
                self.channel.kill().await;
            }
            let _ = timeout(soon, inbox.closed()).await;
        })
    }
}

/// What keeps a shell on pipes from coming up, if it is nothing that another way of starting it would not meet as well.
pub(super) fn only_the_pipes(fault: Fault) -> Trouble {
    if fault.is_lost() { Trouble::Fault(fault) } else { Trouble::NoPipes(fault) }
}
