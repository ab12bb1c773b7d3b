//! Where one case is run: this machine, the real servers of OpenSSH and telnet, and a
//! simulated host. See [`everywhere!`](crate::everywhere).

use std::fmt::Write as _;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use otto::prelude::*;
use otto::sim::{RunningHost, SimLab};
use otto::{Error, ErrorKind, Result, Transfer};
use tokio::time::{sleep, timeout};

use crate::processes::Process;
use crate::sshd::Sshd;
use crate::telnetd::Telnetd;

/// One of the places, with a host of its own.
#[derive(Debug)]
pub struct Place {
    /// What failures call it.
    pub name: &'static str,
    server: Server,
    host: Host,
}

/// What answers there.
#[derive(Debug)]
pub enum Server {
    /// Nobody: the shell is a child of the test.
    Local,
    /// OpenSSH.
    Sshd(Box<Sshd>),
    /// A simulated host.
    Sim(SimLab),
    /// inetutils' telnetd.
    Telnetd(Telnetd),
}

impl Place {
    /// This machine.
    #[must_use]
    pub fn local() -> Self {
        Self { name: "local", server: Server::Local, host: Host::local() }
    }

    /// A real OpenSSH server with its defaults.
    #[must_use]
    pub fn sshd() -> Self {
        Self::over(Sshd::start())
    }

    /// This OpenSSH server.
    #[must_use]
    pub fn over(server: Sshd) -> Self {
        let host = over_sshd(&server);
        Self { name: "sshd", server: Server::Sshd(Box::new(server)), host }
    }

    /// A simulated host.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn sim() -> Self {
        let lab = SimLab::builder().host("sim").start().expect("the simulated lab starts");
        let host = over_sim(&lab.hosts()[0]);
        Self { name: "sim", server: Server::Sim(lab), host }
    }

    /// A real telnet server.
    #[must_use]
    pub fn telnet() -> Self {
        let server = Telnetd::inetutils();
        let host = server.host().id("telnet").build();
        Self { name: "telnet", server: Server::Telnetd(server), host }
    }

    /// An OpenSSH server without the SFTP subsystem.
    #[must_use]
    pub fn scp() -> Self {
        Self { name: "scp", ..Self::over(Sshd::builder().sftp(None).start()) }
    }

    /// An OpenSSH server on which files go by the shell.
    #[must_use]
    pub fn shell() -> Self {
        Self { name: "shell", ..Self::over(Sshd::start()) }
    }

    /// What files go over there.
    #[must_use]
    pub fn transfer(&self) -> Transfer {
        match self.name {
            "local" => Transfer::Local,
            "scp" => Transfer::Scp,
            "shell" | "telnet" => Transfer::Shell,
            _ => Transfer::Sftp,
        }
    }

    /// The host that the case is about.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Another host at the same place, which shares nothing with the first.
    #[must_use]
    pub fn another(&self) -> Host {
        match &self.server {
            Server::Local => Host::local(),
            Server::Sshd(server) => over_sshd(server),
            Server::Sim(lab) => over_sim(&lab.hosts()[0]),
            Server::Telnetd(server) => server.host().id("telnet").build(),
        }
    }

    /// What answers there.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Runs one command in the default session.
    ///
    /// # Errors
    /// When it could not be run.
    pub async fn run(&self, command: impl Into<ShellCommand>) -> Result<CommandStatus> {
        self.host.run(command.into()).await?.only()
    }

    /// Runs each script in the default session, one after the other: it is to write exactly these bytes and to end with
    /// this code.
    ///
    /// # Errors
    /// That lists each script which did something else.
    pub async fn writes<S: AsRef<str>, B: AsRef<[u8]>>(&self, table: &[(S, B, i32)]) -> Result<()> {
        let mut wrong = String::new();
        for (script, bytes, code) in table {
            let (script, bytes) = (script.as_ref(), bytes.as_ref());
            let status = if *code == 0 { Status::Success } else { Status::Failed };
            let got = self.run(script).await?;
            if (got.bytes(), got.retcode, got.status, got.state_lost) != (bytes, Some(*code), status, false) {
                let (got_text, text) = (start(got.bytes()), start(bytes));
                // Writing to a string cannot fail.
                let _ = write!(wrong, "\n  `{}`\n    wanted {code} {text:?}\n", start(script.as_bytes()));
                let _ = write!(wrong, "    got {:?} {got_text:?} {:?}", got.retcode, got.cause());
                let _ = write!(wrong, " timed out: {}, state lost: {}", got.timed_out, got.state_lost);
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(Error::new(ErrorKind::Command, wrong)) }
    }

    /// Proves that the default session is in order.
    ///
    /// # Errors
    /// When it is not within 2 s, or 4 s on telnet.
    pub async fn answers(&self) -> Result<CommandStatus> {
        let asked = Instant::now();
        let status = self.run("echo ok").await?.ok()?;
        // On telnet a shell that had to be killed costs two logins, one of them to see that it is gone.
        let bound = if self.name == "telnet" { 4 } else { 2 };
        if status.output == "ok" && asked.elapsed() < Duration::from_secs(bound) {
            return Ok(status);
        }
        Err(Error::new(ErrorKind::Command, format!("`echo ok` gave {:?} after {:?}", status.output, asked.elapsed())))
    }
}

