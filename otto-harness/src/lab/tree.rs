//! What TOML and JSON have in common: a tree of values, each of which knows where it stands.
//!
//! Both formats are read into this, and everything after works on it: so they cannot mean different things, and a mistake
//! of any kind has a place.

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
    /// As plain data, for fields that otto keeps and does not read.
    pub(crate) fn into_data(self) -> serde_json::Value {
        use serde_json::Value as Data;
        match self.value {
            Value::Null => Data::Null,
            Value::Bool(value) => value.into(),
            Value::Integer(value) => value.into(),
            Value::Number(value) => value.into(),
            Value::Text(text) => text.into(),
            Value::List(items) => items.into_iter().map(Node::into_data).collect(),
            Value::Table(entries) => {
                Data::Object(entries.into_iter().map(|entry| (entry.key, entry.node.into_data())).collect())
            }
        }
    }
}
