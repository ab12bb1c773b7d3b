//! Killing what runs in a shell, by a second login: a telnet connection has no way but the terminal itself, and what
//! has to be killed is what does not heed that.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::transport::{Incoming, Inlet, Transport as _, killing};

use super::Shared;
use super::shell::TelnetShell;

/// How long a login and what is done there may take in all. Whoever waits for it may give up sooner; it goes on.
const LIMIT: Duration = Duration::from_secs(15);

/// How long such a login waits for its word.
const READINESS: Duration = Duration::from_secs(3);

/// A login that is made beforehand, because a login takes long and a command that has to be killed is late already.
#[derive(Debug)]
pub(super) struct StandBy {
    prey: Prey,
    go: oneshot::Sender<()>,
    killing: Killing,
}

impl StandBy {
    /// Logs in, in the background. Dropping it logs out.
    pub(super) fn start(shared: &Arc<Shared>, prey: Prey) -> Self {
        let (go, word) = oneshot::channel::<()>();
        let (done, outcome) = watch::channel(None);
        let owned = Arc::clone(shared);
        shared.in_background(async move {
            let killed = async {
                let opened = TelnetShell::open(&owned).await;
                let mut shell = opened.inspect_err(|error| tracing::debug!("no second login: {error}")).ok()?;
                let code = match timeout(READINESS, word).await {
                    Ok(Ok(())) => ask(&mut shell, &format!("sh -c '{}'", prey.script()), "$?").await,
                    _ => None,
                };
                // What is asked of the kill is known; logging out may take its time.
                let gone = code.as_deref() == Some("0");
                let _ = done.send(Some(gone));
                Box::new(shell).close().await;
                Some(gone)
            };
            let killed = timeout(LIMIT, killed).await.ok().flatten();
            // Whoever asked may not want to know any more.
            let _ = done.send(Some(killed == Some(true)));
        });
        Self { prey, go, killing: Killing(outcome) }
    }

    /// Whether it waits no longer.
    pub(super) fn is_over(&self) -> bool {
        self.go.is_closed()
    }

    /// Has it kill. Once more by a new login, if this one was not to be had when it was begun.
    pub(super) fn kill(self, shared: &Arc<Shared>) -> Killing {
        if self.go.send(()).is_ok() {
            return self.killing;
        }
        let again = Self::start(shared, self.prey);
        // A runtime that is ending drops it at once; then there is no kill, and no proof of one.
        let _ = again.go.send(());
        again.killing
    }
}

/// A kill that is under way, or over.
#[derive(Debug, Clone)]
pub(super) struct Killing(watch::Receiver<Option<bool>>);

impl Killing {
    /// Whether all was seen to be gone.
    pub(super) async fn outcome(&mut self) -> bool {
        self.0.wait_for(Option::is_some).await.is_ok_and(|outcome| *outcome == Some(true))
    }

    /// Whether it was seen by now.
    pub(super) fn has_proof(&self) -> bool {
        *self.0.borrow() == Some(true)
    }
}

/// Runs a line in a shell that is at its prompt, and says what these words are then.
async fn ask(shell: &mut TelnetShell, line: &str, words: &str) -> Option<String> {
    let nonce = getrandom::u64().ok()?;
    // Escapes in the text and bytes in the output, so that no echo is taken for the answer.
    let mut typed = format!(" {line}; printf '\\036K{nonce:x} %s\\036' \"{words}\"\n").into_bytes();
    let marker = format!("\u{1e}K{nonce:x} ").into_bytes();
    let mut said = Vec::new();
    loop {
        let incoming = poll_fn(|cx| {
            while !typed.is_empty() {
                match shell.poll_write(cx, Inlet::Commands, &typed) {
                    Poll::Ready(Ok(count)) => drop(typed.drain(..count)),
                    // The read says why.
                    Poll::Ready(Err(_)) => typed.clear(),
                    Poll::Pending => break,
                }
            }
            shell.poll_read(cx, &mut said)
        });
        match incoming.await {
            Ok(Incoming::Data(_) | Incoming::Gap(_)) => {}
            Ok(Incoming::Ended(_)) | Err(_) => return None,
        }
        if let Some(at) = memchr::memmem::find(&said, &marker) {
            let answer = &said[at + marker.len()..];
            if let Some(end) = memchr::memchr(0x1e, answer) {
                return String::from_utf8(answer[..end].to_vec()).ok();
            }
        }
    }
}

/// What has to be gone for a shell and all it started to be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prey {
    /// All that runs on its terminal.
    Session(u32),
    /// Without a terminal, a session may be that of half the host.
    Group(u32),
}

impl Prey {
    /// Asks a shell that is at its prompt. A host without `/proc` does not know.
    pub(super) async fn of(shell: &mut TelnetShell) -> Option<Self> {
        let stat = ask(shell, "read -r otto_stat 2>/dev/null </proc/$$/stat", "$otto_stat").await?;
        Self::in_stat(&stat)
    }

    fn in_stat(stat: &str) -> Option<Self> {
        let pid = stat.split(' ').next()?.parse::<u32>().ok()?;
        // The name may hold anything, brackets too.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(2);
        let mut number = || fields.next()?.parse::<u32>().ok();
        let (group, session, terminal) = (number()?, number()?, number()?);
        match (session, terminal) {
            (1.., 1..) => Some(Self::Session(session)),
            _ => (group == pid).then_some(Self::Group(group)),
        }
    }

    fn script(self) -> String {
        match self {
            Self::Session(session) => killing::session(session),
            Self::Group(group) => killing::groups(&[group]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_a_terminal_of_its_own_is_killed_by_session() {
        let prey = |stat| Prey::in_stat(stat);
        assert_eq!(prey("26840 (bash) S 26834 26840 26834 34820 26840 4194560"), Some(Prey::Session(26834)));
        assert_eq!(prey("7 (a) b) (c) S 1 7 5 34820 7 0"), Some(Prey::Session(5)));
        assert_eq!(prey("7 (sh) S 1 7 5 0 -1 0"), Some(Prey::Group(7)));
        // Neither is its own.
        assert_eq!(prey("7 (sh) S 1 5 5 0 -1 0"), None);
        assert_eq!(prey("7 (sh) S 1 5 0 34820 -1 0"), None);
        assert_eq!(prey(""), None);
    }
}
