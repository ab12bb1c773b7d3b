//! The shell as a transport, before a server that says and does exactly what a test wants. The real servers are in `tests/`.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;
use crate::error::Phase;
use crate::transport::login::LoginScript;
use crate::transport::{Ending, Incoming, Inlet, Interrupt};

use super::connection::Connection;
use super::target::TelnetTarget;

async fn listener() -> (TcpListener, TelnetTarget) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, TelnetTarget::new("bed", "127.0.0.1", port, LoginScript::new(Some("op".into()), None)))
}

/// A shell before its login, and the server's end of its connection.
async fn pair(change: impl FnOnce(&mut TelnetTarget)) -> (Box<dyn Transport>, TcpStream) {
    let (listener, mut target) = listener().await;
    change(&mut target);
    let connector = TelnetConnector::new(target);
    let (connection, accepted) = tokio::join!(Connection::dial(&connector.0.target), listener.accept());
    let shell = TelnetShell::before_login(connection.unwrap(), &connector.0);
    (Box::new(shell), accepted.unwrap().0)
}

async fn read(shell: &mut Box<dyn Transport>) -> Result<Vec<u8>, Ending> {
    let mut into = Vec::new();
    let incoming = timeout(Duration::from_secs(20), poll_fn(|cx| shell.poll_read(cx, &mut into)));
    match incoming.await.expect("something comes").unwrap() {
        Incoming::Ended(ending) => Err(ending),
        _ => Ok(into),
    }
}

async fn read_exactly(server: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    timeout(Duration::from_secs(20), server.read_exact(&mut bytes)).await.expect("it comes").unwrap();
    bytes
}

#[tokio::test]
async fn urgent_data_stays_where_it_was_sent() {
    let (mut shell, server) = pair(|_| {}).await;
    // What inetutils sends when the terminal throws output away: the mark is urgent.
    let server = server.into_std().unwrap();
    rustix::net::send(&server, b"a\xff", rustix::net::SendFlags::empty()).unwrap();
    rustix::net::send(&server, b"\xf2", rustix::net::SendFlags::OOB).unwrap();
    rustix::net::send(&server, b"bc", rustix::net::SendFlags::empty()).unwrap();
    let mut all = Vec::new();
    while all.len() < 3 {
        all.extend(read(&mut shell).await.unwrap());
    }
    assert_eq!(all, b"abc");
}

