//! Runs, lists, limits and sessions, on this machine.

use std::time::{Duration, Instant};

use otto::prelude::*;
use otto::{ErrorKind, Result};

#[tokio::test]
async fn a_list_goes_on_after_a_failure() -> Result<()> {
    let host = Host::local();
    let result = host.run(["true", "false", "echo x"]).await?;
    let statuses: Vec<_> = result.statuses.iter().map(|one| one.status).collect();
    assert_eq!(statuses, [Status::Success, Status::Failed, Status::Success]);
    assert_eq!(result.status, Status::Failed);
    assert!(result.only().unwrap_err().to_string().contains("there are 3"));
    host.close().await
}

#[tokio::test]
async fn a_list_ends_at_an_error() -> Result<()> {
    let host = Host::local();
    let result = host.run(["echo one", "sleep 20", "echo three"]).timeout("300ms").await?;
    let statuses: Vec<_> = result.statuses.iter().map(|one| one.status).collect();
    assert_eq!(statuses, [Status::Success, Status::Error, Status::NotRun]);
    assert!(result.statuses[1].timed_out);
    assert!(result.statuses[2].cause().is_some());
    host.close().await
}

#[tokio::test]
async fn no_commands_are_a_success_without_statuses() -> Result<()> {
    let result = Host::local().run(Vec::<String>::new()).await?;
    assert_eq!((result.status, result.statuses.len()), (Status::Success, 0));
    Ok(())
}

