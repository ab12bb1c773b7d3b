//! Fixtures, checks, skips and attachments, whatever happens to the test: what is made is closed, in order, and every
//! failure is told apart from the others.

use std::fs;
use std::time::Duration;

use otto_tests::suite::{Project, Said};
use rstest::rstest;
use rustix::process::Signal;

const SUITE: &str = env!("CARGO_BIN_EXE_arguments_fixture");

/// What became of the fixtures.
fn events(said: &Said) -> Vec<&str> {
    said.err.lines().filter(|line| line.starts_with("made ") || line.starts_with("closed ")).collect()
}

fn run(name: &str, variables: &[(&str, &str)]) -> Said {
    let project = Project::new();
    let said = project.run(SUITE, &["--exact", name, "--test-threads", "1"], variables);
    project.assert_nothing_left(&[]);
    assert!(!said.err.contains("the body was run"), "{}", said.err);
    said
}

const ALL: [&str; 4] = ["made First", "made Second", "closed Second", "closed First"];

#[rstest]
#[case("ends::passes", 0, &["1 passed"])]
#[case("ends::fails", 101, &["no route\n  caused by: no power"])]
#[case("ends::panics", 101, &["panicked at tests/src/bin/arguments_fixture.rs:", "boom in the body"])]
#[case("ends::should_panic", 0, &["1 passed"])]
#[case("ends::skips", 0, &["ignored (no camera)", "0 passed; 0 failed; 1 ignored"])]
#[case(
    "ends::times_out",
    101,
    &["timed out: not done within 300ms\n  hint: the test budget is 300ms, by `timeout = \"…\"` in its #[otto::test]"]
)]
fn they_are_closed_in_reverse_order_however_the_test_ended(
    #[case] name: &str,
    #[case] code: i32,
    #[case] says: &[&str],
) {
    let said = run(name, &[]);
    said.expect(code, says);
    assert_eq!(events(&said), ALL, "{}", said.err);
    assert!(name == "ends::panics" || !said.err.contains("panicked"), "{}", said.err);
}

#[rstest]
#[case("setup::unmade", 101, &["cannot set up the test: fixture `Unmade`: the bench is dark\n  caused by: no power"])]
#[case("setup::panics", 101, &["cannot set up the test: fixture `Panics` panicked at ", "boom in making"])]
#[case("setup::skips", 0, &["ignored (the bench has no camera)"])]
#[case(
    "setup::slow",
    101,
    &["fixture `Slow` was not ready within 400ms\n  hint: the setup budget is 400ms, by `setup = \"…\"` in its #[otto::test]"]
)]
fn what_was_made_before_one_that_is_not_is_closed(#[case] name: &str, #[case] code: i32, #[case] says: &[&str]) {
    let said = run(name, &[]);
    said.expect(code, says);
    assert_eq!(events(&said), ["made First", "closed First"], "{}", said.err);
}

#[rstest]
#[case("teardown::unclosed", &["the test passed, and then: fixture `Unclosed` did not close: the relay is stuck\n  caused by: no power"])]
#[case(
    "teardown::unclosed_after_an_error",
    &["no route\n  caused by: no power\n\nfixture `Unclosed` did not close: the relay is stuck"]
)]
#[case("teardown::panics", &["fixture `PanicsLate` did not close: panicked at ", "boom in closing"])]
#[case("teardown::skips", &["fixture `SkipsLate` did not close: called `skip`, after the test"])]
#[case(
    "teardown::slow",
    &[
        "fixture `SlowToClose` did not close: not done within 200.00ms, its share of the teardown",
        "hint: the teardown budget is 800ms, by `teardown = \"…\"` in its #[otto::test]",
    ]
)]
fn one_that_does_not_close_fails_the_test_and_the_others_are_closed(#[case] name: &str, #[case] says: &[&str]) {
    // A share is half of what is left after the hosts' part, give or take the time that making it out takes.
    let rounded = |text: &str| text.replace("199.99", "200.00").replace("199.98", "200.00");
    let mut said = run(name, &[]);
    (said.out, said.err) = (rounded(&said.out), rounded(&said.err));
    said.expect(101, says);
    assert_eq!(events(&said).last(), Some(&"closed First"), "{}", said.err);
}

