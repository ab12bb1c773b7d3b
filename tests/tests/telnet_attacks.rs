//! Telnet hosts that are as unfriendly as they come: accounts whose shells and start-up files stand in the way, terminals in
//! odd states, servers that are stopped, killed and reset at the worst moment.

use std::time::{Duration, Instant};

use otto::prelude::*;
use otto::{ErrorKind, Result};
use otto_tests::places::{Sleeper, dropped_after, until, within};
use otto_tests::telnetd::{Kind, Telnetd};

const SECOND: Duration = Duration::from_secs(1);

async fn run(host: &Host, command: &str) -> Result<CommandStatus> {
    host.run(command).await?.only()
}

/// What has to hold in any session, whatever the account is like.
async fn is_in_order(what: &str, host: &Host) -> Result<()> {
    let status = run(host, "echo in; (exit 3)").await?;
    assert_eq!((status.bytes(), status.retcode), (&b"in\n"[..], Some(3)), "{what}: {status:?}");
    let long = format!("printf '%s' '{}' | wc -c", "x".repeat(6000));
    assert_eq!(run(host, &long).await?.output.trim(), "6000", "{what}");
    let status = host.run("printf 'name? '; read n; echo hi $n").expects([("name\\? ", "bob\n")]).await?.only()?;
    assert_eq!(status.output, "name? hi bob", "{what}");
    // Nothing of otto's own is seen by commands.
    let seen =
        run(host, "env | grep -a '^_*[oO][tT][tT][oO]'; trap; jobs; ls -l /proc/self/fd | grep -c '[6-9] ->'").await?;
    assert_eq!(seen.output, "0", "{what}: {seen:?}");
    let started = Instant::now();
    let status = host.run("echo start; sleep 30; echo end").timeout("300ms").await?.only()?;
    assert!(status.timed_out && status.output == "start" && started.elapsed() < 3 * SECOND, "{what}: {status:?}");
    assert!(!run(host, "true").await?.state_lost, "{what}");
    // Idle for longer than the account's shell would bear.
    tokio::time::sleep(Duration::from_millis(2300)).await;
    let status = run(host, "echo still").await?;
    assert_eq!((&*status.output, status.state_lost), ("still", false), "{what}");
    Ok(())
}

