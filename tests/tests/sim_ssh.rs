//! The simulated hosts as OpenSSH's own client sees them.

use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use otto::sim::{Fault, SimHost, SimLab};
use otto_tests::client::SshClient;
use otto_tests::processes::Process;
use rustix::process::{Pid, Signal, kill_process};

fn lab() -> (SimLab, SshClient) {
    with(SimHost::new("sim"))
}

fn with(host: SimHost) -> (SimLab, SshClient) {
    let lab = SimLab::builder().host(host).start().unwrap();
    let client = SshClient::new(&lab.hosts()[0]);
    (lab, client)
}

fn running(command: &str) -> Vec<Process> {
    Process::all().into_values().filter(|process| process.command == command).collect()
}

#[track_caller]
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < end, "not within 5 s: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Reads one line, and no byte more.
fn line(child: &mut Child) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    let stdout = child.stdout.as_mut().unwrap();
    while stdout.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap().trim_end().to_owned()
}

#[test]
fn exec_tells_output_error_and_status_apart() {
    let (_lab, ssh) = lab();
    let output = ssh.run(&[], "echo out; echo error >&2; exit 7");
    assert_eq!(output.status.code(), Some(7));
    assert_eq!((&*output.stdout, &*output.stderr), (&b"out\n"[..], &b"error\n"[..]));
    assert_eq!(ssh.run(&[], "true").status.code(), Some(0));
    // How the client shows an exit signal.
    let killed = ssh.run(&["-v", "-o", "LogLevel=DEBUG1"], "kill -9 $$");
    assert_eq!(killed.status.code(), Some(255));
    assert!(String::from_utf8_lossy(&killed.stderr).contains("exit-signal"));
}

#[test]
fn a_password_lets_in_and_a_wrong_one_does_not() {
    let (_lab, ssh) = with(SimHost::new("sim").password().user("admin"));
    assert_eq!(ssh.text(&[], "echo $USER"), "admin\n");
    let mut wrong = ssh.command(&["-o", "NumberOfPasswordPrompts=1"], &["true"]);
    let output = wrong.env("OTTO_TEST_PASSWORD", "wrong").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("Permission denied (password)"), "{output:?}");
}

#[test]
fn another_key_and_another_user_are_refused() {
    let lab = SimLab::builder().host("a").host("b").host(SimHost::new("c").user("admin")).start().unwrap();
    let port = lab.host("a").unwrap().port().to_string();
    let known = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-p", &port];
    for other in ["b", "c"] {
        // The first value of an option holds, so that this is the client of another host at the door of this one.
        let output = SshClient::with_options(lab.host(other).unwrap(), &known).run(&["-o", "BatchMode=yes"], "true");
        assert!(String::from_utf8_lossy(&output.stderr).contains("Permission denied (publickey)"), "{output:?}");
    }
}