#[rstest]
#[case("ends::blocks", &["it was not done within 300ms and did not yield", "fixture `First` may not be closed"])]
#[case("setup::blocks", &["its setup was not done within", "and did not yield", "the setup budget is 400ms"])]
#[case("teardown::blocks", &["the closing of its fixtures was not done within 400ms", "the teardown budget is 400ms"])]
fn one_whose_thread_is_stuck_says_what_may_be_left(#[case] name: &str, #[case] says: &[&str]) {
    let said = run(name, &[]);
    said.expect(101, says);
    said.within(Duration::from_secs(10));
}

#[test]
fn the_budgets_are_those_of_the_run_where_a_test_has_none() {
    let project = Project::new();
    let run = |arguments: &[&str], variables: &[(&str, &str)]| project.run(SUITE, arguments, variables);
    run(&["--exact", "setup::waits", "--setup-timeout", "300ms"], &[("OTTO_SETUP_TIMEOUT", "1h")]).expect(
        101,
        &["`Slow` was not ready within 300ms", "the setup budget is 300ms, by --setup-timeout or OTTO_SETUP_TIMEOUT"],
    );
    run(&["--exact", "teardown::waits"], &[("OTTO_TEARDOWN_TIMEOUT", "500ms")]).expect(
        101,
        &["its share of the teardown", "the teardown budget is 500ms, by --teardown-timeout or OTTO_TEARDOWN_TIMEOUT"],
    );
    run(&["--exact", "ends::waits", "--timeout", "300ms"], &[])
        .expect(101, &["not done within 300ms", "the test budget is 300ms, by --timeout or OTTO_TIMEOUT"]);
    run(&["--setup-timeout", "0s"], &[]).expect(2, &["--setup-timeout: `0s` is no duration: a limit of zero"]);
    run(&[], &[("OTTO_TEARDOWN_TIMEOUT", "8")])
        .expect(2, &["OTTO_TEARDOWN_TIMEOUT: `8` is no duration: it has no unit"]);
}

#[test]
fn failed_checks_fail_the_test_at_its_end_and_are_all_listed() {
    let said = run("findings::checks", &[]);
    let place = "tests/src/bin/arguments_fixture.rs:";
    said.expect(
        101,
        &[
            "3 checks failed:\n  tests/src/bin/",
            ": sums\n",
            ": the number of links\n    left: 2\n   right: 3\n",
            ": the peer: no route\n    caused by: no power\n",
        ],
    );
    assert_eq!(said.out.matches(&format!("\n  {place}")).count(), 3, "{}", said.out);
    run("findings::checks_and_a_panic", &[]).expect(101, &["too hot\n\n1 check failed:\n  ", ": the fan turns"]);
    run("findings::a_check_and_a_skip", &[]).expect(101, &[": the fan turns\n\nit was skipped: no camera"]);
    run("findings::a_check_and_an_expected_panic", &[]).expect(101, &["1 check failed:"]);
    run("findings::blocks_after_a_check", &[]).expect(101, &["did not yield", "1 check failed:"]);
    // nextest looks for the text on stderr, and takes all from the last panic on.
    let said = run("findings::checks_and_a_panic", &[("NEXTEST", "1")]);
    let after = said.err.rsplit("panicked at").next().unwrap_or_default();
    assert!(after.contains(": the fan turns"), "{}", said.err);
}

#[test]
fn attachments_are_in_the_folder_of_the_test() {
    let project = Project::new();
    let out = project.path().join("out");
    let arguments = ["--exact", "findings::attaches", "--output-dir", out.to_str().unwrap()];
    let path = out.join("local/findings.attaches/attachments/%2E.%2Fdump.txt");
    project.run(SUITE, &arguments, &[]).expect(101, &[&format!("attached: {}", path.display())]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "all of it");
    // Without one, they are in the build folder, and only there if there are any.
    let said = project.run(SUITE, &["--exact", "findings::attaches"], &[("NEXTEST_RUN_ID", "fixtures-test-run")]);
    let line = said.err.lines().find_map(|line| line.strip_prefix("attached ")).expect(&said.err);
    assert!(line.contains("/otto/fixtures-test-run/local/findings.attaches/attachments/"), "{line}");
    assert_eq!(fs::read_to_string(line).unwrap(), "all of it");
    let run = line.split("/local/").next().unwrap();
    fs::remove_dir_all(run).unwrap();
    assert_eq!(fs::read_dir(project.path()).unwrap().count(), 3, "otto.toml, labs, out");
}

