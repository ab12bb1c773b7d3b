//! Many hosts at once: the same commands, or the same closure, for all hosts of a lab.
//! See `docs/design/context.md`.
//!
//! Each host's result stands alone: an error or a panic on one is that host's value. All go on in the task that awaits, so
//! closures may borrow, and dropping the future cancels all of them.

mod outputs;
mod results;
mod selection;

use std::fmt;
use std::future::{Future, IntoFuture};
use std::panic::{AssertUnwindSafe, catch_unwind};

use indexmap::IndexMap;

pub use outputs::{HasOutput, HostOutputs, Table};
pub use results::{HostResults, HostResultsExt};
pub(crate) use selection::Selection;

use crate::command::{IntoLimit, Limit, LogMode, ShellCommand};
use crate::context::{OttoContext, with_active};
use crate::crowd::Crowd;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;
use crate::result::RunResult;
use crate::transport::BoxFuture;
use crate::unwind;

/// The same commands on all hosts of a lab: what [`OttoContext::run_on_all_hosts`] makes. Await it.
///
/// The answer has one entry a host, in lab order. Awaiting gives `Err` only when no host was asked: the selection is
/// empty, a limit was refused.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> otto::Result<()> {
/// # use otto::prelude::*;
/// otto::open_context("local").with(async |ctx| {
///     let results = ctx.run_on_all_hosts("echo hi").pattern("loc.*").timeout("5s").await?;
///     assert_eq!(results["local"].as_ref().unwrap().statuses[0].output, "hi");
///     results.ok()?;
///     Ok(())
/// }).await
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is run until it is awaited"]
pub struct RunOnAll {
    ctx: Result<OttoContext>,
    commands: Vec<ShellCommand>,
    selection: Selection,
    pace: Pace,
    limit: Option<Result<Limit>>,
    log: Option<LogMode>,
}

impl RunOnAll {
    pub(crate) fn new(ctx: Result<OttoContext>, commands: Vec<ShellCommand>) -> Self {
        Self { ctx, commands, selection: Selection::default(), pace: Pace::default(), limit: None, log: None }
    }

    /// Only the hosts whose id this regex matches in full.
    pub fn pattern(mut self, pattern: impl Into<String>) -> Self {
        self.selection.pattern = Some(pattern.into());
        self
    }

    /// Whether the built-in host `local`, this machine, is one of them.
    pub fn include_local(mut self, include: bool) -> Self {
        self.selection.include_local = include;
        self
    }

    /// Whether they go side by side (they do unless told otherwise), or one after the other in lab order.
    pub fn concurrent(mut self, concurrent: bool) -> Self {
        self.pace.concurrent = concurrent;
        self
    }

    /// How many hosts at once, at most; any number unless said.
    pub fn limit(mut self, hosts: usize) -> Self {
        self.pace.limit = Some(hosts);
        self
    }

    /// How long each command may take on each host.
    pub fn timeout(mut self, limit: impl IntoLimit) -> Self {
        self.limit = Some(limit.into_limit());
        self
    }

    /// How much is logged.
    pub fn log(mut self, mode: LogMode) -> Self {
        self.log = Some(mode);
        self
    }
}

impl IntoFuture for RunOnAll {
    type Output = Result<HostResults<RunResult>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { ctx, commands, selection, pace, limit, log } = self;
            let limit = limit.transpose()?;
            let run = move |host: Host| {
                let mut run = host.run(&commands);
                if let Some(limit) = limit {
                    run = run.timeout(limit);
                }
                if let Some(log) = log {
                    run = run.log(log);
                }
                run.into_future()
            };
            on_each(&ctx?, &selection, pace, run).await
        })
    }
}

/// An async closure for all hosts of a lab: what [`OttoContext::do_for_all_hosts`] makes. Await it.
///
/// The answer has one entry a host, in lab order; an error or a panic is the value of its host. Awaiting gives `Err` only
/// when the closure was never called: the selection is empty, a limit was refused.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> otto::Result<()> {
/// otto::open_context("local").with(async |ctx| {
///     let suffix = String::from("!");                            // closures may borrow
///     let results = ctx.do_for_all_hosts(|host| {
///         let suffix = &suffix;
///         async move { Ok(host.oneshot("echo hi").await?.output + suffix) }
///     }).await?;
///     assert_eq!(results["local"].as_ref().unwrap(), "hi!");
///     Ok(())
/// }).await
/// # }
/// ```
#[must_use = "nothing is done until it is awaited"]
pub struct DoForAll<'a, T> {
    ctx: Result<OttoContext>,
    call: Box<dyn FnMut(Host) -> BoxFuture<'a, Result<T>> + Send + 'a>,
    selection: Selection,
    pace: Pace,
    limit: Option<Result<Limit>>,
}

