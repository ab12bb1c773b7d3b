//! A suite on real hosts whose tests end in every way: the verdicts are right, and nothing is left on either side.

use std::net::TcpListener;
use std::time::Duration;

use otto_tests::sshd::Sshd;
use otto_tests::suite::Project;
use rstest::rstest;
use rustix::process::Signal;

const SUITE: &str = env!("CARGO_BIN_EXE_lab_fixture");

/// A server as the host `server` of the lab `bed`, and a project that has it.
fn bed() -> (Sshd, Project) {
    let server = Sshd::start();
    let project = Project::with_labs(&[&server.lab_toml()]);
    (server, project)
}

#[test]
fn every_way_to_end_has_its_verdict_and_leaves_nothing() {
    let (server, project) = bed();
    let arguments = ["a_first::", "ends::", "z_last::", "--lab", "bed", "--test-threads", "1"];
    let said = project.run(SUITE, &arguments, &[]);
    project.assert_nothing_left(&[&server]);
    said.expect(
        101,
        &[
            "as before",
            "no route to the peer",
            "before any await",
            "after an await",
            "timed out: not done within 3s",
            "timed out: it was not done within 3s and did not yield",
            "test result: FAILED. 4 passed; 5 failed; 1 ignored;",
        ],
    );
    for (name, verdict) in [
        ("a_first::counts", "ok"),
        ("ends::blocks", "FAILED"),
        ("ends::fails", "FAILED"),
        ("ends::is_ignored", "ignored"),
        ("ends::panics_at_once", "FAILED"),
        ("ends::panics_later", "FAILED"),
        ("ends::passes", "ok"),
        ("ends::should_panic", "ok"),
        ("ends::times_out", "FAILED"),
        ("z_last::counts", "ok"),
    ] {
        let line = said.out.lines().find(|line| line.contains(&format!(" {name} "))).unwrap_or_default();
        assert!(line.contains(&format!("... {verdict}")), "{name}: {line:?}\n{}{}", said.out, said.err);
    }
    // The hosts of all of them were closed in time, or the report would say which were not.
    assert!(!said.out.contains("left open") && !said.err.contains("passed, but"), "{}{}", said.out, said.err);
}

#[rstest]
#[case("waits::for_a_signal", Signal::INT, 130, "interrupted by SIGINT")]
#[case("waits::for_a_signal", Signal::TERM, 143, "interrupted by SIGTERM")]
#[case("waits::deaf", Signal::INT, 130, "interrupted by SIGINT; it did not yield")]
#[case("waits::deaf", Signal::TERM, 143, "interrupted by SIGTERM; it did not yield")]
fn a_signal_during_a_test_closes_the_hosts(
    #[case] test: &str,
    #[case] signal: Signal,
    #[case] code: i32,
    #[case] says: &str,
) {
    let (server, project) = bed();
    let arguments = [test, "waits::not_begun", "--lab", "bed", "--test-threads=1"];
    let mut running = project.start(SUITE, &arguments, &[]);
    running.wait_for("waiting\n");
    running.signal(signal);
    let said = running.end();
    said.expect(code, &[says, "1 failed"]);
    said.within(Duration::from_secs(8));
    assert!(!said.err.contains("not_begun was begun") && !said.out.contains("left open"), "{}", said.out);
    project.assert_nothing_left(&[&server]);
}

#[rstest]
#[case(Signal::INT, 130)]
#[case(Signal::TERM, 143)]
fn a_signal_during_connecting_gives_it_up(#[case] signal: Signal, #[case] code: i32) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let lab =
        format!("lab = \"hangs\"\n[[hosts]]\nid = \"mute\"\nip = \"127.0.0.1\"\nport = {port}\nuser = \"nobody\"\n");
    let project = Project::with_labs(&[&lab]);
    let mut running = project.start(SUITE, &["waits::to_connect", "--lab", "hangs"], &[]);
    running.wait_for("waiting\n");
    let (_connection, _) = listener.accept().unwrap();
    running.signal(signal);
    let said = running.end();
    said.expect(code, &["interrupted by SIG", "1 failed"]);
    said.within(Duration::from_secs(3));
    project.assert_nothing_left(&[]);
}

#[rstest]
#[case(&[Signal::INT], 130)]
#[case(&[Signal::TERM], 143)]
#[case(&[Signal::INT, Signal::INT], 130)]
#[case(&[Signal::INT, Signal::TERM], 143)]
fn a_signal_during_teardown_waits_for_it_and_a_second_does_not(#[case] signals: &[Signal], #[case] code: i32) {
    let (server, project) = bed();
    let mut running = project.start(SUITE, &["waits::until_told", "--lab", "bed"], &[]);
    running.wait_for("waiting\n");
    server.freeze();
    project.go();
    // By now the host is being closed, which does not get anywhere.
    std::thread::sleep(Duration::from_millis(500));
    for (number, signal) in signals.iter().enumerate() {
        if number > 0 {
            running.wait_for("once more leaves at once");
        }
        running.signal(*signal);
    }
    let said = running.end();
    server.thaw();
    said.expect(code, &[]);
    if signals.len() == 1 {
        said.within(Duration::from_secs(9));
        said.expect(code, &["did not close in time and were dropped: server"]);
    } else {
        said.within(Duration::from_secs(1));
    }
    project.assert_only_orphans_left(&[&server]);
}

#[test]
fn a_second_signal_during_a_test_leaves_at_once() {
    let (server, project) = bed();
    let mut running = project.start(SUITE, &["waits::deaf", "--lab", "bed"], &[]);
    running.wait_for("waiting\n");
    running.signal(Signal::INT);
    running.wait_for("once more leaves at once");
    running.signal(Signal::INT);
    let said = running.end();
    said.expect(130, &[]);
    said.within(Duration::from_millis(900));
    project.assert_only_orphans_left(&[&server]);
}
