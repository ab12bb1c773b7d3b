//! What an observer is told of a oneshot: all of it at once, when it is over, because many go on at the same time and
//! share one place to be written to.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::Observer;
use crate::result::CommandStatus;

/// Holds back the command until its end is known.
pub(crate) struct Whole {
    to: Arc<dyn Observer>,
    /// Its own in this process.
    id: u64,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    session: String,
    command: Option<(String, SystemTime)>,
    with_output: bool,
}

/// One oneshot at a time is written, so that none stands in the middle of another.
static WRITING: Mutex<()> = Mutex::new(());

impl Whole {
    pub(crate) fn of(to: Arc<dyn Observer>) -> Arc<dyn Observer> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Arc::new(Self { to, id: NEXT.fetch_add(1, Ordering::Relaxed), held: Mutex::default() })
    }

    /// Says so, unless its end is known.
    fn cancelled(&self) {
        let Held { session, command, .. } = std::mem::take(&mut *self.held());
        if let Some((command, began)) = command {
            let _alone = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
            self.to.oneshot_over(self.id);
            self.to.command_since(&session, &command, began);
            self.to.given_up(&session);
            self.to.noted(&session, "it was given up before it ended, and killed");
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Whole").field(&self.to).finish()
    }
}

impl Observer for Whole {
    fn command(&self, session: &str, command: &str) {
        self.to.oneshot_began(self.id, command);
        let mut held = self.held();
        session.clone_into(&mut held.session);
        held.command = Some((command.to_owned(), SystemTime::now()));
    }

    fn output(&self, _: &str, _: &[u8]) {
        // That there was any says that it may be shown; all of it comes with the end.
        self.held().with_output = true;
    }

    fn ended(&self, session: &str, status: &CommandStatus) {
        let Held { command, with_output, .. } = std::mem::take(&mut *self.held());
        let _alone = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        self.to.oneshot_over(self.id);
        if let Some((command, began)) = command {
            self.to.command_since(session, &command, began);
        }
        if with_output {
            self.to.output(session, status.bytes());
            if !status.stderr().is_empty() {
                self.to.output(session, status.stderr().as_bytes());
            }
        }
        self.to.ended(session, status);
    }

    fn given_up(&self, _: &str) {
        self.cancelled();
    }

    fn left_running(&self, session: &str, command: &str, why: &str) {
        self.to.left_running(session, command, why);
    }
}

impl Drop for Whole {
    /// It was cancelled before it ended.
    fn drop(&mut self) {
        self.cancelled();
    }
}
