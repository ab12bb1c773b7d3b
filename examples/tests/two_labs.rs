//! One suite on two labs of its own. `rack` has to be reserved:
//!
//! ```text
//! cargo test -p otto-examples --test two_labs                                   # desk; rack's tests say how to select it
//! cargo test -p otto-examples --test two_labs -- --lab rack                     # refused: alice holds it
//! cargo test -p otto-examples --test two_labs -- --lab rack --as-user alice     # runs
//! ```

use otto::prelude::*;

#[otto::test(labs = ["desk", "rack"])]
async fn the_shell_counts(ctx: OttoContext) -> otto::Result<()> {
    let dut = ctx.get_host("dut")?;
    let sum = dut.run(["n=20", "echo $((n + 22))"]).await?.ok()?;
    assert_eq!(sum.statuses[1].output, "42");
    Ok(())
}

#[otto::test(lab = "desk")]
async fn probe_sees_dut(ctx: OttoContext) -> otto::Result<()> {
    let (dut, probe) = (ctx.get_host("dut")?, ctx.get_host("probe")?);
    let file = dut.run("mktemp").await?.only()?.ok()?.output;
    probe.exec_argv(["test", "-e", &file]).await?.ok()?;
    dut.exec_argv(["rm", &file]).await?.ok()?;
    Ok(())
}

#[otto::test(lab = "rack")]
async fn rack_is_ours(ctx: OttoContext) -> otto::Result<()> {
    ctx.get_host("dut")?.run("true").await?.ok()?;
    Ok(())
}

otto::main!();
