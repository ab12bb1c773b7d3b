//! What the hosts of an attempt do: the commands that ran, for reports, and those that run, for whoever looks meanwhile.
//!
//! It observes every command of every test, so it has to cost next to nothing: a lock of its own for each host, a copy of
//! the end of each piece of output, and text only when somebody reads it. See `docs/design/reports.md`.

mod tail;
mod tape;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use self::tail::Tail;
use self::tape::Tape;
use super::record::CommandRecord;
use super::reports::events::Teller;
use crate::context::Watcher;
use crate::lab::{HostKeyCheck, HostSpec, Term};
use crate::redact::Redactor;
use crate::session::Observer;

/// How many commands of an attempt are kept: the newest.
const MOST: usize = 10_000;

/// So many of the newest have what they wrote; older ones only if they failed.
const WITH_OUTPUT: usize = 1_000;

/// Records what the hosts of one attempt do. Cheap to clone; clones share the record.
#[derive(Debug, Clone, Default)]
pub(super) struct Recorder(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Counts commands as they begin.
    begun: AtomicU64,
    hosts: Mutex<Vec<Arc<Tape>>>,
    log: Mutex<Log>,
    /// Whether the test is being ended, so that what is given up from now on was running at its end.
    ending: AtomicBool,
    teller: Option<Teller>,
}

#[derive(Debug, Default)]
struct Log {
    entries: VecDeque<Entry>,
    dropped: u64,
}

/// One command that is over.
#[derive(Debug)]
struct Entry {
    number: u64,
    tape: Arc<Tape>,
    session: Arc<str>,
    command: Arc<str>,
    began: SystemTime,
    took: Duration,
    ended: Option<String>,
    is_ok: bool,
    tail: Tail,
}

/// Something that is going on at a host.
#[derive(Debug, Clone)]
pub(super) struct Doing {
    pub(super) host: Arc<str>,
    pub(super) session: Arc<str>,
    /// `None` while a connection or a shell is being made.
    pub(super) command: Option<Arc<str>>,
    pub(super) since: Instant,
}

/// All that was recorded of an attempt.
#[derive(Debug, Clone, Default)]
pub(super) struct Recorded {
    /// In order of beginning; those without an end were running when the test was ended.
    pub(super) commands: Vec<CommandRecord>,
    /// How many older ones are not among them.
    pub(super) dropped: u64,
    /// The hosts that were used: id, and what they are (`ssh 10.0.0.1:22 via jump1`).
    pub(super) hosts: Vec<(String, String)>,
    /// Hosts on which a shell or a connection was being opened when the test was ended: id, session, for how long.
    pub(super) opening: Vec<(String, String, Duration)>,
}

/// How much the reports of a run keep of commands, in bytes; after that, only the newest of each attempt.
const BUDGET: usize = 256 << 20;
const AT_LEAST: usize = 20;

impl Recorded {
    /// The commands for the reports, and how many are not among them. None if nobody is going to read them.
    pub(super) fn for_reports(&self, wanted: bool) -> (Vec<CommandRecord>, u64) {
        static KEPT: AtomicUsize = AtomicUsize::new(0);
        self.within(wanted, BUDGET, &KEPT)
    }

