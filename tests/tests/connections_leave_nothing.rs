//! Connections that are made and closed again and again leave nothing. Alone in its binary, because descriptors and tasks
//! are counted for the whole process.

use std::time::Duration;

use otto::Result;
use otto_tests::leaks::Snapshot;
use otto_tests::places::{Place, Server, until};

/// 41. Descriptors, processes, tasks, and sshd's children, after a hundred rounds as before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_rounds_of_open_run_and_close_leave_nothing() -> Result<()> {
    for place in [Place::local(), Place::sshd()] {
        let roots = match place.server() {
            Server::Sshd(server) => vec![server.pid()],
            _ => Vec::new(),
        };
        // What a process opens once and keeps is open after this.
        round(&place).await?;
        let metrics = tokio::runtime::Handle::current().metrics();
        let tasks = settled(&metrics).await;
        let before = Snapshot::take_with_roots(roots);
        for _ in 0..100 {
            round(&place).await?;
        }
        before.assert_same_within(Duration::from_secs(10));
        until(&format!("on {} no more than {tasks} tasks are left", place.name), Duration::from_secs(10), || {
            metrics.num_alive_tasks() <= tasks
        })
        .await;
    }
    Ok(())
}

async fn round(place: &Place) -> Result<()> {
    let host = place.another();
    let session = host.open_session("named").await?;
    assert_eq!(session.run("echo hi").await?.ok()?.only()?.output, "hi");
    host.oneshot("true").await?.ok()?;
    session.close().await?;
    host.close().await
}

/// How many tasks there are when their number no longer falls.
async fn settled(metrics: &tokio::runtime::RuntimeMetrics) -> usize {
    let mut least = metrics.num_alive_tasks();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        least = least.min(metrics.num_alive_tasks());
    }
    least
}
