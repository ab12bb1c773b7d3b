//! The runner, seen from outside: exit codes, stdout, stderr, signals.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use otto_tests::suite::{Said, command};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const FIXTURE: &str = env!("CARGO_BIN_EXE_harness_fixture");
const EMPTY: &str = env!("CARGO_BIN_EXE_harness_empty");

/// A project with the labs `bench` and `rack`, whose hosts nobody answers for: no test of the fixture uses them.
fn project() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("otto.toml"), "[lab]\npaths = [\"labs\"]\n").unwrap();
    fs::create_dir(dir.path().join("labs")).unwrap();
    for (lab, ip) in [("bench", "192.0.2.1"), ("rack", "192.0.2.2")] {
        let text = format!(
            "lab = \"{lab}\"\nresources = [\"{lab}-power\"]\n[[hosts]]\nid = \"{lab}1\"\nip = \"{ip}\"\nterm = \"ssh\"\nuser = \"nobody\"\n"
        );
        fs::write(dir.path().join("labs").join(format!("{lab}.toml")), text).unwrap();
    }
    dir
}

/// With reservations, of which `tester` holds those of these labs.
fn reserved(holds: &[&str]) -> TempDir {
    let dir = project();
    let toml = "[lab]\npaths = [\"labs\"]\n[reservations]\nbackend = \"json\"\npath = \"reservations.json\"\n";
    fs::write(dir.path().join("otto.toml"), toml).unwrap();
    let held: Vec<_> = holds.iter().map(|lab| format!("\"{lab}-power\"")).collect();
    fs::write(
        dir.path().join("reservations.json"),
        format!("[{{\"user\": \"tester\", \"resources\": [{}]}}]", held.join(", ")),
    )
    .unwrap();
    dir
}

