//! Who has a device open that we want for ourselves.

use std::fs::File;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::error::{Error, ErrorKind, Phase};

/// The error for a device that is taken.
pub(super) fn error(device: &Path, holder: Option<u32>) -> Error {
    let by = match holder {
        Some(pid) => match name_of(pid) {
            Some(name) => format!("process {pid} ({name})"),
            None => format!("process {pid}"),
        },
        None => "another process, which this user cannot see".to_owned(),
    };
    Error::new(ErrorKind::Connect(Phase::Device), format!("{} is in use by {by}", device.display())).hint(
        "a console serves one at a time: wait for the other, or end it; if it is a getty or a modem manager of this \
         machine, keep it off the device",
    )
}

fn name_of(pid: u32) -> Option<String> {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    let name: String = name.trim_end().chars().filter(|c| !c.is_control()).collect();
    (!name.is_empty()).then_some(name)
}

/// The process that holds the lock on the file, from the kernel's list: `1: FLOCK  ADVISORY  WRITE 4711 00:1c:12 0 EOF`.
pub(super) fn lock_holder(file: &File) -> Option<u32> {
    let metadata = file.metadata().ok()?;
    let (major, minor) = (rustix::fs::major(metadata.dev()), rustix::fs::minor(metadata.dev()));
    let wanted = format!("{major:02x}:{minor:02x}:{}", metadata.ino());
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word != "FLOCK").skip(3);
        let pid = words.next()?.parse().ok()?;
        // A process of another namespace is shown as 0.
        (words.next()? == wanted && pid != 0).then_some(pid)
    })
}

/// The process that the lock file of terminal programs (`LCK..ttyS0`) names, if it lives.
pub(super) fn lock_file(device: &Path) -> Option<u32> {
    let device = device.canonicalize().ok()?;
    let name = format!("LCK..{}", device.file_name()?.to_str()?);
    let text = ["/run/lock", "/var/lock"]
        .iter()
        .find_map(|folder| std::fs::read_to_string(Path::new(folder).join(&name)).ok())?;
    let pid: u32 = text.split_whitespace().next()?.parse().ok()?;
    (pid != std::process::id() && Path::new(&format!("/proc/{pid}")).exists()).then_some(pid)
}

/// Another process that has the device open, as far as this user can see.
///
/// Not asked about a pseudo-terminal: what made it (an emulator, a terminal server) may keep it open without reading it.
pub(super) fn user_of(device: &Path) -> Option<u32> {
    let device = device.canonicalize().ok()?;
    let metadata = device.metadata().ok()?;
    if device.starts_with("/dev/pts") || !metadata.file_type().is_char_device() {
        return None;
    }
    let own = std::process::id();
    let processes = std::fs::read_dir("/proc").ok()?;
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != own).find(|pid| {
        let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        files.flatten().any(|file| std::fs::read_link(file.path()).is_ok_and(|target| target == device))
    })
}
