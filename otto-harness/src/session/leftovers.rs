//! What was begun on a host and has to be undone before its connection ends: the temporary files of a transfer.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long closing waits for them.
const PATIENCE: Duration = Duration::from_secs(2);

/// Counts them.
#[derive(Debug, Clone)]
pub(crate) struct Leftovers(watch::Sender<usize>);

impl Default for Leftovers {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

/// One thing to undo. Closing the host waits until it is dropped, for a while.
#[derive(Debug)]
pub(crate) struct Leftover {
    all: Leftovers,
    runtime: Option<Handle>,
}

impl Leftovers {
    /// To be called before it is begun.
    pub(crate) fn begin(&self) -> Leftover {
        self.0.send_modify(|count| *count += 1);
        Leftover { all: self.clone(), runtime: Handle::try_current().ok() }
    }

    /// Waits until all are undone, or until it has taken too long.
    pub(super) async fn put_in_order(&self) {
        let mut count = self.0.subscribe();
        let _ = timeout(PATIENCE, count.wait_for(|count| *count == 0)).await;
    }
}

impl Leftover {
    /// Undoes it in the background, within this time. Without a runtime it is not undone.
    pub(crate) fn undo_within(self, limit: Duration, undo: impl Future<Output = ()> + Send + 'static) {
        let Some(runtime) = self.runtime.clone() else { return };
        runtime.spawn(async move {
            let _ = timeout(limit, undo).await;
            drop(self);
        });
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        self.all.0.send_modify(|count| *count -= 1);
    }
}
