//! Hosts on which something may still run: a real server that is frozen or killed, so that no kill can be seen to work.

use std::time::{Duration, Instant};

use otto::prelude::*;
use otto::{LogMode, Result};
use otto_tests::places::{Place, Sleeper, until, within};
use otto_tests::sshd::Sshd;

const SECOND: Duration = Duration::from_secs(1);

fn frozen(place: &Place, frozen: bool) {
    let otto_tests::places::Server::Sshd(server) = place.server() else { panic!("a real server") };
    if frozen { server.freeze() } else { server.thaw() }
}

fn kill_connections(place: &Place) {
    let otto_tests::places::Server::Sshd(server) = place.server() else { panic!("a real server") };
    server.kill_children();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_that_was_seen_to_work_leaves_no_dirt() -> Result<()> {
    for place in [Place::local(), Place::sshd()] {
        let sleeper = Sleeper::new();
        let script = format!("trap '' INT; {}; true", sleeper.command());
        let status = place.host().run(&*script).timeout("500ms").await?.only()?;
        assert!(status.timed_out && !status.left_running(), "{status:?}");
        let one = place.host().oneshot(&*script).timeout("500ms").await?;
        assert!(one.timed_out && !one.left_running(), "{one:?}");
        assert!(within(5 * SECOND, "give up", dropped(place.host().run(&*script))).await);
        place.answers().await?;
        assert!(within(5 * SECOND, "give up", dropped(place.host().oneshot(&*script))).await);
        sleeper.is_gone().await;
        assert!(within(5 * SECOND, "give up", dropped(place.host().oneshot(&*script))).await);
        // Closing at once takes the kill upon itself.
        place.host().close().await?;
        sleeper.is_gone().await;
        tokio::time::sleep(SECOND / 2).await;
        assert!(!place.host().is_dirty(), "{}: {:?}", place.name, place.host().dirt());
        place.host().close().await?;
        assert!(!place.host().is_dirty());
    }
    Ok(())
}

async fn dropped<T>(work: impl IntoFuture<Output = T>) -> bool {
    otto_tests::places::dropped_after(SECOND / 2, work.into_future()).await
}

/// Runs what cannot be killed, because the server is frozen from its middle on.
async fn while_frozen<T>(place: &Place, sleeper: &Sleeper, work: impl IntoFuture<Output = T>) -> T {
    let freeze = async {
        sleeper.runs().await;
        frozen(place, true);
    };
    let (answer, ()) = tokio::join!(work.into_future(), freeze);
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_that_cannot_be_seen_to_work_makes_the_host_dirty() -> Result<()> {
    let place = Place::sshd();
    let host = place.host();
    host.run("true").await?.ok()?;
    let sleeper = Sleeper::new();
    let script = format!("trap '' INT; echo begun; {}; true", sleeper.command());
    let asked = Instant::now();
    let status = while_frozen(&place, &sleeper, host.run(&*script).timeout("2s")).await?.only()?;
    assert!(asked.elapsed() < 7 * SECOND, "{:?}", asked.elapsed());
    assert!(status.timed_out && status.left_running(), "{status:?}");
    assert!(status.cause().is_some_and(|cause| cause.contains("may still run on the host")), "{status:?}");
    let error = status.ok().unwrap_err().to_string();
    assert!(error.contains("may still run on the host"), "{error}");
    frozen(&place, false);

    let dirt = host.dirt();
    assert!(host.is_dirty() && dirt.len() == 1, "{dirt:?}");
    assert_eq!((&*dirt[0].command, &*dirt[0].session), (&*script, "default"));
    assert!(dirt[0].since.elapsed().is_ok_and(|ago| ago < 60 * SECOND), "{dirt:?}");
    // A shell that answers proves nothing of what the one before left.
    place.answers().await?;
    host.close().await?;
    assert!(host.is_dirty());
    host.clear_dirt();
    assert!(!host.is_dirty() && place.another().dirt().is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn so_do_a_oneshot_and_a_command_that_was_given_up() -> Result<()> {
    let place = Place::sshd();
    let host = place.host();
    host.run("true").await?.ok()?;
    let sleeper = Sleeper::new();
    let one = while_frozen(&place, &sleeper, host.oneshot(sleeper.command()).timeout("2s")).await?;
    assert!(one.timed_out && one.left_running(), "{one:?}");
    frozen(&place, false);
    assert_eq!(host.dirt()[0].session, "oneshot");
    host.clear_dirt();

    // One that nobody waits for any more is looked at as well.
    let dropped = Sleeper::new();
    let one = host.oneshot(dropped.command()).into_future();
    tokio::select! {
        _ = one => panic!("it cannot end"),
        () = async { dropped.runs().await; frozen(&place, true) } => {}
    }
    until("the host is dirty", 15 * SECOND, || host.is_dirty()).await;
    frozen(&place, false);
    let dirt = host.dirt();
    assert_eq!((&*dirt[0].command, &*dirt[0].session), (dropped.command(), "oneshot"));
    host.clear_dirt();

    let another = Sleeper::new();
    let secret = ShellCommand::new(format!("trap '' INT; {}; true", another.command())).log(LogMode::Never);
    let run = host.run(secret).timeout("60s").into_future();
    let given_up = async {
        tokio::select! {
            _ = run => panic!("it cannot end"),
            () = async { another.runs().await; frozen(&place, true) } => {}
        }
    };
    given_up.await;
    until("the host is dirty", 10 * SECOND, || host.is_dirty()).await;
    frozen(&place, false);
    assert_eq!(host.dirt()[0].command, "(not logged)");
    // What was asked of the server while it was frozen is done now; closing waits for some of it, and may say so.
    let _ = within(6 * SECOND, "close", host.close()).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_lost_in_mid_command_makes_the_host_dirty() -> Result<()> {
    let place = Place::sshd();
    let host = place.host();
    // While idle, nothing is left.
    host.run("true").await?.ok()?;
    kill_connections(&place);
    until("the loss is seen", 5 * SECOND, || !host.is_dirty()).await;
    let _ = host.run("true").await?;
    place.answers().await?;
    assert!(host.dirt().len() <= 1, "at most the command that met the loss");
    host.clear_dirt();

    let sleeper = Sleeper::new();
    let cut = async {
        sleeper.runs().await;
        kill_connections(&place);
    };
    let (status, ()) = tokio::join!(host.run(sleeper.command()).timeout("60s").into_future(), cut);
    let status = status?.only()?;
    assert!(status.left_running() && status.status == Status::Error, "{status:?}");
    let cause = status.cause().unwrap_or_default();
    assert!(cause.contains("connection was lost") && cause.contains("may still run"), "{cause}");
    assert_eq!(host.dirt().len(), 1);
    assert!(
        host.dirt()[0].to_string().starts_with(&format!("`{}` [session default] may still run: ", sleeper.command()))
    );
    host.close().await
}

/// Documented: what leaves its process group is not ours to find, and no dirt.
#[tokio::test(flavor = "multi_thread")]
async fn what_escapes_by_setsid_is_not_found() -> Result<()> {
    let host = Host::local();
    let sleeper = Sleeper::new();
    let script = format!("setsid {} >/dev/null 2>&1 </dev/null & sleep 100", sleeper.command());
    let run = host.run(&*script).timeout("1s").await?.only()?;
    assert!(run.timed_out && !run.left_running() && !host.is_dirty(), "{run:?}");
    host.close().await?;
    assert_eq!(sleeper.count(), 1, "it is still there, and nobody says so");
    Ok(())
}

/// The limit of a command holds for opening its shell.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_bounds_the_opening_of_the_shell() -> Result<()> {
    let place = Place::over(Sshd::builder().config("ForceCommand sleep 15").start());
    let asked = Instant::now();
    let error = place.host().run("true").timeout("1s").await.unwrap_err();
    assert!(asked.elapsed() < 3 * SECOND, "{:?}", asked.elapsed());
    assert_eq!(error.phase(), Some(otto::Phase::Shell), "{error:?}");
    assert!(error.to_string().contains("within the command's limit of 1s"), "{error}");

    // What accepts connections and is silent.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let host = Host::ssh("127.0.0.1").id("silent").port(port).user("x").password("yyyy").insecure().build();
    let asked = Instant::now();
    let error = host.run("true").timeout(SECOND).await.unwrap_err();
    assert!(asked.elapsed() < 3 * SECOND, "{:?}", asked.elapsed());
    assert_eq!(error.phase(), Some(otto::Phase::Banner), "{error:?}");
    let asked = Instant::now();
    let one = host.oneshot("true").timeout(SECOND).await?;
    assert!(asked.elapsed() < 3 * SECOND, "{:?}", asked.elapsed());
    assert!(one.timed_out && one.cause().is_some_and(|cause| cause.contains("not seen to start")), "{one:?}");
    within(3 * SECOND, "close", host.close()).await?;
    // Whatever is asked of that server sleeps, a kill too, and so nobody can see it end: which closing says.
    let error = within(6 * SECOND, "close", place.host().close()).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    Ok(())
}
