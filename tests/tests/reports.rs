//! What is written of a run, read by those who are to read it: an XML parser, a JSON parser, a browser.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use otto_tests::suite::{Project, Said};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus};
use serde_json::Value;

const SUITE: &str = env!("CARGO_BIN_EXE_report_fixture");

/// A run with all reports, of the tests that are not slow.
struct Written {
    project: Project,
    said: Said,
}

impl Written {
    fn of(arguments: &[&str]) -> Self {
        let project = Project::new();
        let all = [
            "--junit",
            "out/junit.xml",
            "--report",
            "out/run.html",
            "--events",
            "events.jsonl",
            "--skip",
            "slow::",
            "--skip",
            "unsure::",
        ];
        let said = project.run(SUITE, &[&all, arguments].concat(), &[]);
        project.assert_nothing_left(&[]);
        Self { project, said }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.project.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}\n{}", self.said.err))
    }

    fn junit(&self) -> Report {
        Report::deserialize_from_str(&self.read("out/junit.xml")).unwrap()
    }

    fn events(&self) -> Vec<Value> {
        self.read("events.jsonl").lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }
}

fn case<'r>(report: &'r Report, name: &str) -> &'r TestCase {
    let mut cases = report.test_suites.iter().flat_map(|suite| &suite.test_cases);
    cases.find(|case| case.name.as_str() == name).unwrap_or_else(|| panic!("no {name}"))
}

