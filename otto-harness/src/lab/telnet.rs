//! [`TelnetOptions`]: what a lab says about a host's telnet connection and its login.

use std::time::Duration;

use indexmap::IndexMap;
use regex::bytes::Regex;

use super::diagnose::Reader;
use super::fields::{At, Fields};

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
/// The prompts are regular expressions. They have to match at the end of what the host wrote; what is not said is found by
/// what most hosts say.
///
/// ```
/// let lab = otto::Lab::from_toml(
///     "lab = 'bench'\n[[hosts]]\nid = 'board'\nip = '10.0.0.3'\nterm = 'telnet'\n\
///      creds = [{ login = 'admin', password = 'pw' }]\n\
///      [hosts.telnet_options]\nlogin_prompt = 'Board [0-9]+ user:'\nconnect_timeout = 3",
/// )?;
/// let options = &lab.host("board").unwrap().telnet_options;
/// assert_eq!(options.login_prompt.as_deref(), Some("Board [0-9]+ user:"));
/// assert_eq!(options.connect_timeout, Some(std::time::Duration::from_secs(3)));
/// # Ok::<(), otto::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct TelnetOptions {
    /// The limit for finding and reaching the server.
    pub connect_timeout: Option<Duration>,
    /// The limit for the login, from the connection to the shell.
    pub login_timeout: Option<Duration>,
    /// Whether the host asks for a login at all; it does unless this is `false`.
    pub login: Option<bool>,
    /// Who to log in as over telnet, if not who the host says.
    pub user: Option<String>,
    /// The question for the user's name.
    pub login_prompt: Option<String>,
    /// The question for the password.
    pub password_prompt: Option<String>,
    /// The shell's prompt.
    pub shell_prompt: Option<String>,
    /// A line by which the host says that it lets nobody in.
    pub login_failure: Option<String>,
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

/// What is wrong with a pattern, if it is none.
pub(crate) fn pattern_fault(pattern: &str) -> Option<String> {
    let error = Regex::new(pattern).err()?;
    // The last line says what is wrong; those before point at it, which is of no use in a line of a report.
    let text = error.to_string();
    let reason = text.lines().next_back().unwrap_or_default();
    Some(format!("is no regular expression: {}", reason.strip_prefix("error: ").unwrap_or(reason)))
}

/// What a host's `telnet_options` say, and the port among them; all mistakes are noted.
pub(super) fn read(reader: &Reader<'_>, fields: &mut Fields<'_>) -> (TelnetOptions, Option<u16>) {
    let Some(mut table) = fields.table("telnet_options", "`telnet_options`") else { return Default::default() };
    let size = |table: &mut Fields<'_>, name| table.integer(name, 1, 65_535).and_then(|size| u16::try_from(size).ok());
    let pattern = |text: Option<At<String>>, name: &str| {
        let At { at, value } = text?;
        let fault = if value.is_empty() { Some("is empty".to_owned()) } else { pattern_fault(&value) };
        match fault {
            None => Some(value),
            Some(fault) => {
                reader.fault(at, format!("`{name}` {fault}"));
                None
            }
        }
    };
    let port = size(&mut table, "port");
    let login_prompt = pattern(table.text("login_prompt"), "login_prompt")
        // otto-sh's delimiter of every prompt, which is less than what otto looks for by itself.
        .filter(|prompt| prompt.trim() != ":");
    let options = TelnetOptions {
        connect_timeout: table.seconds("connect_timeout"),
        login_timeout: table.seconds("login_timeout"),
        login: table.boolean("login"),
        user: table.text("user").map(|user| user.value),
        login_prompt,
        password_prompt: pattern(table.text("password_prompt"), "password_prompt"),
        shell_prompt: pattern(table.text("shell_prompt"), "shell_prompt"),
        login_failure: pattern(table.text("login_failure"), "login_failure"),
        cols: size(&mut table, "cols"),
        rows: size(&mut table, "rows"),
        keepalive_interval: table.seconds("keepalive_interval"),
        keepalive_count_max: table
            .integer("keepalive_count_max", 1, i64::from(u32::MAX))
            .and_then(|count| u32::try_from(count).ok()),
        extra: table.data(KEPT),
    };
    table.end();
    (options, port)
}
