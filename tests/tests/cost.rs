//! What a `run` costs the process that makes it: allocations, system calls, memory, descriptors. Alone in its binary, because
//! all of them are counted for the whole process. The figures are in `docs/design/sessions.md`.

#![expect(clippy::print_stdout, reason = "the figures are for the design notes")]

use std::alloc::System;
use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use otto::{Host, Result};
use stats_alloc::{INSTRUMENTED_SYSTEM, Stats, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The most that one `run("true")` on this machine may allocate, in blocks.
const ALLOCATIONS: usize = 60;

/// The most system calls that it may make, when a tracer slows everything down so that no answer comes at once.
const SYSTEM_CALLS: usize = 12;

/// Says how many rounds [`rounds`] makes, for the process that is traced.
const ROUNDS: &str = "OTTO_COST_ROUNDS";

/// Files that are asked for around the rounds, as marks in the trace.
const MARKS: [&str; 2] = ["/otto-cost/begin", "/otto-cost/end"];

/// One test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

async fn some(host: &Host, rounds: usize) -> Result<()> {
    for _ in 0..rounds {
        assert!(host.run("true").await?.is_ok());
    }
    Ok(())
}

#[test]
fn a_run_makes_few_allocations_and_keeps_none() -> Result<()> {
    const RUNS: usize = 500;
    let _alone = alone();
    block_on(async {
        let host = Host::local();
        some(&host, 50).await?;
        let before = ALLOCATOR.stats();
        some(&host, RUNS).await?;
        let used = ALLOCATOR.stats() - before;
        let each = (used.allocations + used.reallocations).div_ceil(RUNS);
        println!("{each} allocations a run, {} bytes", used.bytes_allocated / RUNS);
        assert!(each <= ALLOCATIONS, "{each} allocations a run");
        assert!(kept(&used).unsigned_abs() < 4096, "{} bytes are kept after {RUNS} runs", kept(&used));
        host.close().await
    })
}

/// What was allocated and not freed.
fn kept(used: &Stats) -> isize {
    used.bytes_allocated.cast_signed() - used.bytes_deallocated.cast_signed() + used.bytes_reallocated
}

#[test]
fn after_thousands_of_runs_the_process_is_as_large_as_before() -> Result<()> {
    const RUNS: usize = 3000;
    let _alone = alone();
    block_on(async {
        let host = Host::local();
        some(&host, 300).await?;
        let (memory, descriptors, used) = (resident(), descriptors(), ALLOCATOR.stats());
        some(&host, RUNS).await?;
        let grown = resident().saturating_sub(memory);
        assert!(grown < 1000, "{grown} kB more after {RUNS} runs");
        assert_eq!(self::descriptors(), descriptors);
        let used = ALLOCATOR.stats() - used;
        assert!(kept(&used).unsigned_abs() < 4096, "{} bytes are kept after {RUNS} runs", kept(&used));
        host.close().await
    })
}

/// In kB.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("/proc").count()
}

/// Traced by the test below; by itself, a few runs that have to be right.
#[test]
fn rounds() -> Result<()> {
    let _alone = alone();
    let rounds = std::env::var(ROUNDS).map_or(5, |rounds| rounds.parse().expect("a number"));
    block_on(async {
        let host = Host::local();
        some(&host, 20).await?;
        assert!(fs::metadata(MARKS[0]).is_err());
        some(&host, rounds).await?;
        assert!(fs::metadata(MARKS[1]).is_err());
        host.close().await
    })
}

#[test]
fn a_run_makes_few_system_calls() {
    const RUNS: usize = 200;
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let trace = folder.path().join("trace");
    let this = std::env::current_exe().expect("a path");
    let mut command = Command::new("strace");
    command.args(["-f", "-o"]).arg(&trace).arg(this).args(["--exact", "rounds"]).env(ROUNDS, RUNS.to_string());
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => panic!("strace is missing: apt-get install strace"),
        output => output.expect("strace"),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let trace = fs::read_to_string(trace).expect("a trace");
    let (begin, end) = (position(&trace, MARKS[0]), position(&trace, MARKS[1]));
    // The shell's own calls are not ours.
    let shells: HashSet<&str> = trace
        .lines()
        .filter(|line| line.contains("execve(") && line.contains("bash"))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(!shells.is_empty(), "no shell was seen to start");
    let calls = trace.lines().skip(begin + 1).take(end - begin - 1).filter(|line| {
        let mut words = line.split_whitespace();
        let ours = words.next().is_some_and(|process| !shells.contains(process));
        ours && words.next().is_some_and(|word| word.starts_with(|first: char| first.is_ascii_lowercase()))
    });
    let each = calls.count().div_ceil(RUNS);
    println!("{each} system calls a run, under a tracer");
    assert!((3..=SYSTEM_CALLS).contains(&each), "{each} system calls a run");
}

/// The line of the trace in which a mark stands.
fn position(trace: &str, mark: &str) -> usize {
    trace.lines().position(|line| line.contains(mark)).expect("a mark")
}
