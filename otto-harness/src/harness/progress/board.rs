//! Which tests run, which wait, and how many are over: of the whole process, as there is one terminal.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::harness::record::Verdict;
use crate::harness::recorder::Recorder;

/// What is known at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Board {
    pub(super) since: Option<Instant>,
    /// How many tests there are.
    pub(super) tests: usize,
    pub(super) ended: BTreeMap<Verdict, usize>,
    /// Oldest first.
    pub(super) running: Vec<Test>,
    /// What tests wait for, each with its id.
    pub(super) waiting: Vec<(u64, String)>,
    pub(super) next: u64,
}

/// A test that runs.
#[derive(Debug, Clone)]
pub(super) struct Test {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) lab: String,
    pub(super) since: Instant,
    pub(super) recorder: Recorder,
}

static BOARD: Mutex<Option<Board>> = Mutex::new(None);

fn board() -> MutexGuard<'static, Option<Board>> {
    BOARD.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Board {
    pub(super) fn now() -> Self {
        board().clone().unwrap_or_default()
    }
}

/// A run of so many tests begins.
pub(super) fn begin(tests: usize) {
    *board() = Some(Board { since: Some(Instant::now()), tests, ..Board::default() });
}

/// An entry of the board; dropping it takes it off.
#[derive(Debug)]
pub(in crate::harness) struct Shown(u64);

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(board) = &mut *board() {
            board.running.retain(|test| test.id != self.0);
            board.waiting.retain(|(id, _)| *id != self.0);
        }
    }
}

/// A test runs on a lab, and tells the recorder what its hosts do.
pub(in crate::harness) fn running(name: &str, lab: &str, recorder: &Recorder) -> Shown {
    let mut board = board();
    let board = board.get_or_insert_default();
    board.next += 1;
    let (id, since) = (board.next, Instant::now());
    let (name, lab, recorder) = (name.to_owned(), lab.to_owned(), recorder.clone());
    board.running.push(Test { id, name, lab, since, recorder });
    Shown(id)
}

/// A test waits for these hosts, or this lab.
pub(in crate::harness) fn waiting(what: &str) -> Shown {
    let mut board = board();
    let board = board.get_or_insert_default();
    board.next += 1;
    board.waiting.push((board.next, what.to_owned()));
    Shown(board.next)
}

/// A test is over.
pub(in crate::harness) fn ended(verdict: Verdict) {
    *board().get_or_insert_default().ended.entry(verdict).or_default() += 1;
}
