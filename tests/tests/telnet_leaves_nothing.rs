//! What is left of telnet when a host is closed, dropped or cut off: nothing. Alone in its binary, because descriptors are
//! counted for the whole process.

use std::time::Duration;

use otto::Result;
use otto_tests::leaks::Snapshot;
use otto_tests::places::Sleeper;
use otto_tests::telnetd::{Kind, Telnetd};

#[tokio::test]
async fn hosts_over_telnet_leave_nothing_on_either_side() -> Result<()> {
    for kind in [Kind::Inetutils, Kind::Busybox] {
        let server = Telnetd::builder(kind).start();
        let mut before = None;
        // Once before, so that what a process opens once and keeps does not count.
        for round in 0..12 {
            if round == 1 {
                before = Some(Snapshot::take());
            }
            let host = server.host().build();
            host.run("echo hi").await?.ok()?;
            if round % 4 == 1 {
                host.open_session("other").await?.run("cd /tmp").await?.ok()?;
            }
            let sleeper = Sleeper::new();
            if round % 2 == 0 {
                drop(tokio::time::timeout(Duration::from_millis(200), host.run(sleeper.command())).await);
            }
            match round % 3 {
                0 => host.close().await?,
                1 => drop(host),
                _ if kind == Kind::Inetutils => {
                    server.kill_servers();
                    host.close().await?;
                }
                _ => host.close().await?,
            }
            sleeper.is_gone().await;
        }
        let before = before.take().expect("it was taken");
        // What was dropped closes in the background of this runtime.
        for _ in 0..100 {
            if before.difference().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        before.assert_same_within(Duration::from_secs(1));
    }
    Ok(())
}
