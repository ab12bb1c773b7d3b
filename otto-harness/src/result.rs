//! What commands answer: [`Status`], [`CommandStatus`], [`RunResult`].

use std::borrow::Cow;
use std::fmt;
use std::string::FromUtf8Error;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::command::LogMode;
use crate::error::{Error, ErrorKind, Result};
use crate::redact::Redactor;

/// How a command, or a list of them, ended.
///
/// ```
/// use otto::Status;
/// assert!(Status::Success.is_ok() && Status::Skipped.is_ok());
/// assert!(!Status::NotRun.is_ok());
/// assert_eq!(Status::Error as i32, 2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// It ran and exited with 0.
    Success = 0,
    /// It ran and exited with another code, or by a signal of its own.
    Failed = 1,
    /// Nobody saw how it ended: a time-out, a shell that exited, a lost connection.
    Error = 2,
    /// It passed less often than it had to.
    Unstable = 3,
    /// It was left out on purpose.
    Skipped = 4,
    /// It was not run: one before it ended in an error, or this is a dry run.
    NotRun = 5,
}

impl Status {
    /// `Success` and `Skipped` are.
    #[must_use]
    pub fn is_ok(self) -> bool {
        matches!(self, Self::Success | Self::Skipped)
    }
}

/// How one command ended, and what it wrote.
#[derive(Clone)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and the names are a contract")]
pub struct CommandStatus {
    /// The command's text, as it was given.
    pub command: String,
    /// What it wrote, as text: invalid UTF-8 replaced, CRLF as LF, less one final line ending. For the exact bytes see
    /// [`bytes`](Self::bytes). If it is more than 1 MiB, take it out or change it only after `bytes` was asked for, if that is
    /// wanted: the two share their memory.
    pub output: String,
    /// How it ended.
    pub status: Status,
    /// Its exit code, `None` when there was none.
    pub retcode: Option<i32>,
    /// The name of the signal that ended it, without `SIG`.
    pub signal: Option<String>,
    /// Whether it was stopped at its limit.
    pub timed_out: bool,
    /// Whether it wrote more than is kept; `output` then holds the newest part.
    pub truncated: bool,
    /// Whether the session's shell is a new one since the command before, so that directory, variables and the like are
    /// gone.
    pub state_lost: bool,
    /// From the moment the command was sent to its end.
    pub duration: Duration,
    bytes: Arc<Exact>,
    pub(crate) stderr: Arc<str>,
    pub(crate) cause: Option<String>,
    pub(crate) left_running: bool,
    pub(crate) host: Option<String>,
    /// How much of it otto may show to anybody but the test.
    pub(crate) log: LogMode,
    /// What is taken out of that.
    pub(crate) redactor: Redactor,
}

/// The bytes that a command wrote, as they were.
#[derive(Debug)]
enum Exact {
    /// Apart from the text.
    Apart(Vec<u8>),
    /// Those of the text, with this behind it. Put together when first asked for.
    Text { ending: &'static [u8], whole: OnceLock<Vec<u8>> },
}

impl Default for Exact {
    fn default() -> Self {
        Self::Apart(Vec::new())
    }
}

/// More than this is not kept twice if it can be helped.
const MUCH: usize = 1 << 20;

/// What stands for a command, or its output, that is not to be logged.
pub(crate) const HIDDEN: &str = "(not logged)";

/// All that may be logged, without secrets; the bytes as their number: they are the output once more.
impl fmt::Debug for CommandStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandStatus")
            .field("command", &self.shown_command())
            .field("output", &self.shown_output(&self.output))
            .field("stderr", &self.shown_output(&self.stderr))
            .field("bytes", &self.length())
            .field("status", &self.status)
            .field("retcode", &self.retcode)
            .field("signal", &self.signal)
            .field("timed_out", &self.timed_out)
            .field("truncated", &self.truncated)
            .field("state_lost", &self.state_lost)
            .field("left_running", &self.left_running)
            .field("cause", &self.cause.as_deref().map(|cause| self.redactor.text(cause)))
            .field("duration", &self.duration)
            .finish_non_exhaustive()
    }
}

