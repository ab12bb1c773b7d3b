//! Transcripts of real sessions: all that happened is there, in order and with times, and nothing that was typed.

use std::fs;
use std::path::Path;
use std::time::Duration;

use otto::prelude::*;
use otto::{Lab, LogMode, Result};
use otto_tests::places::{Sleeper, until};
use otto_tests::sshd::Sshd;

/// Asserts that the text has these, one after the other.
#[track_caller]
fn in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some(at) = rest.find(part) else { panic!("no {part:?} in the rest\n{rest}\nof\n{text}") };
        rest = &rest[at + part.len()..];
    }
}

fn read(folder: &Path, file: &str) -> String {
    fs::read_to_string(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The seconds at the start of the line that ends so.
#[track_caller]
fn time_of(text: &str, end: &str) -> f64 {
    let line = text.lines().find(|line| line.ends_with(end)).unwrap_or_else(|| panic!("no {end:?} in\n{text}"));
    line.trim_start().split(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("no time in {line}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_on_this_machine() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let ctx = otto::open_context("local").output_dir(folder.path()).open().await?;
    let host = ctx.get_host("local")?;
    let script = "echo one; sleep 0.6; printf '\\033[1mtwo\\033[0m\\r\\n'; printf '\\377\\0'; (exit 3)";
    host.run(script).await?;
    host.run("cd /; exit 4").await?;
    host.run("sleep 30").timeout("300ms").await?;
    host.run(ShellCommand::new("echo hidden-command").log(LogMode::Never)).await?;
    let given_up = tokio::time::timeout(Duration::from_millis(300), host.run("sleep 40").into_future()).await;
    assert!(given_up.is_err());
    host.run("echo after").await?.ok()?;
    host.run("trap '' INT; sleep 50").timeout("300ms").await?;
    assert!(host.run("echo new").await?.only()?.state_lost);

    // Typing: what the terminal shows is there, what was typed is not.
    let session = host.open_session("../odd name").await?;
    session.send("read -p 'Password: ' x; echo got-${#x}\n").await?;
    session.expect("Password: ").await?;
    session.send("opensesame\n").await?;
    session.expect("got-10").await?;
    assert_eq!(session.run("echo $x").log(LogMode::Quiet).await?.only()?.output, "opensesame");
    let run = session.run("read -p 'again? ' y; echo ok-${#y}").expects([("again\\? ", "opensesame\n")]);
    run.await?.ok()?;
    host.open_session("default").await?.run("echo of a namesake").await?.ok()?;
    host.oneshot("sleep 0.5; echo alone").await?.ok()?;
    ctx.close().await?;

    let text = read(folder.path(), "local.default.log");
    in_order(
        &text,
        &[
            "# host local, session default",
            "! a shell was opened\n",
            "] $ echo one; sleep 0.6;",
            " | one\n",
            " | \\e[1mtwo\\e[0m\n",
            " | \\xff\\x00\n",
            "] = exit 3 after 0.6",
            "] $ cd /; exit 4\n",
            "] = the shell exited with 4 after ",
            "] ! a new shell; the state of the one before is lost\n",
            "] $ sleep 30\n",
            "] = timed out after 0.",
            "] $ sleep 40\n",
            "] ! a command was given up before it ended",
            "] $ echo after\n",
            " | after\n",
            "] = exit 0 after ",
            "] $ trap '' INT; sleep 50\n",
            "= timed out after ",
            "its shell was killed, and all its processes were seen to end\n",
            "] ! the shell is gone: it did not yield",
            "] ! a new shell; the state",
            " | new\n",
            "] ! the shell was closed\n",
        ],
    );
    assert!(!text.contains("hidden-command") && !text.contains("namesake"), "{text}");
    let (one, two) = (time_of(&text, "| one"), time_of(&text, "| \\e[1mtwo\\e[0m"));
    assert!(one < 0.5 && (0.6..5.0).contains(&two), "{one} {two}");

    let text = read(folder.path(), "local.%2E%2E%2Fodd%20name.log");
    in_order(&text, &["> (typed by `send`)\n", " < Password: ", "> (typed by", " < ", "got-10", "$ echo $x\n"]);
    in_order(&text, &["$ read -p 'again? '", " | again? ", "ok-10\n", "= exit 0"]);
    assert!(!text.contains("opensesame"), "{text}");
    in_order(&read(folder.path(), "local.named%20default.log"), &[" | of a namesake\n"]);
    let text = read(folder.path(), "local.oneshot.log");
    in_order(&text, &["] $ sleep 0.5; echo alone\n", " | alone\n", "] = exit 0 after 0.5"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_lost_and_made_anew() -> Result<()> {
    let server = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    let ctx = otto::open_context(Lab::from_toml(&server.lab_toml())?).output_dir(folder.path()).open().await?;
    let host = ctx.get_host("server")?;
    let sleeper = Sleeper::new();
    let cut = async {
        sleeper.runs().await;
        server.kill_children();
    };
    let (status, ()) = tokio::join!(host.run(sleeper.command()).into_future(), cut);
    assert!(status?.only()?.left_running());
    host.run("echo again").await?.ok()?;
    host.set_log(LogMode::Never);
    host.send("echo typed-in-private\n").await?;
    host.expect("private").await?;
    ctx.close().await?;
    let text = read(folder.path(), "server.default.log");
    in_order(
        &text,
        &[
            "! a shell was opened\n",
            &format!("$ {}\n", sleeper.command()),
            "= the connection was lost: ",
            "! the host is dirty: ",
            "may still run: ",
            "! the shell is gone: the connection was lost",
            "! a new shell; the state of the one before is lost\n",
            "$ echo again\n",
        ],
    );
    assert!(!text.contains("private") && !text.contains("typed by `send`"), "{text}");
    Ok(())
}

/// What does not end in a line ending is in the file at once, for whoever looks while a test hangs.
#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_read_while_a_command_hangs() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let ctx = otto::open_context("local").output_dir(folder.path()).open().await?;
    let host = ctx.get_host("local")?;
    let hangs = tokio::spawn(host.run("printf 'waiting for carrier'; sleep 60").timeout("60s").into_future());
    let file = folder.path().join("local.default.log");
    let written = || fs::read_to_string(&file).is_ok_and(|text| text.ends_with(" | waiting for carrier"));
    until("the line is written", Duration::from_secs(10), written).await;
    ctx.close().await?;
    assert!(hangs.await.unwrap().is_err());
    Ok(())
}
