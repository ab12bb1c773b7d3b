//! [`Lease`]: something that is held, and [`LeaseWatch`]: whether it still is.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::clock::Moment;
use super::info::{LeaseInfo, Loss};
use super::leases::Leases;
use crate::error::{Error, ErrorKind, Result};

/// How long dropping a lease waits for its release.
const RELEASE: Duration = Duration::from_secs(2);

/// What the holder, its watches and the keeper know of one lease.
pub(super) struct Shared {
    pub(super) info: LeaseInfo,
    maximum: Duration,
    /// When `maximum` is over.
    maximal: Moment,
    renewed: AtomicU64,
    deadline: AtomicU64,
    /// Why the last renewal failed.
    because: Mutex<Option<String>>,
    released: AtomicBool,
    lost: watch::Sender<Option<Loss>>,
}

impl Shared {
    pub(super) fn new(info: LeaseInfo, maximum: Duration, deadline: Moment) -> Self {
        let now = Moment::now();
        let maximal = now.after(maximum);
        Self {
            info,
            maximum,
            maximal,
            renewed: AtomicU64::new(now.0),
            deadline: AtomicU64::new(deadline.min(maximal).0),
            because: Mutex::default(),
            released: AtomicBool::new(false),
            lost: watch::Sender::new(None),
        }
    }

    /// Until when it is held if it is not renewed.
    pub(super) fn deadline(&self) -> Moment {
        Moment(self.deadline.load(Ordering::Acquire))
    }

    pub(super) fn renewed(&self, deadline: Moment) {
        self.renewed.store(Moment::now().0, Ordering::Release);
        *self.because.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.deadline.store(deadline.min(self.maximal).0, Ordering::Release);
    }

    pub(super) fn not_renewed(&self, error: &Error) {
        *self.because.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }

    pub(super) fn is_maximal(&self) -> bool {
        self.deadline() >= self.maximal
    }

    /// It is lost from now on. The first reason stays.
    pub(super) fn lose(&self, loss: Loss) {
        self.lost.send_if_modified(|lost| {
            let first = lost.is_none();
            if first {
                tracing::warn!(fence = self.info.fence, "a lease is lost: {loss}");
                *lost = Some(loss);
            }
            first
        });
    }

    /// Whether it is held at this very moment: asked of the clock, not of a task that may not have run since.
    pub(super) fn loss(&self) -> Option<Loss> {
        if let Some(loss) = self.lost.borrow().clone() {
            return Some(loss);
        }
        if self.released.load(Ordering::Acquire) {
            return Some(Loss::Gone("it was released".to_owned()));
        }
        let now = Moment::now();
        if now < self.deadline() {
            return None;
        }
        let loss = if now >= self.maximal {
            Loss::Maximum(self.maximum)
        } else {
            let unrenewed = now.since(Moment(self.renewed.load(Ordering::Acquire)));
            let because = self.because.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Loss::Expired { unrenewed, because }
        };
        self.lose(loss);
        self.lost.borrow().clone()
    }

    fn check(&self) -> Result<()> {
        match self.loss() {
            None => Ok(()),
            Some(loss) => Err(loss.error(self.info.fence, &self.info.items)),
        }
    }
}

/// What the keeper of a lease is told to do.
pub(super) enum Order {
    Renew(oneshot::Sender<Result<()>>),
    Release(Answer),
}

/// Whoever waits for a release: a future, or a thread that drops a lease.
pub(super) enum Answer {
    Future(oneshot::Sender<Result<()>>),
    Thread(std::sync::mpsc::Sender<()>),
}

impl Answer {
    pub(super) fn give(self, released: Result<()>) {
        // Nobody may be waiting any more.
        match self {
            Self::Future(sender) => drop(sender.send(released)),
            Self::Thread(sender) => drop(sender.send(())),
        }
    }
}

/// Items that are held. It renews itself in the background, whatever the thread that holds it does meanwhile.
///
/// Dropping it releases it, and waits up to 2 s until it is; [`release`](Self::release) does not block a thread.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # let folder = tempfile::tempdir().unwrap();
/// use otto::reservations::{Acquired, Holder, LeaseRequest, Leases};
/// let leases = Leases::sqlite(folder.path())?;
/// let request = LeaseRequest::new(Holder::of_this_process("alice", "an example")).exclusive("host:router1");
/// let Acquired::Held(lease) = leases.try_acquire(&request).await? else { panic!("nobody else is there") };
/// lease.check()?; // before each thing that is done to router1
/// let Acquired::Busy(waiting) = leases.try_acquire(&request).await? else { panic!("it is held") };
/// assert!(waiting.to_string().starts_with("host:router1 is held by alice (an example, pid "), "{waiting}");
/// lease.release().await?;
/// # Ok::<(), otto::Error>(())
/// # }).unwrap();
/// ```
#[must_use = "a lease that is dropped is released"]
pub struct Lease {
    shared: Arc<Shared>,
    orders: mpsc::UnboundedSender<Order>,
    /// Whose thread renews it.
    renewed_by: Leases,
}

