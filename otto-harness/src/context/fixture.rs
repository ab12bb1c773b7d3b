//! Fixtures: what a test has as an argument, made before its body and closed after it, by type.

use std::any::TypeId;
use std::error::Error as StdError;
use std::future::Future;

use super::OttoContext;

/// A type that a test can have as an argument: a fixture.
///
/// It is made before the test's body, within the test's setup budget, and closed after it, within its teardown budget,
/// whatever happened: pass, `Err`, panic, time-out, skip, signal. Fixtures are made in the order of the arguments and
/// closed in the reverse order, all before the hosts. A test takes one as `&T`, as `&mut T`, or, if it is `Clone`, as `T`
/// (the clone is the test's; otto closes its own). Neither future need be `Send`.
///
/// One that is not made fails the test as a failure of its setup, which names the type. One whose `close` fails fails the
/// test as well, with a text that tells it apart from the test's own. Each `close` has a share of the teardown budget;
/// one that is not done by then is dropped, and so is what it holds. Only where a test blocks its thread for good is
/// `close` not called, and the failure says so: what has to be given back in any case should also be so on `Drop`.
///
/// ```
/// use otto::prelude::*;
///
/// /// A folder on a host, which is gone after the test.
/// struct Scratch { host: Host, path: String }
///
/// impl FromContext for Scratch {
///     type Error = otto::Error;
///
///     async fn from_context(ctx: &OttoContext) -> otto::Result<Self> {
///         let host = ctx.get_host("local")?;
///         let path = host.run("mktemp -d").await?.only()?.ok()?.output;
///         Ok(Self { host, path })
///     }
///
///     async fn close(self) -> otto::Result<()> {
///         self.host.exec_argv(["rm", "-r", &self.path]).await?.ok()?;
///         Ok(())
///     }
/// }
///
/// #[otto::test(lab = "local")]
/// async fn files_are_kept(scratch: &Scratch) -> otto::Result<()> {
///     scratch.host.exec_argv(["touch", &format!("{}/file", scratch.path)]).await?.ok()?;
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> otto::Result<()> {
/// # otto::open_context("local").with(async |ctx| {
/// // By hand, as another fixture may do; then it is yours to close.
/// let scratch = Scratch::from_context(&ctx).await?;
/// assert!(std::path::Path::new(&scratch.path).is_dir());
/// let path = scratch.path.clone();
/// scratch.close().await?;
/// assert!(!std::path::Path::new(&path).exists());
/// # Ok(()) }).await
/// # }
/// ```
///
/// Arguments of otto's own are [`OttoContext`], and `Arc<T>` for a [`LabFixture`](crate::LabFixture), which the tests of
/// a lab share.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the argument of an `#[otto::test]`",
    label = "nothing that otto can provide",
    note = "a test takes `OttoContext`, its own fixtures (`impl FromContext for {Self}`), fixtures of a lab as \
            `Arc<T>` (`impl LabFixture for T`), each also by reference; or nothing",
    note = "under `#[rstest]`, values come by `#[case]`, and what otto provides by `#[ignore] ctx: OttoContext`"
)]
pub trait FromContext: Sized + 'static {
    /// Why it could not be made, or not be closed: any error type, `anyhow::Error`, `String`, or `Infallible`.
    type Error: Into<Box<dyn StdError + Send + Sync>>;

    /// Makes it for a test that runs in `ctx`. Dropped where it stands if the setup budget or a signal ends it.
    fn from_context(ctx: &OttoContext) -> impl Future<Output = Result<Self, Self::Error>>;

    /// Undoes what making it did. Does nothing unless it is written.
    fn close(self) -> impl Future<Output = Result<(), Self::Error>> {
        async { Ok(()) }
    }

    #[doc(hidden)]
    #[must_use]
    fn kind() -> FixtureKind {
        FixtureKind::Own
    }
}

/// Who closes a fixture.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FixtureKind {
    /// The test that it was made for.
    Own,
    /// Nobody: it is a handle to what is closed anyway.
    Handle,
    /// The last test of the lab that needs this type.
    OfLab(TypeId),
}
