//! The report for a browser: one file that needs nothing else, no network and, for its text, no script.
//!
//! What others wrote stands in it only as [`Text`](escape::Text), and its size is bounded: see `docs/design/reports.md`.

mod cases;
mod escape;
mod tables;
mod timeline;

use std::fmt::{self, Write as _};

use self::escape::Text;
use super::{counts, human};
use crate::harness::record::{RunRecord, TestRecord, Verdict};

/// The style and the script of every page.
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// How large a page may become: from here on, commands and transcripts are left out, and it says so.
const LARGEST: usize = 24 << 20;

/// A page that is being written.
#[derive(Debug, Default)]
struct Page {
    html: String,
    /// What is not in it, for its foot.
    left_out: Vec<String>,
    largest: usize,
}

impl Page {
    fn put(&mut self, what: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.html.write_fmt(what);
    }

    fn is_full(&self) -> bool {
        self.html.len() >= self.largest
    }
}

/// Adds to a page, as `format!` does to a text.
macro_rules! put {
    ($page:expr, $($what:tt)*) => {
        $page.put(format_args!($($what)*))
    };
}
use put;

/// The page of a run.
pub(super) fn page(run: &RunRecord) -> String {
    page_of(run, LARGEST)
}

fn page_of(run: &RunRecord, largest: usize) -> String {
    let mut page = Page { largest, ..Page::default() };
    let nonce = nonce();
    head(&mut page, run, &nonce);
    overview(&mut page, run);
    timeline::timeline(&mut page, run);
    cases::cases(&mut page, run);
    tables::stability(&mut page, run);
    tables::slowest(&mut page, run);
    foot(&mut page, run, &nonce);
    page.html
}

/// What lets only our own style and script in, whatever else may have come onto the page.
fn nonce() -> String {
    let mut bytes = [0; 16];
    // Without randomness it guards less, and nothing else changes.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn head(page: &mut Page, run: &RunRecord, nonce: &str) {
    put!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'nonce-{nonce}'; \
         script-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"robots\" content=\"noindex\">\n\
         <title>{} · otto</title>\n<style nonce=\"{nonce}\">\n{STYLE}</style>\n</head>\n<body>\n",
        Text(&headline(run))
    );
}

/// How the run went, in a few words.
fn headline(run: &RunRecord) -> String {
    let failed = run.tests.iter().filter(|test| test.verdict.is_failure()).count();
    let said_nothing = |test: &&TestRecord| matches!(test.verdict, Verdict::Skipped | Verdict::Ignored);
    let ran = run.tests.iter().filter(|test| !said_nothing(test)).count();
    match (failed, ran) {
        (0, 0) => "No test ran".to_owned(),
        (0, 1) => "1 test passed".to_owned(),
        (0, ran) => format!("All {ran} tests passed"),
        (failed, ran) => format!("{failed} of {} failed", ran.max(failed)),
    }
}

fn overview(page: &mut Page, run: &RunRecord) {
    let failed = run.tests.iter().any(|test| test.verdict.is_failure());
    put!(page, "<header class=\"top {}\">\n<div class=\"brand\">otto</div>\n", if failed { "bad" } else { "good" });
    put!(page, "<h1>{}</h1>\n<p class=\"facts\">", Text(&headline(run)));
    put!(page, "<span>{}</span><span>{}</span>", Text(&date(run)), human(run.took));
    let labs = run.labs.join(", ");
    if !labs.is_empty() {
        put!(page, "<span>on <b>{}</b></span>", Text(&labs));
    }
    put!(page, "<span>as {}</span><span class=\"id\">{}</span></p>\n", Text(&run.user), Text(&run.id));
    let mut arguments = run.arguments.join(" ");
    if let Some(seed) = run.seed.filter(|_| !arguments.contains("seed")) {
        arguments = format!("{arguments} (seed {seed})");
    }
    if !arguments.trim().is_empty() {
        put!(page, "<p class=\"arguments\"><code>{}</code></p>\n", Text(arguments.trim()));
    }
    // Widths of a whole, so that the shares are seen at a glance.
    let counts = counts(run);
    let total: usize = counts.values().sum();
    put!(
        page,
        "<svg class=\"shares\" viewBox=\"0 0 {} 1\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
        total.max(1)
    );
    let mut at = 0;
    for (verdict, count) in &counts {
        put!(page, "<rect class=\"{}\" x=\"{at}\" width=\"{count}\" height=\"1\"/>", class(*verdict));
        at += count;
    }
    put!(page, "</svg>\n<ul class=\"counts\">");
    for (verdict, count) in &counts {
        let class = class(*verdict);
        put!(
            page,
            "<li><button type=\"button\" data-show=\"{class}\"><i class=\"dot {class}\"></i><b>{count}</b> {}</button></li>",
            verdict.name()
        );
    }
    if run.filtered > 0 {
        put!(page, "<li class=\"filtered\">{} filtered out</li>", run.filtered);
    }
    put!(page, "</ul>\n</header>\n<main>\n");
}

fn date(run: &RunRecord) -> String {
    let time = jiff::Timestamp::try_from(run.began).unwrap_or_default();
    time.strftime("%-d %B %Y, %H:%M:%S UTC").to_string()
}

/// The class of what has this verdict.
fn class(verdict: Verdict) -> String {
    verdict.name().replace(' ', "-")
}

/// Where a test stands on the page.
fn anchor(number: usize) -> String {
    format!("t{number}")
}

/// A link to a test.
fn link(page: &mut Page, number: usize, test: &TestRecord) {
    put!(page, "<a href=\"#{}\"><code>{}</code></a>", anchor(number), Text(&test.name));
}

fn foot(page: &mut Page, run: &RunRecord, nonce: &str) {
    put!(page, "</main>\n<footer>\n");
    let left_out = std::mem::take(&mut page.left_out);
    if !left_out.is_empty() {
        put!(page, "<p>Not on this page, so that it stays small:</p>\n<ul>");
        for what in &left_out {
            put!(page, "<li>{}</li>", Text(what));
        }
        put!(page, "</ul>\n");
    }
    put!(
        page,
        "<p>Written by otto {} for run {}. Times are UTC. This file needs no network.</p>\n</footer>\n\
         <script nonce=\"{nonce}\">\n{SCRIPT}</script>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION"),
        Text(&run.id)
    );
}

#[cfg(test)]
mod tests;
