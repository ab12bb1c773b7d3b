//! Who used which host when: a lane for each host, a bar for each attempt.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::escape::Text;
use super::{Page, anchor, class, human, put};
use crate::harness::record::{Attempt, RunRecord, TestRecord, Verdict};

/// The width of the whole run, in units of the picture.
const WIDE: f64 = 10_000.0;
/// The narrowest that a bar may be, so that it is seen, and a command in it.
const NARROW: f64 = 20.0;
const TICK: f64 = 4.0;

/// How many lanes and bars there may be, and commands in a bar.
const LANES: usize = 100;
const BARS: usize = 5_000;
const TICKS: usize = 200;
/// How many bars may stand above each other in one lane.
const DEEPEST: usize = 12;

struct Bar<'r> {
    number: usize,
    test: &'r TestRecord,
    attempt: &'r Attempt,
    from: f64,
    to: f64,
    row: usize,
}

pub(super) fn timeline(page: &mut Page, run: &RunRecord) {
    let ends =
        run.tests.iter().flat_map(|test| &test.attempts).map(|attempt| since(run.began, attempt.began) + attempt.took);
    let whole = ends.max().unwrap_or_default().max(run.took);
    if whole.is_zero() || run.tests.iter().all(|test| test.attempts.is_empty()) {
        return;
    }
    let lanes = lanes(run, whole);
    put!(page, "<section class=\"card\" id=\"timeline\">\n<h2>Timeline</h2>\n<div class=\"lanes\">\n");
    let (mut bars, mut hidden) = (0, 0);
    for (host, lane) in lanes.iter().take(LANES) {
        let shown = lane.len().min(BARS - bars);
        (bars, hidden) = (bars + shown, hidden + lane.len() - shown);
        draw(page, host, &lane[..shown]);
    }
    put!(page, "<div class=\"axis\" aria-hidden=\"true\"><div></div><div class=\"marks\">");
    for step in 0..=4 {
        put!(page, "<span>{}</span>", if step == 0 { "0".to_owned() } else { human(whole * step / 4) });
    }
    put!(
        page,
        "</div></div>\n</div>\n<p class=\"hint\">A bar is one attempt at a test; the lines in it are its commands on that host.</p>\n</section>\n"
    );
    if lanes.len() > LANES {
        page.left_out.push(format!("{} hosts in the timeline", lanes.len() - LANES));
    }
    if hidden > 0 {
        page.left_out.push(format!("{hidden} bars in the timeline"));
    }
}

fn since(began: SystemTime, at: SystemTime) -> Duration {
    at.duration_since(began).unwrap_or_default()
}

fn share(part: Duration, whole: Duration) -> f64 {
    (part.as_secs_f64() / whole.as_secs_f64()).clamp(0.0, 1.0) * WIDE
}

/// The bars of each host, those that overlap in rows of their own.
fn lanes(run: &RunRecord, whole: Duration) -> Vec<(String, Vec<Bar<'_>>)> {
    let mut lanes: BTreeMap<String, Vec<Bar<'_>>> = BTreeMap::new();
    for (number, test) in run.tests.iter().enumerate() {
        for attempt in &test.attempts {
            let mut hosts: Vec<&str> = attempt.commands.iter().map(|command| &*command.host).collect();
            hosts.extend(test.hosts.iter().map(String::as_str));
            hosts.sort_unstable();
            hosts.dedup();
            let mut places: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
            if places.is_empty() {
                places
                    .push(test.lab.as_ref().map_or_else(|| "no host".to_owned(), |lab| format!("{lab} (no command)")));
            }
            let from = share(since(run.began, attempt.began), whole);
            let to = share(since(run.began, attempt.began) + attempt.took, whole).max(from + NARROW);
            for place in places {
                lanes.entry(place).or_default().push(Bar { number, test, attempt, from, to, row: 0 });
            }
        }
    }
    for lane in lanes.values_mut() {
        lane.sort_by(|a, b| a.from.total_cmp(&b.from));
        let mut ends: Vec<f64> = Vec::new();
        for bar in lane {
            // Bars that were widened to be seen may touch.
            let free = ends.iter().position(|end| *end <= bar.from + NARROW);
            bar.row = free.unwrap_or(ends.len().min(DEEPEST - 1));
            match ends.get_mut(bar.row) {
                Some(end) => *end = bar.to,
                None => ends.push(bar.to),
            }
        }
    }
    lanes.into_iter().collect()
}

fn draw(page: &mut Page, host: &str, bars: &[Bar<'_>]) {
    let rows = bars.iter().map(|bar| bar.row + 1).max().unwrap_or(1);
    put!(page, "<div class=\"lane\"><div class=\"host\">{}</div>", Text(host));
    put!(
        page,
        "<svg class=\"bars rows{rows}\" viewBox=\"0 0 {WIDE} {}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">",
        rows * 10,
        Text(host)
    );
    for bar in bars {
        let (top, wide) = (bar.row * 10 + 1, bar.to - bar.from);
        let word = class(shown(bar));
        put!(
            page,
            "<a href=\"#{}\"><rect class=\"{word}\" x=\"{:.0}\" y=\"{top}\" width=\"{wide:.0}\" height=\"8\"><title>{}",
            anchor(bar.number),
            bar.from,
            Text(&bar.test.name)
        );
        if bar.test.runs > 1 {
            put!(page, ", attempt {}", bar.attempt.round);
        }
        put!(page, ": {} in {}</title></rect>", shown(bar).name(), human(bar.attempt.took));
        let whole = bar.attempt.took.max(Duration::from_nanos(1));
        for command in bar.attempt.commands.iter().filter(|command| command.host == host).take(TICKS) {
            let at = since(bar.attempt.began, command.began).as_secs_f64() / whole.as_secs_f64();
            let long = command.took.as_secs_f64() / whole.as_secs_f64() * wide;
            let from = bar.from + at.clamp(0.0, 1.0) * wide;
            // One that ends where it begins is a line all the same; none is drawn past its bar.
            let long = long.max(TICK).min((bar.to - from).max(TICK)) - TICK / 2.0;
            put!(
                page,
                "<rect class=\"tick{}\" x=\"{from:.0}\" y=\"{}\" width=\"{long:.0}\" height=\"2\"/>",
                if command.is_ok { "" } else { " no" },
                top + 5
            );
        }
        put!(page, "</a>");
    }
    put!(page, "</svg></div>\n");
}

/// The verdict that a bar shows: that of the attempt.
fn shown(bar: &Bar<'_>) -> Verdict {
    bar.attempt.verdict
}
