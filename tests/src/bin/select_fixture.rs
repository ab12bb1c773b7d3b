//! A suite as a user writes it, for the lab `bench`: tests that use some hosts of it, have tags, fail now and then.
//! `tests/select_*.rs` run it as a child.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use otto::Result;
use otto::prelude::*;

/// Says when it begins and ends, so that one sees which tests overlap.
async fn takes_a_while(name: &str) {
    eprintln!("{name} begins");
    tokio::time::sleep(Duration::from_millis(400)).await;
    eprintln!("{name} ends");
}

mod holds {
    use super::{Host, OttoContext, Result, takes_a_while};

    #[otto::test(lab = "bench", hosts("router1"), shared("dns1"))]
    async fn one() {
        takes_a_while("one").await;
    }

    #[otto::test(lab = "bench", hosts("router2"), shared("dns1"))]
    async fn other() {
        takes_a_while("other").await;
    }

    #[otto::test(lab = "bench", hosts("router1", "switch.*"))]
    async fn one_too() {
        takes_a_while("one_too").await;
    }

    #[otto::test(lab = "bench")]
    async fn the_lab() {
        takes_a_while("the_lab").await;
    }

    #[otto::test(lab = "bench", hosts(dut = "tag:arch=arm", peer = "router.*", gw = "dns1:shared"))]
    async fn by_name(ctx: &OttoContext) -> Result<()> {
        let ids = [ctx.host("dut")?, ctx.get_host("peer")?, ctx.host("gw")?].map(|host| host.id().to_owned());
        assert_eq!(ids, ["router1", "router2", "dns1"]);
        let all: Vec<_> = ctx.all_hosts().iter().map(|host| host.id().to_owned()).collect();
        assert_eq!(all, ["router1", "router2", "dns1"]);
        ctx.host("dut")?.run("true").await?.ok()?;
        ctx.get_host("local")?.run("true").await?.ok()?;
        Ok(())
    }

    #[otto::test(lab = "bench", hosts("router1"))]
    async fn undeclared(ctx: OttoContext) -> Result<()> {
        ctx.get_host("router2")?.run("true").await?.ok()?;
        Ok(())
    }

    #[otto::test(lab = "bench", hosts("ruoter1"), shared("tag:arch=amr", "("))]
    async fn nothing_fits() {}

    #[otto::test(lab = "bench", hosts(a = "switch1", b = "switch.*"))]
    async fn too_few() {}

    #[otto::test(lab = "bench", each_host = "router.*", shared("dns1"), tags("smoke"))]
    async fn each(ctx: OttoContext, host: Host) -> Result<()> {
        let all: Vec<_> = ctx.all_hosts().iter().map(|host| host.id().to_owned()).collect();
        assert_eq!(all, [host.id(), "dns1"]);
        host.run("true").await?.ok()?;
        eprintln!("each on {}", host.id());
        Ok(())
    }

    #[otto::test(lab = "bench", each_host = "ruoter.*")]
    async fn each_of_none(_host: Host) {}
}

mod tagged {
    #[otto::test(lab = "bench", tags("smoke", "bgp"))]
    async fn smoke() {}

    #[otto::test(lab = "bench", tags("slow", "bgp"))]
    async fn slow() {}
}

mod attempts {
    use super::{AtomicU32, Ordering, OttoContext, Result};
    use otto::{Error, ErrorKind};

    /// Fails at every attempt that is no multiple of `of`.
    fn fails_but_each(of: u32, made: &AtomicU32) -> Result<()> {
        let made = made.fetch_add(1, Ordering::Relaxed) + 1;
        if made.is_multiple_of(of) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Invalid, format!("no route at attempt {made}")))
    }

    #[otto::test(lab = "bench", retries = 1)]
    async fn flaky() -> Result<()> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        fails_but_each(2, &MADE)
    }

    #[otto::test(lab = "bench")]
    async fn third() -> Result<()> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        fails_but_each(3, &MADE)
    }

    #[otto::test(lab = "bench")]
    async fn passes() {}

    #[otto::test(lab = "bench", hosts("dead"))]
    async fn cannot_connect(ctx: OttoContext) -> Result<()> {
        ctx.get_host("dead")?.run("true").await?.ok()?;
        Ok(())
    }

    #[otto::test(lab = "bench", timeout = "200ms", retries = 2)]
    async fn blocks() {
        eprintln!("blocks begins");
        std::thread::sleep(super::Duration::from_secs(60));
    }
}

otto::main!();
