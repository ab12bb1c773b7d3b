//! What wakes those who wait: the kernel says when a file in the folder of leases is closed or removed.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use tokio::io::unix::AsyncFd;
use tokio::sync::broadcast;
use tokio::task::AbortHandle;

use crate::reservations::lease::readiness::readable;

/// How often those who wait look by themselves, where the kernel gives no watch (its limits are per user).
const WITHOUT: Duration = Duration::from_millis(25);
/// How often they look although they would be told: for what ends by time alone.
const WITH: Duration = Duration::from_secs(1);

/// Tells which tickets of a folder may be gone. All that wait in a process share one.
#[derive(Debug)]
pub(super) struct Bell {
    rings: broadcast::Sender<Arc<str>>,
    listener: Option<AbortHandle>,
}

impl Bell {
    /// The one that those who wait have now, or a new one.
    pub(super) fn shared(place: &Mutex<Weak<Self>>, folder: &Path) -> Arc<Self> {
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        place.upgrade().unwrap_or_else(|| {
            let bell = Arc::new(Self::hang(folder));
            *place = Arc::downgrade(&bell);
            bell
        })
    }

    fn hang(folder: &Path) -> Self {
        let (rings, _) = broadcast::channel(1024);
        let watch = || -> std::io::Result<AsyncFd<OwnedFd>> {
            let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
            inotify::add_watch(&watch, folder, WatchFlags::CLOSE_WRITE | WatchFlags::DELETE)?;
            readable(watch)
        };
        let listener = match watch() {
            Ok(watch) => Some(tokio::spawn(listen(watch, rings.clone())).abort_handle()),
            Err(error) => {
                tracing::debug!("the folder of leases is polled, because it cannot be watched: {error}");
                None
            }
        };
        Self { rings, listener }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<str>> {
        self.rings.subscribe()
    }

    /// How often to look without being told.
    pub(super) fn interval(&self) -> Duration {
        if self.listener.as_ref().is_some_and(|listener| !listener.is_finished()) { WITH } else { WITHOUT }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
    }
}

async fn listen(watch: AsyncFd<OwnedFd>, rings: broadcast::Sender<Arc<str>>) {
    let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
    loop {
        let Ok(mut ready) = watch.readable().await else { return };
        let mut reader = inotify::Reader::new(watch.get_ref(), &mut buffer);
        loop {
            match reader.next() {
                Ok(event) => {
                    // An overflow names nobody, which concerns everybody.
                    let all = event.events().contains(ReadFlags::QUEUE_OVERFLOW);
                    let name = if all { None } else { event.file_name() };
                    let name = name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                    let _ = rings.send(name.into());
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => break,
                Err(_) => return,
            }
        }
        ready.clear_ready();
    }
}
