//! The real OpenSSH server on a port of its own.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::processes::Process;

const SSHD: &str = "/usr/sbin/sshd";

/// The account that [`SshdBuilder::account`] makes.
pub const ACCOUNT: &str = "otto-tester";

/// Its number, which no system gives to anybody.
pub const UID: u32 = 64_321;

/// How long a server may take to say its banner.
const START: Duration = Duration::from_secs(10);

/// Describes an [`Sshd`].
#[derive(Debug, Clone)]
pub struct SshdBuilder {
    id: String,
    lab: String,
    lines: Vec<String>,
    shell: Option<PathBuf>,
    sftp: Option<String>,
}

impl SshdBuilder {
    /// With this id of the host in [`Sshd::lab_toml`] instead of `server`.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// With this name of the lab in [`Sshd::lab_toml`] instead of `bed`.
    #[must_use]
    pub fn lab(mut self, lab: impl Into<String>) -> Self {
        self.lab = lab.into();
        self
    }

    /// With this line in its configuration, before those of the bed: the first value of an option holds.
    #[must_use]
    pub fn config(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// With this program as its SFTP subsystem; with none, it has no such subsystem.
    #[must_use]
    pub fn sftp<'a>(mut self, program: impl Into<Option<&'a str>>) -> Self {
        self.sftp = program.into().map(str::to_owned);
        self
    }

    /// For an account of its own, [`ACCOUNT`], that is not root's and has this shell, instead of whoever runs the tests.
    ///
    /// The account is in an `/etc/passwd` that only this server and what it starts see: that takes root, and a system
    /// that lets root have mounts of its own.
    #[must_use]
    pub fn account(mut self, shell: impl Into<PathBuf>) -> Self {
        self.shell = Some(shell.into());
        self
    }

    /// Starts it; it answers when this returns.
    ///
    /// # Panics
    ///
    /// When a program is missing or the server does not start, with its log.
    #[must_use]
    pub fn start(self) -> Sshd {
        Sshd::start_as(self)
    }
}

/// An OpenSSH server with keys of its own. Dropping it stops it and its sessions, and shows its log if a test fails.
#[derive(Debug)]
pub struct Sshd {
    child: Child,
    port: u16,
    folder: TempDir,
    id: String,
    lab: String,
    user: String,
    host_key: String,
}

impl Sshd {
    /// A server with OpenSSH's defaults.
    ///
    /// # Panics
    ///
    /// When a program is missing or the server does not start, with its log.
    #[must_use]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Describes a server.
    #[must_use]
    pub fn builder() -> SshdBuilder {
        SshdBuilder {
            id: "server".into(),
            lab: "bed".into(),
            lines: Vec::new(),
            shell: None,
            sftp: Some("internal-sftp".to_owned()),
        }
    }

