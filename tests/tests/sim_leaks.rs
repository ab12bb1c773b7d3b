//! A simulated lab leaves nothing behind, however it ends. One test a process: these look at all of it.

use std::env;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use otto::sim::SimLab;
use otto_tests::client::SshClient;
use otto_tests::leaks::Snapshot;
use otto_tests::processes::Process;

/// What the child of the second half is told to do.
const ENDING: &str = "OTTO_TEST_ENDING";

fn main() {
    if let Ok(ending) = env::var(ENDING) {
        return end_like(&ending);
    }
    // nextest asks for the tests first; they are one, because each looks at the whole process.
    if env::args().any(|argument| argument == "--list") {
        if !env::args().any(|argument| argument == "--ignored") {
            io::stdout().write_all(b"nothing_is_left: test\n").unwrap();
        }
        return;
    }
    a_dropped_lab();
    for ending in ["return", "exit", "panic", "kill"] {
        an_ended_process(ending);
    }
}

fn a_dropped_lab() {
    // What waits for children is made once a process, and stays.
    drop(SimLab::builder().host("a").start().unwrap());
    let before = Snapshot::take();
    for _ in 0..3 {
        let lab = SimLab::builder().host("a").host("b").start().unwrap();
        let clients: Vec<_> = lab.hosts().iter().map(SshClient::new).collect();
        for _ in 0..5 {
            for client in &clients {
                assert_eq!(client.text(&[], "echo x"), "x\n");
                assert_eq!(client.text(&["-tt"], "echo x"), "x\r\n");
            }
        }
        let mut open: Vec<_> = clients
            .iter()
            .map(|client| client.command(&["-tt"], &["trap '' HUP; echo up; sleep 1000"]).spawn().unwrap())
            .collect();
        for child in &mut open {
            let mut line = String::new();
            BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        }
        let homes: Vec<_> = lab.hosts().iter().map(|host| host.home().to_owned()).collect();
        drop(lab);
        for mut child in open {
            assert_eq!(child.wait().unwrap().code(), Some(255));
        }
        assert!(!homes.iter().any(|home| home.exists()));
    }
    before.assert_same_within(Duration::from_secs(2));
}

/// What is below happens in a process of its own.
#[expect(clippy::zombie_processes, reason = "the clients are to be left running when this process ends")]
fn end_like(ending: &str) {
    let lab = Box::leak(Box::new(SimLab::builder().host("sim").start().unwrap()));
    let client = SshClient::new(&lab.hosts()[0]);
    let script = "echo $OTTO_SIM_MARK $HOME; (trap '' HUP; sleep 1000) & sleep 1000";
    let mut exec = client.command(&[], &[script]).spawn().unwrap();
    let mut shell = client.command(&["-tt"], &[]).stdin(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(exec.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    shell.stdin.as_mut().unwrap().write_all(b"echo up\n").unwrap();
    BufReader::new(shell.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
    eprintln!("{line}");
    match ending {
        "return" => {}
        "exit" => std::process::exit(0),
        "panic" => panic!("as a test does"),
        _ => thread::sleep(Duration::from_secs(60)),
    }
}

fn an_ended_process(ending: &str) {
    let mut child = Command::new(env::current_exe().unwrap());
    let mut child = child.env(ENDING, ending).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let (mark, home) = line.trim().split_once(' ').unwrap();
    let mark = mark.split_once('-').unwrap().0.to_owned() + "-";
    if ending == "kill" {
        child.kill().unwrap();
    }
    child.wait().unwrap();
    let left = || -> Vec<_> {
        let all = Process::all().into_values();
        all.filter(|process| process.has_variable("OTTO_SIM_MARK", &mark)).map(|process| process.command).collect()
    };
    if ending == "kill" {
        // Nobody is there to clean up: shells hang up, what ignores that is not the lab's to end.
        let end = Instant::now() + Duration::from_secs(2);
        while left().iter().any(|command| command.contains("bash")) && Instant::now() < end {
            thread::sleep(Duration::from_millis(10));
        }
        assert!(!left().iter().any(|command| command.starts_with('-')), "{:?}", left());
        for process in Process::all().into_values().filter(|process| process.has_variable("OTTO_SIM_MARK", &mark)) {
            let pid = rustix::process::Pid::from_raw(process.pid).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        fs::remove_dir_all(std::path::Path::new(home).parent().unwrap()).unwrap();
    } else {
        assert!(left().is_empty(), "{ending}: {:?}", left());
        assert!(!std::path::Path::new(home).exists(), "{ending}: {home}");
    }
}
