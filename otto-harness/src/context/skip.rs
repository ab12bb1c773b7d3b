//! Ending a test from within, because it can say nothing here.

use std::fmt::Display;
use std::panic::resume_unwind;

use tokio::sync::watch;

use super::OttoContext;

/// Why the test is skipped, once it is.
#[derive(Debug)]
pub(super) struct Skip(watch::Sender<Option<String>>);

impl Default for Skip {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

/// What unwinds from [`OttoContext::skip`]; no panic hook is called for it.
#[derive(Debug)]
pub(crate) struct Skipped;

impl OttoContext {
    /// Ends the test at once, as skipped for this reason: neither passed nor failed. For what is known only at run time,
    /// such as a camera that is not plugged in; what the lab file knows belongs in the selection.
    ///
    /// It does not return, so it can stand anywhere and in a test of any type: in helpers, in fixtures, in closures for
    /// many hosts, in tasks that the test spawned. The test's hosts and fixtures are closed as ever. A check that had
    /// failed before still fails the test, and `#[should_panic]` takes it for no panic.
    ///
    /// Under `cargo test` the test is shown as ignored, with the reason. nextest and libtest know no such thing: there it
    /// passes, and the reason is on stderr.
    ///
    /// ```no_run
    /// # use otto::prelude::*;
    /// #[otto::test(lab = "bench")]
    /// async fn takes_a_picture(ctx: OttoContext) -> otto::Result<()> {
    ///     let board = ctx.get_host("board")?;
    ///     if !board.run("test -e /dev/video0").await?.is_ok() {
    ///         ctx.skip("the board has no camera");
    ///     }
    ///     board.run("capture --frames 1").await?.ok()?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Panics
    /// Always; with a message only where no test is run, in a context that was opened by hand.
    #[track_caller]
    pub fn skip(&self, why: impl Display) -> ! {
        let why = why.to_string();
        assert!(self.0.settings.of_test.is_some(), "skipped: {why}");
        self.0.skip.0.send_if_modified(|reason| {
            let first = reason.is_none();
            reason.get_or_insert(why);
            first
        });
        resume_unwind(Box::new(Skipped))
    }

    /// The reason, if the test was skipped.
    pub(crate) fn skipped(&self) -> Option<String> {
        self.0.skip.0.borrow().clone()
    }

    /// Waits until the test is skipped, and says why.
    pub(crate) async fn until_skipped(&self) -> String {
        let mut skip = self.0.skip.0.subscribe();
        match skip.wait_for(Option::is_some).await.map(|why| why.clone()) {
            Ok(Some(why)) => why,
            // The sender lives as long as this context.
            _ => std::future::pending().await,
        }
    }
}
