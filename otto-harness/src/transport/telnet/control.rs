//! Killing what runs in a shell, by a second login: a telnet connection has no way but the terminal itself, and what
//! has to be killed is what does not heed that.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::ready;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::transport::{Incoming, Inlet, Transport as _, killing};

use super::Shared;
use super::shell::TelnetShell;

/// How long a login and what is done there may take in all. Whoever waits for it may give up sooner; it goes on.
const LIMIT: Duration = Duration::from_secs(15);

/// A kill that is under way, or over.
#[derive(Debug, Clone)]
pub(super) struct Killing(watch::Receiver<Option<bool>>);

impl Killing {
    /// Logs in and kills a process group, in the background.
    pub(super) fn start(shared: &Arc<Shared>, group: u32) -> Self {
        let (done, outcome) = watch::channel(None);
        let owned = Arc::clone(shared);
        shared.in_background(async move {
            let gone = timeout(LIMIT, run(&owned, &killing::script(&[group]))).await.ok().flatten();
            // Whoever asked may not want to know any more.
            let _ = done.send(Some(gone == Some(0)));
        });
        Self(outcome)
    }

    /// Whether the group was seen to be gone.
    pub(super) async fn outcome(&mut self) -> bool {
        self.0.wait_for(Option::is_some).await.is_ok_and(|outcome| *outcome == Some(true))
    }

    /// Whether it was seen by now.
    pub(super) fn has_proof(&self) -> bool {
        *self.0.borrow() == Some(true)
    }
}

/// Runs a script in a shell of its own; its exit code if that was seen.
async fn run(shared: &Arc<Shared>, script: &str) -> Option<i32> {
    let mut shell =
        TelnetShell::open(shared).await.inspect_err(|error| tracing::debug!("no second login: {error}")).ok()?;
    let nonce = getrandom::u64().ok()?;
    // An escape in the text and a byte in the output, so that no echo is taken for the answer.
    let mut typed = format!(" sh -c '{script}'; printf '\\036K{nonce:x} %s;' $?\n").into_bytes();
    let marker = format!("\u{1e}K{nonce:x} ").into_bytes();
    let mut said = Vec::new();
    let code = loop {
        let incoming = poll_fn(|cx| {
            while !typed.is_empty() {
                match ready_or_none(shell.poll_write(cx, Inlet::Commands, &typed)) {
                    Some(Ok(count)) => drop(typed.drain(..count)),
                    // The read says why.
                    Some(Err(_)) => typed.clear(),
                    None => break,
                }
            }
            std::task::Poll::Ready(ready!(shell.poll_read(cx, &mut said)))
        });
        match incoming.await {
            Ok(Incoming::Data(_) | Incoming::Gap(_)) => {}
            Ok(Incoming::Ended(_)) | Err(_) => return None,
        }
        if let Some(at) = memchr::memmem::find(&said, &marker) {
            let answer = &said[at + marker.len()..];
            if let Some(end) = memchr::memchr(b';', answer) {
                break std::str::from_utf8(&answer[..end]).ok()?.parse().ok();
            }
        }
    };
    Box::new(shell).close().await;
    code
}

fn ready_or_none<T>(poll: std::task::Poll<T>) -> Option<T> {
    match poll {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}
