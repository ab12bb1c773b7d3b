//! How often a test is run, and what its attempts come to: retries of one that failed, or iterations that all count.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::argv::Options;
use super::record::{RunRecord, TestRecord, Verdict};
use super::registry::TestCase;
use super::report::{Failure, Fine, Runner};

/// How often the tests of a run are run.
#[derive(Debug, Clone, Default)]
pub(super) struct Policy {
    /// Of tests that say no number themselves.
    retries: Option<u32>,
    /// Whether tests may say how many retries they have.
    own_retries: bool,
    flaky_fails: bool,
    fail_fast: bool,
    iterations: Option<u64>,
    duration: Option<Duration>,
    threshold: Option<f64>,
}

/// One attempt, as far as it decides about the next.
#[derive(Debug)]
pub(super) struct Attempted {
    pub(super) verdict: Verdict,
    /// Why it was skipped.
    pub(super) reason: Option<String>,
    pub(super) failure: Option<Failure>,
    /// What it left behind may still be at work on the hosts: no other attempt may come after it.
    pub(super) is_last: bool,
}

impl Attempted {
    /// `if_failed` is what the failure is, if it is one.
    pub(super) fn new(judged: Result<Fine, Failure>, if_failed: Verdict, is_last: bool) -> Self {
        let (verdict, reason, failure) = match judged {
            Ok(Fine::Passed) => (Verdict::Passed, None, None),
            Ok(Fine::Skipped(why)) => (Verdict::Skipped, Some(why), None),
            Err(failure) => (if_failed, None, Some(failure)),
        };
        Self { verdict, reason, failure, is_last }
    }
}

/// What all attempts at a test come to.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    pub(super) reason: Option<String>,
    pub(super) failure: Option<Failure>,
}

impl From<Attempted> for Judged {
    fn from(one: Attempted) -> Self {
        Self { verdict: one.verdict, reason: one.reason, failure: one.failure }
    }
}

impl Policy {
    pub(super) fn of(options: &Options, runner: Runner) -> Self {
        Self {
            retries: options.retries,
            // nextest has retries of its own, and a test that says how many it has would get both.
            own_retries: runner != Runner::Nextest || options.retries.is_some(),
            flaky_fails: options.flaky_fails,
            fail_fast: options.fail_fast,
            iterations: options.iterations,
            duration: options.duration,
            threshold: options.threshold,
        }
    }

    /// How many more attempts a test has that failed. Its own number is the more exact statement; but who wants none at
    /// all, gets none.
    pub(super) fn retries(&self, case: &TestCase) -> u32 {
        match (self.retries, case.retries) {
            (Some(0), _) => 0,
            (_, Some(own)) if self.own_retries => own,
            (retries, _) => retries.unwrap_or(0),
        }
    }

    /// Whether nothing is begun after a failure.
    pub(super) fn fail_fast(&self) -> bool {
        self.fail_fast
    }

    /// Whether every attempt counts.
    pub(super) fn iterates(&self) -> bool {
        self.iterations.is_some() || self.duration.is_some()
    }

    /// How often the test is run, for people; empty if it is once.
    pub(super) fn in_words(&self, case: &TestCase) -> String {
        let rate = self.threshold.map(|share| format!(", {share} % of which have to pass")).unwrap_or_default();
        match (self.iterations, self.duration, self.retries(case)) {
            (Some(times), Some(duration), _) => format!("{times} times or for {duration:?}{rate}"),
            (Some(times), None, _) => format!("{times} times{rate}"),
            (None, Some(duration), _) => format!("again and again for {duration:?}{rate}"),
            (None, None, 0) => String::new(),
            (None, None, 1) => "1 retry if it fails".to_owned(),
            (None, None, retries) => format!("{retries} retries if it fails"),
        }
    }

    /// Makes the attempts at a test, and judges them. `attempt` is given the number of the attempt, from 1 on; `stopped`
    /// says that nothing more is to be begun.
    pub(super) fn run(
        &self,
        case: &TestCase,
        stopped: impl Fn() -> bool,
        attempt: impl FnMut(u64) -> Attempted,
    ) -> Judged {
        if self.iterates() { self.iterate(stopped, attempt) } else { self.retry(case, stopped, attempt) }
    }

    fn retry(&self, case: &TestCase, stopped: impl Fn() -> bool, mut attempt: impl FnMut(u64) -> Attempted) -> Judged {
        let all = u64::from(self.retries(case)) + 1;
        let mut last = attempt(1);
        let mut made = 1;
        while made < all && last.verdict.is_failure() && !last.is_last && !stopped() {
            let why = last.failure.as_ref().map(|failure| first_line(&failure.text)).unwrap_or_default();
            eprintln!("otto: attempt {made} of {all} failed, once more: {why}");
            made += 1;
            let next = attempt(made);
            if next.verdict.is_failure() {
                last = next;
                continue;
            }
            if next.verdict == Verdict::Skipped {
                // It has failed, and has not passed since.
                break;
            }
            let reason = format!("passed on attempt {made} of {all}");
            if !self.flaky_fails {
                return Judged { verdict: Verdict::Flaky, reason: Some(reason), failure: None };
            }
            let text = last.failure.map(|failure| failure.text).unwrap_or_default();
            let failure = Failure { text: format!("flaky: {reason}; before that:\n{text}"), shown: false };
            return Judged {
                verdict: Verdict::Failed,
                reason: Some(format!("flaky: {reason}")),
                failure: Some(failure),
            };
        }
        if made > 1
            && let Some(failure) = &mut last.failure
        {
            let _ = write!(failure.text, "\n  failed on each of {made} attempts; this is the last");
        }
        last.into()
    }

