//! From a tree of values to the types of `file`, by `serde`, with *all* mistakes and the place of each.
//!
//! A derived `Deserialize` stops at the first mistake. Here every field is a [`Field`], which notes what is wrong with its
//! value at the value's place and lets the rest go on; and a struct's unknown fields are found against the list of names
//! that `serde` derives. So the types are written once, for reading and for the JSON Schema.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};

use super::diagnose::{Reader, did_you_mean, quoted};
use super::tree::{Entry, Node, Value};

/// The name by which [`Field`] asks for a place and a value.
const FIELD: &str = "$field";
/// How the name of an enum begins whose variants are told apart by what the value is: `text`, `table`, `list`, `number`. What
/// follows says what is expected, if there is more to say of it than that.
const BY_SHAPE: &str = "$shape";

/// A field: absent, of a type that it cannot have (which is noted), or what it says and where.
#[derive(Debug, Clone, Default)]
pub(crate) enum Field<T> {
    #[default]
    Absent,
    Wrong,
    Right(At<T>),
}

/// A value and the byte it begins at.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) at: usize,
    pub(crate) value: T,
}

impl<T> Field<T> {
    pub(crate) fn is_given(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    pub(crate) fn right(self) -> Option<At<T>> {
        match self {
            Self::Right(it) => Some(it),
            Self::Absent | Self::Wrong => None,
        }
    }

    pub(crate) fn value(self) -> Option<T> {
        self.right().map(|it| it.value)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PlaceThenValue<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for PlaceThenValue<T> {
            type Value = Field<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
                let at = parts.next_element::<usize>()?.unwrap_or_default();
                Ok(parts.next_element::<T>()?.map_or(Field::Wrong, |value| Field::Right(At { at, value })))
            }
        }
        deserializer.deserialize_newtype_struct(FIELD, PlaceThenValue(PhantomData))
    }
}

/// What is wrong with a value. Begins with a verb, to follow the field's name, unless it is whole by itself.
#[derive(Debug)]
pub(crate) struct Fault {
    text: String,
    whole: bool,
}

impl Fault {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), whole: false }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Fault {}

/// What serde calls it, in the words of lab files.
fn expected(what: &dyn Expected) -> String {
    match &*what.to_string() {
        "a string" => "text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        "f64" | "i64" => "a number".to_owned(),
        other => other.to_owned(),
    }
}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::new(text.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, what: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Bool(_) => "a boolean",
            Unexpected::Str(_) => "text",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
            Unexpected::Seq => "a list",
            Unexpected::Unit | Unexpected::Option => "null",
            _ => "a table",
        };
        Self::new(format!("has to be {}, and this is {found}", expected(what)))
    }

    fn invalid_value(found: Unexpected<'_>, what: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Unsigned(number) => number.to_string(),
            Unexpected::Signed(number) => number.to_string(),
            Unexpected::Float(number) => number.to_string(),
            Unexpected::Str(text) => quoted(text),
            other => return Self::invalid_type(other, what),
        };
        Self::new(format!("has to be {}, and this is {found}", expected(what)))
    }

    fn invalid_length(_: usize, what: &dyn Expected) -> Self {
        Self::new(format!("has to be {}", expected(what)))
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        let near = did_you_mean(variant, known.iter().copied());
        Self::new(format!("cannot be {}; it is one of {}{near}", quoted(variant), known.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("has no `{field}`"))
    }
}

/// A value under reading.
#[derive(Clone, Copy)]
pub(crate) struct From<'r, 'de> {
    reader: &'r Reader<'r>,
    node: &'de Node,
    /// The field that it is the value of, or an item of.
    name: &'de str,
    item: bool,
}

/// What `node` says as a `T`; all mistakes are noted.
pub(crate) fn read<'de, T: Deserialize<'de>>(reader: &Reader<'_>, node: &'de Node) -> Option<T> {
    let from = From { reader, node, name: "", item: false };
    T::deserialize(from).map_err(|fault| reader.fault(node.at, fault.text)).ok()
}

impl<'de> From<'_, 'de> {
    fn found(&self) -> Unexpected<'de> {
        match &self.node.value {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Integer(value) => Unexpected::Signed(*value),
            Value::Number(value) => Unexpected::Float(*value),
            Value::Text(text) => Unexpected::Str(text),
            Value::List(_) => Unexpected::Seq,
            Value::Table(_) => Unexpected::Map,
        }
    }

    fn entries(&self) -> Option<&'de [Entry]> {
        match &self.node.value {
            Value::Table(entries) => Some(entries),
            _ => None,
        }
    }
}

