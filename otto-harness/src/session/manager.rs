//! All sessions of one host: the default one, and those with names.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tokio::runtime::Handle;

use super::dirt::Ledger;
use super::gate::Gate;
use super::named::HostSession;
use super::oneshot::ONESHOT;
use super::pool::Pool;
use super::run::{ExpectRun, OneshotRun, Run};
use super::told::{Audience, Told};
use super::{Observer, Pattern, ShellSession};
use crate::command::{IntoCommands, IntoLimit, Limit, LogMode, ShellCommand};
use crate::error::{Error, ErrorKind, Result};
use crate::redact::Redactor;
use crate::transport::{BoxFuture, Connector};

/// How long closing a host may take.
pub(crate) const CLOSING: Duration = Duration::from_secs(5);

/// The name of the session that `run` uses when none is named.
pub(crate) const DEFAULT: &str = "default";

/// The sessions of one host over a [`Connector`]: what a [`Host`](crate::Host) is made of, and what makes one of a
/// transport of your own.
///
/// Cheap to clone: clones share the sessions. Nothing is contacted before first use. When the last clone, and the last
/// [`HostSession`] that came from it, is dropped, what is open is closed in the background.
#[derive(Clone)]
pub struct SessionManager(pub(super) Arc<Sessions>);

pub(super) struct Sessions {
    host: String,
    connector: Arc<dyn Connector>,
    observer: Arc<dyn Observer>,
    defaults: Arc<RwLock<Defaults>>,
    redactor: Redactor,
    ledger: Ledger,
    dry_run: bool,
    pub(super) default: Arc<Slot>,
    named: Mutex<HashMap<String, Arc<Slot>>>,
    /// For what is in no session: oneshots.
    pub(super) gate: Gate,
    /// Where oneshots run if the host starts no processes by themselves.
    pub(super) pool: Pool,
    closing: Arc<tokio::sync::Mutex<()>>,
    used: AtomicBool,
    runtime: OnceLock<Handle>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Defaults {
    pub(super) limit: Limit,
    pub(super) log: LogMode,
}

/// One session, and what keeps its users in order.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) session: ShellSession,
    /// Held for a whole list of commands, so that two lists do not mingle. It is fair: first come, first served.
    pub(super) turn: tokio::sync::Mutex<()>,
    pub(super) gate: Gate,
    opening: tokio::sync::Mutex<()>,
    /// How the last attempt to open it failed, and how many did, so that those who waited for it share its error.
    failed: Mutex<(u64, Option<Error>)>,
}

impl SessionManager {
    /// For the host that errors and logs call `host`.
    #[must_use]
    pub fn new(host: impl Into<String>, connector: Arc<dyn Connector>) -> Self {
        Self::with(host, connector, Audience::default(), Redactor::default(), false)
    }

    pub(crate) fn with(
        host: impl Into<String>,
        connector: Arc<dyn Connector>,
        audience: Audience,
        redactor: Redactor,
        dry_run: bool,
    ) -> Self {
        let host = host.into();
        let defaults = Arc::new(RwLock::new(Defaults { limit: Limit::DEFAULT, log: LogMode::Normal }));
        let ledger = Ledger::default();
        let observer = Told::observer(&host, audience, &redactor, defaults.clone(), ledger.clone());
        let closing = Arc::<tokio::sync::Mutex<()>>::default();
        let default = Slot::new(&host, DEFAULT, DEFAULT, &connector, &observer, &closing);
        Self(Arc::new(Sessions {
            host,
            connector,
            observer,
            defaults,
            redactor,
            ledger,
            dry_run,
            default: Arc::new(default),
            named: Mutex::default(),
            gate: Gate::new(closing.clone()),
            pool: Pool::default(),
            closing,
            used: AtomicBool::new(false),
            runtime: OnceLock::new(),
        }))
    }

    /// The host's name.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// Commands for the default session.
    pub fn run_cmd<'a>(&self, commands: impl IntoCommands) -> Run<'a> {
        Run::new(self.default_session(), commands.into_commands())
    }

    /// A command in a process of its own.
    pub fn oneshot<'a>(&self, command: impl Into<ShellCommand>) -> OneshotRun<'a> {
        OneshotRun::new(self.clone(), command.into())
    }

