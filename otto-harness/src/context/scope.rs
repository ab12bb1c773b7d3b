//! What closes the hosts of a context, in the right order, in bounded time.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::crowd::Crowd;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;
use crate::transport::BoxFuture;

/// How long closing all hosts may take; each one has 5 s of that.
const ALL: Duration = Duration::from_secs(8);

/// The hosts that a context closes: those of its lab, and those it was given.
///
/// Cheap to clone; clones share the hosts.
#[derive(Debug, Clone, Default)]
pub struct HostScope(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    hosts: Mutex<Vec<Member>>,
    closing: tokio::sync::Mutex<()>,
    /// Whether it is being closed, or was.
    begun: watch::Sender<bool>,
}

#[derive(Debug)]
struct Member {
    host: Host,
    /// Made by the context, so that nothing is opened on it any more when the context is gone.
    own: bool,
}

impl HostScope {
    /// Adopts a host made by hand: it is closed with the others.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> otto::Result<()> {
    /// let host = otto::Host::local();
    /// otto::open_context("local").with(async |ctx| {
    ///     ctx.scope().register(&host);
    ///     host.run("true").await?.ok()
    /// }).await?;
    /// assert!(!host.has_live_sessions());
    /// # Ok(())
    /// # }
    /// ```
    pub fn register(&self, host: impl Into<Host>) {
        self.add(Member { host: host.into(), own: false });
    }

    /// All of them.
    pub(super) fn hosts(&self) -> Vec<Host> {
        let hosts = self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.iter().map(|member| member.host.clone()).collect()
    }

    pub(super) fn own(&self, host: Host) {
        self.add(Member { host, own: true });
    }

    /// Comes back when the scope begins to close, at once if it did.
    pub(crate) async fn closing(&self) {
        let mut begun = self.0.begun.subscribe();
        // This holds the sender, so there is no error.
        let _ = begun.wait_for(|begun| *begun).await;
    }

    fn add(&self, member: Member) {
        let mut hosts = self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if !hosts.iter().any(|known| known.host.is(&member.host)) {
            hosts.push(member);
        }
    }

    /// Closes each host once: a host before the one it is reached through, the rest side by side; 5 s a host, 8 s in all.
    /// What did not close in that time is dropped. If this future is dropped, closing goes on in the background.
    ///
    /// # Errors
    /// One of kind [`ErrorKind::Timeout`] that names the hosts that did not close in time.
    #[must_use = "nothing is closed until it is awaited"]
    pub fn close(&self) -> BoxFuture<'static, Result<()>> {
        self.close_within(ALL)
    }

    /// As [`close`](Self::close), with another limit for all of them.
    pub(super) fn close_within(&self, limit: Duration) -> BoxFuture<'static, Result<()>> {
        let scope = self.0.clone();
        Box::pin(async move {
            scope.begun.send_replace(true);
            let closing = tokio::spawn(async move {
                // Whoever asks while it is being closed waits until it is.
                let _one_at_a_time = scope.closing.lock().await;
                let hosts = std::mem::take(&mut *scope.hosts.lock().unwrap_or_else(PoisonError::into_inner));
                let left = close_in_order(hosts, limit).await;
                if left.is_empty() { Ok(()) } else { Err(not_in_time(&left)) }
            });
            closing.await.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Closed, "the runtime ended while hosts were being closed"))
            })
        })
    }
}

fn not_in_time(left: &[String]) -> Error {
    let error = Error::new(ErrorKind::Timeout, format!("did not close in time and were dropped: {}", left.join(", ")));
    tracing::warn!("{error}");
    error
}

/// The ids of those that did not close in time.
async fn close_in_order(members: Vec<Member>, limit: Duration) -> Vec<String> {
    // For all of them now: whatever still runs on any of them ends, and nothing new is begun.
    let all: Vec<_> = members.iter().map(|m| if m.own { m.host.retire() } else { m.host.close() }).collect();
    let hosts: Vec<(&str, Option<&str>)> = members.iter().map(|m| (m.host.id(), m.host.hop())).collect();
    in_order(&hosts, all, limit).await
}

/// Awaits each of `all`, one a host (id, hop), those that hop over a host before that host's own.
async fn in_order<F: Future<Output = Result<()>>>(
    hosts: &[(&str, Option<&str>)],
    all: Vec<F>,
    limit: Duration,
) -> Vec<String> {
    let deadline = Instant::now() + limit;
    let closed: Vec<_> = hosts.iter().map(|_| watch::Sender::new(false)).collect();
    let mut crowd = Crowd::new();
    for (number, close) in all.into_iter().enumerate() {
        let id = hosts[number].0;
        let over: Vec<_> = hosts
            .iter()
            .zip(&closed)
            .filter(|((_, hop), _)| *hop == Some(id))
            .map(|(_, closed)| closed.subscribe())
            .collect();
        let closed = &closed[number];
        crowd.push(async move {
            for mut other in over {
                // An error would say that its sender is gone, and it lives as long as the crowd.
                let _ = other.wait_for(|closed| *closed).await;
            }
            let done = close.await;
            closed.send_replace(true);
            done
        });
    }
    let mut left: Vec<bool> = vec![true; hosts.len()];
    while let Ok(Some((number, done))) = timeout_at(deadline, crowd.next()).await {
        left[number] = done.inspect_err(|error| tracing::warn!("{error}")).is_err();
    }
    hosts.iter().zip(left).filter(|(_, left)| *left).map(|((id, _), _)| (*id).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const STEP: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn a_host_is_closed_before_its_hop_and_the_rest_side_by_side() {
        let order = Mutex::new(Vec::new());
        let hosts = [("hop", None), ("far", Some("near")), ("near", Some("hop")), ("alone", None)];
        let close = |id: &'static str| {
            let order = &order;
            async move {
                sleep(STEP).await;
                order.lock().unwrap().push(id);
                Ok(())
            }
        };
        let began = Instant::now();
        let left = in_order(&hosts, hosts.iter().map(|(id, _)| close(id)).collect(), ALL).await;
        assert!(left.is_empty(), "{left:?}");
        let order: Vec<_> = order.lock().unwrap().iter().copied().filter(|id| *id != "alone").collect();
        assert_eq!(order, ["far", "near", "hop"]);
        assert!(began.elapsed() < STEP * 4, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn those_that_hang_are_named_when_the_time_is_over() {
        let hosts = [("good", None), ("hangs", Some("hop")), ("hop", None)];
        let close = |id: &'static str| async move {
            if id == "hangs" {
                std::future::pending::<()>().await;
            }
            Ok(())
        };
        let began = Instant::now();
        let left = in_order(&hosts, hosts.iter().map(|(id, _)| close(id)).collect(), STEP).await;
        assert_eq!(left, ["hangs", "hop"]);
        assert!(began.elapsed() >= STEP);
        assert_eq!(not_in_time(&left).to_string(), "did not close in time and were dropped: hangs, hop");
    }
}
