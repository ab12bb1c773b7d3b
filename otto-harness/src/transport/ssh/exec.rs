//! A process of its own on a channel of its own.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use russh::Sig;
use tokio::time::{Instant, Sleep, sleep};

use crate::transport::{BoxFuture, Exec, Incoming, Inlet, Interrupt, Outlet, Transport, Wiring};

use super::channel::Channel;
use super::connection::{Connection, Permit};
use super::inbox::{GREETING, Stream, Taken};
use super::trouble::Trouble;

/// Once a process has ended, so long a silence ends its output, even if a child of it could still write.
pub(super) const SILENCE: Duration = Duration::from_millis(50);

pub(super) async fn start(connection: &Arc<Connection>, permit: Permit, exec: &Exec) -> Result<ExecTransport, Trouble> {
    let channel = connection.open(Some(permit)).await?;
    {
        let mut state = channel.inbox.lock();
        state.expect_greeting(Stream::Out);
        state.expect_greeting(Stream::Err);
    }
    let merge = if exec.merge { "exec 2>&1" } else { "" };
    channel.exec(format!("echo;echo {GREETING} $$;{{ echo;echo {GREETING};}} >&2;{merge}\n{}", exec.command)).await?;

    let (out, inbox, stdin) = (channel.out(), Arc::clone(&channel.inbox), exec.stdin.clone());
    tokio::spawn(async move {
        // A process that does not read must not keep this waiting for room once it has ended.
        tokio::select! {
            _ = async { out.data_bytes(stdin).await?; out.eof().await } => {}
            () = inbox.settled() => {}
        }
    });
    Ok(ExecTransport { channel, silence: Silence::default() })
}

/// Waits for the output of an ended process to cease.
#[derive(Debug, Default)]
pub(super) struct Silence(Option<Pin<Box<Sleep>>>);

impl Silence {
    /// Something came.
    pub(super) fn broken(&mut self) {
        if let Some(sleep) = &mut self.0 {
            sleep.as_mut().reset(Instant::now() + SILENCE);
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.get_or_insert_with(|| Box::pin(sleep(SILENCE))).as_mut().poll(cx)
    }
}

/// A process on a channel.
#[derive(Debug)]
pub(super) struct ExecTransport {
    channel: Channel,
    silence: Silence,
}

impl Transport for ExecTransport {
    fn wiring(&self) -> Wiring {
        Wiring::Pipes
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<Incoming>> {
        let mut state = self.channel.inbox.lock();
        match state.take(into) {
            Some(Taken::Data(stream)) => {
                drop(state);
                self.silence.broken();
                let outlet = if stream == Stream::Out { Outlet::Out } else { Outlet::Err };
                return Poll::Ready(Ok(Incoming::Data(outlet)));
            }
            Some(Taken::Discarded(count)) => return Poll::Ready(Ok(Incoming::Gap(count))),
            Some(Taken::Over) | None => state.watch(cx),
        }
        // The end of the output may come before the end of the process, and the other way round.
        if !state.is_settled() {
            return Poll::Pending;
        }
        let (over, ending, greeted) = (state.is_over(), state.ending(), state.group.is_some());
        drop(state);
        if !over {
            std::task::ready!(self.silence.poll(cx));
        }
        // Start-up files that end or replace the account's shell: its 0 is not the command's.
        if let (Some(code), false) = (ending.code, greeted) {
            return Poll::Ready(Err(io::Error::other(format!(
                "the account's shell ended with {code} and did not run the command; \
                 is it of the Bourne family, and do its rc files end or replace it?"
            ))));
        }
        Poll::Ready(Ok(Incoming::Ended(ending)))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, _: Inlet, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::Error::new(io::ErrorKind::Unsupported, "all of its input was given at the start")))
    }

    fn interrupt(&mut self, how: Interrupt) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            match how {
                Interrupt::Gentle => self.channel.send_signal(Sig::INT).await,
                Interrupt::Kill => {
                    let gone = self.channel.kill().await;
                    if !self.channel.inbox.lock().is_settled() {
                        // Nothing of ours waits for what cannot be killed.
                        self.channel.shut().await;
                    }
                    gone
                }
            }
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let settled = self.channel.inbox.lock().is_settled();
            if !settled {
                self.channel.kill().await;
            }
        })
    }
}