#[tokio::test]
async fn what_is_no_limit_is_refused_before_anything_runs() -> Result<()> {
    let host = Host::local();
    let folder = tempfile::tempdir().unwrap();
    let touch = format!("touch {}/ran", folder.path().display());
    for limit in [0.0, -1.0, f64::NAN] {
        let error = host.run(&touch).timeout(limit).await.unwrap_err();
        assert_eq!((error.kind(), error.host()), (ErrorKind::Invalid, Some("local")));
        let late = ShellCommand::new("true").timeout(limit);
        let error = host.run([ShellCommand::new(&touch), late]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(host.oneshot(&touch).timeout(limit).await.unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(host.expect("x").timeout(limit).await.unwrap_err().kind(), ErrorKind::Invalid);
        assert!(host.set_timeout(limit).is_err());
    }
    assert!(!folder.path().join("ran").exists());
    assert!(!host.has_live_sessions());
    host.run("true").timeout(f64::INFINITY).await?.ok()?;
    host.close().await
}

#[tokio::test]
async fn what_is_no_regex_is_refused_before_anything_runs() -> Result<()> {
    let host = Host::local();
    let bad = ShellCommand::new("true").expects([("(", "x\n")]);
    assert_eq!(host.run([ShellCommand::new("true"), bad]).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(host.run("true").expects([("[", "x\n")]).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(host.expect("(").await.unwrap_err().kind(), ErrorKind::Invalid);
    assert!(!host.has_live_sessions());
    Ok(())
}

#[tokio::test]
async fn the_limit_of_the_command_goes_before_that_of_the_call_and_that_of_the_host() -> Result<()> {
    let host = Host::local();
    host.set_timeout("300ms")?;
    assert!(host.run("sleep 20").await?.only()?.timed_out);
    host.run("sleep 0.5").timeout("5s").await?.ok()?;
    host.run(ShellCommand::new("sleep 0.5").timeout("5s")).timeout("100ms").await?.ok()?;
    host.close().await
}

#[tokio::test]
async fn on_output_may_borrow_and_sees_each_line() -> Result<()> {
    let host = Host::local();
    let mut lines = Vec::new();
    host.run(["echo a; echo b", "echo c"]).on_output(|line| lines.push(line.to_owned())).await?;
    assert_eq!(lines, ["a", "b", "c"]);
    host.close().await
}

#[tokio::test]
async fn two_lists_do_not_mingle() -> Result<()> {
    let host = Host::local();
    let lists = (0..4).map(|i| {
        let host = host.clone();
        let commands = [format!("n={i}"), "sleep 0.05".to_owned(), "echo $n".to_owned()];
        tokio::spawn(async move { host.run(commands).await })
    });
    for (i, list) in lists.collect::<Vec<_>>().into_iter().enumerate() {
        assert_eq!(list.await.unwrap()?.statuses[2].output, i.to_string());
    }
    host.close().await
}

#[tokio::test]
async fn named_sessions_have_a_state_of_their_own() -> Result<()> {
    let host = Host::local();
    host.run("cd /").await?.ok()?;
    let (one, two) = (host.open_session("worker1").await?, host.open_session("worker2").await?);
    let (a, b) = tokio::join!(one.run("cd /tmp"), two.run("cd /var"));
    a?.ok()?;
    b?.ok()?;
    assert_eq!(one.run("pwd").await?.only()?.output, "/tmp");
    assert_eq!(two.run("pwd").await?.only()?.output, "/var");
    assert_eq!(host.run("pwd").await?.only()?.output, "/");
    assert_eq!(host.open_session("worker1").await?.run("pwd").await?.only()?.output, "/tmp");
    host.close().await
}

#[tokio::test]
async fn a_session_that_died_is_replaced() -> Result<()> {
    let host = Host::local();
    let session = host.open_session("mortal").await?;
    let result = session.run(["exit 3", "echo never"]).await?;
    assert_eq!((result.statuses[0].status, result.statuses[0].retcode), (Status::Error, Some(3)));
    assert_eq!(result.statuses[1].status, Status::NotRun);
    let again = host.open_session("mortal").await?;
    assert!(again.alive());
    assert_eq!(again.run("echo here").await?.only()?.output, "here");
    host.close().await
}

#[tokio::test]
async fn use_after_close_is_an_error_that_names_host_and_session() -> Result<()> {
    let host = Host::local();
    let session = host.open_session("brief").await?;
    session.close().await?;
    session.close().await?;
    assert!(!session.alive());
    for error in [
        session.run("true").await.unwrap_err(),
        session.send("x").await.unwrap_err(),
        session.expect("x").await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert_eq!(
            error.to_string(),
            "local: the session was closed [session brief]\n  hint: `open_session` opens a new one of that name"
        );
    }
    // Its name is free again.
    let next = host.open_session("brief").await?;
    assert_eq!(next.run("echo new").await?.only()?.output, "new");
    host.close().await?;
    assert!(next.run("true").await.unwrap_err().to_string().contains("closed with its host"));
    Ok(())
}

#[tokio::test]
async fn scoped_closes_after_a_panic_too() -> Result<()> {
    let host = Host::local();
    let session = host.open_session("risky").await?;
    let clone = session.clone();
    let task = tokio::spawn(async move { clone.scoped(async |_| -> Result<()> { panic!("on purpose") }).await });
    assert!(task.await.unwrap_err().is_panic());
    assert!(session.run("true").await.unwrap_err().is_closed());
    host.close().await
}

#[tokio::test]
async fn closing_is_always_fine() -> Result<()> {
    let host = Host::local();
    host.close().await?; // never connected
    host.run("x=1").await?.ok()?;
    host.close().await?;
    host.close().await?;
    assert_eq!(host.run("echo [$x]").await?.only()?.output, "[]");

    let busy = tokio::spawn({
        let host = host.clone();
        async move { host.run("sleep 20").await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    let (one, two) = tokio::join!(host.close(), host.close());
    one?;
    two?;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(busy.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert!(!host.has_live_sessions());
    Ok(())
}

#[tokio::test]
async fn oneshots_share_no_state_and_run_side_by_side() -> Result<()> {
    let host = Host::local();
    host.run("X=1; cd /tmp").await?.ok()?;
    let began = Instant::now();
    let (one, two, three) = tokio::join!(
        host.oneshot("sleep 0.3; echo [$X]"),
        host.oneshot("sleep 0.3; cat; echo oops >&2").stdin("in").separate_stderr(),
        host.oneshot("sleep 20").timeout("300ms"),
    );
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(one?.output, "[]");
    let two = two?;
    assert_eq!((&*two.output, two.stderr().trim()), ("in", "oops"));
    assert!(three?.timed_out);
    let prompts = host.oneshot(ShellCommand::new("true").expects([("x", "y")])).await;
    assert_eq!(prompts.unwrap_err().kind(), ErrorKind::Invalid);
    host.close().await
}

#[tokio::test]
async fn arguments_are_quoted() -> Result<()> {
    let host = Host::local();
    let words = ["printf", "%s\n", "a b", "$HOME", "*", "it's", "", "-x", "a\nb"];
    let output = host.exec_argv(words).await?.only()?.output;
    assert_eq!(output, "a b\n$HOME\n*\nit's\n\n-x\na\nb");
    assert_eq!(host.exec_argv([""; 0]).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(host.exec_argv(["printf", "a\0b"]).await.unwrap_err().kind(), ErrorKind::Invalid);
    host.close().await
}

#[test]
fn futures_are_send() {
    fn send<T: Send>(_: T) {}
    let host = Host::local();
    send(host.run("x").into_future());
    send(host.run("x").on_output(|_| ()).into_future());
    send(host.oneshot("x").into_future());
    send(host.expect("x").into_future());
    send(host.send("x"));
    send(host.open_session("x"));
    send(host.close());
    send(async {
        let session = host.open_session("x").await?;
        session.scoped(async |s| s.run("true").await).await
    });
    send(otto::open_context("local").with(async |ctx| {
        ctx.run_on_all_hosts("x").await?;
        ctx.do_for_all_hosts(|host| async move { host.run("x").await }).await
    }));
}
