//! Servers that die or freeze, giving up, and closing.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::transport::{Connector, Inlet};

use super::super::SshConnector;
use super::super::testbed::{self, Sshd};
use super::{eventually, exec, output, run, to_end, write};

#[tokio::test(flavor = "multi_thread")]
async fn giving_up_at_any_moment_leaves_nothing() {
    let sshd = Sshd::start();
    let connector = SshConnector::new(sshd.target());
    let _ = output(&connector, "true").await;
    let idle = sshd.descendants().len();
    for step in 0..60 {
        let limit = Duration::from_micros(step * 400);
        let _ = timeout(limit, connector.open_shell()).await;
        let _ = timeout(limit, connector.exec(exec("sleep 45"))).await;
    }
    eventually("all end", || sshd.descendants().len() <= idle).await;
    // All places are free again.
    let mut shells = Vec::new();
    for _ in 0..4 {
        shells.push(connector.open_shell().await.unwrap());
        assert_eq!(output(&connector, "echo x").await, "x\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_seen_at_once_and_the_next_use_dials_again() {
    let sshd = Sshd::start();
    let connector = SshConnector::new(sshd.target());
    let mut shell = connector.open_shell().await.unwrap();
    let mut process = connector.exec(exec("sleep 50")).await.unwrap();
    write(&mut shell, Inlet::Commands, b"sleep 51\n").await;
    sleep(Duration::from_millis(100)).await;
    let left = sshd.descendants();
    // The process that serves the connection; what it started is left to itself.
    for pid in
        sshd.descendants().into_iter().filter(|pid| testbed::stat(*pid).is_some_and(|(_, parent)| parent == sshd.pid()))
    {
        Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
    }
    let started = Instant::now();
    for transport in [&mut shell, &mut process] {
        let (_, ending) = to_end(transport).await;
        assert!(ending.lost.as_deref().is_some_and(|why| why.starts_with("the host closed the connection")));
    }
    // A busy machine takes its time to schedule all who are concerned; keepalives would take 15 s.
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(output(&connector, "echo again").await, "again\n");
    for left in left {
        let _ = Command::new("kill").args(["-KILL", &left.to_string()]).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_is_found() {
    let sshd = Sshd::start();
    let mut target = sshd.target();
    target.keepalive.interval = Duration::from_secs(1);
    let connector = SshConnector::new(target);
    let mut shell = connector.open_shell().await.unwrap();
    let serving = sshd.descendants();
    for pid in &serving {
        Command::new("kill").args(["-STOP", &pid.to_string()]).status().unwrap();
    }
    let started = Instant::now();
    let (_, ending) = to_end(&mut shell).await;
    let reason = ending.lost.unwrap();
    assert!(reason.contains("does not answer"), "{reason}");
    assert!(started.elapsed() < Duration::from_secs(6));
    let started = Instant::now();
    shell.close().await;
    connector.close().await;
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_is_bounded_idempotent_and_not_final() {
    let sshd = Sshd::start();
    let connector = SshConnector::new(sshd.target());
    connector.close().await;
    let mut process = connector.exec(exec("trap '' TERM HUP INT; sleep 60")).await.unwrap();
    let started = Instant::now();
    tokio::join!(connector.close(), connector.close());
    assert!(started.elapsed() < Duration::from_secs(2));
    assert_eq!(to_end(&mut process).await.1.lost.as_deref(), Some("it was closed on this side"));
    eventually("all end", || sshd.descendants().is_empty()).await;
    assert!(sshd.log().contains("Received disconnect"), "DISCONNECT was sent");
    assert_eq!(output(&connector, "echo again").await, "again\n");

    // A frozen one.
    let _process = connector.exec(exec("sleep 61")).await.unwrap();
    for pid in sshd.descendants() {
        Command::new("kill").args(["-STOP", &pid.to_string()]).status().unwrap();
    }
    let started = Instant::now();
    connector.close().await;
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_rounds_leave_nothing() {
    let sshd = Sshd::start();
    let connector = SshConnector::new(sshd.target());
    for _ in 0..100 {
        let mut shell = connector.open_shell().await.unwrap();
        assert_eq!(run(&mut shell, "echo x").await.out(), "x\n");
        shell.close().await;
    }
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 1, "one connection");
    connector.close().await;
    eventually("the server's processes end", || sshd.descendants().is_empty()).await;
    let local = format!(":{:04X}", sshd.port);
    eventually("the socket is closed", || {
        let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
        // Established (01) or half closed (08), with our end's port as the remote one.
        !table.lines().any(|line| {
            let fields: Vec<_> = line.split_ascii_whitespace().collect();
            fields.get(2).is_some_and(|remote| remote.ends_with(&local)) && matches!(fields.get(3), Some(&"01" | &"08"))
        })
    })
    .await;
}