    /// The home of [`ACCOUNT`], if it has that.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        home(self.folder.path())
    }

    fn start_as(description: SshdBuilder) -> Self {
        assert!(Path::new(SSHD).exists(), "{SSHD} is missing: apt-get install openssh-server");
        let folder = tempfile::Builder::new().prefix("otto-sshd-").tempdir().expect("a folder for sshd");
        let host_key = keygen(&folder.path().join("host_key"));
        let user_key = keygen(&folder.path().join("user_key"));
        fs::write(folder.path().join("authorized_keys"), &user_key).expect("authorized_keys is written");
        fs::create_dir_all(folder.path().join("home")).expect("a home is made");
        if rustix::process::geteuid().is_root() {
            // Debian makes it at boot, which a container never had; without it sshd of root does not start.
            fs::create_dir_all("/run/sshd").expect("root can make /run/sshd");
        }
        let user = match &description.shell {
            Some(shell) => {
                make_account(folder.path(), shell);
                ACCOUNT.to_owned()
            }
            None => current_user(),
        };
        // Another process may take the port between our look and sshd's: then another is tried.
        for attempt in 1.. {
            let port = free_port();
            let config = config(folder.path(), port, &description);
            fs::write(folder.path().join("sshd_config"), config).expect("sshd_config is written");
            let mut child = spawn(folder.path(), description.shell.is_some());
            match wait_for_banner(&mut child, port) {
                Ok(()) => {
                    let SshdBuilder { id, lab, .. } = description;
                    return Self { child, port, folder, id, lab, user, host_key };
                }
                Err(reason) => {
                    // It may have ended by itself, which is why we are here.
                    let _ = child.kill();
                    let _ = child.wait();
                    let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
                    let collision = log.contains("Address already in use");
                    assert!(collision && attempt < 10, "sshd on port {port} {reason}; its log:\n{log}");
                }
            }
        }
        unreachable!("the last attempt returns or panics")
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Who may log in: whoever runs the tests.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Its public host key: type and base64.
    #[must_use]
    pub fn host_key(&self) -> &str {
        &self.host_key
    }

    /// The private key that it lets in.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.folder.path().join("user_key")
    }

    /// The process that listens.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// What the server has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// How often somebody has connected since it started, which the bed itself does once, to see that it answers.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.log().lines().filter(|line| line.starts_with("Connection from ")).count()
    }

    /// A `known_hosts` file that names its key.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    #[must_use]
    pub fn known_hosts_file(&self) -> PathBuf {
        let path = self.folder.path().join("known_hosts");
        fs::write(&path, format!("[127.0.0.1]:{} {}\n", self.port, self.host_key)).expect("known_hosts is written");
        path
    }

    /// A table `[[hosts]]` of a lab file, for this server.
    #[must_use]
    pub fn host_toml(&self) -> String {
        let Self { id, port, user, host_key, .. } = self;
        let key_file = self.key_file();
        format!(
            "[[hosts]]\nid = \"{id}\"\nip = \"127.0.0.1\"\nport = {port}\nterm = \"ssh\"\n\
             creds = [{{ login = \"{user}\", key_file = \"{}\" }}]\nhost_key = \"{host_key}\"\n",
            key_file.display()
        )
    }

    /// The text of a lab file with this server as its only host.
    #[must_use]
    pub fn lab_toml(&self) -> String {
        format!("lab = \"{}\"\n{}", self.lab, self.host_toml())
    }

    /// A lab file with this server as its only host, in a folder of its own.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    #[must_use]
    pub fn lab_file(&self) -> PathBuf {
        let folder = self.folder.path().join("labs");
        fs::create_dir_all(&folder).expect("the labs folder is made");
        let path = folder.join(format!("{}.toml", self.lab));
        fs::write(&path, self.lab_toml()).expect("the lab file is written");
        path
    }

    /// The processes that serve connections, and what runs in their sessions.
    #[must_use]
    pub fn children(&self) -> Vec<Process> {
        Process::descendants(self.pid())
    }

    /// The processes of [`children`](Self::children) that are sshd's own.
    #[must_use]
    pub fn connections(&self) -> Vec<Process> {
        self.children().into_iter().filter(|child| child.command.starts_with("sshd")).collect()
    }

    /// Kills the processes that serve connections, as a crash does; new connections are served.
    pub fn kill_children(&self) {
        signal(self.connections(), Signal::KILL);
    }

    /// Stops the server and the processes that serve connections, as a machine does that hangs: nothing answers, and
    /// nothing is closed.
    pub fn freeze(&self) {
        signal(Process::get(self.pid()), Signal::STOP);
        signal(self.connections(), Signal::STOP);
    }

    /// Goes on after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        signal(self.connections(), Signal::CONT);
        signal(Process::get(self.pid()), Signal::CONT);
    }

    /// Stops the server and everything that runs in its sessions. Dropping it does the same.
    pub fn stop(&mut self) {
        let mut children = self.children();
        // The listener first, so that nobody comes after the list was made.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // A child of a connection is taken over by init when that goes, so all are found before any is killed.
        while let Some(child) = children.pop() {
            children.extend(Process::descendants(child.pid).into_iter().filter(|new| new.pid != child.pid));
            signal(Process::get(child.pid).filter(|now| now.start == child.start), Signal::KILL);
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
        if thread::panicking() {
            // What the test runner shows with the failure.
            eprintln!("--- log of sshd on port {}\n{}---", self.port, self.log());
        }
    }
}

