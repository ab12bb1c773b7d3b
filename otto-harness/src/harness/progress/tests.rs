//! The lines of progress; `tests/tests/progress.rs` looks at them on a terminal.

use super::*;
use crate::harness::record::Verdict;
use crate::harness::recorder::Recorder;

fn test(id: u64, name: &str, ago: u64) -> board::Test {
    let since = Instant::now().checked_sub(Duration::from_secs(ago)).unwrap();
    board::Test { id, name: name.to_owned(), lab: "bench".to_owned(), since, recorder: Recorder::default() }
}

#[test]
fn the_last_line_counts_and_says_what_is_waited_for() {
    let mut board = Board { tests: 20, running: vec![test(1, "a::b", 75), test(2, "c", 3)], ..Board::default() };
    board.ended = [(Verdict::Passed, 3), (Verdict::Failed, 1)].into();
    board.waiting = vec![(3, "bench".to_owned()), (4, "rack".to_owned()), (5, "bench".to_owned())];
    let lines = lines::live(&board, 1, false);
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains("1:15  a::b [bench]"), "{}", lines[0]);
    assert_eq!(
        lines[1].trim_end(),
        "otto 4 of 20 · 3 passed · 1 failed · 2 running (1 not shown) · 3 waiting for bench 2, rack 1"
    );
    assert!(!lines.concat().contains('\x1b') && lines::live(&board, 1, true).concat().contains("\x1b[31m1 failed"));
}

#[test]
fn a_slow_test_is_told_of_now_and_then() {
    let board = Board { running: vec![test(1, "slow\x1b[2J", 61), test(2, "quick", 59)], ..Board::default() };
    let mut told = Vec::new();
    let text = slow(&board, &mut told, SLOW, Duration::ZERO);
    assert_eq!(text, "test slow\\e[2J has been running for 61 s: no command has run\n");
    assert_eq!(slow(&board, &mut told, SLOW, Duration::ZERO).lines().count(), 1);
    assert_eq!(slow(&board, &mut told, SLOW, AGAIN), "");
    let none = Board::default();
    slow(&none, &mut told, SLOW, AGAIN);
    assert!(told.is_empty(), "what has ended is forgotten");
}

#[tokio::test]
async fn the_command_that_runs_is_named() {
    let recorder = Recorder::default();
    let lab = crate::lab::Lab::from_toml("lab = \"x\"\n[[hosts]]\nid = \"router1\"\nterm = \"local\"\n").unwrap();
    let ctx = crate::open_context(lab).watched_by(std::sync::Arc::new(recorder.clone())).open().await.unwrap();
    let reboot = tokio::spawn(ctx.get_host("router1").unwrap().run("sleep 60; reboot").timeout("60s").into_future());
    let end = Instant::now() + Duration::from_secs(20);
    while !recorder.doing().iter().any(|doing| doing.command.is_some()) {
        assert!(Instant::now() < end, "it never began");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let test = board::Test { recorder: recorder.clone(), ..test(1, "x", 60) };
    assert!(lines::plain(&test).contains("for 60 s: router1 `sleep 60; reboot` 0 s"), "{}", lines::plain(&test));
    reboot.abort();
    ctx.close().await.unwrap();
}
