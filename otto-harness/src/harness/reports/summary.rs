//! The lines after the results: what was flaky, and what took longest. Failures are listed by libtest-mimic.

use std::fmt::Write as _;
use std::time::Duration;

use super::human;
use crate::harness::record::{RunRecord, TestRecord, Verdict};

/// From how many tests on, and from how long a test on, the slowest are named.
const MANY: usize = 3;
const SLOW: Duration = Duration::from_secs(5);
const SLOWEST: usize = 5;

/// The lines; empty if there is nothing to say.
pub(in crate::harness) fn summary(run: &RunRecord) -> String {
    let mut text = String::new();
    let flaky: Vec<_> = run.tests.iter().filter(|test| test.verdict == Verdict::Flaky).collect();
    if !flaky.is_empty() {
        text.push_str("otto: flaky, passed on a later attempt:\n");
        for test in flaky {
            let first = test.attempts.iter().find_map(|attempt| attempt.failure.as_deref()?.lines().next());
            let why = first.map(|line| format!(": {line}")).unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "    {} ({} attempts){why}", test.name, test.runs);
        }
    }
    let ran: Vec<_> = run.tests.iter().filter(|test| !test.attempts.is_empty()).collect();
    let longest = |test: &TestRecord| test.attempts.iter().map(|attempt| attempt.took).max().unwrap_or_default();
    let mut slow: Vec<_> = ran.iter().filter(|test| longest(test) >= SLOW).collect();
    slow.sort_by_key(|test| std::cmp::Reverse(longest(test)));
    if ran.len() > MANY && !slow.is_empty() {
        text.push_str("otto: slowest:\n");
        for test in slow.iter().take(SLOWEST) {
            let _ = writeln!(text, "    {:>12}  {}", human(longest(test)), test.name);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::reports::samples;

    #[test]
    fn flaky_and_slow_tests_are_named_and_nothing_else() {
        let text = summary(&samples::run());
        assert_eq!(
            text,
            "otto: flaky, passed on a later attempt:\n    link::flaky (2 attempts): it failed\n\
             otto: slowest:\n          30.0 s  link::flap\n"
        );
        let mut run = samples::run();
        run.tests.truncate(1);
        assert_eq!(summary(&run), "");
    }
}
