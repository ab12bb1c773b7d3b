//! A real etcd on loopback, with ports and a folder of its own.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running etcd, ended when dropped.
#[derive(Debug)]
pub struct Etcd {
    child: Option<Child>,
    folder: tempfile::TempDir,
    client: u16,
    peer: u16,
    more: Vec<String>,
}

impl Default for Etcd {
    fn default() -> Self {
        Self::start()
    }
}

impl Etcd {
    /// One without authentication.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// One with these options more. With TLS among them, [`url`](Self::url) is `https`.
    ///
    /// # Panics
    /// If it does not come up.
    #[must_use]
    pub fn start_with(more: &[String]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // Both at once, so that they differ.
        let free: Vec<TcpListener> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
        let port = |index: usize| free[index].local_addr().expect("an address").port();
        let (client, peer) = (port(0), port(1));
        drop(free);
        let mut etcd = Self { child: None, folder, client, peer, more: more.to_vec() };
        etcd.up();
        etcd
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.more.iter().any(|option| option.starts_with("--cert-file")) { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.client)
    }

    /// Its folder.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Starts it again, with all that it had stored.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn up(&mut self) {
        let peer = format!("http://127.0.0.1:{}", self.peer);
        let log = std::fs::OpenOptions::new().append(true).create(true).open(self.log()).expect("a log");
        let child = Command::new("etcd")
            .args(["--name", "one", "--data-dir"])
            .arg(self.folder.path().join("data"))
            .args(["--listen-client-urls", &self.url(), "--advertise-client-urls", &self.url()])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("one={peer}")])
            .args(&self.more)
            .env("ETCD_UNSUPPORTED_ARCH", std::env::consts::ARCH)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("etcd: apt-get install etcd-server");
        self.child = Some(child);
        let start = Instant::now();
        // It listens before it can answer.
        let ready = || {
            let log = std::fs::read_to_string(self.log()).unwrap_or_default();
            log.contains("ready to serve client requests") && TcpStream::connect(("127.0.0.1", self.client)).is_ok()
        };
        while !ready() {
            let log = std::fs::read_to_string(self.log()).unwrap_or_default();
            assert!(start.elapsed() < Duration::from_secs(60), "etcd does not come up:\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills it as `kill -9` does.
    pub fn down(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
            // What it said before says nothing of its next start.
            let _ = std::fs::write(self.log(), "");
        }
    }

    /// Its process.
    ///
    /// # Panics
    /// If it is down.
    #[must_use]
    pub fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(self.child.as_ref().expect("it is up"))
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.down();
    }
}
