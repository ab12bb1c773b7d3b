//! The recorder on real shells.

use super::*;
use crate::context::open_context;
use crate::lab::Lab;

async fn context(recorder: &Recorder) -> crate::OttoContext {
    let toml = "lab = \"two\"\n[[hosts]]\nid = \"a\"\nterm = \"local\"\ncreds = [{ login = \"x\", password = \"hunter2hunter2\" }]\n[[hosts]]\nid = \"b\"\nterm = \"local\"\n";
    let lab = Lab::from_toml(toml).unwrap();
    open_context(lab).watched_by(Arc::new(recorder.clone())).open().await.unwrap()
}

#[tokio::test]
async fn commands_are_kept_in_order_with_how_they_ended_and_without_secrets() {
    let recorder = Recorder::default();
    let ctx = context(&recorder).await;
    let (a, b) = (ctx.get_host("a").unwrap(), ctx.get_host("b").unwrap());
    a.run(["echo hunter2hunter2", "seq 20; exit_with() { return 3; }; exit_with"]).await.unwrap();
    b.oneshot("kill -9 $$").await.unwrap();
    b.run("sleep 60").timeout("200ms").await.unwrap();
    b.run("echo secret").log(crate::LogMode::Never).await.unwrap();
    b.run("echo quiet").log(crate::LogMode::Quiet).await.unwrap();
    ctx.close().await.unwrap();
    let recorded = recorder.recorded();
    let shown: Vec<_> = recorded
        .commands
        .iter()
        .map(|one| (&*one.host, &*one.session, &*one.command, one.ended.as_deref().unwrap_or_default(), one.is_ok))
        .collect();
    assert_eq!(shown[0], ("a", "default", "echo [redacted]", "exit 0", true));
    assert_eq!(shown[1].3, "exit 3");
    assert_eq!(shown[2], ("b", "oneshot", "kill -9 $$", "signal KILL", false));
    assert!(shown[3].3.starts_with("timed out after"), "{shown:?}");
    assert_eq!(shown[4], ("b", "default", "echo quiet", "exit 0", true));
    assert_eq!(shown.len(), 5);
    assert_eq!(recorded.commands[0].tail, ["[redacted]"]);
    assert_eq!(recorded.commands[1].tail, (11..=20).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!(recorded.commands[4].tail.is_empty());
    assert_eq!(recorded.hosts, [("a".to_owned(), "local".to_owned()), ("b".to_owned(), "local".to_owned())]);
}

#[tokio::test]
async fn what_runs_is_known_while_it_does_and_when_it_is_cut_off() {
    let recorder = Recorder::default();
    let ctx = context(&recorder).await;
    let (a, b) = (ctx.get_host("a").unwrap(), ctx.get_host("b").unwrap());
    let session = tokio::spawn(a.run("echo begun; sleep 60").timeout("60s").into_future());
    let first = tokio::spawn(b.oneshot("sleep 61").into_future());
    let second = tokio::spawn(b.oneshot("sleep 61").into_future());
    let deadline = Instant::now() + Duration::from_secs(20);
    let all_run = || {
        let commands = recorder.doing().iter().filter(|doing| doing.command.is_some()).count();
        commands == 3 && recorder.recorded().commands.iter().any(|command| command.tail == ["begun"])
    };
    while !all_run() {
        assert!(Instant::now() < deadline, "{:?}", recorder.doing());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let doing = recorder.doing();
    assert!(
        doing.iter().any(|one| &*one.host == "a" && one.command.as_deref() == Some("echo begun; sleep 60")),
        "{doing:?}"
    );
    // One is given up by the test itself, the others with it.
    first.abort();
    let _ = first.await;
    recorder.ending();
    session.abort();
    second.abort();
    let _ = (session.await, second.await);
    ctx.close().await.unwrap();
    assert!(recorder.doing().is_empty());
    let recorded = recorder.recorded();
    let ended: Vec<_> = recorded.commands.iter().map(|one| (&*one.host, one.ended.as_deref())).collect();
    assert_eq!(ended.iter().filter(|(_, ended)| ended.is_none()).count(), 2, "{ended:?}");
    assert_eq!(ended.iter().filter(|(_, ended)| ended.is_some_and(|ended| ended.starts_with("given up"))).count(), 1);
    let cut = recorded.commands.iter().find(|one| one.host == "a").unwrap();
    assert_eq!((cut.tail.concat(), cut.ended.is_none()), ("begun".to_owned(), true));
}

#[tokio::test]
async fn only_so_many_are_kept() {
    let recorder = Recorder::default();
    let tape = Arc::new(Tape::new("a", String::new(), Redactor::default(), Arc::downgrade(&recorder.0)));
    locked(&recorder.0.hosts).push(tape.clone());
    let tap = tape::Tap(tape);
    for number in 0..MOST + 7 {
        let command = format!("echo {number}");
        tap.command("default", &command);
        tap.output("default", b"text\n");
        let mut status = crate::CommandStatus::new(command, crate::Status::Success);
        status.retcode = Some(if number == MOST - 2_000 { 1 } else { 0 });
        if status.retcode == Some(1) {
            status.status = crate::Status::Failed;
        }
        tap.ended("default", &status);
    }
    let recorded = recorder.recorded();
    assert_eq!((recorded.commands.len(), recorded.dropped), (MOST, 7));
    assert_eq!(recorded.commands[0].command, "echo 7");
    let with_output = recorded.commands.iter().filter(|one| !one.tail.is_empty()).count();
    assert_eq!(with_output, WITH_OUTPUT + 1, "the newest, and the one that failed");
}

#[test]
fn a_run_that_goes_on_for_days_fits_into_memory() {
    let commands: Vec<_> =
        (0..100).map(|n| crate::harness::reports::samples::command("a", &format!("echo {n}"), 0)).collect();
    let recorded = Recorded { commands, dropped: 3, ..Recorded::default() };
    let kept = AtomicUsize::new(0);
    let counts: Vec<_> =
        (0..5).map(|_| recorded.within(true, 40_000, &kept)).map(|(kept, out)| (kept.len(), out)).collect();
    assert_eq!(counts, [(100, 3), (100, 3), (20, 83), (20, 83), (20, 83)]);
    let (newest, _) = recorded.within(true, 40_000, &kept);
    assert_eq!(newest[0].command, "echo 80");
    assert_eq!(recorded.within(false, 40_000, &kept), (Vec::new(), 103));
}
