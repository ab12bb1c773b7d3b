//! Tests that use some hosts of a lab, seen from outside.

use otto_tests::bench_lab::project;
use otto_tests::suite::Said;

const SUITE: &str = env!("CARGO_BIN_EXE_select_fixture");

fn run(arguments: &[&str]) -> Said {
    project().run(SUITE, arguments, &[])
}

/// What the tests said of their beginnings and ends, in order.
fn turns(said: &Said) -> Vec<&str> {
    said.err.lines().filter(|line| line.ends_with(" begins") || line.ends_with(" ends")).collect()
}

#[test]
fn disjoint_tests_of_one_lab_run_side_by_side() {
    let said = run(&["--exact", "holds::one", "holds::other", "--test-threads", "4"]);
    said.expect(0, &["2 passed"]);
    let turns = turns(&said);
    assert!(turns[..2].iter().all(|turn| turn.ends_with("begins")), "{turns:?}");
}

#[test]
fn tests_of_one_host_and_of_the_whole_lab_take_turns() {
    for names in [["holds::one", "holds::one_too"], ["holds::one", "holds::the_lab"]] {
        let said = run(&[&["--exact", "--test-threads", "4"][..], &names].concat());
        said.expect(0, &["2 passed"]);
        let ends: Vec<_> = turns(&said).into_iter().map(|turn| turn.rsplit(' ').next().unwrap()).collect();
        assert_eq!(ends, ["begins", "ends", "begins", "ends"], "{}", said.err);
    }
}

#[test]
fn names_are_bound_to_hosts() {
    run(&["--exact", "holds::by_name"]).expect(0, &["1 passed"]);
}

#[test]
fn a_host_that_is_not_declared_is_refused_with_what_to_add() {
    run(&["--exact", "holds::undeclared"]).expect(
        101,
        &[
            "host `router2` of lab `bench` is not among the hosts that this test holds",
            "add `hosts(\"router2\")` to its attribute",
            "`shared(\"router2\")`",
            "it holds router1",
        ],
    );
}

#[test]
fn there_is_an_instance_for_each_host() {
    let said = run(&["--list", "holds::each"]);
    said.expect(0, &[]);
    let names: Vec<_> = said.out.lines().collect();
    assert_eq!(
        names,
        [
            "[bench] holds::each::router1: test",
            "[bench] holds::each::router2: test",
            "[bench] holds::each_of_none: test"
        ]
    );
    run(&["--exact", "holds::each"]).expect(0, &["2 passed", "each on router1", "each on router2"]);
    let said = run(&["--exact", "holds::each::router2"]);
    said.expect(0, &["1 passed", "each on router2"]);
}

#[test]
fn patterns_that_fit_nothing_fail_the_test_and_name_what_is_near() {
    let said = run(&["--exact", "holds::each_of_none"]);
    said.expect(
        101,
        &[
            "each_host = \"ruoter.*\"",
            "no host of lab `bench` fits `ruoter.*`",
            "its hosts: router1",
            "select_fixture.rs:",
        ],
    );
    let said = run(&["--exact", "holds::nothing_fits"]);
    said.expect(
        101,
        &[
            "hosts(\"ruoter1\"): no host of lab `bench` fits `ruoter1`",
            "its hosts: router1",
            "shared(\"tag:arch=amr\")",
            "the tags of its hosts: arch=arm",
            "shared(\"(\")",
            "is not a regex",
        ],
    );
    run(&["--exact", "holds::too_few"]).expect(101, &["lab `bench` has too few hosts"]);
}

#[test]
fn a_dry_run_shows_the_plan_and_runs_nothing() {
    let said = run(&["--dry-run", "holds::", "--test-threads", "2"]);
    said.expect(
        0,
        &[
            "nothing is run, and no host is contacted",
            "[bench] holds::by_name",
            "dut = router1, peer = router2, gw = dns1",
            "shares    dns1",
            "all of lab bench (5 hosts), for itself",
            "requires  rack3, router1",
            "fails     ",
            "after     ",
            "not checked",
            "ignored (dry run)",
            "0 passed; 0 failed",
        ],
    );
    assert!(turns(&said).is_empty() && !said.err.contains("each on"), "{}", said.err);
    // nextest would take an exit code of 0 for a pass, so there all of them are skipped.
    let listed = project().run(SUITE, &["--list", "--ignored", "holds::one"], &[("OTTO_DRY_RUN", "1")]);
    assert_eq!(listed.out.lines().count(), 2, "{}", listed.out);
}
