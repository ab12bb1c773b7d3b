//! What is kept of a run for its reports: the tests, their attempts, and how each ended.
//!
//! The runner fills it, the reports read it; neither knows more of the other than what stands here.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// How a test, or one attempt at it, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Verdict {
    Passed,
    /// Passed, but not at the first attempt.
    Flaky,
    /// Below the pass rate that was asked for.
    Unstable,
    /// An assertion, an error of the test's own, or a check that did not hold.
    Failed,
    TimedOut,
    Interrupted,
    /// The lease of its hosts was gone while it ran.
    ReservationLost,
    /// A host could not be reached, or its connection was lost: says nothing about what is tested.
    Infrastructure,
    /// The test itself said that it cannot say anything here.
    Skipped,
    /// Not begun.
    Ignored,
}

impl Verdict {
    /// Whether the run fails because of it. A flaky test does only if that was asked for, which the runner decides.
    pub(super) fn is_failure(self) -> bool {
        !matches!(self, Self::Passed | Self::Flaky | Self::Skipped | Self::Ignored)
    }

    /// As reports write it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Flaky => "flaky",
            Self::Unstable => "unstable",
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
            Self::Interrupted => "interrupted",
            Self::ReservationLost => "reservation lost",
            Self::Infrastructure => "infrastructure error",
            Self::Skipped => "skipped",
            Self::Ignored => "ignored",
        }
    }
}

/// A whole run.
#[derive(Debug, Clone)]
pub(super) struct RunRecord {
    /// Unique to the run, sortable by time: `20261121-0931-7f3a`.
    pub(super) id: String,
    pub(super) began: SystemTime,
    pub(super) took: Duration,
    /// On whose behalf: `--as-user`, else the OS user.
    pub(super) user: String,
    /// The arguments after the program's name.
    pub(super) arguments: Vec<String>,
    pub(super) labs: Vec<String>,
    /// Of `--shuffle`.
    pub(super) seed: Option<u64>,
    /// How many tests the selection left out.
    pub(super) filtered: usize,
    /// In the order in which they were listed.
    pub(super) tests: Vec<TestRecord>,
}

/// One test on one lab (and one host, with `each_host`).
#[derive(Debug, Clone)]
pub(super) struct TestRecord {
    /// As `--list` shows it, without `[lab]`.
    pub(super) name: String,
    pub(super) lab: Option<String>,
    pub(super) package: String,
    pub(super) file: String,
    pub(super) line: u32,
    pub(super) tags: Vec<String>,
    /// The hosts it holds; empty for the whole lab.
    pub(super) hosts: Vec<String>,
    /// Those of them that it shares with other tests.
    pub(super) shared: Vec<String>,
    /// The fencing number of the lease under which it ran.
    pub(super) fence: Option<u64>,
    pub(super) verdict: Verdict,
    /// Why it was skipped, ignored, or called unstable.
    pub(super) reason: Option<String>,
    /// In order: retries and iterations alike. Empty if it was not begun. Of very many, older ones are left out, and those
    /// that passed first.
    pub(super) attempts: Vec<Attempt>,
    /// How many attempts there were, and how many of them passed.
    pub(super) runs: u64,
    pub(super) passes: u64,
    /// The command line that runs it again.
    pub(super) rerun: String,
}

/// One time that a test ran.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    /// Which of all attempts at its test it is, from 1 on.
    pub(super) round: u64,
    pub(super) began: SystemTime,
    /// Setup, body and teardown.
    pub(super) took: Duration,
    /// Never `Flaky` or `Unstable`, which are said of several attempts.
    pub(super) verdict: Verdict,
    /// The whole text of the failure, redacted: what a terminal shows.
    pub(super) failure: Option<String>,
    /// Where it wrote its transcripts and artefacts.
    pub(super) output_dir: Option<PathBuf>,
    /// What its hosts ran, in order of beginning.
    pub(super) commands: Vec<CommandRecord>,
    /// How many older ones are not among them, because only so many are kept.
    pub(super) commands_left_out: u64,
    /// Files that the test attached: name, path.
    pub(super) attachments: Vec<(String, PathBuf)>,
}

/// One command of an attempt, as the transcript has it: redacted, and without output where the log mode says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommandRecord {
    pub(super) host: String,
    /// `default`, a name, or `oneshot`.
    pub(super) session: String,
    pub(super) command: String,
    pub(super) began: SystemTime,
    pub(super) took: Duration,
    /// `exit 0`, `signal KILL`, `timed out after 10 s: …`; `None` while it runs.
    pub(super) ended: Option<String>,
    pub(super) is_ok: bool,
    /// The last lines, capped.
    pub(super) tail: Vec<String>,
}