fn signal(processes: impl IntoIterator<Item = Process>, signal: Signal) {
    for process in processes {
        if let Some(pid) = Pid::from_raw(process.pid) {
            // It may have ended since it was listed.
            let _ = kill_process(pid, signal);
        }
    }
}

/// Makes a key pair and returns its public key without the comment.
fn keygen(path: &Path) -> String {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(path).output();
    let made = made.unwrap_or_else(|error| panic!("ssh-keygen does not run ({error}): apt-get install openssh-client"));
    assert!(made.status.success(), "ssh-keygen: {}", String::from_utf8_lossy(&made.stderr));
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("the key is ours");
    fs::read_to_string(path.with_extension("pub")).expect("the public key is there").trim_end().to_owned()
}

fn config(folder: &Path, port: u16, description: &SshdBuilder) -> String {
    let mut text = String::new();
    if let Some(program) = &description.sftp {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "Subsystem sftp {program}");
    }
    for line in &description.lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
    }
    let path = |name| folder.join(name).display().to_string();
    let _ = write!(
        text,
        "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
         UsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PermitRootLogin yes\nPrintMotd no\nMaxStartups 200\nLogLevel VERBOSE\nAcceptEnv LANG LC_* OTTO_*\n\
         SetEnv HOME={}\n",
        path("host_key"),
        path("authorized_keys"),
        // The rc files of whoever runs the tests may be slow, and what they start is not ours to kill. Where the lines
        // above set variables, they stand alone: the first such line counts.
        path("home"),
    );
    text
}

fn home(folder: &Path) -> PathBuf {
    folder.join("home")
}

/// Writes the list of accounts that [`spawn`] puts in the place of the system's, and makes the home.
fn make_account(folder: &Path, shell: &Path) {
    let (home, shell) = (home(folder), shell.display());
    let system = fs::read_to_string("/etc/passwd").expect("/etc/passwd is readable");
    let entry = format!("{ACCOUNT}:x:{UID}:{UID}::{}:{shell}\n", home.display());
    fs::write(folder.join("passwd"), format!("{}\n{entry}", system.trim_end())).expect("passwd is written");
    fs::create_dir_all(&home).expect("the home is made");
    std::os::unix::fs::chown(&home, Some(UID), Some(UID)).expect("only root can make an account: run the test as root");
    // The account has to get to its home and its authorized_keys.
    for path in [folder.to_owned(), folder.join("passwd")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
}

fn spawn(folder: &Path, account: bool) -> Child {
    let log = fs::File::create(folder.join("log")).expect("the log is made");
    let mut command = Command::new(if account { "unshare" } else { SSHD });
    if account {
        // Each of these becomes the next, so that the process number stays.
        command.args(["--mount", "sh", "-c", "mount --bind \"$1/passwd\" /etc/passwd && shift && exec \"$@\"", "sh"]);
        command.arg(folder).arg(SSHD);
    }
    // In the foreground and with its log on stderr, so that its process number is ours to stop.
    command
        .args(["-D", "-e", "-f"])
        .arg(folder.join("sshd_config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("sshd starts")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("it has an address").port()
}

fn wait_for_banner(child: &mut Child, port: u16) -> Result<(), String> {
    let end = Instant::now() + START;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    while Instant::now() < end {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("ended with {status}"));
        }
        if let Ok(mut stream) = TcpStream::connect_timeout(&address, START) {
            let mut banner = [0; 4];
            stream.set_read_timeout(Some(START)).map_err(|error| error.to_string())?;
            // Whoever took our port is not a child of ours, which the next round sees.
            if stream.read_exact(&mut banner).is_ok() && banner == *b"SSH-" {
                thread::sleep(Duration::from_millis(5));
                return match child.try_wait() {
                    Ok(None) => Ok(()),
                    status => Err(format!("ended: {status:?}")),
                };
            }
        }
        thread::sleep(Duration::from_millis(10));
    }
    Err(format!("said no banner within {START:?}"))
}

fn current_user() -> String {
    let output = Command::new("id").arg("-un").output().expect("id runs");
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}
