//! Labs and reservations that are wrong: an error before anything is contacted, and what to do next.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use otto_tests::suite::{Project, Said};

const SUITE: &str = env!("CARGO_BIN_EXE_lab_fixture");

/// A listener that counts who came, and a lab of one host there that requires a resource.
fn counted() -> (TcpListener, String) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let lab = format!(
        "lab = \"bed\"\nresources = [\"rack3\"]\n[[hosts]]\nid = \"server\"\nip = \"127.0.0.1\"\nport = {port}\n\
         user = \"nobody\"\nresources = [\"router1\"]\n"
    );
    (listener, lab)
}

/// Runs one test of the lab `bed`, which ends before it begins: with this code, and nothing on stdout.
#[track_caller]
fn refused(project: &Project, arguments: &[&str], code: i32, says: &[&str]) -> Said {
    let said = project.run(SUITE, &[&["bad::probe"], arguments].concat(), &[("OTTO_LAB", "bed")]);
    said.expect(code, says);
    said.within(Duration::from_secs(5));
    assert!(said.out.is_empty(), "{}", said.out);
    project.assert_nothing_left(&[]);
    said
}

#[test]
fn an_unknown_lab_is_told_with_the_nearest_one() {
    let project = Project::with_labs(&[&counted().1]);
    refused(&project, &["--lab", "bad"], 2, &["there is no lab `bad`; known labs: bed", "hint: did you mean `bed`?"]);
    refused(&project, &["--lab", "bed+rakc"], 2, &["there is no lab `rakc`"]);
}

#[test]
fn a_lab_file_that_is_not_there_is_named() {
    let project = Project::new();
    refused(
        &project,
        &[],
        2,
        &["there is no lab `bed`; known labs: sim, local", "hint: lab files are found by `paths`"],
    );
    project.write("otto.toml", "[lab]\npaths = [\"nowhere\"]\n");
    refused(&project, &[], 2, &["nowhere: "]);
    project.write("otto.toml", "[lab]\npaths = [\"labs/bed.toml\"]\n");
    refused(&project, &[], 2, &["labs/bed.toml: "]);
}

#[test]
fn all_mistakes_of_all_lab_files_are_told_at_once_with_their_places() {
    let project = Project::with_labs(&[
        "lab = \"bed\"\n[[hosts]]\nid = \"a\"\nipp = \"10.0.0.1\"\nport = 70000\n",
        "lab = \"bed\"\n[[hosts]]\nid = \"b\"\nterm = \"shs\"\nip = \"10.0.0.2\"\n",
        "lab = \"bed\n",
    ]);
    let said = refused(
        &project,
        &[],
        2,
        &[
            "lab1.toml:4:1: ",
            "did you mean `ip`?",
            "lab1.toml:5:8: ",
            "lab2.toml:4:8: `term` cannot be \"shs\"",
            "did you mean `ssh`?",
            "lab3.toml:1:11: this is not TOML: ",
        ],
    );
    assert!(said.err.starts_with("error: ") && said.err.contains("mistakes:"), "{}", said.err);
}

#[test]
fn two_hosts_of_one_id_are_told_with_both_places() {
    let host = |ip: &str| format!("[[hosts]]\nid = \"twin\"\nip = \"{ip}\"\n");
    let one = format!("lab = \"bed\"\n{}{}", host("10.0.0.1"), host("10.0.0.2"));
    let project = Project::with_labs(&[&one]);
    refused(&project, &[], 2, &["lab1.toml:", "the host id `twin` stands twice: also at ", "lab1.toml:2:1"]);
    // In two files it is one host if the addresses agree, else a mistake.
    let lab = |ip: &str| format!("lab = \"bed\"\n{}", host(ip));
    let project = Project::with_labs(&[&lab("10.0.0.1"), &lab("10.0.0.2")]);
    refused(&project, &[], 2, &["`twin`", "lab1.toml:", "lab2.toml:", "10.0.0.1", "10.0.0.2"]);
}

#[test]
fn a_mistake_in_otto_toml_is_told_with_its_place() {
    let project = Project::with_labs(&[&counted().1]);
    project.write("otto.toml", "[lab]\npath = [\"labs\"]\n[reservations]\nbackend = \"json\"\n");
    refused(
        &project,
        &[],
        2,
        &["otto.toml:2:1: ", "did you mean `paths`?", "otto.toml:3:", "needs the `path` of its file"],
    );
}

