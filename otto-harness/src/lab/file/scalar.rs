//! The kinds of values that fields have.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use regex::bytes::Regex;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};

use crate::lab::de::{At, Field};
use crate::lab::diagnose::{did_you_mean, quoted};

impl<T: JsonSchema> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // Null counts as absent.
        Option::<T>::json_schema(generator)
    }
}

/// A field that is read by other means, or not at all.
#[derive(Debug, Default)]
pub(in crate::lab) struct Unread;

impl<'de> Deserialize<'de> for Unread {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_ignored_any(IgnoredAny).map(|_| Self)
    }
}

/// Any value: kept, not read.
pub(in crate::lab) type Data = serde_json::Value;

/// A table of any values: kept, not read.
pub(in crate::lab) type Table = serde_json::Map<String, serde_json::Value>;

/// A list of `T`, whose expectation is said in the words of lab files.
macro_rules! list {
    ($(#[$doc:meta])* $name:ident<$item:ident>, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(in crate::lab) struct $name<$item = String>(pub(in crate::lab) Vec<Field<$item>>);

        impl<$item> Default for $name<$item> {
            fn default() -> Self {
                Self(Vec::new())
            }
        }

        impl<$item> $name<$item> {
            /// The items that are of the right type.
            pub(in crate::lab) fn right(self) -> impl Iterator<Item = At<$item>> {
                self.0.into_iter().filter_map(Field::right)
            }
        }

        impl<'de, $item: Deserialize<'de>> Deserialize<'de> for $name<$item> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct List<T>(PhantomData<T>);
                impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
                    type Value = Vec<Field<T>>;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }

                    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                        let mut all = Vec::with_capacity(items.size_hint().unwrap_or_default());
                        while let Some(item) = items.next_element()? {
                            all.push(item);
                        }
                        Ok(all)
                    }
                }
                deserializer.deserialize_any(List(PhantomData)).map(Self)
            }
        }

        impl<$item: JsonSchema> JsonSchema for $name<$item> {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                Vec::<$item>::schema_name()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                Vec::<$item>::json_schema(generator)
            }
        }
    };
}

list!(
    /// A list of texts.
    Texts<T>, "a list of texts"
);
list!(
    /// A list of tables.
    Rows<T>, "a list of tables"
);

/// Values by name, where each name has a place too. A name that begins with `_` is a comment.
#[derive(Debug)]
pub(in crate::lab) struct Named<T>(pub(in crate::lab) Vec<(At<String>, Field<T>)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ByName<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ByName<T> {
            type Value = Vec<(At<String>, Field<T>)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(key) = entries.next_key::<Field<String>>()? {
                    match key.right().filter(|key| !key.value.starts_with('_')) {
                        Some(key) => all.push((key, entries.next_value()?)),
                        None => drop(entries.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(all)
            }
        }
        deserializer.deserialize_any(ByName(PhantomData)).map(Self)
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Named_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let each = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "patternProperties": { "^_": true }, "additionalProperties": each })
    }
}

/// A whole number from `LOW` to `HIGH`.
#[derive(Debug, Clone, Copy)]
pub(in crate::lab) struct Int<const LOW: i64, const HIGH: i64>(pub(in crate::lab) i64);

impl<const LOW: i64, const HIGH: i64> Int<LOW, HIGH> {
    /// As a type that has all of the range.
    pub(in crate::lab) fn to<T: TryFrom<i64>>(self) -> Option<T> {
        T::try_from(self.0).ok()
    }
}

impl<'de, const LOW: i64, const HIGH: i64> Deserialize<'de> for Int<LOW, HIGH> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InRange<const LOW: i64, const HIGH: i64>;
        impl<const LOW: i64, const HIGH: i64> Visitor<'_> for InRange<LOW, HIGH> {
            type Value = i64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match HIGH {
                    i64::MAX => write!(f, "a whole number from {LOW} up"),
                    _ => write!(f, "a whole number from {LOW} to {HIGH}"),
                }
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<i64, E> {
                let wrong = || Error::invalid_value(Unexpected::Signed(value), &self);
                if (LOW..=HIGH).contains(&value) { Ok(value) } else { Err(wrong()) }
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<i64, E> {
                Err(Error::invalid_value(Unexpected::Float(value), &self))
            }
        }
        deserializer.deserialize_any(InRange::<LOW, HIGH>).map(Self)
    }
}

impl<const LOW: i64, const HIGH: i64> JsonSchema for Int<LOW, HIGH> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Int_{LOW}_{HIGH}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = json_schema!({ "type": "integer", "minimum": LOW });
        if HIGH != i64::MAX {
            schema.insert("maximum".to_owned(), HIGH.into());
        }
        schema
    }
}

/// A time above zero, in seconds.
#[derive(Debug, Clone, Copy)]
pub(in crate::lab) struct Seconds(pub(in crate::lab) Duration);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AboveZero;
        impl Visitor<'_> for AboveZero {
            type Value = Seconds;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time above zero, in seconds")
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Seconds, E> {
                #[expect(clippy::cast_precision_loss, reason = "nobody waits 2^52 seconds")]
                self.visit_f64(value as f64)
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Seconds, E> {
                let time = Duration::try_from_secs_f64(value).ok().filter(|time| !time.is_zero());
                time.map(Seconds).ok_or_else(|| Error::invalid_value(Unexpected::Float(value), &self))
            }
        }
        deserializer.deserialize_any(AboveZero)
    }
}

impl JsonSchema for Seconds {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Seconds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "exclusiveMinimum": 0 })
    }
}

/// A regular expression that does not match where nothing is.
#[derive(Debug, Clone)]
pub(in crate::lab) struct Pattern(pub(in crate::lab) String);

impl Pattern {
    /// What is wrong with it, after its field's name.
    pub(in crate::lab) fn fault(pattern: &str) -> Option<String> {
        match Regex::new(pattern) {
            Ok(regex) if regex.is_match(b"") => Some("matches where nothing was written".to_owned()),
            Ok(_) => None,
            Err(error) => {
                let last = error.to_string();
                let last = last.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                Some(format!("is no regular expression: {last}"))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match Self::fault(&text) {
            None => Ok(Self(text)),
            Some(fault) => Err(Error::custom(fault)),
        }
    }
}

impl JsonSchema for Pattern {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "regex" })
    }
}

/// One of a few words.
pub(in crate::lab) trait Word: Sized + 'static {
    const WORDS: &'static [&'static str];

    fn of(word: &str) -> Option<Self>;
}

/// A value that is written as one of a few words.
#[derive(Debug, Clone, Copy)]
pub(in crate::lab) struct OneOf<T>(pub(in crate::lab) T);

impl<'de, T: Word> Deserialize<'de> for OneOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        T::of(&text).map(Self).ok_or_else(|| {
            let near = did_you_mean(&text, T::WORDS.iter().copied());
            Error::custom(format!("cannot be {}; it is one of {}{near}", quoted(&text), T::WORDS.join(", ")))
        })
    }
}

impl<T: Word> JsonSchema for OneOf<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::WORDS.join("_").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": T::WORDS })
    }
}