fn failure(report: &Report, name: &str) -> String {
    match &case(report, name).status {
        TestCaseStatus::NonSuccess { kind: NonSuccessKind::Failure, description: Some(text), .. } => {
            text.as_str().to_owned()
        }
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn all_reports_of_one_run() {
    let written = Written::of(&["--output-dir", "logs"]);
    written.said.expect(101, &["JUnit: out/junit.xml", "report: out/run.html", "events: events.jsonl"]);

    let junit = written.junit();
    assert_eq!((junit.tests, junit.failures, junit.errors, junit.skipped), (8, 4, 0, 1));
    let text = failure(&junit, "bad::command");
    for part in [
        "`printf",
        "exited with 3",
        "host:         local, session default, command 2 of 2",
        "result:       exit 3 after",
        "files:        logs/local/bad.command: local.default.log",
        "run it again: cargo run -p otto-tests --bin report_fixture -- --exact bad::command --lab local",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    // The error quotes the output already.
    assert!(text.contains("  | to make it") && !text.contains("output:"), "{text}");
    let text = failure(&junit, "bad::assertion");
    for part in
        ["panicked at tests/src/bin/report_fixture.rs:", "the answer", "last command: echo 41", "output:       | 41"]
    {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    let text = failure(&junit, "bad::stuck");
    for part in [
        "timed out: not done within 1.5s",
        "it was at:",
        "`echo at work; sleep 4321` in session worker, for 1.",
        "| at work",
        "`sleep 4322` in session oneshot",
        "then killed",
        "`echo waiting; sleep 4323` in session default",
        "| waiting",
        "then stopped and seen to be gone",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    let out = case(&junit, "ok::passes").system_out.as_ref().unwrap().as_str().to_owned();
    assert!(out.contains("local [default] $ seq 3\n  | 1\n  | 2\n  | 3\n  = exit 0 after"), "{out}");
    assert!(out.contains("local [oneshot] $ uname -s\n  | Linux"), "{out}");
    assert!(
        matches!(&case(&junit, "ok::is_ignored").status, TestCaseStatus::Skipped { message: Some(why), .. } if why.as_str() == "needs the new PSU")
    );

    events_tell_it_in_order(&written.events());

    let html = written.read("out/run.html");
    assert!(html.contains("4 of 7 failed") && html.contains("Transcript <code>local.default.log"));
    looks_well_in_a_browser(&written.path("out/run.html"), 8, "&lt;/script&gt;&lt;img src=x");
}

fn events_tell_it_in_order(events: &[Value]) {
    let of = |name: &str| events.iter().filter(|event| event["event"] == name).collect::<Vec<_>>();
    assert!(events.iter().all(|event| event["v"] == 1 && event["run"] == events[0]["run"]));
    assert_eq!((events[0]["event"].as_str(), &events[0]["tests"]), (Some("run-start"), &Value::from(8)));
    let last = events.last().unwrap();
    assert_eq!((last["event"].as_str(), last["exit"].as_u64()), (Some("run-end"), Some(101)));
    assert_eq!((of("test-start").len(), of("test-end").len(), of("attempt-end").len()), (7, 8, 7));
    // Of one test, from its start to its end.
    let story: Vec<_> = events.iter().filter(|event| event["test"] == "bad::command").collect();
    let names: Vec<_> = story.iter().map(|event| event["event"].as_str().unwrap()).collect();
    let expected = [
        "test-start",
        "attempt-start",
        "host-opened",
        "command-start",
        "command-end",
        "command-start",
        "command-end",
        "host-closed",
        "attempt-end",
        "test-end",
    ];
    assert_eq!(names, expected);
    assert_eq!((story[6]["ended"].as_str(), story[6]["id"].as_u64()), (Some("exit 3"), story[5]["id"].as_u64()));
    assert_eq!(story[6]["tail"], serde_json::json!(["no rule", "to make it"]));
    assert!(story[8]["failure"].as_str().unwrap().contains("exited with 3"));
    assert_eq!((story[9]["verdict"].as_str(), story[9]["ok"].as_bool()), (Some("failed"), Some(false)));
    // A command that was cut off begins and has no end.
    let cut = |event: &&&Value| event["command"].as_str().is_some_and(|command| command.contains("sleep 4323"));
    assert_eq!(of("command-start").iter().filter(cut).count(), 1);
    let id = of("command-start").iter().find(|event| cut(event)).unwrap()["id"].clone();
    assert!(!of("command-end").iter().any(|event| event["test"] == "bad::stuck" && event["id"] == id));
}

/// Has the page run in a real browser, whose script says whether it worked.
fn looks_well_in_a_browser(page: &Path, tests: usize, shows: &str) {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("timeout")
        .args(["120", "chromium"])
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("coreutils are there");
    let missing = output.status.code() == Some(127);
    assert!(!missing, "there is no chromium; install it with `apt-get install chromium`");
    let dom = String::from_utf8_lossy(&output.stdout);
    let root = dom.split_once("<html").and_then(|(_, rest)| rest.split_once('>')).map(|(root, _)| root.to_owned());
    let root = root.unwrap_or_else(|| panic!("no page: {}", String::from_utf8_lossy(&output.stderr)));
    assert!(root.contains(&format!("data-ready=\"{tests}\"")) && !root.contains("data-error"), "{root}");
    // What the hosts wrote is text: it made no element, and ran nothing.
    assert!(!dom.contains("<img") && !dom.contains("<title>1<"), "a host's output became markup");
    assert!(dom.contains(shows), "no {shows}");
}

#[test]
fn variables_do_as_well_and_a_pass_is_told_too() {
    let project = Project::new();
    let to = [("OTTO_JUNIT", "a.xml"), ("OTTO_REPORT", "a.html"), ("OTTO_EVENTS", "a.jsonl")];
    let said = project.run(SUITE, &["ok::passes"], &to);
    said.expect(0, &["JUnit: a.xml"]);
    let html = fs::read_to_string(project.path().join("a.html")).unwrap();
    assert!(html.contains("1 test passed") && html.contains("seq 3"));
    let again = project.run(SUITE, &["ok::passes"], &to);
    again.expect(0, &[]);
    let events = fs::read_to_string(project.path().join("a.jsonl")).unwrap();
    assert_eq!(events.matches("\"run-end\"").count(), 2, "the second run adds to the file");
}

#[test]
fn what_cannot_be_written_fails_the_run_and_no_test() {
    for (arguments, says) in [
        (["--junit", "/proc/no/junit.xml"], "the JUnit cannot be written to /proc/no/junit.xml"),
        (["--report", "/dev/full"], "the report cannot be written to /dev/full"),
        (["--events", "/dev/full"], "the event file /dev/full cannot be written any more: No space left"),
        (["--events", "no/such/folder"], "the event file no/such/folder cannot be opened"),
    ] {
        let said = Project::new().run(SUITE, &[&arguments[..], &["--exact", "ok::runs_nothing"]].concat(), &[]);
        said.expect(101, &["1 passed; 0 failed", says]);
    }
    let said = Project::new().run(SUITE, &["--junit", ""], &[]);
    said.expect(2, &["--junit names no file"]);
}

#[test]
fn under_nextest_each_process_adds_its_events_and_writes_no_junit() {
    let project = Project::new();
    let variables =
        [("NEXTEST", "1"), ("NEXTEST_RUN_ID", "6d2f1c0e"), ("OTTO_EVENTS", "e.jsonl"), ("OTTO_JUNIT", "j.xml")];
    for test in ["ok::passes", "ok::runs_nothing"] {
        let name = format!("[local] {test}");
        project.run(SUITE, &["--exact", &name, "--nocapture"], &variables).expect(0, &["nextest writes JUnit itself"]);
    }
    assert!(!project.path().join("j.xml").exists());
    let events = fs::read_to_string(project.path().join("e.jsonl")).unwrap();
    assert_eq!(events.matches("\"run\":\"6d2f1c0e\"").count(), events.lines().count());
    assert_eq!(events.matches("\"run-start\"").count(), 2);
}

#[test]
fn retries_and_iterations_are_told_of() {
    let project = Project::new();
    let arguments = ["--junit", "a.xml", "--report", "a.html", "--events", "a.jsonl", "unsure"];
    let said = project.run(SUITE, &[&arguments[..], &["--retries", "1"]].concat(), &[]);
    said.expect(0, &["otto: flaky, passed on a later attempt:\n    unsure::now_and_then (2 attempts): local: `echo round; (exit 1)`"]);
    let xml = fs::read_to_string(project.path().join("a.xml")).unwrap();
    assert!(xml.contains("<flakyFailure") && !xml.contains("<failure"), "{xml}");
    let events = fs::read_to_string(project.path().join("a.jsonl")).unwrap();
    assert!(
        events.contains("\"attempt\":2") && events.contains("\"verdict\":\"flaky\",\"ok\":true,\"attempts\":2"),
        "{events}"
    );

    let said = project.run(SUITE, &[&arguments[..], &["--iterations", "10", "--threshold", "95"]].concat(), &[]);
    said.expect(101, &["8/10"]);
    let html = fs::read_to_string(project.path().join("a.html")).unwrap();
    assert!(html.contains("<h2>Stability</h2>") && html.contains("8 of 10") && html.contains("80 %"));
    looks_well_in_a_browser(&project.path().join("a.html"), 1, "echo round");
    let report = Report::deserialize_from_str(&fs::read_to_string(project.path().join("a.xml")).unwrap()).unwrap();
    let unstable = case(&report, "unsure::now_and_then");
    assert!(
        matches!(&unstable.status, TestCaseStatus::NonSuccess { ty: Some(ty), .. } if ty.as_str() == "unstable"),
        "{unstable:?}"
    );
}
