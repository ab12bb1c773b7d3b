//! A failure that several waiting callers can be told of.

use crate::error::{Error, ErrorKind, Phase};

/// What will become an [`Error`]. It can be cloned, because callers that wait for one dial all get its outcome.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
}

impl Fault {
    pub(super) fn at(phase: Phase, message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Connect(phase), message: message.into(), hint: None }
    }

    pub(super) fn lost(reason: &str) -> Self {
        Self { kind: ErrorKind::ConnectionLost, message: format!("the connection was lost: {reason}"), hint: None }
    }

    /// What kept the host that lies in between from leading on.
    pub(super) fn over(hop: &str, error: &Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Connect(phase) => ErrorKind::Connect(phase),
            // That it is lost says nothing about a connection of the host behind it, which is not made yet.
            _ => ErrorKind::Connect(Phase::Tcp),
        };
        let text = error.to_string();
        let (message, hint) = match text.split_once("\n  hint: ") {
            Some((message, hint)) => (message, Some(hint.to_owned())),
            None => (&*text, None),
        };
        // What the text of the whole will say again.
        let said = error.phase().map_or_else(String::new, |phase| format!("cannot connect ({phase}): "));
        let message = message.strip_prefix(&format!("{hop}: ")).unwrap_or(message);
        let message = message.strip_prefix(&said).unwrap_or(message);
        Self { kind, message: format!("over its hop `{hop}`: {message}"), hint }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert(hint.into());
        self
    }

    pub(super) fn on(self, host: &str) -> Error {
        let error = Error::new(self.kind, self.message).on_host(host);
        match self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.kind == ErrorKind::ConnectionLost
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }
}