#[test]
fn the_environment_is_the_hosts_own() {
    let (lab, ssh) = lab();
    let home = lab.hosts()[0].home().display().to_string();
    let script = "echo $HOME; pwd; echo $OTTO_SIM_HOST $USER $LOGNAME ${HISTFILE-unset}; umask; \
                  echo ${CARGO_MANIFEST_DIR-none}; echo $LC_ALL ${OTHER-refused}";
    let mut command = ssh.command(&["-o", "SendEnv=LC_ALL OTHER"], &[script]);
    let output = command.env("LC_ALL", "C").env("OTHER", "x").output().unwrap();
    let expected = format!("{home}\n{home}\nsim otto otto unset\n0022\nnone\nC refused\n");
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn pipes_can_be_opened_again_and_lead_a_session() {
    let (_lab, ssh) = lab();
    let script = "readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2 | sed 's/:.*//' | sort -u; \
                  echo again > /proc/$$/fd/1; ps -o sid= -p $$ | tr -d ' ' | sed \"s/^$$\\$/leader/\"";
    assert_eq!(ssh.text(&[], script), "pipe\nagain\nleader\n");
}

#[test]
fn stdin_arrives_to_its_end() {
    let (_lab, ssh) = lab();
    let mut child = ssh.command(&[], &["wc -c; cat /dev/null"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let data = vec![b'x'; 20 << 20];
    stdin.write_all(&data).unwrap();
    drop(stdin);
    assert_eq!(child.wait_with_output().unwrap().stdout, format!("{}\n", 20 << 20).as_bytes());
}

#[test]
fn a_hundred_megabytes_come_and_go_at_once() {
    let (_lab, ssh) = lab();
    let output = ssh.run(&[], "head -c 104857600 /dev/zero");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 100 << 20));
    // Both ways through one connection, where each side could wait for the other.
    let mut child = ssh.command(&[], &["cat"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = thread::spawn(move || stdin.write_all(&vec![b'x'; 50 << 20]).unwrap());
    assert_eq!(child.wait_with_output().unwrap().stdout.len(), 50 << 20);
    writer.join().unwrap();
}

#[test]
fn a_command_that_does_not_read_slows_its_client_and_not_its_siblings() {
    let (_lab, ssh) = lab();
    let socket = tempfile::tempdir().unwrap();
    let path = format!("ControlPath={}", socket.path().join("s").display());
    let mut master = ssh.command(&["-N", "-o", "ControlMaster=yes", "-o", &path], &[]).spawn().unwrap();
    wait_until("the shared connection is there", || socket.path().join("s").exists());
    let shared = ["-o", "ControlMaster=no", "-o", path.as_str()];
    let mut stuck = ssh.command(&shared, &["sleep 3; wc -c"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = stuck.stdin.take().unwrap();
    let started = Instant::now();
    let writer = thread::spawn(move || {
        stdin.write_all(&vec![b'x'; 40 << 20]).unwrap();
        started.elapsed()
    });
    thread::sleep(Duration::from_millis(500));
    for _ in 0..5 {
        assert_eq!(ssh.text(&shared, "echo alive"), "alive\n");
    }
    assert!(started.elapsed() < Duration::from_millis(2500), "siblings took {:?}", started.elapsed());
    assert_eq!(stuck.wait_with_output().unwrap().stdout, format!("{}\n", 40 << 20).as_bytes());
    assert!(writer.join().unwrap() > Duration::from_secs(2), "40 MB went somewhere before anybody read them");
    master.kill().unwrap();
    master.wait().unwrap();
}

#[test]
fn a_terminal_is_one() {
    let (_lab, ssh) = lab();
    let text =
        ssh.text(&["-tt"], "tty; test -t 0 && test -t 1 && test -t 2 && echo three; : < /dev/tty && echo control");
    assert!(text.starts_with("/dev/pts/") && text.ends_with("three\r\ncontrol\r\n"), "{text:?}");
    assert_eq!(ssh.run(&["-tt"], "exit 9").status.code(), Some(9));
    // Without modes from a terminal of its own, ssh sends none, and the system's hold.
    assert!(ssh.text(&["-tt"], "stty -a").contains(" echo "), "a fresh terminal echoes");
}

#[test]
fn a_login_shell_answers_on_a_terminal_and_hangs_up_with_it() {
    let (_lab, ssh) = lab();
    let mut child = ssh.command(&["-tt"], &[]).stdin(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.as_mut().unwrap();
    stdin.write_all(b"stty -echo; PS1=; echo $0 $((6*7)); sleep 7654321\n").unwrap();
    loop {
        let line = line(&mut child);
        if line.contains("42") && !line.contains("6*7") {
            assert!(line.contains("-bash") || line.contains("-sh"), "{line}");
            break;
        }
    }
    wait_until("sleep runs", || !running("sleep 7654321").is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("sleep is hung up", || running("sleep 7654321").is_empty());
}

#[test]
fn a_lost_connection_ends_its_session_but_not_a_daemon_which_ends_with_the_lab() {
    let (lab, ssh) = lab();
    let script = "trap '' HUP; sleep 8654321 & setsid sleep 8654322 & echo up; wait";
    let mut child = ssh.command(&[], &[script]).spawn().unwrap();
    assert_eq!(line(&mut child), "up");
    wait_until("both run", || running("sleep 8654321").len() + running("sleep 8654322").len() == 2);
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    wait_until("the session is ended", || running("sleep 8654321").is_empty());
    assert_eq!(running("sleep 8654322").len(), 1);
    drop(lab);
    assert!(running("sleep 8654322").is_empty());
}

#[test]
fn twenty_connections_at_once() {
    let (_lab, ssh) = lab();
    thread::scope(|scope| {
        for number in 0..20 {
            let ssh = &ssh;
            scope.spawn(move || assert_eq!(ssh.text(&[], &format!("sleep 0.2; echo {number}")), format!("{number}\n")));
        }
    });
}

#[test]
fn the_eleventh_session_of_a_connection_is_refused_until_one_ends() {
    let (_lab, ssh) = with(SimHost::new("sim").max_sessions(2));
    let socket = tempfile::tempdir().unwrap();
    let path = format!("ControlPath={}", socket.path().join("s").display());
    let mut first = ssh.command(&["-o", "ControlMaster=yes", "-o", &path], &["echo up; read x"]);
    let mut first = first.stdin(Stdio::piped()).spawn().unwrap();
    assert_eq!(line(&mut first), "up");
    // Refused on the shared connection, ssh makes one of its own, unless it cannot.
    let shared = ["-o", "ControlMaster=no", "-o", path.as_str(), "-o", "ProxyCommand=false"];
    assert_eq!(ssh.text(&shared, "echo two"), "two\n");
    let mut second = ssh.command(&shared, &["echo up; read x"]).stdin(Stdio::piped()).spawn().unwrap();
    assert_eq!(line(&mut second), "up");
    let refused = ssh.run(&shared, "echo three");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("refused by peer"), "{refused:?}");
    assert!(!refused.status.success());
    drop(second.stdin.take());
    second.wait().unwrap();
    assert_eq!(ssh.text(&shared, "echo three"), "three\n");
    drop(first.stdin.take());
    first.wait().unwrap();
}

#[test]
fn a_host_is_reached_through_another() {
    let lab = SimLab::builder().host("hop").host("behind").start().unwrap();
    let (hop, behind) = (lab.host("hop").unwrap(), lab.host("behind").unwrap());
    let hop = SshClient::new(hop);
    let proxy = hop.command(&["-W", &format!("127.0.0.1:{}", behind.port())], &[]);
    let arguments: Vec<_> = proxy.get_args().map(|argument| format!("'{}'", argument.to_str().unwrap())).collect();
    let option = format!("ProxyCommand=ssh {}", arguments.join(" "));
    assert_eq!(SshClient::new(behind).text(&["-o", &option], "echo $OTTO_SIM_HOST"), "behind\n");
    let elsewhere = hop.command(&["-v", "-W", "192.0.2.1:22"], &[]).output().unwrap();
    assert!(String::from_utf8_lossy(&elsewhere.stderr).contains("administratively prohibited"), "{elsewhere:?}");
}

#[test]
fn keepalives_are_answered_and_a_frozen_host_does_not() {
    let (lab, ssh) = lab();
    let alive = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1"];
    assert_eq!(ssh.text(&alive, "sleep 3; echo awake"), "awake\n");
    let mut child = ssh.command(&alive, &["echo up; sleep 60"]).spawn().unwrap();
    assert_eq!(line(&mut child), "up");
    lab.hosts()[0].freeze();
    let started = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(255));
    assert!(started.elapsed() < Duration::from_secs(10));
    lab.hosts()[0].thaw();
    assert_eq!(ssh.text(&[], "echo back"), "back\n");
}

#[test]
fn dropped_connections_are_lost_at_once_and_new_ones_served() {
    let (lab, ssh) = lab();
    let mut child = ssh.command(&[], &["echo up; sleep 60"]).spawn().unwrap();
    assert_eq!(line(&mut child), "up");
    let started = Instant::now();
    lab.hosts()[0].drop_connections();
    assert_eq!(child.wait().unwrap().code(), Some(255));
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(ssh.text(&[], "echo back"), "back\n");
}

#[test]
fn each_fault_shows_as_itself() {
    let fault = |fault| with(SimHost::new("sim").fault(fault));
    let error = |ssh: &SshClient| {
        let output = ssh.run(&["-o", "ConnectTimeout=1"], "echo fine");
        assert_eq!(output.status.code(), Some(255), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let (lab, ssh) = fault(Fault::Refuse);
    assert!(error(&ssh).contains("Connection refused"));
    lab.hosts()[0].set_faults(&[]);
    wait_until("the host listens", || ssh.run(&[], "true").status.success());
    lab.hosts()[0].set_faults(&[Fault::Refuse]);
    wait_until("the host refuses", || ssh.run(&[], "true").status.code() == Some(255));
    lab.hosts()[0].set_faults(&[]);
    wait_until("the host listens again", || ssh.run(&[], "true").status.success());

    let (_lab, ssh) = fault(Fault::Silent);
    assert!(error(&ssh).contains("timed out"));
    let (_lab, ssh) = fault(Fault::Garbage(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()));
    let text = error(&ssh);
    assert!(text.contains("banner") || text.contains("identification"), "{text}");
    let (_lab, ssh) = fault(Fault::WrongHostKey);
    assert!(error(&ssh).contains("Host key verification failed"));
    let (_lab, ssh) = fault(Fault::DropAfter(100));
    error(&ssh);
    let (_lab, ssh) = fault(Fault::FreezeAfter(10));
    assert!(error(&ssh).contains("timed out"));
    let (_lab, ssh) = fault(Fault::NoExitStatus);
    let output = ssh.run(&[], "echo fine");
    assert_eq!((output.status.code(), &*output.stdout), (Some(255), &b"fine\n"[..]));
    let (_lab, ssh) = fault(Fault::Slow(Duration::from_millis(50)));
    let started = Instant::now();
    assert_eq!(ssh.text(&[], "echo slow"), "slow\n");
    assert!(started.elapsed() > Duration::from_millis(300));
}

#[test]
fn files_go_by_sftp() {
    let (lab, ssh) = lab();
    let file = lab.hosts()[0].home().join("file");
    let batch = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(batch.path(), format!("put {} file\n", batch.path().display())).unwrap();
    let mut command = ssh.command(&["-s"], &["sftp"]);
    let output = command.stdin(Stdio::piped()).output().unwrap();
    // An empty conversation ends well where the server has OpenSSH's program, and is refused where not.
    assert!(output.status.success() || !std::path::Path::new("/usr/lib/openssh/sftp-server").exists(), "{output:?}");
    assert!(!file.exists());
}
