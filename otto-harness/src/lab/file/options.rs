//! What a lab file may say of a host's connections.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Data, Int, OneOf, Pattern, Rows, Seconds, Table, Texts};
use crate::lab::de::Field;
use crate::lab::serial::{Flow, Parity};

/// otto-sh's fields of `ssh_options` that otto does not use: accepted, and kept as data.
pub(in crate::lab) const KEPT_OF_SSH: &[&str] = &[
    "agent_forwarding",
    "client_host_keys",
    "compression_algs",
    "encryption_algs",
    "extra",
    "kex_algs",
    "local_forwards",
    "mac_algs",
    "preferred_auth",
    "remote_forwards",
    "server_host_key_algs",
    "socks_forwards",
];

/// otto-sh's fields of `telnet_options` that otto does not use.
pub(in crate::lab) const KEPT_OF_TELNET: &[&str] = &[
    "auto_window_resize",
    "echo_negotiation_timeout",
    "encoding",
    "extra",
    "single_client_console",
    "write_chunk_delay",
    "write_chunk_size",
];

/// More about an SSH connection.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "`ssh_options`")]
#[schemars(rename = "SshOptions", deny_unknown_fields, extend("patternProperties" = {"^_": true}))]
pub(in crate::lab) struct SshFields {
    /// The port, for a host that does not say `port`.
    pub(in crate::lab) port: Field<Int<1, 65_535>>,
    /// The limit for connecting, in seconds.
    pub(in crate::lab) connect_timeout: Field<Seconds>,
    /// How long the connection may be silent before the peer is asked whether it lives, in seconds.
    pub(in crate::lab) keepalive_interval: Field<Seconds>,
    /// How many such questions may stay unanswered.
    pub(in crate::lab) keepalive_count_max: Field<Int<1, 4_294_967_295>>,
    /// A file of known host keys, asked before the user's own.
    pub(in crate::lab) known_hosts: Field<String>,
    /// Files of private keys, for any login.
    pub(in crate::lab) client_keys: Field<Texts>,
    /// Kept.
    pub(in crate::lab) agent_forwarding: Field<bool>,
    /// Kept.
    pub(in crate::lab) client_host_keys: Field<Texts>,
    /// Kept.
    pub(in crate::lab) compression_algs: Field<Texts>,
    /// Kept.
    pub(in crate::lab) encryption_algs: Field<Texts>,
    /// Kept.
    pub(in crate::lab) extra: Field<Table>,
    /// Kept.
    pub(in crate::lab) kex_algs: Field<Texts>,
    /// Kept.
    pub(in crate::lab) local_forwards: Field<Rows<Table>>,
    /// Kept.
    pub(in crate::lab) mac_algs: Field<Texts>,
    /// Kept.
    pub(in crate::lab) preferred_auth: Field<Data>,
    /// Kept.
    pub(in crate::lab) remote_forwards: Field<Rows<Table>>,
    /// Kept.
    pub(in crate::lab) server_host_key_algs: Field<Texts>,
    /// Kept.
    pub(in crate::lab) socks_forwards: Field<Rows<Table>>,
}

/// How a login by prompts looks: the patterns of both `telnet_options` and `serial_options`.
#[derive(Debug, Default)]
pub(in crate::lab) struct LoginFields {
    pub(in crate::lab) login_prompt: Field<Pattern>,
    pub(in crate::lab) password_prompt: Field<Pattern>,
    pub(in crate::lab) shell_prompt: Field<Pattern>,
    pub(in crate::lab) login_failed: Field<Pattern>,
    pub(in crate::lab) login_timeout: Field<Seconds>,
}

