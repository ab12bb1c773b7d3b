//! The engine `sqlite`: leases of all processes of one machine, with nothing to install.
//!
//! A database has the queue, and each ticket a file that its process keeps locked: a holder that is killed frees what it
//! had at that moment, and one that stands still frees it after its ttl.

mod alive;
mod bell;
mod faults;
mod folder;
mod store;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use self::alive::{Pulse, pulse};
use self::bell::Bell;
use self::store::{Behind, Place, Standing, Store};
use super::clock::Moment;
use super::engine::{Engine, Grant, Granted, Held, OnWait, Renewal};
use super::holder::Holder;
use super::info::{LeaseInfo, Loss, Theft};
use super::request::LeaseRequest;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::BoxFuture;

pub(super) use self::folder::DEFAULT;

/// How often a holder looks whether its lease was taken, between renewals.
const LOOK: Duration = Duration::from_secs(1);
/// How long after something was heard it is looked at again.
const SOON: [Duration; 4] =
    [Duration::from_millis(1), Duration::from_millis(5), Duration::from_millis(20), Duration::from_millis(100)];

#[derive(Debug)]
pub(super) struct Sqlite {
    store: Arc<Store>,
    bell: Mutex<Weak<Bell>>,
    handle: Handle,
}

impl Sqlite {
    pub(super) fn open(folder: &Path, handle: &Handle) -> Result<Self> {
        Ok(Self { store: Arc::new(Store::open(folder)?), bell: Mutex::default(), handle: handle.clone() })
    }

    async fn enqueue(&self, request: &Arc<LeaseRequest>, queue: bool) -> Result<(Option<Kept>, Standing)> {
        let (request, handle, shared) = (Arc::clone(request), self.handle.clone(), Arc::clone(&self.store));
        // The ticket is in the hands of something that removes it before anything can be dropped on the way.
        blocking(&self.store, move |store| {
            let (place, standing) = store.enqueue(&request, queue)?;
            Ok((
                place.map(|place| Kept {
                    place: Arc::new(place),
                    store: shared,
                    handle,
                    removed: AtomicBool::new(false),
                }),
                standing,
            ))
        })
        .await
    }

    fn grant(kept: Kept, until: Moment) -> Grant {
        Grant { ticket: kept.place.ticket.clone(), until, held: Box::new(HeldHere { kept }) }
    }

    /// Waits until a ticket is granted; `None` if it is gone.
    async fn stand_in_line(
        &self,
        kept: &Kept,
        behind: Behind,
        bell: &Bell,
        on_wait: &OnWait,
        start: Instant,
    ) -> Result<Option<Moment>> {
        let place = Arc::clone(&kept.place);
        let mut rings = bell.subscribe();
        let mut line = behind;
        let mut told: Option<Vec<u64>> = None;
        // How often the database has been read since something was heard; it is read in vain at most so often in a row.
        let mut vain = 0;
        let mut not_before = Instant::now();
        loop {
            let ahead: Vec<u64> = line.waiting.ahead.iter().map(|lease| lease.fence).collect();
            if told.as_ref() != Some(&ahead) {
                on_wait(&line.waiting);
                told = Some(ahead);
            }
            let at_last = Instant::now() + bell.interval();
            let mut look_at = not_before;
            // While one of those ahead is alive, the database has nothing new to say but what time does.
            loop {
                tokio::select! {
                    ring = rings.recv() => match ring {
                        Ok(id) => {
                            let of_ours = line.ids.iter().any(|ahead| **ahead == *id);
                            if of_ours && self.has_left(&id) {
                                line.ids.retain(|ahead| **ahead != *id);
                            } else if of_ours {
                                // The kernel tells of the end of a process a little before it unlocks its files.
                                vain = 0;
                            }
                            if of_ours || id.is_empty() {
                                look_at = look_at.min((Instant::now() + SOON[0]).max(not_before));
                            }
                        }
                        // Too many rings to know which.
                        Err(_) => look_at = not_before,
                    },
                    () = tokio::time::sleep_until(look_at.min(at_last).into()) => {
                        line.ids.retain(|id| !self.has_left(id));
                        if line.ids.is_empty() || Instant::now() >= at_last {
                            break;
                        }
                        look_at = SOON.get(vain).map_or(at_last, |soon| Instant::now() + *soon);
                        vain += 1;
                    }
                }
                if line.ids.is_empty() && Instant::now() >= not_before {
                    break;
                }
            }
            let (own, waited) = (Arc::clone(&place), start.elapsed());
            match blocking(&self.store, move |store| store.stand(&own, waited)).await? {
                Standing::Granted(until) => return Ok(Some(until)),
                Standing::Gone => return Ok(None),
                Standing::Behind(behind) => line = behind,
            }
            // A ticket whose file was tidied away seems to have left, and ends only with its ttl.
            vain = (vain + 1).min(SOON.len());
            not_before = Instant::now() + SOON.get(vain - 1).copied().unwrap_or_else(|| bell.interval());
        }
    }

