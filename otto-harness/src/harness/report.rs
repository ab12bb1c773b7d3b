//! What a failure says: what happened and where, how long it took, what was left, and how to run it again.

use std::env;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::budget::Budget;
use super::failure::{Scene, block};
use super::panic::Panicked;
use super::recorder::Recorded;
use super::registry::{Fault, Outcome, TestCase};
use super::selection::base_name;
use super::watchdog::Phase;
use crate::context::{OttoContext, listed_checks};
use crate::redact::Redactor;

/// How a test ended.
#[derive(Debug)]
pub(super) enum End {
    /// Its body returned.
    Done(Outcome),
    Panicked(Panicked),
    /// Its context or one of its fixtures could not be made.
    Setup(Fault),
    SetupTimedOut {
        what: String,
        budget: Budget,
    },
    TimedOut(Budget),
    /// Its body passed, but after its limit.
    Late {
        took: Duration,
        budget: Budget,
    },
    /// It said itself that it can say nothing here, and why.
    Skipped(String),
    Interrupted(i32),
    /// Its thread had to be left behind.
    Stuck {
        phase: Phase,
        budget: Budget,
        signal: Option<i32>,
        vanished: bool,
    },
}

impl End {
    /// Whether the test was ended from outside, wherever it was.
    fn is_cut_off(&self) -> bool {
        matches!(self, Self::TimedOut(_) | Self::Interrupted(_) | Self::Stuck { .. })
    }
}

/// A test that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fine {
    Passed,
    /// And why.
    Skipped(String),
}

/// What is left when the fixtures and the hosts of a test were closed.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// What did not close in time.
    pub(super) open: Option<String>,
    /// What may still run on hosts, a line each.
    pub(super) running: Vec<String>,
    /// Which fixtures did not close, and why: a failure of its own.
    pub(super) fixtures: Vec<String>,
}

impl Left {
    pub(super) fn open(what: String) -> Self {
        Self { open: Some(what), ..Self::default() }
    }
}

/// How a test ended, how long its body took, and what was left.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) end: End,
    pub(super) took: Duration,
    pub(super) left: Left,
    /// The checks that did not hold, with their places.
    pub(super) checks: Vec<String>,
    /// What it attached: name, file.
    pub(super) attachments: Vec<(String, PathBuf)>,
    /// Knows what none of its texts may show.
    pub(super) redactor: Redactor,
    /// What its hosts did.
    pub(super) recorded: Recorded,
    /// Where its transcripts are.
    pub(super) output_dir: Option<PathBuf>,
}

/// The text of a failed test.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) text: String,
    /// The panic hook has put it on stderr already.
    pub(super) shown: bool,
}

impl Report {
    /// Of a test that never began.
    pub(super) fn new(end: End) -> Self {
        Self::of(end, Duration::ZERO, Left::default())
    }

    /// Of a test that began.
    pub(super) fn of(end: End, took: Duration, left: Left) -> Self {
        let (checks, attachments) = (Vec::new(), Vec::new());
        let (redactor, recorded) = (Redactor::default(), Recorded::default());
        Self { end, took, left, checks, attachments, redactor, recorded, output_dir: None }
    }

    /// With what the test said of itself.
    pub(super) fn with_findings(mut self, ctx: &OttoContext) -> Self {
        self.checks = ctx.failed_checks();
        self.attachments = ctx.attachments();
        self
    }

