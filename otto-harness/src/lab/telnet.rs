//! [`TelnetOptions`]: what a lab says about a host's telnet connection and its login.

use std::time::Duration;

use super::extra::Extra;
use super::file::{Int, KEPT_OF_TELNET, LoginFields, TelnetFields};
use super::login::LoginOptions;
use super::schema::kept;
use super::tree::Node;

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
    pub extra: Extra,
}

impl TelnetOptions {
    /// What the fields of the table say, and the port among them; `node` is the table.
    pub(super) fn read(fields: TelnetFields, node: &Node) -> (Self, Option<u16>) {
        let mut login = LoginOptions::read(LoginFields {
            login_prompt: fields.login_prompt,
            password_prompt: fields.password_prompt,
            shell_prompt: fields.shell_prompt,
            login_failed: fields.login_failed,
            login_timeout: fields.login_timeout,
        });
        // otto-sh's delimiter of all prompts: less than what otto looks for by itself.
        login.login_prompt = login.login_prompt.filter(|prompt| prompt.trim() != ":");
        let options = Self {
            connect_timeout: fields.connect_timeout.value().map(|it| it.0),
            login,
            no_login: fields.login.value() == Some(false),
            user: fields.user.value(),
            cols: fields.cols.value().and_then(Int::to),
            rows: fields.rows.value().and_then(Int::to),
            keepalive_interval: fields.keepalive_interval.value().map(|it| it.0),
            keepalive_count_max: fields.keepalive_count_max.value().and_then(Int::to),
            extra: kept(node, KEPT_OF_TELNET),
        };
        (options, fields.port.value().and_then(Int::to))
    }
}
