//! The tests: those that failed first and open, each with its failure, its commands and its transcripts.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::escape::Text;
use super::{Page, anchor, class, human, put};
use crate::harness::record::{Attempt, CommandRecord, RunRecord, TestRecord, Verdict};
use crate::harness::reports::events::stamp;

/// How many failures are unfolded.
const OPEN: usize = 5;
/// How many attempts of a test are shown: those that failed, then the newest.
const ATTEMPTS: usize = 20;
/// How many commands of an attempt are shown: the newest.
const COMMANDS: usize = 300;
/// How much of a transcript, and of all transcripts of an attempt, is shown: the end.
const TRANSCRIPT: u64 = 64 << 10;
const TRANSCRIPTS: u64 = 256 << 10;

pub(super) fn cases(page: &mut Page, run: &RunRecord) {
    put!(
        page,
        "<section class=\"card\" id=\"tests\">\n<h2>Tests</h2>\n<div class=\"tools\">\
         <input type=\"search\" id=\"search\" placeholder=\"Search names, commands, output…\" aria-label=\"Search\" autocomplete=\"off\" spellcheck=\"false\">\
         <button type=\"button\" id=\"all\" data-show=\"\">Show all</button>\
         <button type=\"button\" id=\"fold\">Fold all</button>\
         <output id=\"found\" aria-live=\"polite\"></output></div>\n"
    );
    let mut order: Vec<usize> = (0..run.tests.len()).collect();
    order.sort_by_key(|number| rank(run.tests[*number].verdict));
    let mut open = OPEN;
    for number in order {
        let test = &run.tests[number];
        let unfold = open > 0 && test.verdict.is_failure();
        open -= usize::from(unfold);
        case(page, number, test, unfold);
    }
    put!(page, "</section>\n");
}

/// What wants to be looked at comes first.
fn rank(verdict: Verdict) -> u8 {
    match verdict {
        verdict if verdict.is_failure() => 0,
        Verdict::Flaky => 1,
        Verdict::Skipped | Verdict::Ignored => 3,
        _ => 2,
    }
}

fn case(page: &mut Page, number: usize, test: &TestRecord, unfold: bool) {
    let class = class(test.verdict);
    put!(
        page,
        "<details class=\"test\" id=\"{}\" data-verdict=\"{class}\"{}>\n<summary><span class=\"badge {class}\">{}</span><code class=\"name\">{}</code>",
        anchor(number),
        if unfold { " open" } else { "" },
        test.verdict.name(),
        Text(&test.name)
    );
    put!(page, "<span class=\"meta\">");
    if let Some(lab) = &test.lab {
        put!(page, "<span class=\"lab\">{}</span>", Text(lab));
    }
    if test.runs > 1 {
        put!(page, "<span>{} of {} passed</span>", test.passes, test.runs);
    }
    if !test.attempts.is_empty() {
        put!(page, "<span class=\"time\">{}</span>", human(test.took()));
    }
    put!(page, "</span></summary>\n<div class=\"body\">\n");
    if let Some(reason) = &test.reason {
        put!(page, "<p class=\"reason\">{}</p>\n", Text(reason));
    }
    if let [only] = &*test.attempts
        && test.runs < 2
    {
        failure(page, only);
    }
    facts(page, test);
    attempts(page, test);
    put!(page, "</div>\n</details>\n");
}

fn failure(page: &mut Page, attempt: &Attempt) {
    if let Some(failure) = &attempt.failure {
        put!(page, "<pre class=\"failure\">{}</pre>\n", Text(failure));
    }
}

fn facts(page: &mut Page, test: &TestRecord) {
    put!(page, "<dl>");
    put!(page, "<dt>Source</dt><dd><code>{}:{}</code> in {}</dd>", Text(&test.file), test.line, Text(&test.package));
    for (what, list) in [("Hosts", &test.hosts), ("Shared", &test.shared), ("Tags", &test.tags)] {
        if !list.is_empty() {
            put!(page, "<dt>{what}</dt><dd>{}</dd>", Text(&list.join(", ")));
        }
    }
    put!(
        page,
        "<dt>Run again</dt><dd class=\"rerun\"><code>{}</code><button type=\"button\" class=\"copy\">Copy</button></dd></dl>\n",
        Text(&test.rerun)
    );
}

/// The attempts that are shown, by their places.
fn selected(test: &TestRecord) -> Vec<usize> {
    let all = 0..test.attempts.len();
    if test.attempts.len() <= ATTEMPTS {
        return all.collect();
    }
    let mut shown: Vec<_> =
        all.clone().rev().filter(|at| test.attempts[*at].verdict.is_failure()).take(ATTEMPTS - 1).collect();
    shown.extend(all.rev().find(|at| !test.attempts[*at].verdict.is_failure()));
    shown.sort_unstable();
    shown
}

