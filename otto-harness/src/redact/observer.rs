//! An observer that is told everything but the secrets.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::{Redactor, Stream};
use crate::result::CommandStatus;
use crate::session::Observer;

/// Passes on what happens in sessions, redacted.
pub(crate) struct Redacting {
    to: Arc<dyn Observer>,
    redactor: Redactor,
    /// What each session's output is in the middle of: a secret may come in two reads.
    streams: Mutex<HashMap<String, (Kind, Stream)>>,
}

/// Who wrote a stream: a command, or the terminal that `expect` reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Output,
    Shown,
}

impl Redacting {
    /// `to` itself if there is no secret to keep.
    pub(crate) fn wrap(to: Arc<dyn Observer>, redactor: &Redactor) -> Arc<dyn Observer> {
        if redactor.is_empty() {
            return to;
        }
        Arc::new(Self { to, redactor: redactor.clone(), streams: Mutex::default() })
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<String, (Kind, Stream)>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on what a session's stream holds back: what follows is no part of it.
    fn flush(&self, session: &str) {
        if let Some((kind, mut stream)) = self.streams().remove(session) {
            self.pass(kind, session, &stream.finish());
        }
    }

    fn pass(&self, kind: Kind, session: &str, bytes: &[u8]) {
        match kind {
            _ if bytes.is_empty() => {}
            Kind::Output => self.to.output(session, bytes),
            Kind::Shown => self.to.shown(session, bytes),
        }
    }

    fn feed(&self, kind: Kind, session: &str, bytes: &[u8]) {
        if self.streams().get(session).is_some_and(|(before, _)| *before != kind) {
            self.flush(session);
        }
        // Passed on under the lock: pieces of one session stay in order, and sessions seldom wait for each other.
        let mut streams = self.streams();
        if !streams.contains_key(session) {
            streams.insert(session.to_owned(), (kind, Stream::new(self.redactor.clone())));
        }
        let Some((_, stream)) = streams.get_mut(session) else { return };
        self.pass(kind, session, &stream.feed(bytes));
    }
}

impl Observer for Redacting {
    fn command(&self, session: &str, command: &str) {
        self.flush(session);
        self.to.command(session, &self.redactor.text(command));
    }

    fn command_since(&self, session: &str, command: &str, began: SystemTime) {
        self.flush(session);
        self.to.command_since(session, &self.redactor.text(command), began);
    }

    fn output(&self, session: &str, bytes: &[u8]) {
        self.feed(Kind::Output, session, bytes);
    }

    fn ended(&self, session: &str, status: &CommandStatus) {
        self.flush(session);
        self.to.ended(session, &status.redacted(&self.redactor));
    }

    fn given_up(&self, session: &str) {
        self.flush(session);
        self.to.given_up(session);
    }

    fn oneshot_began(&self, id: u64, command: &str) {
        self.to.oneshot_began(id, &self.redactor.text(command));
    }

    fn oneshot_over(&self, id: u64) {
        self.to.oneshot_over(id);
    }

    fn opening(&self, session: &str) {
        self.to.opening(session);
    }

    fn opened(&self, session: &str, is_open: bool) {
        self.to.opened(session, is_open);
    }

    fn sent(&self, session: &str) {
        self.flush(session);
        self.to.sent(session);
    }

    fn shown(&self, session: &str, bytes: &[u8]) {
        self.feed(Kind::Shown, session, bytes);
    }

    fn noted(&self, session: &str, note: &str) {
        self.flush(session);
        self.to.noted(session, &self.redactor.text(note));
    }

    fn left_running(&self, session: &str, command: &str, why: &str) {
        self.to.left_running(session, &self.redactor.text(command), &self.redactor.text(why));
    }
}

impl fmt::Debug for Redacting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redacting").field("to", &self.to).field("redactor", &self.redactor).finish_non_exhaustive()
    }
}
