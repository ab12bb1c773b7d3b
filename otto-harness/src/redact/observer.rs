//! An observer that is told everything but the secrets.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Redactor, Stream};
use crate::result::CommandStatus;
use crate::session::Observer;

/// Passes on what happens in sessions, redacted.
pub(crate) struct Redacting {
    to: Arc<dyn Observer>,
    redactor: Redactor,
    /// What each session's output is in the middle of: a secret may come in two reads.
    streams: Mutex<HashMap<String, Stream>>,
}

impl Redacting {
    /// `to` itself if there is no secret to keep.
    pub(crate) fn wrap(to: Arc<dyn Observer>, redactor: &Redactor) -> Arc<dyn Observer> {
        if redactor.is_empty() {
            return to;
        }
        Arc::new(Self { to, redactor: redactor.clone(), streams: Mutex::default() })
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<String, Stream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on what a session's stream holds back: what follows is no part of it.
    fn flush(&self, session: &str) {
        let held = self.streams().remove(session).map(|mut stream| stream.finish()).unwrap_or_default();
        if !held.is_empty() {
            self.to.output(session, &held);
        }
    }
}

impl Observer for Redacting {
    fn command(&self, session: &str, command: &str) {
        self.flush(session);
        self.to.command(session, &self.redactor.text(command));
    }

    fn output(&self, session: &str, bytes: &[u8]) {
        // Passed on under the lock: pieces of one session stay in order, and sessions seldom wait for each other.
        let mut streams = self.streams();
        if !streams.contains_key(session) {
            streams.insert(session.to_owned(), Stream::new(self.redactor.clone()));
        }
        let Some(stream) = streams.get_mut(session) else { return };
        let shown = stream.feed(bytes);
        if !shown.is_empty() {
            self.to.output(session, &shown);
        }
    }

    fn ended(&self, session: &str, status: &CommandStatus) {
        self.flush(session);
        self.to.ended(session, &status.redacted(&self.redactor));
    }

    fn sent(&self, session: &str) {
        self.to.sent(session);
    }
}

impl fmt::Debug for Redacting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redacting").field("to", &self.to).field("redactor", &self.redactor).finish_non_exhaustive()
    }
}