/// Accounts with start-up files that print, sleep, ask, set prompts and time-outs, and start another shell.
#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_every_kind() -> Result<()> {
    let hostile = "echo motd of rc; sleep 0.7; export TMOUT=2; PS1='$(echo now)> '; PROMPT_COMMAND='echo x'; \
                   alias printf=false exec=exec; set -o noclobber; umask 077; trap 'echo bye' EXIT";
    let mut all = tokio::task::JoinSet::new();
    for (kind, shell, file, rc) in [
        (Kind::Inetutils, "bash -i", ".bashrc", hostile),
        (Kind::Busybox, "bash -i", ".bashrc", hostile),
        (Kind::Inetutils, "bash -i", ".bashrc", "exec zsh -i"),
        (Kind::Inetutils, "bash -i", ".bashrc", "bash --norc -i; exit"),
        (Kind::Inetutils, "bash -i", ".bashrc", "set -x; set -v; stty raw -echo"),
        (Kind::Inetutils, "bash -i", ".bashrc", "stty -isig -icrnl intr ^A erase '#' kill '@' eof x"),
        (Kind::Busybox, "zsh -i", ".zshrc", "TMOUT=2; PS1='%F{red}%m%# %f'; RPS1=right; setopt correct_all; sleep 0.3"),
        (Kind::Inetutils, "ksh -i", ".kshrc", "PS1='<$PWD> '; TMOUT=2"),
        (Kind::Inetutils, "dash -i", ".profile", "PS1='d$ '"),
        (Kind::Busybox, "busybox ash -i", ".ashrc", "export TMOUT=2; PS1='\\w \\$ '; echo hello"),
        (Kind::Inetutils, "tcsh -i", ".tcshrc", "set prompt = '%m%# '; set autologout = 1"),
        (Kind::Inetutils, "fish -i", "none", ""),
    ] {
        all.spawn(async move {
            let home = tempfile::tempdir().unwrap();
            std::fs::write(home.path().join(file), format!("{rc}\n")).unwrap();
            let folder = home.path().display().to_string();
            let shell = format!("env HOME={folder} ENV={folder}/{file} {shell}");
            let server = Telnetd::builder(kind).shell(shell.clone()).start();
            let host = server.host().build();
            let what = format!("{kind:?} `{shell}` with {rc:?}");
            is_in_order(&what, &host).await.unwrap_or_else(|error| panic!("{what}: {}", error.chain()));
            host.close().await.unwrap();
            until("nothing runs there", 5 * SECOND, || server.sessions().is_empty()).await;
        });
    }
    all.join_all().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_stopped_and_the_shell_is_mostly_kept() -> Result<()> {
    for kind in [Kind::Inetutils, Kind::Busybox] {
        let server = Telnetd::builder(kind).start();
        let host = server.host().build();
        run(&host, "x=1").await?.ok()?;
        let mut lost = 0;
        for _ in 0..5 {
            let asked = Instant::now();
            let status = host.run("yes").timeout("400ms").await?.only()?;
            assert!(status.timed_out && asked.elapsed() < 3 * SECOND, "{kind:?}: {:?}", asked.elapsed());
            let next = run(&host, "echo next").await?;
            assert_eq!(next.output, "next", "{kind:?}");
            lost += usize::from(next.state_lost);
        }
        assert!(lost <= 2, "{kind:?}: {lost} of 5 shells were lost");
        assert!(!host.is_dirty());
        host.close().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_at_any_moment_costs_bounded_time() -> Result<()> {
    for kind in [Kind::Inetutils, Kind::Busybox] {
        // In the login.
        let server = Telnetd::builder(kind).delay(SECOND).banner("wait\n").start();
        let host = server.host().login_timeout(2 * SECOND).build();
        let stop = async {
            until("somebody logs in", 5 * SECOND, || !server.sessions().is_empty()).await;
            server.freeze();
        };
        let (answer, ()) = tokio::join!(within(6 * SECOND, "the login fails", host.run("true")), stop);
        let error = answer.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Connect(_)), "{kind:?}: {error:?}");
        within(6 * SECOND, "close", host.close()).await.ok();
        server.thaw();

        // In a command with a limit, and in the closing.
        let server = Telnetd::builder(kind).start();
        let host = server.host().build();
        let sleeper = Sleeper::new();
        let stop = async {
            sleeper.runs().await;
            server.freeze();
        };
        let asked = Instant::now();
        let (status, ()) = tokio::join!(host.run(sleeper.command()).timeout("2s").into_future(), stop);
        let status = status?.only()?;
        // inetutils' has a process for each connection, so a second login can still kill, and see.
        let left = kind == Kind::Busybox;
        assert!(status.timed_out && status.left_running() == left && host.is_dirty() == left, "{kind:?}: {status:?}");
        assert!(asked.elapsed() < 8 * SECOND, "{kind:?}: {:?}", asked.elapsed());
        let _ = within(6 * SECOND, "close", host.close()).await;
        server.thaw();
        sleeper.is_gone().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_that_ends_says_how_whatever_it_left() -> Result<()> {
    for kind in [Kind::Inetutils, Kind::Busybox] {
        let server = Telnetd::builder(kind).start();
        let host = server.host().build();
        let sleeper = Sleeper::new();
        for (script, code, output) in [
            (format!("{} & exit 4", sleeper.command()), Some(4), ""),
            // The word is bash's own, and no longer the last.
            ("trap 'echo bye; exit 6' EXIT; exit 5".to_owned(), Some(6), "exitbye"),
            ("printf 'no line end'; exec sh -c 'exit 9'".to_owned(), Some(9), "no line end"),
            ("head -c 300000 /dev/zero | tr '\\0' x; exec true".to_owned(), Some(0), ""),
            ("kill -TERM $$; kill -9 $$".to_owned(), Some(137), ""),
        ] {
            let asked = Instant::now();
            let status = run(&host, &script).await?;
            assert_eq!((status.status, status.retcode), (Status::Error, code), "{kind:?} {script}: {status:?}");
            assert!(asked.elapsed() < 2 * SECOND, "{kind:?} {script}: {:?}", asked.elapsed());
            if script.starts_with("head") {
                assert_eq!(status.bytes().len(), 300_000, "{kind:?}: what it wrote last is there");
            } else {
                let said = status.output.lines().filter(|line| !line.starts_with("[1] ")).collect::<String>();
                assert_eq!(said, output, "{kind:?} {script}");
            }
            let next = run(&host, "echo next").await?;
            assert_eq!((&*next.output, next.state_lost), ("next", true), "{kind:?} {script}");
            sleeper.is_gone().await;
        }
        host.close().await?;
    }
    Ok(())
}

/// One limit for opening the shell and for the command together.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_not_given_twice() -> Result<()> {
    let server = Telnetd::builder(Kind::Inetutils).delay(2 * SECOND).start();
    let host = server.host().build();
    let sleeper = Sleeper::new();
    let asked = Instant::now();
    let status = host.run(sleeper.command()).timeout(3 * SECOND).await?.only()?;
    assert!(status.timed_out && asked.elapsed() < Duration::from_millis(4500), "{:?} {status:?}", asked.elapsed());
    sleeper.is_gone().await;
    host.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_at_any_moment_leaves_nothing() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let shell = format!("env TMPDIR={} bash --norc --noprofile -i", folder.path().display());
    let server = Telnetd::builder(Kind::Inetutils).shell(shell).start();
    for after in (0..30).map(|step| Duration::from_millis(step * 4)) {
        let host = server.host().build();
        let sleeper = Sleeper::new();
        dropped_after(after, host.run(sleeper.command()).into_future()).await;
        assert_eq!(within(5 * SECOND, "the next", run(&host, "echo ok")).await?.output, "ok", "after {after:?}");
        sleeper.is_gone().await;
        host.close().await?;
    }
    until("nothing runs there", 5 * SECOND, || server.sessions().is_empty()).await;
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}