#[tokio::test]
async fn the_end_comes_after_all_that_was_written() {
    let (mut shell, mut server) = pair(|_| {}).await;
    server.write_all(b"last words").await.unwrap();
    drop(server);
    assert_eq!(read(&mut shell).await.unwrap(), b"last words");
    for _ in 0..2 {
        let ending = read(&mut shell).await.unwrap_err();
        assert!(ending.lost.unwrap().contains("the host closed the connection"));
    }
    let written = poll_fn(|cx| shell.poll_write(cx, Inlet::Commands, b"x")).await;
    assert_eq!(written.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
    assert!(!shell.interrupt(Interrupt::Gentle).await);
}

#[tokio::test]
async fn a_silent_server_is_asked_and_lost_when_it_does_not_answer() {
    let keepalive = super::super::tcp::Keepalive { interval: Duration::from_millis(200), misses: 2 };
    let (mut shell, mut server) = pair(|target| target.keepalive = keepalive).await;
    // It negotiates: it says that it will not.
    server.write_all(&[255, 252, 0, b'x']).await.unwrap();
    assert_eq!(read(&mut shell).await.unwrap(), b"x");
    read_exactly(&mut server, 12).await;
    let began = Instant::now();
    let answers = async {
        for _ in 0..3 {
            assert_eq!(read_exactly(&mut server, 3).await, [255, 253, 6]);
            server.write_all(&[255, 252, 6]).await.unwrap();
        }
        server
    };
    let (server, ending) = tokio::join!(answers, read(&mut shell));
    let reason = ending.unwrap_err().lost.unwrap();
    assert!(reason.contains("frozen or unreachable"), "{reason}");
    // Three answers, and two questions without one.
    assert!(began.elapsed() >= Duration::from_millis(1_100), "{:?}", began.elapsed());
    drop(server);
}

#[tokio::test]
async fn a_server_that_knows_no_questions_is_not_asked_any() {
    let keepalive = super::super::tcp::Keepalive { interval: Duration::from_millis(50), misses: 1 };
    let (mut shell, mut server) = pair(|target| target.keepalive = keepalive).await;
    server.write_all(&[255, 253, 31]).await.unwrap();
    let quiet = timeout(Duration::from_millis(600), read(&mut shell)).await;
    assert!(quiet.is_err(), "{quiet:?}");
    drop(shell);
    let mut said = Vec::new();
    server.read_to_end(&mut said).await.unwrap();
    assert!(!said.windows(3).any(|three| three == [255, 253, 6]), "{said:?}");
}

#[tokio::test]
async fn a_server_that_does_not_read_takes_no_more_and_loses_nothing() {
    let (mut shell, mut server) = pair(|_| {}).await;
    let data: Vec<u8> = (0..20_000_000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
    let mut at = 0;
    // Until nothing more is taken.
    let write = |shell: &mut Box<dyn Transport>, at: &mut usize| {
        let mut taken = 0;
        while *at < data.len() {
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            match shell.poll_write(&mut cx, Inlet::Commands, &data[*at..]) {
                std::task::Poll::Ready(count) => taken += count.unwrap(),
                std::task::Poll::Pending => break,
            }
            *at += std::mem::take(&mut taken);
        }
    };
    write(&mut shell, &mut at);
    assert!(at > 0 && at < data.len(), "{at}");
    let typing = async {
        while at < data.len() {
            at += poll_fn(|cx| shell.poll_write(cx, Inlet::Terminal, &data[at..])).await.unwrap();
        }
        shell.close().await;
    };
    let reading = async {
        let mut got = Vec::new();
        server.read_to_end(&mut got).await.unwrap();
        drop(server);
        got
    };
    let ((), got) = tokio::join!(typing, reading);
    // Remainders never reach 255, but 13 is followed by a NUL where binary was not agreed.
    let got: Vec<u8> = got
        .iter()
        .enumerate()
        .filter(|(at, byte)| **byte != 0 || got[at.saturating_sub(1)] != 13)
        .map(|(_, byte)| *byte)
        .collect();
    assert!(got == data, "{} of {}", got.len(), data.len());
}

#[tokio::test]
async fn interrupting_types_the_key() {
    let (mut shell, mut server) = pair(|_| {}).await;
    assert!(shell.interrupt(Interrupt::Gentle).await);
    assert_eq!(read_exactly(&mut server, 1).await, [3]);
    // Nobody has logged in: there is no group to kill.
    assert!(!shell.interrupt(Interrupt::Kill).await);
}

#[tokio::test]
async fn closing_is_bounded_when_the_server_does_not_answer() {
    let (shell, server) = pair(|_| {}).await;
    let began = Instant::now();
    shell.close().await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(server);
}

#[tokio::test]
async fn a_login_that_is_closed_or_dropped_hangs_up() {
    let (listener, target) = listener().await;
    let connector = Arc::new(TelnetConnector::new(target));
    let opening = tokio::spawn({
        let connector = Arc::clone(&connector);
        async move { connector.open_shell().await.map(|_| ()) }
    });
    let (mut server, _) = listener.accept().await.unwrap();
    server.write_all(b"wait").await.unwrap();
    let answers = async {
        // What was not read makes it a reset.
        let _ = timeout(Duration::from_secs(5), server.read_to_end(&mut Vec::new())).await.expect("it hung up");
        drop(server);
    };
    let (seen, ()) = tokio::join!(connector.close(), answers);
    assert!(seen);
    let error = opening.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");

    let opening = connector.open_shell();
    let dropped = timeout(Duration::from_millis(100), opening).await;
    assert!(dropped.is_err());
    let (mut server, _) = listener.accept().await.unwrap();
    let mut said = Vec::new();
    timeout(Duration::from_secs(5), server.read_to_end(&mut said)).await.expect("it hung up").unwrap();
}

#[tokio::test]
async fn errors_name_their_phase_and_host() {
    let (listener, target) = listener().await;
    drop(listener);
    let connector = TelnetConnector::new(target);
    let error = connector.open_shell().await.unwrap_err();
    assert_eq!((error.phase(), error.host()), (Some(Phase::Tcp), Some("bed")));
    assert!(!connector.has_exec());
    assert!(connector.close().await, "there is nothing to close");
}
