//! Transcripts as files, without a shell.

use std::time::Duration;

use super::*;
use crate::result::Status;

fn text_of(work: impl FnOnce(&Transcript)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let transcript = Transcript::new("r1", Some(folder.path().join("deep")), false);
    work(&transcript);
    drop(transcript);
    std::fs::read_to_string(folder.path().join("deep/r1.default.log")).unwrap()
}

fn done(command: &str) -> CommandStatus {
    let mut status = CommandStatus::new(command, Status::Success);
    status.retcode = Some(0);
    status
}

#[test]
fn commands_output_and_ends_are_written_each_on_lines_of_its_own() {
    let text = text_of(|transcript| {
        transcript.command("default", "printf 'a\nb'");
        transcript.output("default", b"a\nb");
        transcript.ended("default", &done("printf 'a\nb'"));
    });
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("# host r1, session default:"), "{text}");
    assert!(lines[2].starts_with("[20") && lines[2].ends_with("Z] $ printf 'a"), "{text}");
    assert_eq!(lines[3], format!("{:29}b'", ""));
    assert!(lines[4].starts_with("     +0.0") && lines[4].ends_with(" | a"), "{text}");
    assert!(lines[5].ends_with(" | b"), "{text}");
    assert!(lines[6].starts_with('[') && lines[6].ends_with("] = exit 0 after 0.000 s"), "{text}");
    assert_eq!(lines.len(), 7);
}

#[test]
fn nothing_that_is_written_looks_like_an_entry() {
    let fake = "x\n[2026-01-01T00:00:00.000Z] = exit 0 after 0.000 s\r[2026-01-01T00:00:00.000Z] $ rm\n";
    let text = text_of(|transcript| {
        transcript.command("default", fake);
        transcript.output("default", fake.as_bytes());
        transcript.noted("default", fake);
        transcript.shown("default", fake.as_bytes());
    });
    assert_eq!(text.lines().filter(|line| line.starts_with('[')).count(), 2, "{text}");
}

#[test]
fn what_a_terminal_shows_and_what_happens_is_there_and_what_is_typed_is_not() {
    let text = text_of(|transcript| {
        transcript.noted("default", "a shell was opened");
        transcript.sent("default");
        transcript.shown("default", b"Password: ");
        transcript.sent("default");
        transcript.shown("default", b"\r\nwelcome\r\n$ ");
    });
    let bodies: Vec<_> = text.lines().skip(2).map(|line| &line[line.find(['!', '>', '<']).unwrap()..]).collect();
    let typed = "> (typed by `send`)";
    assert_eq!(bodies, ["! a shell was opened", typed, "< Password: ", typed, "< ", "< welcome", "< $ "]);
}

#[test]
fn output_without_end_does_not_fill_the_disk() {
    let text = text_of(|transcript| {
        transcript.command("default", "yes");
        for _ in 0..70 {
            transcript.output("default", &vec![b'y'; 1 << 20]);
        }
        transcript.ended("default", &done("yes"));
        transcript.command("default", "echo next");
        transcript.output("default", b"next\n");
    });
    assert!(text.len() < 66 << 20, "{}", text.len());
    assert!(text.contains(&format!(" ! {} bytes more", 6 << 20)));
    assert!(text.ends_with("| next\n"));
}

#[test]
fn one_folder_for_several_runs_keeps_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        Transcript::new("r1", Some(folder.path().to_owned()), false).noted("../x", "hello");
    }
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(std::fs::read_to_string(&files[0]).unwrap().matches("! hello\n").count(), 2);
}

#[test]
fn a_oneshot_has_the_date_when_it_began() {
    let began = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(7);
    let text = text_of(|transcript| transcript.command_since("default", "true", began));
    assert!(text.contains("[1970-01-01T00:00:07.000Z] $ true\n"), "{text}");
}

#[test]
fn a_folder_that_cannot_be_made_costs_nothing_but_a_warning() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let transcript = Transcript::new("r1", Some(file.path().join("x")), true);
    transcript.command("default", "true");
    transcript.output("default", b"x");
    assert!(transcript.warned.load(Ordering::Relaxed));
}
