//! Checks that do not end a test: collected with their places, they fail it at its end.

use std::error::Error as StdError;
use std::fmt::{Debug, Display, Write as _};
use std::panic::Location;
use std::sync::{Mutex, PoisonError};

use super::OttoContext;
use crate::error::{Error, ErrorKind, Result, chain};

/// So many are listed; a check in a loop that never holds must not fill the memory.
const LISTED: usize = 100;

/// The checks of a context that did not hold.
#[derive(Debug, Default)]
pub(super) struct Checks(Mutex<Failed>);

#[derive(Debug, Default)]
struct Failed {
    listed: Vec<String>,
    more: usize,
}

impl Checks {
    fn add(&self, place: &Location<'_>, what: &dyn Display) {
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.listed.len() < LISTED {
            let what = what.to_string().replace('\n', "\n  ");
            failed.listed.push(format!("{}:{}: {what}", place.file(), place.line()));
        } else {
            failed.more += 1;
        }
    }
}

/// Checks that go on. Each says at once whether it held, and all that did not fail the test at its end, in one list.
///
/// In a test they are added to whatever else went wrong, and also fail a test that was skipped after them. With
/// [`OpenContext::with`](super::OpenContext::with) they are the error of a body that had none; with
/// [`close`](OttoContext::close), that of closing.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let checked = otto::open_context("local").with(async |ctx| {
///     let ports = 47;
///     assert!(!ctx.expect_that(ports == 48, "all ports are up"));
///     assert!(!ctx.expect_eq(ports, 48, "the number of ports"));
///     assert_eq!(ctx.expect_ok("forty".parse::<u32>(), "the number is one"), None);
///     Ok(())
/// }).await;
/// let text = checked.unwrap_err().to_string();
/// assert!(text.contains("3 checks failed") && text.contains(": all ports are up"), "{text}");
/// # }
/// ```
impl OttoContext {
    /// Checks that `holds`. Returns it, for code that depends on it.
    #[track_caller]
    pub fn expect_that(&self, holds: bool, what: impl Display) -> bool {
        if !holds {
            self.0.checks.add(Location::caller(), &what);
        }
        holds
    }

    /// Checks that two values are equal; both are shown when they are not. Returns whether they are.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "values and references alike, as `assert_eq!` takes them")]
    pub fn expect_eq<L: PartialEq<R> + Debug, R: Debug>(&self, left: L, right: R, what: impl Display) -> bool {
        let equal = left == right;
        if !equal {
            self.0.checks.add(Location::caller(), &format_args!("{what}\n  left: {left:?}\n right: {right:?}"));
        }
        equal
    }

    /// Checks that there was no error, which is shown with its causes. Returns the value, if there is one.
    #[track_caller]
    pub fn expect_ok<T, E>(&self, result: std::result::Result<T, E>, what: impl Display) -> Option<T>
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.0.checks.add(Location::caller(), &format_args!("{what}: {}", chain(&*error.into())));
                None
            }
        }
    }

    /// What the checks that did not hold say, as `FILE:LINE: text`, in order.
    pub(crate) fn failed_checks(&self) -> Vec<String> {
        let failed = self.0.checks.0.lock().unwrap_or_else(PoisonError::into_inner);
        let more = (failed.more > 0).then(|| format!("and {} more", failed.more));
        failed.listed.iter().cloned().chain(more).collect()
    }

    /// An error if a check did not hold.
    pub(super) fn check_checks(&self) -> Result<()> {
        match listed(&self.failed_checks()) {
            Some(text) => Err(Error::new(ErrorKind::Check, text).redacted(&self.0.secrets)),
            None => Ok(()),
        }
    }
}

/// `2 checks failed:` and each of them on a line; `None` if there is none.
pub(crate) fn listed(failed: &[String]) -> Option<String> {
    let mut text = match failed {
        [] => return None,
        [_] => "1 check failed:".to_owned(),
        several => {
            let more = several.last().and_then(|last| last.strip_prefix("and ")?.strip_suffix(" more")?.parse().ok());
            let count = more.map_or(several.len(), |more: usize| several.len() - 1 + more);
            format!("{count} checks failed:")
        }
    };
    for check in failed {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {check}");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_listed_with_their_places_up_to_a_bound() {
        let checks = Checks::default();
        let place = Location::caller();
        for number in 0..LISTED + 5 {
            checks.add(place, &format_args!("check {number}\nleft"));
        }
        let failed = checks.0.into_inner().unwrap();
        assert_eq!((failed.listed.len(), failed.more), (LISTED, 5));
        assert_eq!(failed.listed[7], format!("{}:{}: check 7\n  left", place.file(), place.line()));
        assert_eq!(listed(&[]), None);
        assert_eq!(listed(&["f.rs:1: a".into()]).unwrap(), "1 check failed:\n  f.rs:1: a");
        let text = listed(&["f.rs:1: a".into(), "f.rs:2: b".into(), "and 5 more".into()]).unwrap();
        assert!(text.starts_with("7 checks failed:\n") && text.ends_with("\n  and 5 more"), "{text}");
    }
}