    /// Whether the test passed, `#[should_panic]` considered; if not, the whole text of its failure.
    pub(super) fn judge(self, case: &TestCase, lab: &str, rerun: &str) -> Result<Fine, Failure> {
        let verdict = self.with_checks_and_fixtures(verdict(&self.end, case.should_panic));
        // What else is to be said has not been shown.
        let only_panicked =
            matches!(self.end, End::Panicked(_)) && self.checks.is_empty() && self.left.fixtures.is_empty();
        let shown = only_panicked && case.should_panic.is_none();
        match verdict {
            Ok(fine) => {
                let running = self.left.running.iter().map(|line| format!("left on {line}"));
                for left in self.left.open.into_iter().chain(running) {
                    eprintln!("otto: test {} passed, but {}", base_name(case), self.redactor.text(&left));
                }
                Ok(match fine {
                    Fine::Passed => Fine::Passed,
                    Fine::Skipped(why) => Fine::Skipped(self.redactor.text(&why).into_owned()),
                })
            }
            Err(mut text) => {
                let _ = write!(
                    text,
                    "\n\n  took {:.2?} on lab {lab}; the test is at {}:{}",
                    self.took, case.file, case.line
                );
                let scene = Scene {
                    text: &self.redactor.text(&text),
                    recorded: &self.recorded,
                    cut_off: self.end.is_cut_off(),
                    open: self.left.open.as_deref(),
                    running: &self.left.running,
                    output_dir: self.output_dir.as_deref(),
                };
                let block = block(&scene);
                text.push_str(&block);
                for (_, path) in &self.attachments {
                    let _ = write!(text, "\n  attached: {}", path.display());
                }
                let _ = write!(text, "\n  run it again: {rerun}");
                let text = self.redactor.text(&text).into_owned();
                Err(Failure { text, shown })
            }
        }
    }
}

impl Report {
    /// Failed checks fail a test that passed or was skipped; so do fixtures that did not close. Both are added to any
    /// other failure, each told apart from it.
    fn with_checks_and_fixtures(&self, verdict: Result<Fine, String>) -> Result<Fine, String> {
        let checks = listed_checks(&self.checks);
        let fixtures = (!self.left.fixtures.is_empty()).then(|| self.left.fixtures.join("\n"));
        let skipped = match (&verdict, &checks, &fixtures) {
            (_, None, None) => return verdict,
            (Ok(Fine::Skipped(why)), ..) => Some(format!("it was skipped: {why}")),
            _ => None,
        };
        // Of a test that did nothing wrong this is to be seen at once.
        let fixtures = match (&verdict, &checks, fixtures) {
            (Ok(Fine::Passed), None, Some(text)) => Some(format!("the test passed, and then: {text}")),
            (_, _, fixtures) => fixtures,
        };
        let texts = [verdict.err(), checks, skipped, fixtures];
        Err(texts.into_iter().flatten().collect::<Vec<_>>().join("\n\n"))
    }
}

#[expect(clippy::option_option, reason = "as `TestCase` has it: not marked, marked, marked with a message")]
fn verdict(end: &End, should_panic: Option<Option<&str>>) -> Result<Fine, String> {
    match (end, should_panic) {
        (End::Done(Err(error)), None) if error.infrastructure => Err(format!("infrastructure: {}", error.text)),
        (End::Done(Err(error)), None) => Err(error.text.clone()),
        (End::Skipped(why), _) => Ok(Fine::Skipped(why.clone())),
        (End::Done(Ok(())), None) => Ok(Fine::Passed),
        (End::Done(Ok(())), Some(_)) => Err("did not panic, and is marked #[should_panic]".to_owned()),
        (End::Done(Err(error)), Some(_)) => {
            Err(format!("returned an error instead of the panic it is to show: {}", error.text))
        }
        (End::Panicked(panicked), None) => Err(panicked.text.clone()),
        (End::Panicked(panicked), Some(expected)) => match (expected, &panicked.message) {
            (None, _) => Ok(Fine::Passed),
            (Some(expected), Some(message)) if message.contains(expected) => Ok(Fine::Passed),
            (Some(expected), _) => Err(format!(
                "panicked with another message than expected\n  expected part: {expected:?}\n{}",
                panicked.text
            )),
        },
        (End::Setup(why), _) if why.infrastructure => {
            Err(format!("infrastructure: cannot set up the test: {}", why.text))
        }
        (End::Setup(why), _) => Err(format!("cannot set up the test: {}", why.text)),
        (End::SetupTimedOut { what, budget }, _) => {
            Err(format!("cannot set up the test: {what} was not ready within {:?}\n  hint: {budget}", budget.limit))
        }
        (End::TimedOut(budget), _) => Err(format!("timed out: not done within {:?}\n  hint: {budget}", budget.limit)),
        (End::Late { took, budget }, _) => Err(format!(
            "timed out: took {took:.2?} of {:?} and did not yield: a blocking call in an async test?\n  hint: {budget}",
            budget.limit
        )),
        (End::Interrupted(number), _) => Err(format!("interrupted by {}", signal_name(*number))),
        (End::Stuck { vanished: true, .. }, _) => Err("the test's thread ended without a result".to_owned()),
        (End::Stuck { phase, signal: Some(number), .. }, _) => Err(format!(
            "interrupted by {}; {} did not yield: a blocking call in an async test?",
            signal_name(*number),
            phase_name(*phase)
        )),
        (End::Stuck { phase, budget, signal: None, .. }, _) => Err(format!(
            "timed out: {} was not done within {:?} and did not yield: a blocking call in an async test?\n  \
             hint: await otto's own calls, or move the call to tokio::task::spawn_blocking\n  hint: {budget}",
            phase_name(*phase),
            budget.limit
        )),
    }
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Setup => "its setup",
        Phase::Body => "it",
        Phase::Fixtures => "the closing of its fixtures",
        Phase::Teardown => "its teardown",
    }
}

