//! Panics of tests: caught where they are polled, with their place, which only the panic hook sees.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};
use std::task::{Context, Poll};

use crate::context::{OttoContext, Skipped};
use crate::redact::Redactor;

/// What a panic said, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Panicked {
    /// `None` if the payload is no text; nobody can match that against `expected`.
    pub(super) message: Option<String>,
    /// `panicked at FILE:LINE:COLUMN:` and the message, and the backtrace if one was asked for.
    pub(super) text: String,
}

/// How panics of this thread are treated, and the newest of them.
struct Watch {
    hushed: bool,
    newest: Option<String>,
    raise: Option<Arc<AtomicBool>>,
    /// Knows what a message must not show.
    redactor: Redactor,
    /// Once the test of this context is skipped, what panics on the way out says nothing.
    test: Option<OttoContext>,
}

thread_local! {
    static WATCH: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

/// Records the panics of this thread from here on. `hushed` ones are expected, and print nothing. Each raises the flag.
pub(super) fn watch_this_thread(hushed: bool, raise: Option<Arc<AtomicBool>>) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !record(info) {
                before(info);
            }
        }));
    });
    WATCH.with_borrow_mut(|watch| {
        *watch = Some(Watch { hushed, newest: None, raise, redactor: Redactor::default(), test: None });
    });
}

/// Takes these secrets out of the panics of this thread, which has to be watched already.
pub(super) fn redact_this_thread(redactor: Redactor) {
    WATCH.with_borrow_mut(|watch| {
        if let Some(watch) = watch {
            watch.redactor = redactor;
        }
    });
}

/// Hushes the panics of this thread, which has to be watched already, from when the test of that context is skipped.
pub(super) fn hush_once_skipped(ctx: &OttoContext) {
    WATCH.with_borrow_mut(|watch| {
        if let Some(watch) = watch {
            watch.test = Some(ctx.clone());
        }
    });
}

/// Keeps what is known of a panic. True if nothing else is to be said about it.
fn record(info: &PanicHookInfo<'_>) -> bool {
    // A panic while the thread's locals are being destroyed is not a test's.
    WATCH
        .try_with(|watch| {
            let Ok(mut watch) = watch.try_borrow_mut() else { return false };
            let Some(watch) = watch.as_mut() else { return false };
            watch.hushed |= watch.test.as_ref().is_some_and(|ctx| ctx.skipped().is_some());
            let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
            let message = message_of(info.payload()).unwrap_or("Box<dyn Any>");
            let mut text = format!("panicked at {place}:\n{message}");
            // Captured only if RUST_BACKTRACE asks for it; the hook before this one shows it already, unless hushed.
            if watch.hushed {
                let backtrace = Backtrace::capture();
                if backtrace.status() == BacktraceStatus::Captured {
                    let _ = write!(text, "\n{backtrace}");
                }
            }
            if let Some(flag) = &watch.raise {
                flag.store(true, Ordering::Relaxed);
            }
            let clean = watch.redactor.text(&text).into_owned();
            let shows_a_secret = clean != text;
            if shows_a_secret && !watch.hushed {
                // As the hook before this one would, which would show the secret.
                let thread = std::thread::current();
                eprintln!("\nthread '{}' {clean}", thread.name().unwrap_or("<unnamed>"));
            }
            watch.newest = Some(clean);
            watch.hushed || shows_a_secret
        })
        .unwrap_or(false)
}

fn message_of(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

fn caught(payload: Box<dyn Any + Send>) -> Panicked {
    let message = message_of(&*payload).map(str::to_owned);
    if payload.is::<Skipped>() {
        // Seen only where it is too late to skip the test.
        return Panicked { message, text: "called `skip`, after the test".to_owned() };
    }
    // A payload may panic in its turn when it is dropped.
    let _ = panic::catch_unwind(AssertUnwindSafe(|| drop(payload)));
    let newest = WATCH.with_borrow_mut(|watch| watch.as_mut().and_then(|watch| watch.newest.take()));
    // `resume_unwind` calls no hook.
    let text = newest.unwrap_or_else(|| format!("panicked:\n{}", message.as_deref().unwrap_or("Box<dyn Any>")));
    Panicked { message, text }
}

/// A future whose panics are its result, those of its destructor included.
pub(super) struct Catch<F> {
    future: Option<Pin<Box<F>>>,
}

impl<F: Future> Catch<F> {
    pub(super) fn new(future: F) -> Self {
        Self { future: Some(Box::pin(future)) }
    }

    /// Drops the future where it stands.
    pub(super) fn discard(&mut self) -> Result<(), Panicked> {
        let future = self.future.take();
        panic::catch_unwind(AssertUnwindSafe(|| drop(future))).map_err(caught)
    }
}

impl<F: Future> Future for Catch<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = self.future.as_mut() else { return Poll::Pending };
        let polled = panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        let ended = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => Err(caught(payload)),
        };
        let dropped = self.discard();
        Poll::Ready(ended.and_then(|output| dropped.map(|()| output)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::runtime::runtime;

    fn on_a_thread<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
        std::thread::spawn(run).join().unwrap()
    }

    #[test]
    fn the_place_and_the_message_are_kept() {
        let line = line!() + 3;
        let panicked = on_a_thread(|| {
            watch_this_thread(true, None);
            runtime().block_on(Catch::new(async { panic!("no {}", "route") })).map(|(): ()| ()).unwrap_err()
        });
        assert_eq!(panicked.message.as_deref(), Some("no route"));
        assert!(panicked.text.starts_with(&format!("panicked at {}:{line}:", file!())), "{}", panicked.text);
        assert!(panicked.text.contains("\nno route"));
    }

    #[test]
    fn so_is_one_after_an_await_in_a_destructor_or_without_text() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("bomb");
            }
        }
        let ended = on_a_thread(|| {
            watch_this_thread(true, None);
            runtime().block_on(async {
                let later = Catch::new(async {
                    tokio::task::yield_now().await;
                    panic!("later")
                });
                let later: Result<(), _> = later.await;
                let bomb = Bomb;
                let mut pending = Catch::new(async move {
                    let _bomb = bomb;
                    std::future::pending::<()>().await;
                });
                std::future::poll_fn(|context| {
                    assert!(Pin::new(&mut pending).poll(context).is_pending());
                    Poll::Ready(())
                })
                .await;
                let odd: Result<(), _> = Catch::new(async { panic::panic_any(3_u8) }).await;
                (later, pending.discard(), odd)
            })
        });
        assert_eq!(ended.0.unwrap_err().message.as_deref(), Some("later"));
        assert_eq!(ended.1.unwrap_err().message.as_deref(), Some("bomb"));
        let odd = ended.2.unwrap_err();
        assert!(odd.message.is_none() && odd.text.contains(":\nBox<dyn Any>"), "{}", odd.text);
    }
}
