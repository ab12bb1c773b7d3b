//! [`Leases`]: where leases are had.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::engine::{Engine, Grant, Granted, OnWait};
use super::held::{Lease, Shared};
use super::holder::Holder;
use super::info::{LeaseInfo, LeaseState, Theft, Waiting};
use super::keeper::{deadline, keep};
use super::request::LeaseRequest;
use crate::error::{Error, ErrorKind, Result};
use crate::lab::ReservationConfig;
use crate::reservations::backend::unknowable;

/// How long anything but a wait may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Where leases are kept, and what renews those of this process: a thread of its own, so it can be used from any runtime and
/// from none. Cloning it is cheap.
///
/// Any of its futures may be dropped at any time: what it had begun is undone, and a place in the queue is given up.
#[derive(Clone)]
pub struct Leases(Arc<Inner>);

struct Inner {
    engine: Arc<dyn Engine>,
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // It may be dropped where no thread may block.
            runtime.shutdown_background();
        }
    }
}

/// What came of an attempt.
#[derive(Debug)]
#[must_use = "a lease that is dropped is released"]
pub enum Acquired {
    /// All of it is held.
    Held(Lease),
    /// Some of it is not free, and nothing of it is held.
    Busy(Waiting),
}

impl Leases {
    pub(super) fn start<E: Engine>(make: impl FnOnce(&Handle) -> Result<E>) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(32)
            .thread_name("otto-leases")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Io, "cannot start the thread that renews leases").caused_by(error)
            })?;
        let handle = runtime.handle().clone();
        match make(&handle) {
            Ok(engine) => Ok(Self(Arc::new(Inner { engine: Arc::new(engine), handle, runtime: Some(runtime) }))),
            Err(error) => {
                // Dropping it would panic where no thread may block.
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    /// Those in a folder of this machine, for all its processes. The folder is made if there is none, for this user alone;
    /// one that others may write to is shared with them.
    ///
    /// # Errors
    /// [`ErrorKind::ReservationBackend`] if the folder is on a network, or it or the database in it cannot be used.
    #[cfg(feature = "sqlite")]
    pub fn sqlite(folder: impl AsRef<std::path::Path>) -> Result<Self> {
        Self::start(|handle| super::sqlite::Sqlite::open(folder.as_ref(), handle))
    }

    /// Those in an etcd cluster, for all machines. It is not contacted before the first request.
    ///
    /// # Errors
    /// [`ErrorKind::ReservationBackend`] if an option cannot be: no endpoint, a certificate that cannot be read.
    #[cfg(feature = "etcd")]
    pub fn etcd(options: &crate::lab::EtcdOptions) -> Result<Self> {
        Self::start(|handle| super::etcd::Etcd::new(options, handle))
    }

    /// Those of the backend that `otto.toml` names; `None` if it is not one that holds.
    ///
    /// # Errors
    /// [`ErrorKind::ReservationBackend`] if it cannot be used, or is not part of this build.
    pub fn configured(config: &ReservationConfig) -> Result<Option<Self>> {
        let leases = match &*config.backend {
            #[cfg(feature = "sqlite")]
            "sqlite" => {
                let default = std::path::Path::new(super::sqlite::DEFAULT);
                Self::sqlite(config.path.as_deref().unwrap_or(default))
            }
            #[cfg(feature = "etcd")]
            "etcd" => Self::etcd(&config.etcd),
            #[cfg(not(feature = "sqlite"))]
            "sqlite" => Err(not_built("sqlite")),
            #[cfg(not(feature = "etcd"))]
            "etcd" => Err(not_built("etcd")),
            _ => return Ok(None),
        };
        leases.map(Some).map_err(unknowable)
    }

    /// The engine's name: `sqlite`, `etcd`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.engine.name()
    }

    /// That the engine can be used, which an etcd that is down cannot.
    ///
    /// # Errors
    /// [`ErrorKind::ReservationBackend`].
    pub async fn check(&self) -> Result<()> {
        self.limited(Arc::clone(&self.0.engine).check()).await
    }

    /// Takes all that is asked for if it is free and nobody waits for it, and nothing otherwise.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a request that cannot be; [`ErrorKind::ReservationBackend`] if the engine cannot be used.
    pub async fn try_acquire(&self, request: &LeaseRequest) -> Result<Acquired> {
        request.check()?;
        let acquiring = Arc::clone(&self.0.engine).acquire(Arc::new(request.clone()), None);
        Ok(match self.limited(acquiring).await? {
            Granted::Yes(grant) => Acquired::Held(self.hold(request, grant)),
            Granted::No(waiting) => Acquired::Busy(waiting),
        })
    }

    /// Takes all that is asked for, once it is free and whoever came earlier has had it. `on_wait` is told when the wait
    /// begins, and then whenever the queue before it changes; it is not called if there is nothing to wait for.
    ///
    /// # Errors
    /// [`ErrorKind::Reservation`] if it was not free within `limit`, naming the holders; else as [`try_acquire`](Self::try_acquire).
    pub async fn wait(
        &self,
        request: &LeaseRequest,
        limit: Duration,
        on_wait: impl Fn(&Waiting) + Send + Sync + 'static,
    ) -> Result<Lease> {
        request.check()?;
        let last = Arc::new(Mutex::new(None::<Waiting>));
        let remembered = Arc::clone(&last);
        let on_wait: OnWait = Arc::new(move |waiting| {
            // What a callback panics with is not the queue's.
            let _ = catch_unwind(AssertUnwindSafe(|| on_wait(waiting)));
            *remembered.lock().unwrap_or_else(PoisonError::into_inner) = Some(waiting.clone());
        });
        let acquiring = Arc::clone(&self.0.engine).acquire(Arc::new(request.clone()), Some(on_wait));
        let granted = self.on_keeper(async move { timeout(limit, acquiring).await.ok() }).await?;
        match granted {
            Some(Ok(Granted::Yes(grant))) => Ok(self.hold(request, grant)),
            Some(Err(error)) => Err(error),
            Some(Ok(Granted::No(waiting))) => Err(not_in_time(limit, Some(&waiting))),
            None => Err(not_in_time(limit, last.lock().unwrap_or_else(PoisonError::into_inner).as_ref())),
        }
    }

    /// All leases, and all who wait for one, in the order in which they asked.
    ///
    /// # Errors
    /// [`ErrorKind::ReservationBackend`] if the engine cannot be used.
    pub async fn list(&self) -> Result<Vec<LeaseInfo>> {
        self.limited(Arc::clone(&self.0.engine).list()).await
    }

    /// Takes the lease with this number from its holder: for emergencies. The holder, if it still runs, is told who did it and
    /// why, and gives it up; if it does not within some seconds, the lease ends. It is recorded, see [`thefts`](Self::thefts).
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] without a reason; [`ErrorKind::Reservation`] if there is no such lease;
    /// [`ErrorKind::ReservationBackend`] if the engine cannot be used.
    pub async fn steal(&self, fence: u64, by: &Holder, reason: &str) -> Result<Theft> {
        let reason = reason.trim();
        if reason.is_empty() || reason.len() > 1000 || reason.chars().any(char::is_control) {
            let message = "taking somebody's lease needs a reason: one line, of 1000 bytes at most";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        self.limited(Arc::clone(&self.0.engine).steal(fence, by.clone(), reason.to_owned())).await
    }

    /// Who took whose lease, when and why; oldest first.
    ///
    /// # Errors
    /// [`ErrorKind::ReservationBackend`] if the engine cannot be used.
    pub async fn thefts(&self) -> Result<Vec<Theft>> {
        self.limited(Arc::clone(&self.0.engine).thefts()).await
    }

    fn hold(&self, request: &LeaseRequest, grant: Grant) -> Lease {
        let info = grant.ticket.info(LeaseState::Held);
        tracing::info!(fence = info.fence, engine = self.name(), "holding {:?}", info.items.keys());
        let until = deadline(grant.until, request.ttl);
        let shared = Arc::new(Shared::new(info, request.maximum, until));
        let (sender, orders) = mpsc::unbounded_channel();
        self.0.handle.spawn(keep(Arc::clone(&shared), grant.held, request.ttl, orders));
        Lease::new(shared, sender, self.clone())
    }

    async fn limited<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        let name = self.name();
        self.on_keeper(async move {
            timeout(LIMIT, work).await.unwrap_or_else(|_| {
                let message = format!("the leases ({name}) did not answer within {LIMIT:?}");
                Err(Error::new(ErrorKind::ReservationBackend, message))
            })
        })
        .await?
    }

    /// Runs `work` on the keeper's thread. It is stopped when this is dropped.
    async fn on_keeper<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T> {
        Guarded(self.0.handle.spawn(work)).await.map_err(|error| {
            Error::new(ErrorKind::ReservationBackend, "the thread that keeps leases failed").caused_by(error)
        })
    }
}

#[cfg(not(all(feature = "sqlite", feature = "etcd")))]
fn not_built(name: &str) -> Error {
    let message = format!(
        "the reservation backend `{name}` is not part of this build of otto: add features = [\"{name}\"] to otto-harness in \
         Cargo.toml"
    );
    Error::new(ErrorKind::ReservationBackend, message)
}

fn not_in_time(limit: Duration, waiting: Option<&Waiting>) -> Error {
    let limit = limit.as_secs_f64();
    let message = match waiting {
        Some(waiting) => format!("what it needs was not free within {limit} s: {waiting}"),
        None => format!("what it needs was not granted within {limit} s"),
    };
    Error::new(ErrorKind::Reservation, message)
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Leases").field(&self.name()).finish()
    }
}

/// A task that is aborted when nobody waits for it any more.
struct Guarded<T>(JoinHandle<T>);

impl<T> Future for Guarded<T> {
    type Output = Result<T, tokio::task::JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
