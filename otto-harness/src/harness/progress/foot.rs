//! Lines that stay at the foot of a terminal while everything else scrolls above them.
//!
//! libtest-mimic and the tests themselves write to the same terminal, when they like and not through us. So the lines are
//! not drawn and wiped between their writes, which nobody can time, but stand outside of the part that scrolls (DECSTBM):
//! what others write never meets them. The cursor is put back where it was (DECSC, DECRC), in one write with the drawing,
//! so that nobody else's bytes come between.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::{Mutex, TryLockError};
use std::time::Duration;

/// The smallest terminal that has room for it.
const ROWS: u16 = 8;
const COLUMNS: u16 = 30;

/// What is on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    /// The terminal's.
    rows: u16,
    /// How many of those at its foot do not scroll.
    height: u16,
}

/// What has to be undone before the process ends, however it does.
static HELD: Mutex<Option<Held>> = Mutex::new(None);

/// Rows and columns of the terminal at stderr, if it has room.
pub(super) fn size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stderr()).ok()?;
    (size.ws_row >= ROWS && size.ws_col >= COLUMNS).then_some((size.ws_row, size.ws_col))
}

/// The lines at the foot.
#[derive(Debug, Default)]
pub(super) struct Foot {
    shown: Option<(Vec<String>, u16, u16)>,
}

impl Foot {
    /// Shows these lines, if they are not there already. There are at most as many as half of the rows.
    pub(super) fn show(&mut self, lines: Vec<String>, rows: u16, columns: u16) {
        let Some(mut held) = try_held() else { return };
        let next = Some((lines, rows, columns));
        if self.shown == next && held.is_some() {
            return;
        }
        self.shown = next;
        let Some((lines, ..)) = &self.shown else { return };
        let mut text = String::new();
        // It grows with what there is to show and does not shrink: lines that jump are harder to read than blank ones.
        let wanted = u16::try_from(lines.len()).unwrap_or(rows).min(rows / 2);
        let height = held.filter(|held| held.rows == rows).map_or(wanted, |held| held.height.max(wanted));
        let next = Held { rows, height };
        if *held != Some(next) {
            reserve(&mut text, *held, next);
        }
        *held = Some(next);
        text.push_str("\x1b7\x1b[?7l");
        let blank = usize::from(height).saturating_sub(lines.len());
        for row in 0..usize::from(height) {
            let line = row.checked_sub(blank).and_then(|at| lines.get(at)).map_or("", String::as_str);
            // Writing to a string cannot fail.
            let _ = write!(text, "\x1b[{};1H\x1b[2K{line}\x1b[0m", usize::from(rows - height) + row + 1);
        }
        text.push_str("\x1b[?7h\x1b8");
        put(&text);
    }
}

/// Makes room at the foot.
fn reserve(text: &mut String, before: Option<Held>, next: Held) {
    let Held { rows, height } = next;
    if let Some(before) = before {
        release(text, before, rows);
    }
    // Down by so many rows and up again, which scrolls if it has to. By vertical tabs, as they keep the column, and no
    // terminal driver turns them into anything else.
    for _ in 0..height {
        text.push('\x0b');
    }
    let _ = write!(text, "\x1b[{height}A\x1b7\x1b[1;{}r\x1b8", rows - height);
}

/// Wipes the foot and lets all rows scroll.
fn release(text: &mut String, held: Held, rows: u16) {
    let top = rows.saturating_sub(held.height) + 1;
    let _ = write!(text, "\x1b7\x1b[r\x1b[{top};1H\x1b[J\x1b8");
}

/// Gives the whole terminal back. To be called before the process ends; does nothing if nothing is shown.
pub(in crate::harness) fn restore() {
    let Some(mut held) = try_held() else { return };
    if let Some(last) = held.take() {
        let mut text = String::new();
        release(&mut text, last, size().map_or(last.rows, |(rows, _)| rows));
        put(&text);
    }
}

/// The lock, unless somebody holds it who does not go on: the process may be ending in the middle of a drawing.
fn try_held() -> Option<std::sync::MutexGuard<'static, Option<Held>>> {
    for _ in 0..100 {
        match HELD.try_lock() {
            Ok(held) => return Some(held),
            Err(TryLockError::Poisoned(held)) => return Some(held.into_inner()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    None
}

fn put(text: &str) {
    // A terminal that is gone needs no lines.
    let _ = io::stderr().write_all(text.as_bytes());
}
