//! What a login expects and answers: [`LoginScript`].

use std::time::Duration;

use regex::bytes::Regex;

use crate::transport::hidden::Hidden;

/// How to get from the first byte to a shell.
///
/// A prompt is a match at the very end of what the host wrote, in its last line, spaces aside: `$` need not be said.
/// Escape sequences are taken out before.
#[derive(Debug, Clone)]
pub(crate) struct LoginScript {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Hidden>,
    /// The question for the user name.
    pub(crate) login_prompt: Regex,
    /// The question for the password.
    pub(crate) password_prompt: Regex,
    /// A line by which the host says that it does not let us in. Looked for after an answer only: a banner may say anything.
    pub(crate) failure: Regex,
    /// The prompt of a shell: there is nothing (more) to answer. A shell whose prompt does not look so is found too, later.
    pub(crate) shell_prompt: Regex,
    /// Whether a host that says nothing is to be woken by a line of its own: ^U, which takes back what somebody typed on
    /// a console and left there, and Enter.
    pub(crate) wake: bool,
    pub(crate) limits: LoginLimits,
}

/// How long each part of a login may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoginLimits {
    /// Until the host writes something.
    pub(crate) banner: Duration,
    /// From the first byte to the shell, start-up files included.
    pub(crate) login: Duration,
    /// From the line that starts our shell to its greeting.
    pub(crate) shell: Duration,
}

impl Default for LoginLimits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { banner: seconds(30), login: seconds(60), shell: seconds(20) }
    }
}

impl LoginScript {
    /// For this user and password, with prompts as most hosts have them.
    pub(crate) fn new(user: Option<String>, password: Option<Hidden>) -> Self {
        let regex = |pattern| Regex::new(pattern).expect("the pattern is a constant that a test compiles");
        Self {
            user,
            password,
            login_prompt: regex(r"(?i)(?:login|logon|user ?name|user ?id)( [a-z0-9() ]*)?:"),
            password_prompt: regex(r"(?i)pass(?:word|phrase|code)[^\n]*:"),
            failure: regex(
                r"(?im)^[\s%*#>-]*(?:(?:login|logon|authentication|authorization) (?:incorrect|invalid|failed|failure|denied|timed out)|(?:access|permission) denied(?:, please try again)?|(?:incorrect|invalid|bad|wrong) (?:login|password|passcode|user ?name|credentials)[^\n$#]{0,40}|too many (?:login )?(?:attempts|failures|retries)[^\n]{0,40}|maximum number of tries exceeded[^\n]{0,20}|your account has expired[^\n]{0,60}|this account is currently not available)[.!,]*[ \t]*\r?\n",
            ),
            shell_prompt: regex(r"[#$%>❯]"),
            wake: false,
            limits: LoginLimits::default(),
        }
    }

    /// Whether the host is expected to ask for something.
    pub(crate) fn has_answers(&self) -> bool {
        self.user.is_some() || self.password.is_some()
    }
}
