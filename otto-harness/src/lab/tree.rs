//! What TOML and JSON have in common: a tree of values, each of which knows where it stands.
//!
//! Both formats are read into this, and everything after works on it: so they cannot mean different things, and a mistake
//! of any kind has a place.

use zeroize::Zeroize;

/// A value and the byte it begins at.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: usize,
    pub(crate) value: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key, where it stands, and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: usize,
    pub(crate) node: Node,
}

impl Value {
    /// What this is, for a message.
    pub(crate) fn what(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

impl Node {
    /// The entries, if it is a table.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }

    /// The items, if it is a list.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The value of that field, if it is a table that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Takes what it does not say from `defaults`; of tables that both have, field by field.
    pub(crate) fn fill(&mut self, defaults: &Self) {
        let (Value::Table(ours), Value::Table(theirs)) = (&mut self.value, &defaults.value) else { return };
        for entry in theirs {
            match ours.iter_mut().find(|known| known.key == entry.key) {
                Some(known) => known.node.fill(&entry.node),
                None => ours.push(entry.clone()),
            }
        }
    }

    /// Overwrites all texts: a lab file may hold passwords.
    pub(crate) fn wipe(&mut self) {
        match &mut self.value {
            Value::Text(text) => text.zeroize(),
            Value::List(items) => items.iter_mut().for_each(Self::wipe),
            Value::Table(entries) => entries.iter_mut().for_each(|entry| entry.node.wipe()),
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Number(_) => {}
        }
    }

    /// As plain data, for fields that otto keeps and does not read.
    pub(crate) fn data(&self) -> serde_json::Value {
        use serde_json::Value as Data;
        match &self.value {
            Value::Null => Data::Null,
            Value::Bool(value) => (*value).into(),
            Value::Integer(value) => (*value).into(),
            Value::Number(value) => (*value).into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Self::data).collect(),
            Value::Table(entries) => {
                Data::Object(entries.iter().map(|entry| (entry.key.clone(), entry.node.data())).collect())
            }
        }
    }

    /// The same, of a tree that is done with.
    pub(crate) fn into_data(self) -> serde_json::Value {
        self.data()
    }
}