#[rstest]
#[case("ends::waits", Signal::INT, 130, &ALL)]
#[case("ends::waits", Signal::TERM, 143, &ALL)]
#[case("setup::waits", Signal::TERM, 143, &ALL[..1])]
#[case("teardown::waits", Signal::INT, 130, &["made First", "made SlowToClose", "closed First"])]
fn a_signal_closes_them(#[case] name: &str, #[case] signal: Signal, #[case] code: i32, #[case] expected: &[&str]) {
    let project = Project::new();
    let mut running = project.start(SUITE, &["--exact", name], &[]);
    running.wait_for("waiting\n");
    running.signal(signal);
    let said = running.end();
    said.expect(code, &["1 failed"]);
    // nextest grants 10 s.
    said.within(Duration::from_millis(9500));
    let expected = if name == "setup::waits" { &["made First", "closed First"] } else { expected };
    assert_eq!(events(&said), expected, "{}", said.err);
    project.assert_nothing_left(&[]);
}

#[test]
fn a_second_signal_leaves_at_once() {
    let project = Project::new();
    let mut running = project.start(SUITE, &["--exact", "teardown::waits"], &[]);
    running.wait_for("waiting\n");
    running.signal(Signal::INT);
    running.wait_for("once more leaves at once");
    running.signal(Signal::INT);
    let said = running.end();
    said.expect(130, &[]);
    said.within(Duration::from_millis(900));
    project.assert_nothing_left(&[]);
}

#[test]
fn one_of_a_lab_is_made_once_and_closed_after_the_last_test_that_needs_it() {
    let project = Project::new();
    let arguments = ["shared::a_uses", "shared::b_", "shared::c_", "shared::d_", "--test-threads", "1"];
    let said = project.run(SUITE, &arguments, &[]);
    said.expect(101, &["3 passed; 1 failed", "boom with the image"]);
    let seen: Vec<_> =
        said.err.lines().filter(|line| ["made Image", "c_uses", "closed Image", "d_without"].contains(line)).collect();
    assert_eq!(seen, ["made Image", "c_uses", "closed Image", "d_without"], "{}", said.err);
    // Side by side, and beside one that only another fixture asks for.
    let said = project.run(SUITE, &["shared::a_uses", "shared::c_", "shared::nested", "--test-threads", "4"], &[]);
    said.expect(0, &["4 passed"]);
    assert_eq!(events(&said), ["made Image", "closed Image"], "{}", said.err);
    project.assert_nothing_left(&[]);
}

#[test]
fn one_of_a_lab_that_goes_wrong_is_nobodys_fault_alone() {
    let project = Project::new();
    let said = project.run(SUITE, &["shared::unmade", "--test-threads", "1"], &[]);
    let text = "cannot set up the test: fixture `Arc<Unmade>`: lab fixture `Unmade` was not made: the lab is dark";
    said.expect(101, &["2 failed", text]);
    assert_eq!(said.out.matches(text).count(), 2, "{}", said.out);
    assert_eq!(said.err.matches("making Unmade").count(), 1, "{}", said.err);
    project.run(SUITE, &["shared::no_camera"], &[]).expect(0, &["ignored (the lab has no camera)"]);
    project.run(SUITE, &["shared::unclosed"], &[]).expect(
        101,
        &["1 passed; 0 failed", "Error: lab fixture `Unclosed` of lab local did not close: the relay is stuck"],
    );
    let said = project.run(SUITE, &["--exact", "shared::waits", "--setup-timeout", "300ms"], &[]);
    said.expect(101, &["ready within 300ms"]);
    said.within(Duration::from_secs(5));
    project.assert_nothing_left(&[]);
}

#[rstest]
#[case("shared::waits")]
#[case("shared::waits_with_it")]
fn a_signal_closes_one_of_a_lab(#[case] name: &str) {
    let project = Project::new();
    let mut running = project.start(SUITE, &["--exact", name], &[]);
    running.wait_for("waiting\n");
    running.signal(Signal::TERM);
    let said = running.end();
    said.expect(143, &["interrupted by SIGTERM"]);
    said.within(Duration::from_secs(9));
    assert!(name == "shared::waits" || events(&said) == ["made Image", "closed Image"], "{}", said.err);
    project.assert_nothing_left(&[]);
}
