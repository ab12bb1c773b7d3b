//! What all tickets of a process with one ttl have in common: a lease of etcd's own, at whose end they all vanish.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::client::Client;
use super::wire::{LeaseGrantRequest, LeaseRequest, LeaseResponse};
use crate::error::{Error, ErrorKind, Result};
use crate::reservations::lease::clock::Moment;

#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: i64,
    pub(super) ttl: Duration,
    /// Until when etcd keeps it for certain: counted from before it was asked.
    until: AtomicU64,
    asked: AtomicU64,
    gone: AtomicBool,
}

impl Session {
    pub(super) async fn begin(client: &Client, ttl: Duration) -> Result<Self> {
        let asked = Moment::now();
        // Whole seconds, and never fewer than are relied on.
        let seconds = i64::try_from(ttl.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
        let granted: LeaseResponse =
            client.call("/etcdserverpb.Lease/LeaseGrant", LeaseGrantRequest { ttl: seconds }).await?;
        Ok(Self {
            id: granted.id,
            ttl,
            until: AtomicU64::new(asked.after(ttl).0),
            asked: AtomicU64::new(asked.0),
            gone: AtomicBool::new(false),
        })
    }

    pub(super) fn until(&self) -> Moment {
        Moment(self.until.load(Ordering::Acquire))
    }

    /// Whether new tickets can be in it.
    pub(super) fn is_good(&self) -> bool {
        !self.gone.load(Ordering::Acquire) && self.until() > Moment::now().after(self.ttl / 2)
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire) || self.until() <= Moment::now()
    }

    /// Renews it, unless that was just done for another ticket. `false` if it is gone.
    pub(super) async fn renew(&self, client: &Client) -> Result<bool> {
        let now = Moment::now();
        if self.gone.load(Ordering::Acquire) {
            return Ok(false);
        }
        if now.since(Moment(self.asked.load(Ordering::Acquire))) < self.ttl / 6 {
            return Ok(true);
        }
        let question = LeaseRequest { id: self.id };
        let mut answers = client
            .stream::<_, LeaseResponse, _>("/etcdserverpb.Lease/LeaseKeepAlive", || {
                tokio_stream::once(question.clone())
            })
            .await?;
        let answer = tokio::time::timeout(self.ttl / 3, answers.message()).await;
        let failed = |error: String| {
            Error::new(ErrorKind::ReservationBackend, "etcd did not renew the lease of this process").caused_by(error)
        };
        match answer {
            Ok(Ok(Some(answer))) if answer.ttl > 0 => {
                self.asked.fetch_max(now.0, Ordering::AcqRel);
                self.until.fetch_max(now.after(self.ttl).0, Ordering::AcqRel);
                Ok(true)
            }
            Ok(Ok(Some(_))) => {
                self.gone.store(true, Ordering::Release);
                Ok(false)
            }
            Ok(Ok(None)) => Err(failed("the answer ended before it began".to_owned())),
            Ok(Err(status)) => Err(failed(status.message().to_owned())),
            Err(_) => Err(failed(format!("no answer within {:?}", self.ttl / 3))),
        }
    }
}
