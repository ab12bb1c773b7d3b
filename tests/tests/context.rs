//! Contexts: what they open, what they close, and which one is active.

use std::time::Duration;

use otto::prelude::*;
use otto::{Error, ErrorKind, Lab, Result};

/// Three hosts on this machine.
fn bench() -> Lab {
    let host = |id: &str| format!("[[hosts]]\nid = \"{id}\"\nterm = \"local\"\n");
    Lab::from_toml(&format!("lab = \"bench\"\n{}{}{}", host("router1"), host("router2"), host("switch1"))).unwrap()
}

fn is_gone(pid: &str) -> bool {
    !std::path::Path::new("/proc").join(pid).exists()
}

async fn shell_of(host: &Host) -> Result<String> {
    Ok(host.run("echo $$").await?.ok()?.only()?.output)
}

#[tokio::test]
async fn every_host_is_closed_after_an_answer() -> Result<()> {
    let pids = otto::open_context(bench())
        .with(async |ctx| {
            let mut pids = Vec::new();
            for host in ctx.all_hosts() {
                pids.push(shell_of(&host).await?);
            }
            pids.push(shell_of(&ctx.get_host("local")?).await?);
            Ok(pids)
        })
        .await?;
    assert_eq!(pids.len(), 4);
    assert!(pids.iter().all(|pid| is_gone(pid)), "{pids:?}");
    Ok(())
}

#[tokio::test]
async fn every_host_is_closed_after_an_error_and_a_panic() {
    let mut pid = String::new();
    let answer = otto::open_context(bench())
        .with(async |ctx| {
            pid = shell_of(&ctx.get_host("router1")?).await?;
            Err::<(), _>(Error::new(ErrorKind::Invalid, "on purpose"))
        })
        .await;
    assert_eq!(answer.unwrap_err().to_string(), "on purpose");
    assert!(is_gone(&pid));

    let (sender, receiver) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(otto::open_context(bench()).with(async |ctx| {
        let _ = sender.send(shell_of(&ctx.get_host("router1")?).await?);
        assert!(ctx.is_dry_run(), "on purpose");
        Ok(())
    }));
    assert!(task.await.unwrap_err().is_panic());
    assert!(is_gone(&receiver.await.unwrap()));
}

#[tokio::test]
async fn every_host_is_closed_when_the_future_is_dropped() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let work = otto::open_context(bench()).with(async |ctx| {
        let _ = sender.send(shell_of(&ctx.get_host("router1")?).await?);
        ctx.get_host("router1")?.run("sleep 20").await?.ok()
    });
    assert!(tokio::time::timeout(Duration::from_secs(1), work).await.is_err());
    let pid = receiver.await.unwrap();
    for _ in 0..100 {
        if is_gone(&pid) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the shell {pid} still runs");
}

#[tokio::test]
async fn by_hand_it_is_closed_for_good() -> Result<()> {
    let ctx = otto::open_context(bench()).open().await?;
    let (host, clone) = (ctx.get_host("router2")?, ctx.clone());
    let pid = shell_of(&host).await?;
    let (one, two) = tokio::join!(ctx.close(), clone.close());
    one?;
    two?;
    ctx.close().await?;
    assert!(is_gone(&pid));
    let error = host.run("true").await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("router2: the context of this host was closed [session default]\n  hint: "), "{text}");
    Ok(())
}

#[tokio::test]
async fn an_adopted_host_is_closed_too_and_stays_the_users() -> Result<()> {
    let host = Host::local();
    let pid = otto::open_context(bench())
        .with(async |ctx| {
            ctx.scope().register(&host);
            shell_of(&host).await
        })
        .await?;
    assert!(is_gone(&pid));
    host.run("true").await?.ok()?;
    host.close().await
}

#[tokio::test]
async fn an_unknown_id_lists_the_ids_nearest_first() -> Result<()> {
    let ctx = otto::open_context(bench()).open().await?;
    let error = ctx.get_host("swich1").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Host);
    let text = error.to_string();
    assert!(text.contains("lab `bench` has no host `swich1`") && text.contains("switch1, router1, router2"), "{text}");
    Ok(())
}

