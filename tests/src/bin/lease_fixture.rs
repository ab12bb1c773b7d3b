//! A suite whose tests hold hosts of the lab `bench`, each until its parent says `go`; `tests/leases_run.rs` runs it in several
//! processes at once.

use std::path::PathBuf;
use std::time::Duration;

use otto::prelude::*;

/// Says that it is at it, and goes on until the parent has made the file.
async fn until_go(name: &str) {
    eprintln!("{name} has it");
    let go = PathBuf::from(std::env::var_os("OTTO_TEST_GO").expect("OTTO_TEST_GO is set"));
    while !go.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    eprintln!("{name} is done");
}

#[otto::test(lab = "bench", hosts("router1"))]
async fn one(ctx: OttoContext) -> otto::Result<()> {
    ctx.get_host("router1")?.run("true").await?.ok()?;
    until_go("one").await;
    Ok(())
}

#[otto::test(lab = "bench", hosts("router2"))]
async fn other() {
    until_go("other").await;
}

#[otto::test(lab = "bench")]
async fn whole() {
    until_go("whole").await;
}

otto::main!();
