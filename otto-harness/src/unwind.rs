//! Closing on every way out: an answer, an error, a panic, a future that is dropped.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;

use tokio::runtime::Handle;

use crate::error::Result;
use crate::transport::BoxFuture;

/// What a panic was thrown with.
pub(crate) type Panic = Box<dyn Any + Send>;

/// The output of `work`, or what it panicked with.
pub(crate) async fn caught<T>(work: impl Future<Output = T>) -> Result<T, Panic> {
    let mut work = pin!(work);
    // After a panic it is never polled again, so nobody sees what the panic left half done.
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => std::task::Poll::Ready(Err(panic)),
    })
    .await
}

/// The text of a panic.
pub(crate) fn message(panic: &Panic) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text")
}

/// Does `body`, then `close`, however `body` ended. If this is dropped before that, `close` goes on in the background.
///
/// # Errors
/// That of the body, else that of closing.
pub(crate) async fn closing<T>(
    body: impl Future<Output = Result<T>>,
    close: impl FnOnce() -> BoxFuture<'static, Result<()>>,
) -> Result<T> {
    let mut guard = Guard(Some(close));
    let done = caught(body).await;
    let closed = match guard.0.take() {
        Some(close) => close().await,
        None => Ok(()),
    };
    if let (Err(error), false) = (&closed, matches!(done, Ok(Ok(_)))) {
        tracing::warn!("{error}");
    }
    match done {
        Ok(Ok(value)) => closed.map(|()| value),
        Ok(Err(error)) => Err(error),
        Err(panic) => resume_unwind(panic),
    }
}

struct Guard<C: FnOnce() -> BoxFuture<'static, Result<()>>>(Option<C>);

impl<C: FnOnce() -> BoxFuture<'static, Result<()>>> Drop for Guard<C> {
    fn drop(&mut self) {
        if let Some(close) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(close());
        }
    }
}