    /// Text for the terminal of the default session.
    pub fn send(&self, text: impl AsRef<[u8]>) -> BoxFuture<'static, Result<()>> {
        self.default_session().send(text)
    }

    /// Waits for a pattern in what the default session's terminal shows.
    pub fn expect(&self, pattern: impl Into<Pattern>) -> ExpectRun {
        self.default_session().expect(pattern)
    }

    /// The session of that name: opened if there is none, or if its shell died; live when this returns.
    ///
    /// From however many tasks at once, one name is one session, and different names open side by side. If opening fails,
    /// all who waited for that attempt get its error.
    ///
    /// # Errors
    /// If the host cannot be reached, or its shell does not start.
    pub fn open_session(&self, name: impl Into<String>) -> BoxFuture<'static, Result<HostSession>> {
        let (manager, name) = (self.clone(), name.into());
        Box::pin(async move {
            let slot = manager.0.slot(&name)?;
            if manager.is_dry_run() {
                tracing::info!(host = manager.host(), session = name, "dry run: would open a session");
            } else if let Err(error) = manager.0.open(&slot).await {
                manager.0.forget(&slot);
                return Err(error.on_host(manager.host()).in_session(name).redacted(manager.redactor()));
            }
            Ok(HostSession::new(manager, slot))
        })
    }

    /// Whether any session has a live shell.
    #[must_use]
    pub fn has_live_sessions(&self) -> bool {
        self.0.default.session.alive() || self.0.named().values().any(|slot| slot.session.alive())
    }

    /// Closes all sessions and the connection. Named sessions stay closed; the next use of the default session, or of a
    /// name, connects again. From several tasks at once, or in a row, it does no harm; what is under way ends with an
    /// error of kind [`ErrorKind::Closed`].
    ///
    /// # Errors
    /// If not all was gone after 5 s. It is then dropped, and ends in the background.
    #[must_use = "nothing is closed until it is awaited"]
    pub fn close_all(&self) -> BoxFuture<'static, Result<()>> {
        let sessions = self.0.clone();
        // In a task of its own: whoever asked may stop waiting, and it is closed all the same.
        Box::pin(async move {
            if sessions.idle() {
                return Ok(());
            }
            // Whoever asks while it is being closed waits until it is, and whoever comes to work does too.
            let closing = sessions.closing.clone().lock_owned().await;
            let slots = sessions.send_away();
            let close = async move {
                let closed = sessions.close(slots, CLOSING).await;
                drop(closing);
                closed
            };
            match tokio::spawn(close).await {
                Ok(done) => done,
                Err(_) => Err(Error::new(ErrorKind::Closed, "the runtime ended while a host was being closed")),
            }
        })
    }

    /// As [`close_all`](Self::close_all), and nothing is opened any more.
    pub(crate) fn retire(&self, why: &'static str) -> BoxFuture<'static, Result<()>> {
        self.0.gate.shut(why);
        self.0.default.gate.shut(why);
        self.close_all()
    }

    pub(crate) fn is_dry_run(&self) -> bool {
        self.0.dry_run
    }

    pub(crate) fn set_limit(&self, limit: impl IntoLimit) -> Result<()> {
        self.0.defaults.write().unwrap_or_else(PoisonError::into_inner).limit = limit.into_limit()?;
        Ok(())
    }

    pub(crate) fn set_log(&self, mode: LogMode) {
        self.0.defaults.write().unwrap_or_else(PoisonError::into_inner).log = mode;
    }

    pub(super) fn defaults(&self) -> Defaults {
        *self.0.defaults.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn connector(&self) -> &Arc<dyn Connector> {
        &self.0.connector
    }

    /// What knows the secrets that must not be shown.
    pub(super) fn redactor(&self) -> &Redactor {
        &self.0.redactor
    }

    pub(super) fn observer(&self) -> Arc<dyn Observer> {
        self.0.observer.clone()
    }

    /// What may still run on the host.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    fn default_session(&self) -> HostSession {
        HostSession::new(self.clone(), self.0.default.clone())
    }

    /// Whether its context was closed, and it with it.
    pub(super) fn is_retired(&self) -> bool {
        self.0.gate.is_shut().is_some()
    }

    /// To be called before anything is contacted.
    pub(super) fn note_use(&self) {
        self.0.note_use();
    }

    /// Closes the named session in `slot` for good.
    pub(super) fn close_slot(&self, slot: &Arc<Slot>) -> BoxFuture<'static, Result<()>> {
        let (manager, slot) = (self.clone(), slot.clone());
        Box::pin(async move {
            manager.0.forget(&slot);
            slot.gate.shut("the session was closed");
            if manager.0.idle() {
                return Ok(());
            }
            let session = slot.session.clone();
            let closed =
                tokio::spawn(async move { tokio::time::timeout(CLOSING, session.close()).await.is_ok() }).await;
            if closed.unwrap_or(false) {
                Ok(())
            } else {
                Err(not_in_time().on_host(manager.host()).in_session(&*slot.name))
            }
        })
    }
}

impl fmt::Debug for SessionManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.named().keys().cloned().collect();
        f.debug_struct("SessionManager").field("host", &self.0.host).field("named", &names).finish_non_exhaustive()
    }
}

