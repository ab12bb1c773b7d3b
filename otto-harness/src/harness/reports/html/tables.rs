//! How stable tests are, and where the time went.

use std::cmp::Reverse;

use super::escape::Text;
use super::{Page, class, human, link, put};
use crate::harness::attempts::percent;
use crate::harness::record::RunRecord;

/// How many rows a table has, and how many attempts are drawn in one.
const STABILITY: usize = 200;
const SLOWEST: usize = 10;
const DRAWN: usize = 60;

/// Pass rates of what ran more than once, the worst first.
pub(super) fn stability(page: &mut Page, run: &RunRecord) {
    let mut rows: Vec<_> = run.tests.iter().enumerate().filter(|(_, test)| test.runs > 1).collect();
    if rows.is_empty() {
        return;
    }
    rows.sort_by_key(|(_, test)| u128::from(test.passes) * 1_000_000 / u128::from(test.runs.max(1)));
    put!(
        page,
        "<section class=\"card\" id=\"stability\">\n<h2>Stability</h2>\n<div class=\"wide\"><table>\n<thead><tr><th>Test</th><th>Passed</th><th>Rate</th><th>Attempts, oldest first</th><th>Mean</th></tr></thead>\n<tbody>\n"
    );
    for (number, test) in rows.iter().take(STABILITY) {
        let (passes, all) = (test.passes, test.runs);
        put!(page, "<tr><td>");
        link(page, *number, test);
        let kept = test.attempts.len();
        let mean = test.took() / u32::try_from(kept).unwrap_or(u32::MAX).max(1);
        put!(page, "</td><td class=\"n\">{passes} of {all}</td><td class=\"n\">{}</td><td>", percent(passes, all));
        let from = kept.saturating_sub(DRAWN);
        put!(
            page,
            "<svg class=\"strip\" viewBox=\"0 0 {} 10\" width=\"{}\" height=\"14\" role=\"img\" aria-label=\"{passes} of {all} passed\">",
            (kept - from) * 6,
            (kept - from) * 6
        );
        for (at, attempt) in test.attempts[from..].iter().enumerate() {
            put!(page, "<rect class=\"{}\" x=\"{}\" width=\"5\" height=\"10\"/>", class(attempt.verdict), at * 6);
        }
        put!(page, "</svg></td><td class=\"n\">{}</td></tr>\n", human(mean));
    }
    put!(page, "</tbody>\n</table></div>\n</section>\n");
    if rows.len() > STABILITY {
        page.left_out.push(format!("{} rows of the stability table", rows.len() - STABILITY));
    }
}

pub(super) fn slowest(page: &mut Page, run: &RunRecord) {
    let mut tests: Vec<_> = run.tests.iter().enumerate().filter(|(_, test)| !test.attempts.is_empty()).collect();
    if tests.is_empty() {
        return;
    }
    tests.sort_by_key(|(_, test)| Reverse(test.attempts.iter().map(|attempt| attempt.took).max()));
    put!(page, "<section class=\"card two\" id=\"slowest\">\n<div>\n<h2>Slowest tests</h2>\n<table><tbody>\n");
    for (number, test) in tests.iter().take(SLOWEST) {
        let took = test.attempts.iter().map(|attempt| attempt.took).max().unwrap_or_default();
        put!(page, "<tr><td class=\"n\">{}</td><td>", human(took));
        link(page, *number, test);
        put!(page, "</td></tr>\n");
    }
    put!(page, "</tbody></table>\n</div>\n");
    let of = |(number, test): &(usize, _)| (*number, *test);
    let mut commands: Vec<_> = tests
        .iter()
        .map(of)
        .flat_map(|(number, test): (usize, &crate::harness::record::TestRecord)| {
            test.attempts
                .iter()
                .flat_map(move |attempt| attempt.commands.iter().map(move |command| (number, test, command)))
        })
        .collect();
    commands.sort_by_key(|(_, _, command)| Reverse(command.took));
    if !commands.is_empty() {
        put!(page, "<div>\n<h2>Slowest commands</h2>\n<table><tbody>\n");
        for (number, test, command) in commands.iter().take(SLOWEST) {
            let line: String = command.command.lines().next().unwrap_or_default().chars().take(120).collect();
            put!(
                page,
                "<tr><td class=\"n\">{}</td><td><b>{}</b> <code>{}</code><br><small>in ",
                human(command.took),
                Text(&command.host),
                Text(&line)
            );
            link(page, *number, test);
            put!(page, "</small></td></tr>\n");
        }
        put!(page, "</tbody></table>\n</div>\n");
    }
    put!(page, "</section>\n");
}