impl Lease {
    pub(super) fn new(shared: Arc<Shared>, orders: mpsc::UnboundedSender<Order>, leases: Leases) -> Self {
        Self { shared, orders, renewed_by: leases }
    }

    /// What is held, by whom and since when.
    #[must_use]
    pub fn info(&self) -> &LeaseInfo {
        &self.shared.info
    }

    /// Its fencing number, for transcripts and reports.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.shared.info.fence
    }

    /// That it is held at this moment. It takes no lock, asks nobody and costs a look at the clock, so that it can stand
    /// before everything that is done under the lease: a process that was stopped learns from it, when it runs again, that
    /// the lease is gone.
    ///
    /// # Errors
    /// [`ErrorKind::ReservationLost`].
    pub fn check(&self) -> Result<()> {
        self.shared.check()
    }

    /// What can be asked whether the lease is held, from anywhere, and does not hold it itself.
    #[must_use]
    pub fn watch(&self) -> LeaseWatch {
        LeaseWatch { shared: Arc::clone(&self.shared) }
    }

    /// Ends when the lease is lost, and says why. It is pending for ever for one that is released in time.
    pub fn lost(&self) -> impl Future<Output = Error> + Send + use<> {
        self.watch().lost()
    }

    /// Renews it now, which it does by itself three times in its ttl.
    ///
    /// # Errors
    /// [`ErrorKind::ReservationLost`] if it is gone, else what kept it from being renewed.
    pub async fn renew(&self) -> Result<()> {
        self.check()?;
        let (sender, receiver) = oneshot::channel();
        let _ = self.orders.send(Order::Renew(sender));
        match receiver.await {
            Ok(renewed) => renewed,
            // The keeper of a lost lease has ended.
            Err(_) => self.check(),
        }
    }

    /// Gives it back. Of a lease that is lost there is nothing to give back: that is no error here.
    ///
    /// Dropping the future does not keep the lease.
    ///
    /// # Errors
    /// [`ErrorKind::ReservationBackend`] if the engine could not be told; it frees the lease by itself after its ttl, or when
    /// this process ends.
    pub async fn release(self) -> Result<()> {
        let (sender, receiver) = oneshot::channel();
        self.shared.released.store(true, Ordering::Release);
        let _ = self.orders.send(Order::Release(Answer::Future(sender)));
        receiver.await.unwrap_or(Ok(()))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.shared.released.swap(true, Ordering::AcqRel) {
            return;
        }
        let (sender, receiver) = std::sync::mpsc::channel();
        if self.orders.send(Order::Release(Answer::Thread(sender))).is_ok() {
            let _ = receiver.recv_timeout(RELEASE);
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &mut f.debug_struct("Lease");
        shown.field("info", &self.shared.info).field("loss", &self.shared.loss());
        shown.field("renewed_by", &self.renewed_by).finish_non_exhaustive()
    }
}

/// Whether a lease is held: see [`Lease::watch`].
#[derive(Clone)]
pub struct LeaseWatch {
    shared: Arc<Shared>,
}

impl LeaseWatch {
    /// As [`Lease::check`].
    ///
    /// # Errors
    /// [`ErrorKind::ReservationLost`], also once it is released.
    pub fn check(&self) -> Result<()> {
        self.shared.check()
    }

    /// Its fencing number.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.shared.info.fence
    }

    /// Why the lease is lost, if it is.
    #[must_use]
    pub fn loss(&self) -> Option<Loss> {
        self.shared.loss()
    }

    /// Ends when the lease is lost, as [`Lease::lost`].
    pub fn lost(&self) -> impl Future<Output = Error> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        let mut lost = shared.lost.subscribe();
        async move {
            let loss = lost.wait_for(Option::is_some).await.ok().and_then(|loss| loss.clone());
            match loss {
                Some(loss) => loss.error(shared.info.fence, &shared.info.items),
                None => Error::new(ErrorKind::ReservationLost, "the lease is lost"),
            }
        }
    }
}

impl fmt::Debug for LeaseWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseWatch").field("fence", &self.fence()).field("loss", &self.loss()).finish()
    }
}
