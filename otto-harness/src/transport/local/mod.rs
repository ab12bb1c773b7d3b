//! Shells and processes on this machine.
//!
//! A shell is a session leader of its own, on pipes for its commands and its output, with a pseudo-terminal as its
//! controlling terminal. See `docs/design/transport.md`.

#[cfg(test)]
pub(crate) mod console;
mod exec;
mod pipes;
mod process;
mod shell;
mod spawn;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::{BoxFuture, Connector, Exec, Transport};
use crate::error::{Error, ErrorKind, Phase, Result};

pub(crate) use process::kill_all;

/// Makes shells and processes on this machine.
#[derive(Debug, Default)]
pub(crate) struct LocalConnector {
    shell: Option<PathBuf>,
}

impl LocalConnector {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// With another shell than bash.
    #[cfg(test)]
    pub(crate) fn with_shell(shell: impl Into<PathBuf>) -> Self {
        Self { shell: Some(shell.into()) }
    }

    fn shell(&self) -> &Path {
        static DEFAULT: OnceLock<PathBuf> = OnceLock::new();
        self.shell.as_deref().unwrap_or_else(|| DEFAULT.get_or_init(default_shell))
    }
}

/// The first bash on `PATH`, else `/bin/sh`.
fn default_shell() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    std::env::split_paths(&path)
        .map(|folder| folder.join("bash"))
        .find(|file| file.is_file())
        .unwrap_or_else(|| "/bin/sh".into())
}

fn cannot_start(program: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Connect(Phase::Shell), format!("cannot start {}", program.display())).caused_by(error)
}

impl Connector for LocalConnector {
    fn open_shell(&self) -> BoxFuture<'_, Result<Box<dyn Transport>>> {
        Box::pin(async {
            let shell = self.shell();
            let started = shell::LocalShell::start(shell).map_err(|error| cannot_start(shell, error))?;
            Ok(Box::new(started) as Box<dyn Transport>)
        })
    }

    fn exec(&self, exec: Exec) -> BoxFuture<'_, Result<Box<dyn Transport>>> {
        Box::pin(async move {
            let shell = self.shell();
            let started = exec::LocalProcess::start(shell, exec).map_err(|error| cannot_start(shell, error))?;
            Ok(Box::new(started) as Box<dyn Transport>)
        })
    }

    fn is_this_machine(&self) -> bool {
        true
    }

    fn close(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { true })
    }
}
