//! What many hosts wrote, side by side: grouped by what is the same, or as a table.

use std::fmt;

use indexmap::IndexMap;

use super::HostResults;
use crate::result::{CommandStatus, RunResult};

/// What has an output to compare: [`RunResult`], [`CommandStatus`], and text.
pub trait HasOutput {
    /// The output: of several commands, one after the other, a line ending between them.
    fn output(&self) -> String;

    /// How it ended, in a word or two.
    fn verdict(&self) -> String {
        "ok".to_owned()
    }
}

impl HasOutput for RunResult {
    fn output(&self) -> String {
        self.statuses.iter().map(|status| &*status.output).collect::<Vec<_>>().join("\n")
    }

    fn verdict(&self) -> String {
        self.statuses.iter().find(|status| !status.is_ok()).map_or_else(|| "ok".to_owned(), HasOutput::verdict)
    }
}

impl HasOutput for CommandStatus {
    fn output(&self) -> String {
        self.output.clone()
    }

    fn verdict(&self) -> String {
        match (&self.signal, self.retcode) {
            _ if self.is_ok() => "ok".to_owned(),
            _ if self.timed_out => "timed out".to_owned(),
            (Some(signal), _) => format!("signal {signal}"),
            (None, Some(code)) => format!("exit {code}"),
            (None, None) => format!("{:?}", self.status),
        }
    }
}

impl HasOutput for String {
    fn output(&self) -> String {
        self.clone()
    }
}

impl HasOutput for &str {
    fn output(&self) -> String {
        (*self).to_owned()
    }
}

/// How to look at what many hosts wrote.
///
/// ```
/// use otto::{HostOutputs, HostResults};
/// let kernels: HostResults<String> = HostResults::from([
///     ("a".to_owned(), Ok("6.1".to_owned())),
///     ("b".to_owned(), Ok("5.10".to_owned())),
///     ("c".to_owned(), Ok("6.1".to_owned())),
/// ]);
/// let groups = kernels.group_by_output();
/// assert_eq!(groups["6.1"], ["a", "c"]);
/// assert_eq!(groups.keys().collect::<Vec<_>>(), ["6.1", "5.10"]);
/// assert_eq!(kernels.table().to_string().lines().next(), Some("a  ok  6.1"));
/// ```
pub trait HostOutputs {
    /// The hosts by what they wrote: the largest group first, hosts in lab order. An error is a group of its own, by its
    /// text without the host's name.
    fn group_by_output(&self) -> IndexMap<String, Vec<&str>>;

    /// A line a host, in lab order: id, how it ended, the first line of its output. For people.
    fn table(&self) -> Table;
}

impl<T: HasOutput> HostOutputs for HostResults<T> {
    fn group_by_output(&self) -> IndexMap<String, Vec<&str>> {
        let mut groups: IndexMap<String, Vec<&str>> = IndexMap::new();
        for (id, result) in self {
            let text = match result {
                Ok(value) => value.output(),
                Err(error) => format!("error: {}", without_host(id, &error.to_string())),
            };
            groups.entry(text).or_default().push(id);
        }
        // Stable, so that groups of one size stay in lab order.
        groups.sort_by(|_, one, _, other| other.len().cmp(&one.len()));
        groups
    }

    fn table(&self) -> Table {
        let row = |(id, result): (&String, &crate::Result<T>)| {
            let (verdict, text) = match result {
                Ok(value) => (value.verdict(), value.output()),
                Err(error) => ("error".to_owned(), without_host(id, &error.to_string()).to_owned()),
            };
            let more = text.trim_end().lines().count().saturating_sub(1);
            let line: String = text.lines().next().unwrap_or_default().chars().map(printable).collect();
            let more = if more > 0 { format!("  (+{more} lines)") } else { String::new() };
            [id.clone(), verdict, line + &more]
        };
        Table(self.iter().map(row).collect())
    }
}

/// Errors begin with the host they happened on, which would make each a group of its own.
fn without_host<'t>(id: &str, text: &'t str) -> &'t str {
    text.strip_prefix(id).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(text)
}

/// A control character would move the cursor in the terminal of whoever reads the table.
fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// What [`HostOutputs::table`] makes; print it.
#[derive(Debug, Clone)]
pub struct Table(Vec<[String; 3]>);

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| self.0.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let (ids, verdicts) = (width(0), width(1));
        for [id, verdict, line] in &self.0 {
            writeln!(f, "{}", format!("{id:ids$}  {verdict:verdicts$}  {line}").trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::result::Status;

    #[test]
    fn errors_are_grouped_by_what_happened_and_a_table_shows_every_host() {
        let down = |id: &str| Err(Error::new(ErrorKind::ConnectionLost, "gone").on_host(id));
        let run = |output: &str, status| {
            let mut one = CommandStatus::new("x", status);
            output.clone_into(&mut one.output);
            Ok(RunResult::new(vec![one]))
        };
        let results = HostResults::from([
            ("alone".to_owned(), run("one\ntwo\n\u{1b}[2J", Status::Failed)),
            ("b".to_owned(), down("b")),
            ("c".to_owned(), down("c")),
        ]);
        let groups = results.group_by_output();
        assert_eq!(groups.get_index(0), Some((&"error: gone".to_owned(), &vec!["b", "c"])));
        assert_eq!(groups.len(), 2);
        assert_eq!(
            results.table().to_string(),
            "alone  Failed  one  (+2 lines)\nb      error   gone\nc      error   gone\n"
        );
        assert_eq!(HostResults::<String>::new().table().to_string(), "");
    }
}
