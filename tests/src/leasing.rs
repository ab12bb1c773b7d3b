//! Processes that hold leases: children of a test that runs `lease_helper`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a line of a child may take. No test is as slow as that.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running `lease_helper`, killed when dropped.
#[derive(Debug)]
pub struct Helper {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<(Instant, String)>,
}

impl Helper {
    /// Starts `program` (a path to `lease_helper`) with these arguments.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send((Instant::now(), line)).is_err() {
                    break;
                }
            }
        });
        Self { child, stdin, lines }
    }

    /// The next line that it says, which has to begin with `word`, and when it came.
    ///
    /// # Panics
    /// If it says something else, or nothing.
    #[expect(clippy::must_use_candidate, reason = "that it came is what matters")]
    pub fn expect_at(&self, word: &str) -> (Instant, String) {
        match self.lines.recv_timeout(PATIENCE) {
            Ok((at, line)) if line.starts_with(word) => (at, line),
            Ok((_, line)) => panic!("{word:?} was to come, and {line:?} came"),
            Err(error) => panic!("{word:?} was to come within {PATIENCE:?}: {error}"),
        }
    }

    /// As [`expect_at`](Self::expect_at), after lines that begin with `waiting`.
    ///
    /// # Panics
    /// As that.
    #[expect(clippy::must_use_candidate, reason = "that it came is what matters")]
    pub fn expect_after_wait(&self, word: &str) -> (Instant, String) {
        loop {
            let (at, line) = self.expect_at("");
            if !line.starts_with("waiting") {
                assert!(line.starts_with(word), "{word:?} was to come, and {line:?} came");
                return (at, line);
            }
        }
    }

    /// The next line that it says, which has to begin with `word`.
    ///
    /// # Panics
    /// As [`expect_at`](Self::expect_at).
    #[expect(clippy::must_use_candidate, reason = "that it came is what matters")]
    pub fn expect(&self, word: &str) -> String {
        self.expect_at(word).1
    }

    /// That it says nothing for `time`.
    ///
    /// # Panics
    /// If it does.
    pub fn expect_nothing(&self, time: Duration) {
        match self.lines.recv_timeout(time) {
            Err(RecvTimeoutError::Timeout) => {}
            other => panic!("nothing was to come, and {other:?} came"),
        }
    }

    /// Gives it an order.
    ///
    /// # Panics
    /// If it is gone.
    pub fn tell(&mut self, order: &str) {
        let stdin = self.stdin.as_mut().expect("it can be told");
        writeln!(stdin, "{order}").expect("it listens");
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it is gone.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is there");
    }

    /// Kills it as `kill -9` does, and says when.
    pub fn kill(&mut self) -> Instant {
        let at = Instant::now();
        self.signal(Signal::KILL);
        let _ = self.child.wait();
        at
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Also one that was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
