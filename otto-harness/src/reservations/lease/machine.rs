//! Whether a process that another record names is still there.

use std::fs;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// A process, so that no other one can be taken for it: not one with its number on another machine, in another container,
/// after the next start of the machine, or after its own end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProcessId {
    /// The start of the machine, as the kernel names it.
    boot: String,
    /// The namespace that the number counts in.
    namespace: String,
    pid: u32,
    /// When it began, in ticks since the machine was started.
    began: u64,
}

impl ProcessId {
    /// This process; `None` where the system does not tell.
    pub(super) fn own() -> Option<Self> {
        static OWN: OnceLock<Option<ProcessId>> = OnceLock::new();
        OWN.get_or_init(|| {
            let pid = std::process::id();
            Some(Self { boot: boot()?, namespace: namespace()?, pid, began: state(pid)?.1 })
        })
        .clone()
    }

    /// Whether it has certainly ended. What this process cannot see is not known to have.
    pub(super) fn has_ended(&self) -> bool {
        if boot().as_ref() != Some(&self.boot) || namespace().as_ref() != Some(&self.namespace) {
            return false;
        }
        // Without a readable /proc for this very process, the absence of another says nothing.
        if state(std::process::id()).is_none() {
            return false;
        }
        state(self.pid).is_none_or(|(state, began)| began != self.began || matches!(state, 'Z' | 'X'))
            && !exists_hidden(self.pid)
    }
}

/// The start of this machine, as the kernel names it.
pub(super) fn boot() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

fn namespace() -> Option<String> {
    fs::read_link("/proc/self/ns/pid").ok().map(|link| link.to_string_lossy().into_owned())
}

/// The state of a process and when it began.
fn state(pid: u32) -> Option<(char, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces and brackets itself, so its end is the last bracket.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    Some((fields.first()?.chars().next()?, fields.get(19)?.parse().ok()?))
}

/// Whether there is such a process although /proc does not show it (`hidepid` hides those of other users).
fn exists_hidden(pid: u32) -> bool {
    let number = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let there =
        number.is_some_and(|pid| !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH)));
    there && state(pid).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_certainly_ended_has() {
        let own = ProcessId::own().unwrap();
        assert!(!own.has_ended());
        assert!(ProcessId { began: own.began + 1, ..own.clone() }.has_ended());
        assert!(!ProcessId { boot: "another".to_owned(), began: 1, ..own.clone() }.has_ended());
        assert!(!ProcessId { namespace: "pid:[1]".to_owned(), began: 1, ..own.clone() }.has_ended());

        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let there = ProcessId { pid: child.id(), began: state(child.id()).unwrap().1, ..own };
        assert!(!there.has_ended());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(there.has_ended());
    }
}
