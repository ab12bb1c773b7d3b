//! The active context, so that helpers deep in a suite need not be handed one.
//!
//! It is that of the task, where [`OpenContext::with`](super::OpenContext::with) or the harness runs; else the one that
//! [`set_context`] installed for the whole process. A task made with `tokio::spawn` does not inherit that of its maker:
//! take the context along. The closures of [`do_for_all_hosts`] have it.

use std::future::Future;
use std::sync::{PoisonError, RwLock};

use super::OttoContext;
use crate::command::IntoCommands;
use crate::error::{Error, ErrorKind, Result};
use crate::fleet::{DoForAll, RunOnAll};
use crate::host::Host;

tokio::task_local! {
    static OF_TASK: OttoContext;
}

static INSTALLED: RwLock<Option<OttoContext>> = RwLock::new(None);

/// Polls `work` with `ctx` as the active context.
pub(crate) async fn with_active<F: Future>(ctx: OttoContext, work: F) -> F::Output {
    OF_TASK.scope(ctx, work).await
}

/// What was active before [`set_context`]: give it to [`reset_context`].
#[derive(Debug)]
#[must_use = "`reset_context` wants it"]
pub struct ContextToken {
    before: Option<OttoContext>,
}

/// Makes `ctx` the active context of the whole process, for tasks that have none of their own.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> otto::Result<()> {
/// let ctx = otto::open_context("local").open().await?;
/// let token = otto::set_context(&ctx);
/// let name = tokio::spawn(async { otto::get_context().map(|ctx| ctx.lab().name().to_owned()) });
/// assert_eq!(name.await.unwrap()?, "local");
/// otto::reset_context(token);
/// assert!(otto::try_get_context().is_none());
/// ctx.close().await
/// # }
/// ```
pub fn set_context(ctx: &OttoContext) -> ContextToken {
    let mut installed = INSTALLED.write().unwrap_or_else(PoisonError::into_inner);
    ContextToken { before: installed.replace(ctx.clone()) }
}

/// Undoes the [`set_context`] that gave this token.
pub fn reset_context(token: ContextToken) {
    *INSTALLED.write().unwrap_or_else(PoisonError::into_inner) = token.before;
}

/// The active context, if there is one.
#[must_use]
pub fn try_get_context() -> Option<OttoContext> {
    let of_task = OF_TASK.try_with(OttoContext::clone).ok();
    of_task.or_else(|| INSTALLED.read().unwrap_or_else(PoisonError::into_inner).clone())
}

/// The active context.
///
/// # Errors
/// If there is none.
pub fn get_context() -> Result<OttoContext> {
    try_get_context().ok_or_else(|| {
        Error::new(ErrorKind::Invalid, "there is no active context here").hint(
            "call it in a test, in `open_context(..).with(..)` or after `set_context`; a task made with tokio::spawn does \
             not inherit the context, so move a clone into it",
        )
    })
}

/// All hosts of the active context's lab, in its order.
///
/// # Errors
/// If there is no active context.
pub fn all_hosts() -> Result<Vec<Host>> {
    Ok(get_context()?.all_hosts())
}

/// The host with that id in the active context.
///
/// # Errors
/// If there is no active context, or no such host.
pub fn get_host(id: impl AsRef<str>) -> Result<Host> {
    get_context()?.get_host(id)
}

/// As [`OttoContext::run_on_all_hosts`] of the active context; that there is none is reported when it is awaited.
pub fn run_on_all_hosts(commands: impl IntoCommands) -> RunOnAll {
    RunOnAll::new(get_context(), commands.into_commands())
}

/// As [`OttoContext::do_for_all_hosts`] of the active context; that there is none is reported when it is awaited.
pub fn do_for_all_hosts<'a, T, F, Fut>(call: F) -> DoForAll<'a, T>
where
    T: Send + 'a,
    F: FnMut(Host) -> Fut + Send + 'a,
    Fut: Future<Output = Result<T>> + Send + 'a,
{
    DoForAll::new(get_context(), call)
}
