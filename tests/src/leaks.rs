//! The proof that nothing leaks: what there was before, and that it is all there is after.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use crate::processes::Process;

/// The variable that marks processes which belong to a test, wherever they end up in the process tree.
pub const MARK: &str = "OTTO_TEST_MARK";

/// The open descriptors of this process, and the processes that descend from it or carry its mark.
///
/// Take one before the work and call [`assert_same_within`](Self::assert_same_within) after it. Both only mean something
/// where no other test runs in the same process meanwhile.
#[derive(Debug, Clone)]
pub struct Snapshot {
    descriptors: BTreeMap<String, usize>,
    processes: BTreeMap<(i32, u64), Process>,
    mark: Option<String>,
    roots: Vec<i32>,
}

impl Snapshot {
    /// What there is now.
    #[must_use]
    pub fn take() -> Self {
        Self::look(None, Vec::new())
    }

    /// What there is now, with the processes whose environment has [`MARK`] set to this, whoever their parent is.
    #[must_use]
    pub fn take_with_mark(mark: impl Into<String>) -> Self {
        Self::look(Some(mark.into()), Vec::new())
    }

    /// What there is now, with the descendants of these processes too: an sshd, for one, whose sessions count.
    #[must_use]
    pub fn take_with_roots(roots: impl IntoIterator<Item = i32>) -> Self {
        Self::look(None, roots.into_iter().collect())
    }

    fn look(mark: Option<String>, roots: Vec<i32>) -> Self {
        let own = process::id().cast_signed();
        let simulated = format!("{own}-");
        let mut processes: Vec<Process> = Process::descendants(own);
        for root in &roots {
            processes.extend(Process::descendants(*root));
        }
        processes.extend(Process::all().into_values().filter(|process| {
            process.has_variable("OTTO_SIM_MARK", &simulated)
                || mark.as_ref().is_some_and(|mark| process.has_variable(MARK, mark))
        }));
        let processes = processes.into_iter().map(|process| ((process.pid, process.start), process)).collect();
        Self { descriptors: descriptors(), processes, mark, roots }
    }

    /// What is there now and was not in this snapshot, a line each; empty when nothing is.
    #[must_use]
    pub fn difference(&self) -> String {
        let now = Self::look(self.mark.clone(), self.roots.clone());
        let mut text = String::new();
        for (key, process) in &now.processes {
            if !self.processes.contains_key(key) {
                // Writing to a string cannot fail.
                let _ = writeln!(
                    text,
                    "process {} ({}, child of {}): {}",
                    process.pid, process.state, process.parent, process.command
                );
            }
        }
        for (what, count) in &now.descriptors {
            let before = self.descriptors.get(what).copied().unwrap_or(0);
            if *count > before {
                let _ = writeln!(text, "{} more of descriptor {what}", count - before);
            }
        }
        text
    }

    /// Waits until nothing is there that was not.
    ///
    /// # Panics
    ///
    /// When something still is after this long, with a list.
    #[track_caller]
    pub fn assert_same_within(&self, limit: Duration) {
        let end = Instant::now() + limit;
        loop {
            let difference = self.difference();
            if difference.is_empty() {
                return;
            }
            assert!(Instant::now() < end, "left behind after {limit:?}:\n{difference}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The open descriptors by what they are, counted: numbers are used again, and sockets have a name of their own each.
fn descriptors() -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fd").expect("/proc is readable").flatten() {
        // The descriptor of this very listing is gone when it is looked at, or shows as the folder.
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let name = target.to_string_lossy();
        if !(name.starts_with("/proc/") && name.ends_with("/fd")) {
            let kind = name.split(":[").next().unwrap_or(&name).to_owned();
            *counts.entry(kind).or_insert(0) += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::Snapshot;

    // One test, because both look at the whole process.
    #[test]
    fn a_child_and_a_descriptor_are_seen_until_they_are_gone() {
        let before = Snapshot::take();
        assert_eq!(before.difference(), "");
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let file = File::open("/dev/null").unwrap();
        // It has its name only when it has begun, and is a zombie only when the signal has come.
        let shows = |what: &str| {
            let end = Instant::now() + Duration::from_secs(5);
            while !before.difference().contains(what) {
                assert!(Instant::now() < end, "not seen: {what} in {}", before.difference());
            }
        };
        shows("sleep 60");
        shows("/dev/null");
        child.kill().unwrap();
        shows("(Z,");
        child.wait().unwrap();
        drop(file);
        before.assert_same_within(Duration::from_secs(1));
    }
}
