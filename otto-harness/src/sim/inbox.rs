//! What a client sends on one channel, on its way to a process or a socket.
//!
//! The SSH library grants new window when data arrives, not when it is used, and hands data over inside the loop that
//! serves the whole connection. A command that does not read would so either grow the memory without end or stall its
//! siblings. Hence a queue a channel, whose length says how much window to grant: see `Connection::adjust_window`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// The window of a channel, as large as sshd's.
pub(super) const WINDOW: u32 = 2 << 20;

/// The least window that can be granted: with it, the library grants again only when it is used up to the last byte.
pub(super) const TRICKLE: u32 = 2;

#[derive(Debug)]
pub(super) struct Inbox {
    sender: Option<mpsc::UnboundedSender<Vec<u8>>>,
    queued: Arc<AtomicUsize>,
}

#[derive(Debug)]
pub(super) struct Incoming {
    receiver: mpsc::UnboundedReceiver<Vec<u8>>,
    queued: Arc<AtomicUsize>,
}

pub(super) fn inbox() -> (Inbox, Incoming) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let queued = Arc::new(AtomicUsize::new(0));
    (Inbox { sender: Some(sender), queued: Arc::clone(&queued) }, Incoming { receiver, queued })
}

impl Inbox {
    pub(super) fn push(&self, data: &[u8]) {
        if let Some(sender) = &self.sender {
            self.queued.fetch_add(data.len(), Ordering::Relaxed);
            if sender.send(data.to_vec()).is_err() {
                self.queued.store(0, Ordering::Relaxed);
            }
        }
    }

    /// No more will come.
    pub(super) fn end(&mut self) {
        self.sender = None;
    }

    /// How much waits to be taken; nothing once nobody will take it.
    pub(super) fn queued(&self) -> usize {
        if self.sender.as_ref().is_some_and(mpsc::UnboundedSender::is_closed) {
            return 0;
        }
        self.queued.load(Ordering::Relaxed)
    }
}

impl Incoming {
    /// Writes all that comes to `to`, then closes it; what it does not take any more is thrown away.
    pub(super) async fn pour(mut self, to: impl AsyncWrite + Unpin) {
        let mut open = Some(to);
        while let Some(data) = self.receiver.recv().await {
            if let Some(to) = &mut open
                && to.write_all(&data).await.is_err()
            {
                open = None;
            }
            self.queued.fetch_sub(data.len(), Ordering::Relaxed);
        }
        if let Some(mut to) = open {
            // It may be gone, which is as good as closed.
            let _ = to.shutdown().await;
        }
    }
}
