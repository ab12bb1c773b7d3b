//! Fixtures that the tests of a lab share: made when the first test asks, closed after the last test that needs them.
//!
//! How many tests still need one is known from their arguments before any of them runs. What a test's own fixtures ask for
//! is not, so none is closed as long as tests that have some are to come.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout;

use super::budget::{Budgets, Limits};
use super::fixtures::short;
use super::panic::{self, Catch};
use super::registry::TestCase;
use super::runtime::runtime;
use super::signals;
use super::wiring;
use crate::context::{FixtureKind, FromContext, OttoContext, listed_checks};
use crate::error::{Error, ErrorKind, Result, chain};
use crate::redact::Redactor;

/// A fixture that the tests of a lab share: a test takes it as `Arc<T>`.
///
/// It is made once a process for each lab, when the first test asks for it, and closed after the last test that needs it,
/// whatever happened to any of them. Its context is its own, with hosts of its own, which stay open until it is closed.
/// Making it has a setup budget of its own. If it is not made (an error, a panic, too late), every test that needs it fails
/// as a failure of its setup, with that reason; if it calls [`skip`](OttoContext::skip), all of them are skipped. If it does
/// not close, the run fails, not a test. Another fixture gets at it by `Arc::<T>::from_context(ctx)`.
///
/// It may use any host of the lab, whichever the running tests hold; a host that tests have to themselves is better left to
/// them.
///
/// nextest runs each test in a process of its own, and so makes it for each test. So does libtest (without
/// `harness = false`) for those that do not overlap in time, as it does not say which test is the last.
///
/// ```
/// use std::sync::Arc;
/// use otto::prelude::*;
///
/// /// An image on the boot server, too large to be put there for each test.
/// struct Image { path: String, server: Host }
///
/// impl LabFixture for Image {
///     type Error = otto::Error;
///
///     async fn open(ctx: &OttoContext) -> otto::Result<Self> {
///         let server = ctx.get_host("local")?;
///         let path = server.run("mktemp").await?.only()?.ok()?.output;
///         Ok(Self { path, server })
///     }
///
///     async fn close(&self) -> otto::Result<()> {
///         self.server.exec_argv(["rm", &self.path]).await?.ok()?;
///         Ok(())
///     }
/// }
///
/// #[otto::test(lab = "bench")]
/// async fn boots(ctx: OttoContext, image: Arc<Image>) -> otto::Result<()> {
///     ctx.get_host("board")?.run(format!("boot {}", image.path)).await?.ok()?;
///     Ok(())
/// }
/// # fn main() {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no fixture that the tests of a lab can share",
    label = "`Arc` of something that otto cannot provide",
    note = "an argument `Arc<T>` of an `#[otto::test]` wants `impl LabFixture for T`; for a fixture of each test, write \
            `impl FromContext for T` and take `&T`"
)]
pub trait LabFixture: Sized + Send + Sync + 'static {
    /// Why it could not be made, or not be closed: any error type, `anyhow::Error`, `String`, or `Infallible`.
    type Error: Into<Box<dyn StdError + Send + Sync>>;

    /// Makes it for the lab of `ctx`.
    fn open(ctx: &OttoContext) -> impl Future<Output = Result<Self, Self::Error>>;

    /// Undoes what making it did. Does nothing unless it is written.
    fn close(&self) -> impl Future<Output = Result<(), Self::Error>> {
        async { Ok(()) }
    }
}

impl<T: LabFixture> FromContext for Arc<T> {
    type Error = Error;

    async fn from_context(ctx: &OttoContext) -> Result<Self> {
        let name = short(type_name::<T>());
        loop {
            let one = find_or_make::<T>(ctx, &name)?;
            let mut state = one.state.subscribe();
            // An error would say that the sender is gone, which `one` has.
            let _ = state.wait_for(|state| !matches!(state, State::Making | State::Closing)).await;
            // Under the lock, so that nobody decides to close it meanwhile.
            let all = all();
            let now = one.state.borrow().clone();
            drop(all);
            let failed =
                |why: String| Error::new(ErrorKind::Invalid, format!("lab fixture `{name}` was not made: {why}"));
            match now {
                State::Made(made) => return made.downcast().map_err(|_| failed("it is of another type".to_owned())),
                State::Skipped(why) => ctx.skip(why),
                // The test is about to see the same signal, and that is how it ended.
                State::Failed(_) if signals::received().is_some() => std::future::pending().await,
                State::Failed(why) => return Err(failed(why)),
                State::Making | State::Closing | State::Closed => {}
            }
        }
    }

    fn kind() -> FixtureKind {
        FixtureKind::OfLab(TypeId::of::<T>())
    }
}

type Shared = Arc<dyn Any + Send + Sync>;
type Closing = Pin<Box<dyn Future<Output = std::result::Result<(), String>>>>;

