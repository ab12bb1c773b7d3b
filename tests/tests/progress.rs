//! The live lines, on a terminal that is read by an emulator of one.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use otto_tests::suite::Project;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

const SUITE: &str = env!("CARGO_BIN_EXE_report_fixture");
/// So many that nothing scrolls away: the emulator forgets what does while margins are set, which terminals do not.
const ROWS: u16 = 60;
const COLUMNS: u16 = 100;

/// A suite whose stdout and stderr are one terminal.
struct OnTerminal {
    child: Child,
    screen: Arc<Mutex<vt100::Parser>>,
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl OnTerminal {
    fn start(project: &Project, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let near = openpt(flags).expect("a pseudo-terminal");
        unlockpt(&near).expect("it is ours");
        let far: OwnedFd = ioctl_tiocgptpeer(&near, flags).expect("its other end");
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&near, size).expect("a size");
        let mut command = project.command(SUITE, arguments);
        command.env("TERM", "xterm").env_remove("CI").env_remove("NO_COLOR").envs(variables.iter().copied());
        command.stdout(Stdio::from(far.try_clone().unwrap())).stderr(Stdio::from(far));
        let child = command.spawn().expect("the suite starts");
        drop(command);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 1000)));
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let reader = thread::spawn({
            let (screen, bytes) = (screen.clone(), bytes.clone());
            let mut near = File::from(near);
            move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = near.read(&mut buffer) {
                    screen.lock().unwrap_or_else(PoisonError::into_inner).process(&buffer[..count]);
                    bytes.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
                }
                let _ = near.flush();
            }
        });
        Self { child, screen, bytes, reader }
    }

    fn screen(&self) -> String {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).screen().contents()
    }

    /// Waits until the screen fits; gives what it shows.
    fn until(&mut self, fits: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let screen = self.screen();
            if fits(&screen) {
                return screen;
            }
            let ended = self.child.try_wait().expect("it is our child");
            assert!(ended.is_none() && Instant::now() < end, "{ended:?}:\n{screen}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("it is our child");
    }

    /// Its exit code, what is on the screen when it has ended, the lines that scrolled away included, and all it wrote.
    fn end(mut self) -> (Option<i32>, String, String) {
        let end = Instant::now() + Duration::from_secs(60);
        let status = loop {
            match self.child.try_wait().expect("it is our child") {
                Some(status) => break status,
                None if Instant::now() > end => {
                    let _ = self.child.kill();
                    panic!("it does not end:\n{}", self.screen());
                }
                None => thread::sleep(Duration::from_millis(20)),
            }
        };
        self.reader.join().expect("the terminal is read");
        let mut parser = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = Vec::new();
        parser.screen_mut().set_scrollback(usize::MAX);
        let back = parser.screen().scrollback();
        for at in (0..=back).rev() {
            parser.screen_mut().set_scrollback(at);
            let rows: Vec<_> = parser.screen().rows(0, COLUMNS).collect();
            let new = if at == back { 0 } else { rows.len() - 1 };
            lines.extend(rows[new..].iter().map(|row| row.trim_end().to_owned()));
        }
        let bytes = String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
        (status.code(), lines.join("\n"), bytes)
    }
}

/// Whether the last margins that were set are the whole screen.
fn scrolls_as_a_whole(bytes: &str) -> bool {
    let last = bytes.rmatch_indices('r').map(|(at, _)| &bytes[..=at]).find_map(|text| {
        let from = text.rfind("\x1b[")?;
        text[from + 2..].chars().all(|c| c.is_ascii_digit() || c == ';' || c == 'r').then(|| &text[from..])
    });
    last.is_none_or(|last| last == "\x1b[r")
}

#[test]
fn live_lines_stand_below_and_leave_every_other_line_whole() {
    let project = Project::new();
    let mut suite = OnTerminal::start(&project, &["slow::", "--skip", "for_ever", "--test-threads", "3"], &[]);
    let screen = suite.until(|screen| screen.contains("local $ echo two; sleep 2.5") && screen.contains("3 running"));
    let foot = screen.lines().last().unwrap();
    assert!(foot.starts_with("otto 0 of 3 · 3 running"), "{screen}");
    assert!(screen.contains("slow::two [local]"), "{screen}");
    let (code, all, bytes) = suite.end();
    assert_eq!(code, Some(0), "{all}");
    // Each line of tests and of libtest-mimic is there once, whole, and by itself.
    let lines: Vec<_> = all.lines().collect();
    let count = |line: &str| lines.iter().filter(|known| **known == line).count();
    for n in 0..6 {
        for line in [format!("printed by the test {n}"), format!("said by the test {n}")] {
            assert_eq!(count(&line), 1, "{line:?} in\n{all}");
        }
    }
    for test in ["one", "two", "three"] {
        let line = format!("test [local] {:<11} ... ok", format!("slow::{test}"));
        assert_eq!(count(&line), 1, "{line:?} in\n{all}");
    }
    assert!(all.contains("3 passed; 0 failed"), "{all}");
    assert!(!all.contains("running ·") && !all.contains("otto 3 of 3"), "live lines were left:\n{all}");
    assert!(scrolls_as_a_whole(&bytes));
}

#[test]
fn the_terminal_is_whole_again_after_a_signal() {
    let project = Project::new();
    let mut suite = OnTerminal::start(&project, &["slow::for_ever", "--test-threads", "1"], &[]);
    suite.until(|screen| screen.contains("local $ sleep 4324"));
    suite.signal();
    let (code, all, bytes) = suite.end();
    assert_eq!(code, Some(130), "{all}");
    // What libtest-mimic writes before a test and after it frames what was said meanwhile.
    for line in ["test [local] slow::for_ever ...", "otto: interrupted by signal 2", "FAILED", "interrupted by SIGINT"]
    {
        assert!(all.lines().any(|known| known.starts_with(line)), "no {line:?} in\n{all}");
    }
    assert!(scrolls_as_a_whole(&bytes) && !all.contains("otto 0 of 1"), "{all}");
    project.assert_nothing_left(&[]);
}

/// Arguments and variables.
type Way<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);

#[test]
fn nothing_is_drawn_where_it_would_disturb() {
    let project = Project::new();
    let quiet: [Way<'_>; 5] = [
        (&["--nocapture"], &[]),
        (&["--progress", "plain"], &[]),
        (&[], &[("OTTO_PROGRESS", "never")]),
        (&[], &[("CI", "true")]),
        (&[], &[("TERM", "dumb")]),
    ];
    thread::scope(|scope| {
        for (arguments, variables) in quiet {
            let project = &project;
            scope.spawn(move || {
                let arguments = [&["--exact", "slow::three", "--color", "never"], arguments].concat();
                let (code, all, bytes) = OnTerminal::start(project, &arguments, variables).end();
                assert_eq!(code, Some(0), "{all}");
                assert!(!bytes.contains('\x1b'), "{arguments:?}: {bytes:?}");
            });
        }
    });
    project
        .run(SUITE, &["--progress", "much"], &[])
        .expect(2, &["--progress is `much`; it may be auto, plain or never"]);
}