#[tokio::test]
async fn hosts_are_matched_in_full_and_in_lab_order() -> Result<()> {
    let ctx = otto::open_context(bench()).open().await?;
    let ids = |hosts: Vec<Host>| hosts.iter().map(|host| host.id().to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(ctx.all_hosts()), ["router1", "router2", "switch1"]);
    assert_eq!(ids(ctx.hosts_matching("router.*")?), ["router1", "router2"]);
    assert_eq!(ctx.hosts_matching("router").unwrap_err().kind(), ErrorKind::Host);
    assert_eq!(ctx.hosts_matching("(").unwrap_err().kind(), ErrorKind::Invalid);
    Ok(())
}

#[tokio::test]
async fn the_active_context_is_that_of_the_task() -> Result<()> {
    assert_eq!(otto::get_context().unwrap_err().kind(), ErrorKind::Invalid);
    otto::open_context(bench())
        .with(async |ctx| {
            assert_eq!(otto::get_context()?.lab().name(), "bench");
            assert_eq!(otto::all_hosts()?.len(), 3);
            assert_eq!(otto::get_host("router1")?.id(), "router1");
            let inside = otto::do_for_all_hosts(|_| async { Ok(otto::get_context()?.all_hosts().len()) }).await?;
            assert_eq!(inside.ok()?["switch1"], 3);
            // A context's own closures have that context, wherever they are called from.
            let of_task = tokio::spawn(async move {
                ctx.do_for_all_hosts(|_| async { Ok(otto::get_context()?.lab().name().to_owned()) }).await
            });
            assert_eq!(of_task.await.unwrap()?.ok()?["router1"], "bench");
            Ok(())
        })
        .await?;
    assert!(otto::try_get_context().is_none());
    Ok(())
}

#[tokio::test]
async fn a_dry_run_contacts_nothing() -> Result<()> {
    let ctx = otto::open_context(bench()).dry_run(true).open().await?;
    assert!(ctx.is_dry_run());
    let results = ctx.run_on_all_hosts("reboot").include_local(true).await?;
    assert_eq!(results.len(), 4);
    assert_eq!(results.failed().len(), 4);
    assert!(results.values().all(|one| one.as_ref().is_ok_and(|one| one.status == Status::NotRun)));
    assert!(!ctx.all_hosts().iter().any(Host::has_live_sessions));
    ctx.close().await
}

#[tokio::test]
async fn transcripts_tell_commands_and_output_and_no_secret() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    otto::open_context(bench())
        .output_dir(folder.path())
        .log_command_output(true)
        .with(async |ctx| {
            assert_eq!(ctx.output_dir(), Some(folder.path()));
            let host = ctx.get_host("router1")?;
            host.run("echo shown").await?.ok()?;
            host.run("echo quiet$((1+1))").log(LogMode::Quiet).await?.ok()?;
            host.run("echo never").log(LogMode::Never).await?.ok()?;
            host.oneshot("echo alone").await?.ok()?;
            host.oneshot("echo never").log(LogMode::Never).await?.ok()?;
            host.open_session("w/1").await?.run("false").await?;
            Ok(())
        })
        .await?;
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let text = read("router1.default.log");
    assert!(text.contains("] $ echo shown\n") && text.contains(" | shown\n["), "{text}");
    assert!(
        text.contains("] = exit 0 after ") && text.contains("] $ echo quiet$((1+1))\n[") && !text.contains("quiet2"),
        "{text}"
    );
    assert!(!text.contains("never"), "{text}");
    let text = read("router1.oneshot.log");
    assert!(text.contains("] $ echo alone\n") && text.contains(" | alone\n[") && !text.contains("never"), "{text}");
    assert!(read("router1.w%2F1.log").contains("] = exit 1 after "));
    Ok(())
}
