//! Keys, host keys, and each phase that can fail.

use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::error::Phase;
use crate::transport::Connector;

use super::super::testbed::Sshd;
use super::super::{Auth, HostKeyCheck, SshConnector, SshTarget};
use super::{exec, output, refused};

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
    let set = |change: &dyn Fn(&mut super::super::HostKeyPolicy)| {
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
