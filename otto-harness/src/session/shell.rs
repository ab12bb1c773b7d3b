//! [`ShellSession`]: one shell that keeps its state from command to command.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use super::Observer;
use super::answers::Answers;
use super::capture::Lines;
use super::execution::{Execution, Sink};
use super::expect::{Pattern, Searcher, StreamBuffer};
use super::frame::{SKIPPED, Streams};
use super::live::{End, Live, Recovery};
use super::verdict::{closed_meanwhile, how_it_ended, killed, not_open_within, signal_of, without_the_word};
use crate::command::{Limit, LogMode, ShellCommand};
use crate::error::{Error, ErrorKind, Result};
use crate::result::{CommandStatus, Status};
use crate::transport::{Connector, Ending, Inlet, Transport};

/// One shell on one host that keeps its state (directory, variables, functions, umask, traps, options, `$?`) from command
/// to command.
///
/// It is opened when first used and opened again when it has died; the first command after that says
/// [`state_lost`](CommandStatus::state_lost). Commands of many callers queue and run in call order. Cheap to clone; all
/// clones are the same shell.
#[derive(Clone)]
pub struct ShellSession(Arc<Shared>);

struct Shared {
    host: String,
    name: String,
    connector: Option<Arc<dyn Connector>>,
    observer: Option<Arc<dyn Observer>>,
    state: Mutex<State>,
    alive: AtomicBool,
    /// Counts closes: a command that runs when it changes ends.
    closes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    live: Option<Live>,
    /// What the terminal wrote and no `expect` has taken.
    unread: StreamBuffer,
    /// Why there is no shell any more, until a new one was opened.
    died: Option<Error>,
    /// Whether the next command has to say that it runs in a new shell.
    shell_is_new: bool,
    /// The newest command, as it may be shown; `None` in a shell that has had none.
    command: Option<String>,
}

impl fmt::Debug for ShellSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShellSession")
            .field("host", &self.0.host)
            .field("name", &self.0.name)
            .field("alive", &self.alive())
            .finish_non_exhaustive()
    }
}

impl ShellSession {
    /// A session that gets its shells from a connector. Nothing is opened yet.
    #[must_use]
    pub fn new(host: &str, name: &str, connector: Arc<dyn Connector>, observer: Option<Arc<dyn Observer>>) -> Self {
        Self::with(host, name, Some(connector), observer, State::default(), false)
    }

    /// A session over a transport of your own: one shell, which cannot be opened again.
    ///
    /// # Errors
    /// When the shell does not answer the handshake within 10 s.
    pub async fn over(transport: Box<dyn Transport>) -> Result<Self> {
        let live = Live::handshake(transport).await?;
        Ok(Self::with("transport", "default", None, None, State { live: Some(live), ..State::default() }, true))
    }

