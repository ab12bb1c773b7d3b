//! What a lab file may say of a host.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Data, Int, OneOf, Rows, SerialFields, SshFields, Table, TelnetFields, Texts};
use crate::lab::de::Field;
use crate::lab::spec::{HostKeyCheck, Term};

/// otto-sh's fields of a host that otto does not use: their types are checked, and they are kept as data.
pub(in crate::lab) const KEPT: &[&str] = &[
    "command_frame",
    "console_options",
    "debug_log_globs",
    "default_dest_dir",
    "docker_capable",
    "docker_priority",
    "filesystem",
    "ftp_options",
    "has_bash",
    "hw_version",
    "impairer",
    "interfaces",
    "inventory",
    "is_virtual",
    "landing_frame",
    "loader",
    "log",
    "log_stdout",
    "max_filename_len",
    "metadata",
    "nc_options",
    "os_name",
    "os_type",
    "os_version",
    "power_control",
    "rack",
    "roles",
    "scp_options",
    "session_setup",
    "sftp_options",
    "shelf",
    "shell_history",
    "site",
    "snmp",
    "sw_version",
    "tftp_options",
    "toolchain",
    "transfer",
    "userland_options",
    "valid_impairers",
    "valid_terms",
    "valid_transfers",
];

/// otto-sh's fields of a login that otto does not use.
pub(in crate::lab) const KEPT_OF_CRED: &[&str] = &["params", "protocols", "proxy", "via"];

/// A host. Those fields that say "kept" are otto-sh's: otto checks their type and keeps them as data.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "a host")]
#[schemars(rename = "Host", deny_unknown_fields, extend("patternProperties" = {"^_": true}))]
pub(in crate::lab) struct HostFields {
    /// Its name in tests, unique in the lab; or it is made of `element`, `element_id`, `board` and `slot`.
    pub(in crate::lab) id: Field<String>,
    /// The equipment that it is part of: the beginning of its id, when it has no `id`.
    pub(in crate::lab) element: Field<String>,
    /// A number that follows the element's name in the id.
    pub(in crate::lab) element_id: Field<Int<0, { i64::MAX }>>,
    /// The board of the equipment that it is: the second part of its id.
    pub(in crate::lab) board: Field<String>,
    /// The slot of the board, which follows its name in the id.
    pub(in crate::lab) slot: Field<Int<0, { i64::MAX }>>,
    /// Its name for people.
    pub(in crate::lab) name: Field<String>,
    /// Its address or DNS name.
    pub(in crate::lab) ip: Field<String>,
    /// The port of the protocol that `term` names, if not the usual one.
    pub(in crate::lab) port: Field<Int<1, 65_535>>,
    /// How it is reached; `ssh` if not said.
    pub(in crate::lab) term: Field<OneOf<Term>>,
    /// Who to log in as; the first of `creds` if not said.
    pub(in crate::lab) user: Field<String>,
    /// Logins there, in order of preference.
    pub(in crate::lab) creds: Field<Rows<CredFields>>,
    /// The one host key it may have: `ssh-ed25519 AAAA…`, as in `known_hosts`, or `SHA256:…`.
    pub(in crate::lab) host_key: Field<String>,
    /// What is done about a host key that is not known; `strict` if not said.
    pub(in crate::lab) host_key_check: Field<OneOf<HostKeyCheck>>,
    /// A file of known host keys, asked before the user's own.
    pub(in crate::lab) known_hosts: Field<String>,
    /// The id of the host that it is reached through.
    pub(in crate::lab) hop: Field<String>,
    /// What has to be reserved for any use of it.
    pub(in crate::lab) resources: Field<Texts>,
    /// Words to select it by: `smoke`, `arch=arm`.
    pub(in crate::lab) tags: Field<Texts>,
    /// The labs it is in, instead of the file's `lab`.
    pub(in crate::lab) labs: Field<Texts>,
    /// Its OS: unix, embedded, zephyr, busybox, or the name of a profile in `os_profiles`.
    pub(in crate::lab) os_type: Field<String>,
    /// More about its SSH connection.
    pub(in crate::lab) ssh_options: Field<SshFields>,
    /// More about its telnet connection and the login there.
    pub(in crate::lab) telnet_options: Field<TelnetFields>,
    /// Its serial line.
    pub(in crate::lab) serial_options: Field<SerialFields>,
    /// Kept. The protocols that it can be reached by; the first that otto knows is its `term` if that is not said.
    pub(in crate::lab) valid_terms: Field<TextOrTexts>,
    /// Kept.
    pub(in crate::lab) command_frame: Field<String>,
    /// Kept.
    pub(in crate::lab) console_options: Field<Table>,
    /// Kept.
    pub(in crate::lab) debug_log_globs: Field<Texts>,
    /// Kept.
    pub(in crate::lab) default_dest_dir: Field<String>,
    /// Kept.
    pub(in crate::lab) docker_capable: Field<bool>,
    /// Kept.
    pub(in crate::lab) docker_priority: Field<Int<{ i64::MIN }, { i64::MAX }>>,
    /// Kept.
    pub(in crate::lab) filesystem: Field<String>,
    /// Kept.
    pub(in crate::lab) ftp_options: Field<Table>,
    /// Kept.
    pub(in crate::lab) has_bash: Field<bool>,
    /// Kept.
    pub(in crate::lab) hw_version: Field<String>,
    /// Kept.
    pub(in crate::lab) impairer: Field<String>,
    /// Kept. Its network interfaces by name: an address, or a table with `ip` and `subnet`.
    pub(in crate::lab) interfaces: Field<Table>,
    /// Kept.
    pub(in crate::lab) inventory: Field<String>,
    /// Kept.
    pub(in crate::lab) is_virtual: Field<bool>,
    /// Kept.
    pub(in crate::lab) landing_frame: Field<String>,
    /// Kept.
    pub(in crate::lab) loader: Field<String>,
    /// Kept.
    pub(in crate::lab) log: Field<Data>,
    /// Kept.
    pub(in crate::lab) log_stdout: Field<bool>,
    /// Kept.
    pub(in crate::lab) max_filename_len: Field<Int<{ i64::MIN }, { i64::MAX }>>,
    /// Kept. The user's own data.
    pub(in crate::lab) metadata: Field<Table>,
    /// Kept.
    pub(in crate::lab) nc_options: Field<Table>,
    /// Kept.
    pub(in crate::lab) os_name: Field<String>,
    /// Kept.
    pub(in crate::lab) os_version: Field<String>,
    /// Kept.
    pub(in crate::lab) power_control: Field<TextOrTable>,
    /// Kept.
    pub(in crate::lab) rack: Field<TextOrNumber>,
    /// Kept.
    pub(in crate::lab) roles: Field<Data>,
    /// Kept.
    pub(in crate::lab) scp_options: Field<Table>,
    /// Kept.
    pub(in crate::lab) session_setup: Field<TextOrTable>,
    /// Kept.
    pub(in crate::lab) sftp_options: Field<Table>,
    /// Kept.
    pub(in crate::lab) shelf: Field<Int<0, { i64::MAX }>>,
    /// Kept.
    pub(in crate::lab) shell_history: Field<bool>,
    /// Kept.
    pub(in crate::lab) site: Field<TextOrNumber>,
    /// Kept.
    pub(in crate::lab) snmp: Field<Table>,
    /// Kept.
    pub(in crate::lab) sw_version: Field<String>,
    /// Kept.
    pub(in crate::lab) tftp_options: Field<Table>,
    /// Kept.
    pub(in crate::lab) toolchain: Field<Table>,
    /// Kept.
    pub(in crate::lab) transfer: Field<String>,
    /// Kept.
    pub(in crate::lab) userland_options: Field<Table>,
    /// Kept.
    pub(in crate::lab) valid_impairers: Field<TextOrTexts>,
    /// Kept.
    pub(in crate::lab) valid_transfers: Field<TextOrTexts>,
}

