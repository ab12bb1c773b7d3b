//! What a lab says about a login by prompts: [`LoginOptions`].

use std::time::Duration;

use regex::bytes::Regex;

use super::diagnose::Reader;
use super::fields::Fields;

/// How a login by prompts looks, on telnet and on serial lines. What is left out is as most hosts have it.
///
/// The texts are regular expressions. A prompt is what stands at the very end of what the host wrote.
///
/// ```
/// let lab = otto::Lab::from_toml(r#"
///     lab = "bench"
///     [[hosts]]
///     id = "switch1"
///     term = "serial"
///     [hosts.serial_options]
///     device = "/dev/ttyUSB0"
///     login_prompt = "Who goes there\\? "
///     login_timeout = 90
/// "#)?;
/// let login = &lab.host("switch1").unwrap().serial_options.login;
/// assert_eq!(login.login_prompt.as_deref(), Some("Who goes there\\? "));
/// # Ok::<(), otto::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct LoginOptions {
    /// The question for the user name.
    pub login_prompt: Option<String>,
    /// The question for the password.
    pub password_prompt: Option<String>,
    /// The prompt of the shell.
    pub shell_prompt: Option<String>,
    /// What the host says when it does not let somebody in.
    pub login_failed: Option<String>,
    /// How long the login may take, from the first byte to the shell; 60 s if not said.
    pub login_timeout: Option<Duration>,
}

impl LoginOptions {
    /// The fields of a login in the options of a terminal.
    pub(super) fn read(reader: &Reader<'_>, table: &mut Fields<'_>) -> Self {
        let mut pattern = |name: &'static str| {
            let text = table.text(name)?;
            match fault(&text.value) {
                None => Some(text.value),
                Some(fault) => {
                    reader.fault(text.at, format!("`{name}` {fault}"));
                    None
                }
            }
        };
        Self {
            login_prompt: pattern("login_prompt"),
            password_prompt: pattern("password_prompt"),
            shell_prompt: pattern("shell_prompt"),
            login_failed: pattern("login_failed"),
            login_timeout: table.seconds("login_timeout"),
        }
    }

    /// What is wrong with the patterns, when they were said in code.
    pub(super) fn faults(&self) -> Vec<String> {
        let all = [
            ("login_prompt", &self.login_prompt),
            ("password_prompt", &self.password_prompt),
            ("shell_prompt", &self.shell_prompt),
            ("login_failed", &self.login_failed),
        ];
        let faults = all.iter().filter_map(|(name, text)| Some(format!("`{name}` {}", fault(text.as_deref()?)?)));
        faults.collect()
    }
}

/// What is wrong with a pattern.
fn fault(pattern: &str) -> Option<String> {
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
