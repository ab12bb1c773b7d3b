//! A test binary run as a child, as cargo, nextest or a user runs it, and what it said.

use std::fs;
use std::io::Read;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

use crate::leaks::MARK;
use crate::processes::Process;
use crate::sshd::Sshd;

/// The longest that any child may take.
const LIMIT: Duration = Duration::from_secs(60);

/// `binary`, in this folder and its project, with none of the variables of whoever runs this test.
#[must_use]
pub fn command(binary: &str, dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["OTTO_", "NEXTEST", "RUST_", "SSH_"].iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command.args(arguments).current_dir(dir).env("CARGO_MANIFEST_DIR", dir).stdin(Stdio::null());
    command
}

/// How a child ended, and what it said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; that of a signal is negative.
    pub code: i32,
    /// What it wrote to stdout.
    pub out: String,
    /// What it wrote to stderr.
    pub err: String,
    /// How long it ran; of one that was sent a signal, how long it went on after the last one.
    pub took: Duration,
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| -status.signal().unwrap_or(0))
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let Output { status, stdout, stderr } = output;
        Self { code: code(status), out: text(&stdout), err: text(&stderr), took: Duration::ZERO }
    }
}

impl Said {
    /// That it ended so, and said each of these on either stream.
    ///
    /// # Panics
    ///
    /// When it did not, with all that it said.
    #[track_caller]
    pub fn expect(&self, code: i32, says: &[&str]) {
        let all = format!("{}{}", self.out, self.err);
        assert_eq!(self.code, code, "{all}");
        for text in says {
            assert!(all.contains(text), "no {text:?} in:\n{all}");
        }
    }

    /// That it took less than this.
    ///
    /// # Panics
    ///
    /// When it did not.
    #[track_caller]
    pub fn within(&self, limit: Duration) {
        assert!(self.took < limit, "took {:?}:\n{}{}", self.took, self.out, self.err);
    }
}

/// A folder with an `otto.toml` and labs, and the mark of all that is started in it.
#[derive(Debug)]
pub struct Project {
    folder: TempDir,
    mark: String,
}

impl Default for Project {
    fn default() -> Self {
        Self::new()
    }
}

impl Project {
    /// One that looks for its labs in `labs`, where there are none yet.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    #[must_use]
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::Builder::new().prefix("otto-suite-").tempdir().expect("a folder for a project");
        fs::create_dir(folder.path().join("labs")).expect("a folder for labs");
        let mark = format!("{}{:03}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let project = Self { folder, mark };
        project.write("otto.toml", "[lab]\npaths = [\"labs\"]\n");
        project
    }

