use std::future::IntoFuture;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::*;
use crate::result::Status;
use crate::session::SessionManager;
use crate::transport::local::LocalConnector;
use crate::transport::{BoxFuture, Exec, Transport};

/// This machine, as if it could start no processes by themselves.
#[derive(Debug)]
struct ShellsOnly {
    local: LocalConnector,
    opened: AtomicUsize,
}

impl Connector for ShellsOnly {
    fn open_shell(&self) -> BoxFuture<'_, Result<Box<dyn Transport>>> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        self.local.open_shell()
    }

    fn has_exec(&self) -> bool {
        false
    }

    fn exec(&self, _: Exec) -> BoxFuture<'_, Result<Box<dyn Transport>>> {
        unreachable!("it says that it has none")
    }

    fn close(&self) -> BoxFuture<'_, bool> {
        self.local.close()
    }
}

fn hosts() -> Vec<(&'static str, SessionManager, Arc<ShellsOnly>)> {
    ["/bin/bash", "/bin/dash", "/bin/busybox"]
        .into_iter()
        .map(|shell| {
            assert!(
                std::path::Path::new(shell).exists(),
                "{shell} is missing: apt-get install bash dash busybox-static"
            );
            let connector =
                Arc::new(ShellsOnly { local: LocalConnector::with_shell(shell), opened: AtomicUsize::new(0) });
            (shell, SessionManager::new("h", connector.clone()), connector)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn text_code_output_and_input_are_the_commands_own() {
    for (shell, host, _) in hosts() {
        for (script, output, code) in [
            ("echo hi;", "hi", 0),
            ("echo hi # note", "hi", 0),
            ("", "", 0),
            ("printf 'a\\n\\n\\n'; exit 3", "a\n\n", 3),
            ("echo out; echo err >&2; false", "out\nerr", 1),
            ("cat", "", 0),
            ("cat <<X\na 'b\nX", "a 'b", 0),
            ("exec echo replaced", "replaced", 0),
            ("exec >/dev/null; echo lost", "", 0),
            ("set -eu; false; echo not", "", 1),
            ("kill -9 $(exec sh -c 'echo $PPID')", "", 137),
        ] {
            let status = host.oneshot(script).await.unwrap();
            let wanted = if code == 0 { Status::Success } else { Status::Failed };
            assert_eq!(
                (status.output.as_str(), status.retcode, status.status),
                (output, Some(code), wanted),
                "{shell}: {script:?}: {status:?}"
            );
            assert_eq!((status.command.as_str(), status.state_lost), (script, false));
        }
        let failed = host.oneshot("echo 'abc").await.unwrap();
        assert_eq!(failed.status, Status::Failed, "{shell}: {failed:?}");
        let echoed = host.oneshot("cat").stdin(b"a\0\xff%s\\n'\n").await.unwrap();
        assert_eq!(echoed.bytes(), b"a\0\xff%s\\n'\n", "{shell}");
        host.close_all().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_one_is_seen_by_another() {
    for (shell, host, connector) in hosts() {
        let before = host.oneshot("pwd; umask; set | grep -c . ; trap; ulimit -n").await.unwrap();
        let changes = "cd /tmp; umask 077; X=1; export Y=2; f() { :; }; trap 'echo trapped' EXIT; exec 5</dev/null; \
                       ulimit -n 64; set -f; alias ls=false";
        assert_eq!(host.oneshot(changes).await.unwrap().output, "trapped", "{shell}");
        let after = host.oneshot("pwd; umask; set | grep -c . ; trap; ulimit -n").await.unwrap();
        let lines = |status: &CommandStatus| {
            let mut lines: Vec<_> = status.output.lines().map(str::to_owned).collect();
            // How many variables there are depends on what ran before in any shell (`$_` and the like).
            lines.remove(2);
            lines
        };
        assert_eq!(lines(&after), lines(&before), "{shell}");
        let left = "echo ${X-none} ${Y-none}; type f >/dev/null 2>&1 && echo f; : <&5 && echo open; echo $-";
        let left = host.oneshot(format!("{{ {left}; }} 2>/dev/null")).await.unwrap();
        assert!(left.output.starts_with("none none") && !left.output.contains("open"), "{shell}: {left:?}");
        assert_eq!(connector.opened.load(Ordering::SeqCst), 1, "{shell}: one after the other needs one shell");
        host.close_all().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn late_output_of_a_child_is_in_no_other_oneshot() {
    for (shell, host, connector) in hosts() {
        let start = Instant::now();
        let one = host.oneshot("(sleep 1; echo late) & (sleep 1; echo late >&2) & echo now").await.unwrap();
        assert!(one.output.ends_with("now") && !one.output.contains("late"), "{shell}: {one:?}");
        let mut others = String::new();
        while start.elapsed() < Duration::from_millis(1600) {
            others += &host.oneshot("echo x").await.unwrap().output;
        }
        assert!(others.bytes().all(|byte| byte == b'x'), "{shell}: {others}");
        assert_eq!(connector.opened.load(Ordering::SeqCst), 1, "{shell}");
        host.close_all().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_share_few_shells() {
    for (shell, host, connector) in hosts() {
        let all = (0..60).map(|n| {
            let host = host.clone();
            async move { host.oneshot(format!("cd /tmp; n={n}; echo $n; exit {}", n % 3)).await.unwrap() }
        });
        for (n, status) in crate::crowd::all(all).await.into_iter().enumerate() {
            assert_eq!(status.output, n.to_string(), "{shell}");
            assert_eq!(status.retcode, i32::try_from(n % 3).ok(), "{shell}");
        }
        assert!(connector.opened.load(Ordering::SeqCst) <= SHELLS, "{shell}");
        host.close_all().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_and_a_dropped_future_end_the_command() {
    for (shell, host, _) in hosts() {
        let nap = format!("7100.{}", std::process::id());
        let gone = async || {
            let end = Instant::now() + Duration::from_secs(4);
            loop {
                let found = std::process::Command::new("pgrep").args(["-f", &format!("^sleep {nap}")]).output();
                if found.expect("cannot look for it: apt-get install procps").stdout.is_empty() {
                    return;
                }
                assert!(Instant::now() < end, "{shell}: sleep {nap} still runs");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let start = Instant::now();
        let late = host.oneshot(format!("echo first; sleep {nap}; echo last")).timeout(0.5).await.unwrap();
        assert!(late.timed_out && start.elapsed() < Duration::from_secs(3), "{shell}: {late:?}");
        assert_eq!((late.output.as_str(), late.status), ("first", Status::Error), "{shell}");
        gone().await;
        let dropped =
            tokio::time::timeout(Duration::from_millis(300), host.oneshot(format!("sleep {nap}")).into_future());
        assert!(dropped.await.is_err());
        gone().await;
        assert_eq!(host.oneshot("echo ok").await.unwrap().output, "ok");
        host.close_all().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_holds_for_the_wait_for_a_turn() {
    let (_, host, _) = hosts().remove(0);
    let busy: Vec<_> = (0..SHELLS).map(|_| tokio::spawn(host.oneshot("sleep 20").into_future())).collect();
    let end = Instant::now() + Duration::from_secs(10);
    while host.0.pool.places.available_permits() > 0 {
        assert!(Instant::now() < end, "the shells are not taken");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let start = Instant::now();
    let late = host.oneshot("echo never").timeout(0.3).await.unwrap();
    assert!(late.timed_out && start.elapsed() < Duration::from_secs(3), "{late:?} {:?}", start.elapsed());
    assert_eq!(late.output, "");
    host.close_all().await.unwrap();
    for one in busy {
        assert!(one.await.unwrap().is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hidden_is_in_no_error() {
    let connector =
        Arc::new(ShellsOnly { local: LocalConnector::with_shell("/nowhere/sh"), opened: AtomicUsize::new(0) });
    let host = SessionManager::new("h", connector);
    let error = host.oneshot("login hunter2").stdin("correct horse").log(LogMode::Never).await.unwrap_err();
    let text = format!("{error} {error:?} {}", error.chain());
    assert!(!text.contains("hunter2") && !text.contains(&octal(b"correct")), "{text}");
}