    fn iterate(&self, stopped: impl Fn() -> bool, mut attempt: impl FnMut(u64) -> Attempted) -> Judged {
        let began = Instant::now();
        let share = self.threshold.unwrap_or(100.0);
        let (mut runs, mut passes) = (0, 0);
        let mut first: Option<(u64, Failure)> = None;
        let mut cut_off = None;
        loop {
            let enough = self.iterations.is_some_and(|times| runs >= times)
                || (runs > 0 && self.duration.is_some_and(|duration| began.elapsed() >= duration))
                || (runs > 0 && stopped());
            if enough {
                break;
            }
            let one = attempt(runs + 1);
            if one.verdict == Verdict::Skipped {
                if passes == runs {
                    return one.into();
                }
                break;
            }
            runs += 1;
            if !one.verdict.is_failure() {
                passes += 1;
                continue;
            }
            if let Some(failure) = one.failure {
                first.get_or_insert((runs, failure));
            }
            let ends_it = matches!(one.verdict, Verdict::Interrupted | Verdict::ReservationLost) || one.is_last;
            if ends_it || passes == 0 {
                cut_off = Some((one.verdict, ends_it));
            }
            if ends_it || (self.fail_fast && self.is_lost(runs, passes, share)) {
                break;
            }
        }
        let of_all = format!("{passes} of {runs} passed ({})", percent(passes, runs));
        let ends_it = cut_off.is_some_and(|(_, ends_it)| ends_it);
        if !ends_it && reaches(passes, runs, share) {
            return Judged { verdict: Verdict::Passed, reason: Some(of_all), failure: None };
        }
        let verdict = match cut_off {
            Some((verdict, ends_it)) if ends_it || passes == 0 => verdict,
            _ => Verdict::Unstable,
        };
        let failure = first.map(|(number, failure)| {
            let text =
                format!("{}: {of_all}, {share} % have to; iteration {number}:\n{}", verdict.name(), failure.text);
            Failure { text, shown: false }
        });
        Judged { verdict, reason: Some(of_all), failure }
    }