impl CommandStatus {
    pub(crate) fn new(command: impl Into<String>, status: Status) -> Self {
        Self {
            command: command.into(),
            output: String::new(),
            status,
            retcode: None,
            signal: None,
            timed_out: false,
            truncated: false,
            state_lost: false,
            duration: Duration::ZERO,
            bytes: Arc::default(),
            stderr: Arc::from(""),
            cause: None,
            left_running: false,
            host: None,
            log: LogMode::Normal,
            redactor: Redactor::default(),
        }
    }

    /// As it may be shown where these secrets are known.
    pub(crate) fn redacted(&self, redactor: &Redactor) -> Self {
        let clean = |text: &str| redactor.text(text).into_owned();
        Self {
            command: clean(&self.command),
            output: clean(&self.output),
            bytes: Arc::new(Exact::Apart(redactor.bytes(self.bytes()).into_owned())),
            stderr: redactor.text(&self.stderr).into(),
            cause: self.cause.as_deref().map(clean),
            ..self.clone()
        }
    }

    /// The command as it may be shown.
    fn shown_command(&self) -> Cow<'_, str> {
        if self.log == LogMode::Never { HIDDEN.into() } else { self.redactor.text(&self.command) }
    }

    /// What it wrote as it may be shown.
    fn shown_output<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.log == LogMode::Normal { self.redactor.text(text) } else { HIDDEN.into() }
    }

    pub(crate) fn with_bytes(mut self, bytes: Vec<u8>) -> Self {
        let alike = bytes.len() > MUCH && memchr::memmem::find(&bytes, b"\r\n").is_none();
        let bytes = match if alike { String::from_utf8(bytes).map_err(FromUtf8Error::into_bytes) } else { Err(bytes) } {
            Ok(mut text) => {
                let ending = if text.ends_with('\n') { &b"\n"[..] } else { b"" };
                text.truncate(text.len() - ending.len());
                self.output = text;
                Exact::Text { ending, whole: OnceLock::new() }
            }
            Err(bytes) => {
                self.output = text(&bytes);
                Exact::Apart(bytes)
            }
        };
        self.bytes = Arc::new(bytes);
        self
    }

    /// Whether it succeeded, as [`Status::is_ok`].
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.status.is_ok()
    }

    /// The exact bytes that it wrote.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &*self.bytes {
            Exact::Apart(bytes) => bytes,
            Exact::Text { ending: [], .. } => self.output.as_bytes(),
            Exact::Text { ending, whole } => whole.get_or_init(|| [self.output.as_bytes(), ending].concat()),
        }
    }

    /// How many bytes it wrote, as far as they are kept.
    fn length(&self) -> usize {
        match &*self.bytes {
            Exact::Apart(bytes) => bytes.len(),
            Exact::Text { ending, .. } => self.output.len() + ending.len(),
        }
    }

    /// What it wrote to its error stream, as text, when that was asked for apart (`separate_stderr`); else empty.
    #[must_use]
    pub fn stderr(&self) -> &str {
        &self.stderr
    }

    /// Why nobody saw the command's own end, when `status` is `Error`.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// Whether something of it may still run on the host: it was stopped, or its connection was lost, and it could not be
    /// shown to have ended. Its host is then [dirty](crate::Host::is_dirty).
    #[must_use]
    pub fn left_running(&self) -> bool {
        self.left_running
    }

    /// Itself if it succeeded.
    ///
    /// # Errors
    /// One of kind [`ErrorKind::Command`] with the host, the command, how it ended and its last lines.
    pub fn ok(&self) -> Result<Self> {
        if self.is_ok() { Ok(self.clone()) } else { Err(self.failure()) }
    }

    fn failure(&self) -> Error {
        let mut message = match (self.status, self.retcode, &self.signal) {
            _ if self.timed_out => format!("timed out after {:.1?}", self.duration),
            (Status::NotRun, ..) => "was not run".to_owned(),
            (_, _, Some(signal)) => format!("was ended by signal {signal}"),
            (_, Some(code), None) => format!("exited with {code}"),
            (_, None, None) => "did not end".to_owned(),
        };
        if let Some(cause) = &self.cause {
            message.push_str(": ");
            message.push_str(&self.redactor.text(cause));
        }
        let written = if self.stderr.is_empty() {
            Cow::Borrowed(&self.output)
        } else {
            Cow::Owned(format!("{}\n{}", self.output, self.stderr))
        };
        // Secrets go before lines are cut off, so that no half of one is left.
        let written = self.shown_output(&written);
        for line in last_lines(&written, if self.log == LogMode::Normal { TAIL } else { 0 }) {
            message.push_str("\n  | ");
            message.push_str(&end_of(line));
        }
        let mut error = Error::new(ErrorKind::Command, format!("`{}` {message}", self.shown_command()));
        if let Some(host) = &self.host {
            error = error.on_host(host.clone());
        }
        if self.timed_out {
            error = error.hint("`.timeout(\"60s\")` on the command, or the host's `set_timeout`, gives it more time");
        }
        error
    }
}

