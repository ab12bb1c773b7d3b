//! What a lab file may say: the types that both its reading and its JSON Schema are derived from.
//!
//! One schema for TOML and JSON: otto's own fields, those of otto-sh's flat `hosts`, and those of otto-sh's `labs` and
//! `elements`. The doc comments are the descriptions that an editor shows. See `docs/design/labs.md`.

mod host;
mod options;
mod scalar;

use schemars::JsonSchema;
use serde::Deserialize;

pub(super) use self::host::{CredFields, HostFields, KEPT, KEPT_OF_CRED, SecretField, SecretPlace};
pub(super) use self::options::{KEPT_OF_SSH, KEPT_OF_TELNET, LoginFields, SerialFields, SshFields, TelnetFields};
pub(super) use self::scalar::{Data, Int, Named, OneOf, Pattern, Rows, Seconds, Table, Texts, Unread, Word};
use super::de::Field;

/// A lab file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "a lab file")]
#[schemars(rename = "Lab", deny_unknown_fields, extend("patternProperties" = {"^_": true}))]
pub(super) struct FileFields {
    /// For editors: where this schema is.
    #[serde(rename = "$schema")]
    #[schemars(with = "Option<String>")]
    pub(super) schema: Unread,
    /// The lab of all hosts of the file that name none themselves.
    pub(super) lab: Field<String>,
    /// The lab is not real: passwords as text are no cause for a warning.
    pub(super) simulated: Field<bool>,
    /// What has to be reserved for any use of the lab.
    pub(super) resources: Field<Texts>,
    /// A file of known host keys for all hosts of the file, asked before the user's own.
    pub(super) known_hosts: Field<String>,
    /// What hosts of this file say that do not say it themselves.
    #[schemars(with = "Option<HostFields>")]
    pub(super) defaults: Unread,
    /// What hosts say whose `os_type` is the profile's name and that do not say it themselves.
    #[schemars(with = "Option<Named<ProfileFields>>")]
    pub(super) os_profiles: Unread,
    /// The hosts.
    #[schemars(with = "Option<Vec<HostFields>>")]
    pub(super) hosts: Unread,
    /// otto-sh: the labs there are, by name.
    pub(super) labs: Field<Named<LabFields>>,
    /// otto-sh: equipment, and the hosts that it is made of.
    pub(super) elements: Field<Rows<ElementFields>>,
    /// Routes between hosts.
    pub(super) links: Field<Rows<LinkFields>>,
}

/// A lab, in otto-sh's table of them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "a lab")]
#[schemars(rename = "LabEntry", deny_unknown_fields, extend("patternProperties" = {"^_": true}))]
pub(super) struct LabFields {
    /// What has to be reserved for any use of the lab.
    pub(super) resources: Field<Texts>,
    /// The user's own data.
    pub(super) metadata: Field<Table>,
}

/// An element: one piece of equipment.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "an element")]
#[schemars(rename = "Element", deny_unknown_fields, extend("patternProperties" = {"^_": true}, "required" = ["name", "labs", "hosts"]))]
pub(super) struct ElementFields {
    /// Its name; the ids of its hosts begin with it.
    pub(super) name: Field<String>,
    /// A number of the user's own, which is part of no id.
    pub(super) id: Field<Int<0, { i64::MAX }>>,
    /// Patterns for the names of the labs that it is in, to be matched in full.
    pub(super) labs: Field<Texts>,
    /// The user's own data.
    pub(super) metadata: Field<Table>,
    /// What has to be reserved for any use of it.
    pub(super) resources: Field<Texts>,
    /// The hosts that it is made of.
    #[schemars(with = "Vec<HostFields>")]
    pub(super) hosts: Unread,
}

/// A route between two hosts.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "a link")]
#[schemars(rename = "Link", deny_unknown_fields, extend("patternProperties" = {"^_": true}, "required" = ["endpoints"]))]
pub(super) struct LinkFields {
    /// Its two ends.
    #[schemars(length(equal = 2))]
    pub(super) endpoints: Field<Rows<EndFields>>,
    /// What it carries.
    pub(super) protocol: Field<String>,
    /// Its name.
    pub(super) name: Field<String>,
    /// The id of the host in its path that impairs it.
    pub(super) impair: Field<String>,
    /// As otto-sh has it; kept.
    pub(super) management: Field<String>,
}

/// One end of a link.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "the end of a link")]
#[schemars(rename = "LinkEnd", deny_unknown_fields, extend("patternProperties" = {"^_": true}, "required" = ["host"]))]
pub(super) struct EndFields {
    /// The id of a host.
    pub(super) host: Field<String>,
    /// The network interface there.
    pub(super) interface: Field<String>,
}

/// An OS profile: the fields of a host, and what it is based on.
///
/// Its fields are those of a host, so reading a profile is reading `base`, and then the rest as a host.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "OsProfile")]
pub(super) struct ProfileFields {
    /// Another profile, or one that is built in: unix, embedded, zephyr, busybox.
    #[schemars(with = "Option<String>")]
    _base: (),
    #[schemars(flatten)]
    _host: HostFields,
}