    fn within(&self, wanted: bool, budget: usize, kept: &AtomicUsize) -> (Vec<CommandRecord>, u64) {
        let size = |command: &CommandRecord| {
            200 + command.command.len() + command.tail.iter().map(|line| 24 + line.len()).sum::<usize>()
        };
        let full = kept.load(Ordering::Relaxed) >= budget;
        let most = if !wanted {
            0
        } else if full {
            AT_LEAST
        } else {
            self.commands.len()
        };
        let commands = self.commands[self.commands.len().saturating_sub(most)..].to_vec();
        kept.fetch_add(commands.iter().map(size).sum(), Ordering::Relaxed);
        let left_out = (self.commands.len() - commands.len()) as u64 + self.dropped;
        (commands, left_out)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorder {
    /// One that tells an event file of all it sees.
    pub(super) fn telling(teller: Option<Teller>) -> Self {
        Self(Arc::new(Shared { teller, ..Shared::default() }))
    }

    /// The test is about to be ended: what is given up after this was running.
    pub(super) fn ending(&self) {
        self.0.ending.store(true, Ordering::Relaxed);
    }

    /// What goes on now, longest first.
    pub(super) fn doing(&self) -> Vec<Doing> {
        let hosts = locked(&self.0.hosts).clone();
        let mut doing: Vec<_> = hosts.iter().flat_map(|tape| tape.doing()).collect();
        doing.sort_by_key(|doing| doing.since);
        doing
    }

    /// The command that ended last: host and text.
    pub(super) fn newest(&self) -> Option<(Arc<str>, Arc<str>)> {
        locked(&self.0.log).entries.back().map(|entry| (entry.tape.id.clone(), entry.command.clone()))
    }

    /// All of it, with what has not ended. What is recorded later is not in it.
    pub(super) fn recorded(&self) -> Recorded {
        let tapes = locked(&self.0.hosts).clone();
        let mut commands: Vec<(u64, CommandRecord)> = Vec::new();
        let dropped = {
            let log = locked(&self.0.log);
            commands.extend(log.entries.iter().map(|entry| (entry.number, entry.record())));
            log.dropped
        };
        let mut opening = Vec::new();
        for tape in &tapes {
            commands.extend(tape.unfinished());
            opening.extend(tape.opening());
        }
        commands.sort_by_key(|(number, _)| *number);
        let hosts = tapes.iter().filter(|tape| tape.is_used()).map(|tape| (tape.id.to_string(), tape.about.clone()));
        Recorded {
            commands: commands.into_iter().map(|(_, command)| command).collect(),
            dropped,
            hosts: hosts.collect(),
            opening,
        }
    }

    /// The attempt is over: its hosts are closed.
    pub(super) fn closed(&self) {
        if let Some(teller) = &self.0.teller {
            for tape in locked(&self.0.hosts).iter().filter(|tape| tape.is_used()) {
                teller.host_closed(&tape.id);
            }
        }
    }
}

impl Shared {
    fn next(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::Relaxed)
    }

    fn keep(&self, entry: Entry) {
        if let Some(teller) = &self.teller {
            teller.command_ended(entry.number, &entry.record());
        }
        let mut log = locked(&self.log);
        log.entries.push_back(entry);
        if log.entries.len() > MOST {
            log.entries.pop_front();
            log.dropped += 1;
        }
        let older = log.entries.len().checked_sub(WITH_OUTPUT + 1);
        if let Some(entry) = older.and_then(|older| log.entries.get_mut(older)).filter(|entry| entry.is_ok) {
            entry.tail = Tail::default();
        }
    }
}

impl Entry {
    fn record(&self) -> CommandRecord {
        CommandRecord {
            host: self.tape.id.to_string(),
            session: self.session.to_string(),
            command: self.command.to_string(),
            began: self.began,
            took: self.took,
            ended: self.ended.clone(),
            is_ok: self.is_ok,
            tail: self.tail.lines(&self.tape.redactor),
        }
    }
}

impl Watcher for Recorder {
    fn host(&self, spec: &HostSpec, redactor: &Redactor) -> Arc<dyn Observer> {
        let tape = Arc::new(Tape::new(&spec.id, about(spec), redactor.clone(), Arc::downgrade(&self.0)));
        locked(&self.0.hosts).push(tape.clone());
        Arc::new(tape::Tap(tape))
    }
}

/// How a host is reached, in a few words.
fn about(spec: &HostSpec) -> String {
    let mut about = spec.term.as_str().to_owned();
    match &spec.serial_options.device {
        Some(device) if spec.term == Term::Serial => about = format!("{about} {}", device.display()),
        _ => {
            if let Some(ip) = &spec.ip {
                about = format!("{about} {ip}{}", spec.port.map(|port| format!(":{port}")).unwrap_or_default());
            }
        }
    }
    if let Some(hop) = &spec.hop {
        about = format!("{about} via {hop}");
    }
    if spec.term == Term::Ssh && spec.host_key_check == HostKeyCheck::Insecure {
        about.push_str(", host key not checked");
    }
    about
}

#[cfg(test)]
mod tests;