fn signal_name(number: i32) -> String {
    match number {
        libc::SIGINT => "SIGINT".to_owned(),
        libc::SIGTERM => "SIGTERM".to_owned(),
        libc::SIGHUP => "SIGHUP".to_owned(),
        other => format!("signal {other}"),
    }
}

/// Who runs the tests, which decides how one of them is named and selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runner {
    /// `otto::main!()` under `cargo test`.
    Otto,
    /// `otto::main!()` under nextest, which passes no flags on.
    Nextest,
    /// `#[test]` twins, because `harness = false` was forgotten.
    Libtest,
}

/// Whether nextest started this process.
pub(super) fn under_nextest() -> bool {
    env::var_os("NEXTEST").is_some_and(|value| value == "1")
}

/// The command line that runs one test again. `name` is what the runner calls it, `full` the one with the lab in front.
pub(super) fn rerun(
    runner: Runner,
    case: &TestCase,
    (name, full): (&str, &str),
    lab: &str,
    as_user: Option<&str>,
) -> String {
    let binary = env::current_exe().ok();
    // Set by cargo when it runs a test; the test itself may have been compiled in a library of another package.
    let package = env::var("CARGO_PKG_NAME").ok();
    let package = package.as_deref().unwrap_or(case.package);
    let target = binary.as_deref().map(|path| target(path, package)).unwrap_or_default();
    // Who asks decides whether the lab is theirs to use.
    let flag = as_user.map(|user| format!(" --as-user {}", quoted(user))).unwrap_or_default();
    let variable = as_user.map(|user| format!("OTTO_AS_USER={} ", quoted(user))).unwrap_or_default();
    let force = if case.ignore.is_some() { " --include-ignored" } else { "" };
    match runner {
        // What stands outside `deps` is a binary for the lab, which `cargo test` does not run.
        Runner::Otto if target.starts_with(" --bin") => {
            format!("cargo run -p {package}{target} -- --exact {} --lab {lab}{flag}{force}", quoted(name))
        }
        Runner::Otto => format!("cargo test -p {package}{target} -- --exact {} --lab {lab}{flag}{force}", quoted(name)),
        Runner::Nextest => {
            let force = if force.is_empty() { "" } else { " --run-ignored all" };
            format!(
                "{variable}OTTO_LAB={lab} cargo nextest run -p {package}{target}{force} -- --exact {}",
                quoted(full)
            )
        }
        Runner::Libtest => {
            format!("{variable}OTTO_LAB={lab} cargo test -p {package}{target} -- --exact {}{force}", quoted(name))
        }
    }
}

