//! Many hosts at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use otto::prelude::*;
use otto::{ErrorKind, Lab, OttoContext, Result};

/// Four hosts on this machine.
async fn bench() -> Result<OttoContext> {
    let hosts = ["a1", "a2", "b1", "b2"].map(|id| format!("[[hosts]]\nid = \"{id}\"\nterm = \"local\"\n"));
    otto::open_context(Lab::from_toml(&format!("lab = \"bench\"\n{}", hosts.concat()))?).open().await
}

#[tokio::test]
async fn one_host_that_is_down_is_an_error_of_its_own() -> Result<()> {
    let text = "lab = \"bench\"\n\
        [[hosts]]\nid = \"up1\"\nterm = \"local\"\n\
        [[hosts]]\nid = \"down\"\nip = \"127.0.0.1\"\nport = 1\nuser = \"nobody\"\n\
        [[hosts]]\nid = \"up2\"\nterm = \"local\"\n";
    otto::open_context(Lab::from_toml(text)?)
        .with(async |ctx| {
            let results = ctx.run_on_all_hosts("echo hi").await?;
            assert_eq!(results.keys().collect::<Vec<_>>(), ["up1", "down", "up2"]);
            assert_eq!(results.failed(), ["down"]);
            assert!(results["down"].as_ref().unwrap_err().is_infrastructure());
            assert_eq!(results["up2"].as_ref().unwrap().statuses[0].output, "hi");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn an_error_or_a_panic_on_one_host_is_that_hosts_value() -> Result<()> {
    let ctx = bench().await?;
    let results = ctx
        .do_for_all_hosts(|host| {
            // Before the future too.
            assert_ne!(host.id(), "b1", "not this one");
            async move {
                tokio::task::yield_now().await;
                assert!(host.id() != "a2", "host {} is cursed", host.id());
                host.run("exit 1").await?.ok()?;
                Ok(())
            }
        })
        .await?;
    let error = results["a2"].as_ref().unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Panicked, "a2: panicked: host a2 is cursed"));
    assert_eq!(results["b1"].as_ref().unwrap_err().kind(), ErrorKind::Panicked);
    assert_eq!(results["a1"].as_ref().unwrap_err().host(), Some("a1"));
    assert_eq!(results.failed().len(), 4);
    ctx.close().await
}

#[tokio::test]
async fn an_empty_selection_says_what_emptied_it() -> Result<()> {
    let ctx = bench().await?;
    let error = ctx.run_on_all_hosts("true").pattern("x.*").await.unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Host);
    assert!(text.contains("matches the pattern `x.*`") && text.contains("a1, a2, b1, b2"), "{text}");

    let text = ctx.run_on_all_hosts("true").pattern("local").await.unwrap_err().to_string();
    assert!(text.contains("include_local(true)"), "{text}");
    let results = ctx.run_on_all_hosts("true").pattern("local").include_local(true).await?;
    assert_eq!(results.len(), 1);
    let error = ctx.do_for_all_hosts(|_| async { Ok(()) }).pattern("(").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let error = ctx.run_on_all_hosts("true").limit(0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let error = ctx.run_on_all_hosts("true").timeout(0.0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    ctx.close().await
}

#[tokio::test]
async fn so_many_at_once_and_no_more() -> Result<()> {
    let ctx = bench().await?;
    for (limit, concurrent, expected) in [(None, true, 4), (Some(3), true, 3), (None, false, 1), (Some(3), false, 1)] {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let call = |_| async {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        };
        let mut all = ctx.do_for_all_hosts(call).concurrent(concurrent);
        if let Some(limit) = limit {
            all = all.limit(limit);
        }
        let results = all.await?;
        assert_eq!(results.keys().collect::<Vec<_>>(), ["a1", "a2", "b1", "b2"]);
        assert_eq!(most.into_inner(), expected);
    }
    ctx.close().await
}

#[tokio::test]
async fn one_that_hangs_costs_its_limit_and_no_more() -> Result<()> {
    let ctx = bench().await?;
    let began = Instant::now();
    let results = ctx
        .do_for_all_hosts(|host| async move {
            if host.id() == "a1" {
                std::future::pending::<()>().await;
            }
            Ok(host.id().to_owned())
        })
        .timeout("300ms")
        .await?;
    assert!(results["a1"].as_ref().unwrap_err().is_timeout());
    assert_eq!(results.failed(), ["a1"]);

    let results = ctx.run_on_all_hosts("sleep 20").pattern("a.").timeout("300ms").await?;
    assert!(results["a2"].as_ref().unwrap().statuses[0].timed_out);
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    ctx.close().await
}

/// Counts how often one is dropped.
struct Count<'a>(&'a AtomicUsize);
impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn dropping_the_future_cancels_all() -> Result<()> {
    let ctx = bench().await?;
    let dropped = AtomicUsize::new(0);
    let all = ctx.do_for_all_hosts(|_| async {
        let _count = Count(&dropped);
        std::future::pending::<Result<()>>().await
    });
    assert!(tokio::time::timeout(Duration::from_millis(100), all).await.is_err());
    assert_eq!(dropped.load(Ordering::SeqCst), 4);
    ctx.close().await
}

#[tokio::test]
async fn results_are_a_map_that_can_be_walked() -> Result<()> {
    let ctx = bench().await?;
    let results: otto::IndexMap<String, Result<RunResult>> = ctx.run_on_all_hosts(["echo a", "echo b"]).await?;
    for (id, result) in &results {
        assert!(ctx.get_host(id).is_ok());
        assert_eq!(result.as_ref().unwrap().statuses[1].output, "b");
    }
    let values = results.ok()?;
    assert_eq!(values["b2"].statuses.len(), 2);
    ctx.close().await
}
