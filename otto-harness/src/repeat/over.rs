//! What can be repeated: a host, a session, several hosts, or a closure.

use std::future::{Future, IntoFuture};
use std::sync::Arc;

use crate::command::ShellCommand;
use crate::crowd;
use crate::error::{Error, ErrorKind, Result};
use crate::fleet::HostResults;
use crate::host::Host;
use crate::result::RunResult;
use crate::session::HostSession;
use crate::transport::BoxFuture;
use crate::unwind;

/// What is called at each tick, with the commands that were given to `start`.
pub type Call<T> = Arc<dyn Fn(Vec<ShellCommand>) -> BoxFuture<'static, Result<T>> + Send + Sync>;

/// What a [`RepeatRunner`](super::RepeatRunner) can be made over: a [`Host`], a [`HostSession`], several hosts, or an
/// async closure, with the commands as its argument or with none.
///
/// `Kind` tells the implementations apart and is never written: with it one constructor takes hosts and closures alike.
#[diagnostic::on_unimplemented(
    message = "a `RepeatRunner` cannot be made over `{Self}`",
    note = "give it a `Host`, a `HostSession`, several `Host`s, or a closure that returns a future of `otto::Result<T>`"
)]
pub trait Repeatable<Kind> {
    /// What one tick answers.
    type Output: Send + Sync + 'static;

    /// What to call at each tick.
    fn into_call(self) -> Call<Self::Output>;
}

/// The kinds of [`Repeatable`].
pub mod kind {
    /// One host, or one session.
    #[derive(Debug)]
    pub struct OfOne;
    /// Several hosts.
    #[derive(Debug)]
    pub struct OfMany;
    /// A closure without arguments.
    #[derive(Debug)]
    pub struct OfCall;
    /// A closure that takes the commands.
    #[derive(Debug)]
    pub struct OfCommands;
}

macro_rules! one {
    ($($of:ty),*) => {$(
        impl Repeatable<kind::OfOne> for $of {
            type Output = RunResult;

            fn into_call(self) -> Call<RunResult> {
                let one = self.clone();
                Arc::new(move |commands| one.run(commands).into_future())
            }
        }
    )*};
}
one!(Host, &Host, HostSession, &HostSession);

impl Repeatable<kind::OfMany> for Vec<Host> {
    type Output = HostResults<RunResult>;

    /// All at the same instant; an error or a panic on one host is that host's value.
    fn into_call(self) -> Call<HostResults<RunResult>> {
        let hosts = Arc::new(self);
        Arc::new(move |commands| {
            let hosts = Arc::clone(&hosts);
            Box::pin(async move {
                if hosts.is_empty() {
                    return Err(Error::new(ErrorKind::Host, "there is no host to run it on"));
                }
                let runs = hosts.iter().map(|host| unwind::caught(host.run(&commands).into_future()));
                let done = crowd::all(runs).await.into_iter().zip(&*hosts).map(|(done, host)| {
                    let done = done.unwrap_or_else(|panic| Err(panicked(&panic)));
                    (host.id().to_owned(), done.map_err(|error| error.on_host(host.id())))
                });
                Ok(done.collect())
            })
        })
    }
}

impl Repeatable<kind::OfMany> for &[Host] {
    type Output = HostResults<RunResult>;

    fn into_call(self) -> Call<HostResults<RunResult>> {
        self.to_vec().into_call()
    }
}

impl Repeatable<kind::OfMany> for &Vec<Host> {
    type Output = HostResults<RunResult>;

    fn into_call(self) -> Call<HostResults<RunResult>> {
        self.clone().into_call()
    }
}

impl<F, Fut, T> Repeatable<kind::OfCall> for F
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T>> + Send + 'static,
    T: Send + Sync + 'static,
{
    type Output = T;

    fn into_call(self) -> Call<T> {
        Arc::new(move |_| Box::pin(self()))
    }
}

impl<F, Fut, T> Repeatable<kind::OfCommands> for F
where
    F: Fn(Vec<ShellCommand>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T>> + Send + 'static,
    T: Send + Sync + 'static,
{
    type Output = T;

    fn into_call(self) -> Call<T> {
        Arc::new(move |commands| Box::pin(self(commands)))
    }
}

pub(super) fn panicked(panic: &unwind::Panic) -> Error {
    Error::new(ErrorKind::Panicked, format!("panicked: {}", unwind::message(panic)))
}
