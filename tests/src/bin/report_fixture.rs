//! A suite of which reports are made; `tests/reports.rs` and `tests/progress.rs` run it as a child.

#![expect(clippy::print_stdout, reason = "tests print, and progress must bear it")]

use std::time::Duration;

use otto::Result;
use otto::prelude::*;

mod ok {
    use super::{OttoContext, Result};

    #[otto::test(lab = "local")]
    async fn passes(ctx: OttoContext) -> Result<()> {
        let host = ctx.get_host("local")?;
        host.run(["echo one", "seq 3"]).await?.ok()?;
        host.oneshot("uname -s").await?.ok().map(drop)
    }

    #[otto::test(lab = "local")]
    async fn runs_nothing(_ctx: OttoContext) {}

    #[otto::test(lab = "sim")]
    async fn over_ssh(ctx: OttoContext) -> Result<()> {
        ctx.run_on_all_hosts("uname -n").pattern("sim[12]").await?;
        Ok(())
    }

    #[otto::test(lab = "local")]
    #[ignore = "needs the new PSU"]
    async fn is_ignored(_ctx: OttoContext) {}
}

mod bad {
    use super::{Duration, OttoContext, Result};

    #[otto::test(lab = "local")]
    async fn command(ctx: OttoContext) -> Result<()> {
        let host = ctx.get_host("local")?;
        host.run("true").await?.ok()?;
        host.run("printf 'no rule\\nto make it\\n' >&2; (exit 3)").await?.ok()?;
        Ok(())
    }

    #[otto::test(lab = "local")]
    async fn assertion(ctx: OttoContext) -> Result<()> {
        let status = ctx.get_host("local")?.run("echo 41").await?.only()?;
        assert_eq!(status.output, "42", "the answer");
        Ok(())
    }

    #[otto::test(lab = "local", timeout = "1500ms")]
    async fn stuck(ctx: OttoContext) -> Result<()> {
        let host = ctx.get_host("local")?;
        let session = host.open_session("worker").await?;
        tokio::spawn(async move { session.run("echo at work; sleep 4321").timeout("60s").await });
        tokio::spawn(host.oneshot("sleep 4322").into_future());
        tokio::time::sleep(Duration::from_millis(200)).await;
        host.run("echo waiting; sleep 4323").timeout("60s").await?.ok()?;
        Ok(())
    }

    /// What a host writes must break out of no report.
    #[otto::test(lab = "local")]
    async fn hostile(ctx: OttoContext) -> Result<()> {
        let write = r#"printf '%s\n' '</script><img src=x onerror="document.title=1">]]>&amp;'; printf '\033[31m\001\377\376\000\n'; false"#;
        ctx.get_host("local")?.run(write).await?.ok()?;
        Ok(())
    }
}

/// For retries and iterations.
mod unsure {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::{OttoContext, Result};

    /// Fails when it is run first, and each fifth time.
    #[otto::test(lab = "local", tags("unsure"))]
    async fn now_and_then(ctx: OttoContext) -> Result<()> {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let code = u8::from(RUNS.fetch_add(1, Ordering::Relaxed).is_multiple_of(5));
        ctx.get_host("local")?.run(format!("echo round; (exit {code})")).await?.ok()?;
        Ok(())
    }
}

/// For the live lines: names that are long, output of its own, and time to look.
mod slow {
    use super::{Duration, OttoContext, Result};

    #[otto::test(lab = "local")]
    async fn one(ctx: OttoContext) -> Result<()> {
        for n in 0..6 {
            println!("printed by the test {n}");
            eprintln!("said by the test {n}");
            ctx.get_host("local")?.run("echo one; sleep 0.4").await?.ok()?;
        }
        Ok(())
    }

    #[otto::test(lab = "local")]
    async fn two(ctx: OttoContext) -> Result<()> {
        ctx.get_host("local")?.run("echo two; sleep 2.5").await?.ok()?;
        Ok(())
    }

    #[otto::test(lab = "local")]
    async fn three(_ctx: OttoContext) {
        tokio::time::sleep(Duration::from_millis(1800)).await;
    }

    /// Until somebody sends a signal.
    #[otto::test(lab = "local")]
    async fn for_ever(ctx: OttoContext) -> Result<()> {
        // A blocked thread is left by the second signal only.
        ctx.get_host("local")?.run("sleep 4324").timeout("600s").await?.ok()?;
        Ok(())
    }
}

otto::main!();