    fn with(
        host: &str,
        name: &str,
        connector: Option<Arc<dyn Connector>>,
        observer: Option<Arc<dyn Observer>>,
        mut state: State,
        alive: bool,
    ) -> Self {
        if let Some(observer) = observer.clone() {
            let name = name.to_owned();
            state.unread = state.unread.tapped(move |bytes| observer.shown(&name, bytes));
        }
        Self(Arc::new(Shared {
            host: host.to_owned(),
            name: name.to_owned(),
            connector,
            observer,
            state: Mutex::new(state),
            alive: AtomicBool::new(alive),
            closes: watch::Sender::new(0),
        }))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether its shell is there, as far as is known without asking it.
    #[must_use]
    pub fn alive(&self) -> bool {
        self.0.alive.load(Ordering::Acquire)
    }

    /// Opens its shell if there is none.
    ///
    /// # Errors
    /// When the host cannot be reached or no shell comes up.
    pub async fn open(&self) -> Result<()> {
        let mut state = self.0.state.lock().await;
        self.opened(&mut state, None).await.map(|_| ())
    }

    /// Runs one command to its end or its limit. Everything that the command did is in the status; an error says why it
    /// was not run at all.
    ///
    /// Cancel-safe: when the future is dropped, the command is stopped and the shell finds back to its prompt before the
    /// next command.
    ///
    /// # Errors
    /// A pattern that is no regex, a text with a NUL, a host that cannot be reached, a terminal that a program holds
    /// which `send` started. Nothing was run then.
    #[expect(clippy::too_many_lines, reason = "one command from the queue to its result, step by step")]
    pub async fn run_cmd(
        &self,
        command: &ShellCommand,
        limit: Limit,
        on_output: Option<&mut (dyn FnMut(&str) + Send)>,
    ) -> Result<CommandStatus> {
        if command.text.contains('\0') {
            return Err(Error::new(ErrorKind::Invalid, "a command cannot hold a NUL character")
                .on_host(&self.0.host)
                .at_command(shown(command, command.log.unwrap_or_default()).replace('\0', "\u{2400}")));
        }
        let mut answers = Answers::new(&command.expects)?;
        let log = command.log.unwrap_or_default();
        let mut closes = self.0.closes.subscribe();
        // Declared before the lock, so that it is dropped after it: then the shell is free to be set right.
        let mut settle = SettleWhenDropped(Some(self), false);
        let mut state = self.0.state.lock().await;
        self.settle(&mut state).await;
        state.command = Some(shown(command, log));
        // A limit that was asked for holds for opening the shell too; the usual one leaves that to the limits of each phase.
        let within = command.limit.is_some().then_some(limit);
        let mut live = match self.ready_for_commands(&mut state, limit, within).await {
            Ok(live) => live,
            Err(error) => {
                settle.0 = None;
                return Err(error.at_command(shown(command, log)));
            }
        };
        let start = Instant::now();
        let answered = !command.expects.is_empty();
        let streams = match (live.line.is_some(), command.terminal || answered) {
            (true, true) => Streams::LineTerminal,
            (true, false) => Streams::Line,
            (false, true) => Streams::Terminal,
            (false, false) if command.separate_stderr => Streams::Separate,
            (false, false) => Streams::Merged,
        };
        if let Some(observer) = self.0.observer.as_deref().filter(|_| log != LogMode::Never) {
            observer.command(&self.0.name, &command.text);
            settle.1 = true;
        }
        let observer = self.0.observer.as_deref().filter(|_| log == LogMode::Normal);
        let each = |bytes: &[u8]| {
            if let Some(observer) = observer {
                observer.output(&self.0.name, bytes);
            }
        };
        let mut sink = Sink { lines: Lines::new(on_output), each: &each };
        let mut again = self.0.connector.is_some();
        let followed = loop {
            live.begin(&command.text, streams, answered);
            let followed = tokio::select! {
                biased;
                followed = timeout(limit.get(), live.follow(&mut sink, &mut answers)) => followed.ok(),
                _ = closes.changed() => Some(Ok(End::Shell(closed_meanwhile()))),
            };
            if live.running.as_ref().and_then(Execution::ended) == Some(SKIPPED) {
                live.finish();
                live.last_code = 0;
                continue;
            }
            // A shell that died while nobody looked, before it read the frame, has run nothing of the command.
            let untouched = match &followed {
                Some(Ok(End::Shell(ending))) => {
                    ending.lost.is_none() && live.running.as_ref().is_some_and(|running| !running.begun())
                }
                // The runtime that the shell was opened on is gone: nothing could be written.
                Some(Err(_)) => live.undelivered,
                _ => false,
            };
            if !(untouched && std::mem::take(&mut again)) {
                break followed;
            }
            let why = live.ended.clone().unwrap_or_default().to_string();
            self.bury(&mut state, Error::new(ErrorKind::ShellExited, why));
            live = match self.ready_for_commands(&mut state, limit, within).await {
                Ok(live) => live,
                Err(error) => {
                    settle.0 = None;
                    return Err(error.at_command(shown(command, log)));
                }
            };
        };

        let mut status = CommandStatus::new(command.text.clone(), Status::Error);
        status.host = Some(self.0.host.clone());
        status.log = log;
        let mut died = None;
        match followed {
            Some(Ok(End::Seen)) => {}
            Some(Ok(End::Shell(ending))) => {
                status.left_running =
                    if ending == closed_meanwhile() { !live.kill().await } else { ending.lost.is_some() };
                died = Some(how_it_ended(&mut status, &ending, live, &command.text));
            }
            Some(Err(error)) => {
                status.left_running = true;
                status.cause = Some(format!("reading from the shell failed: {error}"));
                died = Some(Error::new(ErrorKind::ConnectionLost, "reading from the shell failed").caused_by(error));
            }
            None => {
                status.timed_out = true;
                if let Recovery::Killed { proven } = live.recover(&mut sink).await {
                    status.left_running = !proven;
                    status.cause = Some(killed(proven).to_owned());
                    died = Some(Error::new(ErrorKind::ShellExited, killed(proven)));
                }
            }
        }
        let says_exit = live.says_exit;
        let Some((running, code)) = live.finish() else {
            return Err(Error::new(ErrorKind::Closed, "the command was taken off its shell"));
        };
        let (mut output, mut errors, truncated) = running.into_output(&mut sink);
        if died.is_some() && status.status == Status::Error && status.retcode.is_some() && says_exit {
            let last = if streams == Streams::Separate { &mut errors } else { &mut output };
            without_the_word(last);
        }
        if died.is_none() && !status.timed_out {
            status.retcode = code;
            status.status = if code == Some(0) { Status::Success } else { Status::Failed };
            status.signal = code.and_then(signal_of);
        }
        status.truncated = truncated;
        status.stderr = crate::result::text(&errors).into();
        status.duration = start.elapsed();
        let mut status = status.with_bytes(output);
        settle.0 = None;
        status.state_lost = std::mem::take(&mut state.shell_is_new);
        if let Some(observer) = self.0.observer.as_deref().filter(|_| log != LogMode::Never) {
            observer.ended(&self.0.name, &status);
        }
        if status.left_running {
            self.left_running(&state, status.cause().unwrap_or_default());
        }
        if let Some(why) = died {
            self.bury(&mut state, why);
        }
        Ok(status)
    }

    /// Types text on the terminal of the shell, which reads its commands from there while `send` and `expect` are in use.
    /// Line endings are yours to include.
    ///
    /// # Errors
    /// When the shell has died since it was last used, or cannot be opened.
    pub async fn send(&self, text: impl AsRef<[u8]>) -> Result<()> {
        let text = text.as_ref();
        let mut state = self.0.state.lock().await;
        self.settle(&mut state).await;
        if let Some(why) = dead(&state) {
            return Err(self.at_home(why));
        }
        self.opened(&mut state, None).await?;
        let State { live: Some(live), unread, .. } = &mut *state else { return Err(self.closed()) };
        if text.first() != Some(&0x03) {
            // What is typed after a ^C must not be read by what that should have ended.
            live.insist(unread).await;
        }
        live.enter_interactive(unread).await;
        let again = live.interactive.as_mut().and_then(|interactive| interactive.typed(live.dialect, text));
        live.write(Inlet::Terminal, text.to_vec());
        if let Some(again) = again {
            live.write(Inlet::Commands, again.into_bytes());
        }
        if let Some(observer) = &self.0.observer {
            observer.sent(&self.0.name);
        }
        // A program that writes much and reads later must not block: both directions go on until all is typed.
        let ended = tokio::select! {
            biased;
            () = async {
                live.type_queued(unread).await;
                if text.contains(&0x03) {
                    live.interrupted_by_hand(unread).await;
                }
            } => live.ended.clone(),
            () = tokio::time::sleep(SEND) => None,
        };
        match ended {
            Some(ending) => Err(self.ended_under(&mut state, &ending)),
            None => Ok(()),
        }
    }

    /// Waits until the pattern appears in what the terminal writes; returns everything up to and including the match. What
    /// comes after it stays for the next `expect`, and so does all of it when the limit expires.
    ///
    /// # Errors
    /// A pattern that is no regex, a limit that expired (the error shows the last lines), a shell that ended.
    pub async fn expect(&self, pattern: &Pattern, limit: Limit) -> Result<String> {
        let mut searcher = Searcher::new(std::slice::from_ref(pattern))?;
        let mut closes = self.0.closes.subscribe();
        let mut state = self.0.state.lock().await;
        self.settle(&mut state).await;
        if let Some(taken) = state.unread.search(&mut searcher) {
            return Ok(taken.text().into_owned());
        }
        if let Some(why) = dead(&state) {
            return Err(self.at_home(why));
        }
        self.opened(&mut state, Some(limit)).await?;
        let State { live: Some(live), unread, .. } = &mut *state else { return Err(self.closed()) };
        let found = tokio::select! {
            biased;
            found = timeout(limit.get(), live.read_until(unread, &mut searcher)) => found,
            _ = closes.changed() => return Err(self.closed()),
        };
        match found {
            Ok(Ok(Some(text))) => Ok(text),
            Ok(Ok(None)) => {
                let ending = live.ended.clone().unwrap_or_default();
                Err(self.ended_under(&mut state, &ending))
            }
            Ok(Err(error)) => Err(self.at_home(error)),
            Err(_) => {
                let mut message = format!("`{}` did not appear within {:?}", pattern.as_str(), limit.get());
                let tail = unread.tail(10);
                if tail.is_empty() {
                    message.push_str("; nothing was written");
                }
                for line in tail.lines() {
                    message.push_str("\n  | ");
                    message.push_str(line);
                }
                Err(self.at_home(Error::new(ErrorKind::Timeout, message)))
            }
        }
    }

    /// Ends its shell, and the command that runs in it. Idempotent and bounded; the next use opens a new shell.
    pub async fn close(&self) {
        self.0.closes.send_modify(|count| *count += 1);
        let mut state = self.0.state.lock().await;
        self.0.alive.store(false, Ordering::Release);
        state.unread.restart();
        state.died = None;
        if let Some(live) = state.live.take() {
            let (session, command) = (self.clone(), state.command.take());
            // In a task of its own, so that dropping this future does not leave it half closed.
            let closing = tokio::spawn(async move {
                let proven = live.close().await;
                session.note("the shell was closed");
                if !proven {
                    let state = State { command, ..State::default() };
                    session.left_running(&state, "its shell was closed, and could not be seen to end");
                }
            });
            let _ = closing.await;
        }
    }

    /// The shell, opened if there is none.
    async fn opened<'s>(&self, state: &'s mut State, within: Option<Limit>) -> Result<&'s mut Live> {
        if state.live.as_ref().is_some_and(|live| live.ended.is_some()) {
            state.live = None;
        }
        if state.live.is_none() {
            let connector = self.0.connector.as_ref().ok_or_else(|| self.closed())?;
            self.tell(|observer, name| observer.opening(name));
            let opening = async { Live::handshake(connector.open_shell().await?).await };
            let opened = match within {
                Some(limit) => match timeout(limit.get(), opening).await {
                    Ok(opened) => opened,
                    Err(_) => Err(not_open_within(limit, connector.phase())),
                },
                None => opening.await,
            };
            self.tell(|observer, name| observer.opened(name, opened.is_ok()));
            state.live = Some(opened.map_err(|error| self.at_home(error)).inspect_err(|error| {
                self.note(&format!("no shell could be opened: {}", error.chain()));
            })?);
            let again = state.died.take().is_some();
            self.note(if again { "a new shell; the state of the one before is lost" } else { "a shell was opened" });
            state.shell_is_new |= again;
            state.unread.restart();
            self.0.alive.store(true, Ordering::Release);
        }
        state.live.as_mut().ok_or_else(|| self.closed())
    }

    /// The shell, at its prompt.
    async fn ready_for_commands<'s>(
        &self,
        state: &'s mut State,
        limit: Limit,
        within: Option<Limit>,
    ) -> Result<&'s mut Live> {
        self.notice_end(state);
        self.opened(state, within).await?;
        let State { live: Some(live), unread, .. } = &mut *state else { return Err(self.closed()) };
        if live.interactive.is_some() {
            let left = timeout(limit.get(), live.leave_interactive(unread)).await;
            if left.is_err() {
                return Err(self.at_home(
                    Error::new(ErrorKind::Busy, "a program that `send` started still has the terminal of this session")
                        .hint("end it with `send`, close the session, or run the command in another session"),
                ));
            }
            if live.ended.is_some() {
                self.notice_end(state);
                self.opened(state, within).await?;
            }
        }
        state.live.as_mut().ok_or_else(|| self.closed())
    }

    /// Takes note of a shell that ended while nobody looked.
    fn notice_end(&self, state: &mut State) {
        let State { live: Some(live), unread, .. } = state else { return };
        live.look(unread);
        if let Some(ending) = live.ended.clone() {
            self.bury(state, Error::new(ErrorKind::ShellExited, ending.to_string()));
        }
    }

    /// Sets the shell right when the last caller was dropped in mid-command.
    async fn settle(&self, state: &mut State) {
        let Some(live) = &mut state.live else { return };
        let found = live.settle().await;
        if let Some(Recovery::Killed { proven }) = found {
            if !proven {
                self.left_running(state, killed(proven));
            }
            self.bury(state, Error::new(ErrorKind::ShellExited, killed(proven)));
        }
    }

    fn tell(&self, what: impl FnOnce(&dyn Observer, &str)) {
        if let Some(observer) = &self.0.observer {
            what(&**observer, &self.0.name);
        }
    }

    /// Tells of something that happened to the session.
    fn note(&self, note: &str) {
        self.tell(|observer, name| observer.noted(name, note));
    }

    /// Tells that what the newest command started could not be shown to have ended.
    fn left_running(&self, state: &State, why: &str) {
        if let Some(observer) = &self.0.observer {
            observer.left_running(&self.0.name, state.command.as_deref().unwrap_or("(what `send` typed)"), why);
        }
    }

    fn bury(&self, state: &mut State, why: Error) {
        self.note(&format!("the shell is gone: {}", why.chain()));
        self.0.alive.store(false, Ordering::Release);
        state.died = Some(why);
        // Dropping it kills what is left of it, in the background.
        state.live = None;
    }

    fn ended_under(&self, state: &mut State, ending: &Ending) -> Error {
        let kind = if ending.lost.is_some() { ErrorKind::ConnectionLost } else { ErrorKind::ShellExited };
        self.bury(state, Error::new(kind, ending.to_string()));
        self.at_home(Error::new(kind, ending.to_string()).hint("the next `run` opens a new shell"))
    }

    fn closed(&self) -> Error {
        self.at_home(Error::new(ErrorKind::Closed, "the session is closed"))
    }

    fn at_home(&self, error: Error) -> Error {
        error.on_host(&self.0.host).in_session(&self.0.name)
    }
}

