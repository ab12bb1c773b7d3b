//! What the harness costs: a thousand empty tests beside as many of bare libtest-mimic on as many threads, their list, and one
//! test in a process of its own, as nextest runs it, beside a process that does nothing: `cargo bench -p otto-tests --bench harness`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const MANY: &str = env!("CARGO_BIN_EXE_many_fixture");
const BARE: &str = env!("CARGO_BIN_EXE_bare_fixture");
const TESTS: u32 = 1000;
const ROUNDS: usize = 9;

fn main() {
    let project = tempfile::tempdir().expect("a folder for a project");
    std::fs::write(project.path().join("otto.toml"), "[lab]\ndefault = [\"local\"]\n").expect("it is written");
    let run = |binary: &str, arguments: &[&str]| {
        let mut command = Command::new(binary);
        command.args(arguments).current_dir(project.path()).env("CARGO_MANIFEST_DIR", project.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let began = Instant::now();
        let status = command.status().expect("the suite starts");
        assert!(status.success(), "{binary} {arguments:?}");
        began.elapsed()
    };
    println!("{:<44}{:>10}{:>10}{:>12}", "median of 9", "otto", "bare", "difference");
    let show = |what: &str, otto: &[&str], bare: &[&str], tests: u32| {
        // One after the other, so that both see the same load.
        let rounds: Vec<_> = (0..ROUNDS).map(|_| (run(MANY, otto), run(BARE, bare))).collect();
        let otto = median(rounds.iter().map(|round| round.0).collect());
        let bare = median(rounds.iter().map(|round| round.1).collect());
        let more = otto.saturating_sub(bare) / tests;
        println!("{what:<44}{:>7.1} ms{:>7.1} ms{:>9.3} ms", millis(otto), millis(bare), millis(more));
    };
    for threads in ["1", "2", "8"] {
        let flags = ["--test-threads", threads];
        show(&format!("1,000 tests, {threads} threads (difference: one)"), &flags, &flags, TESTS);
    }
    show("--list of 1,000", &["--list"], &["--list"], 1);
    let one = ["--exact", "[local] a::a::a", "--nocapture"];
    show("one test in a process, beside an empty one", &one, &["--nothing"], 1);
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
