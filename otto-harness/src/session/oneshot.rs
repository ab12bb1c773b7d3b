//! A command in a fresh process of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::coop::consume_budget;
use tokio::time::timeout;

use super::Observer;
use super::capture::{CAP, Capture, Lines};
use super::execution::Sink;
use crate::command::{Limit, LogMode, ShellCommand};
use crate::error::{Error, ErrorKind, Result};
use crate::result::{CommandStatus, HIDDEN, Status};
use crate::transport::{CLOSED_HERE, Connector, Ending, Exec, Incoming, Interrupt, Outlet, Transport};

/// What [`oneshot`] is to run.
pub(crate) struct Oneshot<'a> {
    pub(crate) command: ShellCommand,
    pub(crate) stdin: Vec<u8>,
    pub(crate) limit: Option<Limit>,
    pub(crate) on_output: Option<&'a mut (dyn FnMut(&str) + Send)>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
}

/// Runs a command in a process of its own, to its end or its limit.
///
/// Cancel-safe: dropping the future kills the process, in the background.
pub(crate) async fn oneshot(connector: &Arc<dyn Connector>, host: &str, request: Oneshot<'_>) -> Result<CommandStatus> {
    let Oneshot { command, stdin, limit, on_output, observer } = request;
    if command.text.contains('\0') {
        return Err(Error::new(ErrorKind::Invalid, "a command cannot hold a NUL character").on_host(host));
    }
    let start = Instant::now();
    let log = command.log.unwrap_or_default();
    let everyone = observer.clone();
    let observer = observer.filter(|_| log != LogMode::Never);
    if let Some(observer) = &observer {
        observer.command(ONESHOT, &command.text);
    }
    let each = |bytes: &[u8]| {
        if let Some(observer) = observer.as_deref().filter(|_| log == LogMode::Normal) {
            observer.output(ONESHOT, bytes);
        }
    };
    let mut sink = Sink { lines: Lines::new(on_output), each: &each };
    let mut kept = Kept { output: Capture::new(CAP), errors: Capture::new(CAP) };
    let exec = Exec { command: command.text.clone(), stdin, merge: !command.separate_stderr };
    let mut held = Held {
        process: None,
        observer: everyone.clone(),
        command: if log == LogMode::Never { HIDDEN.to_owned() } else { command.text.clone() },
    };
    let process = &mut held.process;
    let all = async {
        let process = process.insert(connector.exec(exec).await.map_err(|error| error.on_host(host))?);
        follow(&mut **process, &mut kept, &mut sink).await
    };
    let ended = match limit {
        Some(limit) => timeout(limit.get(), all).await.ok(),
        None => Some(all.await),
    };
    let mut status = CommandStatus::new(command.text, Status::Error);
    status.host = Some(host.to_owned());
    status.log = log;
    match ended {
        Some(Ok(Ending { lost: Some(reason), .. })) => {
            status.left_running = true;
            status.cause = Some(format!("the connection was lost: {reason}; it may still run on the host"));
        }
        Some(Ok(Ending { code, signal, .. })) => {
            status.status = match code {
                Some(0) => Status::Success,
                _ if code.is_some() || signal.is_some() => Status::Failed,
                _ => {
                    status.cause = Some("nobody said how it ended".to_owned());
                    Status::Error
                }
            };
            status.retcode = code;
            status.signal = signal;
        }
        Some(Err(error)) => return Err(error),
        None => {
            status.timed_out = true;
            let killed = match process {
                Some(process) => process.interrupt(Interrupt::Kill).await,
                None => true,
            };
            if process.is_none() {
                status.cause = Some("it was not seen to start within its limit".to_owned());
            } else if !killed {
                status.left_running = true;
                status.cause =
                    Some("it was killed, but could not be seen to end, and may still run on the host".to_owned());
            }
        }
    }
    if let Some(process) = held.process.take() {
        process.close().await;
    }
    sink.lines.finish();
    status.truncated = kept.output.truncated() || kept.errors.truncated();
    status.stderr = crate::result::text(&kept.errors.into_bytes()).into();
    status.duration = start.elapsed();
    let status = status.with_bytes(kept.output.into_bytes());
    if let Some(observer) = &observer {
        observer.ended(ONESHOT, &status);
    }
    if let Some(observer) = everyone.filter(|_| status.left_running) {
        let command = if log == LogMode::Never { HIDDEN } else { &status.command };
        observer.left_running(ONESHOT, command, status.cause().unwrap_or_default());
    }
    Ok(status)
}

/// What oneshots are filed under in transcripts.
pub(super) const ONESHOT: &str = "oneshot";

/// A process that somebody waits for. When nobody does any more it is killed, and who hears of dirt is told if it was not seen
/// to end.
struct Held {
    process: Option<Box<dyn Transport>>,
    observer: Option<Arc<dyn Observer>>,
    command: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Without a runtime, dropping the process has to do.
        let (Some(mut process), Ok(runtime)) = (self.process.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let (observer, command) = (self.observer.take(), std::mem::take(&mut self.command));
        // Now, and not when it has been seen to end: what is recorded then may be of another test.
        if let Some(observer) = &observer {
            observer.given_up(ONESHOT);
        }
        runtime.spawn(async move {
            let killed = timeout(KILLING, process.interrupt(Interrupt::Kill)).await.unwrap_or(false);
            if !killed
                && !ended(&mut *process).await
                && let Some(observer) = observer
            {
                let why = "nobody waited for it any more; it was killed, but could not be seen to end";
                observer.left_running(ONESHOT, &command, why);
            }
            process.close().await;
        });
    }
}

/// How long killing what nobody waits for may take.
const KILLING: Duration = Duration::from_secs(10);

/// Whether the process is seen to have ended, or its host was closed, which kills and looks for itself.
async fn ended(process: &mut dyn Transport) -> bool {
    let all = async {
        let mut rest = Vec::new();
        loop {
            consume_budget().await;
            rest.clear();
            match std::future::poll_fn(|cx| process.poll_read(cx, &mut rest)).await {
                Ok(Incoming::Ended(ending)) => {
                    return ending.code.is_some()
                        || ending.signal.is_some()
                        || ending.lost.as_deref() == Some(CLOSED_HERE);
                }
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    };
    timeout(Duration::from_millis(200), all).await.unwrap_or(false)
}

struct Kept {
    output: Capture,
    errors: Capture,
}

async fn follow(process: &mut dyn Transport, kept: &mut Kept, sink: &mut Sink<'_, '_>) -> Result<Ending> {
    let mut piece = Vec::new();
    loop {
        // As in a session: what never pauses must not keep its limit from being seen.
        consume_budget().await;
        piece.clear();
        let incoming = std::future::poll_fn(|cx| process.poll_read(cx, &mut piece)).await;
        match incoming.map_err(|error| Error::new(ErrorKind::Io, "reading its output failed").caused_by(error))? {
            Incoming::Data(Outlet::Err) => kept.errors.push(&piece),
            Incoming::Data(_) => kept.output.push(&piece),
            Incoming::Gap(_) => kept.output.missed(),
            Incoming::Ended(ending) => return Ok(ending),
        }
        sink.push(&piece);
    }
}
