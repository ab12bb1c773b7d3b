//! File descriptors of the kernel's own kind (timers, watches) in tokio's event loop.

use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// `fd`, so that its becoming readable can be awaited.
#[expect(unsafe_code, reason = "tokio cannot know that the descriptor stays open for as long as it is registered")]
pub(super) fn readable(fd: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` keeps its descriptor open for as long as the `AsyncFd` has it, and always names the same one.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}
