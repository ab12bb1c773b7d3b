//! What is asked of a host, put together word by word and then awaited: [`Run`], [`OneshotRun`], [`ExpectRun`].

use std::fmt;
use std::future::IntoFuture;

use super::journal::Whole;
use super::manager::SessionManager;
use super::named::HostSession;
use super::{Oneshot, Pattern, oneshot};
use crate::command::{Expect, IntoLimit, Limit, LogMode, ShellCommand};
use crate::error::{Error, ErrorKind, Result};
use crate::result::{CommandStatus, HIDDEN, RunResult, Status};
use crate::transport::BoxFuture;

type OnOutput<'a> = Box<dyn FnMut(&str) + Send + 'a>;

/// Commands for one session, one after the other: what [`Host::run`](crate::Host::run) makes. Await it.
///
/// Limits and patterns of all commands are checked before anything is written. A command that fails does not stop the
/// list; after one that ends in an [`Error`](Status::Error) the rest is [`NotRun`](Status::NotRun). What a
/// [`ShellCommand`] says of itself goes before what is said here. No commands at all is a success without statuses.
///
/// Lists that are run on one session at the same time do not mingle: the second begins when the first is done.
///
/// Awaiting gives `Err` only when nothing was run (a limit or a pattern was refused, the host cannot be reached, the
/// session is closed); how the commands went is in the [`RunResult`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> otto::Result<()> {
/// let host = otto::Host::local();
/// let mut lines = Vec::new();
/// let result = host.run(["echo one", "false", "echo two"]).timeout("5s").on_output(|line| lines.push(line.to_owned())).await?;
/// assert_eq!(result.status, otto::Status::Failed);
/// assert_eq!(result.statuses[2].output, "two");
/// assert_eq!(lines, ["one", "two"]);
/// # host.close().await
/// # }
/// ```
#[must_use = "nothing is run until it is awaited"]
pub struct Run<'a> {
    session: HostSession,
    commands: Vec<ShellCommand>,
    expects: Vec<Expect>,
    limit: Option<Result<Limit>>,
    log: Option<LogMode>,
    on_output: Option<OnOutput<'a>>,
    terminal: bool,
    separate_stderr: bool,
    refused: Option<Error>,
}

impl<'a> Run<'a> {
    pub(super) fn new(session: HostSession, commands: Vec<ShellCommand>) -> Self {
        Self {
            session,
            commands,
            expects: Vec::new(),
            limit: None,
            log: None,
            on_output: None,
            terminal: false,
            separate_stderr: false,
            refused: None,
        }
    }

    /// One that answers with this error, for arguments that make no command.
    pub(crate) fn refuse(mut self, error: Error) -> Self {
        self.refused = Some(error);
        self
    }

    /// Answers to prompts: pairs of a pattern and what is typed when it appears, every time it does. The commands then
    /// have a terminal.
    pub fn expects<E: Into<Expect>>(mut self, expects: impl IntoIterator<Item = E>) -> Self {
        self.expects.extend(expects.into_iter().map(Into::into));
        self
    }

    /// How long each command may take, instead of the host's own limit (10 s unless set).
    pub fn timeout(mut self, limit: impl IntoLimit) -> Self {
        self.limit = Some(limit.into_limit());
        self
    }

    /// How much is logged.
    pub fn log(mut self, mode: LogMode) -> Self {
        self.log = Some(mode);
        self
    }

    /// Called with each line as it appears, without its line ending. It may borrow.
    pub fn on_output(mut self, seen: impl FnMut(&str) + Send + 'a) -> Self {
        self.on_output = Some(Box::new(seen));
        self
    }

    /// With a terminal as input, output and `/dev/tty`.
    pub fn terminal(mut self) -> Self {
        self.terminal = true;
        self
    }

    /// With what is written to the error stream apart, where the transport can: [`CommandStatus::stderr`].
    pub fn separate_stderr(mut self) -> Self {
        self.separate_stderr = true;
        self
    }

    /// Each command with all that holds for it, checked.
    fn settled(&mut self) -> Result<Vec<(ShellCommand, Limit)>> {
        if let Some(error) = self.refused.take() {
            return Err(error);
        }
        let defaults = self.session.manager.defaults();
        let asked = self.limit.take().transpose()?;
        let settle = |mut command: ShellCommand| {
            let limit = own_limit(&command)?.or(asked);
            // Known to have been asked for, so that it holds for opening the shell too.
            command.limit = limit.map(Ok);
            let limit = limit.unwrap_or(defaults.limit);
            if command.expects.is_empty() {
                command.expects.clone_from(&self.expects);
            }
            for expect in &command.expects {
                expect.pattern().check()?;
            }
            command.log = command.log.or(self.log).or(Some(defaults.log));
            command.terminal |= self.terminal;
            command.separate_stderr |= self.separate_stderr;
            Ok((command, limit))
        };
        std::mem::take(&mut self.commands).into_iter().map(settle).collect()
    }