/// How many lines of output an error shows.
const TAIL: usize = 10;

/// How much of one line it shows, in characters.
const WIDEST: usize = 1000;

/// A line, or the end of one that is too long to show.
fn end_of(line: &str) -> Cow<'_, str> {
    match line.char_indices().rev().nth(WIDEST) {
        Some((at, _)) => format!("…{}", &line[at..]).into(),
        None => line.into(),
    }
}

/// The last `count` lines that are not blank.
fn last_lines(text: &str, count: usize) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().rev().filter(|line| !line.trim().is_empty()).take(count).collect();
    lines.reverse();
    lines
}

/// What a `run` answers: one [`CommandStatus`] a command, and the worst of them as a whole.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunResult {
    /// `Success` if all succeeded, else how the first one ended that did not.
    pub status: Status,
    /// One entry a command, in the order given.
    pub statuses: Vec<CommandStatus>,
}

impl RunResult {
    pub(crate) fn new(statuses: Vec<CommandStatus>) -> Self {
        // An error outranks a failure: a list in which one command failed and a later one timed out was not seen to end.
        let status = [Status::Error, Status::NotRun, Status::Failed]
            .into_iter()
            .find(|wanted| statuses.iter().any(|one| one.status == *wanted))
            .unwrap_or(Status::Success);
        Self { status, statuses }
    }

    /// Whether every command succeeded.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.status.is_ok()
    }

    /// The status of the one command that was run.
    ///
    /// # Errors
    /// If there was not exactly one; the error says how many.
    pub fn only(&self) -> Result<CommandStatus> {
        match &*self.statuses {
            [one] => Ok(one.clone()),
            many => Err(Error::new(
                ErrorKind::Invalid,
                format!("`only()` wants the result of one command, and there are {}", many.len()),
            )
            .hint("look at `statuses`, or run one command")),
        }
    }

    /// Itself if every command succeeded.
    ///
    /// # Errors
    /// That of the first command that did not, as [`CommandStatus::ok`].
    pub fn ok(&self) -> Result<Self> {
        match self.statuses.iter().find(|one| one.status == self.status && !one.is_ok()) {
            Some(bad) => Err(bad.failure()),
            None => Ok(self.clone()),
        }
    }
}

