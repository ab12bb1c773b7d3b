//! The same again and again: slots, failures, ends.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use otto::prelude::*;
use otto::{Error, ErrorKind, Lab, Missed, RepeatRunner, Result};
use otto_tests::processes::Process;
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);

/// Whether a process with these words at the end of its command line runs.
fn runs(words: &str) -> bool {
    Process::descendants(std::process::id().cast_signed()).iter().any(|process| process.command.ends_with(words))
}

#[tokio::test]
async fn ten_ticks_in_their_slots() -> Result<()> {
    let host = Host::local();
    host.run("true").await?.ok()?;
    let repeat = RepeatRunner::new(&host);
    repeat.start("poll", "sleep 0.03; echo $((n += 1))", 100 * MS).times(10).await?;
    assert!(repeat.is_running("poll"));
    repeat.wait("poll").await?;
    assert!(!repeat.is_running("poll"));
    let ticks = repeat.ticks("poll");
    assert_eq!(ticks.iter().map(|tick| tick.number).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    for (number, tick) in ticks.iter().enumerate() {
        let status = &tick.result.as_ref().as_ref().unwrap().statuses[0];
        assert_eq!(status.output, (number + 1).to_string());
        assert!(tick.took >= 30 * MS, "{tick:?}");
    }
    // Fixed rate: the last is where it belongs, not where ten delays would have put it.
    let whole = ticks[9].began.duration_since(ticks[0].began).unwrap();
    assert!(whole >= 880 * MS, "{whole:?}");
    // On a machine that stood still for a moment a slot may be missed, but none for nothing.
    let slow = ticks.iter().filter(|tick| tick.late + tick.took > 100 * MS).count();
    assert!(slow > 0 || repeat.missed("poll") == 0, "{} missed, {ticks:?}", repeat.missed("poll"));
    assert_eq!(repeat.get_results("poll").len(), 10);
    host.close().await
}

#[tokio::test]
async fn slow_ticks_do_not_overlap_and_what_they_miss_is_counted() -> Result<()> {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let repeat = RepeatRunner::new({
        let (now, most) = (now.clone(), most.clone());
        move || {
            let (now, most) = (now.clone(), most.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                sleep(250 * MS).await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
        }
    });
    repeat.start("skip", (), 100 * MS).times(3).await?;
    repeat.start("burst", (), 100 * MS).times(3).missed(Missed::Burst).await?;
    repeat.wait("skip").await?;
    repeat.wait("burst").await?;
    // Two tasks, one tick each at a time.
    assert!(most.load(Ordering::SeqCst) <= 2);
    assert!(repeat.missed("skip") >= 4, "{}", repeat.missed("skip"));
    assert_eq!(repeat.missed("burst"), 0);
    let ticks = repeat.ticks("burst");
    assert!(ticks[2].late >= 250 * MS, "{ticks:?}");
    Ok(())
}

#[tokio::test]
async fn failures_and_panics_are_results_and_history_is_bounded() -> Result<()> {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let repeat = RepeatRunner::new(move || {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            match number {
                0 => Err(Error::new(ErrorKind::Host, "not there")),
                1 => panic!("slipped"),
                _ => Ok(number),
            }
        }
    });
    let noted = Arc::clone(&seen);
    let on_result = move |result: &Result<usize>| {
        noted.lock().unwrap().push(result.as_ref().map(|n| *n).map_err(ToString::to_string));
        assert!(result.is_ok(), "the callback panics twice");
    };
    repeat.start("all", (), 5 * MS).times(6).max_history(4).on_result(on_result).await?;
    repeat.wait("all").await?;
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen, [Err("not there".into()), Err("panicked: slipped".into()), Ok(2), Ok(3), Ok(4), Ok(5)]);
    let kept: Vec<_> = repeat.get_results("all").into_iter().map(|(_, result)| result.unwrap()).collect();
    assert_eq!(kept, [2, 3, 4, 5]);
    Ok(())
}

#[tokio::test]
async fn stop_in_mid_command_leaves_no_process_and_a_live_session() -> Result<()> {
    let host = Host::local();
    let repeat = RepeatRunner::new(&host);
    let mark = format!("sleep 61.{}", std::process::id());
    repeat.start("long", mark.as_str(), 100 * MS).await?;
    while !runs(&mark) {
        sleep(10 * MS).await;
    }
    let began = Instant::now();
    repeat.stop("long").await?;
    repeat.stop("long").await?;
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(host.run("echo ok").await?.only()?.output, "ok");
    assert!(!runs(&mark));
    assert_eq!(repeat.get_results("long").len(), 0);
    let unknown = repeat.stop("lomg").await.unwrap_err();
    assert!(unknown.to_string().contains("tasks of this runner: long"), "{unknown}");
    repeat.start("long", "true", 10 * MS).await?;
    repeat.start("other", "true", 10 * MS).await?;
    repeat.stop_all().await?;
    assert!(!repeat.is_running("long") && !repeat.is_running("other"));
    host.close().await
}

