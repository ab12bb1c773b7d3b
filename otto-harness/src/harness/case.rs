//! One test, from setup to teardown, on a thread of its own.
//!
//! Pass, `Err`, panic, time-out and signal take the same way out: the body's future is dropped, then the context is
//! closed. Setup, body and teardown have budgets of their own, so a slow teardown does not fail a fast test.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::panic::{self, Catch, Panicked};
use super::recorder::Recorder;
use super::registry::TestCase;
use super::report::{End, Left, Report};
use super::runtime::runtime;
use super::signals::{self, Running};
use super::watchdog::{self, Phase, Progress, Stuck};
use super::wiring::{self, Setting};
use crate::context::OttoContext;
use crate::lab::Lab;
use crate::redact::Redactor;

/// What opening a context may take. Hosts connect on first use, inside the body.
const SETUP: Duration = Duration::from_secs(30);
/// The limit of a body that has none of its own and is given none.
pub(super) const BODY: Duration = Duration::from_secs(300);
/// What closing may take: the scope's own 8 s, and a moment to report what was left. nextest kills 10 s after SIGTERM.
const TEARDOWN: Duration = Duration::from_millis(8500);

/// Runs a test on a lab. Its own limit is the more exact statement, so it wins over `limit`, which is the whole run's.
pub(super) fn run(case: &'static TestCase, name: &str, lab: Lab, setting: Setting, limit: Option<Duration>) -> Report {
    let _running = Running::begin();
    let limit = case.timeout.or(limit).unwrap_or(BODY);
    let progress = Arc::new(Progress::begin(SETUP));
    let (sender, result) = mpsc::channel();
    let redactor = Redactor::of_hosts(lab.hosts());
    let (recorder, output_dir) = (setting.recorder.clone(), setting.output_dir.clone());
    let spawned = thread::Builder::new().name(name.to_owned()).spawn({
        let (progress, redactor) = (Arc::clone(&progress), redactor.clone());
        move || {
            panic::watch_this_thread(case.should_panic.is_some(), None);
            panic::redact_this_thread(redactor);
            // The receiver is gone if this thread was given up.
            let _ = sender.send(runtime().block_on(phases(case, lab, setting, limit, &progress)));
        }
    });
    if let Err(error) = spawned {
        return Report::new(End::Setup(format!("cannot start a thread for the test: {error}")));
    }
    let report = watchdog::wait(&result, &progress).unwrap_or_else(|stuck| give_up(*stuck));
    recorder.closed();
    Report { redactor, recorded: recorder.recorded(), output_dir, ..report }
}

async fn phases(case: &TestCase, lab: Lab, setting: Setting, limit: Duration, progress: &Progress) -> Report {
    let recorder = setting.recorder.clone();
    let mut setup = Catch::new(wiring::open(lab, setting));
    let opened = tokio::select! {
        biased;
        number = signals::interrupted() => Err(End::Interrupted(number)),
        opened = timeout(SETUP, &mut setup) => match opened {
            Ok(Ok(Ok(ctx))) => Ok(ctx),
            Ok(Ok(Err(error))) => Err(End::Setup(error.chain())),
            Ok(Err(panicked)) => Err(End::Setup(panicked.text)),
            Err(_) => Err(End::Setup(format!("not ready after {SETUP:?}"))),
        },
    };
    let _ = setup.discard();
    let ctx = match opened {
        Ok(ctx) => ctx,
        Err(end) => return Report::new(end),
    };

    progress.enter(Phase::Body, limit, Some(ctx.clone()));
    let began = Instant::now();
    let (end, dropped) = body(case, &ctx, limit, &recorder).await;
    let took = began.elapsed();

    progress.enter(Phase::Teardown, TEARDOWN, Some(ctx.clone()));
    let left = close(ctx).await;
    let end = match (end, dropped) {
        (End::Done(Ok(())), Err(panicked)) => End::Panicked(panicked),
        // The clock is looked at after the fact as well: a body that blocks is done before tokio's clock is asked.
        (End::Done(Ok(())), Ok(())) if took > limit => End::Late { took, limit },
        (end, _) => end,
    };
    Report::of(end, took, left)
}

async fn body(case: &TestCase, ctx: &OttoContext, limit: Duration, recorder: &Recorder) -> (End, Result<(), Panicked>) {
    let mut body = Catch::new(wiring::with_active(ctx.clone(), async { (case.run)(ctx.clone()).await }));
    let end = tokio::select! {
        biased;
        number = signals::interrupted() => End::Interrupted(number),
        ended = timeout(limit, &mut body) => match ended {
            Ok(Ok(outcome)) => End::Done(outcome),
            Ok(Err(panicked)) => End::Panicked(panicked),
            Err(_) => End::TimedOut(limit),
        },
    };
    // What is given up from here on was running when the test ended.
    recorder.ending();
    (end, body.discard())
}

/// Closes a context, and says what is left.
async fn close(ctx: OttoContext) -> Left {
    match timeout(TEARDOWN, Catch::new(wiring::close(ctx))).await {
        Ok(Ok((closed, running))) => Left { open: closed.err().map(|error| error.chain()), running },
        Ok(Err(panicked)) => Left::open(panicked.text),
        Err(_) => Left::open(format!("its hosts were not closed within {TEARDOWN:?}")),
    }
}

/// Ends a test whose thread is stuck: closes what it holds, from another thread.
fn give_up(stuck: Stuck) -> Report {
    let (sender, closed) = mpsc::channel();
    let left = stuck.context.filter(|_| stuck.phase != Phase::Teardown).map(|ctx| {
        // Not on this thread: if the test blocks the runtime's workers as well, no clock of tokio's goes on.
        let closing = thread::Builder::new().name("otto-teardown".to_owned());
        let spawned = closing.spawn(move || _ = sender.send(runtime().block_on(close(ctx))));
        match spawned.map(|_| closed.recv_timeout(TEARDOWN + Duration::from_millis(500))) {
            Ok(Ok(left)) => left,
            _ => Left::open("its hosts were not closed: the runtime does not move".to_owned()),
        }
    });
    let end = End::Stuck { phase: stuck.phase, budget: stuck.budget, signal: stuck.signal, vanished: stuck.vanished };
    Report::of(end, stuck.after, left.unwrap_or_default())
}