/// The flag that names a test binary to cargo, as far as its file tells: tests and unit tests stand in `deps`, with a
/// hash at the end of the name.
fn target(binary: &Path, package: &str) -> String {
    let stem = binary.file_stem().unwrap_or_default().to_string_lossy();
    let in_deps = binary.parent().and_then(Path::file_name).is_some_and(|folder| folder == "deps");
    match stem.rsplit_once('-') {
        Some((name, hash)) if in_deps && hash.len() == 16 && hash.chars().all(|c| c.is_ascii_hexdigit()) => {
            if name == package.replace('-', "_") { " --lib".to_owned() } else { format!(" --test {name}") }
        }
        _ => format!(" --bin {stem}"),
    }
}

fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_:.+-#".contains(c);
    if name.chars().all(plain) { name.to_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panicked(message: Option<&str>) -> End {
        End::Panicked(Panicked { message: message.map(str::to_owned), text: "panicked at f.rs:1:2:\nboom".to_owned() })
    }

    #[test]
    fn should_panic_is_judged_by_the_message() {
        assert!(verdict(&panicked(Some("boom")), Some(Some("oo"))).is_ok());
        assert!(verdict(&panicked(None), Some(None)).is_ok());
        for (end, expected) in [
            (panicked(Some("boom")), Some("xx")),
            (panicked(None), Some("boom")),
            (End::Done(Ok(())), None),
            (End::Done(Err("e".into())), None),
            (End::Interrupted(2), None),
        ] {
            assert!(verdict(&end, Some(expected)).is_err(), "{end:?}");
        }
    }

    #[test]
    fn checks_and_fixtures_fail_what_did_not_and_add_to_what_did() {
        let report = |checks: &[&str], fixtures: &[&str]| {
            let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            let mut report = Report::new(End::Interrupted(2));
            report.checks = owned(checks);
            report.left.fixtures = owned(fixtures);
            report
        };
        let skipped = || Ok(Fine::Skipped("no camera".to_owned()));
        let failed = || Err("no route".to_owned());
        let none = report(&[], &[]);
        assert_eq!(none.with_checks_and_fixtures(Ok(Fine::Passed)), Ok(Fine::Passed));
        assert_eq!(none.with_checks_and_fixtures(skipped()), skipped());
        assert_eq!(none.with_checks_and_fixtures(failed()), failed());
        let both = report(&["f.rs:1: up"], &["fixture `F` did not close: x"]);
        for (verdict, text) in [
            (Ok(Fine::Passed), "1 check failed:\n  f.rs:1: up\n\nfixture `F` did not close: x"),
            (skipped(), "1 check failed:\n  f.rs:1: up\n\nit was skipped: no camera\n\nfixture `F` did not close: x"),
            (failed(), "no route\n\n1 check failed:\n  f.rs:1: up\n\nfixture `F` did not close: x"),
        ] {
            assert_eq!(both.with_checks_and_fixtures(verdict), Err(text.to_owned()));
        }
        let fixture = report(&[], &["fixture `F` did not close: x"]);
        let text = fixture.with_checks_and_fixtures(Ok(Fine::Passed)).unwrap_err();
        assert_eq!(text, "the test passed, and then: fixture `F` did not close: x");
    }

    #[test]
    fn binaries_are_named_to_cargo() {
        assert_eq!(target(Path::new("/t/debug/deps/hil-0123456789abcdef"), "suite"), " --test hil");
        assert_eq!(target(Path::new("/t/debug/deps/my_suite-0123456789abcdef"), "my-suite"), " --lib");
        assert_eq!(target(Path::new("/t/debug/hil-lab"), "suite"), " --bin hil-lab");
        assert_eq!(quoted("[bench] a::b"), "'[bench] a::b'");
        assert_eq!(quoted("a::b::c+d"), "a::b::c+d");
    }
}