    async fn run(mut self) -> Result<RunResult> {
        let commands = self.settled().map_err(|error| self.session.located(error))?;
        if self.session.manager.is_dry_run() {
            let statuses = commands.iter().map(|(command, _)| dry(&self.session.manager, command)).collect();
            return Ok(RunResult::new(statuses));
        }
        let HostSession { manager, slot } = &self.session;
        manager.note_use();
        let turn = async { Ok(slot.turn.lock().await) };
        let _turn = slot.gate.pass(turn).await.map_err(|error| self.session.located(error))?;
        let mut statuses: Vec<CommandStatus> = Vec::with_capacity(commands.len());
        for (command, limit) in &commands {
            if statuses.last().is_some_and(|last| matches!(last.status, Status::Error | Status::NotRun)) {
                statuses.push(not_run(manager, command, "a command before it ended in an error"));
                continue;
            }
            let on_output = borrowed(&mut self.on_output);
            match slot.gate.pass(slot.session.run_cmd(command, *limit, on_output)).await {
                Ok(status) => statuses.push(concluded(manager, status)),
                Err(error) if statuses.is_empty() => return Err(self.session.located(error)),
                // What ran before is not to be lost.
                Err(error) => {
                    let mut status = not_run(manager, command, self.session.located(error).chain());
                    status.status = Status::Error;
                    statuses.push(status);
                }
            }
        }
        Ok(RunResult::new(statuses))
    }
}

impl<'a> IntoFuture for Run<'a> {
    type Output = Result<RunResult>;
    type IntoFuture = BoxFuture<'a, Result<RunResult>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let redactor = self.session.manager.redactor();
        let show =
            |command| if self.log == Some(LogMode::Never) { HIDDEN.into() } else { redactor.text(shown(command)) };
        let commands: Vec<_> = self.commands.iter().map(show).collect();
        f.debug_struct("Run").field("session", &self.session).field("commands", &commands).finish_non_exhaustive()
    }
}

/// One command in a process of its own: what [`Host::oneshot`](crate::Host::oneshot) makes. Await it.
///
/// It shares no state with any session, and any number of them run side by side. It has no limit unless one is set.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> otto::Result<()> {
/// let host = otto::Host::local();
/// let status = host.oneshot("tr a-z A-Z").stdin("hello").timeout("5s").await?;
/// assert_eq!(status.output, "HELLO");
/// # host.close().await
/// # }
/// ```
#[must_use = "nothing is run until it is awaited"]
pub struct OneshotRun<'a> {
    manager: SessionManager,
    command: ShellCommand,
    stdin: Vec<u8>,
    limit: Option<Result<Limit>>,
    on_output: Option<OnOutput<'a>>,
}

impl<'a> OneshotRun<'a> {
    pub(super) fn new(manager: SessionManager, command: ShellCommand) -> Self {
        Self { manager, command, stdin: Vec::new(), limit: None, on_output: None }
    }

    /// How long it may take.
    pub fn timeout(mut self, limit: impl IntoLimit) -> Self {
        self.limit = Some(limit.into_limit());
        self
    }

    /// All of its input; end of file follows. Without it, the input is empty.
    pub fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = bytes.as_ref().to_vec();
        self
    }

    /// Called with each line as it appears, without its line ending. It may borrow.
    pub fn on_output(mut self, seen: impl FnMut(&str) + Send + 'a) -> Self {
        self.on_output = Some(Box::new(seen));
        self
    }

    /// With what is written to the error stream apart: [`CommandStatus::stderr`].
    pub fn separate_stderr(mut self) -> Self {
        self.command.separate_stderr = true;
        self
    }

    /// How much is logged.
    pub fn log(mut self, mode: LogMode) -> Self {
        self.command.log = Some(mode);
        self
    }

    fn settled(&mut self) -> Result<Option<Limit>> {
        if self.command.terminal || !self.command.expects.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "a oneshot has no terminal and answers no prompts")
                .hint("use `run` for it, on a session of its own if it is to go on beside others"));
        }
        self.command.log.get_or_insert(self.manager.defaults().log);
        match own_limit(&self.command)? {
            Some(limit) => Ok(Some(limit)),
            None => self.limit.take().transpose(),
        }
    }

    async fn run(mut self) -> Result<CommandStatus> {
        let limit = self.settled().map_err(|error| error.on_host(self.manager.host()))?;
        if self.manager.is_dry_run() {
            return Ok(dry(&self.manager, &self.command));
        }
        self.manager.note_use();
        let request = Oneshot {
            command: self.command,
            stdin: self.stdin,
            limit,
            on_output: borrowed(&mut self.on_output),
            observer: Some(Whole::of(self.manager.observer())),
        };
        let (connector, host) = (self.manager.connector(), self.manager.host());
        let work = async {
            if connector.has_exec() {
                oneshot(connector, host, request).await
            } else {
                self.manager.0.pool.oneshot(connector, host, request).await
            }
        };
        let located = |error: Error| error.on_host(self.manager.host()).redacted(self.manager.redactor());
        Ok(concluded(&self.manager, self.manager.0.gate.pass(work).await.map_err(located)?))
    }
}

