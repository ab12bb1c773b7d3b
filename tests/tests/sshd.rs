//! The bed itself: a real server that starts, answers, freezes, dies and stops as the tests on it need.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use otto_tests::sshd::Sshd;

fn ssh(sshd: &Sshd, options: &[&str], command: &str) -> Command {
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"])
        .args(["-o", "LogLevel=ERROR", "-o", &format!("UserKnownHostsFile={}", sshd.known_hosts_file().display())])
        .arg("-i")
        .arg(sshd.key_file())
        .args(["-p", &sshd.port().to_string(), "-l", sshd.user()])
        .args(options)
        .args(["127.0.0.1", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    ssh
}

#[test]
fn it_answers_and_leaves_nothing() {
    let mut sshd = Sshd::builder().id("router1").config("Banner none").start();
    let output = ssh(&sshd, &[], "echo fine").output().unwrap();
    assert_eq!(output.stdout, b"fine\n", "{output:?}");
    assert!(sshd.lab_toml().contains("id = \"router1\"") && sshd.lab_file().exists());
    let mut open = ssh(&sshd, &[], "echo up; sleep 1000").spawn().unwrap();
    BufReader::new(open.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
    assert!(sshd.children().iter().any(|child| child.command.contains("sleep 1000")));
    let port = sshd.port();
    sshd.stop();
    assert_eq!(open.wait().unwrap().code(), Some(255));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(sshd.children().is_empty());
}

#[test]
fn killed_connections_are_lost_and_new_ones_served() {
    let sshd = Sshd::start();
    let mut open = ssh(&sshd, &[], "echo up; sleep 1000").spawn().unwrap();
    BufReader::new(open.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
    sshd.kill_children();
    assert_eq!(open.wait().unwrap().code(), Some(255));
    assert!(ssh(&sshd, &[], "true").status().unwrap().success());
}

#[test]
fn a_frozen_server_says_nothing_until_it_thaws() {
    let sshd = Sshd::start();
    let mut open = ssh(&sshd, &[], "echo up; sleep 0.2; echo late").spawn().unwrap();
    let mut output = BufReader::new(open.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    sshd.freeze();
    let started = Instant::now();
    assert!(!ssh(&sshd, &["-o", "ConnectTimeout=1"], "true").status().unwrap().success());
    assert!(started.elapsed() >= Duration::from_millis(900));
    assert!(open.try_wait().unwrap().is_none());
    sshd.thaw();
    let mut late = String::new();
    output.read_line(&mut late).unwrap();
    assert_eq!(late, "late\n");
    open.wait().unwrap();
}

#[test]
fn ten_at_once_do_not_collide() {
    let servers: Vec<_> =
        (0..10).map(|_| std::thread::spawn(Sshd::start)).map(|thread| thread.join().unwrap()).collect();
    let mut ports: Vec<_> = servers.iter().map(Sshd::port).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 10);
}
