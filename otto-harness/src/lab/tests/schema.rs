//! The JSON Schema says what the reading of lab files does.

use serde_json::{Value, json};

use super::super::file::{KEPT, KEPT_OF_CRED, KEPT_OF_SSH, KEPT_OF_TELNET};
use crate::lab::{Lab, json_schema};

fn schema() -> Value {
    serde_json::from_str(&json_schema()).unwrap()
}

/// Whether `value` is as `schema` says, as far as the schemas of otto use JSON Schema.
fn fits(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let Some(schema) = schema.as_object() else {
        return if schema == &Value::Bool(false) { Err(format!("{value} is not allowed")) } else { Ok(()) };
    };
    for (rule, wanted) in schema {
        let wrong = || Err(format!("{value} breaks {rule}: {wanted}"));
        match rule.as_str() {
            "$ref" => {
                let target = root.pointer(wanted.as_str().unwrap().trim_start_matches('#')).unwrap();
                fits(root, target, value)?;
            }
            "anyOf" if !wanted.as_array().unwrap().iter().any(|any| fits(root, any, value).is_ok()) => return wrong(),
            "type" => {
                let types = wanted.as_array().cloned().unwrap_or_else(|| vec![wanted.clone()]);
                let is = |name: &Value| match name.as_str().unwrap() {
                    "null" => value.is_null(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "number" => value.is_number(),
                    "string" => value.is_string(),
                    "array" => value.is_array(),
                    "object" => value.is_object(),
                    other => panic!("{other}"),
                };
                if !types.iter().any(is) {
                    return wrong();
                }
            }
            "enum" if !wanted.as_array().unwrap().contains(value) => return wrong(),
            "minimum" if value.as_f64().is_some_and(|it| it < wanted.as_f64().unwrap()) => return wrong(),
            "maximum" if value.as_f64().is_some_and(|it| it > wanted.as_f64().unwrap()) => return wrong(),
            "exclusiveMinimum" if value.as_f64().is_some_and(|it| it <= wanted.as_f64().unwrap()) => return wrong(),
            "minItems" if value.as_array().is_some_and(|it| (it.len() as u64) < wanted.as_u64().unwrap()) => {
                return wrong();
            }
            "maxItems" if value.as_array().is_some_and(|it| it.len() as u64 > wanted.as_u64().unwrap()) => {
                return wrong();
            }
            "minProperties" if value.as_object().is_some_and(|it| it.is_empty()) => return wrong(),
            "required" => {
                if let Some(table) = value.as_object()
                    && let Some(missing) =
                        wanted.as_array().unwrap().iter().find(|name| !table.contains_key(name.as_str().unwrap()))
                {
                    return Err(format!("{missing} is missing"));
                }
            }
            "items" => value.as_array().into_iter().flatten().try_for_each(|item| fits(root, wanted, item))?,
            "properties" | "additionalProperties" | "patternProperties" => {
                for (name, field) in value.as_object().into_iter().flatten().filter(|(name, _)| !name.starts_with('_'))
                {
                    let known = schema.get("properties").and_then(|all| all.get(name));
                    match (rule.as_str(), known) {
                        ("properties", Some(known)) => fits(root, known, field)?,
                        ("additionalProperties", None) => {
                            fits(root, wanted, field).map_err(|it| format!("{name}: {it}"))?
                        }
                        _ => {}
                    }
                }
            }
            "anyOf" | "enum" | "minimum" | "maximum" | "exclusiveMinimum" | "minItems" | "maxItems"
            | "minProperties" => {}
            "$schema" | "$defs" | "title" | "description" | "format" | "default" => {}
            other => panic!("the test does not know the rule {other}"),
        }
    }
    Ok(())
}

fn as_json(toml: &str) -> Value {
    toml::from_str(toml).unwrap()
}

#[test]
fn what_otto_reads_the_schema_allows() {
    let schema = schema();
    for text in [
        include_str!("../../../testdata/otto-sh/fruits.json"),
        include_str!("../../../testdata/otto-sh/tech1.json"),
        include_str!("../../../testdata/otto-sh/tech2.json"),
        include_str!("../../../testdata/otto-sh/getting-started.json"),
    ] {
        fits(&schema, &schema, &serde_json::from_str(text).unwrap()).unwrap();
    }
    for text in [
        include_str!("../../../../docs/guides/labs/bench.toml"),
        include_str!("../../../../docs/guides/labs/boards.toml"),
    ] {
        fits(&schema, &schema, &as_json(text)).unwrap();
    }
    fits(
        &schema,
        &schema,
        &json!({"$schema": "x", "_note": 1, "lab": "l", "hosts": [{"_a": 1, "id": "a", "ip": "h", "hop": null}]}),
    )
    .unwrap();
}

#[test]
fn what_otto_refuses_by_its_form_the_schema_refuses() {
    let schema = schema();
    for line in [
        "prot = 22",
        "port = 0",
        "port = 70000",
        "port = \"x\"",
        "port = 22.5",
        "term = \"shh\"",
        "tags = \"smoke\"",
        "tags = [3]",
        "creds = { admin = \"pw\" }",
        "creds = [{ password = \"x\" }]",
        "creds = [{ login = \"a\", pasword = \"x\" }]",
        "creds = [{ login = \"a\", password = 3 }]",
        "creds = [{ login = \"a\", password = {} }]",
        "creds = [{ login = \"a\", password = { envv = \"A\" } }]",
        "host_key_check = \"strikt\"",
        "ssh_options = { connect_timeout = 0 }",
        "ssh_options = { conect_timeout = 1 }",
        "telnet_options = { login = 1 }",
        "serial_options = { parity = \"maybe\" }",
        "serial_options = { data_bits = 9 }",
        "docker_capable = \"yes\"",
        "interfaces = 3",
        "power_control = 3",
        "rack = true",
    ] {
        let text = super::host_with(line);
        assert!(fits(&schema, &schema, &as_json(&text)).is_err(), "the schema allows {line}");
        assert!(Lab::from_toml(&text).is_err(), "otto reads {line}");
    }
    for text in [
        "lab = 3",
        "lab = 'x'\nhots = []",
        "lab = 'x'\nhosts = 3",
        "lab = 'x'\nlinks = [{ name = 'x' }]",
        "labs = ['x']",
    ] {
        assert!(fits(&schema, &schema, &as_json(text)).is_err(), "the schema allows {text}");
        assert!(Lab::from_toml(text).is_err(), "otto reads {text}");
    }
}

#[test]
fn every_field_is_described_and_every_kept_one_is_a_field() {
    let schema = schema();
    let properties = |of: &str| schema["$defs"][of]["properties"].as_object().unwrap().clone();
    for (of, kept) in
        [("Host", KEPT), ("Login", KEPT_OF_CRED), ("SshOptions", KEPT_OF_SSH), ("TelnetOptions", KEPT_OF_TELNET)]
    {
        let fields = properties(of);
        for name in kept {
            assert!(fields.contains_key(*name), "{of} keeps {name}, which is none of its fields");
        }
        for (name, field) in &fields {
            let description = field["description"].as_str().unwrap_or_default();
            assert!(!description.is_empty(), "{of}.{name} is not described");
            let is_kept = kept.contains(&&**name);
            // `os_type` and `valid_terms` are read, and kept too.
            assert!(!description.starts_with("Kept") || is_kept, "{of}.{name} says that it is kept");
        }
    }
    assert_eq!(schema["additionalProperties"], false);
    assert!(schema["$defs"].as_object().unwrap().len() < 20, "{:?}", schema["$defs"].as_object().unwrap().keys());
}