impl<'a, T: Send + 'a> DoForAll<'a, T> {
    pub(crate) fn new<F, Fut>(ctx: Result<OttoContext>, mut call: F) -> Self
    where
        F: FnMut(Host) -> Fut + Send + 'a,
        Fut: Future<Output = Result<T>> + Send + 'a,
    {
        Self {
            ctx,
            call: Box::new(move |host| Box::pin(call(host))),
            selection: Selection::default(),
            pace: Pace::default(),
            limit: None,
        }
    }

    /// Only the hosts whose id this regex matches in full.
    pub fn pattern(mut self, pattern: impl Into<String>) -> Self {
        self.selection.pattern = Some(pattern.into());
        self
    }

    /// Whether the built-in host `local`, this machine, is one of them.
    pub fn include_local(mut self, include: bool) -> Self {
        self.selection.include_local = include;
        self
    }

    /// Whether they go side by side (they do unless told otherwise), or one after the other in lab order.
    pub fn concurrent(mut self, concurrent: bool) -> Self {
        self.pace.concurrent = concurrent;
        self
    }

    /// How many hosts at once, at most; any number unless said.
    pub fn limit(mut self, hosts: usize) -> Self {
        self.pace.limit = Some(hosts);
        self
    }

    /// How long each host's call may take. One that takes longer is dropped, and an error of kind
    /// [`Timeout`](ErrorKind::Timeout) is that host's value.
    pub fn timeout(mut self, limit: impl IntoLimit) -> Self {
        self.limit = Some(limit.into_limit());
        self
    }
}

impl<'a, T: Send + 'a> IntoFuture for DoForAll<'a, T> {
    type Output = Result<HostResults<T>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { ctx, mut call, selection, pace, limit } = self;
            let limit = limit.transpose()?;
            let within = move |host: Host| -> BoxFuture<'a, Result<T>> {
                let work = call(host);
                let Some(limit) = limit else { return work };
                Box::pin(async move {
                    tokio::time::timeout(limit.get(), work).await.unwrap_or_else(|_| {
                        let message = format!("took longer than {:?} and was stopped", limit.get());
                        Err(Error::new(ErrorKind::Timeout, message))
                    })
                })
            };
            on_each(&ctx?, &selection, pace, within).await
        })
    }
}

impl<T> fmt::Debug for DoForAll<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DoForAll").field("selection", &self.selection).field("pace", &self.pace).finish_non_exhaustive()
    }
}

/// How many at once.
#[derive(Debug, Clone, Copy)]
struct Pace {
    concurrent: bool,
    limit: Option<usize>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { concurrent: true, limit: None }
    }
}

impl Pace {
    fn at_once(self) -> Result<usize> {
        match self.limit {
            Some(0) => Err(Error::new(ErrorKind::Invalid, "a limit of 0 hosts at once would never begin")),
            _ if !self.concurrent => Ok(1),
            limit => Ok(limit.unwrap_or(usize::MAX)),
        }
    }
}

async fn on_each<'a, T: 'a>(
    ctx: &OttoContext,
    selection: &Selection,
    pace: Pace,
    mut call: impl FnMut(Host) -> BoxFuture<'a, Result<T>>,
) -> Result<HostResults<T>> {
    let at_once = pace.at_once()?;
    let hosts = selection.of(ctx)?;
    let mut results: Vec<Option<Result<T>>> = hosts.iter().map(|_| None).collect();
    let mut crowd = Crowd::new();
    let mut waiting = hosts.iter();
    loop {
        while crowd.len() < at_once
            && let Some(host) = waiting.next()
        {
            let begun = catch_unwind(AssertUnwindSafe(|| call(host.clone())));
            crowd.push(async {
                let done = match begun {
                    Ok(work) => unwind::caught(with_active(ctx.clone(), work)).await,
                    Err(panic) => Err(panic),
                };
                let done = done.unwrap_or_else(|panic| {
                    Err(Error::new(ErrorKind::Panicked, format!("panicked: {}", unwind::message(&panic))))
                });
                done.map_err(|error| error.on_host(host.id()))
            });
        }
        match crowd.next().await {
            Some((number, done)) => results[number] = Some(done),
            None => break,
        }
    }
    let results = hosts.iter().map(|host| host.id().to_owned()).zip(results.into_iter().flatten());
    Ok(results.collect::<IndexMap<_, _>>())
}
