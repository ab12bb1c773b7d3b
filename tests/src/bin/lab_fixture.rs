//! A suite as a user writes it, whose tests leave all sorts of things running on the hosts of the lab `bed`, and end in
//! every way. `tests/suite_*.rs` run it as a child and look at what is left.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use otto::prelude::*;
use otto::{Error, ErrorKind, Result};
use otto_tests::leaks::Snapshot;

/// A variable that the parent has set.
fn given(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// Leaves commands, named sessions and oneshots under way on every host, in tasks that outlive the test.
async fn occupy(ctx: &OttoContext) -> Result<()> {
    let nap = given("OTTO_TEST_NAP");
    let mut hosts = ctx.all_hosts();
    hosts.push(ctx.get_host("local")?);
    for host in hosts {
        host.run("true").await?.ok()?;
        let run = host.run(&*nap).timeout(Duration::from_secs(600));
        tokio::spawn(run.into_future());
        for name in ["one", "two"] {
            let session = host.open_session(name).await?;
            let nap = nap.clone();
            tokio::spawn(async move { session.run(format!("{nap}; true")).timeout(Duration::from_secs(600)).await });
        }
        // Before those that do not end, which may take all the room that the server has.
        host.oneshot("true").await?.ok()?;
        // One that ignores what a hang-up sends, one with a job of its own, one whose shell has another below it.
        for command in [format!("trap '' HUP TERM; {nap}"), format!("{nap} & wait"), format!("sh -c '{nap}; true'")] {
            tokio::spawn(host.oneshot(command).into_future());
        }
    }
    // Until those have begun as well.
    tokio::time::sleep(Duration::from_millis(300)).await;
    Ok(())
}

async fn for_ever() {
    tokio::time::sleep(Duration::from_secs(600)).await;
}

/// The first and the last test, with one thread, look at the process itself.
static BEFORE: OnceLock<Snapshot> = OnceLock::new();

mod a_first {
    use super::{BEFORE, Duration, OttoContext, Result, Snapshot};

    #[otto::test(lab = "bed")]
    async fn counts(ctx: OttoContext) -> Result<()> {
        // What a process opens once and keeps is open after this.
        for host in ctx.all_hosts() {
            host.run("true").await?.ok()?;
            host.close().await?;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        BEFORE.get_or_init(Snapshot::take);
        Ok(())
    }
}

mod ends {
    use super::{Duration, Error, ErrorKind, OttoContext, Result, for_ever, given, occupy};

    #[otto::test(lab = "bed")]
    async fn passes(ctx: OttoContext) -> Result<()> {
        occupy(&ctx).await
    }

    #[otto::test(lab = "bed")]
    async fn fails(ctx: OttoContext) -> Result<()> {
        occupy(&ctx).await?;
        Err(Error::new(ErrorKind::Invalid, "no route to the peer"))
    }

    #[otto::test(lab = "bed")]
    async fn panics_at_once(ctx: OttoContext) {
        for host in ctx.all_hosts() {
            tokio::spawn(host.run(given("OTTO_TEST_NAP")).timeout(Duration::from_secs(600)).into_future());
        }
        panic!("before any await");
    }

    #[otto::test(lab = "bed")]
    async fn panics_later(ctx: &OttoContext) {
        occupy(ctx).await.unwrap();
        panic!("after an await");
    }

    #[otto::test(lab = "bed", timeout = "3s")]
    async fn times_out(ctx: OttoContext) -> Result<()> {
        occupy(&ctx).await?;
        for_ever().await;
        Ok(())
    }

    #[otto::test(lab = "bed", timeout = "3s")]
    async fn blocks(ctx: OttoContext) -> Result<()> {
        occupy(&ctx).await?;
        std::thread::sleep(Duration::from_secs(600));
        Ok(())
    }

    #[otto::test(lab = "bed")]
    #[should_panic(expected = "as it should")]
    async fn should_panic(ctx: OttoContext) {
        occupy(&ctx).await.unwrap();
        panic!("as it should");
    }

    #[otto::test(lab = "bed")]
    #[ignore = "needs the new PSU"]
    async fn is_ignored(ctx: OttoContext) -> Result<()> {
        occupy(&ctx).await
    }
}

mod waits {
    use super::{Duration, OttoContext, Path, Result, for_ever, given, occupy};

    #[otto::test(lab = "bed")]
    async fn for_a_signal(ctx: OttoContext) -> Result<()> {
        occupy(&ctx).await?;
        eprintln!("waiting");
        for_ever().await;
        Ok(())
    }

    #[otto::test(lab = "bed")]
    async fn deaf(ctx: OttoContext) -> Result<()> {
        occupy(&ctx).await?;
        eprintln!("waiting");
        std::thread::sleep(Duration::from_secs(600));
        Ok(())
    }

    #[otto::test(lab = "bed")]
    async fn not_begun() {
        eprintln!("not_begun was begun");
    }

    /// Passes when the parent says so, so that it knows when the hosts are being closed.
    #[otto::test(lab = "bed")]
    async fn until_told(ctx: OttoContext) -> Result<()> {
        occupy(&ctx).await?;
        eprintln!("waiting");
        let go = given("OTTO_TEST_GO");
        while !Path::new(&go).exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Hangs in connecting, if the parent has made a host that lets it.
    #[otto::test(lab = "hangs")]
    async fn to_connect(ctx: OttoContext) -> Result<()> {
        eprintln!("waiting");
        ctx.get_host("mute")?.run("true").await?.ok()?;
        Ok(())
    }
}

mod bad {
    use super::{Duration, OttoContext, Result, given};

    #[otto::test(lab = "bed")]
    async fn probe(ctx: OttoContext) -> Result<()> {
        ctx.get_host("server")?.run("true").await?.ok()?;
        Ok(())
    }

    #[otto::test(lab = "bed")]
    async fn unknown_host(ctx: OttoContext) -> Result<()> {
        ctx.get_host("sevrer")?.run("true").await?.ok()?;
        Ok(())
    }

    #[otto::test(lab = "bed")]
    async fn closed_session(ctx: OttoContext) -> Result<()> {
        let session = ctx.get_host("server")?.open_session("worker").await?;
        session.close().await?;
        session.run("echo too late").await?.ok()?;
        Ok(())
    }

    #[otto::test(lab = "bed")]
    async fn cut_off(ctx: OttoContext) -> Result<()> {
        let host = ctx.get_host("server")?;
        host.run("true").await?.ok()?;
        eprintln!("waiting");
        host.run(format!("echo begun; {}", given("OTTO_TEST_NAP"))).timeout(Duration::from_secs(60)).await?.ok()?;
        Ok(())
    }
}

/// What shows a password, which the parent has given to a host of the lab `secret`.
mod secret {
    use super::{Error, ErrorKind, OttoContext, Result, given};

    async fn password(ctx: &OttoContext) -> Result<String> {
        let command = format!("echo {}", given("OTTO_TEST_SECRET"));
        Ok(ctx.get_host("box")?.run(command).await?.ok()?.only()?.output)
    }

    #[otto::test(lab = "secret")]
    async fn panics(ctx: OttoContext) {
        let password = password(&ctx).await.unwrap();
        panic!("a panic with {password} in it");
    }

    #[otto::test(lab = "secret")]
    async fn asserts(ctx: OttoContext) {
        assert_eq!(password(&ctx).await.unwrap(), "another");
    }

    #[otto::test(lab = "secret")]
    async fn fails(ctx: OttoContext) -> Result<()> {
        Err(Error::new(ErrorKind::Invalid, format!("an error with {} in it", password(&ctx).await?)))
    }

    #[otto::test(lab = "secret")]
    #[should_panic(expected = "of-the-box")]
    async fn should_panic(ctx: OttoContext) {
        panic!("{}", password(&ctx).await.unwrap());
    }
}

mod z_last {
    use super::{BEFORE, Duration, Result};

    #[otto::test(lab = "bed")]
    async fn counts() -> Result<()> {
        if let Some(before) = BEFORE.get() {
            before.assert_same_within(Duration::from_secs(5));
            eprintln!("as before");
        }
        Ok(())
    }
}

otto::main!();
