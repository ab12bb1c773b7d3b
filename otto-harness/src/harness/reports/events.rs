//! The event file: a line of JSON for each thing that happens, when it happens. See `docs/design/reports.md`.
//!
//! Several processes may write to one file, as nextest has them do: it is appended to, each line in one write.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::millis;
use crate::harness::record::{Attempt, CommandRecord, RunRecord, TestRecord};

/// The version of the schema. It grows when a field changes its meaning or goes; new fields and events may come at any time.
const VERSION: u32 = 1;

/// An event file that is open. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::harness) struct Events(Arc<Sink>);

#[derive(Debug)]
struct Sink {
    path: PathBuf,
    run: String,
    file: Mutex<File>,
    failed: AtomicBool,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    v: u32,
    time: String,
    run: &'a str,
    #[serde(flatten)]
    event: Event<'a>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
enum Event<'a> {
    RunStart {
        otto: &'a str,
        pid: u32,
        user: &'a str,
        arguments: &'a [String],
        labs: &'a [String],
        seed: Option<u64>,
        tests: usize,
        filtered: usize,
    },
    TestStart {
        test: &'a str,
        lab: Option<&'a str>,
        hosts: &'a [String],
        shared: &'a [String],
        tags: &'a [String],
        package: &'a str,
        file: &'a str,
        line: u32,
    },
    AttemptStart {
        #[serde(flatten)]
        of: Of<'a>,
    },
    HostOpened {
        #[serde(flatten)]
        of: Of<'a>,
        host: &'a str,
        about: &'a str,
    },
    CommandStart {
        #[serde(flatten)]
        of: Of<'a>,
        id: u64,
        host: &'a str,
        session: &'a str,
        command: &'a str,
        began: String,
    },
    CommandEnd {
        #[serde(flatten)]
        of: Of<'a>,
        id: u64,
        host: &'a str,
        session: &'a str,
        ended: Option<&'a str>,
        ok: bool,
        millis: f64,
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        tail: &'a [String],
    },
    HostClosed {
        #[serde(flatten)]
        of: Of<'a>,
        host: &'a str,
    },
    AttemptEnd {
        #[serde(flatten)]
        of: Of<'a>,
        verdict: &'a str,
        millis: f64,
        commands: u64,
        failure: Option<&'a str>,
    },
    TestEnd {
        test: &'a str,
        lab: Option<&'a str>,
        verdict: &'a str,
        ok: bool,
        attempts: u64,
        reason: Option<&'a str>,
        millis: f64,
    },
    RunEnd {
        millis: f64,
        exit: u8,
        counts: Vec<(&'a str, usize)>,
    },
}

/// The attempt that something happened in.
#[derive(Debug, Clone, Copy, Serialize)]
struct Of<'a> {
    test: &'a str,
    lab: &'a str,
    attempt: usize,
}

impl Events {
    /// Opens the file, to be appended to.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(in crate::harness) fn open(path: &Path, run: &str) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self(Arc::new(Sink {
            path: path.to_owned(),
            run: run.to_owned(),
            file: Mutex::new(file),
            failed: AtomicBool::new(false),
        })))
    }

    /// Whether something could not be written. After that nothing more is.
    pub(in crate::harness) fn has_failed(&self) -> bool {
        self.0.failed.load(Ordering::Relaxed)
    }

    pub(in crate::harness) fn path(&self) -> &Path {
        &self.0.path
    }

    fn write(&self, event: Event<'_>) {
        if self.has_failed() {
            return;
        }
        let line = Line { v: VERSION, time: stamp(SystemTime::now()), run: &self.0.run, event };
        let written = serde_json::to_vec(&line).map_err(io::Error::from).and_then(|mut bytes| {
            bytes.push(b'\n');
            self.0.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&bytes)
        });
        if let Err(error) = written
            && !self.0.failed.swap(true, Ordering::Relaxed)
        {
            eprintln!("otto: the event file {} cannot be written any more: {error}", self.0.path.display());
        }
    }

    /// The run begins, of which all but its end is known: `tests` are to be run.
    pub(in crate::harness) fn run_started(&self, run: &RunRecord, tests: usize) {
        self.write(Event::RunStart {
            otto: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            user: &run.user,
            arguments: &run.arguments,
            labs: &run.labs,
            seed: run.seed,
            tests,
            filtered: run.filtered,
        });
    }

    /// A test may run now: it holds its hosts.
    pub(in crate::harness) fn test_started(&self, test: &TestRecord) {
        self.write(Event::TestStart {
            test: &test.name,
            lab: test.lab.as_deref(),
            hosts: &test.hosts,
            shared: &test.shared,
            tags: &test.tags,
            package: &test.package,
            file: &test.file,
            line: test.line,
        });
    }

    /// It is over; also of those that were never begun.
    pub(in crate::harness) fn test_ended(&self, test: &TestRecord) {
        self.write(Event::TestEnd {
            test: &test.name,
            lab: test.lab.as_deref(),
            verdict: test.verdict.name(),
            ok: !test.verdict.is_failure(),
            attempts: test.runs,
            reason: test.reason.as_deref(),
            millis: millis(test.attempts.iter().map(|attempt| attempt.took).sum()),
        });
    }

    /// The run is over, with this exit code.
    pub(in crate::harness) fn run_ended(&self, run: &RunRecord, exit: u8) {
        let counts = super::counts(run).into_iter().map(|(verdict, count)| (verdict.name(), count)).collect();
        self.write(Event::RunEnd { millis: millis(run.took), exit, counts });
    }

    /// Who tells of the attempt with this number, counted from 1.
    pub(in crate::harness) fn attempt(&self, test: &str, lab: &str, attempt: usize) -> Teller {
        let teller = Teller { events: self.clone(), test: test.into(), lab: lab.into(), attempt };
        self.write(Event::AttemptStart { of: teller.of() });
        teller
    }
}

