//! TOML text to a [`Node`].

use toml::de::{DeTable, DeValue};

use super::diagnose::Reader;
use super::tree::{Entry, Node, Value};

/// The tree of the reader's text, if it is TOML; else each syntax error is noted.
pub(crate) fn parse(reader: &Reader<'_>) -> Option<Node> {
    let base = reader.source.base;
    let (table, errors) = DeTable::parse_recoverable(&reader.source.text);
    for error in &errors {
        let at = base + error.span().map_or(0, |span| span.start);
        reader.no_syntax(at, format!("this is not TOML: {}", error.message()));
    }
    // What could be recovered is a guess; mistakes in a guess would mislead.
    errors.is_empty().then(|| Node { at: base, value: Value::Table(entries(base, table.get_ref())) })
}

fn entries(base: usize, table: &DeTable<'_>) -> Vec<Entry> {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, item)| Entry {
            key: key.get_ref().to_string(),
            at: base + key.span().start,
            node: node(base, item.span().start, item.get_ref()),
        })
        .collect();
    entries.sort_by_key(|entry| entry.at);
    entries
}

fn node(base: usize, at: usize, value: &DeValue<'_>) -> Node {
    let value = match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map_or_else(|_| Value::Number(integer.as_str().parse().unwrap_or(f64::INFINITY)), Value::Integer),
        DeValue::Float(float) => Value::Number(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Array(items) => {
            Value::List(items.iter().map(|item| node(base, item.span().start, item.get_ref())).collect())
        }
        DeValue::Table(table) => Value::Table(entries(base, table)),
    };
    Node { at: base + at, value }
}
