//! What many hosts answered.

use std::any::Any;

use indexmap::IndexMap;

use crate::error::{Error, Result};
use crate::result::{CommandStatus, RunResult};

/// What each host answered, by id, in lab order.
pub type HostResults<T> = IndexMap<String, Result<T>>;

/// Questions to [`HostResults`] as a whole.
pub trait HostResultsExt<T> {
    /// What each host answered, if all succeeded: none has an error, nor a [`RunResult`] or [`CommandStatus`] that is not
    /// ok.
    ///
    /// # Errors
    /// One that names every host that did not, with why.
    fn ok(self) -> Result<IndexMap<String, T>>;

    /// The ids of those that did not succeed, in lab order.
    fn failed(&self) -> Vec<&str>;
}

impl<T: 'static> HostResultsExt<T> for HostResults<T> {
    fn ok(self) -> Result<IndexMap<String, T>> {
        let (hosts, mut failures) = (self.len(), Vec::new());
        let mut values = IndexMap::with_capacity(hosts);
        let mut first = None;
        for (id, result) in self {
            match result.and_then(|value| verdict(&value).map(|()| value)) {
                Ok(value) => drop(values.insert(id, value)),
                Err(error) => {
                    failures.push(error.to_string());
                    first.get_or_insert(error);
                }
            }
        }
        match (first, failures.len()) {
            (None, _) => Ok(values),
            (Some(only), 1) => Err(only),
            (Some(first), count) => {
                let all = failures.join("\n").replace('\n', "\n  ");
                Err(Error::new(first.kind(), format!("{count} of {hosts} hosts failed\n  {all}")))
            }
        }
    }

    fn failed(&self) -> Vec<&str> {
        let bad = |result: &Result<T>| result.as_ref().map_or(true, |value| verdict(value).is_err());
        self.iter().filter(|(_, result)| bad(result)).map(|(id, _)| &**id).collect()
    }
}

/// Whether the value says of itself that it is a success. A value that is neither of ours is one.
fn verdict<T: 'static>(value: &T) -> Result<()> {
    let value: &dyn Any = value;
    if let Some(result) = value.downcast_ref::<RunResult>() {
        return result.ok().map(drop);
    }
    if let Some(status) = value.downcast_ref::<CommandStatus>() {
        return status.ok().map(drop);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::result::Status;

    fn run(status: Status) -> RunResult {
        RunResult::new(vec![CommandStatus::new("x", status)])
    }

    #[test]
    fn a_command_that_failed_is_no_success_either() {
        let down = || Error::new(ErrorKind::ConnectionLost, "gone").on_host("b");
        let results = HostResults::from([
            ("a".to_owned(), Ok(run(Status::Success))),
            ("b".to_owned(), Err(down())),
            ("c".to_owned(), Ok(run(Status::Failed))),
        ]);
        assert_eq!(results.failed(), ["b", "c"]);
        let text = results.ok().unwrap_err().to_string();
        assert!(text.starts_with("2 of 3 hosts failed\n  b: gone\n  `x` "), "{text}");

        let one = HostResults::<u8>::from([("a".to_owned(), Ok(1)), ("b".to_owned(), Err(down()))]);
        assert_eq!(one.ok().unwrap_err().to_string(), "b: gone");
        let good = HostResults::from([("a".to_owned(), Ok(1))]);
        assert_eq!(good.ok().unwrap()["a"], 1);
    }
}
