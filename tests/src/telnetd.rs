//! Real telnet servers on ports of their own: inetutils' and `BusyBox`'s, with a login of the bed's own behind them.

use std::fs;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use otto::{Host, TelnetHost};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::processes::Process;

const TELNETD: &str = "/usr/sbin/telnetd";

/// [`Telnetd::PASSWORD`] as `openssl passwd -6` has it.
const PASSWORD_HASH: &str =
    "$6$ottobed$XwORK8l6tGZZbMaoA2aBCXNMDKU3Dr5wWHhxQ.7qkCXc6jcstzFMv21IVh5YxQWLWDvb2pxu1mNrPis5dm6IO1";

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(10);

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// That of GNU inetutils: it negotiates by the book, and an accept loop of the bed starts one for each connection.
    Inetutils,
    /// That of `BusyBox`: it says what it wants and heeds no answer but the size of the window.
    Busybox,
}

/// Describes a [`Telnetd`].
#[derive(Debug, Clone)]
pub struct TelnetdBuilder {
    kind: Kind,
    delay: Duration,
    banner: String,
    login: Option<String>,
    shell: String,
    accounts: bool,
}

impl TelnetdBuilder {
    /// With so long a pause before the first prompt.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// With this text before the first prompt.
    #[must_use]
    pub fn banner(mut self, banner: impl Into<String>) -> Self {
        self.banner = banner.into();
        self
    }

    /// With this script for `sh` in the place of the login.
    #[must_use]
    pub fn login(mut self, script: impl Into<String>) -> Self {
        self.login = Some(script.into());
        self
    }

    /// With this as the account's shell instead of `bash --norc --noprofile -i`.
    #[must_use]
    pub fn shell(mut self, command: impl Into<String>) -> Self {
        self.shell = command.into();
        self
    }

    /// With the system's own `/bin/login`, of inetutils' server only, which finds the user of the bed among the accounts.
    /// The accounts of this machine stay as they are: the server sees others in their place. Takes root.
    #[must_use]
    pub fn with_accounts(mut self) -> Self {
        self.accounts = true;
        self
    }

    /// Starts it; it listens when this returns.
    ///
    /// # Panics
    ///
    /// When a program is missing or the server does not start.
    #[must_use]
    pub fn start(self) -> Telnetd {
        Telnetd::start_as(&self)
    }
}

/// A telnet server. Dropping it stops it and what runs in its sessions.
#[derive(Debug)]
pub struct Telnetd {
    kind: Kind,
    port: u16,
    server: Server,
    _folder: TempDir,
}

#[derive(Debug)]
enum Server {
    Loop { shared: Arc<Accepting>, thread: Option<thread::JoinHandle<()>> },
    Process(Child),
}

/// What the accept loop and the bed have in common.
#[derive(Debug, Default)]
struct Accepting {
    over: AtomicBool,
    count: AtomicUsize,
    servers: Mutex<Vec<i32>>,
}

impl Telnetd {
    /// Who may log in.
    pub const USER: &'static str = "tester";
    /// With this password.
    pub const PASSWORD: &'static str = "tell-nobody-0815";

    /// inetutils' server.
    ///
    /// # Panics
    ///
    /// When it is missing.
    #[must_use]
    pub fn inetutils() -> Self {
        Self::builder(Kind::Inetutils).start()
    }

    /// `BusyBox`'s server.
    ///
    /// # Panics
    ///
    /// When it is missing.
    #[must_use]
    pub fn busybox() -> Self {
        Self::builder(Kind::Busybox).start()
    }

    /// Describes a server.
    #[must_use]
    pub fn builder(kind: Kind) -> TelnetdBuilder {
        TelnetdBuilder {
            kind,
            delay: Duration::ZERO,
            banner: String::new(),
            login: None,
            shell: "bash --norc --noprofile -i".into(),
            accounts: false,
        }
    }

    fn start_as(description: &TelnetdBuilder) -> Self {
        let folder = tempfile::Builder::new().prefix("otto-telnetd-").tempdir().expect("a folder for telnetd");
        let login = folder.path().join("login");
        fs::write(&login, login_script(description)).expect("the login is written");
        fs::set_permissions(&login, fs::Permissions::from_mode(0o700)).expect("the login is ours");
        let kind = description.kind;
        let (port, server) = match kind {
            Kind::Inetutils if description.accounts => accept_loop(by_accounts(folder.path())),
            Kind::Inetutils => accept_loop(vec![TELNETD.into(), "-h".into(), "-E".into(), login.display().to_string()]),
            Kind::Busybox => standalone(&login),
        };
        Self { kind, port, server, _folder: folder }
    }

