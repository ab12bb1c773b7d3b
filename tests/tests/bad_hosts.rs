//! Hosts that cannot be reached, let nobody in, or break off: the failure of the test says why and what to do next, in
//! bounded time, and nothing is left.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use otto::sim::{SimHost, SimLab};
use otto_tests::sshd::Sshd;
use otto_tests::suite::{Project, Said};

const SUITE: &str = env!("CARGO_BIN_EXE_lab_fixture");

/// A lab `bed` whose host `server` is described by these lines.
fn bed(lines: &str) -> String {
    format!("lab = \"bed\"\n[[hosts]]\nid = \"server\"\n{lines}\n")
}

/// Runs a test of that lab, which fails with these words.
#[track_caller]
fn fails(project: &Project, test: &str, says: &[&str]) -> Said {
    let said = project.run(SUITE, &["--exact", test, "--lab", "bed"], &[]);
    said.expect(101, says);
    said.expect(
        101,
        &[
            "1 failed",
            "on lab bed",
            &format!("run it again: cargo run -p otto-tests --bin lab_fixture -- --exact {test} --lab bed"),
        ],
    );
    said.within(Duration::from_secs(15));
    assert!(!said.out.contains("left open"), "{}", said.out);
    project.assert_nothing_left(&[]);
    said
}

/// As [`fails`], on a host of these lines.
#[track_caller]
fn unreachable(lines: &str, says: &[&str]) {
    let said = fails(&Project::with_labs(&[&bed(lines)]), "bad::probe", says);
    assert!(said.out.contains("\n  hint: "), "{}", said.out);
}

/// The lines of the server's host, without those of these fields.
fn without(server: &Sshd, fields: &[&str]) -> String {
    let toml = server.host_toml();
    let lines = toml.lines().skip(2).filter(|line| !fields.iter().any(|field| line.starts_with(field)));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn nothing_listens() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    unreachable(
        &format!("ip = \"127.0.0.1\"\nport = {port}\nuser = \"nobody\""),
        &[
            &format!("server: cannot connect (tcp): 127.0.0.1:{port}: Connection refused"),
            "nothing listens there: is sshd running",
        ],
    );
}

#[test]
fn a_name_without_an_address() {
    unreachable(
        "ip = \"no-such-host.invalid\"\nuser = \"nobody\"",
        &[
            "server: cannot connect (resolve): no address for `no-such-host.invalid`: ",
            "check `ip` of the host in the lab file",
        ],
    );
}

#[test]
fn a_banner_that_never_comes() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    unreachable(
        &format!("ip = \"127.0.0.1\"\nport = {port}\nuser = \"nobody\"\nssh_options = {{ connect_timeout = 1 }}"),
        &["server: cannot connect (banner): the server said nothing within 1s", "is it sshd?"],
    );
}

#[test]
fn no_algorithm_in_common() {
    let server = Sshd::builder().config("Ciphers aes128-cbc").start();
    unreachable(
        &without(&server, &[]),
        &["server: cannot connect (kex): ", "aes128-cbc", "the server is too old or set up too narrowly"],
    );
}

#[test]
fn a_key_that_the_server_does_not_take() {
    let (server, other) = (Sshd::start(), Sshd::start());
    let key = other.key_file();
    let lines = format!(
        "{}\ncreds = [{{ login = \"{}\", key_file = \"{}\" }}]",
        without(&server, &["creds"]),
        server.user(),
        key.display()
    );
    unreachable(&lines, &["server: cannot connect (auth): ", &format!("{} (refused)", key.display()), "publickey"]);
    let lines = format!("{}\nuser = \"nobody\"", without(&server, &["creds"]));
    unreachable(&lines, &["server: cannot connect (auth): "]);
}

#[test]
fn a_password_that_is_wrong_is_not_shown() {
    let lab = SimLab::builder().host(SimHost::new("server").password()).start().unwrap();
    let host = lab.host("server").unwrap();
    let lines = format!(
        "ip = \"127.0.0.1\"\nport = {}\nhost_key = \"{}\"\ncreds = [{{ login = \"{}\", password = \"hunter2\" }}]",
        host.port(),
        host.host_key(),
        host.user()
    );
    let said = fails(
        &Project::with_labs(&[&bed(&lines)]),
        "bad::probe",
        &["server: cannot connect (auth): ", "password (refused)", "\n  hint: "],
    );
    assert!(!format!("{}{}", said.out, said.err).contains("hunter2"), "{}", said.out);
}

#[test]
fn a_host_key_that_nobody_knows() {
    let server = Sshd::start();
    unreachable(
        &without(&server, &["host_key"]),
        &[
            "server: cannot connect (host key): the host key ssh-ed25519 SHA256:",
            " is not known",
            &format!("if that is the host's, set host_key = \"{}\"", server.host_key()),
        ],
    );
}

#[test]
fn a_host_key_that_has_changed() {
    let (server, other) = (Sshd::start(), Sshd::start());
    let project =
        Project::with_labs(&[&bed(&format!("{}\nknown_hosts = \"../known\"", without(&server, &["host_key"])))]);
    project.write("known", format!("# ours\n[127.0.0.1]:{} {}\n", server.port(), other.host_key()));
    fails(
        &project,
        "bad::probe",
        &[
            "server: cannot connect (host key): the host key has changed: it is ssh-ed25519 SHA256:",
            "known:2 has another",
            &format!("replace that line by: [127.0.0.1]:{} {}", server.port(), server.host_key()),
        ],
    );
    // What is known is not touched.
    assert!(fs::read_to_string(project.path().join("known")).unwrap().ends_with(&format!("{}\n", other.host_key())));
    let pinned = format!("{}\nhost_key = \"{}\"", without(&server, &["host_key"]), other.host_key());
    unreachable(&pinned, &["which is not the `host_key` of the lab", "somebody may be in between"]);
}

#[test]
fn a_host_that_the_lab_does_not_have() {
    let server = Sshd::start();
    fails(
        &Project::with_labs(&[&server.lab_toml()]),
        "bad::unknown_host",
        &["lab `bed` has no host `sevrer`\n  hint: its hosts, nearest first: server"],
    );
}

#[test]
fn a_command_on_a_session_that_was_closed() {
    let server = Sshd::start();
    let project = Project::with_labs(&[&server.lab_toml()]);
    fails(
        &project,
        "bad::closed_session",
        &["server: the session was closed [session worker]\n  hint: `open_session` opens a new one of that name"],
    );
    project.assert_nothing_left(&[&server]);
}

#[test]
fn a_server_that_is_killed_in_the_middle_of_a_command() {
    let server = Sshd::start();
    let project = Project::with_labs(&[&server.lab_toml()]);
    let mut running = project.start(SUITE, &["--exact", "bad::cut_off", "--lab", "bed"], &[]);
    running.wait_for("waiting\n");
    std::thread::sleep(Duration::from_millis(300));
    server.kill_children();
    let said = running.end();
    said.expect(
        101,
        &[
            "server: ",
            "the connection was lost: the host closed the connection; did it reboot",
            "`echo begun; sleep 4321.",
            "` did not end: ",
            "\n  | begun\n",
            // In the test's own output, and in the summary of the run.
            "\n  left on server: `echo begun; sleep 4321.",
            "1 failed",
            "otto: hosts are dirty, because something may still run on them:\n  server: `echo begun;",
            "(left by test bad::cut_off)",
        ],
    );
    said.within(Duration::from_secs(5));
    project.assert_nothing_left(&[&server]);
}