fn attempts(page: &mut Page, test: &TestRecord) {
    let shown = selected(test);
    let left_out = test.runs.saturating_sub(shown.len() as u64);
    if left_out > 0 {
        put!(page, "<p class=\"hint\">{left_out} of {} attempts are left out here.</p>\n", test.runs);
        page.left_out.push(format!("{left_out} attempts at {}", test.name));
    }
    let mut folders: Vec<&PathBuf> = Vec::new();
    for at in shown.into_iter().rev() {
        let attempt = &test.attempts[at];
        let many = test.runs > 1;
        if many {
            let class = class(attempt.verdict);
            put!(
                page,
                "<details class=\"attempt\"{}><summary><span class=\"badge {class}\">{}</span> attempt {} <span class=\"meta\"><span class=\"time\">{}</span></span></summary>\n",
                if attempt.verdict.is_failure() && at + 1 == test.attempts.len() { " open" } else { "" },
                attempt.verdict.name(),
                attempt.round,
                human(attempt.took)
            );
        }
        if many {
            failure(page, attempt);
        }
        commands(page, test, attempt);
        // Attempts of one test may share a folder, of which the newest shows all.
        if let Some(folder) = attempt.output_dir.as_ref().filter(|folder| !folders.contains(folder)) {
            folders.push(folder);
            transcripts(page, test, folder);
        }
        for (name, path) in &attempt.attachments {
            put!(
                page,
                "<p class=\"attached\">Attached: {} <code>{}</code></p>\n",
                Text(name),
                Text(&path.display().to_string())
            );
        }
        if many {
            put!(page, "</details>\n");
        }
    }
}

fn commands(page: &mut Page, test: &TestRecord, attempt: &Attempt) {
    let count = attempt.commands.len() as u64 + attempt.commands_left_out;
    if count == 0 {
        return;
    }
    let from = if page.is_full() { attempt.commands.len() } else { attempt.commands.len().saturating_sub(COMMANDS) };
    let left_out = attempt.commands_left_out + from as u64;
    put!(page, "<div class=\"commands\"><h3>{count} command{}</h3>\n", if count == 1 { "" } else { "s" });
    if left_out > 0 {
        put!(page, "<p class=\"hint\">The first {left_out} are left out here.</p>\n");
        page.left_out.push(format!("{left_out} commands of {}", test.name));
    }
    for command in &attempt.commands[from..] {
        one_command(page, command, attempt);
    }
    put!(page, "</div>\n");
}

fn one_command(page: &mut Page, command: &CommandRecord, attempt: &Attempt) {
    let ended = command.ended.as_deref().unwrap_or("not ended");
    let at = command.began.duration_since(attempt.began).unwrap_or_default();
    let tag = if command.tail.is_empty() { "div" } else { "details" };
    let head = if command.tail.is_empty() { "div" } else { "summary" };
    let open = if !command.is_ok && !command.tail.is_empty() { " open" } else { "" };
    put!(
        page,
        "<{tag} class=\"command{}\"{open}><{head}><span class=\"at\" title=\"{}\">+{:.3}</span><span class=\"who\">{}",
        if command.is_ok { "" } else { " no" },
        stamp(command.began),
        at.as_secs_f64(),
        Text(&command.host)
    );
    if command.session != "default" {
        put!(page, " <i>{}</i>", Text(&command.session));
    }
    put!(
        page,
        "</span><code>{}</code><span class=\"how\"><b>{}</b> {}</span></{head}>",
        Text(&command.command),
        Text(ended),
        human(command.took)
    );
    if !command.tail.is_empty() {
        put!(page, "<pre>{}</pre>", Text(&command.tail.join("\n")));
    }
    put!(page, "</{tag}>\n");
}

/// The ends of the transcripts in a folder.
fn transcripts(page: &mut Page, test: &TestRecord, folder: &Path) {
    let mut files: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let is_ours = path.extension().is_some_and(|extension| extension == "log");
            // Nothing that only leads to a file elsewhere.
            let size = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?.len();
            is_ours.then_some((path, size))
        })
        .collect();
    files.sort();
    let mut left = TRANSCRIPTS;
    for (path, size) in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let part = size.min(TRANSCRIPT).min(left);
        let text = if page.is_full() || part == 0 { None } else { end_of(&path, part) };
        let Some(text) = text else {
            page.left_out.push(format!("the transcript {name} of {}", test.name));
            continue;
        };
        left -= part;
        put!(page, "<details class=\"transcript\"><summary>Transcript <code>{}</code></summary>", Text(&name));
        if part < size {
            put!(
                page,
                "<p class=\"hint\">The last {} KiB of {}; all of it is in <code>{}</code>.</p>",
                part >> 10,
                human_size(size),
                Text(&path.display().to_string())
            );
            page.left_out.push(format!("{} of the transcript {name} of {}", human_size(size - part), test.name));
        }
        put!(page, "<pre>{}</pre></details>\n", Text(&text));
    }
}

/// The last bytes of a file, from the start of a line on.
fn end_of(path: &Path, bytes: u64) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let size = file.metadata().ok()?.len();
    let from = size.saturating_sub(bytes);
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut end = Vec::new();
    file.take(bytes).read_to_end(&mut end).ok()?;
    let text = String::from_utf8_lossy(&end);
    let whole = match text.trim_end().split_once('\n') {
        Some((_, rest)) if from > 0 => rest,
        _ => &text,
    };
    Some(whole.trim_end().to_owned())
}

fn human_size(bytes: u64) -> String {
    match bytes {
        0..=1023 => format!("{bytes} bytes"),
        1024..=1_048_575 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}