    /// Whether the share cannot be reached any more.
    fn is_lost(&self, runs: u64, passes: u64, share: f64) -> bool {
        match (self.iterations, self.duration) {
            (Some(times), _) => !reaches(passes + (times - runs), times, share),
            // Nobody knows how many there will be.
            (None, _) => share >= 100.0,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody runs a test 2^52 times")]
fn reaches(passes: u64, runs: u64, share: f64) -> bool {
    passes as f64 * 100.0 >= share * runs as f64
}

/// How many attempts at each test passed, the worst first.
pub(super) fn stability(run: &RunRecord) -> String {
    let mut tests: Vec<_> = run.tests.iter().filter(|test| test.runs > 0).collect();
    #[expect(clippy::cast_precision_loss, reason = "nobody runs a test 2^52 times")]
    let rate = |test: &TestRecord| test.passes as f64 / test.runs as f64;
    tests.sort_by(|one, other| rate(one).total_cmp(&rate(other)));
    let mut text = String::from(if tests.is_empty() { "" } else { "otto: stability:\n" });
    for test in tests {
        let lab = test.lab.as_deref().unwrap_or_default();
        let (rate, verdict) = (percent(test.passes, test.runs), test.verdict.name());
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {rate:>7}  {}/{}  {verdict}  [{lab}] {}", test.passes, test.runs, test.name);
    }
    text
}

/// A rate that says 100 % only if it is.
pub(super) fn percent(passes: u64, runs: u64) -> String {
    if runs == 0 {
        return "none were run".to_owned();
    }
    let tenths = u128::from(passes) * 1000 / u128::from(runs);
    if tenths % 10 == 0 { format!("{} %", tenths / 10) } else { format!("{}.{} %", tenths / 10, tenths % 10) }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: TestCase = TestCase {
        module: "m",
        name: "n",
        file: "f.rs",
        line: 1,
        package: "p",
        labs: &[],
        hosts: &[],
        each_host: None,
        tags: &[],
        retries: None,
        timeout: None,
        setup: None,
        teardown: None,
        ignore: None,
        should_panic: None,
        fixtures: &[],
        run: |_| Box::pin(async { Ok(()) }),
    };

    /// One attempt for each letter: passed, failed, stuck, interrupted, skipped. The last one goes on for ever.
    fn judge(policy: &Policy, case: &TestCase, ends: &str) -> (Judged, u64) {
        let mut made = 0;
        let judged = policy.run(
            case,
            || false,
            |number| {
                made = number;
                let end = ends.chars().nth(usize::try_from(number).unwrap() - 1).or(ends.chars().last()).unwrap();
                let verdict = match end {
                    '.' => Verdict::Passed,
                    'F' => Verdict::Failed,
                    'S' => Verdict::TimedOut,
                    'I' => Verdict::Interrupted,
                    's' => Verdict::Skipped,
                    _ => unreachable!(),
                };
                let failure = verdict.is_failure().then(|| Failure { text: format!("failure {number}"), shown: true });
                Attempted { verdict, reason: None, failure, is_last: matches!(end, 'S' | 'I') }
            },
        );
        (judged, made)
    }

    fn retries(retries: Option<u32>) -> Policy {
        Policy { retries, own_retries: true, ..Policy::default() }
    }

    fn iterations(times: u64, share: Option<f64>) -> Policy {
        Policy { iterations: Some(times), threshold: share, ..Policy::default() }
    }

    #[test]
    fn a_retry_that_passes_is_flaky() {
        let own = TestCase { retries: Some(2), ..PLAIN };
        for (policy, case, ends, verdict, made) in [
            (retries(None), &PLAIN, "F.", Verdict::Failed, 1),
            (retries(Some(1)), &PLAIN, "F.", Verdict::Flaky, 2),
            (retries(Some(1)), &PLAIN, ".", Verdict::Passed, 1),
            (retries(Some(1)), &own, "FF.", Verdict::Flaky, 3),
            (retries(Some(0)), &own, "FF.", Verdict::Failed, 1),
            (retries(None), &own, "FFF", Verdict::Failed, 3),
            (retries(None), &own, "Fs", Verdict::Failed, 2),
            (retries(None), &own, "s", Verdict::Skipped, 1),
            (retries(None), &own, "S.", Verdict::TimedOut, 1),
            (retries(None), &own, "I.", Verdict::Interrupted, 1),
            (Policy { own_retries: false, ..retries(None) }, &own, "F.", Verdict::Failed, 1),
        ] {
            let (judged, attempts) = judge(&policy, case, ends);
            assert_eq!((judged.verdict, attempts), (verdict, made), "{ends}");
            assert_eq!(judged.failure.is_some(), verdict.is_failure(), "{ends}");
        }
        let (judged, _) = judge(&Policy { flaky_fails: true, ..retries(Some(1)) }, &PLAIN, "F.");
        assert_eq!(judged.verdict, Verdict::Failed);
        assert!(judged.failure.unwrap().text.starts_with("flaky: passed on attempt 2 of 2; before that:\nfailure 1"));
    }

    #[test]
    fn iterations_have_to_reach_the_share() {
        for (policy, ends, verdict, made, says) in [
            (iterations(3, None), ".", Verdict::Passed, 3, "3 of 3 passed (100 %)"),
            (iterations(3, None), "..F", Verdict::Unstable, 3, "2 of 3 passed (66.6 %)"),
            (iterations(4, Some(75.0)), "F...", Verdict::Passed, 4, "3 of 4 passed (75 %)"),
            (iterations(4, Some(75.1)), "F...", Verdict::Unstable, 4, "3 of 4 passed (75 %)"),
            (iterations(2, Some(1.0)), "F", Verdict::Failed, 2, "0 of 2 passed (0 %)"),
            (iterations(9, Some(1.0)), "..S", Verdict::TimedOut, 3, "2 of 3 passed (66.6 %)"),
            (iterations(9, None), "..I", Verdict::Interrupted, 3, "2 of 3 passed (66.6 %)"),
            (Policy { fail_fast: true, ..iterations(9, None) }, ".F.", Verdict::Unstable, 2, "1 of 2 passed (50 %)"),
            (
                Policy { fail_fast: true, ..iterations(4, Some(50.0)) },
                "FFF.",
                Verdict::Failed,
                3,
                "0 of 3 passed (0 %)",
            ),
        ] {
            let (judged, attempts) = judge(&policy, &PLAIN, ends);
            assert_eq!((judged.verdict, attempts, judged.reason.as_deref()), (verdict, made, Some(says)), "{ends}");
            assert_eq!(judged.failure.is_some(), verdict.is_failure(), "{ends}");
        }
        assert_eq!(judge(&iterations(3, None), &PLAIN, "s").0.verdict, Verdict::Skipped);
        assert_eq!(judge(&iterations(3, None), &PLAIN, "Fs").0.verdict, Verdict::Failed);
    }

    #[test]
    fn a_duration_is_at_least_one_run() {
        let policy = Policy { duration: Some(Duration::from_nanos(1)), ..Policy::default() };
        let (judged, made) = judge(&policy, &PLAIN, ".");
        assert_eq!((judged.verdict, made), (Verdict::Passed, 1));
        assert_eq!(percent(999_999, 1_000_000), "99.9 %");
    }
}
