//! Retries, iterations, tags and verdicts, seen from outside.

use otto_tests::bench_lab::project;
use otto_tests::suite::Said;

const SUITE: &str = env!("CARGO_BIN_EXE_select_fixture");

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Said {
    project().run(SUITE, arguments, variables)
}

#[test]
fn a_flaky_test_passes_is_listed_and_may_be_made_to_fail() {
    let flaky = ["--exact", "attempts::flaky"];
    let said = run(&flaky, &[]);
    said.expect(0, &["1 passed", "attempt 1 of 2 failed, once more: no route at attempt 1", "flaky"]);
    run(&flaky, &[("OTTO_FLAKY", "fail")])
        .expect(101, &["1 failed", "flaky: passed on attempt 2 of 2; before that:", "no route at attempt 1"]);
    run(&[&flaky[..], &["--retries", "0"]].concat(), &[]).expect(101, &["no route at attempt 1"]);
    run(&["--exact", "attempts::third", "--retries", "1"], &[])
        .expect(101, &["no route at attempt 2", "failed on each of 2 attempts"]);
    run(&["--exact", "attempts::third"], &[("OTTO_RETRIES", "2")]).expect(0, &["1 passed"]);
}

#[test]
fn nextest_retries_itself() {
    let name = ["--exact", "[bench] attempts::flaky", "--nocapture"];
    run(&name, &[("NEXTEST", "1")]).expect(101, &["no route at attempt 1"]);
    run(&name, &[("NEXTEST", "1"), ("OTTO_RETRIES", "1")]).expect(0, &["1 passed"]);
}

#[test]
fn iterations_give_rates() {
    let said = run(&["attempts::third", "attempts::passes", "--iterations", "6"], &[]);
    said.expect(
        101,
        &[
            "1 passed; 1 failed",
            "unstable: 2 of 6 passed (33.3 %), 100 % have to; iteration 1:",
            "no route at attempt 1",
        ],
    );
    said.expect(101, &["otto: stability:", "33.3 %  2/6  unstable", "100 %  6/6  passed"]);
    run(&["attempts::third", "--iterations", "6", "--threshold", "33"], &[]).expect(0, &["1 passed", "2/6  passed"]);
    run(&["attempts::third", "--iterations", "6", "--fail-fast"], &[]).expect(101, &["0 of 1 passed"]);
    run(&["attempts::passes", "--duration", "100ms"], &[]).expect(0, &["1 passed", "100 %"]);
}

#[test]
fn a_blocked_thread_is_not_tried_again() {
    let said = run(&["--exact", "attempts::blocks"], &[]);
    said.expect(101, &["did not yield"]);
    assert_eq!(said.err.matches("blocks begins").count(), 1, "{}", said.err);
}

#[test]
fn a_host_that_is_not_to_be_had_is_told_apart_from_a_failure() {
    run(&["--exact", "attempts::cannot_connect"], &[]).expect(101, &["infrastructure: dead: cannot connect (tcp)"]);
    let said = run(&["--exact", "attempts::third"], &[]);
    assert!(!said.out.contains("infrastructure"), "{}", said.out);
}

#[test]
fn tags_select() {
    let listed = |arguments: &[&str], variables: &[(&str, &str)]| -> Vec<String> {
        let said = run(&[&["--list", "tagged::", "holds::each::router1"], arguments].concat(), variables);
        said.expect(0, &[]);
        assert!(said.err.is_empty(), "{}", said.err);
        said.out.lines().map(|line| line.trim_end_matches(": test").replace("[bench] ", "")).collect()
    };
    assert_eq!(listed(&["--tag", "smoke"], &[]), ["holds::each::router1", "tagged::smoke"]);
    assert_eq!(listed(&["--tag", "bgp", "--tag", "!slow"], &[]), ["tagged::smoke"]);
    assert_eq!(listed(&[], &[("OTTO_TAG", "!bgp")]), ["holds::each::router1"]);
    assert_eq!(listed(&["--tag", "slow,smoke"], &[("OTTO_TAG", "x")]).len(), 3);
    run(&["--tag", "smoek"], &[]).expect(0, &["no test of this binary has the tag `smoek`: did you mean `smoke`?"]);
}
