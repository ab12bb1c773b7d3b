//! Runs of a suite in several processes, which hold what they use by leases in a folder.

use std::fs;
use std::time::{Duration, Instant};

use otto::reservations::{Holder, Leases};
use otto_tests::suite::{Project, Running};
use rustix::process::Signal;

const SUITE: &str = env!("CARGO_BIN_EXE_lease_fixture");

fn project() -> Project {
    let lab = "lab = \"bench\"\n[[hosts]]\nid = \"router1\"\nterm = \"local\"\n[[hosts]]\nid = \"router2\"\nterm = \"local\"\n";
    let project = Project::with_labs(&[lab]);
    project.write(
        "otto.toml",
        "[lab]\npaths = [\"labs\"]\ndefault = [\"bench\"]\n[reservations]\nbackend = \"sqlite\"\npath = \"leases\"\n",
    );
    project
}

/// One test of it, in a process of its own.
fn start(project: &Project, test: &str) -> Running {
    project.start(SUITE, &["--exact", test, "--output-dir", "out"], &[])
}

#[test]
fn one_waits_and_sees_who_holds_it_and_the_disjoint_overlap() {
    let project = project();
    let mut one = start(&project, "one");
    one.wait_for("one has it");
    let mut again = start(&project, "one");
    again.wait_for(&format!("(test [bench] one, pid {} on ", one.pid()));
    let mut other = start(&project, "other");
    other.wait_for("other has it");
    let mut whole = start(&project, "whole");
    whole.wait_for("otto: test [bench] whole waits: ");
    project.go();
    for running in [one, other, again, whole] {
        running.end().expect(0, &["1 passed"]);
    }
    // The number is where one looks when two runs seem to have been at a host at once.
    let transcripts: Vec<_> = walk(&project.path().join("out"));
    assert!(transcripts.iter().any(|text| text.contains("! under lease ")), "{transcripts:?}");
    project.assert_nothing_left(&[]);
}

fn walk(folder: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![fs::read_to_string(path).unwrap()] }).collect()
}

#[test]
fn a_holder_that_is_killed_or_interrupted_frees_at_once() {
    let project = project();
    for signal in [Signal::KILL, Signal::INT] {
        let mut one = start(&project, "one");
        one.wait_for("one has it");
        let mut next = start(&project, "whole");
        next.wait_for("otto: test [bench] whole waits: ");
        let began = Instant::now();
        one.signal(signal);
        next.wait_for("whole has it");
        // Far below the time that a lease lasts which nobody renews.
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
        drop(one);
        next.signal(Signal::INT);
        next.end().expect(130, &["interrupted by SIGINT"]);
    }
    // Also while it waits.
    let mut one = start(&project, "one");
    one.wait_for("one has it");
    let mut next = start(&project, "one");
    next.wait_for("waits: ");
    next.signal(Signal::INT);
    next.end().expect(130, &["ignored"]);
    project.go();
    one.end().expect(0, &["1 passed"]);
    project.assert_nothing_left(&[]);
}

#[tokio::test]
async fn a_test_whose_lease_is_stolen_is_stopped_as_reservation_lost() {
    let project = project();
    let mut one = project.start(SUITE, &["--exact", "one", "--events", "events.jsonl"], &[]);
    one.wait_for("one has it");
    let leases = Leases::sqlite(project.path().join("leases")).unwrap();
    let held = leases.list().await.unwrap();
    let lease = held.iter().find(|lease| lease.items.keys().any(|item| item.contains("router1"))).expect("it is held");
    leases.steal(lease.fence, &Holder::of_this_process("boss", "repair"), "the rack is on fire").await.unwrap();
    let said = tokio::task::spawn_blocking(move || one.end()).await.unwrap();
    said.expect(101, &["reservation lost: ", "the rack is on fire"]);
    let events = fs::read_to_string(project.path().join("events.jsonl")).unwrap();
    assert!(events.contains("\"verdict\":\"reservation lost\""), "{events}");
    assert!(events.contains(&format!("\"fence\":{}", lease.fence)), "{events}");
    project.assert_nothing_left(&[]);
}

#[test]
fn without_a_place_for_leases_nothing_runs() {
    let project = project();
    project.write("leases", "no folder");
    project.run(SUITE, &["--exact", "one"], &[]).expect(1, &["leases", "-R"]);
    project.go();
    // The way out is loud.
    project.run(SUITE, &["--exact", "one", "-R"], &[]).expect(0, &["1 passed", "WARNING"]);
}
