//! SIGINT, SIGTERM and SIGHUP: the first ends the run in order, the second at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::transport::local::kill_all;

/// The first signal that came; 0 before.
static FIRST: LazyLock<watch::Sender<i32>> = LazyLock::new(|| watch::channel(0).0);

/// When it came.
static SINCE: OnceLock<Instant> = OnceLock::new();

/// How long after a signal the process should be gone by itself: nextest kills it after 10 s.
const GRACE: Duration = Duration::from_secs(9);

/// Whether the process is left after the first signal once no test runs any more.
static LEAVE_WHEN_IDLE: AtomicBool = AtomicBool::new(false);

/// How many tests are between setup and the end of teardown.
static RUNNING: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::channel(0).0);

/// The signal that ends this run, if one came.
pub(super) fn received() -> Option<i32> {
    Some(*FIRST.borrow()).filter(|number| *number != 0)
}

/// What a teardown that begins now may take: its budget; after a signal no more than is left of nextest's 10 s.
pub(super) fn left_for_teardown(budget: Duration) -> Duration {
    match SINCE.get() {
        Some(since) => budget.min(GRACE.saturating_sub(since.elapsed())).max(Duration::from_secs(1)),
        None => budget,
    }
}

/// Waits for a signal, and says which.
pub(super) async fn interrupted() -> i32 {
    let mut first = FIRST.subscribe();
    match first.wait_for(|number| *number != 0).await {
        Ok(number) => *number,
        // The sender is a static.
        Err(_) => std::future::pending().await,
    }
}

/// A test that is being run, as far as leaving the process is concerned.
#[derive(Debug)]
pub(super) struct Running;

impl Running {
    pub(super) fn begin() -> Self {
        RUNNING.send_modify(|running| *running += 1);
        Self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.send_modify(|running| *running -= 1);
    }
}

/// Begins to listen. Under libtest, whose `main` knows nothing of signals, `leave_when_idle` ends the process as soon as
/// the tests that were running have been torn down.
pub(super) fn listen(leave_when_idle: bool) {
    static LISTENING: OnceLock<()> = OnceLock::new();
    LISTENING.get_or_init(|| {
        LEAVE_WHEN_IDLE.store(leave_when_idle, Ordering::Relaxed);
        let (ready, begun) = mpsc::channel::<()>();
        // A thread and a runtime of its own: tests that block every worker of the shared one must not take ^C with them.
        let thread = thread::Builder::new().name("otto-signals".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
            if let Err(error) = runtime.and_then(|runtime| runtime.block_on(watch_signals(ready))) {
                warn_of(&error);
            }
        });
        match thread {
            Ok(_) => _ = begun.recv(),
            Err(error) => warn_of(&error),
        }
    });
}

fn warn_of(error: &std::io::Error) {
    eprintln!("otto: cannot listen for signals, so an interrupted run will not close its hosts: {error}");
}

async fn watch_signals(ready: mpsc::Sender<()>) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // Under nohup a hang-up is meant to be survived.
    let mut hangup = if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) };
    drop(ready);
    loop {
        let number = tokio::select! {
            _ = interrupt.recv() => SignalKind::interrupt(),
            _ = terminate.recv() => SignalKind::terminate(),
            () = async { match &mut hangup { Some(hangup) => _ = hangup.recv().await, None => std::future::pending().await } } => SignalKind::hangup(),
        }
        .as_raw_value();
        if received().is_some() {
            // Nobody waits for anything now, but what is on this machine can be ended without waiting.
            kill_all();
            super::progress::restore();
            super::exit::unguard();
            std::process::exit(128 + number);
        }
        SINCE.get_or_init(Instant::now);
        FIRST.send_replace(number);
        eprintln!("\notto: interrupted by signal {number}: closing hosts; once more leaves at once");
        if LEAVE_WHEN_IDLE.load(Ordering::Relaxed) {
            tokio::spawn(async move {
                let _ = RUNNING.subscribe().wait_for(|running| *running == 0).await;
                super::exit::unguard();
                std::process::exit(128 + number);
            });
        }
    }
}

/// Whether this process was started with SIGHUP ignored.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
}
