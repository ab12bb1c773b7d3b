//! Sessions, how they die and how they are closed, on every transport: numbers are those of the list of behaviours.

use std::time::{Duration, Instant};

use otto::ErrorKind;
use otto::prelude::*;
use otto_tests::everywhere;
use otto_tests::places::{Sleeper, dropped_after, within};

const SECOND: Duration = Duration::from_secs(1);

everywhere! {
    async fn a_shell_that_dies_unseen_is_replaced(place) {
        place.run("(sleep 0.1; kill -9 $$) & x=1").await?.ok()?;
        let pid = place.run("echo $$").await?.output.parse().unwrap();
        otto_tests::places::until("the shell is gone", 5 * SECOND, || {
            otto_tests::processes::Process::get(pid).is_none_or(|process| process.state == 'Z')
        }).await;
        let next = place.run("echo [$x]").await?;
        assert_eq!((&*next.output, next.state_lost), ("[]", true));
    }

    /// 18.
    async fn eight_runs_at_once_have_their_own_output_in_call_order(place) {
        place.run("n=0").await?.ok()?;
        let run = |name: u32| place.host().run(format!("n=$((n+1)); sleep 0.02; echo {name} $n")).into_future();
        let (a, b, c, d, e, f, g, h) = tokio::join!(run(1), run(2), run(3), run(4), run(5), run(6), run(7), run(8));
        for (at, result) in (1..).zip([a, b, c, d, e, f, g, h]) {
            assert_eq!(result?.only()?.output, format!("{at} {at}"));
        }
    }

    /// 33.
    async fn named_sessions_have_a_directory_of_their_own(place) {
        let host = place.host();
        host.run("cd /").await?.ok()?;
        let (one, two) = tokio::try_join!(host.open_session("one"), host.open_session("two"))?;
        let (a, b) = tokio::try_join!(one.run("cd /tmp").into_future(), two.run("cd /var").into_future())?;
        a.ok()?;
        b.ok()?;
        assert_eq!(one.run("pwd").await?.only()?.output, "/tmp");
        assert_eq!(two.run("pwd").await?.only()?.output, "/var");
        assert_eq!(host.run("pwd").await?.only()?.output, "/");
    }

    /// 34.
    async fn one_name_is_one_session_and_many_names_open_side_by_side(place) {
        let host = place.host();
        let open = |name: String| {
            let host = host.clone();
            tokio::spawn(async move { host.open_session(name).await?.run("echo $$").await?.only() })
        };
        let mut shells = std::collections::HashSet::new();
        for task in (0..20).map(|_| open("same".into())).collect::<Vec<_>>() {
            shells.insert(task.await.unwrap()?.output);
        }
        assert_eq!(shells.len(), 1);
        for task in (0..20).map(|n| open(format!("name{n}"))).collect::<Vec<_>>() {
            shells.insert(task.await.unwrap()?.output);
        }
        assert_eq!(shells.len(), 21);
        let session = host.open_session("same").await?;
        assert_eq!(session.run("exit 3").await?.only()?.retcode, Some(3));
        let again = host.open_session("same").await?;
        assert!(again.alive());
        assert_eq!(again.run("echo here").await?.only()?.output, "here");
        again.close().await?;
        again.close().await?;
        assert!(!again.alive());
        assert_eq!(again.run("true").await.unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(session.send("x").await.unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(session.expect("x").await.unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(host.open_session("same").await?.run("echo new").await?.only()?.output, "new");
    }

    async fn a_session_whose_opening_was_dropped_can_be_opened(place) {
        for millis in [0, 1, 5, 20, 50, 100] {
            let host = place.another();
            let _ = dropped_after(Duration::from_millis(millis), host.open_session("s")).await;
            let session = within(2 * SECOND, "open after a drop", host.open_session("s")).await?;
            assert_eq!(session.run("echo ok").await?.only()?.output, "ok");
            host.close().await?;
        }
    }

    /// 37.
    async fn closing_is_fine_at_any_moment(place) {
        let host = place.host();
        host.close().await?;
        host.run("x=1").await?.ok()?;
        host.close().await?;
        host.close().await?;
        assert_eq!(host.run("echo [$x]").await?.only()?.output, "[]");
        let (sleeper, named, alone) = (Sleeper::new(), Sleeper::new(), Sleeper::new());
        let session = host.open_session("busy").await?;
        let in_flight = [
            tokio::spawn({ let (host, text) = (host.clone(), sleeper.command().to_owned()); async move { host.run(text).await.map(drop) } }),
            tokio::spawn({ let text = named.command().to_owned(); async move { session.run(text).await.map(drop) } }),
            tokio::spawn({ let (host, text) = (host.clone(), alone.command().to_owned()); async move { host.oneshot(text).await.map(drop) } }),
        ];
        for one in [&sleeper, &named, &alone] {
            one.runs().await;
        }
        let (a, b) = within(5 * SECOND, "two tasks close", async { tokio::join!(host.close(), host.close()) }).await;
        a?;
        b?;
        for one in in_flight {
            assert_eq!(one.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
        }
        for one in [&sleeper, &named, &alone] {
            one.is_gone().await;
        }
        assert!(!host.has_live_sessions());
        place.answers().await?;
    }

    async fn dropping_the_last_handle_ends_what_runs(place) {
        let (host, sleeper) = (place.another(), Sleeper::new());
        host.run(format!("{} & true", sleeper.command())).await?.ok()?;
        sleeper.runs().await;
        drop(host);
        sleeper.is_gone().await;
    }

    /// 41, for processes; descriptors are counted where a binary has but one test.
    async fn many_rounds_leave_no_shell(place) {
        let mut shells = Vec::new();
        for round in 0..25 {
            let session = place.host().open_session(format!("round{round}")).await?;
            shells.push(session.run("echo $$").await?.only()?.output.parse::<i32>().unwrap());
            session.close().await?;
        }
        shells.sort_unstable();
        shells.dedup();
        assert_eq!(shells.len(), 25);
        otto_tests::places::until("all shells are gone", 2 * SECOND, || {
            // A zombie is gone: who reaps it is not our business.
            let gone = |one: otto_tests::processes::Process| one.state == 'Z' || !one.command.contains("bash");
            shells.iter().all(|pid| otto_tests::processes::Process::get(*pid).is_none_or(gone))
        }).await;
    }
}

everywhere! {
    /// 5 and 6.
    async fn the_end_of_the_shell_is_an_error_with_its_cause(place) {
        for (script, code, signal) in [
            ("exit 3", Some(3), None),
            ("echo out; exit", Some(0), None),
            ("exec true", Some(0), None),
            ("exec sh -c 'exit 9'", Some(9), None),
            ("kill -9 $$", None, Some("KILL")),
            ("kill -HUP $$; sleep 5", None, Some("HUP")),
        ] {
            place.run("x=1; trap 'true' EXIT").await?.ok()?;
            let asked = Instant::now();
            let status = place.run(script).await?;
            assert!(asked.elapsed() < SECOND, "{script}: {:?}", asked.elapsed());
            // On a line it is a shell that says how the other ended, and a shell has one number for both.
            let code = if place.name == "telnet" && signal.is_some() { status.retcode } else { code };
            assert_eq!((status.status, status.retcode), (Status::Error, code), "{script}: {status:?}");
            assert_eq!(status.signal.as_deref(), signal, "{script}: {status:?}");
            assert!(status.cause().is_some_and(|cause| cause.contains("shell")), "{script}: {status:?}");
            let next = place.run("echo [$x]").await?;
            assert_eq!((&*next.output, next.state_lost), ("[]", true), "after {script}");
            assert!(!place.answers().await?.state_lost, "after {script}");
        }
    }
}