    /// One with these lab files, `lab1.toml` and so on.
    #[must_use]
    pub fn with_labs(labs: &[&str]) -> Self {
        let project = Self::new();
        for (number, text) in labs.iter().enumerate() {
            project.write(&format!("labs/lab{}.toml", number + 1), text);
        }
        project
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes one of its files.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path().join(name), text).expect("a file of the project is written");
    }

    /// A command that nothing else on this machine is, and that does not end by itself.
    #[must_use]
    pub fn nap(&self) -> String {
        format!("sleep 4321.{}", self.mark)
    }

    /// `binary` in this project. The user's own keys, agent and known hosts are out of its reach; `OTTO_TEST_NAP` has
    /// [`nap`](Self::nap), and `OTTO_TEST_GO` the path of a file that [`go`](Self::go) makes.
    #[must_use]
    pub fn command(&self, binary: &str, arguments: &[&str]) -> Command {
        let mut command = command(binary, self.path(), arguments);
        command.env("HOME", self.path()).env(MARK, &self.mark).env("OTTO_TEST_NAP", self.nap());
        command.env("OTTO_TEST_GO", self.path().join("go"));
        command
    }

    /// Starts `binary` with these arguments and variables.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start(&self, binary: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Running {
        let mut command = self.command(binary, arguments);
        // As shells and nextest start one, so that a signal reaches all that did not leave its group.
        command.process_group(0).envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the suite starts");
        let out = child.stdout.take().map(Stream::read);
        let err = child.stderr.take().map(Stream::read);
        Running { child, out, err, since: Instant::now() }
    }

    /// Runs it to its end.
    #[must_use]
    #[track_caller]
    pub fn run(&self, binary: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Said {
        self.start(binary, arguments, variables).end()
    }

    /// Lets tests end that wait for that.
    pub fn go(&self) {
        self.write("go", "");
    }

    /// Waits until nothing runs any more that was started in this project, on this machine or on these servers.
    ///
    /// # Panics
    ///
    /// When something still does after 10 s, with a list.
    #[track_caller]
    pub fn assert_nothing_left(&self, servers: &[&Sshd]) {
        self.wait_for_none("left behind", || self.left(servers));
    }

    /// As [`assert_nothing_left`](Self::assert_nothing_left) where the connection to the servers was cut: what has no
    /// terminal there is not told of that by sshd, and nobody else can tell it. It is killed here.
    ///
    /// # Panics
    ///
    /// When something else is still there after 10 s, with a list.
    #[track_caller]
    pub fn assert_only_orphans_left(&self, servers: &[&Sshd]) {
        let is_orphan = |process: &Process| !process.has_terminal && !process.has_variable(MARK, &self.mark);
        let others = || self.left(servers).into_iter().filter(|process| !is_orphan(process)).collect();
        self.wait_for_none("left behind, and no orphan", others);
        self.wait_for_none("not to be killed", || {
            let left = self.left(servers);
            for pid in left.iter().filter_map(|process| Pid::from_raw(process.pid)) {
                // It may have ended since it was listed.
                let _ = kill_process(pid, Signal::KILL);
            }
            left
        });
    }

    fn left(&self, servers: &[&Sshd]) -> Vec<Process> {
        let mut left: Vec<_> = servers.iter().flat_map(|server| server.children()).collect();
        let nap = self.nap();
        left.extend(Process::all().into_values().filter(|process| {
            process.pid != std::process::id().cast_signed()
                && (process.command.contains(&nap) || process.has_variable(MARK, &self.mark))
        }));
        left
    }

    #[track_caller]
    fn wait_for_none(&self, what: &str, look: impl Fn() -> Vec<Process>) {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let left = look();
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < end, "{what}, in {}: {left:#?}", self.path().display());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What a child writes to one stream, read as it comes.
#[derive(Debug)]
struct Stream {
    text: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Stream {
    fn read(mut from: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
            }
        });
        Self { text, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// All of it. A process that the child left behind may hold the stream open for ever.
    fn end(self) -> String {
        let end = Instant::now() + Duration::from_secs(2);
        while !self.reader.is_finished() && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(self.reader.is_finished(), "something that was left behind holds the output open:\n{}", self.text());
        self.text()
    }
}

/// A child that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    out: Option<Stream>,
    err: Option<Stream>,
    since: Instant,
}

impl Running {
    /// Its number.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Waits until it has said this on stderr.
    ///
    /// # Panics
    ///
    /// When it has not within 20 s, or ended.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            // In this order, so that what it said last is seen.
            let ended = self.child.try_wait().expect("it is our child").is_some();
            let said = self.err.as_ref().map(Stream::text).unwrap_or_default();
            if said.contains(text) {
                return;
            }
            assert!(!ended && Instant::now() < end, "no {text:?} in:\n{said}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends it and its process group a signal, as a terminal or nextest does; the time that it takes counts from here on.
    ///
    /// # Panics
    ///
    /// When it has ended.
    pub fn signal(&mut self, signal: Signal) {
        assert!(self.child.try_wait().expect("it is our child").is_none(), "it has ended already");
        self.since = Instant::now();
        kill_process_group(Pid::from_child(&self.child), signal).expect("it is our child");
    }

    /// Waits until it ends.
    ///
    /// # Panics
    ///
    /// When it has not within a minute.
    #[must_use]
    #[track_caller]
    pub fn end(mut self) -> Said {
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            if self.since.elapsed() > LIMIT {
                let said = [&self.out, &self.err].map(|stream| stream.as_ref().map(Stream::text).unwrap_or_default());
                panic!("still running after {LIMIT:?}:\n{}", said.concat());
            }
            thread::sleep(Duration::from_millis(5));
        };
        let took = self.since.elapsed();
        let out = self.out.take().map(Stream::end).unwrap_or_default();
        let err = self.err.take().map(Stream::end).unwrap_or_default();
        Said { code: code(status), out, err, took }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended, which is the usual case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
