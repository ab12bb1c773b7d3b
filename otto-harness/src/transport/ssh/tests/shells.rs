//! Shells, on pipes and on a terminal.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::error::{ErrorKind, Phase};
use crate::transport::{Connector, Inlet, Interrupt, Transport, Wiring};

use super::super::SshConnector;
use super::super::testbed::{self, Sshd};
use super::{Seen, eventually, exec, output, run, to_end, until, write};

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_is_on_pipes_and_has_a_terminal() {
    let sshd = Sshd::start();
    let connector = SshConnector::new(sshd.target());
    let mut shell = connector.open_shell().await.unwrap();

    let seen = run(&mut shell, "for fd in 0 1 2 8 9; do test -t $fd && echo $fd is a terminal; done; echo $TERM").await;
    assert_eq!(seen.out(), "dumb\n");
    let seen = run(&mut shell, "for i in 1 2 3; do echo o$i; echo e$i >&2; done").await;
    assert_eq!(seen.out(), "o1\ne1\no2\ne2\no3\ne3\n");
    assert_eq!(run(&mut shell, "echo apart 2>&9 >&9; sleep 0.2").await.err, b"apart\n");
    let seen = run(&mut shell, "echo plain >/dev/tty; sleep 0.2").await;
    assert_eq!(seen.terminal, b"plain\n");
    assert_eq!(run(&mut shell, "stty size </dev/tty").await.out(), "50 255\n");
    let seen = run(&mut shell, "x='a\tb'; printf '%s\\0\\377\\r\\n' \"$x\"").await;
    assert_eq!(seen.out, String::from_utf8_lossy(b"a\tb\0\xff\r\n").as_bytes());
    assert_eq!(
        run(&mut shell, "ps -o pgid= -p $$ | tr -d ' '; echo $$")
            .await
            .out()
            .lines()
            .collect::<std::collections::BTreeSet<_>>()
            .len(),
        1
    );

    // The keyboard.
    let mut seen = Seen::default();
    write(&mut shell, Inlet::Commands, b"read -r line </dev/tty; echo got $line\n").await;
    sleep(Duration::from_millis(100)).await;
    write(&mut shell, Inlet::Terminal, b"from the keyboard\n").await;
    until(&mut shell, &mut seen, "got from the keyboard\n").await;
    assert_eq!(seen.terminal, b"", "no echo");

    write(&mut shell, Inlet::Commands, b"echo last; exit 3\n").await;
    let (seen, ending) = to_end(&mut shell).await;
    assert!(seen.out().ends_with("last\nexit\n"), "{seen:?}");
    assert_eq!(ending.code, Some(3));
    drop(shell);
    drop(connector);
    eventually("the server's processes end", || sshd.descendants().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_takes_and_gives_much() {
    let sshd = Sshd::start();
    let connector = SshConnector::new(sshd.target());
    let mut shell = connector.open_shell().await.unwrap();
    let seen = run(&mut shell, "head -c 20000000 /dev/zero | tr '\\0' x").await;
    assert_eq!(seen.out.len(), 20_000_000);
    let long = "y".repeat(5_000_000);
    // The shell does not read while it sleeps, so this waits for room in the window.
    write(&mut shell, Inlet::Commands, b"sleep 0.5\n").await;
    let seen = run(&mut shell, &format!("x={long}; echo ${{#x}}")).await;
    assert_eq!(seen.out(), "5000000\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupts() {
    let sshd = Sshd::start();
    let connector = SshConnector::new(sshd.target());
    let mut shell = connector.open_shell().await.unwrap();
    for command in ["sleep 30", "while :; do :; done", "sleep 30 | cat"] {
        let mut seen = Seen::default();
        write(&mut shell, Inlet::Commands, format!("PS1=; echo re''ady; {command}\n").as_bytes()).await;
        until(&mut shell, &mut seen, "ready\n").await;
        sleep(Duration::from_millis(50)).await;
        assert!(shell.interrupt(Interrupt::Gentle).await);
        assert_eq!(run(&mut shell, "echo alive").await.out(), "alive\n", "{command}");
    }
    write(&mut shell, Inlet::Commands, b"echo pid $$.; trap '' INT HUP TERM; sleep 31 & sleep 32\n").await;
    let mut seen = Seen::default();
    until(&mut shell, &mut seen, ".\n").await;
    let text = seen.out();
    let group = text[text.rfind("pid ").unwrap() + 4..].split('.').next().unwrap();
    let group: u32 = group.parse().unwrap();
    assert!(testbed::stat(group).is_some());
    let started = Instant::now();
    assert!(shell.interrupt(Interrupt::Kill).await);
    assert!(started.elapsed() < Duration::from_secs(5));
    let left = Command::new("pgrep").args(["-g", &group.to_string(), "-r", "R,S,D,T"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
    assert_eq!(to_end(&mut shell).await.1.signal.as_deref(), Some("KILL"));

    let mut process = connector.exec(exec("sleep 33 | cat")).await.unwrap();
    assert!(process.interrupt(Interrupt::Kill).await);
    assert_eq!(to_end(&mut process).await.1.signal.as_deref(), Some("KILL"));
    drop((shell, process));
    connector.close().await;
    eventually("the server's processes end", || sshd.descendants().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_hangs_up_and_dropping_kills() {
    let sshd = Sshd::start();
    let connector = SshConnector::new(sshd.target());
    let _ = output(&connector, "true").await;
    let idle = sshd.descendants().len();
    let mut shell = connector.open_shell().await.unwrap();
    write(&mut shell, Inlet::Commands, b"sleep 40\n").await;
    let started = Instant::now();
    shell.close().await;
    assert!(started.elapsed() < Duration::from_secs(5));
    eventually("the shell ends", || sshd.descendants().len() <= idle).await;

    let mut shell = connector.open_shell().await.unwrap();
    write(&mut shell, Inlet::Commands, b"trap '' HUP; sleep 41.75 & sleep 42.75\n").await;
    let process = connector.exec(exec("trap '' HUP; sleep 43.75 & sleep 44.75")).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    drop((shell, process));
    eventually("both end", || sshd.descendants().len() <= idle).await;
    let left = Command::new("pgrep").args(["-f", "sleep 4[1-4][.]75"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_shells_share_few_connections() {
    for config in ["", "MaxSessions 2", "MaxSessions 3"] {
        let sshd = Sshd::with(config);
        let connector = SshConnector::new(sshd.target());
        let mut shells = Vec::new();
        for index in 0..8 {
            let mut shell = connector.open_shell().await.unwrap();
            assert_eq!(run(&mut shell, &format!("echo {index}")).await.out(), format!("{index}\n"));
            shells.push(shell);
            assert_eq!(output(&connector, "echo x").await, "x\n");
        }
        connector.close().await;
        for mut shell in shells {
            let (_, ending) = to_end(&mut shell).await;
            assert_eq!(ending.lost.as_deref(), Some("it was closed on this side"));
        }
        eventually("all end", || sshd.descendants().is_empty()).await;
    }
}

/// What a shell on a terminal alone writes, up to what it is told to end with.
async fn over_a_line(shell: &mut Box<dyn Transport>, command: &str) -> String {
    let mut seen = Seen::default();
    write(shell, Inlet::Commands, format!("{command}; echo e''nd\n").as_bytes()).await;
    until(shell, &mut seen, "end\n").await;
    seen.out()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_pipes_cannot_be_had_a_shell_is_on_a_terminal_alone() {
    for (sshd, has_proc) in [(Sshd::with("MaxSessions 1"), true), (Sshd::without_proc(), false)] {
        let connector = SshConnector::new(sshd.target());
        let mut shell = connector.open_shell().await.unwrap();
        assert_eq!(shell.wiring(), Wiring::Line);
        let said = over_a_line(&mut shell, "x=kept; test -t 0 && test -t 1 && echo a''t a terminal").await;
        assert!(said.contains("at a terminal\n"), "{said}");
        let mut seen = Seen::default();
        write(&mut shell, Inlet::Commands, b"echo re''ady; sleep 30\n").await;
        until(&mut shell, &mut seen, "ready\n").await;
        sleep(Duration::from_millis(100)).await;
        assert!(shell.interrupt(Interrupt::Gentle).await);
        let said = over_a_line(&mut shell, "echo a''live $x").await;
        assert!(said.contains("alive kept\n"), "{said}");
        // The next one is so at once.
        let another = SshConnector::open_shell(&connector).await.unwrap();
        assert_eq!(another.wiring(), Wiring::Line);
        another.close().await;
        write(&mut shell, Inlet::Commands, b"trap '' HUP INT TERM; set +m; sleep 36 & sleep 37\n").await;
        sleep(Duration::from_millis(200)).await;
        let seen_to_be_gone = shell.interrupt(Interrupt::Kill).await;
        // Without /proc, a zombie that init is slow to reap cannot be told from a living process.
        assert!(seen_to_be_gone || !has_proc);
        shell.close().await;
        assert!(connector.close().await);
        eventually("all end", || sshd.descendants().is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rc_files_that_print_do_not_matter() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join(".bashrc"), "echo noise; printf 'no newline'; echo more >&2; sleep 0.1; TMOUT=1\n")
        .unwrap();
    let sshd = Sshd::with(&format!("SetEnv HOME={0} BASH_ENV={0}/.bashrc", home.path().display()));
    let connector = SshConnector::new(sshd.target());
    let mut shell = connector.open_shell().await.unwrap();
    let seen = run(&mut shell, "echo x").await;
    assert_eq!((seen.out().as_str(), &*seen.terminal), ("x\n", &b""[..]));
    sleep(Duration::from_millis(1500)).await;
    assert_eq!(run(&mut shell, "echo ${TMOUT-unset}").await.out(), "unset\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_bash_it_is_sh() {
    for sh in ["/bin/dash", "/bin/busybox"] {
        let home = tempfile::tempdir().unwrap();
        let link = |name: &str, to: &str| std::os::unix::fs::symlink(to, home.path().join(name)).unwrap();
        link("sh", sh);
        for tool in ["cat", "sleep", "ps", "tr"] {
            link(tool, &format!("/bin/{tool}"));
        }
        let sshd = Sshd::with(&format!("SetEnv HOME={0} PATH={0}", home.path().display()));
        let connector = SshConnector::new(sshd.target());
        let mut shell = connector.open_shell().await.unwrap();
        assert_eq!(
            run(&mut shell, "echo ${BASH_VERSION-none}; kill -l >/dev/null && echo $TERM").await.out(),
            "none\ndumb\n"
        );
        assert_eq!(run(&mut shell, "echo plain >/dev/tty; sleep 0.2").await.terminal, b"plain\n");
        let mut seen = Seen::default();
        write(&mut shell, Inlet::Commands, b"echo re''ady; sleep 30\n").await;
        until(&mut shell, &mut seen, "ready\n").await;
        sleep(Duration::from_millis(100)).await;
        assert!(shell.interrupt(Interrupt::Gentle).await);
        assert_eq!(run(&mut shell, "echo alive").await.out(), "alive\n", "{sh}");
        write(&mut shell, Inlet::Commands, b"trap '' HUP INT TERM; sleep 34 & sleep 35\n").await;
        sleep(Duration::from_millis(100)).await;
        assert!(shell.interrupt(Interrupt::Kill).await);
        assert_eq!(to_end(&mut shell).await.1.signal.as_deref(), Some("KILL"));
        drop(shell);
        connector.close().await;
        eventually("all end", || sshd.descendants().is_empty()).await;
        let left = Command::new("pgrep").args(["-f", "^sleep 3[45]"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&left.stdout), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_that_cannot_come_up_says_what_came_instead() {
    let sshd = Sshd::with("ForceCommand echo This account is for transfers only.; exit 1");
    let error = SshConnector::new(sshd.target()).open_shell().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect(Phase::Shell));
    assert!(error.to_string().contains("for transfers only"), "{error}");
    let sshd = Sshd::with("PermitTTY no");
    let error = SshConnector::new(sshd.target()).open_shell().await.unwrap_err();
    assert!(error.to_string().contains("refused a terminal"), "{error}");
    eventually("all end", || sshd.descendants().is_empty()).await;
}