impl<'a> IntoFuture for OneshotRun<'a> {
    type Output = Result<CommandStatus>;
    type IntoFuture = BoxFuture<'a, Result<CommandStatus>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for OneshotRun<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneshotRun")
            .field("host", &self.manager.host())
            .field("command", &self.manager.redactor().text(shown(&self.command)))
            .finish_non_exhaustive()
    }
}

/// Waits for a pattern in what a session's terminal shows: what [`Host::expect`](crate::Host::expect) makes. Await it; it
/// answers with the text up to the end of the match.
#[derive(Debug)]
#[must_use = "nothing is waited for until it is awaited"]
pub struct ExpectRun {
    session: HostSession,
    pattern: Pattern,
    limit: Option<Result<Limit>>,
}

impl ExpectRun {
    pub(super) fn new(session: HostSession, pattern: Pattern) -> Self {
        Self { session, pattern, limit: None }
    }

    /// How long to wait, instead of the host's own limit (10 s unless set).
    pub fn timeout(mut self, limit: impl IntoLimit) -> Self {
        self.limit = Some(limit.into_limit());
        self
    }

    async fn run(self) -> Result<String> {
        let HostSession { manager, slot } = &self.session;
        let wait = async {
            let limit = self.limit.unwrap_or(Ok(manager.defaults().limit))?;
            self.pattern.check()?;
            if manager.is_dry_run() {
                tracing::info!(
                    host = manager.host(),
                    session = slot.name,
                    "dry run: would wait for {}",
                    manager.redactor().text(&format!("{:?}", self.pattern))
                );
                return Ok(String::new());
            }
            manager.note_use();
            slot.gate.pass(slot.session.expect(&self.pattern, limit)).await
        };
        wait.await.map_err(|error| self.session.located(error))
    }
}

impl IntoFuture for ExpectRun {
    type Output = Result<String>;
    type IntoFuture = BoxFuture<'static, Result<String>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

fn own_limit(command: &ShellCommand) -> Result<Option<Limit>> {
    match &command.limit {
        Some(Err(refused)) => Err(Error::new(ErrorKind::Invalid, refused.to_string()).at_command(shown(command))),
        Some(Ok(limit)) => Ok(Some(*limit)),
        None => Ok(None),
    }
}

/// The command's text, unless it is a secret.
fn shown(command: &ShellCommand) -> &str {
    if command.log == Some(LogMode::Never) { HIDDEN } else { command.text() }
}

fn not_run(manager: &SessionManager, command: &ShellCommand, cause: impl Into<String>) -> CommandStatus {
    let mut status = CommandStatus::new(command.text(), Status::NotRun);
    status.cause = Some(cause.into());
    status.log = command.log.unwrap_or_default();
    concluded(manager, status)
}

/// The status with whose it is, and what must not be shown of it.
fn concluded(manager: &SessionManager, mut status: CommandStatus) -> CommandStatus {
    status.host.get_or_insert_with(|| manager.host().to_owned());
    status.redactor = manager.redactor().clone();
    status
}

fn dry(manager: &SessionManager, command: &ShellCommand) -> CommandStatus {
    tracing::info!(host = manager.host(), "dry run: would run `{}`", manager.redactor().text(shown(command)));
    not_run(manager, command, "this is a dry run")
}

fn borrowed<'b>(on_output: &'b mut Option<OnOutput<'_>>) -> Option<&'b mut (dyn FnMut(&str) + Send)> {
    match on_output {
        Some(seen) => Some(&mut **seen),
        None => None,
    }
}
