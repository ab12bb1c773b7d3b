//! The text of progress.

use std::collections::BTreeMap;
use std::time::Duration;

use super::board::{Board, Test};
use crate::context::spell_out;
use crate::harness::record::Verdict;
use crate::harness::recorder::Doing;

/// How many of a test's commands are named in a plain line.
const NAMED: usize = 4;
/// The longest text of a command in a line.
const LONGEST: usize = 80;

/// Colours, if there are to be any.
struct Paint(bool);

impl Paint {
    fn with(&self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn dim(&self, text: &str) -> String {
        self.with("2", text)
    }
}

/// The live lines: one for each of the oldest `most` tests that run, then how far the run has come.
pub(super) fn live(board: &Board, most: usize, colours: bool) -> Vec<String> {
    let paint = Paint(colours);
    let mut lines: Vec<_> = board.running.iter().take(most).map(|test| one(test, &paint)).collect();
    lines.push(summary(board, board.running.len().saturating_sub(most), &paint));
    lines
}

fn one(test: &Test, paint: &Paint) -> String {
    let time = paint.dim(&format!("{:>6}", clock(test.since.elapsed())));
    let name = paint.with("1", &spell_out(&test.name));
    let lab = if test.lab.is_empty() { String::new() } else { format!(" [{}]", spell_out(&test.lab)) };
    let doing = test.recorder.doing();
    let what = match doing.first() {
        Some(first) => {
            let more =
                if doing.len() > 1 { paint.dim(&format!(" (and {} more)", doing.len() - 1)) } else { String::new() };
            let host = paint.with("36", &spell_out(&first.host));
            format!("{host} {} {}{more}", command(first, "$ "), paint.dim(&clock(first.since.elapsed())))
        }
        None => match test.recorder.newest() {
            Some((host, last)) => paint.dim(&format!("after {} $ {}", spell_out(&host), short(&last))),
            None => String::new(),
        },
    };
    format!("  {time}  {name}{lab}  {what}")
}

fn command(doing: &Doing, mark: &str) -> String {
    let session =
        if &*doing.session == "default" { String::new() } else { format!("[{}] ", spell_out(&doing.session)) };
    match &doing.command {
        Some(command) => format!("{session}{mark}{}", short(command)),
        None => format!("{session}connecting"),
    }
}

fn summary(board: &Board, hidden: usize, paint: &Paint) -> String {
    let over: usize = board.ended.values().sum();
    let mut parts = vec![format!("{over} of {}", board.tests)];
    for (verdict, count) in &board.ended {
        let colour = match verdict {
            Verdict::Passed => "32",
            verdict if verdict.is_failure() => "31",
            _ => "33",
        };
        parts.push(paint.with(colour, &format!("{count} {}", verdict.name())));
    }
    let more = if hidden > 0 { format!(" ({hidden} not shown)") } else { String::new() };
    parts.push(format!("{} running{more}", board.running.len()));
    if !board.waiting.is_empty() {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        board.waiting.iter().for_each(|(_, what)| *places.entry(what).or_default() += 1);
        let mut places: Vec<_> = places.into_iter().collect();
        places.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let mut named: Vec<_> =
            places.iter().take(3).map(|(what, count)| format!("{} {count}", spell_out(what))).collect();
        if places.len() > 3 {
            named.push("…".to_owned());
        }
        parts.push(format!("{} waiting for {}", board.waiting.len(), named.join(", ")));
    }
    let time = board.since.map(|since| clock(since.elapsed())).unwrap_or_default();
    format!("{} {} {}", paint.with("1", "otto"), parts.join(" · "), paint.dim(&time))
}

/// A line of its own for a test that is slow.
pub(super) fn plain(test: &Test) -> String {
    let doing = test.recorder.doing();
    let mut what: Vec<_> = doing
        .iter()
        .take(NAMED)
        .map(|one| {
            let host = spell_out(&one.host);
            let time = clock(one.since.elapsed());
            match &one.command {
                Some(command) => format!("{host} `{}` {time}", short(command)),
                None => format!("{host} connecting {time}"),
            }
        })
        .collect();
    if doing.len() > NAMED {
        what.push(format!("and {} more", doing.len() - NAMED));
    }
    if what.is_empty() {
        what.push(match test.recorder.newest() {
            Some((host, last)) => format!("no command runs; the last was {} `{}`", spell_out(&host), short(&last)),
            None => "no command has run".to_owned(),
        });
    }
    let seconds = test.since.elapsed().as_secs();
    format!("test {} has been running for {seconds} s: {}", spell_out(&test.name), what.join(", "))
}

/// The first line of a command, as far as a line has room.
fn short(command: &str) -> String {
    let line = command.trim().lines().next().unwrap_or_default();
    let shown: String = line.chars().take(LONGEST).collect();
    let more = if shown.len() < command.trim().len() { "…" } else { "" };
    format!("{}{more}", spell_out(&shown))
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3599 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
    }
}
