//! Limits and cancelling, on every transport: numbers are those of the list of behaviours.

use std::time::{Duration, Instant};

use otto::prelude::*;
use otto_tests::everywhere;
use otto_tests::places::{Sleeper, dropped_after, within};

const SECOND: Duration = Duration::from_secs(1);

everywhere! {
    /// 20.
    async fn a_command_is_stopped_at_its_limit(place) {
        place.run("x=kept; cd /tmp").await?.ok()?;
        let sleeper = Sleeper::new();
        let asked = Instant::now();
        let script = format!("echo start; {}; echo end", sleeper.command());
        let status = place.host().run(script).timeout("1s").await?.only()?;
        assert!(asked.elapsed() < 3 * SECOND, "{:?}", asked.elapsed());
        assert_eq!((status.status, status.timed_out, status.bytes()), (Status::Error, true, &b"start\n"[..]));
        sleeper.is_gone().await;
        let next = place.run("echo $x; pwd").await?;
        assert_eq!((&*next.output, next.state_lost), ("kept\n/tmp", false));
    }

    async fn a_last_line_without_an_end_is_there_too(place) {
        place.answers().await?;
        let status = place.host().run("printf abc; sleep 30").timeout("500ms").await?.only()?;
        assert_eq!((status.timed_out, status.bytes()), (true, &b"abc"[..]));
        place.answers().await?;
    }

    /// 21.
    async fn a_command_that_ignores_interrupts_costs_the_shell(place) {
        place.run("x=lost").await?.ok()?;
        let sleeper = Sleeper::new();
        let asked = Instant::now();
        let script = format!("trap '' INT; echo start; {}; echo end", sleeper.command());
        let status = place.host().run(script).timeout("1s").await?.only()?;
        assert!(asked.elapsed() < 3 * SECOND, "{:?}", asked.elapsed());
        assert_eq!((status.status, status.timed_out, status.bytes()), (Status::Error, true, &b"start\n"[..]));
        sleeper.is_gone().await;
        let next = place.run("echo [$x]").await?;
        assert_eq!((&*next.output, next.state_lost), ("[]", true));
        assert!(!place.answers().await?.state_lost);
    }

    async fn traps_and_loops_do_not_keep_a_command_alive(place) {
        // Connecting is not what is timed.
        place.answers().await?;
        for script in [
            "trap 'echo no' INT; while :; do sleep 0.05; done",
            "while :; do :; done",
            "while :; do sleep 0.05; done; echo end",
            "sh -c 'trap \"\" INT TERM HUP; while :; do sleep 0.05; done'",
            "for i in 1 2 3; do sleep 20; done; echo end",
            "sleep 20 | cat; echo end",
            "(sleep 20; echo end)",
            "x=$(sleep 20); echo end",
        ] {
            let asked = Instant::now();
            let status = place.host().run(script).timeout("300ms").await?.only()?;
            assert!(status.timed_out && asked.elapsed() < Duration::from_millis(2300), "{script}: {:?}", asked.elapsed());
            assert!(!status.output.contains("end"), "{script}: {status:?}");
            place.answers().await?;
        }
    }

    /// 22. More than 40 MB/s come through, so that all of it would show.
    async fn endless_output_ends_at_the_limit(place) {
        // Connecting is not what is timed.
        place.answers().await?;
        let asked = Instant::now();
        let status = place.host().run("yes").timeout("1s").await?.only()?;
        assert!(asked.elapsed() < 3 * SECOND, "{:?}", asked.elapsed());
        assert!(status.timed_out && status.truncated, "{} bytes, {:?}", status.bytes().len(), status.cause());
        assert_eq!(status.bytes().len(), 16 << 20);
        place.answers().await?;
        place.host().oneshot("true").await?.ok()?;
        let asked = Instant::now();
        let status = place.host().oneshot("yes").timeout("1s").await?;
        assert!(asked.elapsed() < 3 * SECOND, "{:?}", asked.elapsed());
        // A slow machine may not get so far in a second.
        let full = status.bytes().len() == 16 << 20;
        assert!(status.timed_out && status.truncated == full, "{} bytes", status.bytes().len());
        assert!(status.bytes().starts_with(b"y\ny\n") || full);
    }

    /// 23.
    async fn nothing_of_a_list_runs_after_a_limit(place) {
        place.answers().await?;
        let folder = tempfile::tempdir().unwrap();
        let third = format!("touch {}/ran", folder.path().display());
        let result = place.host().run(["echo one", "sleep 30", &third]).timeout("500ms").await?;
        let statuses: Vec<_> = result.statuses.iter().map(|one| one.status).collect();
        assert_eq!(statuses, [Status::Success, Status::Error, Status::NotRun]);
        place.answers().await?;
        assert!(!folder.path().join("ran").exists());
    }

    /// 24.
    async fn a_dropped_run_leaves_no_process_and_a_session_in_order(place) {
        place.run("x=kept").await?.ok()?;
        for millis in [0, 1, 3, 10, 30, 200] {
            let sleeper = Sleeper::new();
            let script = format!("echo start; {}; echo end", sleeper.command());
            let run = place.host().run(script).timeout("30s").into_future();
            assert!(dropped_after(Duration::from_millis(millis), run).await);
            place.answers().await?;
            sleeper.is_gone().await;
            let next = place.run("echo $x").await?;
            assert_eq!((&*next.output, next.state_lost), ("kept", false), "dropped after {millis} ms");
        }
        let sleeper = Sleeper::new();
        let run = place.host().run(format!("trap '' INT; {}", sleeper.command())).into_future();
        assert!(dropped_after(SECOND / 5, run).await);
        place.answers().await?;
        sleeper.is_gone().await;
    }

    /// 24, with the shell not there yet: during connect, login, handshake.
    async fn a_run_dropped_while_it_connects_leaves_nothing(place) {
        for millis in [0, 1, 2, 5, 10, 20, 40, 60, 100, 150] {
            let host = place.another();
            let sleeper = Sleeper::new();
            let run = host.run(format!("x=1; {}", sleeper.command())).timeout("30s").into_future();
            assert!(dropped_after(Duration::from_millis(millis), run).await);
            let asked = Instant::now();
            let status = host.run("echo ok").await?.only()?;
            assert!(status.output == "ok" && asked.elapsed() < 2 * SECOND, "{millis} ms: {status:?} {:?}", asked.elapsed());
            sleeper.is_gone().await;
            host.close().await?;
        }
    }

    async fn a_dropped_list_runs_no_more_of_itself(place) {
        let folder = tempfile::tempdir().unwrap();
        let sleeper = Sleeper::new();
        let list = ["true".to_owned(), sleeper.command().to_owned(), format!("touch {}/ran", folder.path().display())];
        assert!(dropped_after(SECOND / 3, place.host().run(list).into_future()).await);
        place.answers().await?;
        sleeper.is_gone().await;
        assert!(!folder.path().join("ran").exists());
    }

    async fn who_queued_behind_a_dropped_run_is_right(place) {
        place.answers().await?;
        let sleeper = Sleeper::new();
        let first = place.host().run(sleeper.command()).into_future();
        let (dropped, second, third) = tokio::join!(
            dropped_after(SECOND / 5, first),
            async { within(3 * SECOND, "the second", place.run("echo two")).await },
            async { within(3 * SECOND, "the third", place.run("echo three")).await },
        );
        assert!(dropped);
        assert_eq!((&*second?.output, &*third?.output), ("two", "three"));
        sleeper.is_gone().await;
    }

    /// 25.
    async fn a_oneshot_is_killed_at_its_limit_and_when_it_is_dropped(place) {
        place.host().oneshot("true").await?.ok()?;
        let sleeper = Sleeper::new();
        let asked = Instant::now();
        let status = place.host().oneshot(format!("echo start; {}", sleeper.command())).timeout("1s").await?;
        // On telnet the proof that it is gone takes a second login.
        let bound = if place.name == "telnet" { 3 } else { 2 };
        assert!(asked.elapsed() < bound * SECOND, "{:?}", asked.elapsed());
        assert_eq!((status.status, status.timed_out, &*status.output), (Status::Error, true, "start"));
        sleeper.is_gone().await;
        let stubborn = Sleeper::new();
        let script = format!("trap '' INT TERM HUP; {} & {}; wait", stubborn.command(), stubborn.command());
        let status = place.host().oneshot(script).timeout("500ms").await?;
        assert!(status.timed_out, "{status:?}");
        stubborn.is_gone().await;
        for millis in [0, 2, 10, 50, 200] {
            let sleeper = Sleeper::new();
            let run = place.host().oneshot(sleeper.command()).into_future();
            assert!(dropped_after(Duration::from_millis(millis), run).await);
            assert_eq!(place.host().oneshot("echo ok").await?.output, "ok");
            sleeper.is_gone().await;
        }
    }

    /// 26.
    async fn what_is_no_limit_is_refused_where_it_is_said(place) {
        for limit in [0.0, -1.0, f64::NAN, f64::NEG_INFINITY] {
            assert!(place.host().run("true").timeout(limit).await.is_err());
            assert!(place.host().oneshot("true").timeout(limit).await.is_err());
        }
        assert!(!place.host().has_live_sessions());
        place.host().run("true").timeout(f64::INFINITY).await?.ok()?;
        place.host().oneshot("true").timeout(f64::INFINITY).await?.ok()?;
        place.host().run("true").timeout(Duration::MAX).await?.ok()?;
    }
}
