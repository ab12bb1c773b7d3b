//! The real sshd on loopback, for tests.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Auth, SshTarget};

/// An sshd of this test's own. It is stopped, with its sessions, when dropped; its log is shown if the test panics.
pub(super) struct Sshd {
    process: Child,
    pub(super) port: u16,
    folder: TempDir,
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes a key pair; its passphrase may be empty.
pub(super) fn keygen(path: &Path, kind: &str, passphrase: &str) {
    run(Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", passphrase, "-f"]).arg(path));
}

pub(super) fn user() -> String {
    String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap().trim().to_owned()
}

impl Sshd {
    pub(super) fn start() -> Self {
        Self::with("")
    }

    /// With further lines of configuration; they come first, and the first value of an option counts.
    pub(super) fn with(config: &str) -> Self {
        Self::started(config, Command::new("/usr/sbin/sshd"))
    }

    /// One in whose mounts there is no /proc.
    pub(super) fn without_proc() -> Self {
        assert!(rustix::process::geteuid().is_root(), "only root can hide /proc from sshd: run this test as root");
        let mut unshare = Command::new("unshare");
        let over_it = "mount -t tmpfs none /proc && exec /usr/sbin/sshd \"$@\"";
        unshare.args(["--mount", "sh", "-c", over_it, "sshd"]);
        Self::started("", unshare)
    }

    fn started(config: &str, mut program: Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        keygen(&at("host"), "ed25519", "");
        keygen(&at("id"), "ed25519", "");
        keygen(&at("id_locked"), "ed25519", "open sesame");
        keygen(&at("id_rsa"), "rsa", "");
        keygen(&at("id_wrong"), "ed25519", "");
        let keys: String =
            ["id", "id_locked", "id_rsa"].map(|key| fs::read_to_string(at(&format!("{key}.pub"))).unwrap()).concat();
        fs::write(at("authorized_keys"), keys).unwrap();
        // Somebody else may take the port before sshd does; then the next one is tried.
        for _ in 0..20 {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            let text = format!(
                "{config}\nListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nUsePAM no\nStrictModes no\n\
                 PidFile none\nPermitRootLogin yes\nLogLevel DEBUG1\nSetEnv HOME={}\n",
                at("host").display(),
                at("authorized_keys").display(),
                // Not the home of whoever runs the tests: its rc files may be slow, and are not ours.
                folder.path().display(),
            );
            fs::write(at("sshd_config"), text).unwrap();
            if rustix::process::geteuid().is_root() {
                // What Debian's service makes when it starts, and this one is not started by it.
                fs::create_dir_all("/run/sshd").unwrap();
            }
            let log = fs::File::create(at("log")).unwrap();
            let mut process = program
                .args(["-D", "-e", "-f"])
                .arg(at("sshd_config"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap();
            let started = Instant::now();
            while started.elapsed() < Duration::from_secs(10) {
                if fs::read_to_string(at("log")).unwrap().contains("Server listening") {
                    return Self { process, port, folder };
                }
                if process.try_wait().unwrap().is_some() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        panic!("sshd did not start: {}", fs::read_to_string(at("log")).unwrap_or_default());
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The host's public key, as for a pin.
    pub(super) fn host_key(&self) -> String {
        fs::read_to_string(self.path("host.pub")).unwrap()
    }

    /// A target that gets in.
    pub(super) fn target(&self) -> SshTarget {
        let mut target = SshTarget::new("dut", "127.0.0.1", self.port, user());
        target.auth = vec![Auth::KeyFile { path: self.path("id"), passphrase: None }];
        target.host_key.pinned = vec![self.host_key()];
        target
    }

    /// All processes below the listening one.
    pub(super) fn descendants(&self) -> Vec<u32> {
        let mut found = vec![self.pid()];
        let mut at = 0;
        while at < found.len() {
            found.extend(children(found[at]));
            at += 1;
        }
        found.split_off(1)
    }
}

fn children(of: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| stat(*pid).is_some_and(|(state, parent)| parent == of && state != 'Z')).collect()
}

/// The state of a process, and its parent.
pub(super) fn stat(pid: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

impl Drop for Sshd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the log of sshd ---\n{}", self.log());
        }
        for pid in self.descendants() {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
