//! The one error type of otto: what was wrong, where, and what to do next.
//!
//! [`Error`] is opaque, so that it can grow; ask it with [`Error::kind`] and the `is_*` predicates. Its text says what
//! went wrong first, then where (host, session, command), then a hint on a line of its own. Causes are in
//! [`source`](std::error::Error::source), never repeated in the text.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::mistake::Mistake;
use crate::redact::Redactor;

/// A result whose error is otto's unless said otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What kind of failure an [`Error`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument was refused before anything was done: a limit of zero, a pattern that is no regex.
    Invalid,
    /// A lab file is missing, malformed or contradicts itself, or no lab has that name.
    Lab,
    /// The lab has no host with that id, or no host fits that pattern.
    Host,
    /// The user does not hold what the lab requires.
    Reservation,
    /// The reservations could not be read, so nobody knows who holds what.
    ReservationBackend,
    /// A connection or a session on it could not be made; the phase says how far it came.
    Connect(Phase),
    /// A connection that had worked is gone.
    ConnectionLost,
    /// The shell of a session ended.
    ShellExited,
    /// The session or the host was closed.
    Closed,
    /// The session is taken by an interactive program that `send` started.
    Busy,
    /// Something did not happen within its limit.
    Timeout,
    /// A command did not succeed: what `ok()` returns.
    Command,
    /// Checks of a context that go on when they fail had failed.
    Check,
    /// A test was stopped by a signal.
    Interrupted,
    /// A user's closure panicked.
    Panicked,
    /// The operating system refused something on this machine.
    Io,
}

/// How far making a connection came before it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Turning the name into an address.
    Resolve,
    /// The TCP connection.
    Tcp,
    /// The identification line of the server (RFC 4253, section 4.2).
    Banner,
    /// The key exchange (RFC 4253, section 7).
    Kex,
    /// The check of the server's host key.
    HostKey,
    /// Authentication (RFC 4252).
    Auth,
    /// Opening a channel on the connection (RFC 4254, section 5).
    Channel,
    /// Starting the shell and shaking hands with it.
    Shell,
    /// A login by prompts.
    Login,
    /// Opening a device of this machine, such as a serial line.
    Device,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolve",
            Self::Tcp => "tcp",
            Self::Banner => "banner",
            Self::Kex => "kex",
            Self::HostKey => "host key",
            Self::Auth => "auth",
            Self::Channel => "channel",
            Self::Shell => "shell",
            Self::Login => "login",
            Self::Device => "device",
        })
    }
}

/// Why something did not work, where, and what to do next.
///
/// ```
/// let error = otto::Lab::from_toml("lab = 3").unwrap_err();
/// assert_eq!(error.kind(), otto::ErrorKind::Lab);
/// assert!(error.to_string().contains(":1:7"), "{error}");
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    host: Option<String>,
    session: Option<String>,
    command: Option<String>,
    hint: Option<Cow<'static, str>>,
    /// Shared by the copies of an error, which several who waited for one thing get.
    source: Option<Arc<dyn StdError + Send + Sync + 'static>>,
    mistakes: Vec<Mistake>,
}

