//! Hosts, contexts and many hosts over the real OpenSSH server.

use std::time::{Duration, Instant};

use otto::prelude::*;
use otto::{ErrorKind, Lab, Phase, Result};
use otto_tests::sshd::Sshd;

fn host_of(server: &Sshd) -> Host {
    Host::ssh("127.0.0.1")
        .id("made")
        .port(server.port())
        .user(server.user())
        .key_file(server.key_file())
        .host_key(server.host_key())
        .build()
}

#[tokio::test]
async fn a_host_made_by_hand_runs_closes_and_connects_again() -> Result<()> {
    let server = Sshd::start();
    let host = host_of(&server);
    let statuses = host.run(["cd /tmp", "false", "pwd"]).await?.statuses;
    assert_eq!((statuses[1].retcode, &*statuses[2].output), (Some(1), "/tmp"));
    assert_eq!(host.oneshot("cat").stdin("in").await?.output, "in");
    let (one, two) = (host.open_session("one").await?, host.open_session("two").await?);
    one.run("cd /").await?.ok()?;
    assert_eq!(two.run("cd /var; pwd").await?.only()?.output, "/var");
    assert_eq!(one.run("pwd").await?.only()?.output, "/");
    assert_eq!(host.exec_argv(["printf", "%s", "it's $HOME"]).await?.only()?.output, "it's $HOME");
    let (a, b) = tokio::join!(host.close(), host.close());
    a?;
    b?;
    assert_eq!(one.run("pwd").await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(host.run("echo again").await?.only()?.output, "again");
    host.close().await
}

#[tokio::test]
async fn one_host_that_is_down_costs_the_others_nothing() -> Result<()> {
    let server = Sshd::builder().id("up").start();
    let down = "[[hosts]]\nid = \"down\"\nip = \"127.0.0.1\"\nport = 1\nuser = \"nobody\"\n";
    let lab = Lab::from_toml(&format!("{}{down}", server.lab_toml()))?;
    otto::open_context(lab)
        .with(async |ctx| {
            let began = Instant::now();
            let results = ctx.run_on_all_hosts("echo hi").include_local(true).await?;
            assert_eq!(results.keys().collect::<Vec<_>>(), ["up", "down", "local"]);
            assert_eq!(results.failed(), ["down"]);
            assert_eq!(results["down"].as_ref().unwrap_err().phase(), Some(Phase::Tcp));
            assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
            Ok(())
        })
        .await
}

#[tokio::test]
async fn twenty_tasks_share_one_name_and_one_connection() -> Result<()> {
    let server = Sshd::start();
    let host = host_of(&server);
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let host = host.clone();
            tokio::spawn(async move { host.open_session("one").await?.run("echo $$").await?.only() })
        })
        .collect();
    let mut shells = Vec::new();
    for task in tasks {
        shells.push(task.await.unwrap()?.output);
    }
    shells.dedup();
    assert_eq!(shells.len(), 1);
    host.close().await
}
