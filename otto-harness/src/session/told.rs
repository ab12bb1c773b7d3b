//! What stands between the sessions of a host and whoever observes them: it keeps the host's dirt, and keeps to the host's
//! log mode where a call has none of its own.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use super::Observer;
use super::dirt::{Dirt, Ledger};
use super::manager::Defaults;
use crate::command::LogMode;
use crate::redact::{Redacting, Redactor};
use crate::result::CommandStatus;

/// The observer that the sessions of a host have.
#[derive(Debug)]
pub(super) struct Told {
    host: String,
    /// Who is told, without secrets.
    to: Option<Arc<dyn Observer>>,
    redactor: Redactor,
    defaults: Arc<RwLock<Defaults>>,
    ledger: Ledger,
}

impl Told {
    pub(super) fn observer(
        host: &str,
        to: Option<Arc<dyn Observer>>,
        redactor: &Redactor,
        defaults: Arc<RwLock<Defaults>>,
        ledger: Ledger,
    ) -> Arc<dyn Observer> {
        let to = to.map(|to| Redacting::wrap(to, redactor));
        Arc::new(Self { host: host.to_owned(), to, redactor: redactor.clone(), defaults, ledger })
    }

    /// For `send` and `expect`, which have no log mode of their own.
    fn unless_hidden(&self, hidden: &[LogMode]) -> Option<&dyn Observer> {
        let log = self.defaults.read().unwrap_or_else(PoisonError::into_inner).log;
        self.to.as_deref().filter(|_| !hidden.contains(&log))
    }
}

impl Observer for Told {
    fn command(&self, session: &str, command: &str) {
        if let Some(to) = &self.to {
            to.command(session, command);
        }
    }

    fn command_since(&self, session: &str, command: &str, began: SystemTime) {
        if let Some(to) = &self.to {
            to.command_since(session, command, began);
        }
    }

    fn output(&self, session: &str, bytes: &[u8]) {
        if let Some(to) = &self.to {
            to.output(session, bytes);
        }
    }

    fn ended(&self, session: &str, status: &CommandStatus) {
        if let Some(to) = &self.to {
            to.ended(session, status);
        }
    }

    fn sent(&self, session: &str) {
        if let Some(to) = self.unless_hidden(&[LogMode::Never]) {
            to.sent(session);
        }
    }

    fn shown(&self, session: &str, bytes: &[u8]) {
        if let Some(to) = self.unless_hidden(&[LogMode::Never, LogMode::Quiet]) {
            to.shown(session, bytes);
        }
    }

    fn noted(&self, session: &str, note: &str) {
        if let Some(to) = &self.to {
            to.noted(session, note);
        }
    }

    fn left_running(&self, session: &str, command: &str, why: &str) {
        let clean = |text: &str| self.redactor.text(text).into_owned();
        let dirt = Dirt { command: clean(command), session: clean(session), since: SystemTime::now(), why: clean(why) };
        tracing::warn!(host = self.host, "the host is dirty: {dirt}");
        if let Some(to) = &self.to {
            to.noted(session, &format!("the host is dirty: {dirt}"));
            to.left_running(session, command, why);
        }
        self.ledger.add(dirt);
    }
}
