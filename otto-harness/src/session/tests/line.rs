//! What can be odd about a line.

use std::sync::Arc;

use super::places::{Place, SHELLS, Shell};
use super::{limited, run};
use crate::command::ShellCommand;
use crate::session::ShellSession;
use crate::transport::local::console::Console;

fn over(console: Console) -> ShellSession {
    ShellSession::new("console", "default", Arc::new(console), None)
}

/// A folder for `PATH` with only these programs.
fn only(programs: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for program in programs {
        let real = ["/bin", "/usr/bin"]
            .iter()
            .map(|bin| format!("{bin}/{program}"))
            .find(|file| std::path::Path::new(file).exists());
        std::os::unix::fs::symlink(real.unwrap(), folder.path().join(program)).unwrap();
    }
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_one_by_one() {
    for shell in SHELLS {
        let session = over(Console { dribbles: true, ..Place { shell, line: true }.console() });
        for _ in 0..3 {
            let status = run(&session, "printf 'a\\r\\nb\\036E\\n'").await;
            assert_eq!(status.bytes(), b"a\r\nb\x1eE\n", "{shell:?}");
        }
        let status = limited(&session, "echo start; sleep 44.5", 0.3).await;
        assert_eq!(status.output, "start", "{shell:?}");
        let status = run(&session, "echo $((6 * 7))").await;
        assert_eq!((status.output.as_str(), status.state_lost), ("42", false), "{shell:?}");
        session.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_throws_away_what_was_typed() {
    let session = over(Console { swallows: 1, ..Place { shell: Shell::Dash, line: true }.console() });
    assert_eq!(run(&session, "echo hi").await.output, "hi");
    session.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_editor_that_cannot_be_kept_from_starting() {
    for command in [&["/bin/bash", "--norc", "--noprofile", "-i"][..], &["/bin/zsh", "-f", "-i", "-o", "zle"]] {
        let session = over(Console::new(command));
        assert_eq!(run(&session, "echo 'a\tb' \"h\u{e9}llo\"").await.output, "a\tb héllo", "{command:?}");
        session.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_stty() {
    for shell in [Shell::Bash, Shell::Dash] {
        let path = only(&["cat", "mktemp", "mkfifo", "rm", "sleep", "tr", "sh"]);
        let path = Some(path.path().to_str().unwrap().to_owned());
        let session = over(Console { path, ..Place { shell, line: true }.console() });
        for dribbles in [1, 2] {
            let status = run(&session, "echo one; echo two; printf 'x\\r'").await;
            assert_eq!(status.bytes(), b"one\ntwo\nx\r", "{shell:?} {dribbles}");
        }
        let command = ShellCommand::new("printf 'name? '; read n; echo hi $n").expects([("name\\? ", "bob\n")]);
        // The terminal shows what is typed, and nothing can be done about it.
        assert_eq!(run(&session, command).await.output, "name? bob\nhi bob", "{shell:?}");
        session.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pipe() {
    for shell in [Shell::Bash, Shell::Dash, Shell::Zsh] {
        let path = only(&["cat", "stty", "rm", "sleep", "sh"]);
        let path = Some(path.path().to_str().unwrap().to_owned());
        let session = over(Console { path, ..Place { shell, line: true }.console() });
        assert_eq!(run(&session, "echo one; echo two >&2; (exit 4)").await.output, "one\ntwo", "{shell:?}");
        assert_eq!(run(&session, "echo $?").await.output, "4", "{shell:?}");
        let status = run(&session, "echo bye; exit 3").await;
        assert_eq!((status.output.as_str(), status.retcode), ("bye", Some(3)), "{shell:?}");
        session.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_closed_line() {
    for shell in SHELLS {
        let session = Place { shell, line: true }.session();
        let before = run(&session, "echo $$").await.output;
        session.close().await;
        // Dying takes a moment; a dead one waits for whoever has to take note of it.
        let mut left = String::new();
        for _ in 0..100 {
            let seen = std::process::Command::new("ps").args(["-s", &before, "-o", "stat=,args="]).output().unwrap();
            left = String::from_utf8_lossy(&seen.stdout).lines().filter(|line| !line.starts_with('Z')).collect();
            if left.is_empty() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(left, "", "{shell:?}");
    }
}