/// How long typing may take that a program does not read.
const SEND: std::time::Duration = std::time::Duration::from_secs(10);

/// Why `send` and `expect` cannot go on, if the shell that they were talking to is gone.
fn dead(state: &State) -> Option<Error> {
    let why = state.died.as_ref()?;
    Some(Error::new(why.kind(), format!("the shell is gone: {why}")).hint("the next `run` opens a new shell"))
}

fn shown(command: &ShellCommand, log: LogMode) -> String {
    if log == LogMode::Never { "(not logged)".to_owned() } else { command.text.clone() }
}

/// Sets the shell right in the background when the caller of a command was dropped. Also whether observers know of the
/// command.
struct SettleWhenDropped<'a>(Option<&'a ShellSession>, bool);

impl Drop for SettleWhenDropped<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.0.filter(|_| self.1) {
            session.tell(|observer, name| observer.given_up(name));
            session.note("a command was given up before it ended: nobody waits for it any more");
        }
        if let (Some(session), Ok(runtime)) = (self.0, tokio::runtime::Handle::try_current()) {
            let session = session.clone();
            runtime.spawn(async move {
                let mut state = session.0.state.lock().await;
                session.settle(&mut state).await;
            });
        }
    }
}

impl Drop for Shared {
    /// The last handle is gone: the shell is closed in the background.
    fn drop(&mut self) {
        if let (Some(live), Ok(runtime)) = (self.state.get_mut().live.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(live.close());
        }
    }
}