impl Error {
    /// An error of this kind that says `message`: a lower-case fragment without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            host: None,
            session: None,
            command: None,
            hint: None,
            source: None,
            mistakes: Vec::new(),
        }))
    }

    /// With the host it happened on. The innermost one that was named stays.
    #[must_use]
    pub fn on_host(mut self, host: impl Into<String>) -> Self {
        self.0.host.get_or_insert_with(|| host.into());
        self
    }

    /// With the session it happened in.
    #[must_use]
    pub fn in_session(mut self, session: impl Into<String>) -> Self {
        self.0.session.get_or_insert_with(|| session.into());
        self
    }

    /// With the command it happened to.
    #[must_use]
    pub fn at_command(mut self, command: impl Into<String>) -> Self {
        self.0.command.get_or_insert_with(|| command.into());
        self
    }

    /// With what to do next: a sentence, shown on a line of its own.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// With its cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// With the mistakes in files that it is about.
    pub(crate) fn with_mistakes(mut self, mistakes: Vec<Mistake>) -> Self {
        self.0.mistakes = mistakes;
        self
    }

    /// The same error with no secret in any of its texts. A cause that shows none stays as it is.
    pub(crate) fn redacted(mut self, redactor: &Redactor) -> Self {
        if redactor.is_empty() {
            return self;
        }
        let inner = &mut *self.0;
        for text in [Some(&mut inner.message), inner.hint.as_mut()].into_iter().flatten() {
            if let Cow::Owned(clean) = redactor.text(text) {
                *text = clean.into();
            }
        }
        for mistake in &mut inner.mistakes {
            if let Cow::Owned(clean) = redactor.text(&mistake.message) {
                mistake.message = clean;
            }
            mistake.line = mistake.line.take().filter(|line| matches!(redactor.text(&line.text), Cow::Borrowed(_)));
        }
        for text in [&mut inner.host, &mut inner.session, &mut inner.command].into_iter().flatten() {
            if let Cow::Owned(clean) = redactor.text(text) {
                *text = clean;
            }
        }
        if let Some(source) = &inner.source {
            let shown = chain(&**source);
            if let Cow::Owned(clean) = redactor.text(&shown) {
                inner.source = Some(Arc::from(Source::from(clean)));
            } else if let Cow::Owned(_) = redactor.text(&format!("{source:?}")) {
                inner.source = Some(Arc::from(Source::from(shown)));
            }
        }
        self
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// How far the connection came, for a failure to connect.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        match self.0.kind {
            ErrorKind::Connect(phase) => Some(phase),
            _ => None,
        }
    }

    /// The host it happened on.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.0.host.as_deref()
    }

    /// Whether something did not happen within its limit.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.0.kind == ErrorKind::Timeout
    }

    /// Whether this is the lab's infrastructure (a host that cannot be reached or was lost) rather than what was tested.
    #[must_use]
    pub fn is_infrastructure(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Connect(_) | ErrorKind::ConnectionLost)
    }

    /// Whether the session or the host was closed, or its shell or connection ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Closed | ErrorKind::ShellExited | ErrorKind::ConnectionLost)
    }

    /// The mistakes in lab files, `otto.toml` or a file of reservations that it is about, in the order of files and lines.
    #[must_use]
    pub fn mistakes(&self) -> &[Mistake] {
        &self.0.mistakes
    }

    /// The text for a person: as [`chain`](Self::chain), and below each mistake in a file the line that it stands in.
    ///
    /// ```
    /// let error = otto::Lab::from_toml("lab = 'bench'\n[[hosts]]\nid = 'r1'\nip = 'h'\nport = 70000").unwrap_err();
    /// assert_eq!(error.report(false), "\
    /// <toml>:5:8: `port` has to be a whole number from 1 to 65535, and this is 70000
    ///   |
    /// 5 | port = 70000
    ///   |        ^^^^^");
    /// ```
    #[must_use]
    pub fn report(&self, colours: bool) -> String {
        let inner = &*self.0;
        let mut parts: Vec<String> = inner.mistakes.iter().map(|mistake| mistake.shown(colours)).collect();
        match &*parts {
            [] => return self.chain(),
            [_] => {}
            many => parts.insert(0, format!("{} mistakes:", many.len())),
        }
        parts.extend(inner.hint.as_ref().map(|hint| format!("  hint: {hint}")));
        parts.join("\n\n")
    }

    /// The text of this error and of all its causes, one a line, as a failing test shows it.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// The text of an error and of all its causes, one a line.
pub(crate) fn chain<E: StdError + ?Sized>(error: &E) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str("\n  caused by: ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let Some(host) = &inner.host {
            write!(f, "{host}: ")?;
        }
        if let ErrorKind::Connect(phase) = inner.kind {
            write!(f, "cannot connect ({phase}): ")?;
        }
        // A message of several lines quotes output below its first: where it happened belongs to the first.
        let (first, rest) = inner.message.split_at(inner.message.find('\n').unwrap_or(inner.message.len()));
        f.write_str(first)?;
        match (&inner.session, &inner.command) {
            (Some(session), Some(command)) => write!(f, " [session {session}, command `{}`]", first_line(command))?,
            (Some(session), None) => write!(f, " [session {session}]")?,
            (None, Some(command)) => write!(f, " [command `{}`]", first_line(command))?,
            (None, None) => {}
        }
        f.write_str(rest)?;
        if let Some(hint) = &inner.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// A command as an error shows it: its first line, cut at 120 characters.
fn first_line(command: &str) -> Cow<'_, str> {
    let line = command.lines().next().unwrap_or_default();
    let cut = line.char_indices().nth(120).map_or(line.len(), |(at, _)| at);
    if cut == command.len() { Cow::Borrowed(command) } else { Cow::Owned(format!("{}…", &line[..cut])) }
}

/// As [`Error::chain`] with the kind in front, because a test that returns an error is shown by `Debug`.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.chain())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
