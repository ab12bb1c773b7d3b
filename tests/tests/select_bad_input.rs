//! What the harness answers to mistakes, and to places that it cannot write to.

use std::fmt::Write as _;
use std::fs;

use otto_tests::bench_lab::{LAB, project};
use otto_tests::suite::{Project, command};
use rstest::rstest;

const SUITE: &str = env!("CARGO_BIN_EXE_select_fixture");
const SAME: &str = env!("CARGO_BIN_EXE_harness_same_names");

#[rstest]
#[case(&["--tag", "!"], "--tag is `!`, which leaves a tag without a name")]
#[case(&["--retries", "many"], "--retries is `many`, which is not a number")]
#[case(&["--iterations", "0"], "--iterations must not be 0")]
#[case(&["--duration", "soon"], "--duration: `soon` is no duration")]
#[case(&["--threshold", "200", "--iterations", "2"], "--threshold is `200`, which is no share in per cent")]
#[case(&["--threshold", "50"], "`--threshold` is a share of iterations")]
#[case(&["--flaky", "perhaps"], "--flaky is `perhaps`; it may be pass or fail")]
#[case(&["--retries", "2", "--iterations", "3"], "`--retries` and `--iterations` exclude each other")]
#[case(&["--list", "--list-hosts"], "`--list` and `--list-hosts` exclude each other")]
#[case(&["--ignored", "--include-ignored"], "`--ignored` and `--include-ignored` exclude each other")]
#[case(&["--junit="], "--junit names no file")]
#[case(&["--retry", "2"], "unknown flag `--retry`; did you mean `--retries`?")]
#[case(&["--treshold", "2"], "unknown flag `--treshold`; did you mean `--threshold`?")]
#[case(&["--timeout", "1s", "--timeout", "2s"], "`--timeout` is given twice")]
fn a_mistake_is_one_line_and_2(#[case] arguments: &[&str], #[case] says: &str) {
    let said = project().run(SUITE, arguments, &[]);
    said.expect(2, &[says]);
    assert!(said.out.is_empty() && said.err.lines().count() == 1, "{}{}", said.out, said.err);
}

#[test]
fn the_same_in_a_variable_names_the_variable() {
    for (name, value) in
        [("OTTO_RETRIES", "x"), ("OTTO_THRESHOLD", "0"), ("OTTO_FAIL_FAST", "maybe"), ("OTTO_TAG", ",")]
    {
        project().run(SUITE, &[], &[(name, value)]).expect(2, &[name]);
    }
}

#[test]
fn two_tests_of_one_name_are_refused_with_both_places() {
    for arguments in [&[][..], &["--list"]] {
        let said = Project::new().run(SAME, arguments, &[]);
        said.expect(2, &["two tests have the name `[local] boots`", "first.rs:7", "second.rs:9"]);
        assert!(said.out.is_empty(), "{}", said.out);
    }
}

#[rstest]
#[case("--output-dir")]
#[case("--junit")]
#[case("--report")]
#[case("--events")]
fn what_cannot_be_written_fails_the_run_after_the_tests(#[case] flag: &str) {
    let project = project();
    project.write("taken", "");
    let said = project.run(SUITE, &["--exact", "attempts::passes", flag, "taken/there"], &[]);
    said.expect(101, &["1 passed", "taken/there"]);
}

#[test]
fn listing_ten_thousand_hosts_is_quick() {
    let mut lab = "lab = \"bench\"\nhosts = [\n".to_owned();
    for number in 0..10_000 {
        let (high, low) = (number / 256, number % 256);
        writeln!(lab, "    {{ id = \"router{number}\", ip = \"10.0.{high}.{low}\" }},").unwrap();
    }
    lab.push_str("]\n");
    let project = Project::with_labs(&[&lab]);
    let said = project.run(SUITE, &["--list", "--lab", "bench", "holds::each::"], &[]);
    said.expect(0, &["[bench] holds::each::router9999: test"]);
    assert_eq!(said.out.lines().count(), 10_000);
}

#[test]
fn listing_contacts_nothing_and_reads_the_labs_alone() {
    let project = Project::with_labs(&[LAB, "lab = 'other'\n[[hosts]]\nid = 'x'\nip = '127.0.0.1'\n"]);
    project.write("labs/secret.key", "not to be read");
    let log = project.path().join("strace.log");
    let mut strace = command("strace", project.path(), &["-f", "-qq", "-e", "trace=connect,socket,openat,open"]);
    strace.arg("-o").arg(&log).arg(SUITE).args(["--list", "--lab", "bench"]);
    let said = strace.output().unwrap_or_else(|error| panic!("strace ({error}): apt-get install strace"));
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    assert!(String::from_utf8_lossy(&said.stdout).contains("[bench] holds::each::router2: test"));
    let calls = fs::read_to_string(&log).unwrap();
    assert!(!calls.contains("connect(") && !calls.contains("socket("), "{calls}");
    let root = project.path().display().to_string();
    let opened: Vec<_> =
        calls.lines().filter(|call| !call.contains("ENOENT")).filter_map(|call| call.split('"').nth(1)).collect();
    let ours = |path: &&str| path.starts_with(&root);
    // The loader's and the standard library's own files.
    let system = |path: &&str| {
        ["/lib", "/usr/lib", "/etc/ld.so", "/proc/", "/sys/", "/dev/"].iter().any(|of| path.starts_with(of))
    };
    let strange: Vec<_> =
        opened.iter().filter(|path| !ours(path) && !system(path) && !path.contains("/target")).collect();
    assert!(strange.is_empty(), "{strange:?}");
    let read: Vec<_> = opened.iter().filter(|path| ours(path)).map(|path| &path[root.len()..]).collect();
    assert!(
        read.iter().all(|path| ["/otto.toml", "/labs", "/labs/lab1.toml", "/labs/lab2.toml"].contains(path)),
        "{read:?}"
    );
}