/// Bytes as the text that `output` shows: lossy UTF-8, CRLF as LF, less one final line ending.
pub(crate) fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut text = if text.contains("\r\n") { text.replace("\r\n", "\n") } else { text.into_owned() };
    if text.ends_with('\n') {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_drops_one_line_ending_only() {
        assert_eq!(text(b"\n\nx\n\n"), "\n\nx\n");
        assert_eq!(text(b"a\r\nb\r\n"), "a\nb");
        assert_eq!(text(b"h\xffi"), "h\u{fffd}i");
        assert_eq!(text(b"50%\r100%"), "50%\r100%");
    }

    #[test]
    fn much_text_is_kept_once_and_its_bytes_are_exact() {
        let line = "0123456789 abcdef\n";
        let much = line.repeat(MUCH / line.len() + 1);
        let apart = |status: &CommandStatus| matches!(*status.bytes, Exact::Apart(_));
        for ending in ["", "x", "\n", "\r"] {
            let written = format!("{much}{ending}");
            let status = CommandStatus::new("x", Status::Success).with_bytes(written.clone().into_bytes());
            assert!(!apart(&status));
            assert_eq!(status.output, written.strip_suffix('\n').unwrap_or(&written));
            assert_eq!(status.length(), written.len());
            assert_eq!((status.bytes(), status.clone().bytes()), (written.as_bytes(), written.as_bytes()));
        }
        for written in [format!("{much}\r\n").into_bytes(), [much.as_bytes(), b"\xff"].concat()] {
            let status = CommandStatus::new("x", Status::Success).with_bytes(written.clone());
            assert!(apart(&status));
            assert_eq!((status.bytes(), &*status.output), (&*written, &*text(&written)));
        }
    }

    #[test]
    fn only_names_the_count() {
        let three = vec![CommandStatus::new("x", Status::Success); 3];
        let error = RunResult::new(three).only().unwrap_err();
        assert!(error.to_string().contains("there are 3"), "{error}");
    }

    #[test]
    fn an_error_outranks_a_failure() {
        let of = |all: &[Status]| RunResult::new(all.iter().map(|s| CommandStatus::new("x", *s)).collect()).status;
        assert_eq!(of(&[Status::Success, Status::Failed, Status::Success]), Status::Failed);
        assert_eq!(of(&[Status::Failed, Status::Error, Status::NotRun]), Status::Error);
        assert_eq!(of(&[]), Status::Success);
    }

    #[test]
    fn errors_and_debug_show_what_the_log_mode_allows_and_no_secret() {
        let mut status = CommandStatus::new("login pw-1234", Status::Failed).with_bytes(b"got pw-1234\nmore".to_vec());
        (status.stderr, status.cause) = ("bad pw-1234".into(), Some("after pw-1234".to_owned()));
        status.redactor = Redactor::new(["pw-1234".into()]);
        let shown = |status: &CommandStatus| format!("{:?} {:?}", status.ok().unwrap_err(), status);
        let text = shown(&status);
        assert!(!text.contains("pw-1234"), "{text}");
        for part in ["`login [redacted]`", "after [redacted]", "| got [redacted]", "| bad [redacted]", "| more"] {
            assert!(text.contains(part), "no {part} in {text}");
        }
        assert_eq!((&*status.output, status.bytes()), ("got pw-1234\nmore", &b"got pw-1234\nmore"[..]));
        status.log = LogMode::Quiet;
        let text = shown(&status);
        assert!(text.contains("login") && !text.contains("got") && !text.contains("bad"), "{text}");
        status.log = LogMode::Never;
        let text = shown(&status);
        assert!(!text.contains("login") && !text.contains("got") && text.contains(HIDDEN), "{text}");
    }

    #[test]
    fn a_line_without_end_is_cut_in_an_error() {
        let status = CommandStatus::new("x", Status::Failed).with_bytes(vec![b'y'; 1 << 20]);
        let text = status.ok().unwrap_err().to_string();
        assert!(text.len() < 1200 && text.contains("| …yyy"), "{} characters", text.len());
    }

    #[test]
    fn a_failure_shows_host_command_code_and_tail() {
        let mut status = CommandStatus::new("make", Status::Failed).with_bytes(b"one\ntwo\n".to_vec());
        status.retcode = Some(2);
        status.host = Some("router1".into());
        let text = status.ok().unwrap_err().to_string();
        assert_eq!(text, "router1: `make` exited with 2\n  | one\n  | two");
    }
}
