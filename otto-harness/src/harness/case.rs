//! One test, from setup to teardown, on a thread of its own.
//!
//! Pass, `Err`, panic, skip, time-out and signal take the same way out: the body's future is dropped, the fixtures are
//! closed in the reverse order of their making, then the context. Setup, body and teardown have budgets of their own, so
//! a slow teardown does not fail a fast test.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tokio::time::{timeout, timeout_at};

use super::budget::{Budget, Budgets, Limits};
use super::fixtures::{Fixture, Made};
use super::panic::{self, Catch, Panicked};
use super::recorder::Recorder;
use super::registry::{Fault, TestCase};
use super::report::{End, Left, Report};
use super::runtime::runtime;
use super::signals::{self, Running};
use super::watchdog::{self, Phase, Progress, Stuck};
use super::wiring::{self, Setting};
use crate::context::OttoContext;
use crate::lab::Lab;
use crate::redact::Redactor;

/// How much longer than the hosts' own limit closing them may take, so that they can say which of them is left.
const MOMENT: Duration = Duration::from_millis(500);

/// Runs a test on a lab.
pub(super) fn run(case: &'static TestCase, name: &str, lab: Lab, setting: Setting, limits: Limits) -> Report {
    let _running = Running::begin();
    let budgets = Budgets::of(case, limits);
    let progress = Arc::new(Progress::begin(budgets.setup.limit));
    let (sender, result) = mpsc::channel();
    let redactor = Redactor::of_hosts(lab.hosts());
    let of_test = wiring::of_test(&setting, lab.name(), name);
    let (recorder, output_dir) = (setting.recorder.clone(), setting.output_dir.clone());
    let spawned = thread::Builder::new().name(name.to_owned()).spawn({
        let (progress, redactor, recorder) = (Arc::clone(&progress), redactor.clone(), recorder.clone());
        move || {
            panic::watch_this_thread(case.should_panic.is_some(), None);
            panic::redact_this_thread(redactor);
            let opening = wiring::open(lab, setting, of_test);
            // The receiver is gone if this thread was given up.
            let _ = sender.send(runtime().block_on(phases(case, opening, budgets, &progress, &recorder)));
        }
    });
    if let Err(error) = spawned {
        return Report::new(End::Setup(format!("cannot start a thread for the test: {error}").into()));
    }
    let report = watchdog::wait(&result, &progress).unwrap_or_else(|stuck| give_up(case, &stuck, budgets));
    recorder.closed();
    Report { redactor, recorded: recorder.recorded(), output_dir, ..report }
}

async fn phases(
    case: &'static TestCase,
    opening: impl Future<Output = crate::error::Result<OttoContext>>,
    budgets: Budgets,
    progress: &Progress,
    recorder: &Recorder,
) -> Report {
    let mut setup = Setup { deadline: tokio::time::Instant::now() + budgets.setup.limit, budget: budgets.setup };
    let opened = setup.step("the context", None, async { opening.await.map_err(|error| Fault::of(&error)) }).await;
    let ctx = match opened {
        Ok(ctx) => ctx,
        Err(end) => return Report::new(end),
    };
    panic::hush_once_skipped(&ctx);
    // Whoever gives this thread up has to close the hosts that a fixture uses.
    progress.enter(
        Phase::Setup,
        setup.deadline.saturating_duration_since(tokio::time::Instant::now()),
        Some(ctx.clone()),
    );
    let mut made = Vec::with_capacity(case.fixtures.len());
    let mut failed = None;
    for fixture in case.fixtures {
        let making = wiring::with_active(ctx.clone(), (fixture.make)(&ctx));
        match setup.step(&format!("fixture `{}`", fixture.name()), Some(&ctx), making).await {
            Ok(one) => made.push(one),
            Err(end) => {
                failed = Some(end);
                break;
            }
        }
    }

    let (end, took) = if let Some(end) = failed {
        recorder.ending();
        (end, Duration::ZERO)
    } else {
        progress.enter(Phase::Body, budgets.body.limit, Some(ctx.clone()));
        let began = Instant::now();
        let (end, dropped) = body(case, &ctx, &mut made, budgets.body, recorder).await;
        let took = began.elapsed();
        let end = match (end, dropped) {
            (End::Done(Ok(())) | End::Skipped(_), Err(panicked)) => End::Panicked(panicked),
            // The clock is looked at after the fact as well: a body that blocks is done before tokio's clock is asked.
            (End::Done(Ok(())), Ok(())) if took > budgets.body.limit => End::Late { took, budget: budgets.body },
            (end, _) => end,
        };
        (end, took)
    };
    let left = teardown(case, &ctx, made, budgets.teardown, progress).await;
    Report::of(end, took, left).with_findings(&ctx)
}

