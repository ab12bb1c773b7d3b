//! What to run: [`ShellCommand`], answers to prompts ([`Expect`]), limits ([`Limit`]), and how much is logged.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::session::expect::Pattern;

/// How long something may take: a positive time.
///
/// Made from a [`Duration`], from seconds (`f64`, `u64`), or from text such as `"90s"`, `"1m30s"`, `"250ms"`. Zero, negative
/// and not-a-number are refused, with an error, before anything is run.
///
/// ```
/// use otto::IntoLimit;
/// use std::time::Duration;
/// assert_eq!("1m30s".into_limit().unwrap().get(), Duration::from_secs(90));
/// assert!(Duration::ZERO.into_limit().is_err());
/// assert!(f64::NAN.into_limit().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limit(Duration);

/// The longest limit there is: a century. What is longer (infinity too) counts as this.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

impl Limit {
    /// That of `run` and `expect` when nothing else is said.
    pub(crate) const DEFAULT: Self = Self(Duration::from_secs(10));

    /// The time.
    #[must_use]
    pub fn get(self) -> Duration {
        self.0
    }
}

/// What can be a [`Limit`].
pub trait IntoLimit {
    /// The limit.
    ///
    /// # Errors
    /// If it is zero, negative, not a number, or text that is no time.
    fn into_limit(self) -> Result<Limit>;
}

fn refused(what: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Invalid, format!("a limit has to be a positive time, and this is {what}"))
        .hint("give a Duration above zero, seconds, or text such as \"90s\"")
}

impl IntoLimit for Limit {
    fn into_limit(self) -> Result<Limit> {
        Ok(self)
    }
}

impl IntoLimit for Duration {
    fn into_limit(self) -> Result<Limit> {
        if self.is_zero() { Err(refused("zero")) } else { Ok(Limit(self.min(LONGEST))) }
    }
}

impl IntoLimit for f64 {
    fn into_limit(self) -> Result<Limit> {
        if self.is_nan() || self <= 0.0 {
            return Err(refused(self));
        }
        Duration::try_from_secs_f64(self).unwrap_or(LONGEST).into_limit()
    }
}

impl IntoLimit for u64 {
    fn into_limit(self) -> Result<Limit> {
        Duration::from_secs(self).into_limit()
    }
}

impl IntoLimit for &str {
    fn into_limit(self) -> Result<Limit> {
        parse_duration(self).ok_or_else(|| refused(format_args!("{self:?}")))?.into_limit()
    }
}

/// A time in text: numbers with units (`ms`, `s`, `m`, `h`, `d`), one after the other; a bare number is seconds.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit_end = rest[digits..].find(|c: char| !c.is_ascii_alphabetic()).map_or(rest.len(), |at| digits + at);
        let unit = match &rest[digits..unit_end] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number * unit).ok()?)?;
        rest = rest[unit_end..].trim_start();
    }
    (!text.is_empty()).then_some(total)
}

/// How much of a command and its output goes to the log and to transcripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogMode {
    /// The command and its output.
    #[default]
    Normal,
    /// The command, not its output.
    Quiet,
    /// Nothing.
    Never,
}

/// An answer to a prompt: when the pattern appears in the output, the response is typed, every time it appears.
///
/// Made from a pair of a [`Pattern`] (text, or a compiled regex with its flags) and a response. The response never shows
/// in `Debug`.
#[derive(Clone)]
pub struct Expect {
    pattern: Pattern,
    response: Arc<[u8]>,
}

impl Expect {
    /// From a pattern and a response. A pattern that is no regex is reported when the command is about to be run.
    pub fn new(pattern: impl Into<Pattern>, response: impl AsRef<[u8]>) -> Self {
        Self { pattern: pattern.into(), response: response.as_ref().into() }
    }

    /// The pattern.
    #[must_use]
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    pub(crate) fn response(&self) -> &[u8] {
        &self.response
    }
}

impl fmt::Debug for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expect").field("pattern", &self.pattern).finish_non_exhaustive()
    }
}

