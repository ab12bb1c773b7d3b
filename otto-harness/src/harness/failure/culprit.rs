//! Which command of a test its failure is about.

use crate::harness::record::CommandRecord;

/// A command, and whether the failure is known to be about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Culprit {
    /// Its place among all commands of the attempt.
    pub(super) at: usize,
    pub(super) certain: bool,
}

/// The command that the text of a failure names, else the last one that began. Errors of otto name host and command.
pub(super) fn find(text: &str, commands: &[CommandRecord]) -> Option<Culprit> {
    let named = commands.iter().rposition(|command| !command.is_ok && names(text, command));
    match named {
        Some(at) => Some(Culprit { at, certain: true }),
        None => commands.len().checked_sub(1).map(|at| Culprit { at, certain: false }),
    }
}

fn names(text: &str, command: &CommandRecord) -> bool {
    let line = command.command.lines().next().unwrap_or_default();
    let shown: String = line.chars().take(120).collect();
    // As `CommandStatus::ok` says it, then as errors do that were given their place.
    text.contains(&format!("{}: `{shown}", command.host))
        || (text.contains(&format!("{}: ", command.host))
            && [format!("command `{shown}`]"), format!("command `{shown}…`]")].iter().any(|named| text.contains(named)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::reports::samples::command;

    #[test]
    fn an_error_that_names_host_and_command_decides() {
        let commands = [command("r1", "make", 2), command("r2", "make", 2), command("r1", "true", 0)];
        let at = |text| find(text, &commands).unwrap();
        assert_eq!(at("cannot build\n  caused by: r1: `make` exited with 2"), Culprit { at: 0, certain: true });
        assert_eq!(at("r2: `make` exited with 2"), Culprit { at: 1, certain: true });
        assert_eq!(at("r2: the shell is gone [session x, command `make`]"), Culprit { at: 1, certain: true });
        assert_eq!(at("r9: `make` exited with 2"), Culprit { at: 2, certain: false });
        assert_eq!(at("assertion failed"), Culprit { at: 2, certain: false });
        assert_eq!(find("assertion failed", &[]), None);
    }

    #[test]
    fn one_that_passed_is_never_called_the_one_that_failed() {
        let commands = [command("r1", "make", 0)];
        assert_eq!(find("r1: `make` exited with 0?", &commands), Some(Culprit { at: 0, certain: false }));
    }
}
