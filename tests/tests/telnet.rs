//! Telnet to the real servers of inetutils and BusyBox.

use std::time::{Duration, Instant};

use otto::prelude::*;
use otto::{Phase, Result};
use otto_tests::places::{Sleeper, until};
use otto_tests::telnetd::{Kind, Telnetd};

const BOTH: [Kind; 2] = [Kind::Inetutils, Kind::Busybox];

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

async fn output(host: &Host, command: &str) -> Result<String> {
    Ok(host.run(command).await?.only()?.ok()?.output.clone())
}

#[tokio::test]
async fn commands_run_and_state_stays() -> Result<()> {
    for kind in BOTH {
        let server = Telnetd::builder(kind).start();
        let host = server.host().build();
        let began = Instant::now();
        assert_eq!(output(&host, "echo hi").await?, "hi", "{kind:?}");
        eprintln!("{kind:?}: connected and ran after {:?}", began.elapsed());
        let statuses = host.run(["cd /tmp; x=5", "false", "echo $PWD $x"]).await?.statuses;
        assert_eq!((statuses[1].retcode, &*statuses[2].output), (Some(1), "/tmp 5"), "{kind:?}");
        assert_eq!(output(&host, "printf 'h\\303\\251llo'; echo ' w\u{f6}rld'").await?, "h\u{e9}llo w\u{f6}rld", "{kind:?}");
        let began = Instant::now();
        for round in 0..50 {
            assert_eq!(output(&host, &format!("echo {round}")).await?, round.to_string());
        }
        eprintln!("{kind:?}: {:?} a command", began.elapsed() / 50);
        host.close().await?;
        until("nothing runs there", seconds(5), || server.sessions().is_empty()).await;
        assert_eq!(output(&host, "echo again").await?, "again", "{kind:?}");
        host.close().await?;
    }
    Ok(())
}