impl<'de> Deserializer<'de> for From<'_, 'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Integer(value) => visitor.visit_i64(*value),
            Value::Number(value) => visitor.visit_f64(*value),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::List(items) => visitor.visit_seq(Items { of: self, items: items.iter() }),
            Value::Table(entries) => visitor.visit_map(Entries { of: self, entries: entries.iter(), now: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if matches!(self.node.value, Value::Null) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        if name == FIELD {
            visitor.visit_seq(Parts { of: self, place_told: false })
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        of: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let Some(entries) = self.entries() else {
            let Fault { text, .. } = de::Error::invalid_type(self.found(), &"a table");
            return Err(Fault { text: format!("{of} {text}"), whole: true });
        };
        // A name that begins with `_` is a comment.
        for entry in entries.iter().filter(|entry| !entry.key.starts_with('_') && !known.contains(&&*entry.key)) {
            let near = did_you_mean(&entry.key, known.iter().copied());
            let key: String = entry.key.chars().take(128).collect();
            self.reader.fault(entry.at, format!("{of} has no field `{key}`{near}"));
        }
        visitor.visit_map(Fields { of: self, known, entries: entries.iter(), now: None })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let Some(what) = name.strip_prefix(BY_SHAPE) else {
            return match &self.node.value {
                Value::Text(text) => visitor.visit_enum(StrDeserializer::<Fault>::new(text)),
                _ => Err(de::Error::invalid_type(self.found(), &"text")),
            };
        };
        let shape = match self.node.value {
            Value::Text(_) => "text",
            Value::Table(_) => "table",
            Value::List(_) => "list",
            Value::Bool(_) => "boolean",
            Value::Integer(_) | Value::Number(_) => "number",
            Value::Null => "null",
        };
        match variants.iter().find(|variant| **variant == shape) {
            Some(variant) => visitor.visit_enum(Variant { of: self, variant }),
            None if what.is_empty() => Err(de::Error::invalid_type(self.found(), &&*variants.join(" or a "))),
            None => Err(de::Error::invalid_type(self.found(), &what.trim_start())),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier
    }
}

/// The place and the value of a field. A mistake in the value is noted, and there is no value then.
struct Parts<'r, 'de> {
    of: From<'r, 'de>,
    place_told: bool,
}

impl<'de> SeqAccess<'de> for Parts<'_, 'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        if !std::mem::replace(&mut self.place_told, true) {
            return seed.deserialize(self.of.node.at.into_deserializer()).map(Some);
        }
        seed.deserialize(self.of).map(Some).or_else(|Fault { text, whole }| {
            let From { reader, node, name, item } = self.of;
            let message = match (whole, item) {
                (true, _) => text,
                (false, false) => format!("`{name}` {text}"),
                (false, true) => format!("each of `{name}` {text}"),
            };
            reader.fault(node.at, message);
            Ok(None)
        })
    }
}

struct Items<'r, 'de> {
    of: From<'r, 'de>,
    items: std::slice::Iter<'de, Node>,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let next = self.items.next();
        next.map(|node| seed.deserialize(From { node, item: true, ..self.of })).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The known fields of a struct; null counts as absent.
struct Fields<'r, 'de> {
    of: From<'r, 'de>,
    known: &'static [&'static str],
    entries: std::slice::Iter<'de, Entry>,
    now: Option<&'de Entry>,
}

impl<'de> MapAccess<'de> for Fields<'_, 'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let is_field = |entry: &&Entry| self.known.contains(&&*entry.key) && !matches!(entry.node.value, Value::Null);
        self.now = self.entries.find(is_field);
        self.now.map(|entry| seed.deserialize(StrDeserializer::new(&entry.key))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let entry = self.now.ok_or_else(|| Fault::new("has a value without a name"))?;
        seed.deserialize(From { node: &entry.node, name: &entry.key, item: false, ..self.of })
    }
}

/// All entries of a table.
struct Entries<'r, 'de> {
    of: From<'r, 'de>,
    entries: std::slice::Iter<'de, Entry>,
    now: Option<&'de Entry>,
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.now = self.entries.next();
        self.now.map(|entry| seed.deserialize(Key(entry))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let entry = self.now.ok_or_else(|| Fault::new("has a value without a name"))?;
        seed.deserialize(From { node: &entry.node, name: &entry.key, item: false, ..self.of })
    }
}

/// A key, which has a place too.
struct Key<'de>(&'de Entry);

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_str(&self.0.key)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        if name == FIELD {
            visitor.visit_seq(KeyParts { entry: self.0, told: 0 })
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier struct enum option ignored_any
    }
}

struct KeyParts<'de> {
    entry: &'de Entry,
    told: u8,
}

impl<'de> SeqAccess<'de> for KeyParts<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        self.told += 1;
        match self.told {
            1 => seed.deserialize(self.entry.at.into_deserializer()).map(Some),
            _ => seed.deserialize(StrDeserializer::new(&self.entry.key)).map(Some),
        }
    }
}

/// A variant that was chosen by the value's shape, and the value.
struct Variant<'r, 'de> {
    of: From<'r, 'de>,
    variant: &'static str,
}

impl<'r, 'de> de::EnumAccess<'de> for Variant<'r, 'de> {
    type Error = Fault;
    type Variant = From<'r, 'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant), Fault> {
        Ok((seed.deserialize(StrDeserializer::<Fault>::new(self.variant))?, self.of))
    }
}

impl<'de> de::VariantAccess<'de> for From<'_, 'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, known: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_struct("a table", known, visitor)
    }
}
