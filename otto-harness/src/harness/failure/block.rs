//! The lines below the message of a failure.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::culprit;
use crate::harness::record::CommandRecord;
use crate::harness::recorder::Recorded;

/// What is known of the hosts when a test has failed.
#[derive(Debug)]
pub(in crate::harness) struct Scene<'a> {
    /// The message of the failure, redacted.
    pub(in crate::harness) text: &'a str,
    pub(in crate::harness) recorded: &'a Recorded,
    /// The test was ended from outside, by its limit or a signal, so that what ran then is what it was waiting for.
    pub(in crate::harness) cut_off: bool,
    /// What did not close in time, if anything.
    pub(in crate::harness) open: Option<&'a str>,
    /// What may still run on hosts, a line each.
    pub(in crate::harness) running: &'a [String],
    /// Where its transcripts are.
    pub(in crate::harness) output_dir: Option<&'a Path>,
}

/// How many commands that were running are listed, and how many files.
const LISTED: usize = 12;

/// The lines, each with a line ending before it.
pub(in crate::harness) fn block(scene: &Scene<'_>) -> String {
    let mut text = String::new();
    let unfinished = |command: &&CommandRecord| command.ended.is_none();
    let waits = scene.cut_off && scene.recorded.commands.iter().any(|command| unfinished(&command));
    if !waits && let Some(found) = culprit::find(scene.text, &scene.recorded.commands) {
        let command = &scene.recorded.commands[found.at];
        let total = scene.recorded.commands.len() as u64 + scene.recorded.dropped;
        let place = found.at as u64 + 1 + scene.recorded.dropped;
        line(
            &mut text,
            "host",
            &format!(
                "{}{}, session {}, command {place} of {total}",
                command.host,
                about(scene.recorded, &command.host),
                command.session
            ),
        );
        line(&mut text, if found.certain { "command" } else { "last command" }, &indented(&command.command));
        line(&mut text, "result", &result(command));
        // The error of a command quotes what it wrote.
        let quoted = command.tail.last().is_some_and(|last| scene.text.contains(&format!("| {last}")));
        if !quoted && !command.tail.is_empty() {
            line(&mut text, "output", &quote(&command.tail));
        }
    }
    let running: Vec<_> = scene.recorded.commands.iter().filter(unfinished).collect();
    let label = if waits { "it was at" } else { "also running" };
    for (number, command) in running.iter().take(LISTED).enumerate() {
        let mut what = format!(
            "{}{}: `{}` in session {}, for {}, {}",
            command.host,
            about(scene.recorded, &command.host),
            first_line(&command.command),
            command.session,
            seconds(command.took),
            fate(scene, command)
        );
        if waits && !command.tail.is_empty() {
            let _ = write!(what, "\n{:INDENT$}{}", "", quote(&command.tail));
        }
        line(&mut text, if number == 0 { label } else { "" }, &what);
    }
    for (number, (host, session, since)) in scene.recorded.opening.iter().take(LISTED).enumerate() {
        let label = if number == 0 && running.is_empty() { label } else { "" };
        let about = about(scene.recorded, host);
        line(&mut text, label, &format!("{host}{about}: connecting for session {session}, for {}", seconds(*since)));
    }
    let more = running.len().saturating_sub(LISTED) + scene.recorded.opening.len().saturating_sub(LISTED);
    if more > 0 {
        line(&mut text, "", &format!("and {more} more"));
    }
    if let Some(open) = scene.open {
        line(&mut text, "left open", open);
    }
    for dirt in scene.running {
        let _ = write!(text, "\n  left on {dirt}");
    }
    if let Some(files) = scene.output_dir.and_then(files) {
        line(&mut text, "files", &files);
    }
    text
}

/// Where the values begin.
const INDENT: usize = 16;

fn line(text: &mut String, label: &str, value: &str) {
    let label = if label.is_empty() { String::new() } else { format!("{label}:") };
    // Writing to a string cannot fail.
    let _ = write!(text, "\n  {label:<width$}{value}", width = INDENT - 2);
}

fn about(recorded: &Recorded, host: &str) -> String {
    let about = recorded.hosts.iter().find(|(id, about)| id == host && about != host).map(|(_, about)| about.as_str());
    about.map(|about| format!(" ({about})")).unwrap_or_default()
}

fn result(command: &CommandRecord) -> String {
    match &command.ended {
        None => format!("not ended after {}", seconds(command.took)),
        Some(ended) if ended.starts_with("timed out") => ended.clone(),
        Some(ended) => format!("{ended} after {}", seconds(command.took)),
    }
}

