//! `send` and `expect`: what is typed on a session's terminal by hand, and what it shows.

use std::time::Duration;

use tokio::time::timeout;

use super::expect::{Pattern, Searcher};
use super::shell::{ShellSession, State};
use crate::command::Limit;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::Inlet;

/// How long typing may take that a program does not read.
const SEND: Duration = Duration::from_secs(10);

/// Why `send` and `expect` cannot go on, if the shell that they were talking to is gone.
fn dead(state: &State) -> Option<Error> {
    let why = state.died.as_ref()?;
    Some(Error::new(why.kind(), format!("the shell is gone: {why}")).hint("the next `run` opens a new shell"))
}

impl ShellSession {
    /// Types text on the terminal of the shell, which reads its commands from there while `send` and `expect` are in use.
    /// Line endings are yours to include.
    ///
    /// # Errors
    /// When the shell has died since it was last used, or cannot be opened.
    pub async fn send(&self, text: impl AsRef<[u8]>) -> Result<()> {
        let text = text.as_ref();
        let mut state = self.0.state.lock().await;
        self.settle(&mut state).await;
        if let Some(why) = dead(&state) {
            return Err(self.at_home(why));
        }
        self.opened(&mut state, None).await?;
        let State { live: Some(live), unread, .. } = &mut *state else { return Err(self.closed()) };
        if text.first() != Some(&0x03) {
            // What is typed after a ^C must not be read by what that should have ended.
            live.insist(unread).await;
        }
        live.enter_interactive(unread).await;
        let again = live.interactive.as_mut().and_then(|interactive| interactive.typed(live.dialect, text));
        live.write(Inlet::Terminal, text.to_vec());
        if let Some(again) = again {
            live.write(Inlet::Commands, again.into_bytes());
        }
        if let Some(observer) = &self.0.observer {
            observer.sent(&self.0.name);
        }
        // A program that writes much and reads later must not block: both directions go on until all is typed.
        let ended = tokio::select! {
            biased;
            () = async {
                live.type_queued(unread).await;
                if text.contains(&0x03) {
                    live.interrupted_by_hand(unread).await;
                }
            } => live.ended.clone(),
            () = tokio::time::sleep(SEND) => None,
        };
        match ended {
            Some(ending) => Err(self.ended_under(&mut state, &ending)),
            None => Ok(()),
        }
    }

    /// Waits until the pattern appears in what the terminal writes; returns everything up to and including the match. What
    /// comes after it stays for the next `expect`, and so does all of it when the limit expires.
    ///
    /// # Errors
    /// A pattern that is no regex, a limit that expired (the error shows the last lines), a shell that ended.
    pub async fn expect(&self, pattern: &Pattern, limit: Limit) -> Result<String> {
        let mut searcher = Searcher::new(std::slice::from_ref(pattern))?;
        let mut closes = self.0.closes.subscribe();
        let mut state = self.0.state.lock().await;
        self.settle(&mut state).await;
        if let Some(taken) = state.unread.search(&mut searcher) {
            return Ok(taken.text().into_owned());
        }
        if let Some(why) = dead(&state) {
            return Err(self.at_home(why));
        }
        self.opened(&mut state, Some(limit)).await?;
        let State { live: Some(live), unread, .. } = &mut *state else { return Err(self.closed()) };
        let found = tokio::select! {
            biased;
            found = timeout(limit.get(), live.read_until(unread, &mut searcher)) => found,
            _ = closes.changed() => return Err(self.closed()),
        };
        match found {
            Ok(Ok(Some(text))) => Ok(text),
            Ok(Ok(None)) => {
                let ending = live.ended.clone().unwrap_or_default();
                Err(self.ended_under(&mut state, &ending))
            }
            Ok(Err(error)) => Err(self.at_home(error)),
            Err(_) => {
                let mut message = format!("`{}` did not appear within {:?}", pattern.as_str(), limit.get());
                let tail = unread.tail(10);
                if tail.is_empty() {
                    message.push_str("; nothing was written");
                }
                for line in tail.lines() {
                    message.push_str("\n  | ");
                    message.push_str(line);
                }
                Err(self.at_home(Error::new(ErrorKind::Timeout, message)))
            }
        }
    }
}
