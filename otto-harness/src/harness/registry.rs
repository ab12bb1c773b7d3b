//! The tests that `#[otto::test]` registered, found without being named anywhere.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::fixtures::{Fixture, Made};

/// The future of one test. It is made and polled on the test's own thread, so it need not be `Send`.
pub type TestFuture<'f> = Pin<Box<dyn Future<Output = Outcome> + 'f>>;

/// How a test's body ended, when it did not panic: `Err` has the text of its error, causes included.
pub type Outcome = Result<(), String>;

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
