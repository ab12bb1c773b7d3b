//! What a lab says about a login by prompts: [`LoginOptions`].

use std::time::Duration;

use super::de::Field;
use super::file::{LoginFields, Pattern};

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
    /// What the fields of a login say.
    pub(super) fn read(fields: LoginFields) -> Self {
        let text = |pattern: Field<Pattern>| pattern.value().map(|pattern| pattern.0);
        Self {
            login_prompt: text(fields.login_prompt),
            password_prompt: text(fields.password_prompt),
            shell_prompt: text(fields.shell_prompt),
            login_failed: text(fields.login_failed),
            login_timeout: fields.login_timeout.value().map(|it| it.0),
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
        let faults =
            all.iter().filter_map(|(name, text)| Some(format!("`{name}` {}", Pattern::fault(text.as_deref()?)?)));
        faults.collect()
    }
}
