//! What is said of a command whose end came otherwise than by its end marker.

use super::live::Live;
use crate::command::Limit;
use crate::error::{Error, ErrorKind, Phase};
use crate::result::{CommandStatus, Status};
use crate::transport::Ending;

/// Fills in a status whose shell ended under it; says why there is no shell any more.
pub(super) fn how_it_ended(status: &mut CommandStatus, ending: &Ending, live: &Live, text: &str) -> Error {
    status.cause = Some(ending.to_string());
    status.retcode = ending.code;
    status.signal.clone_from(&ending.signal);
    let errexit = live.errexit || sets_errexit(text);
    if let Some(code) = ending.code.filter(|code| *code != 0 && errexit && ending.signal.is_none()) {
        status.status = Status::Failed;
        status.cause = Some(format!("a command failed with {code} while `set -e` was on, which ended the shell"));
    }
    if status.left_running {
        status.cause = Some(format!("{ending}; what the command started may still run on the host"));
    }
    let kind = if ending.lost.is_some() { ErrorKind::ConnectionLost } else { ErrorKind::ShellExited };
    Error::new(kind, ending.to_string())
}

/// How the shell on a line ended whose guard has this for its exit code: a shell knows death by signal n as 128 + n, and a Korn
/// shell as 256 + n.
pub(super) fn said_by_the_guard(code: i32) -> Ending {
    let code = if code > 256 { code - 128 } else { code };
    Ending { code: Some(code), signal: signal_of(code), lost: None }
}

/// Said when the limit of a command passed before there was a shell for it.
pub(super) fn not_open_within(limit: Limit, phase: Option<Phase>) -> Error {
    let message = format!("no shell was open within the command's limit of {:?}", limit.get());
    Error::new(phase.map_or(ErrorKind::Timeout, ErrorKind::Connect), message).hint(
        "the limit of a command holds for opening its shell too; open the session first, or give the command more time",
    )
}

pub(super) fn closed_meanwhile() -> Ending {
    Ending { lost: Some("the session was closed".to_owned()), ..Ending::default() }
}

/// What is said of a shell that had to be killed.
pub(super) fn killed(proven: bool) -> &'static str {
    if proven {
        "it did not yield to an interrupt; its shell was killed, and all its processes were seen to end"
    } else {
        "it did not yield to an interrupt; its shell was killed, and processes of it may still run on the host"
    }
}

/// A shell reports death by signal n as 128 + n.
pub(super) fn signal_of(code: i32) -> Option<String> {
    Some(
        match code - 128 {
            1 => "HUP",
            2 => "INT",
            3 => "QUIT",
            4 => "ILL",
            6 => "ABRT",
            7 => "BUS",
            8 => "FPE",
            9 => "KILL",
            11 => "SEGV",
            13 => "PIPE",
            14 => "ALRM",
            15 => "TERM",
            _ => return None,
        }
        .to_owned(),
    )
}

/// Whether a script turns errexit on, so that its shell may end by it before it could say so.
fn sets_errexit(text: &str) -> bool {
    let mut words = text.split(|c: char| c.is_whitespace() || matches!(c, ';' | '&' | '|' | '(' | '{'));
    let mut set = false;
    words.any(|word| {
        let found = set && (word == "errexit" || (word.starts_with('-') && word.contains('e')));
        set = word == "set" || (set && (word.starts_with('-') || word.starts_with('+')));
        found
    })
}

/// Takes away the word that an interactive bash writes when a command makes it exit: the command did not write it.
pub(super) fn without_the_word(output: &mut Vec<u8>) {
    const WORD: &[u8] = b"exit\n";
    if output.ends_with(WORD) {
        output.truncate(output.len() - WORD.len());
    }
}
