//! What Linux says about processes.

use std::collections::BTreeMap;
use std::fs;

/// A process as `/proc` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Who made it, or who took it over.
    pub parent: i32,
    /// `R`, `S`, `T`, `Z`, …
    pub state: char,
    /// When it started, in clock ticks since boot: with the number, what it is known by.
    pub start: u64,
    /// Whether it has a controlling terminal.
    pub has_terminal: bool,
    /// Its arguments, or its name in brackets when it has none to show, as a zombie has.
    pub command: String,
}

impl Process {
    /// The process with this number, if there is one.
    #[must_use]
    pub fn get(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold spaces and brackets itself, so its end is the last bracket.
        let (head, tail) = stat.rsplit_once(") ")?;
        let name = head.split_once('(')?.1;
        let fields: Vec<&str> = tail.split(' ').collect();
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
        let command = if arguments.is_empty() { format!("[{name}]") } else { arguments.trim_end().to_owned() };
        Some(Self {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            state: fields.first()?.chars().next()?,
            start: fields.get(19)?.parse().ok()?,
            has_terminal: *fields.get(4)? != "0",
            command,
        })
    }

    /// All processes, by number.
    ///
    /// # Panics
    ///
    /// Where there is no `/proc`.
    #[must_use]
    pub fn all() -> BTreeMap<i32, Self> {
        let entries = fs::read_dir("/proc").expect("/proc is readable");
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|pid| Some((pid, Self::get(pid)?)))
            .collect()
    }

    /// All that descend from this process, itself not among them.
    #[must_use]
    pub fn descendants(pid: i32) -> Vec<Self> {
        let all = Self::all();
        let descends = |process: &Self| {
            let mut at = process.parent;
            while at != pid {
                match all.get(&at) {
                    Some(parent) => at = parent.parent,
                    None => return false,
                }
            }
            true
        };
        all.values().filter(|process| descends(process)).cloned().collect()
    }

    /// Whether its environment has this variable with a value that begins so.
    #[must_use]
    pub fn has_variable(&self, name: &str, value: &str) -> bool {
        let wanted = format!("{name}={value}");
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(wanted.as_bytes()))
    }
}
