//! The tests that `#[otto::test]` registered, found without being named anywhere.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::fixtures::{Fixture, Made};
use crate::error::chain;

/// The future of one test. It is made and polled on the test's own thread, so it need not be `Send`.
pub type TestFuture<'f> = Pin<Box<dyn Future<Output = Outcome> + 'f>>;

/// How a test's body ended, when it did not panic.
pub type Outcome = Result<(), Fault>;

/// The error that a test returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its text, causes included.
    pub text: String,
    /// A host could not be reached or was lost, which says nothing of what is tested.
    pub infrastructure: bool,
}

impl Fault {
    /// Of an error, with its causes; also whether it, or one of them, is otto's and says that a host was not to be had.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Self {
        Self { text: chain(error), infrastructure: is_infrastructure(Some(error)) }
    }
}

/// Whether one of otto's errors is in the chain, from here on down, that says that a host was not to be had.
pub(crate) fn is_infrastructure(mut error: Option<&(dyn Error + 'static)>) -> bool {
    while let Some(one) = error {
        if one.downcast_ref::<crate::Error>().is_some_and(crate::Error::is_infrastructure) {
            return true;
        }
        error = one.source();
    }
    false
}

impl<T: Into<String>> From<T> for Fault {
    fn from(text: T) -> Self {
        Self { text: text.into(), infrastructure: false }
    }
}

/// Hosts that a test uses: all that match a pattern, or one that a name is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostUse {
    /// `dut` of `hosts(dut = "tag:arch=arm")`.
    pub name: Option<&'static str>,
    /// A regex that matches whole ids, or `tag:` and a tag.
    pub pattern: &'static str,
    /// Others may use them at the same time.
    pub shared: bool,
}

/// One registered test.
#[derive(Debug)]
pub struct TestCase {
    /// `module_path!()` where it stands, crate name first.
    pub module: &'static str,
    /// Its function's name, without `r#`.
    pub name: &'static str,
    /// Its file, as `file!()`.
    pub file: &'static str,
    /// Its line.
    pub line: u32,
    /// The package it was compiled in (`CARGO_PKG_NAME`).
    pub package: &'static str,
    /// The labs it runs on: none (whichever is selected), one (`lab = "a+b"`), or several (`labs = [..]`), one instance each.
    pub labs: &'static [&'static str],
    /// The hosts it uses, of `hosts(…)` and `shared(…)`; with none of these and no `each_host`, it has the whole lab.
    pub hosts: &'static [HostUse],
    /// It has one instance for each host that this matches.
    pub each_host: Option<HostUse>,
    /// What `--tag` selects it by.
    pub tags: &'static [&'static str],
    /// How many more attempts it has when it fails; none given: as many as the run's tests have.
    pub retries: Option<u32>,
    /// Its own limits: of its body, of its setup, of its teardown.
    pub timeout: Option<Duration>,
    /// See `timeout`.
    pub setup: Option<Duration>,
    /// See `timeout`.
    pub teardown: Option<Duration>,
    /// `#[ignore]`, with the reason if it gave one.
    pub ignore: Option<Option<&'static str>>,
    /// `#[should_panic]`, with the expected part of the message if it gave one.
    pub should_panic: Option<Option<&'static str>>,
    /// Its arguments, in order.
    pub fixtures: &'static [Fixture],
    /// Makes the future of its body, from what the fixtures made.
    pub run: for<'f> fn(&'f mut [Made]) -> TestFuture<'f>,
}

inventory::collect!(TestCase);

#[doc(hidden)]
pub use inventory;
