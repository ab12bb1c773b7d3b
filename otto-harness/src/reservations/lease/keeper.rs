//! What keeps leases: a thread of its own, so that no test that blocks its thread loses one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::clock::{Moment, sleep_until};
use super::engine::{Held, Renewal};
use super::held::{Order, Shared};
use super::info::Loss;
use crate::error::{Error, ErrorKind, Result};

/// How long a release may take.
const RELEASE: Duration = Duration::from_secs(5);

/// Until when the holder relies on a lease that nobody else gets before `until`. It stops a little earlier, so that what it
/// has begun by then can end.
pub(super) fn deadline(until: Moment, ttl: Duration) -> Moment {
    Moment(until.0.saturating_sub(u64::try_from((ttl / 10).as_nanos()).unwrap_or(u64::MAX)))
}

/// Keeps one lease until it is released or lost.
pub(super) async fn keep(
    shared: Arc<Shared>,
    held: Box<dyn Held>,
    ttl: Duration,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let mut next = Moment::now().after(ttl / 3);
    let answer = loop {
        let due = if shared.is_maximal() { shared.deadline() } else { next.min(shared.deadline()) };
        let asked = tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(Order::Release(answer)) => break Some(answer),
                Some(Order::Renew(answer)) => Some(answer),
                None => break None,
            },
            loss = held.gone() => {
                shared.lose(loss);
                break None;
            }
            () = sleep_until(due) => None,
        };
        if shared.loss().is_some() {
            break None;
        }
        // Never longer than until the lease is lost anyway.
        let limit = (ttl / 6).min(shared.deadline().since(Moment::now())).max(Duration::from_millis(1));
        let renewed = match timeout(limit, held.renew()).await {
            Ok(Ok(Renewal::Until(until))) => {
                shared.renewed(deadline(until, ttl));
                next = Moment::now().after(ttl / 3);
                Ok(())
            }
            Ok(Ok(Renewal::Gone(loss))) => {
                shared.lose(loss);
                break None;
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::new(ErrorKind::ReservationBackend, format!("no answer within {limit:?}"))),
        };
        if let Err(error) = &renewed {
            tracing::warn!(fence = shared.info.fence, "a lease could not be renewed: {error}");
            shared.not_renewed(error);
            next = Moment::now().after((ttl / 10).min(Duration::from_secs(1)));
        }
        if let Some(asked) = asked {
            let _ = asked.send(renewed);
        }
    };
    // Also what is lost is given back, so that the next in the queue need not wait for its end.
    let released = release(&*held).await;
    if let Err(error) = &released {
        tracing::warn!(fence = shared.info.fence, "a lease could not be released: {error}");
    }
    match answer {
        Some(answer) => answer.give(released),
        // A lost lease may be dropped while it is given back.
        None => {
            if let Ok(Order::Release(answer)) = orders.try_recv() {
                answer.give(Ok(()));
            }
        }
    }
}

async fn release(held: &dyn Held) -> Result<()> {
    timeout(RELEASE, held.release()).await.unwrap_or_else(|_| {
        let message = format!("the lease could not be released within {RELEASE:?}; it ends by itself after its ttl");
        Err(Error::new(ErrorKind::ReservationBackend, message))
    })
}

/// The loss of a lease whose ticket the engine no longer has.
pub(super) fn gone(by: Option<(String, String)>) -> Loss {
    match by {
        Some((by, reason)) => Loss::Stolen { by, reason },
        None => Loss::Gone("its engine does not know it any more".to_owned()),
    }
}
