//! What is going on, shown while tests run: live lines at the foot of a terminal, or a plain line now and then for a test
//! that is slow. See `docs/design/reports.md`.

mod board;
mod foot;
mod lines;

use std::env;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use libtest_mimic::ColorSetting;

pub(super) use board::{ended, running, waiting};
pub(super) use foot::restore;

use self::board::Board;
use self::foot::Foot;
use super::argv::Options;
use super::report;

/// How running tests are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Mode {
    /// Live if stderr is a terminal and nobody else writes to it, else plain.
    #[default]
    Auto,
    Plain,
    Never,
}

/// A run that is over before that has no live lines: they would only flicker.
const QUIET: Duration = Duration::from_secs(1);
const FRAME: Duration = Duration::from_millis(150);

/// From when on a test is slow, and how often that is said.
const SLOW: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_secs(30);

/// Shows what runs until it is dropped.
#[derive(Debug)]
pub(super) struct Showing(Option<(Sender<()>, JoinHandle<()>)>);

impl Showing {
    /// Of a run of so many tests.
    pub(super) fn begin(options: &Options, tests: usize) -> Self {
        board::begin(tests);
        let live = options.progress == Mode::Auto && is_live(options);
        if options.progress == Mode::Never || tests == 0 {
            return Self(None);
        }
        let colours = match options.mimic.color.unwrap_or(ColorSetting::Auto) {
            ColorSetting::Always => true,
            ColorSetting::Never => false,
            ColorSetting::Auto => env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        let (stop, stopped) = mpsc::channel::<()>();
        let wait = move |time| matches!(stopped.recv_timeout(time), Err(RecvTimeoutError::Timeout));
        let thread = thread::Builder::new()
            .name("otto-progress".to_owned())
            .spawn(move || if live { draw(wait, colours) } else { tell(wait) });
        // A run goes on without it.
        Self(thread.ok().map(|thread| (stop, thread)))
    }
}

impl Drop for Showing {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.0.take() {
            drop(stop);
            // It waits for nothing but this.
            let _ = thread.join();
        }
    }
}

fn is_live(options: &Options) -> bool {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0" && value != "false");
    let dumb = env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    io::stderr().is_terminal() && !dumb && !set("CI") && !options.mimic.nocapture && !report::under_nextest()
}

fn draw(wait: impl Fn(Duration) -> bool, colours: bool) {
    let mut foot = Foot::default();
    let mut goes_on = wait(QUIET);
    while goes_on {
        if let Some((rows, columns)) = foot::size() {
            let most = usize::from(rows / 3).min(8);
            foot.show(lines::live(&Board::now(), most, colours), rows, columns);
        }
        goes_on = wait(FRAME);
    }
    restore();
}

fn tell(wait: impl Fn(Duration) -> bool) {
    let mut told: Vec<(u64, Instant)> = Vec::new();
    while wait(Duration::from_secs(1)) {
        let text = slow(&Board::now(), &mut told, SLOW, AGAIN);
        // Nobody is left to be told if that fails.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

/// A line for each test that has been running for long and was not told of lately.
fn slow(board: &Board, told: &mut Vec<(u64, Instant)>, slow: Duration, again: Duration) -> String {
    told.retain(|(id, _)| board.running.iter().any(|test| test.id == *id));
    let mut text = String::new();
    for test in board.running.iter().filter(|test| test.since.elapsed() >= slow) {
        match told.iter_mut().find(|(id, _)| *id == test.id) {
            Some((_, last)) if last.elapsed() < again => continue,
            Some((_, last)) => *last = Instant::now(),
            None => told.push((test.id, Instant::now())),
        }
        text.push_str(&lines::plain(test));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
