//! What is left when a context ends: nothing. Alone in its binary, because descriptors are counted for the whole process.

use std::time::Duration;

use otto::{Lab, Result};
use otto_tests::leaks::Snapshot;
use otto_tests::sshd::Sshd;

#[tokio::test]
async fn the_end_of_a_context_leaves_nothing_on_either_side() -> Result<()> {
    let server = Sshd::start();
    let lab = Lab::from_toml(&server.lab_toml())?;
    // Once before, so that what a process opens once and keeps does not count.
    for round in 0..2 {
        let before = (round == 1).then(|| Snapshot::take_with_roots([server.pid()]));
        otto::open_context(&lab)
            .with(async |ctx| {
                let host = ctx.all_hosts().remove(0);
                host.run("echo hi").await?.ok()?;
                let sleeper = host.open_session("sleeper").await?;
                let asleep = tokio::spawn(async move { sleeper.run("sleep 30").await });
                host.oneshot("true").await?.ok()?;
                tokio::time::sleep(Duration::from_millis(200)).await;
                drop(asleep);
                Ok(())
            })
            .await?;
        if let Some(before) = before {
            before.assert_same_within(Duration::from_secs(5));
        }
    }
    Ok(())
}
