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

/// Who observes a host.
#[derive(Debug, Clone, Default)]
pub(crate) struct Audience {
    /// Is told everything without secrets, at the price of looking at every byte.
    pub(crate) observer: Option<Arc<dyn Observer>>,
    /// Is told everything as it came, and takes the secrets out of the little that it shows. For otto's own only.
    pub(crate) insider: Option<Arc<dyn Observer>>,
}

/// The observer that the sessions of a host have.
#[derive(Debug)]
pub(super) struct Told {
    host: String,
    to: Audience,
    redactor: Redactor,
    defaults: Arc<RwLock<Defaults>>,
    ledger: Ledger,
}

impl Told {
    pub(super) fn observer(
        host: &str,
        mut to: Audience,
        redactor: &Redactor,
        defaults: Arc<RwLock<Defaults>>,
        ledger: Ledger,
    ) -> Arc<dyn Observer> {
        to.observer = to.observer.map(|observer| Redacting::wrap(observer, redactor));
        Arc::new(Self { host: host.to_owned(), to, redactor: redactor.clone(), defaults, ledger })
    }

    fn all(&self) -> impl Iterator<Item = &dyn Observer> {
        self.to.observer.as_deref().into_iter().chain(self.to.insider.as_deref())
    }

    /// For `send` and `expect`, which have no log mode of their own.
    fn unless_hidden(&self, hidden: &[LogMode]) -> impl Iterator<Item = &dyn Observer> {
        let log = self.defaults.read().unwrap_or_else(PoisonError::into_inner).log;
        let hidden = hidden.contains(&log);
        self.all().filter(move |_| !hidden)
    }
}

impl Observer for Told {
    fn command(&self, session: &str, command: &str) {
        self.all().for_each(|to| to.command(session, command));
    }

    fn command_since(&self, session: &str, command: &str, began: SystemTime) {
        self.all().for_each(|to| to.command_since(session, command, began));
    }

    fn output(&self, session: &str, bytes: &[u8]) {
        self.all().for_each(|to| to.output(session, bytes));
    }

    fn ended(&self, session: &str, status: &CommandStatus) {
        self.all().for_each(|to| to.ended(session, status));
    }

    fn given_up(&self, session: &str) {
        self.all().for_each(|to| to.given_up(session));
    }

    fn oneshot_began(&self, id: u64, command: &str) {
        self.all().for_each(|to| to.oneshot_began(id, command));
    }

    fn oneshot_over(&self, id: u64) {
        self.all().for_each(|to| to.oneshot_over(id));
    }

    fn opening(&self, session: &str) {
        self.all().for_each(|to| to.opening(session));
    }

    fn opened(&self, session: &str, is_open: bool) {
        self.all().for_each(|to| to.opened(session, is_open));
    }

    fn sent(&self, session: &str) {
        self.unless_hidden(&[LogMode::Never]).for_each(|to| to.sent(session));
    }

    fn shown(&self, session: &str, bytes: &[u8]) {
        self.unless_hidden(&[LogMode::Never, LogMode::Quiet]).for_each(|to| to.shown(session, bytes));
    }

    fn noted(&self, session: &str, note: &str) {
        self.all().for_each(|to| to.noted(session, note));
    }

    fn left_running(&self, session: &str, command: &str, why: &str) {
        let clean = |text: &str| self.redactor.text(text).into_owned();
        let dirt = Dirt { command: clean(command), session: clean(session), since: SystemTime::now(), why: clean(why) };
        tracing::warn!(host = self.host, "the host is dirty: {dirt}");
        let note = format!("the host is dirty: {dirt}");
        for to in self.all() {
            to.noted(session, &note);
            to.left_running(session, command, why);
        }
        self.ledger.add(dirt);
    }
}
