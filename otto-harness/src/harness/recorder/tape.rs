//! What one host does.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant, SystemTime};

use super::tail::Tail;
use super::{Doing, Entry, Shared, locked};
use crate::harness::record::CommandRecord;
use crate::harness::reports::events::Teller;
use crate::redact::Redactor;
use crate::result::CommandStatus;
use crate::session::Observer;

/// The longest text of a command that is kept.
const LONGEST: usize = 4 << 10;

/// The session that oneshots are filed under.
const ONESHOT: &str = "oneshot";

/// What one host of an attempt does.
pub(super) struct Tape {
    pub(super) id: Arc<str>,
    /// How it is reached.
    pub(super) about: String,
    pub(super) redactor: Redactor,
    /// Gone when nobody wants to know any more.
    shared: Weak<Shared>,
    used: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sessions: HashMap<Arc<str>, Session>,
    /// Oneshots that run, by their ids.
    oneshots: Vec<(u64, Current)>,
    /// The oneshot that is over, and of which all is told next.
    over: Option<Current>,
    /// What was running when the test was ended.
    cut_off: Vec<(Arc<str>, Current)>,
}

#[derive(Default)]
struct Session {
    /// What it wrote since its newest command began, or its terminal showed.
    tail: Tail,
    current: Option<Current>,
    opening: Option<Instant>,
}

struct Current {
    number: u64,
    command: Arc<str>,
    began: SystemTime,
    since: Instant,
    /// How long it ran, once that is known.
    took: Option<Duration>,
    tail: Tail,
}

impl Current {
    fn record(&self, tape: &Tape, session: &str, tail: &Tail) -> (u64, CommandRecord) {
        let record = CommandRecord {
            host: tape.id.to_string(),
            session: session.to_owned(),
            command: self.command.to_string(),
            began: self.began,
            took: self.took.unwrap_or_else(|| self.since.elapsed()),
            ended: None,
            is_ok: false,
            tail: tail.lines(&tape.redactor),
        };
        (self.number, record)
    }
}

impl Tape {
    pub(super) fn new(id: &str, about: String, redactor: Redactor, shared: Weak<Shared>) -> Self {
        Self { id: id.into(), about, redactor, shared, used: AtomicBool::new(false), state: Mutex::default() }
    }

    pub(super) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    pub(super) fn doing(&self) -> Vec<Doing> {
        let state = self.state();
        let doing = |session: &Arc<str>, command, since| Doing {
            host: self.id.clone(),
            session: session.clone(),
            command,
            since,
        };
        let sessions = state.sessions.iter().flat_map(|(name, session)| {
            let current = session.current.as_ref().map(|now| doing(name, Some(now.command.clone()), now.since));
            current.into_iter().chain(session.opening.map(|since| doing(name, None, since)))
        });
        let oneshot: Arc<str> = ONESHOT.into();
        let oneshots = state.oneshots.iter().map(|(_, now)| doing(&oneshot, Some(now.command.clone()), now.since));
        sessions.chain(oneshots).collect()
    }

    /// The commands that have not ended.
    pub(super) fn unfinished(&self) -> Vec<(u64, CommandRecord)> {
        let state = self.state();
        let cut = state.cut_off.iter().map(|(session, now)| now.record(self, session, &now.tail));
        let sessions = state
            .sessions
            .iter()
            .filter_map(|(name, session)| Some(session.current.as_ref()?.record(self, name, &session.tail)));
        let oneshots = state.oneshots.iter().map(|(_, now)| now.record(self, ONESHOT, &now.tail));
        cut.chain(sessions).chain(oneshots).collect()
    }

    /// The sessions for which a shell is being opened.
    pub(super) fn opening(&self) -> Vec<(String, String, Duration)> {
        let state = self.state();
        let opening = state.sessions.iter().filter_map(|(name, session)| Some((name, session.opening?)));
        opening.map(|(name, since)| (self.id.to_string(), name.to_string(), since.elapsed())).collect()
    }

    fn note_use(&self) {
        if !self.used.swap(true, Ordering::Relaxed) {
            self.tell(|teller| teller.host_opened(&self.id, &self.about));
        }
    }

    fn tell(&self, what: impl FnOnce(&Teller)) {
        if let Some(shared) = self.shared.upgrade()
            && let Some(teller) = &shared.teller
        {
            what(teller);
        }
    }

    /// The command as it may be shown, not longer than a screen or two.
    fn shown(&self, command: &str) -> Arc<str> {
        let clean = self.redactor.text(command);
        if clean.len() <= LONGEST {
            return clean.into();
        }
        let cut = (0..=LONGEST).rev().find(|at| clean.is_char_boundary(*at)).unwrap_or(0);
        format!("{}… ({} bytes)", &clean[..cut], clean.len()).into()
    }

