//! The tasks of one host, or of whatever else is repeated, by name.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;

use super::history::{History, Tick};
use super::over::{Call, Repeatable};
use super::start::StartRepeat;
use crate::command::{IntoCommands, IntoLimit};
use crate::error::{Error, ErrorKind, Result};

/// Runs commands again and again at a fixed rate, and keeps what they answered.
///
/// It is made over a host, a session, several hosts (all of them at the same instant), or an async closure. Cheap to clone;
/// clones share the tasks, and when the last one is dropped, the tasks end. Over a host it uses the host's default session,
/// where commands queue: give it a session of its own if other commands run meanwhile.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> otto::Result<()> {
/// use otto::RepeatRunner;
/// use std::time::Duration;
///
/// let host = otto::Host::local();
/// let repeat = RepeatRunner::new(&host);
/// repeat.start("poll", ["echo one", "echo two"], Duration::from_millis(20)).times(3).await?;
/// repeat.wait("poll").await?;
/// let results = repeat.get_results("poll");
/// assert_eq!(results.len(), 3);
/// for (_when, result) in results {
///     assert_eq!(result?.statuses[1].output, "two");
/// }
///
/// // The same with a closure.
/// let repeat = RepeatRunner::new(|| async { Ok(42) });
/// repeat.start("answer", (), Duration::from_millis(10)).times(2).await?;
/// repeat.wait("answer").await?;
/// assert_eq!(repeat.get_results("answer").len(), 2);
/// host.close().await
/// # }
/// ```
pub struct RepeatRunner<T>(Arc<Inner<T>>);

struct Inner<T> {
    call: Call<T>,
    tasks: Mutex<HashMap<String, Task<T>>>,
}

/// One task, from the side of those who asked for it.
pub(super) struct Task<T> {
    pub(super) stop: watch::Sender<bool>,
    /// Its sender is gone when the task is.
    pub(super) end: watch::Receiver<()>,
    pub(super) history: Arc<History<T>>,
}

impl<T> Task<T> {
    fn is_running(&self) -> bool {
        self.end.has_changed().is_ok()
    }
}

impl<T: Send + Sync + 'static> RepeatRunner<T> {
    /// Over a host, a session, several hosts, or a closure: see [`Repeatable`].
    pub fn new<Kind>(over: impl Repeatable<Kind, Output = T>) -> Self {
        Self(Arc::new(Inner { call: over.into_call(), tasks: Mutex::default() }))
    }

    /// A task of that name, which runs these commands every `interval`, from now on. Nothing is started until it is awaited;
    /// see [`StartRepeat`] for when it ends. Results of an earlier task of that name are dropped.
    ///
    /// Awaiting it is an error of kind [`Invalid`](ErrorKind::Invalid) if a task of that name is running, or if the interval
    /// or another setting is refused.
    pub fn start(
        &self,
        name: impl Into<String>,
        commands: impl IntoCommands,
        interval: impl IntoLimit,
    ) -> StartRepeat<T> {
        StartRepeat::new(self.clone(), name.into(), commands.into_commands(), interval.into_limit())
    }

    /// Takes the task in, and gives what it calls.
    pub(super) fn add(&self, name: &str, task: Task<T>) -> Result<Call<T>> {
        self.with(|tasks| match tasks.get(name) {
            Some(old) if old.is_running() => {
                Err(Error::new(ErrorKind::Invalid, format!("a task named `{name}` is running already"))
                    .hint("give it another name, or `stop` the other one first"))
            }
            _ => {
                tasks.insert(name.to_owned(), task);
                Ok(Arc::clone(&self.0.call))
            }
        })
    }

    /// Ends a task, and comes back when it has ended; a command that is under way is cancelled. Its results stay. A task that
    /// had ended already is no error.
    ///
    /// # Errors
    /// If no task of that name was ever started.
    pub async fn stop(&self, name: &str) -> Result<()> {
        self.order_to_stop(name)?;
        self.wait(name).await
    }

    /// Ends all tasks, and comes back when they have ended.
    ///
    /// # Errors
    /// None today; it answers as [`stop`](Self::stop) does.
    pub async fn stop_all(&self) -> Result<()> {
        let names = self.with(|tasks| tasks.keys().cloned().collect::<Vec<_>>());
        // All of them first, so that they end side by side.
        names.iter().try_for_each(|name| self.order_to_stop(name))?;
        for name in names {
            self.wait(&name).await?;
        }
        Ok(())
    }

    /// Comes back when a task has ended: by itself, stopped, or with its context. Dropping this changes nothing.
    ///
    /// # Errors
    /// If no task of that name was ever started.
    pub async fn wait(&self, name: &str) -> Result<()> {
        let mut end = self.find(name, |task| task.end.clone())?;
        // Nothing is ever sent; the error says that the sender is gone.
        let _ = end.changed().await;
        Ok(())
    }

    /// Whether a task of that name is running.
    #[must_use]
    pub fn is_running(&self, name: &str) -> bool {
        self.find(name, Task::is_running).unwrap_or(false)
    }

    /// What a task has answered so far, oldest first, each with the time at which it began. Failures are kept as results.
    /// Empty if there is no such task.
    #[must_use]
    pub fn get_results(&self, name: &str) -> Vec<(SystemTime, Result<T>)>
    where
        T: Clone,
    {
        self.ticks(name).into_iter().map(|tick| (tick.began, (*tick.result).clone())).collect()
    }

    /// As [`get_results`](Self::get_results), with how late each tick began and how long it took, and without copying what
    /// was answered.
    #[must_use]
    pub fn ticks(&self, name: &str) -> Vec<Tick<T>> {
        self.find(name, |task| task.history.ticks()).unwrap_or_default()
    }

    /// How many slots of a task had no tick, because the tick before them took too long ([`Missed::Skip`](super::Missed)).
    #[must_use]
    pub fn missed(&self, name: &str) -> u64 {
        self.find(name, |task| task.history.missed()).unwrap_or(0)
    }

    fn order_to_stop(&self, name: &str) -> Result<()> {
        self.find(name, |task| _ = task.stop.send_replace(true))
    }

    fn find<R>(&self, name: &str, look: impl FnOnce(&Task<T>) -> R) -> Result<R> {
        self.with(|tasks| {
            let Some(task) = tasks.get(name) else {
                let mut names: Vec<_> = tasks.keys().map(String::as_str).collect();
                names.sort_unstable();
                let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                return Err(Error::new(ErrorKind::Invalid, format!("no task named `{name}` was started"))
                    .hint(format!("tasks of this runner: {known}")));
            };
            Ok(look(task))
        })
    }

    fn with<R>(&self, look: impl FnOnce(&mut HashMap<String, Task<T>>) -> R) -> R {
        look(&mut self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Clone for RepeatRunner<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for RepeatRunner<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks = self.with(|tasks| {
            let mut tasks: Vec<_> = tasks.iter().map(|(name, task)| (name.clone(), task.is_running())).collect();
            tasks.sort_unstable();
            tasks
        });
        f.debug_struct("RepeatRunner").field("tasks", &tasks).finish_non_exhaustive()
    }
}
