//! Every future of a host, dropped after its n-th poll, for every n up to its end: the next command is right, no process is
//! left, and no descriptor.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use otto::{Host, Result};
use otto_tests::leaks::Snapshot;
use otto_tests::sshd::Sshd;

/// Polls a future `polls` times at the most; what it gave, or `None` when it was dropped before.
async fn dropped_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            // The last poll was one too few: what it waits for may come, but nobody looks.
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Drops what `start` makes after each number of polls until it ends by itself; after each, the host has to be right.
async fn sweep<F, T>(host: &Host, what: &str, mut start: impl FnMut(Host) -> F) -> Result<()>
where
    F: Future<Output = T>,
{
    for polls in 0..200 {
        let ended = dropped_after(polls, start(host.clone())).await.is_some();
        let begun = Instant::now();
        let next = host.run(format!("echo after {polls}")).await?.only()?;
        assert_eq!(next.output, format!("after {polls}"), "{what} dropped after poll {polls}: {next:?}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{what}, poll {polls}: {:?}", begun.elapsed());
        if ended {
            return Ok(());
        }
    }
    panic!("{what} took more than 200 polls");
}

async fn sweep_all(host: Host) -> Result<()> {
    sweep(&host, "run", |host| async move { host.run("echo some output; sleep 0.02; echo more").await }).await?;
    sweep(&host, "run of a list", |host| async move { host.run(["echo a", "echo b", "echo c"]).await }).await?;
    sweep(&host, "run with an answer", |host| async move {
        host.run("read -p 'name? ' n; echo hi $n").expects([(r"name\? ", "bob\n")]).await
    })
    .await?;
    sweep(&host, "run apart", |host| async move { host.run("echo a; echo b >&2").separate_stderr().await }).await?;
    sweep(&host, "oneshot", |host| async move { host.oneshot("cat; sleep 0.02").stdin("in").await }).await?;
    sweep(&host, "open_session", |host| async move {
        let session = host.open_session("swept").await?;
        session.run("true").await?;
        session.close().await
    })
    .await?;
    sweep(&host, "send and expect", |host| async move {
        host.send("echo typed\n").await?;
        host.expect("typed\n").await
    })
    .await?;
    // After a close the first use connects: each round drops that at another moment.
    sweep(&host, "close and connect", |host| async move {
        host.close().await?;
        host.run("true").await
    })
    .await?;
    host.close().await
}

/// One after the other, because descriptors are counted for the whole process.
#[tokio::test(flavor = "multi_thread")]
async fn dropped_futures_leave_a_right_host_and_nothing_else() -> Result<()> {
    local().await?;
    ssh().await
}

async fn local() -> Result<()> {
    // What the runtime itself needs (a signal pipe, an I/O driver) is there before it is counted.
    Host::local().run("true").await?;
    let before = Snapshot::take();
    sweep_all(Host::local()).await?;
    before.assert_same_within(Duration::from_secs(5));
    Ok(())
}

async fn ssh() -> Result<()> {
    let server = Sshd::start();
    let before = Snapshot::take_with_roots([server.pid()]);
    let host = Host::ssh("127.0.0.1")
        .port(server.port())
        .user(server.user())
        .host_key(server.host_key())
        .key_file(server.key_file())
        .build();
    sweep_all(host).await?;
    before.assert_same_within(Duration::from_secs(8));
    Ok(())
}
