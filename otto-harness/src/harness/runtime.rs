//! The one tokio runtime of the process.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

/// The runtime that every test's thread blocks on.
///
/// There is one, and it has worker threads: connections are tasks, so tests can share them, and their keepalives go on
/// while a test blocks its own thread.
///
/// # Panics
/// If the operating system refuses the threads or the event queue, without which no test can run.
#[expect(clippy::expect_used, reason = "nothing can run without it, and there is nobody to return an error to")]
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .enable_all()
            .thread_name("otto-worker")
            .build()
            .expect("cannot start tokio's runtime")
    })
}
