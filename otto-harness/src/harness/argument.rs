//! What a test can ask for: each argument of `#[otto::test]` is made by its type.

use crate::context::OttoContext;
use crate::host::Host;

/// A type that an argument of a test may have. `'c` is the time that the test runs.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the argument of an `#[otto::test]`",
    label = "nothing that otto can provide",
    note = "a test takes `OttoContext`, `&OttoContext`, with `each_host` a `Host`, or nothing",
    note = "under `#[rstest]`, values come by `#[case]`, and the context by `#[ignore] ctx: OttoContext`"
)]
pub trait Argument<'c> {
    /// Makes the argument for a test that runs in `context`.
    fn from_context(context: &'c OttoContext) -> Self;
}

impl Argument<'_> for OttoContext {
    fn from_context(context: &OttoContext) -> Self {
        context.clone()
    }
}

impl<'c> Argument<'c> for &'c OttoContext {
    fn from_context(context: &'c OttoContext) -> Self {
        context
    }
}

impl Argument<'_> for Host {
    #[expect(clippy::expect_used, reason = "the macro refuses such a test; the panic fails one made without it")]
    fn from_context(context: &OttoContext) -> Self {
        context.each_host().expect("a test with a `Host` argument needs `each_host`")
    }
}