#[derive(Debug, Clone)]
enum State {
    Making,
    Made(Shared),
    Skipped(String),
    Failed(String),
    Closing,
    Closed,
}

/// One type on one lab.
struct One {
    id: TypeId,
    lab: String,
    name: String,
    ctx: OttoContext,
    state: watch::Sender<State>,
    /// Nobody waits for it to be made any more.
    given_up: watch::Sender<bool>,
    close: fn(Shared) -> Closing,
}

/// What a test needs, on which lab.
type Key = (Need, String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Need {
    /// The lab as a whole.
    Lab,
    /// Whatever its own fixtures may ask for.
    Any,
    /// A fixture of this type.
    Type(TypeId),
}

#[derive(Default)]
struct All {
    limits: Limits,
    /// How many tests that have not ended need it.
    pending: HashMap<Key, usize>,
    /// In the order of making.
    made: Vec<Arc<One>>,
    failures: Vec<String>,
}

fn all() -> MutexGuard<'static, All> {
    static ALL: LazyLock<Mutex<All>> = LazyLock::new(Mutex::default);
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The limits of this run.
pub(super) fn set_limits(limits: Limits) {
    all().limits = limits;
}

/// What went wrong in closing, once.
pub(super) fn take_failures() -> Vec<String> {
    std::mem::take(&mut all().failures)
}

/// What one test needs until it has ended. Dropping it closes what no other test needs, which may take the teardown
/// budget; it must not be dropped in an async context.
#[derive(Debug)]
pub(super) struct Needs(Vec<Key>);

impl Needs {
    /// Those of a test on that lab, all of its attempts included.
    pub(super) fn of(case: &TestCase, lab: &str) -> Self {
        let needs = case
            .fixtures
            .iter()
            .filter_map(|fixture| if fixture.is_own() { Some(Need::Any) } else { fixture.of_lab().map(Need::Type) });
        let keys: Vec<Key> = needs.chain([Need::Lab]).map(|need| (need, lab.to_owned())).collect();
        let mut all = all();
        for key in &keys {
            *all.pending.entry(key.clone()).or_default() += 1;
        }
        Self(keys)
    }
}

impl Drop for Needs {
    fn drop(&mut self) {
        let mut all = all();
        for key in &self.0 {
            if let Some(count) = all.pending.get_mut(key) {
                *count -= 1;
            }
        }
        let is_over = |need, lab: &str| all.pending.get(&(need, lab.to_owned())).is_none_or(|count| *count == 0);
        let mut to_close = Vec::new();
        for one in &all.made {
            let is_needed = !is_over(Need::Type(one.id), &one.lab) || !is_over(Need::Any, &one.lab);
            // One that a test asked for by hand is closed with the lab.
            let is_held = match &*one.state.borrow() {
                State::Made(made) => Arc::strong_count(made) > 1,
                // By whoever was here before.
                State::Closing | State::Closed => continue,
                _ => false,
            };
            if is_over(Need::Lab, &one.lab) || !(is_needed || is_held) {
                to_close.push((Arc::clone(one), one.state.send_replace(State::Closing)));
            }
        }
        let budget = Budgets::of_lab(all.limits).1;
        drop(all);
        // Those that were made last may use those that were made before them.
        let mut left = u32::try_from(to_close.len()).unwrap_or(u32::MAX);
        let end = Instant::now() + signals::left_for_teardown(budget.limit);
        while let Some((one, state)) = to_close.pop() {
            let share = end.saturating_duration_since(Instant::now()) / left;
            left -= 1;
            let failures = one.close_within(state, share);
            let redactor = Redactor::of_hosts(one.ctx.lab().hosts());
            let mut all = self::all();
            all.failures.extend(failures.into_iter().map(|why| {
                let text =
                    format!("lab fixture `{}` of lab {} did not close: {why}\n  hint: {budget}", one.name, one.lab);
                redactor.text(&text).into_owned()
            }));
            all.made.retain(|other| !Arc::ptr_eq(other, &one));
            drop(all);
            one.state.send_replace(State::Closed);
        }
    }
}

fn find_or_make<T: LabFixture>(ctx: &OttoContext, name: &str) -> Result<Arc<One>> {
    let folder = ctx.folder_of_test().ok_or_else(|| {
        Error::new(ErrorKind::Invalid, format!("lab fixture `{name}` is made for tests, and there is none here"))
            .hint("in a context that was opened by hand, call its `open` and `close`")
    })?;
    let folder = folder.with_file_name(format!("lab-fixture.{name}"));
    let (id, lab) = (TypeId::of::<T>(), ctx.lab().name());
    let mut all = all();
    if let Some(one) = all.made.iter().find(|one| one.id == id && one.lab == lab) {
        return Ok(Arc::clone(one));
    }
    let one = Arc::new(One {
        id,
        lab: lab.to_owned(),
        name: name.to_owned(),
        ctx: ctx.sibling(folder),
        state: watch::Sender::new(State::Making),
        given_up: watch::Sender::new(false),
        close: |made| {
            Box::pin(async move {
                match made.downcast::<T>() {
                    Ok(made) => T::close(&made).await.map_err(|error| chain(&*error.into())),
                    // It was made as one.
                    Err(_) => Ok(()),
                }
            })
        },
    });
    let (budget, teardown) = Budgets::of_lab(all.limits);
    let making = Arc::clone(&one);
    one.on_a_thread(move || {
        let state = runtime().block_on(making.make::<T>(budget));
        let mut made = Some(state);
        making.state.send_if_modified(|now| {
            let is_waited_for = matches!(now, State::Making);
            if is_waited_for && let Some(state) = made.take() {
                *now = state;
            }
            is_waited_for
        });
        // Nobody has waited for it; it is closed here.
        if let Some(State::Made(made)) = made {
            let _ = runtime().block_on(timeout(teardown.limit, Catch::new((making.close)(made))));
        }
    })?;
    all.made.push(Arc::clone(&one));
    Ok(one)
}

impl One {
    /// Runs it on a thread of its own: what blocks there blocks no test, and its panics show no secret.
    fn on_a_thread(&self, work: impl FnOnce() + Send + 'static) -> Result<()> {
        let redactor = Redactor::of_hosts(self.ctx.lab().hosts());
        let thread = thread::Builder::new().name(format!("lab fixture {}", self.name));
        let spawned = thread.spawn(move || {
            panic::watch_this_thread(false, None);
            panic::redact_this_thread(redactor);
            work();
        });
        spawned.map(drop).map_err(|error| Error::new(ErrorKind::Io, "cannot start a thread").caused_by(error))
    }

    async fn make<T: LabFixture>(&self, budget: super::budget::Budget) -> State {
        let ctx = &self.ctx;
        let mut given_up = self.given_up.subscribe();
        let mut opening = Catch::new(wiring::with_active(ctx.clone(), T::open(ctx)));
        let state = tokio::select! {
            biased;
            number = signals::interrupted() => State::Failed(format!("interrupted by signal {number}")),
            _ = given_up.wait_for(|given_up| *given_up) => State::Failed("no test needs it any more".to_owned()),
            why = ctx.until_skipped() => State::Skipped(why),
            opened = timeout(budget.limit, &mut opening) => match opened {
                Ok(Ok(Ok(made))) => State::Made(Arc::new(made)),
                Ok(Ok(Err(error))) => State::Failed(chain(&*error.into())),
                Ok(Err(panicked)) => State::Failed(panicked.text),
                Err(_) => State::Failed(format!("not ready within {:?}\n  hint: {budget}", budget.limit)),
            },
        };
        let dropped = opening.discard();
        match (state, ctx.skipped(), listed_checks(&ctx.failed_checks()), dropped) {
            (State::Failed(_), Some(why), ..) => State::Skipped(why),
            (_, _, Some(checks), _) => State::Failed(checks),
            (State::Made(_), _, _, Err(panicked)) => State::Failed(panicked.text),
            (state, ..) => state,
        }
    }

    /// Closes it and its hosts; what went wrong.
    fn close_within(self: &Arc<Self>, state: State, limit: Duration) -> Option<String> {
        self.given_up.send_replace(true);
        let (one, (sender, closed)) = (Arc::clone(self), mpsc::channel());
        let known = self.ctx.failed_checks().len();
        let closing = self.on_a_thread(move || {
            let ended = runtime().block_on(async {
                let half = limit / 2;
                let began = Instant::now();
                let mut failures = Vec::new();
                if let State::Made(made) = state {
                    let mut closing = Catch::new(wiring::with_active(one.ctx.clone(), (one.close)(made)));
                    match timeout(half, &mut closing).await {
                        Ok(Ok(closed)) => failures.extend(closed.err()),
                        Ok(Err(panicked)) => failures.push(panicked.text),
                        Err(_) => failures.push(format!("not done within {half:.2?}, its share of the teardown")),
                    }
                    failures.extend(closing.discard().err().map(|panicked| panicked.text));
                }
                let rest = limit.saturating_sub(began.elapsed());
                let (closed, running) = wiring::close(one.ctx.clone(), rest).await;
                failures.extend(closed.err().map(|error| error.chain()));
                failures.extend(running.iter().map(|line| format!("left on {line}")));
                let checks = one.ctx.failed_checks();
                failures.extend(listed_checks(checks.get(known..).unwrap_or_default()));
                failures
            });
            // The receiver is gone if this took too long.
            let _ = sender.send(ended);
        });
        let failures = match closing {
            Ok(()) => closed
                .recv_timeout(limit + Duration::from_secs(1))
                .unwrap_or_else(|_| vec![format!("not done within {limit:.2?}, and it blocks its thread")]),
            Err(error) => vec![error.chain()],
        };
        (!failures.is_empty()).then(|| failures.join("\n  "))
    }
}