/// Tells what happens in one attempt. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::harness) struct Teller {
    events: Events,
    test: Arc<str>,
    lab: Arc<str>,
    attempt: usize,
}

impl Teller {
    fn of(&self) -> Of<'_> {
        Of { test: &self.test, lab: &self.lab, attempt: self.attempt }
    }

    /// A host is used for the first time.
    pub(in crate::harness) fn host_opened(&self, host: &str, about: &str) {
        self.events.write(Event::HostOpened { of: self.of(), host, about });
    }

    pub(in crate::harness) fn command_began(
        &self,
        id: u64,
        host: &str,
        session: &str,
        command: &str,
        began: SystemTime,
    ) {
        let began = stamp(began);
        self.events.write(Event::CommandStart { of: self.of(), id, host, session, command, began });
    }

    /// With what it wrote if it failed.
    pub(in crate::harness) fn command_ended(&self, id: u64, command: &CommandRecord) {
        self.events.write(Event::CommandEnd {
            of: self.of(),
            id,
            host: &command.host,
            session: &command.session,
            ended: command.ended.as_deref(),
            ok: command.is_ok,
            millis: millis(command.took),
            tail: if command.is_ok { &[] } else { &command.tail },
        });
    }

    pub(in crate::harness) fn host_closed(&self, host: &str) {
        self.events.write(Event::HostClosed { of: self.of(), host });
    }

    pub(in crate::harness) fn attempt_ended(&self, attempt: &Attempt) {
        self.events.write(Event::AttemptEnd {
            of: self.of(),
            verdict: attempt.verdict.name(),
            millis: millis(attempt.took),
            commands: attempt.commands.len() as u64 + attempt.commands_left_out,
            failure: attempt.failure.as_deref(),
        });
    }
}

/// A moment, in UTC, to the millisecond.
pub(super) fn stamp(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map(|time| format!("{time:.3}")).unwrap_or_default()
}

/// As a duration for people and programs: milliseconds, with microseconds behind the point.
#[expect(clippy::cast_precision_loss, reason = "a test does not run for 285 years")]
pub(super) fn in_millis(took: Duration) -> f64 {
    took.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::reports::samples;

    fn lines(path: &Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    #[test]
    fn each_event_is_a_line_that_says_which_run_and_when() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let run = samples::run();
        let events = Events::open(&path, &run.id).unwrap();
        events.run_started(&run, run.tests.len());
        for test in &run.tests {
            events.test_started(test);
            for (attempt, number) in test.attempts.iter().zip(1..) {
                let teller = events.attempt(&test.name, test.lab.as_deref().unwrap_or_default(), number);
                for (command, id) in attempt.commands.iter().zip(0..) {
                    teller.command_began(id, &command.host, &command.session, &command.command, command.began);
                    teller.command_ended(id, command);
                }
                teller.attempt_ended(attempt);
            }
            events.test_ended(test);
        }
        events.run_ended(&run, 101);
        let lines = lines(&path);
        assert!(lines.iter().all(|line| line["v"] == 1 && line["run"] == run.id.as_str()));
        assert!(
            lines.iter().all(|line| line["time"].as_str().is_some_and(|time| time.ends_with('Z') && time.len() == 24))
        );
        assert_eq!(lines[0]["event"], "run-start");
        assert_eq!(lines[0]["tests"], run.tests.len());
        let failed = lines.iter().find(|line| line["event"] == "command-end" && line["ok"] == false).unwrap();
        assert!(failed["tail"].as_array().is_some_and(|tail| !tail.is_empty()) && failed["millis"].is_f64());
        let ended = lines.iter().filter(|line| line["event"] == "test-end").count();
        assert_eq!(ended, run.tests.len());
        assert_eq!(lines.last().unwrap()["exit"], 101);
    }

    #[test]
    fn a_second_run_adds_to_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        for id in ["one", "two"] {
            let run = RunRecord { id: id.to_owned(), ..samples::run() };
            Events::open(&path, id).unwrap().run_ended(&run, 0);
        }
        let runs: Vec<_> = lines(&path).iter().map(|line| line["run"].as_str().unwrap().to_owned()).collect();
        assert_eq!(runs, ["one", "two"]);
    }

    #[test]
    fn a_full_disk_is_noticed_and_stops_nothing() {
        let run = samples::run();
        let events = Events::open(Path::new("/dev/full"), &run.id).unwrap();
        assert!(!events.has_failed());
        events.run_started(&run, 1);
        events.run_ended(&run, 0);
        assert!(events.has_failed());
    }
}
