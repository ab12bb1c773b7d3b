//! [`TelnetOptions`]: what a lab says about a host's telnet connection and its login.

use std::time::Duration;

use indexmap::IndexMap;

use super::diagnose::Reader;
use super::fields::Fields;
use super::login::LoginOptions;

/// otto-sh's fields that otto has no use for: accepted, and kept as data.
const KEPT: &[&str] = &[
    "auto_window_resize",
    "echo_negotiation_timeout",
    "encoding",
    "extra",
    "single_client_console",
    "write_chunk_delay",
    "write_chunk_size",
];

/// What a host says about its telnet connection beyond address and port: `telnet_options` in a lab file.
///
/// ```
/// let lab = otto::Lab::from_toml(
///     "lab = 'bench'\n[[hosts]]\nid = 'board'\nip = '10.0.0.3'\nterm = 'telnet'\n\
///      creds = [{ login = 'admin', password = 'pw' }]\n\
///      [hosts.telnet_options]\nlogin_prompt = 'Board [0-9]+ user:'\nconnect_timeout = 3",
/// )?;
/// let options = &lab.host("board").unwrap().telnet_options;
/// assert_eq!(options.login.login_prompt.as_deref(), Some("Board [0-9]+ user:"));
/// assert_eq!(options.connect_timeout, Some(std::time::Duration::from_secs(3)));
/// # Ok::<(), otto::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct TelnetOptions {
    /// The limit for finding and reaching the server.
    pub connect_timeout: Option<Duration>,
    /// How its login looks.
    pub login: LoginOptions,
    /// Whether the host lets anybody in without asking: `login = false` in a lab file.
    pub no_login: bool,
    /// Who to log in as over telnet, if not who the host says.
    pub user: Option<String>,
    /// The width of the terminal, 255 unless said.
    pub cols: Option<u16>,
    /// Its height, 50 unless said.
    pub rows: Option<u16>,
    /// How long the connection may be silent before the host is asked whether it lives.
    pub keepalive_interval: Option<Duration>,
    /// How many such questions may stay unanswered.
    pub keepalive_count_max: Option<u32>,
    /// otto-sh's fields beyond these: kept, not used.
    pub extra: IndexMap<String, serde_json::Value>,
}

impl TelnetOptions {
    /// The fields of the table, and the port among them; all mistakes are noted.
    pub(super) fn read(reader: &Reader<'_>, fields: &mut Fields<'_>) -> (Self, Option<u16>) {
        let Some(mut table) = fields.table("telnet_options", "`telnet_options`") else { return Default::default() };
        let number =
            |table: &mut Fields<'_>, name| table.integer(name, 1, 65_535).and_then(|it| u16::try_from(it).ok());
        let port = number(&mut table, "port");
        let mut login = LoginOptions::read(reader, &mut table);
        // otto-sh's delimiter of all prompts: less than what otto looks for by itself.
        login.login_prompt = login.login_prompt.filter(|prompt| prompt.trim() != ":");
        let options = Self {
            connect_timeout: table.seconds("connect_timeout"),
            login,
            no_login: table.boolean("login") == Some(false),
            user: table.text("user").map(|user| user.value),
            cols: number(&mut table, "cols"),
            rows: number(&mut table, "rows"),
            keepalive_interval: table.seconds("keepalive_interval"),
            keepalive_count_max: table
                .integer("keepalive_count_max", 1, i64::from(u32::MAX))
                .and_then(|count| u32::try_from(count).ok()),
            extra: table.data(KEPT),
        };
        table.end();
        (options, port)
    }
}