    /// Which server it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A host in the making that logs in here.
    pub fn host(&self) -> TelnetHost {
        Host::telnet("127.0.0.1").id("telnetd").port(self.port).user(Self::USER).password(Self::PASSWORD)
    }

    /// A table `[[hosts]]` of a lab file, for this server. A table `[hosts.telnet_options]` may follow it.
    #[must_use]
    pub fn host_toml(&self) -> String {
        format!(
            "[[hosts]]\nid = \"telnetd\"\nip = \"127.0.0.1\"\nport = {}\nterm = \"telnet\"\n\
             creds = [{{ login = \"{}\", password = \"{}\" }}]\n",
            self.port,
            Self::USER,
            Self::PASSWORD
        )
    }

    /// How often somebody has connected since it started, where that is counted: not by `BusyBox`.
    #[must_use]
    pub fn connection_count(&self) -> Option<usize> {
        match &self.server {
            Server::Loop { shared, .. } => Some(shared.count.load(Ordering::Acquire)),
            Server::Process(_) => None,
        }
    }

    /// The processes that are servers.
    #[must_use]
    pub fn servers(&self) -> Vec<Process> {
        let pids = match &self.server {
            Server::Loop { shared, .. } => shared.servers.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Server::Process(child) => vec![child.id().cast_signed()],
        };
        pids.into_iter().filter_map(Process::get).collect()
    }

    /// What runs in its sessions.
    #[must_use]
    pub fn sessions(&self) -> Vec<Process> {
        self.servers().iter().flat_map(|server| Process::descendants(server.pid)).collect()
    }

    /// Kills the servers as a crash does. That of inetutils serves new connections all the same.
    pub fn kill_servers(&self) {
        signal(self.servers(), Signal::KILL);
    }

    /// Stops the servers as a machine does that hangs: nothing answers, and nothing is closed.
    pub fn freeze(&self) {
        signal(self.servers(), Signal::STOP);
    }

