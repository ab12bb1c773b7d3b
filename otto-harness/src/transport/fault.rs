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