/// More about a telnet connection, and about the login there.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "`telnet_options`")]
#[schemars(rename = "TelnetOptions", deny_unknown_fields, extend("patternProperties" = {"^_": true}))]
pub(in crate::lab) struct TelnetFields {
    /// The port, for a host that does not say `port`.
    pub(in crate::lab) port: Field<Int<1, 65_535>>,
    /// The limit for finding and reaching the server, in seconds.
    pub(in crate::lab) connect_timeout: Field<Seconds>,
    /// `false` if the host lets anybody in without asking.
    pub(in crate::lab) login: Field<bool>,
    /// A pattern for the question for the user name.
    pub(in crate::lab) login_prompt: Field<Pattern>,
    /// A pattern for the question for the password.
    pub(in crate::lab) password_prompt: Field<Pattern>,
    /// A pattern for the prompt of the shell.
    pub(in crate::lab) shell_prompt: Field<Pattern>,
    /// A pattern for what the host says when it does not let somebody in.
    pub(in crate::lab) login_failed: Field<Pattern>,
    /// How long the login may take, in seconds; 60 if not said.
    pub(in crate::lab) login_timeout: Field<Seconds>,
    /// Who to log in as over telnet, if not who the host says.
    pub(in crate::lab) user: Field<String>,
    /// The width of the terminal.
    pub(in crate::lab) cols: Field<Int<1, 65_535>>,
    /// Its height.
    pub(in crate::lab) rows: Field<Int<1, 65_535>>,
    /// How long the connection may be silent before the host is asked whether it lives, in seconds.
    pub(in crate::lab) keepalive_interval: Field<Seconds>,
    /// How many such questions may stay unanswered.
    pub(in crate::lab) keepalive_count_max: Field<Int<1, 4_294_967_295>>,
    /// Kept.
    pub(in crate::lab) auto_window_resize: Field<bool>,
    /// Kept.
    pub(in crate::lab) echo_negotiation_timeout: Field<f64>,
    /// Kept.
    pub(in crate::lab) encoding: Field<Data>,
    /// Kept.
    pub(in crate::lab) extra: Field<Table>,
    /// Kept.
    pub(in crate::lab) single_client_console: Field<bool>,
    /// Kept.
    pub(in crate::lab) write_chunk_delay: Field<f64>,
    /// Kept.
    pub(in crate::lab) write_chunk_size: Field<Int<0, { i64::MAX }>>,
}

/// A serial line. What is left out is as consoles of Linux have it: 115200 8N1.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "`serial_options`")]
#[schemars(rename = "SerialOptions", deny_unknown_fields, extend("patternProperties" = {"^_": true}))]
pub(in crate::lab) struct SerialFields {
    /// The device, such as `/dev/ttyUSB0`.
    pub(in crate::lab) device: Field<String>,
    /// Bits in a second; 115200 if not said.
    pub(in crate::lab) baud: Field<Int<1, 100_000_000>>,
    /// Data bits; 8 if not said.
    pub(in crate::lab) data_bits: Field<Int<5, 8>>,
    /// The parity bit; none if not said.
    pub(in crate::lab) parity: Field<OneOf<Parity>>,
    /// Stop bits; 1 if not said.
    pub(in crate::lab) stop_bits: Field<Int<1, 2>>,
    /// The flow control; none if not said.
    pub(in crate::lab) flow: Field<OneOf<Flow>>,
    /// How many bytes are written at once to a console that loses some when they come faster than it reads.
    pub(in crate::lab) write_chunk: Field<Int<1, 4096>>,
    /// How long the line rests after each of these writes, in seconds; without `write_chunk`, after each line.
    pub(in crate::lab) write_pause: Field<Seconds>,
    /// A pattern for the question for the user name.
    pub(in crate::lab) login_prompt: Field<Pattern>,
    /// A pattern for the question for the password.
    pub(in crate::lab) password_prompt: Field<Pattern>,
    /// A pattern for the prompt of the shell.
    pub(in crate::lab) shell_prompt: Field<Pattern>,
    /// A pattern for what the host says when it does not let somebody in.
    pub(in crate::lab) login_failed: Field<Pattern>,
    /// How long the login may take, in seconds; 60 if not said.
    pub(in crate::lab) login_timeout: Field<Seconds>,
}
