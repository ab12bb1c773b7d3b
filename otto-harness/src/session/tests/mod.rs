//! The engine on this machine's shell; in `matrix`, on every shell, on pipes and on a line.

mod line;
mod matrix;
mod places;
mod sweep;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ShellSession;
use crate::command::{IntoLimit, ShellCommand};
use crate::result::{CommandStatus, Status};
use crate::transport::local::LocalConnector;

fn session() -> ShellSession {
    ShellSession::new("here", "default", Arc::new(LocalConnector::new()), None)
}

async fn run(session: &ShellSession, command: impl Into<ShellCommand>) -> CommandStatus {
    let command = command.into();
    let limit = command.limit.clone().unwrap_or_else(|| 10.0.into_limit().map_err(|_| "".into())).unwrap();
    session.run_cmd(&command, limit, None).await.unwrap()
}

async fn limited(session: &ShellSession, command: &str, seconds: f64) -> CommandStatus {
    session.run_cmd(&command.into(), seconds.into_limit().unwrap(), None).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn any_script_text() {
    let session = session();
    for (script, output) in [
        ("echo hi;", "hi"),
        ("echo hi # note", "hi"),
        ("", ""),
        ("   ", ""),
        ("printf abc", "abc"),
        ("printf '\\n\\nx\\n\\n'", "\n\nx\n"),
        ("printf 'h\\303\\251llo'", "héllo"),
        ("cat <<X\na 'b\nX", "a 'b"),
        ("cat", ""),
        ("echo \"it's\"", "it's"),
        ("f() {\n for i in 1 2; do\n  echo $i\n done\n}\nf", "1\n2"),
        ("echo a\\\nb", "ab"),
        ("(echo err >&2; echo out)", "err\nout"),
    ] {
        let status = run(&session, script).await;
        assert_eq!((status.output.as_str(), status.status), (output, Status::Success), "{script:?}: {status:?}");
        assert!(!status.state_lost);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn syntax_errors_keep_the_state() {
    let session = session();
    run(&session, "x=1").await;
    for script in ["echo 'abc", "if then fi", ")", "echo $("] {
        let status = run(&session, script).await;
        assert_eq!(status.status, Status::Failed, "{script}");
        assert!(status.output.contains("syntax error") || status.output.contains("unexpected EOF"), "{status:?}");
    }
    assert_eq!(run(&session, "echo $x").await.output, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn state_stays_and_the_code_too() {
    let session = session();
    run(&session, "export A=1; cd /tmp; f() { echo f; }; umask 077").await;
    assert_eq!(run(&session, "echo $A; pwd; f; umask").await.output, "1\n/tmp\nf\n0077");
    assert_eq!(run(&session, "(exit 7)").await.retcode, Some(7));
    assert_eq!(run(&session, "echo $?").await.output, "7");
    let hostile = ["PS1='$ '", "PROMPT_COMMAND='echo x'", "set -v", "set -x", "set +vx", "set -u", "PATH=/nowhere"];
    for script in hostile {
        run(&session, script).await;
        let status = run(&session, "builtin echo hi").await;
        assert!(status.output.lines().last() == Some("hi"), "after {script}: {status:?}");
        assert!(!status.output.contains("printf"), "after {script}: {status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deaths_of_the_shell() {
    let session = session();
    let status = run(&session, "exit 3").await;
    assert_eq!((status.status, status.retcode, status.output.as_str()), (Status::Error, Some(3), ""), "{status:?}");
    let status = run(&session, "echo again").await;
    assert_eq!((status.output.as_str(), status.state_lost), ("again", true));
    let status = run(&session, "kill -9 $$").await;
    assert_eq!((status.status, status.signal.as_deref()), (Status::Error, Some("KILL")));
    let status = run(&session, "set -e; false; echo not reached").await;
    assert_eq!((status.status, status.retcode, status.output.as_str()), (Status::Failed, Some(1), ""), "{status:?}");
    assert_eq!(run(&session, "echo alive").await.output, "alive");
}

/// However a command ends its shell, what the trap on `EXIT` writes is the command's.
#[tokio::test(flavor = "multi_thread")]
async fn a_trap_on_exit_is_heard_when_a_command_ends_the_shell() {
    for place in places::places().filter(|place| !place.line) {
        for script in ["trap 'echo bye' EXIT; exit 3", "set -e; trap 'echo bye' EXIT; (exit 3); echo not reached"] {
            let session = place.session();
            run(&session, "PROMPT_COMMAND='echo prompt'").await;
            let status = run(&session, script).await;
            assert_eq!(status.retcode, Some(3), "{place:?}: {status:?}");
            // An interactive bash says `exit` before the trap.
            assert!(status.output.ends_with("bye"), "{place:?} {script:?}: {status:?}");
            assert_eq!(run(&session, "echo next").await.output, "next", "{place:?}");
            session.close().await;
        }
    }
}

/// What the shell writes by itself between two commands is in neither.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_shell_writes_by_itself_is_in_no_output() {
    let session = session();
    run(&session, "PROMPT_COMMAND='echo prompt; echo error >&2'; PS1='$ '; trap 'echo caught; echo error >&2' USR1")
        .await;
    let pid = run(&session, "echo $$").await.output;
    for round in 0..200 {
        if round % 10 == 0 {
            std::process::Command::new("kill").args(["-USR1", &pid]).status().unwrap();
        }
        let status = run(&session, format!("echo {round}; echo {round} >&2")).await;
        // The signal may come while a command runs, which is as in a script.
        let output = status.output.replace("caught\n", "").replace("error\n", "");
        assert_eq!(output, format!("{round}\n{round}"));
    }
}

/// A trap can turn the shell's own output elsewhere, and with it the sign that a command has begun.
#[tokio::test(flavor = "multi_thread")]
async fn a_shell_whose_own_output_is_turned_away_says_that_it_begins_in_another_way() {
    let session = session();
    run(&session, "x=1; trap 'exec >/dev/null' USR1").await;
    let pid = run(&session, "echo $$").await.output;
    std::process::Command::new("kill").args(["-USR1", &pid]).status().unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    for number in 0..3 {
        assert_eq!(run(&session, format!("echo {number}")).await.output, number.to_string());
    }
    let status = limited(&session, "echo start; sleep 36.5", 0.3).await;
    assert_eq!((status.timed_out, status.output.as_str()), (true, "start"));
    let status = run(&session, "echo $x").await;
    assert_eq!((status.output.as_str(), status.state_lost), ("1", false));
}

/// A job that an earlier command left in the background writes whenever it likes: never into what was written before.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_left_behind_that_wrote_between_two_commands_is_in_neither() {
    let session = session();
    for _ in 0..20 {
        run(&session, "{ sleep 0.01; echo late; } &").await;
        tokio::time::sleep(Duration::from_millis(40)).await;
        assert_eq!(run(&session, "echo hi").await.output, "hi");
    }
}

/// What a shell keeps for itself is not among the descriptors of a program.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_has_no_descriptors_of_the_shell() {
    for place in places::places().filter(|place| !place.line) {
        let session = place.session();
        let own = run(&session, "ls /proc/self/fd | grep -E '^([6-9]|23[0-9])$'").await;
        assert_eq!(own.output, "", "{place:?}: {own:?}");
        session.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits() {
    let session = session();
    let start = Instant::now();
    let status = limited(&session, "echo start; sleep 31.5; echo end", 0.5).await;
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!((status.status, status.timed_out, status.output.as_str()), (Status::Error, true, "start"));
    let status = run(&session, "echo next").await;
    assert_eq!((status.output.as_str(), status.state_lost), ("next", false));
    let status = limited(&session, "trap '' INT; echo start; sleep 31.5; echo end", 0.5).await;
    assert!(status.cause().is_some_and(|cause| cause.contains("seen to end")), "{status:?}");
    assert_eq!(status.output, "start");
    let status = run(&session, "echo next").await;
    assert_eq!((status.output.as_str(), status.state_lost), ("next", true));
    let left = run(&session, "pgrep -f 'sleep 31[.]5'").await;
    assert_eq!(left.output, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_run_leaves_nothing() {
    let session = session();
    run(&session, "x=1").await;
    for pause in [1, 5, 200] {
        let running = run(&session, "echo secret; sleep 32.5");
        tokio::time::timeout(Duration::from_millis(pause), running).await.unwrap_err();
        let start = Instant::now();
        let status = run(&session, "echo ok $x").await;
        assert_eq!((status.output.as_str(), status.state_lost), ("ok 1", false));
        assert!(start.elapsed() < Duration::from_secs(2));
    }
    assert_eq!(run(&session, "pgrep -f 'sleep 32[.]5'").await.output, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_and_terminals() {
    let session = session();
    let command = ShellCommand::new("read -p 'name? ' n; echo hi $n").expects([("name\\? ", "bob\n")]);
    assert_eq!(run(&session, command).await.output, "name? hi bob");
    assert_eq!(run(&session, "echo $n").await.output, "bob");
    let command =
        ShellCommand::new("for i in 1 2 3; do read -p 'more? ' x; done; echo $x").expects([("more\\? ", "y\n")]);
    assert_eq!(run(&session, command).await.output, "more? more? more? y");
    assert_eq!(run(&session, "test -t 1 || test -t 0 || echo none").await.output, "none");
    let command = ShellCommand::new("test -t 0 && test -t 1 && test -t 2 && echo all >/dev/tty").terminal();
    assert_eq!(run(&session, command).await.output, "all");
}

#[tokio::test(flavor = "multi_thread")]
async fn typing() {
    let session = session();
    let limit = 5.0.into_limit().unwrap();
    run(&session, "x=1").await;
    session.send("cd /tmp\npwd\n").await.unwrap();
    assert_eq!(session.expect(&"/tmp\\n".into(), limit).await.unwrap(), "/tmp\n");
    session.send("sleep 0.2\necho $x-$x\n").await.unwrap();
    assert_eq!(session.expect(&"1-1".into(), limit).await.unwrap(), "1-1");
    assert_eq!(run(&session, "pwd").await.output, "/tmp");
    session.send("python3 -q\n").await.unwrap();
    session.expect(&">>> ".into(), limit).await.unwrap();
    session.send("print('otto' + '_test')\n").await.unwrap();
    assert!(session.expect(&">>> ".into(), limit).await.unwrap().contains("otto_test"));
    let busy = session.run_cmd(&"echo hi".into(), 0.3.into_limit().unwrap(), None).await.unwrap_err();
    assert_eq!(busy.kind(), crate::ErrorKind::Busy);
    session.send("exit()\n").await.unwrap();
    assert_eq!(run(&session, "echo $x").await.output, "1");
    session.send("sleep 33.5\n").await.unwrap();
    session.send("\x03").await.unwrap();
    let status = run(&session, "echo back").await;
    assert_eq!((status.output.as_str(), status.state_lost), ("back", false));
    session.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams() {
    let session = session();
    let status = run(&session, ShellCommand::new("echo out; echo err >&2").separate_stderr()).await;
    assert_eq!((status.output.as_str(), status.stderr()), ("out", "err"));
    let status = run(&session, "head -c 3000000 /dev/zero | tr '\\0' x").await;
    assert_eq!(status.bytes().len(), 3_000_000);
    let status = run(&session, "head -c 40000000 /dev/zero").await;
    assert!(status.truncated && status.bytes().len() == 16 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_queue_in_call_order() {
    let session = session();
    let mut running = Vec::new();
    for number in 0..8 {
        let session = session.clone();
        running.push(async move { run(&session, format!("echo {number}; sleep 0.01")).await.output });
    }
    let mut tasks = tokio::task::JoinSet::new();
    for (number, one) in running.into_iter().enumerate() {
        tasks.spawn(async move { (number, one.await) });
    }
    while let Some(one) = tasks.join_next().await {
        let (number, output) = one.unwrap();
        assert_eq!(output, number.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_that_died_unseen_is_replaced() {
    let session = session();
    let pid = run(&session, "echo $$").await.output;
    std::process::Command::new("kill").args(["-9", &pid]).status().unwrap();
    let status = run(&session, "echo new").await;
    assert_eq!((status.output.as_str(), status.state_lost), ("new", true));
    let pid = run(&session, "echo $$").await.output;
    std::process::Command::new("kill").args(["-9", &pid]).status().unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let error = session.send("x\n").await.unwrap_err();
    assert!(error.is_closed(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_what_runs() {
    let session = session();
    let running = session.clone();
    let running = tokio::spawn(async move { run(&running, "echo begun; sleep 34.5").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let start = Instant::now();
    tokio::join!(session.close(), session.close());
    assert!(start.elapsed() < Duration::from_secs(2));
    let status = running.await.unwrap();
    assert_eq!((status.status, status.output.as_str()), (Status::Error, "begun"));
    assert!(status.cause().is_some_and(|cause| cause.contains("closed")), "{status:?}");
    assert_eq!(run(&session, "pgrep -f 'sleep 34[.]5'").await.output, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn expect_across_reads_and_limits() {
    let session = session();
    session.send("printf 'a\\nb'; sleep 0.1; printf 'c\\nd'\n").await.unwrap();
    let limit = 0.4.into_limit().unwrap();
    assert_eq!(session.expect(&"(?s)b.*d".into(), limit).await.unwrap(), "a\nbc\nd");
    session.send("printf 'only this'\n").await.unwrap();
    let error = session.expect(&"never".into(), limit).await.unwrap_err();
    assert!(error.is_timeout() && error.to_string().contains("| only this"), "{error}");
    assert_eq!(session.expect(&"this".into(), limit).await.unwrap(), "only this");
    let error = session.expect(&"(".into(), limit).await.unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_shells() {
    for shell in ["/bin/dash", "/bin/busybox"] {
        assert!(std::path::Path::new(shell).exists(), "{shell} is missing: apt-get install dash busybox");
        let session = ShellSession::new("here", shell, Arc::new(LocalConnector::with_shell(shell)), None);
        run(&session, "x=1; cd /tmp; f() { echo f; }").await;
        assert_eq!(run(&session, "echo $x; pwd; f").await.output, "1\n/tmp\nf", "{shell}");
        let status = run(&session, "echo 'abc").await;
        assert_eq!(status.status, Status::Failed, "{shell}: {status:?}");
        assert_eq!(run(&session, "(exit 7)").await.retcode, Some(7), "{shell}");
        assert_eq!(run(&session, "echo $? $x").await.output, "7 1", "{shell}");
        let status = limited(&session, "echo start; sleep 35.5; echo end", 0.3).await;
        assert_eq!((status.timed_out, status.output.as_str()), (true, "start"), "{shell}: {status:?}");
        let status = run(&session, "echo $x").await;
        assert_eq!((status.output.as_str(), status.state_lost), ("1", false), "{shell}");
        let status =
            run(&session, ShellCommand::new("read n; echo hi $n").expects([("never", "x")]).timeout(0.3)).await;
        assert_eq!(status.status, Status::Error, "{shell}: {status:?}");
        let status = run(&session, "exit 3").await;
        assert_eq!((status.status, status.retcode), (Status::Error, Some(3)), "{shell}");
        session.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_was_not_run_is_never_a_success() {
    for hostile in [
        "set -T; trap 'return 0' DEBUG; false",
        "alias __otto_rc=:; (exit 4)",
        "__otto_rc() { return 0; }; false",
        "unset -f __otto_rc; false",
    ] {
        let session = session();
        run(&session, hostile).await;
        let status = run(&session, "false").await;
        assert_eq!((status.status, status.retcode), (Status::Failed, Some(1)), "after {hostile}: {status:?}");
        // The trap may have something to say of its own.
        assert!(run(&session, "echo run").await.output.ends_with("run"), "after {hostile}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_to_be_logged_is_in_no_text() {
    let session = session();
    let command = ShellCommand::new("echo SECRET; false").log(crate::LogMode::Never);
    let status = run(&session, command).await;
    assert_eq!(status.output, "SECRET");
    let shown = format!("{status:?} {}", status.ok().unwrap_err());
    assert!(!shown.contains("SECRET"), "{shown}");
}

#[test]
fn a_session_outlives_the_runtime_it_was_opened_on() {
    let session = session();
    for round in 0..2 {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let status = runtime.block_on(run(&session, "echo hi"));
        assert_eq!((status.output.as_str(), status.state_lost), ("hi", round > 0), "{status:?}");
    }
}
