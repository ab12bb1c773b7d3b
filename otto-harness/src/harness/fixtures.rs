//! The arguments of a test, by their types: made before its body, closed after it.

use std::any::{Any, TypeId, type_name};
use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use super::registry::Fault;
use crate::context::{FixtureKind, FromContext, OttoContext};
use crate::error::{Error, ErrorKind};
use crate::host::Host;

/// What a test can have as an argument: a fixture, or one of otto's own handles.
///
/// Those are no fixtures themselves: `ctx.close()` would be the fixture's `close`, which takes its receiver by value and is
/// found before the context's own, and nothing would be closed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the argument of an `#[otto::test]`",
    label = "nothing that otto can provide",
    note = "a test takes `OttoContext`, with `each_host` a `Host`, its own fixtures (`impl FromContext for {Self}`), \
            fixtures of a lab as `Arc<T>` (`impl LabFixture for T`), each also by reference; or nothing",
    note = "under `#[rstest]`, values come by `#[case]`, and what otto provides by `#[ignore] ctx: OttoContext`"
)]
pub trait Argument: Sized + 'static {
    /// Why it could not be made, or not be undone.
    type Error: Into<Box<dyn StdError + Send + Sync>>;

    /// Makes it.
    fn make(ctx: &OttoContext) -> impl Future<Output = Result<Self, Self::Error>>;

    /// Undoes what making it did.
    fn undo(self) -> impl Future<Output = Result<(), Self::Error>> {
        async { Ok(()) }
    }

    /// Who undoes it.
    #[must_use]
    fn kind() -> FixtureKind {
        FixtureKind::Handle
    }
}

#[diagnostic::do_not_recommend]
impl<T: FromContext> Argument for T {
    type Error = T::Error;

    fn make(ctx: &OttoContext) -> impl Future<Output = Result<Self, Self::Error>> {
        T::from_context(ctx)
    }

    fn undo(self) -> impl Future<Output = Result<(), Self::Error>> {
        T::close(self)
    }

    fn kind() -> FixtureKind {
        <T as FromContext>::kind()
    }
}

impl Argument for OttoContext {
    type Error = Infallible;

    async fn make(ctx: &OttoContext) -> Result<Self, Infallible> {
        Ok(ctx.clone())
    }
}

/// The host that `each_host` made the test for.
impl Argument for Host {
    type Error = Error;

    async fn make(ctx: &OttoContext) -> Result<Self, Error> {
        ctx.each_host().ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "the test does not say which host its argument is").hint(
                "`each_host = \"router.*\"` makes a test for each; others come from the context: `ctx.get_host(…)`",
            )
        })
    }
}

/// A fixture that was made.
pub type Made = Box<dyn Any>;

type Step<'a, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + 'a>>;

/// How the fixtures of one type are made and closed.
#[derive(Clone, Copy)]
pub struct Fixture {
    name: fn() -> &'static str,
    kind: fn() -> FixtureKind,
    pub(super) make: for<'c> fn(&'c OttoContext) -> Step<'c, Made>,
    pub(super) close: fn(Made) -> Step<'static, ()>,
}

impl Fixture {
    /// That of this type.
    #[must_use]
    pub const fn of<T: Argument>() -> Self {
        Self {
            name: type_name::<T>,
            kind: T::kind,
            make: |ctx| {
                Box::pin(async move {
                    let made = T::make(ctx).await;
                    made.map(|made| Box::new(made) as Made).map_err(|error| Fault::of(&*error.into()))
                })
            },
            close: |made| {
                Box::pin(async move {
                    match made.downcast::<T>() {
                        Ok(made) => made.undo().await.map_err(|error| Fault::of(&*error.into())),
                        // It was made by the function above.
                        Err(_) => Ok(()),
                    }
                })
            },
        }
    }

    /// Its type, without the modules it stands in.
    pub(super) fn name(&self) -> String {
        short((self.name)())
    }

    /// Whether the test closes it.
    pub(super) fn is_own(&self) -> bool {
        (self.kind)() == FixtureKind::Own
    }

    /// The type that the tests of a lab share, if it is one.
    pub(super) fn of_lab(&self) -> Option<TypeId> {
        match (self.kind)() {
            FixtureKind::OfLab(id) => Some(id),
            FixtureKind::Own | FixtureKind::Handle => None,
        }
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fixture").field(&self.name()).finish()
    }
}

/// The name of a type without the modules that it, and what it is made of, stand in.
pub(super) fn short(name: &str) -> String {
    let mut text = String::new();
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
        let (path, after) = rest.split_at(if end == 0 { c.len_utf8() } else { end });
        text.push_str(path.rsplit("::").next().unwrap_or(path));
        rest = after;
    }
    text
}

/// A fixture that a test takes by value: it has a clone of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given to a test by value, as otto closes it afterwards",
    label = "take it by reference: `&{Self}` or `&mut {Self}`",
    note = "by value, a test has a clone: `#[derive(Clone)]` makes that possible for a handle"
)]
pub trait ByValue: Any + Sized {
    #[doc(hidden)]
    #[must_use]
    fn another(&self) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Any + Clone> ByValue for T {
    fn another(&self) -> Self {
        self.clone()
    }
}

/// The argument of a test: a fixture of this type as the test takes it.
///
/// # Panics
/// Never: the macro asks for the type that it made.
#[must_use]
pub fn by_value<T: ByValue>(made: Option<&mut Made>) -> T {
    by_mut::<T>(made).another()
}

/// See [`by_value`].
///
/// # Panics
/// Never: the macro asks for the type that it made.
#[must_use]
pub fn by_ref<T: Any>(made: Option<&mut Made>) -> &T {
    by_mut(made)
}

/// See [`by_value`].
///
/// # Panics
/// Never: the macro asks for the type that it made.
#[expect(clippy::expect_used, reason = "the macro makes what it asks for, in that order")]
#[must_use]
pub fn by_mut<T: Any>(made: Option<&mut Made>) -> &mut T {
    made.and_then(|made| made.downcast_mut()).expect("the fixture is there, and of that type")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_without_their_modules() {
        assert_eq!(short("suite::net::Server"), "Server");
        assert_eq!(
            short("alloc::sync::Arc<suite::Db<[u8; 3], core::option::Option<()>>>"),
            "Arc<Db<[u8; 3], Option<()>>>"
        );
        assert_eq!(short("(a::B, &c::D)"), "(B, &D)");
        assert_eq!(short("ä::Ö"), "Ö");
        assert_eq!(short(""), "");
    }
}
