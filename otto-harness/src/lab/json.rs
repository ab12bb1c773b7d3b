//! JSON text to a [`Node`].
//!
//! `serde_json` tells the place of an error of syntax and of nothing else. Its raw values are slices of the text, though,
//! so where one begins is where it points to.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::diagnose::Reader;
use super::tree::{Entry, Node, Value};

/// How deep values may be nested; a file that is deeper is no lab.
const DEEPEST: usize = 64;

/// The tree of the reader's text, if it is JSON; else the syntax error is noted.
pub(crate) fn parse(reader: &Reader<'_>) -> Option<Node> {
    let text = reader.source.text.as_str();
    if text.trim().is_empty() {
        reader.fault(reader.source.base, "the file is empty");
        return None;
    }
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) => node(reader, raw, 0),
        Err(error) => {
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or(&message);
            reader
                .no_syntax(reader.source.offset(error.line(), error.column()), format!("this is not JSON: {message}"));
            None
        }
    }
}

/// The byte of the whole text that a slice of it begins at.
fn offset(reader: &Reader<'_>, part: &str) -> usize {
    reader.source.base + part.as_ptr().addr().saturating_sub(reader.source.text.as_ptr().addr())
}

fn node(reader: &Reader<'_>, raw: &RawValue, depth: usize) -> Option<Node> {
    let text = raw.get();
    let at = offset(reader, text);
    if depth > DEEPEST {
        reader.fault(at, format!("values are nested more than {DEEPEST} deep"));
        return None;
    }
    let value = match text.as_bytes().first() {
        Some(b'{') => Value::Table(table(reader, raw, depth)?),
        Some(b'[') => {
            let items: Vec<&RawValue> = scalar(reader, raw)?;
            Value::List(items.into_iter().map(|item| node(reader, item, depth + 1)).collect::<Option<_>>()?)
        }
        Some(b'"') => Value::Text(scalar(reader, raw)?),
        Some(b't' | b'f') => Value::Bool(scalar(reader, raw)?),
        Some(b'n') => Value::Null,
        _ => text.parse().map_or_else(|_| Value::Number(text.parse().unwrap_or(f64::NAN)), Value::Integer),
    };
    Some(Node { at, value })
}

/// What the syntax check lets through may still be wrong: half of a surrogate pair in a text.
fn scalar<'a, T: Deserialize<'a>>(reader: &Reader<'_>, raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get())
        .map_err(|error| reader.fault(offset(reader, raw.get()), format!("this is not JSON: {error}")))
        .ok()
}

/// A table that is in order and keeps keys that stand twice.
struct Pairs<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

fn table(reader: &Reader<'_>, raw: &RawValue, depth: usize) -> Option<Vec<Entry>> {
    let Pairs(pairs) = scalar(reader, raw)?;
    let mut entries: Vec<Entry> = Vec::with_capacity(pairs.len());
    let mut seen = HashSet::with_capacity(pairs.len());
    for (key, value) in pairs {
        let at = offset(reader, key.get());
        let key: String = scalar(reader, key)?;
        // Comments may repeat; what is read may not.
        if !seen.insert(key.clone()) && !key.starts_with('_') {
            reader.fault(at, format!("`{key}` stands twice in this table"));
        }
        entries.push(Entry { key, at, node: node(reader, value, depth + 1)? });
    }
    Some(entries)
}