/// A project that asks `reservations.json`, and the listener of its host.
fn reserved(reservations: &[u8]) -> (Project, TcpListener) {
    let (listener, lab) = counted();
    let project = Project::with_labs(&[&lab]);
    project.write(
        "otto.toml",
        "[lab]\npaths = [\"labs\"]\n[reservations]\nbackend = \"json\"\npath = \"reservations.json\"\n",
    );
    project.write("reservations.json", reservations);
    (project, listener)
}

fn nobody_came(listener: &TcpListener) {
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_reservation_that_is_not_held_names_resources_and_holders_and_no_way_round() {
    let (project, listener) = reserved(
        br#"[{"user": "tester", "resources": ["rack3"]},
             {"user": "bob", "resources": ["router1"], "end": "2999-01-01T00:00:00Z"}]"#,
    );
    let said = refused(
        &project,
        &["--as-user", "tester"],
        1,
        &[
            "tester has not reserved 1 of the 2 resources that lab bed requires",
            "\n  router1: held by bob until 2999-01-01T00:00:00Z",
            "hint: reserve what is missing",
        ],
    );
    assert!(!said.err.contains("-R") && !said.err.contains("skip"), "{}", said.err);
    nobody_came(&listener);

    // Held, and asked for without leave: somebody comes.
    let (project, listener) = reserved(br#"[{"user": "tester", "resources": ["rack3", "router1"]}]"#);
    let running = project.start(SUITE, &["bad::probe"], &[("OTTO_LAB", "bed"), ("OTTO_AS_USER", "tester")]);
    comes(&listener);
    drop(running);
    let running = project.start(SUITE, &["bad::probe", "-R"], &[("OTTO_LAB", "bed"), ("OTTO_AS_USER", "eve")]);
    comes(&listener);
    drop(running);
    project.assert_nothing_left(&[]);
}

/// Waits until somebody connects, and hangs up on them.
fn comes(listener: &TcpListener) {
    for _ in 0..1000 {
        if listener.accept().is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("nobody came");
}

#[test]
fn reservations_that_cannot_be_read_name_the_place_and_the_way_round() {
    let cases: [(&[u8], &str); 8] = [
        (b"", "reservations.json:1:1: the file is empty"),
        (b"[{\"user\": \"a\"", "reservations.json:1:13: this is not JSON: EOF while parsing"),
        (b"[\n \xff]", "reservations.json:2:2: the file is not UTF-8"),
        (b"{\"tester\": [\"rack3\"]}", "reservations.json:1:2: "),
        (b"[{\"user\": \"a\"}]", "reservations.json:1:2: the reservation has no `resources`"),
        (b"[{\"user\": 3, \"resources\": []}]", "reservations.json:1:11: `user` has to be text, and this is a number"),
        (b"[{\"user\": \"a\", \"resources\": [], \"ends\": \"x\"}]", "did you mean `end`?"),
        (
            b"[{\"user\": \"a\", \"resources\": [], \"end\": \"tomorrow\"}]",
            "reservations.json:1:40: \"tomorrow\" is no time",
        ),
    ];
    for (text, says) in cases {
        let (project, listener) = reserved(text);
        refused(&project, &["--as-user", "a"], 1, &[says, "-R"]);
        nobody_came(&listener);
    }
    let (project, listener) = reserved(b"[]");
    let file = project.path().join("reservations.json");
    fs::remove_file(&file).unwrap();
    refused(&project, &[], 1, &["reservations.json: ", "-R"]);
    fs::create_dir(&file).unwrap();
    refused(&project, &[], 1, &["reservations.json: ", "-R"]);
    fs::remove_dir(&file).unwrap();
    if !rustix::process::geteuid().is_root() {
        project.write("reservations.json", "[]");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
        refused(&project, &[], 1, &["reservations.json: ", "ermission denied", "-R"]);
    }
    nobody_came(&listener);
}

#[test]
fn listing_reads_no_reservation_and_contacts_nothing() {
    let (project, listener) = reserved(b"nonsense");
    let said = project.run(SUITE, &["bad::probe", "--list", "--lab", "bed"], &[]);
    said.expect(0, &["[bed] bad::probe: test"]);
    said.within(Duration::from_secs(1));
    nobody_came(&listener);
}

#[test]
fn no_threads_is_a_usage_error() {
    let (project, listener) = reserved(b"[]");
    refused(&project, &["--test-threads", "0"], 2, &["--test-threads must not be 0: no test would ever run"]);
    refused(&project, &["--lab"], 2, &["`--lab` wants a value: LAB"]);
    refused(&project, &["--lba", "bed"], 2, &["unknown flag `--lba`; did you mean `--lab`?"]);
    nobody_came(&listener);
}
