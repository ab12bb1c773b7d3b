//! The JSON Schema of lab files, for editors and other programs.

use schemars::generate::SchemaSettings;

use super::file::FileFields;

/// The JSON Schema (draft 2020-12) of a lab file, JSON and TOML alike: made from the types that lab files are read by.
///
/// ```
/// let schema: serde_json::Value = serde_json::from_str(&otto::lab::json_schema()).unwrap();
/// assert_eq!(schema["properties"]["hosts"]["items"]["$ref"], "#/$defs/Host");
/// assert_eq!(schema["$defs"]["Host"]["properties"]["port"]["maximum"], 65_535);
/// ```
#[must_use]
pub fn json_schema() -> String {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let schema = generator.into_root_schema_for::<FileFields>();
    // A schema is plain data: it has a text.
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