/// The part of a test before its body.
struct Setup {
    deadline: tokio::time::Instant,
    budget: Budget,
}

impl Setup {
    /// Does one thing of it; `what` names that in an error.
    async fn step<T>(
        &mut self,
        what: &str,
        ctx: Option<&OttoContext>,
        step: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, End> {
        let mut step = Catch::new(step);
        let done = tokio::select! {
            biased;
            number = signals::interrupted() => Err(End::Interrupted(number)),
            why = skipped(ctx) => Err(End::Skipped(why)),
            done = timeout_at(self.deadline, &mut step) => match done {
                Ok(Ok(Ok(value))) => Ok(value),
                Ok(Ok(Err(error))) if ctx.is_some() => {
                    Err(End::Setup(Fault { text: format!("{what}: {}", error.text), ..error }))
                }
                Ok(Ok(Err(error))) => Err(End::Setup(error)),
                Ok(Err(panicked)) => Err(End::Setup(format!("{what} {}", panicked.text).into())),
                Err(_) => Err(End::SetupTimedOut { what: what.to_owned(), budget: self.budget }),
            },
        };
        let dropped = step.discard();
        // What unwinds from a skip is a panic as well, and it may come out before the skip itself is seen.
        if let (Err(End::Setup(_)), Some(why)) = (&done, ctx.and_then(OttoContext::skipped)) {
            return Err(End::Skipped(why));
        }
        match dropped {
            Err(panicked) if done.is_ok() => Err(End::Setup(format!("{what} {}", panicked.text).into())),
            _ => done,
        }
    }
}

/// Why the test of that context is skipped, once it is.
async fn skipped(ctx: Option<&OttoContext>) -> String {
    match ctx {
        Some(ctx) => ctx.until_skipped().await,
        None => std::future::pending().await,
    }
}

async fn body(
    case: &TestCase,
    ctx: &OttoContext,
    made: &mut [Made],
    budget: Budget,
    recorder: &Recorder,
) -> (End, Result<(), Panicked>) {
    let mut body = Catch::new(wiring::with_active(ctx.clone(), async { (case.run)(made).await }));
    let end = tokio::select! {
        biased;
        number = signals::interrupted() => End::Interrupted(number),
        why = ctx.until_skipped() => End::Skipped(why),
        ended = timeout(budget.limit, &mut body) => match (ended, ctx.skipped()) {
            // Its body was left by the skip, or by the end of a task that was.
            (Ok(_), Some(why)) => End::Skipped(why),
            (Ok(Ok(outcome)), None) => End::Done(outcome),
            (Ok(Err(panicked)), None) => End::Panicked(panicked),
            (Err(_), _) => End::TimedOut(budget),
        },
    };
    // What is given up from here on was running when the test ended.
    recorder.ending();
    (end, body.discard())
}

/// Closes the fixtures, then the hosts, and says what is left.
async fn teardown(case: &TestCase, ctx: &OttoContext, made: Vec<Made>, budget: Budget, progress: &Progress) -> Left {
    let deadline = Instant::now() + budget.limit;
    let mut failed = Vec::new();
    if case.fixtures.iter().any(Fixture::is_own) {
        progress.enter(Phase::Fixtures, budget.for_fixtures(), Some(ctx.clone()));
        let last = Instant::now() + budget.for_fixtures();
        let mut fixtures: Vec<_> = case.fixtures.iter().zip(made).filter(|(fixture, _)| fixture.is_own()).collect();
        while let Some((fixture, one)) = fixtures.pop() {
            // A fair share: one that hangs leaves the others their time.
            let others = u32::try_from(fixtures.len()).unwrap_or(u32::MAX);
            let limit = last.saturating_duration_since(Instant::now()) / others.saturating_add(1);
            if let Err(why) = close_one(fixture, one, ctx, limit, budget).await {
                failed.push(format!("fixture `{}` did not close: {why}", fixture.name()));
            }
        }
    }
    let rest = deadline.saturating_duration_since(Instant::now());
    progress.enter(Phase::Teardown, rest + MOMENT, Some(ctx.clone()));
    Left { fixtures: failed, ..close(ctx.clone(), rest, budget).await }
}

async fn close_one(
    fixture: &Fixture,
    one: Made,
    ctx: &OttoContext,
    limit: Duration,
    budget: Budget,
) -> Result<(), String> {
    let mut closing = Catch::new(wiring::with_active(ctx.clone(), (fixture.close)(one)));
    let closed = match timeout(limit, &mut closing).await {
        Ok(Ok(closed)) => closed.map_err(|fault| fault.text),
        Ok(Err(panicked)) => Err(panicked.text),
        Err(_) => Err(format!("not done within {limit:.2?}, its share of the teardown\n  hint: {budget}")),
    };
    let dropped = closing.discard();
    closed.and(dropped.map_err(|panicked| panicked.text))
}

/// Closes the hosts of a context, and says what is left.
async fn close(ctx: OttoContext, limit: Duration, budget: Budget) -> Left {
    match timeout(limit + MOMENT, Catch::new(wiring::close(ctx, limit))).await {
        Ok(Ok((closed, running))) => Left { open: closed.err().map(|error| error.chain()), running, ..Left::default() },
        Ok(Err(panicked)) => Left::open(panicked.text),
        Err(_) => Left::open(format!("its hosts were not closed within {limit:.2?}\n  hint: {budget}")),
    }
}

/// Ends a test whose thread is stuck: closes what it holds, from another thread.
fn give_up(case: &TestCase, stuck: &Stuck, budgets: Budgets) -> Report {
    let budget = match stuck.phase {
        Phase::Setup => budgets.setup,
        Phase::Body => budgets.body,
        Phase::Fixtures | Phase::Teardown => budgets.teardown,
    };
    let limit = match stuck.phase {
        Phase::Fixtures => budget.limit.saturating_sub(budget.for_fixtures()),
        _ => budgets.teardown.limit,
    };
    let (sender, closed) = mpsc::channel();
    let left = stuck.context.clone().filter(|_| stuck.phase != Phase::Teardown).map(|ctx| {
        // Not on this thread: if the test blocks the runtime's workers as well, no clock of tokio's goes on.
        let closing = thread::Builder::new().name("otto-teardown".to_owned());
        let spawned = closing.spawn(move || _ = sender.send(runtime().block_on(close(ctx, limit, budgets.teardown))));
        match spawned.map(|_| closed.recv_timeout(limit + 2 * MOMENT)) {
            Ok(Ok(left)) => left,
            _ => Left::open("its hosts were not closed: the runtime does not move".to_owned()),
        }
    });
    let mut left = left.unwrap_or_default();
    let own = case.fixtures.iter().filter(|fixture| fixture.is_own());
    left.fixtures.extend(
        own.map(|fixture| {
            format!("fixture `{}` may not be closed: the test's thread is stuck with it", fixture.name())
        }),
    );
    let end = End::Stuck { phase: stuck.phase, budget, signal: stuck.signal, vanished: stuck.vanished };
    let report = Report::of(end, stuck.after, left);
    match &stuck.context {
        Some(ctx) => report.with_findings(ctx),
        None => report,
    }
}
