//! Against the real sshd.

mod ends;
mod processes;
mod shells;
mod ways_in;

use std::future::poll_fn;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::error::{Error, ErrorKind, Phase};
use crate::transport::{Connector, Ending, Exec, Incoming, Inlet, Outlet, Transport};

use super::{SshConnector, SshTarget};

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