fn run_in(dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Said {
    command(FIXTURE, dir, arguments).envs(variables.iter().copied()).output().unwrap().into()
}

fn run(arguments: &[&str]) -> Said {
    run_in(project().path(), arguments, &[])
}

#[test]
fn a_test_that_passes() {
    let said = run(&["--exact", "ends::passes"]);
    said.expect(0, &["running 1 test", "test [sim] ends::passes ... ok", "1 passed; 0 failed", "passes was run"]);
}

#[test]
fn an_error_shows_its_chain_and_how_to_run_it_again() {
    let said = run(&["--exact", "ends::fails"]);
    said.expect(
        101,
        &[
            "the route is missing\n  caused by: no peer",
            "on lab sim",
            "harness_fixture.rs:",
            "run it again: cargo run -p otto-tests --bin harness_fixture -- --exact ends::fails --lab sim",
        ],
    );
}

#[test]
fn a_panic_shows_its_place_before_and_after_an_await() {
    let said = run(&["ends::panics"]);
    said.expect(
        101,
        &[
            "2 failed",
            "panicked at tests/src/bin/harness_fixture.rs:",
            "\nat once\n",
            "\nlater\n",
            "dropped panics_later",
            "thread 'ends::panics_later'",
        ],
    );
}

#[test]
fn a_time_out_ends_the_test() {
    let said = run(&["--exact", "ends::times_out"]);
    said.expect(101, &["timed out: not done within 200ms", "dropped times_out"]);
}

#[test]
fn a_blocked_thread_is_left_behind() {
    let began = Instant::now();
    run(&["--exact", "ends::blocks"]).expect(101, &["did not yield: a blocking call in an async test?"]);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn one_that_blocked_for_longer_than_its_limit_has_not_passed() {
    run(&["--exact", "ends::blocks_a_little"]).expect(101, &["timed out: took 4", "of 100ms and did not yield"]);
}

#[test]
fn ignored_tests_say_why_and_run_when_asked() {
    run(&["--exact", "ends::is_ignored"]).expect(0, &["ignored (needs the new PSU)", "1 ignored"]);
    run(&["--exact", "ends::is_ignored", "--ignored"]).expect(101, &["was run", "--include-ignored"]);
}

#[test]
fn should_panic_is_judged_and_silent() {
    let said = run(&["should_panic", "--test-threads", "1"]);
    said.expect(
        101,
        &[
            "ends::should_panic              ... ok",
            "1 passed; 2 failed",
            "did not panic",
            "expected part: \"over\"",
            "cold",
        ],
    );
    assert!(!said.err.contains("overheated"), "{}", said.err);
}

#[test]
fn a_lab_selects() {
    let said = run(&["labs::", "--lab", "bench"]);
    said.expect(0, &["[bench] labs::any", "[bench] labs::on_bench ", "[bench] labs::on_both::bench"]);
    assert!(!said.out.contains("rack") && !said.out.contains("nosuch"), "{}", said.out);
    let said = run_in(project().path(), &["labs::"], &[("OTTO_LAB", "rack+bench")]);
    said.expect(0, &["[rack+bench] labs::any", "[bench+rack] labs::merged"]);
    assert!(!said.out.contains("on_bench"), "{}", said.out);
}

#[test]
fn without_a_lab_the_rest_is_ignored_and_forcing_it_fails() {
    let said = run(&["labs::"]);
    said.expect(
        0,
        &[
            "[sim]        labs::any",
            "ignored (select with --lab bench or OTTO_LAB=bench)",
            "ignored (there is no lab `nosuch`",
        ],
    );
    run(&["labs::on_bench", "--include-ignored"])
        .expect(101, &["no lab is selected for it: select with --lab bench or OTTO_LAB=bench"]);
}

#[test]
fn an_unknown_lab_is_an_error_before_anything_runs() {
    for (arguments, lab) in [(&["--lab", "benhc"][..], ""), (&[], "bench+benhc"), (&["--list", "--lab", "benhc"], "")] {
        let said = run_in(project().path(), arguments, &[("OTTO_LAB", lab)]);
        said.expect(2, &["benhc", "did you mean `bench`"]);
        assert!(said.out.is_empty(), "{}", said.out);
    }
}

#[test]
fn a_reservation_refused_is_1_and_nothing_runs() {
    let user = [("OTTO_AS_USER", "tester"), ("OTTO_LAB", "bench")];
    let said = run_in(reserved(&["rack"]).path(), &["labs::any"], &user);
    said.expect(1, &["bench-power"]);
    assert!(said.out.is_empty() && !said.err.contains("-R"), "{}", said.err);
    run_in(reserved(&["bench"]).path(), &["labs::any"], &user).expect(0, &["1 passed"]);
    run_in(reserved(&[]).path(), &["labs::any", "-R"], &user).expect(0, &["1 passed"]);
    run_in(reserved(&[]).path(), &["labs::any", "--list"], &user).expect(0, &["[bench] labs::any: test"]);
}

#[test]
fn a_reservation_backend_that_is_down_is_1_and_names_the_way_round() {
    let dir = reserved(&[]);
    fs::remove_file(dir.path().join("reservations.json")).unwrap();
    let said = run_in(dir.path(), &["labs::any", "--lab", "bench"], &[]);
    said.expect(1, &["-R"]);
    assert!(said.out.is_empty(), "{}", said.out);
}

#[test]
fn tests_of_one_lab_take_turns() {
    let said = run(&["labs::on_bench", "--lab", "bench", "--test-threads", "4"]);
    said.expect(0, &["2 passed"]);
    let turns: Vec<_> = said.err.lines().filter_map(|line| line.strip_prefix("on_bench ")).collect();
    assert_eq!(turns, ["begins", "ends", "begins", "ends"]);
}

#[test]
fn usage() {
    run(&["--test-threads", "0"]).expect(2, &["--test-threads must not be 0"]);
    run_in(project().path(), &[], &[("RUST_TEST_THREADS", "0")]).expect(2, &["RUST_TEST_THREADS must not be 0"]);
    run(&["--nosuch"]).expect(2, &["unknown flag `--nosuch`"]);
    let said = run(&["--help"]);
    said.expect(0, &["Flags of libtest:", "Flags of otto:", "--lab LAB", "OTTO_LAB"]);
    run(&["ends::passes", "--no-capture", "--nocapture", "--report-time"])
        .expect(0, &["1 passed", "--report-time is not supported"]);
    run(&["--list-labs"]).expect(0, &["bench\n", "rack\n", "sim\n"]);
    run(&["--lab-schema"]).expect(0, &["\"$schema\"", "\"os_profiles\"", "\"serial_options\""]);
    run(&["--list-hosts", "--lab", "rack,bench"]).expect(0, &["rack\track1\nbench\tbench1\n"]);
}

#[test]
fn several_filters_and_the_count_of_the_rest() {
    let said = run(&["ends::passes", "labs::any", "--skip", "nothing"]);
    said.expect(0, &["running 2 tests", "2 passed", "ends::passes", "labs::any"]);
    let filtered = said.out.split("measured; ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert_eq!(filtered.parse(), Ok(19_u32), "{}", said.out);
}

#[test]
fn fail_fast_begins_nothing_more() {
    let said = run(&["ends::fails", "waits::not_begun", "--fail-fast", "--test-threads=1"]);
    said.expect(101, &["1 failed; 1 ignored", "ignored (--fail-fast: a test failed before it)"]);
}

#[test]
fn a_list_is_names_alone_and_survives_a_closed_pipe() {
    let said = run(&["--list", "--format", "terse"]);
    said.expect(0, &[]);
    assert!(said.out.lines().count() > 15 && said.out.lines().all(|line| line.ends_with(": test")), "{}", said.out);
    assert!(said.err.is_empty(), "{}", said.err);
    let ignored = run(&["--list", "--format", "terse", "--ignored"]);
    assert!(ignored.out.contains("ends::is_ignored: test") && !ignored.out.contains("ends::passes"), "{}", ignored.out);

    for arguments in [&["--list"][..], &["ends::passes"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let said = Said::from(command(FIXTURE, project().path(), arguments).stdout(writer).output().unwrap());
        assert!(!said.err.contains("panicked"), "{}", said.err);
        assert_eq!(said.code, if arguments == ["--list"] { 0 } else { 101 }, "{}", said.err);
    }
}

#[test]
fn no_tests_at_all_is_a_failure_that_says_what_to_write() {
    let dir = project();
    Said::from(command(EMPTY, dir.path(), &[]).output().unwrap())
        .expect(101, &["no test is registered", "#[otto::test]", "otto::main!(my_suite)"]);
    let listed = Said::from(command(EMPTY, dir.path(), &["--list"]).output().unwrap());
    listed.expect(0, &[]);
    assert!(listed.out.is_empty());
}

#[test]
fn nextest_finds_one_test_and_the_message_on_stderr() {
    let nextest = [("NEXTEST", "1")];
    let dir = project();
    let said = run_in(dir.path(), &["--exact", "[sim] ends::fails", "--nocapture"], &nextest);
    said.expect(
        101,
        &["OTTO_LAB=sim cargo nextest run -p otto-tests --bin harness_fixture -- --exact '[sim] ends::fails'"],
    );
    assert!(said.err.lines().any(|line| line == "Error: the route is missing"), "{}", said.err);
    let said = run_in(dir.path(), &["--exact", "ends::nosuch", "--nocapture"], &nextest);
    said.expect(101, &["nextest asked for one test, and 0 fit"]);
}

/// Starts a test, waits until it says that it waits, and sends it signals.
fn interrupt(arguments: &[&str], signals: &[Signal]) -> (Said, Duration) {
    let dir = project();
    let mut child =
        command(FIXTURE, dir.path(), arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    while !text.ends_with("waiting\n") {
        assert!(err.read_line(&mut text).unwrap() > 0, "{text}");
    }
    let began = Instant::now();
    for (at, signal) in signals.iter().enumerate() {
        if at > 0 {
            while !text.contains("interrupted by signal") {
                assert!(err.read_line(&mut text).unwrap() > 0, "{text}");
            }
        }
        kill_process(pid(&child), *signal).unwrap();
    }
    err.read_to_string(&mut text).unwrap();
    let mut said = Said::from(child.wait_with_output().unwrap());
    said.err = text;
    (said, began.elapsed())
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

#[test]
fn the_first_signal_tears_down() {
    for (signal, code, name) in
        [(Signal::INT, 130, "SIGINT"), (Signal::TERM, 143, "SIGTERM"), (Signal::HUP, 129, "SIGHUP")]
    {
        let (said, took) = interrupt(&["waits::for_a_signal", "waits::not_begun", "--test-threads=1"], &[signal]);
        said.expect(code, &["dropped for_a_signal", &format!("interrupted by {name}"), "ignored (interrupted)"]);
        assert!(!said.err.contains("not_begun was begun") && took < Duration::from_secs(5), "{took:?}");
    }
}

#[test]
fn one_that_blocks_is_interrupted_all_the_same() {
    let (said, took) = interrupt(&["waits::deaf"], &[Signal::INT]);
    said.expect(130, &["interrupted by SIGINT; it did not yield"]);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn the_second_signal_leaves_at_once() {
    let (said, took) = interrupt(&["waits::deaf"], &[Signal::INT, Signal::TERM]);
    said.expect(143, &[]);
    assert!(took < Duration::from_millis(900) && said.out.lines().count() < 4, "{took:?} {}", said.out);
}