fn start(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned()
}

fn over_sshd(server: &Sshd) -> Host {
    Host::ssh("127.0.0.1")
        .id("sshd")
        .port(server.port())
        .user(server.user())
        .key_file(server.key_file())
        .host_key(server.host_key())
        .build()
}

fn over_sim(host: &RunningHost) -> Host {
    Host::ssh("127.0.0.1")
        .id("sim")
        .port(host.port())
        .user(host.user())
        .key_file(host.key_file().expect("it is logged in to by key"))
        .host_key(host.host_key())
        .build()
}

/// Runs a case at a place, and closes the place whatever comes of it.
///
/// # Panics
///
/// When the case fails, with the name of the place.
pub async fn at(place: Place, case: impl AsyncFnOnce(&Place) -> Result<()>) {
    let result = case(&place).await;
    let closed = place.host.close().await;
    if let Err(error) = result.and(closed) {
        panic!("on {}: {error:?}", place.name);
    }
}

/// Makes of each case a module with one test a place: `case::local`, `case::sshd`, `case::sim`, `case::telnet`.
#[macro_export]
macro_rules! everywhere {
    ($($(#[$note:meta])* async fn $case:ident($place:ident) $body:block)*) => {
        $crate::everywhere! { [local sshd sim telnet] $($(#[$note])* async fn $case($place) $body)* }
    };
    ($places:tt $($(#[$note:meta])* async fn $case:ident($place:ident) $body:block)*) => {$(
        $(#[$note])*
        mod $case {
            use super::*;

            async fn case($place: &$crate::places::Place) -> otto::Result<()> {
                $body
                Ok(())
            }

            $crate::everywhere! { @tests $places }
        }
    )*};
    (@tests [$($at:ident)*]) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $at() {
            $crate::places::at($crate::places::Place::$at(), case).await;
        }
    )*};
}

/// A `sleep` of many minutes that no other test starts.
#[derive(Debug)]
pub struct Sleeper(String);

impl Sleeper {
    /// One that nobody has started yet.
    #[expect(clippy::new_without_default, reason = "each is another")]
    #[must_use]
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Self(format!("sleep 3000.{:07}{:04}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    /// The command that starts it.
    #[must_use]
    pub fn command(&self) -> &str {
        &self.0
    }

    /// How many of it run.
    #[must_use]
    pub fn count(&self) -> usize {
        Process::all().values().filter(|process| process.command == self.0).count()
    }

    /// Waits until it runs.
    ///
    /// # Panics
    ///
    /// When it does not within 10 s.
    pub async fn runs(&self) {
        until(&format!("`{}` runs", self.0), Duration::from_secs(10), || self.count() > 0).await;
    }

    /// Waits until it does not run, which it may still do for a moment.
    ///
    /// # Panics
    ///
    /// When it does after 2 s.
    pub async fn is_gone(&self) {
        until(&format!("`{}` is gone", self.0), Duration::from_secs(2), || self.count() == 0).await;
    }
}

impl Drop for Sleeper {
    /// A test that failed leaves none either.
    fn drop(&mut self) {
        for process in Process::all().into_values().filter(|process| process.command == self.0) {
            if let Some(pid) = rustix::process::Pid::from_raw(process.pid) {
                // It may have ended meanwhile.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

/// Waits until it holds.
///
/// # Panics
///
/// When it does not within the limit.
pub async fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// The answer, which has to come within the limit.
///
/// # Panics
///
/// When it does not.
pub async fn within<T>(limit: Duration, what: &str, work: impl IntoFuture<Output = T>) -> T {
    let answer = timeout(limit, work.into_future()).await;
    answer.unwrap_or_else(|_| panic!("not within {limit:?}: {what}"))
}

/// Waits so long for the work, and drops it then. Says whether it was dropped.
pub async fn dropped_after<T>(limit: Duration, work: impl Future<Output = T>) -> bool {
    timeout(limit, work).await.is_err()
}
