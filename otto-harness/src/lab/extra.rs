//! [`Extra`]: what a lab file says and otto does not use.

use std::fmt;
use std::ops::{Deref, DerefMut};

use indexmap::IndexMap;
use serde_json::Value;

use super::secret::Secret;

/// How the names of fields end whose values are nobody's to see.
const SECRET: [&str; 5] = ["password", "passphrase", "secret", "token", "api_key"];

/// What a lab file says of a host and otto keeps as data without using it, by the names of the fields.
///
/// Its `Debug` shows the names alone: a table such as otto-sh's `power_control` may hold a password.
///
/// ```
/// let lab = otto::Lab::from_json(r#"{ "lab": "bench", "hosts": [
///     { "id": "r1", "ip": "10.0.0.1", "power_control": { "type": "pdu", "password": "hunter2" }, "rack": 7 }
/// ] }"#)?;
/// let extra = &lab.host("r1").unwrap().extra;
/// assert_eq!(extra["power_control"]["type"], "pdu");
/// assert_eq!(extra.get("rack").and_then(|rack| rack.as_i64()), Some(7));
/// assert_eq!(format!("{extra:?}"), r#"Extra("power_control", "rack")"#);
/// # Ok::<(), otto::Error>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Extra(IndexMap<String, Value>);

impl Extra {
    /// The texts in it that are secrets by the names of their fields.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let mut found = Vec::new();
        self.0.iter().for_each(|(name, value)| collect(name, value, &mut found));
        found
    }
}

fn collect(name: &str, value: &Value, found: &mut Vec<Secret>) {
    match value {
        Value::String(text) if SECRET.iter().any(|end| name.to_lowercase().ends_with(end)) => {
            found.push(Secret::new(text.as_str()));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(name, item, found)),
        Value::Object(table) => table.iter().for_each(|(name, value)| collect(name, value, found)),
        _ => {}
    }
}

impl Deref for Extra {
    type Target = IndexMap<String, Value>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Extra {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl FromIterator<(String, Value)> for Extra {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl IntoIterator for Extra {
    type Item = (String, Value);
    type IntoIter = indexmap::map::IntoIter<String, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_tuple("Extra");
        self.0.keys().for_each(|name| {
            shown.field(name);
        });
        shown.finish()
    }
}
