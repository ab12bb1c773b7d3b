//! The fields of a table, taken out by name and type; what is left over in the end is unknown.

use std::time::Duration;

use indexmap::IndexMap;

use super::diagnose::{Reader, did_you_mean};
use super::tree::{Entry, Node, Value};

/// A value and the byte it begins at.
#[derive(Debug)]
pub(crate) struct At<T> {
    pub(crate) at: usize,
    pub(crate) value: T,
}

/// The fields of one table.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    reader: &'a Reader<'a>,
    /// What the table describes, for messages: "a host".
    of: &'static str,
    at: usize,
    entries: Vec<Entry>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The fields of `node`, which has to be a table; noted if it is not.
    pub(crate) fn of(reader: &'a Reader<'a>, of: &'static str, node: Node) -> Option<Self> {
        match node.value {
            Value::Table(entries) => Some(Self { reader, of, at: node.at, entries, known: Vec::new() }),
            other => {
                reader.fault(node.at, format!("{of} has to be a table, and this is {}", other.what()));
                None
            }
        }
    }

    /// Where the table stands.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Whether there is a field of that name, of whatever type.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == name && !matches!(entry.node.value, Value::Null))
    }

    /// The field of that name; null counts as absent.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<Node> {
        self.known.push(name);
        let index = self.entries.iter().position(|entry| entry.key == name)?;
        Some(self.entries.swap_remove(index).node).filter(|node| !matches!(node.value, Value::Null))
    }

    fn expected(&self, name: &str, at: usize, what: &str, value: &Value) {
        self.reader.fault(at, format!("`{name}` has to be {what}, and this is {}", value.what()));
    }

    /// A field that is text.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<At<String>> {
        let node = self.take(name)?;
        match node.value {
            Value::Text(value) => Some(At { at: node.at, value }),
            other => {
                self.expected(name, node.at, "text", &other);
                None
            }
        }
    }

    /// A field that is a list of texts.
    pub(crate) fn texts(&mut self, name: &'static str) -> Option<Vec<At<String>>> {
        let items = self.list(name, "a list of texts")?;
        let text = |node: Node| match node.value {
            Value::Text(value) => Some(At { at: node.at, value }),
            other => {
                self.expected(name, node.at, "a list of texts", &other);
                None
            }
        };
        Some(items.into_iter().filter_map(text).collect())
    }

    /// A field that is a list.
    pub(crate) fn list(&mut self, name: &'static str, what: &str) -> Option<Vec<Node>> {
        let node = self.take(name)?;
        match node.value {
            Value::List(items) => Some(items),
            other => {
                self.expected(name, node.at, what, &other);
                None
            }
        }
    }

    /// A field that is a whole number from `low` to `high`.
    pub(crate) fn integer(&mut self, name: &'static str, low: i64, high: i64) -> Option<i64> {
        let node = self.take(name)?;
        let shown = match &node.value {
            Value::Integer(value) if (low..=high).contains(value) => return Some(*value),
            Value::Integer(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            other => other.what().to_owned(),
        };
        let range = if high == i64::MAX { format!("from {low} up") } else { format!("from {low} to {high}") };
        self.reader.fault(node.at, format!("`{name}` has to be a whole number {range}, and this is {shown}"));
        None
    }

    /// A field that is a time in seconds, above zero.
    #[expect(dead_code, reason = "for `[reservations]`")]
    pub(crate) fn seconds(&mut self, name: &'static str) -> Option<Duration> {
        let node = self.take(name)?;
        #[expect(clippy::cast_precision_loss, reason = "nobody waits 2^52 seconds")]
        let seconds = match node.value {
            Value::Integer(value) => value as f64,
            Value::Number(value) => value,
            ref other => {
                self.expected(name, node.at, "a number of seconds", other);
                return None;
            }
        };
        let time = Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero());
        if time.is_none() {
            self.reader
                .fault(node.at, format!("`{name}` has to be a time above zero, in seconds, and this is {seconds}"));
        }
        time
    }

    /// The fields of a table in this one.
    pub(crate) fn table(&mut self, name: &'static str, of: &'static str) -> Option<Fields<'a>> {
        let node = self.take(name)?;
        Fields::of(self.reader, of, node)
    }

    /// All that is left, as data.
    #[expect(dead_code, reason = "for `[reservations]`")]
    pub(crate) fn rest(self) -> IndexMap<String, serde_json::Value> {
        self.entries.into_iter().map(|entry| (entry.key, entry.node.into_data())).collect()
    }

    /// Notes what is left as unknown. A name that begins with `_` is a comment.
    pub(crate) fn end(self) {
        for entry in self.entries.iter().filter(|entry| !entry.key.starts_with('_')) {
            let near = did_you_mean(&entry.key, self.known.iter().copied());
            self.reader.fault(entry.at, format!("{} has no field `{}`{near}", self.of, entry.key));
        }
    }
}