    /// Whether the process of a ticket, or the ticket itself, is gone as far as its file tells.
    fn has_left(&self, id: &str) -> bool {
        !matches!(pulse(&self.store.folder, id), Ok(Pulse::Alive))
    }
}

/// A lease of this process.
struct HeldHere {
    kept: Kept,
}

impl Held for HeldHere {
    fn renew(&self) -> BoxFuture<'_, Result<Renewal>> {
        let place = Arc::clone(&self.kept.place);
        Box::pin(async move { blocking(&self.kept.store, move |store| store.renew(&place)).await })
    }

    fn gone(&self) -> BoxFuture<'_, Loss> {
        Box::pin(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                let place = Arc::clone(&self.kept.place);
                // What cannot be read now is for the renewals to say.
                if let Ok(Some(loss)) = blocking(&self.kept.store, move |store| store.look(&place)).await {
                    return loss;
                }
            }
        })
    }

    fn release(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let place = Arc::clone(&self.kept.place);
            blocking(&self.kept.store, move |store| store.remove(&place)).await?;
            self.kept.removed.store(true, Ordering::Relaxed);
            Ok(())
        })
    }
}

/// A ticket of this process, removed when this is dropped unless it was before.
struct Kept {
    place: Arc<Place>,
    store: Arc<Store>,
    handle: Handle,
    removed: AtomicBool,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if !self.removed.load(Ordering::Relaxed) {
            let (place, store) = (Arc::clone(&self.place), Arc::clone(&self.store));
            // Whatever becomes of this, the file is unlocked when `place` is gone.
            self.handle.spawn_blocking(move || store.remove(&place));
        }
    }
}

/// Runs what may wait for the disk where it delays nothing else.
async fn blocking<T: Send + 'static>(
    store: &Arc<Store>,
    work: impl FnOnce(&Store) -> Result<T> + Send + 'static,
) -> Result<T> {
    let store = Arc::clone(store);
    tokio::task::spawn_blocking(move || work(&store)).await.unwrap_or_else(|error| {
        let failed = Error::new(ErrorKind::ReservationBackend, "a change of the database of leases failed");
        Err(failed.caused_by(error))
    })
}

impl Engine for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn acquire(
        self: Arc<Self>,
        request: Arc<LeaseRequest>,
        wait: Option<OnWait>,
    ) -> BoxFuture<'static, Result<Granted>> {
        Box::pin(async move {
            let Some(on_wait) = wait else {
                return match self.enqueue(&request, false).await? {
                    (Some(kept), Standing::Granted(until)) => Ok(Granted::Yes(Self::grant(kept, until))),
                    (_, Standing::Behind(behind)) => Ok(Granted::No(behind.waiting)),
                    (..) => Err(Error::new(ErrorKind::ReservationBackend, "a lease is gone that was just made")),
                };
            };
            let start = Instant::now();
            loop {
                // Before the queue is read, so that nothing that ends after that is missed.
                let bell = Bell::shared(&self.bell, &self.store.folder.alive());
                match self.enqueue(&request, true).await? {
                    (Some(kept), Standing::Granted(until)) => return Ok(Granted::Yes(Self::grant(kept, until))),
                    (Some(kept), Standing::Behind(behind)) => {
                        if let Some(until) = self.stand_in_line(&kept, behind, &bell, &on_wait, start).await? {
                            return Ok(Granted::Yes(Self::grant(kept, until)));
                        }
                        // This process was stopped for so long that its place is gone: again, from the end.
                    }
                    (..) => {
                        return Err(Error::new(ErrorKind::ReservationBackend, "a ticket is gone that was just made"));
                    }
                }
            }
        })
    }

    fn list(self: Arc<Self>) -> BoxFuture<'static, Result<Vec<LeaseInfo>>> {
        Box::pin(async move { blocking(&self.store, Store::list).await })
    }

    fn steal(self: Arc<Self>, fence: u64, by: Holder, reason: String) -> BoxFuture<'static, Result<Theft>> {
        Box::pin(async move { blocking(&self.store, move |store| store.steal(fence, &by, &reason)).await })
    }

    fn thefts(self: Arc<Self>) -> BoxFuture<'static, Result<Vec<Theft>>> {
        Box::pin(async move { blocking(&self.store, Store::thefts).await })
    }

    fn check(self: Arc<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move { blocking(&self.store, Store::check).await })
    }
}