/// What a named session is called in logs and transcripts: by its name, unless that is what otto calls something else.
fn label(name: &str) -> String {
    const NAMED: &str = "named ";
    let taken = [DEFAULT, ONESHOT].contains(&name) || name.starts_with(NAMED);
    format!("{}{name}", if taken { NAMED } else { "" })
}

fn not_in_time() -> Error {
    Error::new(ErrorKind::Timeout, "did not close in time and was dropped")
}

impl Sessions {
    fn named(&self) -> MutexGuard<'_, HashMap<String, Arc<Slot>>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_use(&self) {
        self.used.store(true, Ordering::Relaxed);
        if self.runtime.get().is_none()
            && let Ok(runtime) = Handle::try_current()
        {
            let _ = self.runtime.set(runtime);
        }
    }

    /// Whether nothing was ever contacted.
    fn idle(&self) -> bool {
        !self.used.load(Ordering::Relaxed)
    }

    /// The slot of that name, a new one if there is none.
    fn slot(&self, name: &str) -> Result<Arc<Slot>> {
        // Under the lock of the map: a host that is being closed for good gets no session that its closing would miss.
        let mut named = self.named();
        if let Some(why) = self.gate.is_shut() {
            return Err(Error::new(ErrorKind::Closed, why).on_host(&*self.host).in_session(name));
        }
        let label = label(name);
        let new = || Arc::new(Slot::new(&self.host, name, &label, &self.connector, &self.observer, &self.closing));
        Ok(named.entry(name.to_owned()).or_insert_with(new).clone())
    }

    /// Takes the slot out of the map, if it is still the one there.
    fn forget(&self, slot: &Arc<Slot>) {
        let mut named = self.named();
        if named.get(&slot.name).is_some_and(|found| Arc::ptr_eq(found, slot)) {
            named.remove(&slot.name);
        }
    }

    async fn open(&self, slot: &Slot) -> Result<()> {
        self.note_use();
        let failures = || slot.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let before = failures().0;
        let opening = async {
            let _turn = slot.opening.lock().await;
            {
                let failed = failures();
                if let (count, Some(error)) = &*failed
                    && *count > before
                {
                    return Err(error.clone());
                }
            }
            if slot.session.alive() {
                return Ok(());
            }
            slot.session.open().await.inspect_err(|error| {
                let mut failed = failures();
                *failed = (failed.0 + 1, Some(error.clone()));
            })
        };
        slot.gate.pass(opening).await
    }

    /// Ends what is under way, and takes the named sessions off the map.
    fn send_away(&self) -> Vec<Arc<Slot>> {
        let slots: Vec<_> = self.named().drain().map(|(_, slot)| slot).collect();
        for slot in &slots {
            slot.gate.shut("the session was closed with its host");
        }
        self.default.gate.sweep();
        self.gate.sweep();
        slots
    }

    async fn close(&self, slots: Vec<Arc<Slot>>, limit: Duration) -> Result<()> {
        let everything = async {
            let pooled = self.pool.take();
            let named = std::iter::once(&self.default).chain(&slots).map(|slot| &slot.session);
            each(named.chain(&pooled).map(ShellSession::close)).await;
            self.connector.close().await
        };
        match tokio::time::timeout(limit, everything).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(not_in_time().on_host(&*self.host)),
        }
    }
}

/// Waits for all of them, side by side.
async fn each<F: Future<Output = ()>>(all: impl Iterator<Item = F>) {
    crate::crowd::all(all).await;
}

impl Drop for Sessions {
    /// The last handle is gone: what is open is closed in the background. Without a runtime, dropping the transports has
    /// to do.
    fn drop(&mut self) {
        let Some(runtime) = Handle::try_current().ok().or_else(|| self.runtime.take()) else { return };
        if self.idle() {
            return;
        }
        let mut sessions: Vec<_> = self.named().drain().map(|(_, slot)| slot.session.clone()).collect();
        sessions.push(self.default.session.clone());
        sessions.extend(self.pool.take());
        let connector = self.connector.clone();
        runtime.spawn(async move {
            let everything = async {
                each(sessions.iter().map(ShellSession::close)).await;
                connector.close().await;
            };
            // After that, dropping has to do.
            let _ = tokio::time::timeout(CLOSING, everything).await;
        });
    }
}

impl Slot {
    fn new(
        host: &str,
        name: &str,
        label: &str,
        connector: &Arc<dyn Connector>,
        observer: &Arc<dyn Observer>,
        closing: &Arc<tokio::sync::Mutex<()>>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            session: ShellSession::new(host, label, connector.clone(), Some(observer.clone())),
            turn: tokio::sync::Mutex::default(),
            gate: Gate::new(closing.clone()),
            opening: tokio::sync::Mutex::default(),
            failed: Mutex::default(),
        }
    }
}

#[cfg(test)]
mod tests;