    /// Goes on after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        signal(self.servers(), Signal::CONT);
    }

    fn stop(&mut self) {
        let mut children = self.sessions();
        match &mut self.server {
            Server::Loop { shared, thread } => {
                shared.over.store(true, Ordering::Release);
                // It is waiting for somebody to connect.
                let _ = TcpStream::connect(("127.0.0.1", self.port)).map(|stream| stream.shutdown(Shutdown::Both));
                let _ = thread.take().map(thread::JoinHandle::join);
                let servers = shared.servers.lock().unwrap_or_else(PoisonError::into_inner).clone();
                signal(servers.into_iter().filter_map(Process::get), Signal::KILL);
                let end = Instant::now() + START;
                while !shared.servers.lock().unwrap_or_else(PoisonError::into_inner).is_empty() && Instant::now() < end
                {
                    thread::sleep(Duration::from_millis(2));
                }
            }
            Server::Process(child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
        while let Some(child) = children.pop() {
            children.extend(Process::descendants(child.pid).into_iter().filter(|new| new.pid != child.pid));
            signal(Process::get(child.pid).filter(|now| now.start == child.start), Signal::KILL);
        }
    }
}

impl Drop for Telnetd {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A login as real ones are: prompts, no echo of the password, a pause for a wrong one, three attempts.
fn login_script(description: &TelnetdBuilder) -> String {
    if let Some(script) = &description.login {
        return format!("#!/bin/sh\n{script}\n");
    }
    let TelnetdBuilder { delay, banner, shell, .. } = description;
    let (user, password) = (Telnetd::USER, Telnetd::PASSWORD);
    format!(
        "#!/bin/sh\nprintf '%s' '{banner}'\nsleep {}\nfor attempt in 1 2 3; do\n\
         printf 'bed login: '; read -r user || exit 1\n\
         stty -echo; printf 'Password: '; read -r password || exit 1; stty echo; echo\n\
         if [ \"$user\" = '{user}' ] && [ \"$password\" = '{password}' ]; then unset user password; exec {shell}; fi\n\
         sleep 0.3; printf '\\nLogin incorrect\\n'\ndone\n",
        delay.as_secs_f64()
    )
}

/// The command of a server that sees accounts of the bed's own, and whose login leaves no traces.
fn by_accounts(folder: &Path) -> Vec<String> {
    let user = Telnetd::USER;
    for (name, line) in [
        ("passwd", format!("{user}:x:65534:65534::/:/bin/bash\nroot:x:0:0::/:/usr/sbin/nologin\n")),
        ("shadow", format!("{user}:{PASSWORD_HASH}:20000:0:99999:7:::\nroot:*:20000:0:99999:7:::\n")),
    ] {
        fs::write(folder.join(name), line).expect("the accounts are written");
    }
    let script = "mount --bind \"$0/passwd\" /etc/passwd && mount --bind \"$0/shadow\" /etc/shadow && \
                  mount -t tmpfs none /var/log && { [ ! -e /run/utmp ] || mount --bind /dev/null /run/utmp; } && \
                  exec /usr/sbin/telnetd -h";
    ["unshare", "-m", "sh", "-c", script]
        .iter()
        .map(|word| (*word).to_owned())
        .chain([folder.display().to_string()])
        .collect()
}

fn accept_loop(command: Vec<String>) -> (u16, Server) {
    assert!(Path::new(TELNETD).exists(), "{TELNETD} is missing: apt-get install inetutils-telnetd");
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("it has an address").port();
    let shared = Arc::new(Accepting::default());
    let accepting = Arc::clone(&shared);
    let thread = thread::spawn(move || {
        for stream in listener.incoming() {
            if accepting.over.load(Ordering::Acquire) {
                return;
            }
            accepting.count.fetch_add(1, Ordering::AcqRel);
            serve(&stream.expect("somebody connects"), &command, &accepting);
        }
    });
    (port, Server::Loop { shared, thread: Some(thread) })
}

/// As inetd does: the connection is the server's input, output and error stream.
fn serve(stream: &TcpStream, command: &[String], accepting: &Arc<Accepting>) {
    let end = || Stdio::from(OwnedFd::from(stream.try_clone().expect("a descriptor is free")));
    let mut server = Command::new(&command[0])
        .args(&command[1..])
        .stdin(end())
        .stdout(end())
        .stderr(end())
        .spawn()
        .expect("telnetd starts");
    let pid = server.id().cast_signed();
    accepting.servers.lock().unwrap_or_else(PoisonError::into_inner).push(pid);
    let accepting = Arc::clone(accepting);
    thread::spawn(move || {
        let _ = server.wait();
        accepting.servers.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != pid);
    });
}

fn standalone(login: &Path) -> (u16, Server) {
    let busybox = busybox();
    for _ in 0..10 {
        let port = {
            let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
            listener.local_addr().expect("it has an address").port()
        };
        let mut child = Command::new(&busybox)
            .args(["telnetd", "-F", "-b", "127.0.0.1", "-p", &port.to_string(), "-f", "/dev/null", "-l"])
            .arg(login)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("busybox starts");
        let end = Instant::now() + START;
        while Instant::now() < end {
            // Another may have taken the port meanwhile: then this one ends, and the next is tried.
            if child.try_wait().expect("it is ours").is_some() {
                break;
            }
            if listens(port) {
                return (port, Server::Process(child));
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
    panic!("busybox telnetd does not listen");
}

/// Whether somebody listens on this port, seen without connecting: that would be a session.
fn listens(port: u16) -> bool {
    let table = fs::read_to_string("/proc/net/tcp").expect("/proc is readable");
    let wanted = format!("0100007F:{port:04X}");
    table.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        fields.next() == Some(&wanted) && fields.nth(1) == Some("0A")
    })
}

/// A `BusyBox` that has the server: Debian's `busybox` does not, its `busybox-static` does.
///
/// # Panics
///
/// When there is none.
#[must_use]
pub fn busybox() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("busybox")).find(|busybox| {
        let list = Command::new(busybox).arg("--list").stdin(Stdio::null()).output();
        list.is_ok_and(|list| String::from_utf8_lossy(&list.stdout).lines().any(|applet| applet == "telnetd"))
    });
    found.expect("no busybox with a telnetd is in PATH: apt-get install busybox-static")
}

fn signal(processes: impl IntoIterator<Item = Process>, signal: Signal) {
    for process in processes {
        if let Some(pid) = Pid::from_raw(process.pid) {
            // It may have ended since it was listed.
            let _ = kill_process(pid, signal);
        }
    }
}
