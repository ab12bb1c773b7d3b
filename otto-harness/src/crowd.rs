//! Many futures in one task: each is polled only when it was woken, and all are dropped together.
//!
//! They may borrow, and dropping the crowd cancels all of them at once, neither of which spawned tasks can.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Futures under way, each with the number that it was added as.
pub(crate) struct Crowd<F> {
    members: Vec<Option<(Pin<Box<F>>, Waker)>>,
    woken: Arc<Woken>,
    left: usize,
}

/// Who has to be polled, and who polls.
#[derive(Default)]
struct Woken(Mutex<(VecDeque<usize>, Option<Waker>)>);

struct Member {
    number: usize,
    woken: Arc<Woken>,
}

impl Woken {
    fn wake(&self, number: usize) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0.push_back(number);
        let waker = inner.1.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Wake for Member {
    fn wake(self: Arc<Self>) {
        self.woken.wake(self.number);
    }
}

impl<F: Future> Crowd<F> {
    pub(crate) fn new() -> Self {
        Self { members: Vec::new(), woken: Arc::default(), left: 0 }
    }

    /// Adds one. It is first polled by [`next`](Self::next).
    pub(crate) fn push(&mut self, future: F) {
        let number = self.members.len();
        let waker = Waker::from(Arc::new(Member { number, woken: self.woken.clone() }));
        self.members.push(Some((Box::pin(future), waker)));
        self.left += 1;
        self.woken.wake(number);
    }

    /// How many have not finished.
    pub(crate) fn len(&self) -> usize {
        self.left
    }

    /// The number and the output of the next that finishes; `None` when none is left. Dropping this loses nothing.
    pub(crate) async fn next(&mut self) -> Option<(usize, F::Output)> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<(usize, F::Output)>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let mut due = {
            let mut woken = self.woken.0.lock().unwrap_or_else(PoisonError::into_inner);
            woken.1 = Some(cx.waker().clone());
            std::mem::take(&mut woken.0)
        };
        // Only those that were due when this began: one that wakes itself all the time does not starve the caller.
        while let Some(number) = due.pop_front() {
            let Some(member) = self.members.get_mut(number) else { continue };
            let Some((future, waker)) = member else { continue };
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(waker)) {
                *member = None;
                self.left -= 1;
                if !due.is_empty() {
                    let mut woken = self.woken.0.lock().unwrap_or_else(PoisonError::into_inner);
                    due.append(&mut woken.0);
                    woken.0 = due;
                }
                return Poll::Ready(Some((number, output)));
            }
        }
        Poll::Pending
    }
}

/// Waits for all of them; the outputs in the order given.
pub(crate) async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut crowd = Crowd::new();
    let mut outputs: Vec<Option<F::Output>> = Vec::new();
    for future in futures {
        crowd.push(future);
        outputs.push(None);
    }
    while let Some((number, output)) = crowd.next().await {
        outputs[number] = Some(output);
    }
    outputs.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test]
    async fn all_run_side_by_side_and_answer_in_order() {
        let began = Instant::now();
        let outputs = all((0..50_u64).map(|i| async move {
            sleep(Duration::from_millis(100 - i)).await;
            i
        }))
        .await;
        assert_eq!(outputs, (0..50).collect::<Vec<_>>());
        assert!(began.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test]
    async fn only_the_woken_are_polled() {
        let polls = AtomicUsize::new(0);
        let mut crowd = Crowd::new();
        for i in 0..100_u64 {
            let polls = &polls;
            crowd.push(async move {
                let mut sleeping = std::pin::pin!(sleep(Duration::from_millis(i)));
                std::future::poll_fn(|cx| {
                    polls.fetch_add(1, Ordering::Relaxed);
                    sleeping.as_mut().poll(cx)
                })
                .await;
            });
        }
        let mut done = 0;
        while crowd.next().await.is_some() {
            done += 1;
        }
        assert_eq!(done, 100);
        let polls = polls.load(Ordering::Relaxed);
        assert!(polls <= 250, "{polls} polls of 100 futures");
    }

    #[tokio::test]
    async fn those_that_are_ready_at_once_are_none_of_them_lost() {
        let outputs = all((0..1000).map(std::future::ready)).await;
        assert_eq!(outputs.len(), 1000);
        assert!(all(std::iter::empty::<std::future::Ready<()>>()).await.is_empty());
    }
}
