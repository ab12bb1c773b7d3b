//! A suite on real hosts driven as nextest drives it: a list, then a process for each test, SIGTERM when it takes too long.

use std::time::Duration;

use otto_tests::sshd::Sshd;
use otto_tests::suite::{Project, Said};
use regex::Regex;
use rstest::rstest;
use rustix::process::Signal;

const SUITE: &str = env!("CARGO_BIN_EXE_lab_fixture");

const LISTING: [(&str, &str); 4] = [
    ("OTTO_LAB", "bed"),
    ("NEXTEST_VERSION", "0.9.143"),
    ("NEXTEST_RUN_ID", "6d2f1c0e-0000-4000-8000-000000000000"),
    ("NEXTEST_BINARY_ID", "otto-tests::bin/lab_fixture"),
];

fn bed() -> (Sshd, Project) {
    let server = Sshd::start();
    let project = Project::with_labs(&[&server.lab_toml()]);
    (server, project)
}

fn running(name: &str) -> Vec<(&str, &str)> {
    let of_run = [
        ("NEXTEST", "1"),
        ("NEXTEST_EXECUTION_MODE", "process-per-test"),
        ("NEXTEST_TEST_NAME", name),
        ("NEXTEST_ATTEMPT", "1"),
        ("NEXTEST_TOTAL_ATTEMPTS", "1"),
        ("NEXTEST_ATTEMPT_ID", "6d2f1c0e$otto-tests::bin/lab_fixture$x"),
        ("NEXTEST_TEST_GROUP", "@global"),
        ("NEXTEST_PROFILE", "default"),
    ];
    LISTING.into_iter().chain(of_run).collect()
}

fn run(project: &Project, name: &str, more: &[&str]) -> Said {
    project.run(SUITE, &[&["--exact", name, "--nocapture"], more].concat(), &running(name))
}

/// What nextest takes for the description of a failure, by its rules.
fn description(err: &str) -> &str {
    let panicked = Regex::new(r"(?m)^thread '([^']+)' (\(\d+\) )?panicked at ").unwrap();
    let from = panicked.find_iter(err).last().or_else(|| Regex::new("(?m)^Error: ").unwrap().find(err));
    from.map_or("", |found| &err[found.start()..])
}

fn list(project: &Project, more: &[&str]) -> Vec<String> {
    let said = project.run(SUITE, &[&["--list", "--format", "terse"], more].concat(), &LISTING);
    said.expect(0, &[]);
    said.within(Duration::from_secs(1));
    assert!(said.err.is_empty(), "{}", said.err);
    said.out.lines().map(|line| line.strip_suffix(": test").expect(line).to_owned()).collect()
}

#[test]
fn the_lists_are_names_alone_and_contact_nothing() {
    let (server, project) = bed();
    let before = server.connection_count();
    let all = list(&project, &[]);
    assert!(all.len() > 10 && all.iter().all(|name| name.starts_with("[bed] ")), "{all:?}");
    assert!(all.contains(&"[bed] ends::passes".to_owned()) && !all.iter().any(|name| name.contains("to_connect")));
    assert_eq!(list(&project, &["--ignored"]), ["[bed] ends::is_ignored"]);
    assert_eq!(server.connection_count(), before);
}

#[rstest]
#[case("[bed] ends::passes", &[], 0, &[])]
#[case("[bed] ends::should_panic", &[], 0, &[])]
#[case("[bed] ends::is_ignored", &["--ignored"], 0, &[])]
#[case("[bed] ends::fails", &[], 101, &["Error: no route to the peer\n", "on lab bed", "OTTO_LAB=bed cargo nextest run -p otto-tests"])]
#[case("[bed] ends::panics_later", &[], 101, &["thread 'ends::panics_later' (", "after an await"])]
#[case("[bed] ends::times_out", &[], 101, &["Error: timed out: not done within 3s"])]
#[case("[bed] ends::blocks", &[], 101, &["Error: timed out: it was not done within 3s and did not yield"])]
fn each_test_is_found_by_the_name_that_was_listed_and_says_what_failed(
    #[case] name: &str,
    #[case] more: &[&str],
    #[case] code: i32,
    #[case] described: &[&str],
) {
    let (server, project) = bed();
    let said = run(&project, name, more);
    let result = if code == 0 { "1 passed; 0 failed" } else { "0 passed; 1 failed" };
    said.expect(code, &["running 1 test", result]);
    for text in described {
        assert!(description(&said.err).contains(text), "no {text:?} is described:\n{}", said.err);
    }
    project.assert_nothing_left(&[&server]);
}

#[test]
fn what_is_not_to_run_does_not_run() {
    let (_server, project) = bed();
    run(&project, "[bed] ends::is_ignored", &[]).expect(0, &["1 ignored"]);
    run(&project, "[bed] ends::no_such_test", &[]).expect(101, &["nextest asked for one test, and 0 fit"]);
}

#[rstest]
#[case("[bed] waits::for_a_signal")]
#[case("[bed] waits::deaf")]
fn one_that_takes_too_long_is_torn_down_within_the_grace_period(#[case] name: &str) {
    let (server, project) = bed();
    let mut child = project.start(SUITE, &["--exact", name, "--nocapture"], &running(name));
    child.wait_for("waiting\n");
    child.signal(Signal::TERM);
    let said = child.end();
    said.expect(143, &["0 passed; 1 failed"]);
    assert!(description(&said.err).starts_with("Error: interrupted by SIGTERM"), "{}", said.err);
    said.within(Duration::from_secs(9));
    project.assert_nothing_left(&[&server]);
}
