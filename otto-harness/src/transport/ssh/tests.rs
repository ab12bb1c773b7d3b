//! Against the real sshd.

use std::fs;
use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::error::{Error, ErrorKind, Phase};
use crate::transport::{Connector, Ending, Exec, Incoming, Inlet, Interrupt, Outlet, Transport, Wiring};

use super::testbed::{self, Sshd};
use super::{Auth, HostKeyCheck, SshConnector, SshTarget};

type Shell = Box<dyn Transport>;

/// What a transport gave, by outlet.
#[derive(Debug, Default)]
struct Seen {
    out: Vec<u8>,
    err: Vec<u8>,
    terminal: Vec<u8>,
}

impl Seen {
    fn out(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

async fn read(shell: &mut Shell, seen: &mut Seen) -> Option<Ending> {
    let mut bytes = Vec::new();
    match poll_fn(|cx| shell.poll_read(cx, &mut bytes)).await.unwrap() {
        Incoming::Data(Outlet::Out) => seen.out.append(&mut bytes),
        Incoming::Data(Outlet::Err) => seen.err.append(&mut bytes),
        Incoming::Data(Outlet::Terminal) => seen.terminal.append(&mut bytes),
        Incoming::Gap(count) => panic!("{count} bytes were thrown away"),
        Incoming::Ended(ending) => return Some(ending),
    }
    None
}

async fn to_end(shell: &mut Shell) -> (Seen, Ending) {
    let mut seen = Seen::default();
    let ending = timeout(Duration::from_secs(20), async {
        loop {
            if let Some(ending) = read(shell, &mut seen).await {
                break ending;
            }
        }
    });
    let ending = ending.await.unwrap();
    (seen, ending)
}

async fn write(shell: &mut Shell, inlet: Inlet, mut data: &[u8]) {
    while !data.is_empty() {
        let count = poll_fn(|cx| shell.poll_write(cx, inlet, data)).await.unwrap();
        data = &data[count..];
    }
}

/// Reads until the output has `text`.
async fn until(shell: &mut Shell, seen: &mut Seen, text: &str) {
    let found = timeout(Duration::from_secs(10), async {
        while !seen.out().contains(text) {
            assert_eq!(read(shell, seen).await, None, "{seen:?}");
        }
    });
    assert!(found.await.is_ok(), "{text:?} did not come: {seen:?}");
}

/// Runs a command in a shell by hand: what it wrote, between two marks.
async fn run(shell: &mut Shell, command: &str) -> Seen {
    let mut seen = Seen::default();
    write(shell, Inlet::Commands, format!("PS1= PS2=; echo be''gin >&8\n{command}\necho e''nd >&8\n").as_bytes()).await;
    until(shell, &mut seen, "end\n").await;
    let text = seen.out();
    let from = text.find("begin\n").unwrap() + 6;
    seen.out = text.as_bytes()[from..text.rfind("end\n").unwrap()].to_vec();
    seen
}

fn exec(command: &str) -> Exec {
    Exec { command: command.to_owned(), stdin: Vec::new(), merge: false }
}

async fn output(connector: &SshConnector, command: &str) -> String {
    let mut process = connector.exec(exec(command)).await.unwrap();
    let (seen, ending) = to_end(&mut process).await;
    assert_eq!(ending.code, Some(0), "{seen:?}");
    seen.out()
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(8), "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn refused(target: SshTarget, phase: Phase) -> Error {
    let started = Instant::now();
    let error = SshConnector::new(target).exec(exec("true")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect(phase), "{error}");
    assert!(error.to_string().contains("\n  hint: "), "{error}");
    assert!(started.elapsed() < Duration::from_secs(8));
    eprintln!("{error}\n");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_gets_its_input_and_gives_output_errors_and_code() {
    let sshd = Sshd::start();
    let connector = SshConnector::new(sshd.target());
    let mut process = connector
        .exec(Exec { command: "cat; echo oops >&2; exit 7".into(), stdin: vec![0xff; 3 << 20], merge: false })
        .await
        .unwrap();
    let (seen, ending) = to_end(&mut process).await;
    assert_eq!((seen.out.len(), &*seen.err), (3 << 20, &b"oops\n"[..]));
    assert!(seen.out.iter().all(|byte| *byte == 0xff));
    assert_eq!(ending, Ending { code: Some(7), ..Ending::default() });

    let mut process =
        connector.exec(Exec { merge: true, ..exec("for i in 1 2 3; do echo o$i; echo e$i >&2; done") }).await.unwrap();
    assert_eq!(to_end(&mut process).await.0.out(), "o1\ne1\no2\ne2\no3\ne3\n");

    let mut process = connector.exec(exec("kill -TERM $$")).await.unwrap();
    assert_eq!(to_end(&mut process).await.1.signal.as_deref(), Some("TERM"));

    // A process that does not read its input.
    let mut process = connector.exec(Exec { stdin: vec![b'x'; 16 << 20], ..exec("exec true") }).await.unwrap();
    assert_eq!(to_end(&mut process).await.1.code, Some(0));
    connector.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_in_the_background_does_not_delay_the_end() {
    let sshd = Sshd::start();
    let connector = SshConnector::new(sshd.target());
    let started = Instant::now();
    let mut process = connector.exec(exec("sleep 30 & echo there")).await.unwrap();
    let (seen, ending) = to_end(&mut process).await;
    assert_eq!((seen.out().as_str(), ending.code), ("there\n", Some(0)));
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_processes_at_once_are_all_served() {
    for config in ["", "MaxSessions 2"] {
        let sshd = Sshd::with(config);
        let connector = Arc::new(SshConnector::new(sshd.target()));
        let mut all = tokio::task::JoinSet::new();
        for index in 0..40 {
            let connector = Arc::clone(&connector);
            all.spawn(
                async move { assert_eq!(output(&connector, &format!("echo {index}")).await, format!("{index}\n")) },
            );
        }
        while let Some(done) = all.join_next().await {
            done.unwrap();
        }
        assert_eq!(sshd.log().matches("Accepted publickey").count(), 1, "one connection");
        connector.close().await;
    }
}

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
    assert!(started.elapsed() < Duration::from_secs(1));
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
    assert!(started.elapsed() < Duration::from_secs(1));
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
async fn giving_up_at_any_moment_leaves_nothing() {
    let sshd = Sshd::start();
    let connector = SshConnector::new(sshd.target());
    let _ = output(&connector, "true").await;
    let idle = sshd.descendants().len();
    for step in 0..60 {
        let limit = Duration::from_micros(step * 400);
        let _ = timeout(limit, connector.open_shell()).await;
        let _ = timeout(limit, connector.exec(exec("sleep 45"))).await;
    }
    eventually("all end", || sshd.descendants().len() <= idle).await;
    // All places are free again.
    let mut shells = Vec::new();
    for _ in 0..4 {
        shells.push(connector.open_shell().await.unwrap());
        assert_eq!(output(&connector, "echo x").await, "x\n");
    }
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
async fn a_killed_server_is_seen_at_once_and_the_next_use_dials_again() {
    let sshd = Sshd::start();
    let connector = SshConnector::new(sshd.target());
    let mut shell = connector.open_shell().await.unwrap();
    let mut process = connector.exec(exec("sleep 50")).await.unwrap();
    write(&mut shell, Inlet::Commands, b"sleep 51\n").await;
    sleep(Duration::from_millis(100)).await;
    let started = Instant::now();
    let left = sshd.descendants();
    // The process that serves the connection; what it started is left to itself.
    for pid in
        sshd.descendants().into_iter().filter(|pid| testbed::stat(*pid).is_some_and(|(_, parent)| parent == sshd.pid()))
    {
        Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
    }
    for transport in [&mut shell, &mut process] {
        let (_, ending) = to_end(transport).await;
        assert!(ending.lost.as_deref().is_some_and(|why| why.starts_with("the host closed the connection")));
    }
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(output(&connector, "echo again").await, "again\n");
    for left in left {
        let _ = Command::new("kill").args(["-KILL", &left.to_string()]).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_is_found() {
    let sshd = Sshd::start();
    let mut target = sshd.target();
    target.keepalive.interval = Duration::from_secs(1);
    let connector = SshConnector::new(target);
    let mut shell = connector.open_shell().await.unwrap();
    let serving = sshd.descendants();
    for pid in &serving {
        Command::new("kill").args(["-STOP", &pid.to_string()]).status().unwrap();
    }
    let started = Instant::now();
    let (_, ending) = to_end(&mut shell).await;
    let reason = ending.lost.unwrap();
    assert!(reason.contains("does not answer"), "{reason}");
    assert!(started.elapsed() < Duration::from_secs(6));
    let started = Instant::now();
    shell.close().await;
    connector.close().await;
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_is_bounded_idempotent_and_not_final() {
    let sshd = Sshd::start();
    let connector = SshConnector::new(sshd.target());
    connector.close().await;
    let mut process = connector.exec(exec("trap '' TERM HUP INT; sleep 60")).await.unwrap();
    let started = Instant::now();
    tokio::join!(connector.close(), connector.close());
    assert!(started.elapsed() < Duration::from_secs(2));
    assert_eq!(to_end(&mut process).await.1.lost.as_deref(), Some("it was closed on this side"));
    eventually("all end", || sshd.descendants().is_empty()).await;
    assert!(sshd.log().contains("Received disconnect"), "DISCONNECT was sent");
    assert_eq!(output(&connector, "echo again").await, "again\n");

    // A frozen one.
    let _process = connector.exec(exec("sleep 61")).await.unwrap();
    for pid in sshd.descendants() {
        Command::new("kill").args(["-STOP", &pid.to_string()]).status().unwrap();
    }
    let started = Instant::now();
    connector.close().await;
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_rounds_leave_nothing() {
    let sshd = Sshd::start();
    let connector = SshConnector::new(sshd.target());
    for _ in 0..100 {
        let mut shell = connector.open_shell().await.unwrap();
        assert_eq!(run(&mut shell, "echo x").await.out(), "x\n");
        shell.close().await;
    }
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 1, "one connection");
    connector.close().await;
    eventually("the server's processes end", || sshd.descendants().is_empty()).await;
    let local = format!(":{:04X}", sshd.port);
    eventually("the socket is closed", || {
        let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
        // Established (01) or half closed (08), with our end's port as the remote one.
        !table.lines().any(|line| {
            let fields: Vec<_> = line.split_ascii_whitespace().collect();
            fields.get(2).is_some_and(|remote| remote.ends_with(&local)) && matches!(fields.get(3), Some(&"01" | &"08"))
        })
    })
    .await;
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

#[tokio::test(flavor = "multi_thread")]
async fn ways_in() {
    let sshd = Sshd::start();
    let locked = |passphrase: Option<&str>| Auth::KeyFile {
        path: sshd.path("id_locked"),
        passphrase: passphrase.map(Into::into),
    };
    let key = |name: &str| Auth::KeyFile { path: sshd.path(name), passphrase: None };
    for auth in [
        vec![locked(Some("open sesame"))],
        vec![key("id_rsa")],
        vec![Auth::Agent, key("id_wrong"), key("none"), key("id")],
        vec![Auth::Password("nonsense".into()), key("id")],
    ] {
        let connector = SshConnector::new(SshTarget { auth, ..sshd.target() });
        assert_eq!(output(&connector, "echo in").await, "in\n");
    }
    for (auth, text) in [
        (vec![key("id_wrong")], "id_wrong (refused); the server takes publickey, password"),
        (vec![key("none")], "none (No such file"),
        (vec![locked(None)], "id_locked (it is encrypted, and no passphrase is given)"),
        (vec![locked(Some("hunter2"))], "id_locked (the passphrase is wrong)"),
        (vec![Auth::Password("hunter2".into())], "password (refused)"),
        (vec![], "tried nothing"),
    ] {
        let error = refused(SshTarget { auth, ..sshd.target() }, Phase::Auth).await;
        assert!(error.to_string().contains(text), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    let sshd = Sshd::with("MaxAuthTries 1");
    let wrong = Auth::KeyFile { path: sshd.path("id_wrong"), passphrase: None };
    let auth = vec![wrong.clone(), wrong.clone(), wrong];
    let error = refused(SshTarget { auth, ..sshd.target() }, Phase::Auth).await;
    assert!(error.to_string().contains("Too many authentication failures"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn host_keys() {
    let sshd = Sshd::start();
    let set = |change: &dyn Fn(&mut super::HostKeyPolicy)| {
        let mut target = sshd.target();
        target.host_key.pinned.clear();
        change(&mut target.host_key);
        target
    };
    let error = refused(set(&|_| {}), Phase::HostKey).await;
    assert!(error.to_string().contains(sshd.host_key().rsplit_once(' ').unwrap().0), "{error}");

    let known = sshd.path("known");
    let other = fs::read_to_string(sshd.path("id_rsa.pub")).unwrap();
    fs::write(&known, format!("# one\n[127.0.0.1]:{} {other}", sshd.port)).unwrap();
    let error = refused(set(&|policy| policy.known_hosts = vec![known.clone()]), Phase::HostKey).await;
    assert!(error.to_string().contains("has changed") && error.to_string().contains("known:2"), "{error}");
    let error = refused(set(&|policy| policy.pinned = vec![other.clone()]), Phase::HostKey).await;
    assert!(error.to_string().contains("not the `host_key` of the lab"), "{error}");
    refused(set(&|policy| policy.known_hosts = vec![sshd.path("")]), Phase::HostKey).await;

    let learnt = sshd.path("learnt");
    for _ in 0..2 {
        let target = set(&|policy| policy.check = HostKeyCheck::AcceptNew(learnt.clone()));
        assert_eq!(output(&SshConnector::new(target), "echo in").await, "in\n");
    }
    assert_eq!(fs::read_to_string(&learnt).unwrap().lines().count(), 1);
    let target = set(&|policy| policy.known_hosts = vec![learnt.clone()]);
    assert_eq!(output(&SshConnector::new(target), "echo in").await, "in\n");
    // Changed is changed, also where new ones are taken.
    let target = set(&|policy| policy.check = HostKeyCheck::AcceptNew(known.clone()));
    refused(target, Phase::HostKey).await;
    let target = set(&|policy| policy.check = HostKeyCheck::Insecure);
    assert_eq!(output(&SshConnector::new(target), "echo in").await, "in\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_phase_fails_in_its_own_way() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut target = SshTarget::new("dut", "127.0.0.1", listener.local_addr().unwrap().port(), "root");
    target.limits.banner = Duration::from_millis(300);
    target.limits.kex = Duration::from_millis(300);
    // Accepted by the kernel, and then nothing.
    refused(target.clone(), Phase::Banner).await;

    for (said, then_close, phase) in [
        ("", true, Phase::Banner),
        ("HTTP/1.1 400 Bad Request\r\n\r\n", true, Phase::Banner),
        ("SSH-2.0-Silent\r\n", false, Phase::Kex),
        ("SSH-2.0-Rude\r\n", true, Phase::Kex),
        ("SSH-2.0-Garbage\r\n\x7f\x7f\x7f\x7fgarbage garbage garbage", true, Phase::Kex),
    ] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        target.port = listener.local_addr().unwrap().port();
        let serve = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.write_all(said.as_bytes()).await.unwrap();
            // So that the end is not a reset, which may overtake what was said.
            let _ = socket.read(&mut [0; 4096]).await;
            if !then_close {
                sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::join!(refused(target.clone(), phase), serve);
    }
    drop(listener);
    refused(target.clone(), Phase::Tcp).await;
    target.address = "no-such-host.invalid".into();
    refused(target.clone(), Phase::Resolve).await;

    let sshd = Sshd::with("Ciphers aes128-cbc");
    let error = refused(sshd.target(), Phase::Kex).await;
    assert!(error.to_string().contains("aes128-cbc"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failing_dial_answers_all_who_wait() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut target = SshTarget::new("dut", "127.0.0.1", listener.local_addr().unwrap().port(), "root");
    target.limits.banner = Duration::from_millis(300);
    let connector = SshConnector::new(target);
    let started = Instant::now();
    let ((), (), ()) = tokio::join!(
        async { drop(connector.open_shell().await.unwrap_err()) },
        async { drop(connector.exec(exec("a")).await.unwrap_err()) },
        async { drop(connector.exec(exec("b")).await.unwrap_err()) },
    );
    assert!(started.elapsed() < Duration::from_millis(550));
}
