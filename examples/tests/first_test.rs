//! The first test: on the built-in lab `sim`, whose hosts are SSH servers inside this process.

use otto::prelude::*;

#[otto::test(lab = "sim")]
async fn uptime_is_sane(ctx: OttoContext) -> otto::Result<()> {
    let host = ctx.get_host("sim1")?;
    let uptime = host.run("cat /proc/uptime").await?.only()?.ok()?;
    assert!(uptime.output.split(' ').next().is_some_and(|seconds| seconds.parse::<f64>().is_ok()));
    Ok(())
}

#[otto::test(lab = "sim")]
async fn state_stays_within_a_session(ctx: &OttoContext) -> otto::Result<()> {
    let host = ctx.get_host("sim2")?;
    let (s1, s2) = (host.open_session("worker1").await?, host.open_session("worker2").await?);
    s1.run("cd /tmp").await?.ok()?;
    s2.run("cd /var").await?.ok()?;
    assert_eq!(s1.run("pwd").await?.only()?.output, "/tmp");
    assert_eq!(s2.run("pwd").await?.only()?.output, "/var");
    Ok(())
}

#[otto::test(lab = "sim")]
async fn all_hosts_answer(ctx: OttoContext) -> otto::Result<()> {
    // `sim3` is reached over `sim-hop`, as a host behind a bastion.
    let results = ctx.run_on_all_hosts("echo $OTTO_SIM_HOST").await?;
    assert_eq!(results.keys().collect::<Vec<_>>(), ["sim1", "sim2", "sim3", "sim-hop"]);
    for (id, result) in results {
        assert_eq!(result?.only()?.ok()?.output, id);
    }
    Ok(())
}

#[otto::test(lab = "sim")]
async fn prompts_are_answered(ctx: OttoContext) -> otto::Result<()> {
    let host = ctx.get_host("sim3")?;
    let asked = host.run("read -p 'name? ' name; echo hello $name").expects([(r"name\? ", "otto\n")]).await?;
    assert_eq!(asked.only()?.ok()?.output, "name? hello otto");
    Ok(())
}

otto::main!();