    fn begin(&self, command: &str, began: SystemTime) -> Current {
        self.note_use();
        let since = began.elapsed().ok().and_then(|ago| Instant::now().checked_sub(ago)).unwrap_or_else(Instant::now);
        Current {
            number: self.shared.upgrade().map_or(0, |shared| shared.next()),
            command: self.shown(command),
            began,
            since,
            took: None,
            tail: Tail::default(),
        }
    }

    fn tell_begun(&self, session: &str, now: &Current) {
        self.tell(|teller| teller.command_began(now.number, &self.id, session, &now.command, now.began));
    }

    /// Keeps a command that is over.
    fn over(self: &Arc<Self>, session: Arc<str>, now: Current, tail: Tail, ended: (String, bool), took: Duration) {
        let Current { number, command, began, .. } = now;
        let (ended, is_ok) = ended;
        let entry =
            Entry { number, tape: self.clone(), session, command, began, took, ended: Some(ended), is_ok, tail };
        if let Some(shared) = self.shared.upgrade() {
            shared.keep(entry);
        }
    }
}

impl State {
    fn session(&mut self, name: &str) -> (Arc<str>, &mut Session) {
        let key = match self.sessions.get_key_value(name) {
            Some((key, _)) => key.clone(),
            None => name.into(),
        };
        let session = self.sessions.entry(key.clone()).or_default();
        (key, session)
    }
}

/// How a command ended, as the transcript has it.
fn how(status: &CommandStatus) -> Cow<'_, str> {
    match (status.retcode, &status.signal, status.cause()) {
        _ if status.timed_out => {
            let cause = status.cause().map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("timed out after {:.1?}{cause}", status.duration).into()
        }
        (_, _, Some(cause)) => cause.into(),
        (_, Some(signal), _) => format!("signal {signal}").into(),
        (Some(0), ..) => "exit 0".into(),
        (Some(code), ..) => format!("exit {code}").into(),
        (None, None, None) => format!("{:?}", status.status).into(),
    }
}

/// What the sessions of the host tell.
#[derive(Debug)]
pub(super) struct Tap(pub(super) Arc<Tape>);

impl Observer for Tap {
    fn command(&self, session: &str, command: &str) {
        self.command_since(session, command, SystemTime::now());
    }

    fn command_since(&self, session: &str, command: &str, began: SystemTime) {
        let over = if session == ONESHOT { self.0.state().over.take() } else { None };
        let now = over.unwrap_or_else(|| {
            let now = self.0.begin(command, began);
            self.0.tell_begun(session, &now);
            now
        });
        let mut state = self.0.state();
        let (_, session) = state.session(session);
        session.tail.clear();
        session.current = Some(now);
    }

    fn output(&self, session: &str, bytes: &[u8]) {
        self.0.state().session(session).1.tail.push(bytes);
    }

    fn ended(&self, session: &str, status: &CommandStatus) {
        let (name, now, tail) = {
            let mut state = self.0.state();
            let (name, session) = state.session(session);
            let Some(now) = session.current.take() else { return };
            (name, now, session.tail.take())
        };
        let ended = self.0.redactor.text(&how(status)).into_owned();
        self.0.over(name, now, tail, (ended, status.is_ok()), status.duration);
    }

    fn given_up(&self, session: &str) {
        let is_the_end = self.0.shared.upgrade().is_some_and(|shared| shared.ending.load(Ordering::Relaxed));
        let (name, mut now, tail) = {
            let mut state = self.0.state();
            let (name, session) = state.session(session);
            let Some(now) = session.current.take() else { return };
            (name, now, session.tail.take())
        };
        let took = now.since.elapsed();
        if is_the_end {
            (now.took, now.tail) = (Some(took), tail);
            self.0.state().cut_off.push((name, now));
        } else {
            self.0.over(name, now, tail, ("given up: nobody waited for its end".to_owned(), false), took);
        }
    }

    fn oneshot_began(&self, id: u64, command: &str) {
        let now = self.0.begin(command, SystemTime::now());
        self.0.tell_begun(ONESHOT, &now);
        self.0.state().oneshots.push((id, now));
    }

    fn oneshot_over(&self, id: u64) {
        let mut state = self.0.state();
        if let Some(at) = state.oneshots.iter().position(|(other, _)| *other == id) {
            state.over = Some(state.oneshots.remove(at).1);
        }
    }

    fn opening(&self, session: &str) {
        self.0.note_use();
        self.0.state().session(session).1.opening = Some(Instant::now());
    }

    fn opened(&self, session: &str, _: bool) {
        self.0.state().session(session).1.opening = None;
    }

    fn shown(&self, session: &str, bytes: &[u8]) {
        self.0.state().session(session).1.tail.push(bytes);
    }
}

/// Without what points back to it.
impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape").field("id", &self.id).field("about", &self.about).finish_non_exhaustive()
    }
}