/// A login, and what proves it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "a login in `creds`")]
#[schemars(rename = "Login", deny_unknown_fields, extend("patternProperties" = {"^_": true}, "required" = ["login"]))]
pub(in crate::lab) struct CredFields {
    /// The user's name there.
    pub(in crate::lab) login: Field<String>,
    /// The password.
    pub(in crate::lab) password: Field<SecretField>,
    /// The file of a private key.
    pub(in crate::lab) key_file: Field<String>,
    /// The passphrase of `key_file`.
    pub(in crate::lab) passphrase: Field<SecretField>,
    /// Kept.
    pub(in crate::lab) params: Field<Table>,
    /// Kept.
    pub(in crate::lab) protocols: Field<Texts>,
    /// Kept.
    pub(in crate::lab) proxy: Field<String>,
    /// Kept.
    pub(in crate::lab) via: Field<String>,
}

/// A secret: where it is, `{ env = "X" }` or `{ file = "…" }`, or, in a lab that is not real, the text itself.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "$shape text, { env = \"…\" } or { file = \"…\" }", rename_all = "lowercase")]
#[schemars(rename = "Secret", untagged)]
pub(in crate::lab) enum SecretField {
    /// The secret itself, which whoever reads the file knows then.
    Text(String),
    /// Where the secret is.
    Table(SecretPlace),
}

impl std::fmt::Debug for SecretField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretField(..)")
    }
}

/// Where a secret is: one of these.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "a secret")]
#[schemars(
    rename = "SecretPlace",
    deny_unknown_fields,
    extend("patternProperties" = {"^_": true}, "minProperties" = 1)
)]
pub(in crate::lab) struct SecretPlace {
    /// An environment variable.
    pub(in crate::lab) env: Field<String>,
    /// A file that only its owner can read.
    pub(in crate::lab) file: Field<String>,
}

/// A text, or a list of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "$shape", rename_all = "lowercase")]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "what is kept is read for its type alone")]
pub(in crate::lab) enum TextOrTexts {
    Text(String),
    List(Texts),
}

/// A name, or a table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "$shape", rename_all = "lowercase")]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "what is kept is read for its type alone")]
pub(in crate::lab) enum TextOrTable {
    Text(String),
    Table(Table),
}

/// A name, or a number.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "$shape", rename_all = "lowercase")]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "what is kept is read for its type alone")]
pub(in crate::lab) enum TextOrNumber {
    Text(String),
    Number(i64),
}