#[tokio::test]
async fn it_ends_with_its_duration_its_deadline_its_runner_and_its_context() -> Result<()> {
    let count = Arc::new(AtomicUsize::new(0));
    let counting = {
        let count = count.clone();
        move || {
            count.fetch_add(1, Ordering::SeqCst);
            async { Ok(()) }
        }
    };
    let repeat = RepeatRunner::new(counting.clone());
    repeat.start("duration", (), 20 * MS).duration("90ms").await?;
    repeat.wait("duration").await?;
    assert!((1..=5).contains(&repeat.ticks("duration").len()));
    repeat.start("until", (), 20 * MS).until(SystemTime::now() + 90 * MS).await?;
    repeat.wait("until").await?;
    assert!((1..=5).contains(&repeat.ticks("until").len()));

    // With the runner's last handle.
    repeat.start("dropped", (), MS).await?;
    drop(repeat);
    sleep(20 * MS).await;
    let then = count.load(Ordering::SeqCst);
    sleep(50 * MS).await;
    assert_eq!(count.load(Ordering::SeqCst), then);

    // With the context, though the runner outlives it.
    let repeat = RepeatRunner::new(counting);
    otto::open_context("local").with(async |_ctx| repeat.start("scoped", (), MS).await).await?;
    tokio::time::timeout(Duration::from_secs(5), repeat.wait("scoped")).await.expect("it ends with the scope")?;
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_repeated_is_refused_before_anything_runs() -> Result<()> {
    let repeat = RepeatRunner::new(|| async { Ok(()) });
    let refused = |error: Result<()>| error.unwrap_err().to_string();
    for interval in [0.0, -1.0, f64::NAN] {
        assert!(refused(repeat.start("a", (), interval).await).contains("cannot repeat `a`: the interval"));
    }
    assert!(refused(repeat.start("a", (), MS).times(0).await).contains("0 times"));
    assert!(refused(repeat.start("a", (), MS).duration(Duration::ZERO).await).contains("the duration"));
    assert!(refused(repeat.start("a", (), MS).until(Instant::now()).await).contains("past"));
    assert_eq!(repeat.ticks("a").len(), 0);
    repeat.start("a", (), MS).await?;
    assert!(refused(repeat.start("a", (), MS).await).contains("a task named `a` is running already"));
    repeat.stop("a").await?;
    repeat.start("a", (), MS).times(1).await
}

#[tokio::test]
async fn several_hosts_are_polled_at_the_same_instant() -> Result<()> {
    let lab = Lab::from_toml(
        "lab = \"bench\"\n[[hosts]]\nid = \"a\"\nterm = \"local\"\n[[hosts]]\nid = \"b\"\nterm = \"local\"\n\
         [[hosts]]\nid = \"down\"\nip = \"127.0.0.1\"\nport = 1\nuser = \"nobody\"\n",
    )?;
    otto::open_context(lab)
        .with(async |ctx| {
            let repeat = RepeatRunner::new(ctx.all_hosts());
            repeat.start("poll", "date +%s%N", 300 * MS).times(3).await?;
            repeat.wait("poll").await?;
            for (_, results) in repeat.get_results("poll") {
                let results = results?;
                assert_eq!(results.failed(), ["down"]);
                let at = |id: &str| results[id].as_ref().unwrap().statuses[0].output.parse::<u64>().unwrap();
                assert!(at("a").abs_diff(at("b")) < 250_000_000, "{} {}", at("a"), at("b"));
            }
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_session_and_a_closure_that_takes_the_commands() -> Result<()> {
    let host = Host::local();
    let session = host.open_session("polls").await?;
    let repeat = RepeatRunner::new(&session);
    repeat.start("poll", ["n=$((n + 1))", "echo $n"], 10 * MS).times(2).await?;
    repeat.wait("poll").await?;
    let outputs: Vec<_> =
        repeat.get_results("poll").into_iter().map(|(_, result)| result.unwrap().statuses[1].output.clone()).collect();
    assert_eq!(outputs, ["1", "2"]);
    let repeat = RepeatRunner::new(|commands: Vec<ShellCommand>| async move { Ok(commands.len()) });
    repeat.start("count", ["a", "b"], 10 * MS).times(1).await?;
    repeat.wait("count").await?;
    assert_eq!(repeat.get_results("count")[0].1.as_ref().unwrap(), &2);
    host.close().await
}
