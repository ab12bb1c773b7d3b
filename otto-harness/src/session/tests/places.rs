//! Where the matrix runs: each shell on pipes and on a line.

use std::path::Path;
use std::sync::Arc;

use super::ShellSession;
use crate::transport::Connector;
use crate::transport::local::LocalConnector;
use crate::transport::local::console::Console;

/// A family of shells, as far as results differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shell {
    Bash,
    Dash,
    Ash,
    Ksh,
    Zsh,
}

pub(super) const SHELLS: [Shell; 5] = [Shell::Bash, Shell::Dash, Shell::Ash, Shell::Ksh, Shell::Zsh];

/// A shell on a transport.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) shell: Shell,
    pub(super) line: bool,
}

pub(super) fn places() -> impl Iterator<Item = Place> {
    SHELLS.into_iter().flat_map(|shell| [false, true].map(|line| Place { shell, line }))
}

impl Shell {
    pub(super) fn program(self) -> &'static str {
        let program = match self {
            Self::Bash => "/bin/bash",
            Self::Dash => "/bin/dash",
            Self::Ash => "/bin/busybox",
            Self::Ksh => "/bin/ksh",
            Self::Zsh => "/bin/zsh",
        };
        assert!(Path::new(program).exists(), "{program} is missing: apt-get install bash dash busybox ksh zsh");
        program
    }

    /// As at the end of a login.
    fn on_a_line(self) -> Vec<&'static str> {
        let mut command = vec![self.program()];
        command.extend(match self {
            Self::Bash => &["--norc", "--noprofile", "--noediting", "-i"][..],
            Self::Ash => &["ash", "-i"],
            Self::Zsh => &["-f", "-i"],
            Self::Dash | Self::Ksh => &["-i"],
        });
        command
    }
}

impl Place {
    pub(super) fn session(self) -> ShellSession {
        let connector: Arc<dyn Connector> = if self.line {
            Arc::new(self.console())
        } else {
            Arc::new(LocalConnector::with_shell(self.shell.program()))
        };
        ShellSession::new("here", "default", connector, None)
    }

    pub(super) fn console(self) -> Console {
        Console::new(&self.shell.on_a_line())
    }
}