impl<P: Into<Pattern>, R: AsRef<[u8]>> From<(P, R)> for Expect {
    fn from((pattern, response): (P, R)) -> Self {
        Self::new(pattern, response)
    }
}

/// One command for a shell, with what is special about it.
///
/// ```
/// use otto::ShellCommand;
/// let command = ShellCommand::new("make flash").timeout("5m").terminal();
/// assert_eq!(command.text(), "make flash");
/// ```
#[derive(Clone)]
pub struct ShellCommand {
    pub(crate) text: String,
    pub(crate) expects: Vec<Expect>,
    pub(crate) limit: Option<Result<Limit, Arc<str>>>,
    pub(crate) log: Option<LogMode>,
    pub(crate) terminal: bool,
    pub(crate) separate_stderr: bool,
}

impl fmt::Debug for ShellCommand {
    /// Without the text when it is not to be logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if self.log == Some(LogMode::Never) { "(not logged)" } else { &self.text };
        f.debug_struct("ShellCommand").field("text", &text).field("expects", &self.expects).finish_non_exhaustive()
    }
}

impl ShellCommand {
    /// The script text `text`, unchanged.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), expects: Vec::new(), limit: None, log: None, terminal: false, separate_stderr: false }
    }

    /// The script text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Answers to prompts; the command then has a terminal.
    #[must_use]
    pub fn expects<E: Into<Expect>>(mut self, expects: impl IntoIterator<Item = E>) -> Self {
        self.expects.extend(expects.into_iter().map(Into::into));
        self
    }

    /// Its own limit. One that is refused is reported when the command is about to be run.
    #[must_use]
    pub fn timeout(mut self, limit: impl IntoLimit) -> Self {
        self.limit = Some(limit.into_limit().map_err(|error| error.to_string().into()));
        self
    }

    /// How much of it is logged.
    #[must_use]
    pub fn log(mut self, mode: LogMode) -> Self {
        self.log = Some(mode);
        self
    }

    /// With a terminal as its input, output and `/dev/tty`.
    #[must_use]
    pub fn terminal(mut self) -> Self {
        self.terminal = true;
        self
    }

    /// With its error stream apart from its output, where the transport can.
    #[must_use]
    pub fn separate_stderr(mut self) -> Self {
        self.separate_stderr = true;
        self
    }
}

impl<T: Into<String>> From<T> for ShellCommand {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// What `run` takes: one command or several, as text or as [`ShellCommand`].
pub trait IntoCommands {
    /// The commands in order.
    fn into_commands(self) -> Vec<ShellCommand>;
}

macro_rules! one_command {
    ($($of:ty),*) => {$(
        impl IntoCommands for $of {
            fn into_commands(self) -> Vec<ShellCommand> {
                vec![self.into()]
            }
        }
    )*};
}
one_command!(&str, String, &String, std::borrow::Cow<'_, str>, ShellCommand);

impl IntoCommands for () {
    /// None: for what needs no commands, such as a closure that is repeated.
    fn into_commands(self) -> Vec<ShellCommand> {
        Vec::new()
    }
}

impl IntoCommands for &ShellCommand {
    fn into_commands(self) -> Vec<ShellCommand> {
        vec![self.clone()]
    }
}

impl<T: Into<ShellCommand>, const N: usize> IntoCommands for [T; N] {
    fn into_commands(self) -> Vec<ShellCommand> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<T: Into<ShellCommand>> IntoCommands for Vec<T> {
    fn into_commands(self) -> Vec<ShellCommand> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<T: Into<ShellCommand> + Clone> IntoCommands for &[T] {
    fn into_commands(self) -> Vec<ShellCommand> {
        self.iter().cloned().map(Into::into).collect()
    }
}

impl<T: Into<ShellCommand> + Clone, const N: usize> IntoCommands for &[T; N] {
    fn into_commands(self) -> Vec<ShellCommand> {
        self.as_slice().into_commands()
    }
}

impl<T: Into<ShellCommand> + Clone> IntoCommands for &Vec<T> {
    fn into_commands(self) -> Vec<ShellCommand> {
        self.as_slice().into_commands()
    }
}