/// What became of a command that was running when the test was ended.
fn fate(scene: &Scene<'_>, command: &CommandRecord) -> &'static str {
    let line = first_line(&command.command);
    if scene.running.iter().any(|dirt| dirt.starts_with(&format!("{}: ", command.host)) && dirt.contains(&line)) {
        "and may still run"
    } else if scene.open.is_some() {
        "and not known to have ended"
    } else if command.session == "oneshot" {
        "then killed"
    } else {
        "then stopped and seen to be gone"
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

fn first_line(command: &str) -> String {
    let line = command.lines().next().unwrap_or_default();
    let shown: String = line.chars().take(120).collect();
    if shown.len() < command.len() { format!("{shown}…") } else { shown }
}

/// A command of several lines, not more than a few of them.
fn indented(command: &str) -> String {
    const MOST: usize = 8;
    let mut lines: Vec<String> = command.lines().take(MOST).map(first_line).collect();
    if command.lines().count() > MOST {
        lines.push("…".to_owned());
    }
    lines.join(&format!("\n{:INDENT$}", ""))
}

fn quote(lines: &[String]) -> String {
    lines.iter().map(|line| format!("| {line}")).collect::<Vec<_>>().join(&format!("\n{:INDENT$}", ""))
}

/// The files of a test's folder, on one line.
fn files(folder: &Path) -> Option<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    let more = names.len().saturating_sub(LISTED);
    names.truncate(LISTED);
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    (!names.is_empty()).then(|| format!("{}: {}", folder.display(), names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::reports::samples::{command, running};

    fn scene<'a>(text: &'a str, recorded: &'a Recorded) -> Scene<'a> {
        Scene { text, recorded, cut_off: false, open: None, running: &[], output_dir: None }
    }

    fn recorded(commands: Vec<CommandRecord>) -> Recorded {
        let hosts = vec![("switch1".to_owned(), "telnet 10.0.3.7:23 via jump1".to_owned())];
        Recorded { commands, hosts, ..Recorded::default() }
    }

    #[test]
    fn a_command_that_failed_is_shown_with_all_that_is_known() {
        let recorded = Recorded {
            dropped: 5,
            ..recorded(vec![command("switch1", "show version", 0), command("switch1", "show eth3", 3)])
        };
        let text = block(&scene("switch1: `show eth3` exited with 3", &recorded));
        let expected = "
  host:         switch1 (telnet 10.0.3.7:23 via jump1), session default, command 7 of 7
  command:      show eth3
  result:       exit 3 after 1.5 s
  output:       | line one
                | line two";
        assert_eq!(text, expected);
        // What the message quotes already is not said twice.
        let text = block(&scene("switch1: `show eth3` exited with 3\n  | line one\n  | line two", &recorded));
        assert!(!text.contains("output"), "{text}");
    }

    #[test]
    fn a_panic_shows_the_last_command_and_calls_it_that() {
        let recorded = recorded(vec![command("a", "one\ntwo", 3), command("b", "true", 0)]);
        let text = block(&scene("panicked at x.rs:1:1:\nassertion failed", &recorded));
        assert!(text.contains("host:         b, session default, command 2 of 2\n  last command: true\n"), "{text}");
    }

    #[test]
    fn a_test_that_was_ended_shows_where_it_was_on_each_host() {
        let mut recorded = recorded(vec![
            command("a", "true", 0),
            running("switch1", "default", "ping"),
            running("a", "oneshot", "tcpdump"),
        ]);
        recorded.opening.push(("c".to_owned(), "default".to_owned(), Duration::from_secs(3)));
        let dirt = ["switch1: `ping` [session default] may still run: no answer".to_owned()];
        let scene = Scene { cut_off: true, running: &dirt, ..scene("timed out: not done within 30s", &recorded) };
        let expected = "
  it was at:    switch1 (telnet 10.0.3.7:23 via jump1): `ping` in session default, for 20.0 s, and may still run
                | 64 bytes
                a: `tcpdump` in session oneshot, for 20.0 s, then killed
                | 64 bytes
                c: connecting for session default, for 3.0 s
  left on switch1: `ping` [session default] may still run: no answer";
        assert_eq!(block(&scene), expected);
    }

    #[test]
    fn what_ran_beside_it_and_what_is_left_are_named() {
        let recorded = recorded(vec![running("switch1", "default", "ping"), command("a", "make", 2)]);
        let text = block(&scene("a: `make` exited with 2", &recorded));
        assert!(text.contains("command 2 of 2") && text.contains("also running: switch1"), "{text}");
        assert!(text.contains("then stopped and seen to be gone"), "{text}");
        let scene = Scene { open: Some("switch1"), ..scene("a: `make` exited with 2", &recorded) };
        let text = block(&scene);
        assert!(text.contains("not known to have ended") && text.contains("left open:    switch1"), "{text}");
    }

    #[test]
    fn nothing_is_shown_of_a_test_that_ran_nothing() {
        assert_eq!(block(&scene("no", &Recorded::default())), "");
    }
}
