//! One task: how it was asked for, and its loop.

use std::fmt;
use std::future::IntoFuture;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::clock::{Deadline, Missed, Slots};
use super::history::{History, Tick};
use super::over::{Call, panicked};
use super::runner::{RepeatRunner, Task};
use crate::command::{IntoLimit, Limit, ShellCommand};
use crate::context::{OttoContext, try_get_context, with_active};
use crate::error::{Error, ErrorKind, Result};
use crate::transport::BoxFuture;
use crate::unwind;

/// How many results are kept unless told otherwise.
const HISTORY: usize = 1000;

type OnResult<T> = Box<dyn FnMut(&Result<T>) + Send>;

/// A task that is about to be started: what [`RepeatRunner::start`] makes. Await it: that starts the task and comes back at
/// once, before the first tick has ended.
///
/// The first tick is due at once, and the next ones an interval apart. It ends after `times` ticks, at the end of
/// `duration` or at `until`, whichever is first, and else with [`stop`](RepeatRunner::stop), with the context in which it was
/// started, or with the last handle of the runner. A tick that is under way at `until` is finished.
#[must_use = "nothing is started until it is awaited"]
pub struct StartRepeat<T> {
    runner: RepeatRunner<T>,
    name: String,
    commands: Vec<ShellCommand>,
    interval: Result<Limit>,
    times: Option<u64>,
    duration: Option<Result<Limit>>,
    until: Option<Deadline>,
    on_result: Option<OnResult<T>>,
    max_history: usize,
    missed: Missed,
}

impl<T: Send + Sync + 'static> StartRepeat<T> {
    pub(super) fn new(
        runner: RepeatRunner<T>,
        name: String,
        commands: Vec<ShellCommand>,
        interval: Result<Limit>,
    ) -> Self {
        Self {
            runner,
            name,
            commands,
            interval,
            times: None,
            duration: None,
            until: None,
            on_result: None,
            max_history: HISTORY,
            missed: Missed::default(),
        }
    }

    /// Ends it after that many ticks; 0 is refused.
    pub fn times(mut self, ticks: u64) -> Self {
        self.times = Some(ticks);
        self
    }

    /// Ends it so long after its start: no tick begins after that.
    pub fn duration(mut self, duration: impl IntoLimit) -> Self {
        self.duration = Some(duration.into_limit());
        self
    }

    /// Ends it at that time ([`Instant`](std::time::Instant) or [`SystemTime`]): no tick begins after that.
    pub fn until(mut self, end: impl Into<Deadline>) -> Self {
        self.until = Some(end.into());
        self
    }

    /// Is called with each result, before the next tick. A panic in it is logged, and the task goes on.
    pub fn on_result(mut self, call: impl FnMut(&Result<T>) + Send + 'static) -> Self {
        self.on_result = Some(Box::new(call));
        self
    }

    /// How many results are kept, the newest; 1,000 unless said. 0 keeps none, which suits [`on_result`](Self::on_result).
    pub fn max_history(mut self, results: usize) -> Self {
        self.max_history = results;
        self
    }

    /// What is done about slots that a slow tick has missed; they are left out and counted unless said.
    pub fn missed(mut self, policy: Missed) -> Self {
        self.missed = policy;
        self
    }

    fn begin(self) -> Result<()> {
        let invalid = |what: &str| Error::new(ErrorKind::Invalid, format!("cannot repeat `{}`: {what}", self.name));
        let interval = self.interval.as_ref().map_err(|error| invalid(&format!("the interval: {error}")))?.get();
        let duration = self.duration.as_ref().map(|limit| limit.as_ref().map(|limit| limit.get())).transpose();
        let duration = duration.map_err(|error| invalid(&format!("the duration: {error}")))?;
        if self.times == Some(0) {
            return Err(invalid("0 times is never"));
        }
        let now = Instant::now();
        if self.until.is_some_and(|until| until.0 <= now) {
            return Err(invalid("the time until which it is to go on is past"));
        }
        let runtime = Handle::try_current().map_err(|_| invalid("there is no tokio runtime here"))?;
        let ends = [duration.map(|duration| now + duration), self.until.map(|until| until.0)];
        let (stop, stopped) = watch::channel(false);
        let history = Arc::new(History::new(self.max_history));
        let context = try_get_context();
        let (ended, end) = watch::channel(());
        let task = Task { stop, end, history: Arc::clone(&history) };
        let call = self.runner.add(&self.name, task)?;
        let ticks = Ticks {
            name: self.name,
            call,
            commands: self.commands,
            slots: Slots::new(now, interval, self.missed),
            left: self.times,
            ends: ends.into_iter().flatten().min(),
            on_result: self.on_result,
            history,
        };
        runtime.spawn(async move {
            // Gone when this task is, however it ends.
            let _ended = ended;
            until_stopped(ticks, stopped, context).await;
        });
        Ok(())
    }
}

impl<T: Send + Sync + 'static> IntoFuture for StartRepeat<T> {
    type Output = Result<()>;
    type IntoFuture = BoxFuture<'static, Result<()>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.begin() })
    }
}

impl<T> fmt::Debug for StartRepeat<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartRepeat")
            .field("name", &self.name)
            .field("commands", &self.commands)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

/// Ticks until they end by themselves, or are dropped because somebody stops them. Dropping a command cancels it.
async fn until_stopped<T: Send + Sync + 'static>(
    mut ticks: Ticks<T>,
    mut stopped: watch::Receiver<bool>,
    context: Option<OttoContext>,
) {
    let scope = context.as_ref().map(|ctx| ctx.scope().clone());
    let all = async {
        match context {
            Some(ctx) => with_active(ctx, ticks.all()).await,
            None => ticks.all().await,
        }
    };
    let closing = async {
        match scope {
            Some(scope) => scope.closing().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        // An error says that the runner is gone, which is the same.
        _ = stopped.wait_for(|stop| *stop) => {}
        () = closing => {}
        () = all => {}
    }
}

struct Ticks<T> {
    name: String,
    call: Call<T>,
    commands: Vec<ShellCommand>,
    slots: Slots,
    /// How many more.
    left: Option<u64>,
    ends: Option<Instant>,
    on_result: Option<OnResult<T>>,
    history: Arc<History<T>>,
}

impl<T: Send + Sync + 'static> Ticks<T> {
    async fn all(&mut self) {
        let mut number = 0;
        while self.left != Some(0) {
            let due = self.slots.due();
            if self.ends.is_some_and(|end| due >= end) {
                return;
            }
            sleep_until(due).await;
            self.one(number, due).await;
            number += 1;
            self.left = self.left.map(|left| left - 1);
            let missed = self.slots.passed(Instant::now());
            self.history.miss(missed);
        }
    }

    async fn one(&mut self, number: u64, due: Instant) {
        let (began, clock) = (SystemTime::now(), Instant::now());
        let done = match catch_unwind(AssertUnwindSafe(|| (self.call)(self.commands.clone()))) {
            Ok(tick) => unwind::caught(tick).await,
            Err(panic) => Err(panic),
        };
        let result = Arc::new(done.unwrap_or_else(|panic| Err(panicked(&panic))));
        let took = clock.elapsed();
        self.history.add(Tick { number, began, late: clock - due, took, result: Arc::clone(&result) });
        if let Some(call) = &mut self.on_result
            && let Err(panic) = catch_unwind(AssertUnwindSafe(|| call(&result)))
        {
            tracing::error!("`on_result` of the repeated task `{}` panicked: {}", self.name, unwind::message(&panic));
        }
    }
}
