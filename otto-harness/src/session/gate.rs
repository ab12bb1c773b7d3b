//! What makes closing final for those who wait: a gate that can be shut on everyone inside.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{Mutex, watch};

use crate::error::{Error, ErrorKind, Result};

/// Lets work through until it is shut. Shutting it ends, with an error, whatever work is inside at that moment, so that
/// nobody who queued for a session opens it again after it was closed.
#[derive(Debug)]
pub(crate) struct Gate {
    door: watch::Sender<Door>,
    /// Held while the host is being closed: what comes then waits until it is, and so meets a host that can be opened.
    closing: Arc<Mutex<()>>,
}

#[derive(Debug, Clone, Copy)]
struct Door {
    /// How often all that was inside was sent away.
    swept: u64,
    /// Set for good, with what the error says.
    shut: Option<&'static str>,
}

impl Gate {
    pub(crate) fn new(closing: Arc<Mutex<()>>) -> Self {
        Self { door: watch::Sender::new(Door { swept: 0, shut: None }), closing }
    }

    /// Sends away what is inside; what comes later is let in.
    pub(crate) fn sweep(&self) {
        self.door.send_modify(|door| door.swept += 1);
    }

    /// Sends away what is inside, and refuses what comes later. The first reason stays.
    pub(crate) fn shut(&self, why: &'static str) {
        self.door.send_modify(|door| door.shut = door.shut.or(Some(why)));
    }

    /// How often it was swept.
    pub(crate) fn sweeps(&self) -> u64 {
        self.door.borrow().swept
    }

    /// Why it is shut.
    pub(crate) fn is_shut(&self) -> Option<&'static str> {
        self.door.borrow().shut
    }

    /// The answer of `work`, unless the gate is shut or swept before that.
    pub(crate) async fn pass<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut door = self.door.subscribe();
        if let Some(why) = door.borrow_and_update().shut {
            return Err(Error::new(ErrorKind::Closed, why));
        }
        tokio::select! {
            biased;
            _ = door.changed() => {
                let why = door.borrow().shut.unwrap_or("the host was closed while this was under way");
                Err(Error::new(ErrorKind::Closed, why))
            }
            done = async {
                drop(self.closing.lock().await);
                work.await
            } => done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn a_sweep_ends_what_is_inside_and_lets_in_what_comes_later() {
        let gate = Gate::new(Arc::default());
        let (inside, ()) = tokio::join!(gate.pass(pending::<Result<()>>()), async { gate.sweep() });
        assert_eq!(inside.unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(gate.pass(ready(Ok(3))).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn what_comes_while_it_is_being_closed_waits() {
        let closing = Arc::new(Mutex::new(()));
        let gate = Gate::new(closing.clone());
        let held = closing.lock().await;
        let mut work = std::pin::pin!(gate.pass(ready(Ok(3))));
        assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(work.as_mut().poll(cx))).await.is_pending());
        drop(held);
        assert_eq!(work.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_shut_gate_says_why_and_keeps_the_first_reason() {
        let gate = Gate::new(Arc::default());
        gate.shut("this first");
        gate.shut("that later");
        let error = gate.pass(ready(Ok(()))).await.unwrap_err();
        assert_eq!(error.to_string(), "this first");
        assert_eq!(gate.is_shut(), Some("this first"));
    }
}
