//! OS profiles: what hosts of one `os_type` have in common, and what hosts of one file do.

use std::collections::HashMap;

use super::de;
use super::diagnose::{Reader, did_you_mean};
use super::file::HostFields;
use super::tree::{Entry, Node, Value};

/// The profiles that need no table, as in otto-sh, and whether their consoles are a firmware's.
const BUILTIN: [(&str, bool); 4] = [("unix", false), ("embedded", true), ("zephyr", true), ("busybox", false)];

/// Fields that no two hosts can share.
const ONE_HOST_ONLY: [&str; 1] = ["id"];

/// All profiles that the files and `otto.toml` declare.
#[derive(Debug, Default)]
pub(super) struct Profiles(HashMap<String, Profile>);

#[derive(Debug)]
struct Profile {
    /// The fields, those of the profiles it is based on among them.
    fields: Node,
    firmware: bool,
}

/// A profile as its file has it.
struct Declared<'t> {
    at: usize,
    base: Option<(&'t str, usize)>,
    fields: Node,
}

impl Profiles {
    /// Those that these tables declare; all mistakes are noted.
    pub(super) fn collect<'t>(reader: &Reader<'_>, tables: impl IntoIterator<Item = &'t Node>) -> Self {
        let mut declared: HashMap<&str, Declared<'t>> = HashMap::new();
        for table in tables {
            if !matches!(table.value, Value::Table(_)) {
                reader.fault(table.at, format!("`os_profiles` has to be a table, and this is {}", table.value.what()));
            }
            for entry in table.entries().iter().filter(|entry| !entry.key.starts_with('_')) {
                if let Some(first) = declared.get(&*entry.key) {
                    let first = reader.place(first.at);
                    reader.fault(entry.at, format!("the OS profile `{}` stands twice: also at {first}", entry.key));
                } else if BUILTIN.iter().any(|(name, _)| *name == entry.key) {
                    reader.fault(entry.at, format!("`{}` is a built-in OS profile: choose another name", entry.key));
                } else if let Some(profile) = declare(reader, entry) {
                    declared.insert(&entry.key, profile);
                }
            }
        }
        let names: Vec<&str> = declared.keys().copied().collect();
        let known = || names.iter().copied().chain(BUILTIN.iter().map(|(name, _)| *name));
        let mut profiles = HashMap::with_capacity(declared.len());
        for (name, profile) in &declared {
            let (mut fields, mut firmware) = (profile.fields.clone(), false);
            let (mut way, mut at) = (vec![*name], profile);
            while let Some((base, base_at)) = at.base {
                if let Some((_, console)) = BUILTIN.iter().find(|(builtin, _)| *builtin == base) {
                    firmware = *console;
                    break;
                }
                let Some(next) = declared.get(base) else {
                    // Whoever is based on this one has no fault of its own.
                    if way.len() == 1 {
                        let near = did_you_mean(base, known());
                        reader.fault(base_at, format!("`base` names no OS profile: `{base}`{near}"));
                    }
                    break;
                };
                if way.contains(&base) {
                    if base == *name {
                        way.push(base);
                        reader.fault(
                            base_at,
                            format!("OS profiles are based on each other in a circle: {}", way.join(" → ")),
                        );
                    }
                    break;
                }
                fields.fill(&next.fields);
                way.push(base);
                at = next;
            }
            profiles.insert((*name).to_owned(), Profile { fields, firmware });
        }
        Self(profiles)
    }

    /// Gives `host` what its profile says and it does not, by its `os_type`; notes an `os_type` that is none.
    pub(super) fn fill(&self, reader: &Reader<'_>, host: &mut Node) {
        let Some((at, name)) = host.get("os_type").and_then(|node| Some((node.at, node.text()?))) else { return };
        match self.0.get(name) {
            Some(profile) => host.fill(&profile.fields),
            None if BUILTIN.iter().any(|(builtin, _)| *builtin == name) => {}
            None => {
                let known = self.0.keys().map(String::as_str).chain(BUILTIN.iter().map(|(name, _)| *name));
                let near = did_you_mean(name, known);
                let help = if near.is_empty() { ": declare it under `[os_profiles]`, with its `base`" } else { &*near };
                reader.fault(at, format!("`os_type` names no OS profile: `{name}`{help}"));
            }
        }
    }

    /// Whether a host of that `os_type` is a firmware, whose console is on telnet.
    pub(super) fn is_firmware(&self, os_type: &str) -> bool {
        let builtin = || BUILTIN.iter().any(|(name, firmware)| *name == os_type && *firmware);
        self.0.get(os_type).map_or_else(builtin, |profile| profile.firmware)
    }
}

/// The profile of this entry, if it is a table with a base.
fn declare<'t>(reader: &Reader<'_>, entry: &'t Entry) -> Option<Declared<'t>> {
    let Value::Table(all) = &entry.node.value else {
        let what = entry.node.value.what();
        reader.fault(entry.node.at, format!("the OS profile `{}` has to be a table, and this is {what}", entry.key));
        return None;
    };
    let base = entry.node.get("base");
    if base.is_none() {
        let message =
            format!("the OS profile `{}` has no `base`: say `base = \"unix\"`, or another profile", entry.key);
        reader.fault(entry.at, message);
    }
    let base = base.and_then(|base| {
        if base.text().is_none() {
            reader.fault(base.at, format!("`base` has to be text, and this is {}", base.value.what()));
        }
        Some((base.text()?, base.at))
    });
    let others = all.iter().filter(|field| field.key != "base").cloned().collect();
    let fields = Node { at: entry.node.at, value: Value::Table(others) };
    check_shared(reader, &fields);
    // It keeps the name of the profile in `os_type`, which a host has already when it takes fields from here.
    Some(Declared { at: entry.at, base, fields })
}

/// Notes what is wrong with fields that several hosts share.
pub(super) fn check_shared(reader: &Reader<'_>, fields: &Node) {
    for entry in fields.entries().iter().filter(|entry| ONE_HOST_ONLY.contains(&&*entry.key)) {
        reader.fault(entry.at, format!("`{}` is of one host: it cannot be shared", entry.key));
    }
    de::read::<HostFields>(reader, fields);
}
