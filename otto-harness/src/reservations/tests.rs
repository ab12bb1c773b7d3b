//! What is held, what is refused, and what is not known.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{JsonReservations, NoReservations, Reservation, ReservationBackend, ReservationGate, check_reservations};
use crate::error::{Error, ErrorKind, Result};
use crate::lab::{HostSpec, Lab, ProjectConfig};
use crate::os_user::user_of;
use crate::transport::BoxFuture;

fn lab() -> Lab {
    let host = HostSpec::local("here").resource("router1");
    Lab::builder("bench").host(host).resource("rack3").resource("a1").build().unwrap()
}

fn file(text: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reservations.json");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

async fn checked(text: &str, user: &str) -> Result<()> {
    let (_folder, path) = file(text);
    check_reservations(&lab(), user, &JsonReservations::open(path)?).await
}

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[tokio::test]
async fn what_is_held_by_several_entries_adds_up() {
    let text = r#"{"version": 1, "reservations": [
        {"user": "alice", "resources": ["rack3", "other"]},
        {"user": "alice", "resources": ["a1", "router1"], "start": "2020-01-01T00:00:00Z", "expires": "2999-01-01T00:00:00+02:00"}
    ]}"#;
    checked(text, "alice").await.unwrap();
    let error = checked(text, "Alice").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reservation);
}

#[tokio::test]
async fn a_refusal_names_what_is_missing_and_who_holds_it() {
    let text = r#"[
        {"user": "zoe", "resources": ["rack3"]}, {"user": "bob", "resources": ["rack3"], "end": "2999-01-01T00:00:00Z"},
        {"user": "alice", "resources": ["router1"], "end": "2020-01-01T00:00:00Z"},
        {"user": "alice", "resources": ["a1"], "start": "2999-01-01T00:00:00Z"}
    ]"#;
    let error = checked(text, "alice").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reservation);
    let shown = error.to_string();
    has(
        &shown,
        &[
            "alice has not reserved 3 of the 3 resources that lab bench requires",
            "\n  a1: held by nobody; alice's reservation begins at 2999-01-01T00:00:00Z\n  rack3: held by bob until 2999-01-01T00:00:00Z, zoe\n",
            "\n  router1: held by nobody; alice's reservation ended at 2020-01-01T00:00:00Z\n",
        ],
    );
    assert!(!shown.contains("-R") && !shown.contains("skip"), "{shown}");
}

#[test]
fn a_file_that_is_wrong_says_where_and_names_the_way_out() {
    let cases: [(&[u8], &str); 20] = [
        (b"", ":1:1: the file is empty"),
        (b"[", ":1:1: this is not JSON: EOF while parsing"),
        (b"[]]", ":1:3: this is not JSON: trailing characters"),
        (b"[\n \xff]", ":2:2: the file is not UTF-8"),
        (b"3", ":1:1: a reservation file has to be a list"),
        (b"{}", ":1:1: a reservation file is a list of reservations, or has one"),
        (b"{\"version\": 2, \"reservations\": []}", ":1:13: `version` has to be a whole number from 1 to 1, and this is 2"),
        (b"{\"reservation\": []}", "did you mean `reservations`?"),
        (b"[3]", ":1:2: a reservation has to be a table, and this is a number"),
        (b"[{\"resources\": []}]", ":1:2: the reservation has no `user`"),
        (b"[{\"user\": \"a\"}]", ":1:2: the reservation has no `resources`"),
        (b"[{\"user\": 3, \"resources\": []}]", ":1:11: `user` has to be text, and this is a number"),
        (b"[{\"user\": \" \", \"resources\": []}]", ":1:11: the user has to be named"),
        (b"[{\"user\": \"a\", \"resources\": \"r\"}]", ":1:29: `resources` has to be a list of texts, and this is text"),
        (b"[{\"user\": \"a\", \"resources\": [1]}]", ":1:30: `resources` has to be a list of texts, and this is a number"),
        (b"[{\"user\": \"a\", \"resources\": [], \"ends\": \"x\"}]", "a reservation has no field `ends`: did you mean `end`?"),
        (b"[{\"user\": \"a\", \"resources\": [], \"end\": \"tomorrow\"}]", ":1:40: \"tomorrow\" is no time"),
        (b"[{\"user\": \"a\", \"resources\": [], \"end\": \"2026-05-01T00:00:00\"}]", ":1:40: \"2026-05-01T00:00:00\" is no time with"),
        (
            b"[{\"user\": \"a\", \"resources\": [],\n\"start\": \"2026-05-02T00:00:00Z\", \"end\": \"2026-05-01T00:00:00Z\"}]",
            ":2:41: the reservation ends before it begins",
        ),
        (
            b"[{\"user\": \"a\", \"resources\": [], \"end\": \"2026-05-01T00:00:00Z\", \"expires\": \"2026-05-01T00:00:00Z\"}]",
            "`expires` is another name of `end`",
        ),
    ];
    for (text, part) in cases {
        let (_folder, path) = file(text);
        let error = JsonReservations::open(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReservationBackend);
        has(&error.to_string(), &["reservations.json:", part, "--skip-reservation-check (-R)"]);
    }
    let error = JsonReservations::open("/no/such/file.json").unwrap_err();
    has(&error.to_string(), &["/no/such/file.json: there is no such file", "-R"]);
    let error = JsonReservations::open("/").unwrap_err();
    has(&error.to_string(), &["/: this is not a regular file", "-R"]);
}

#[tokio::test]
async fn a_file_that_breaks_later_fails_the_check() {
    let (_folder, path) = file("[]");
    let backend = JsonReservations::open(&path).unwrap();
    std::fs::write(&path, "[").unwrap();
    let error = check_reservations(&lab(), "alice", &backend).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReservationBackend);
}

#[test]
fn times_that_cannot_be_are_errors_with_their_place() {
    for time in [
        "2026-05-01T08:00:00",
        "2026-05-01",
        "2026-13-01T08:00:00Z",
        "2026-02-30T08:00:00Z",
        "2026-05-01T25:00:00Z",
        "2026-05-01T08:00:00+99:00",
        "99999-01-01T00:00:00Z",
        "1777620000",
        "8 o'clock",
        "",
    ] {
        let (_folder, path) = file(format!("[{{\"user\": \"a\", \"resources\": [\"r\"], \"end\": {time:?}}}]"));
        let error = JsonReservations::open(path).unwrap_err();
        has(&error.to_string(), &["reservations.json:1:43: ", "is no time with its offset"]);
    }
    // Times that are merely long ago, or far away, are times.
    for time in ["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-30T00:00:00Z"] {
        let (_folder, path) = file(format!("[{{\"user\": \"a\", \"resources\": [\"r\"], \"end\": {time:?}}}]"));
        JsonReservations::open(path).unwrap();
    }
}

#[tokio::test]
async fn a_reservation_that_ends_before_the_run_may_is_warned_of() {
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(600);
    let text = format!(
        r#"[{{"user": "alice", "resources": ["rack3", "router1"]}}, {{"user": "alice", "resources": ["a1"], "end": "{soon}"}}]"#
    );
    let (_folder, path) = file(text);
    let backend = Arc::new(JsonReservations::open(path).unwrap());
    let gate = ReservationGate::with_backend(backend.clone(), Some("alice"));
    gate.check(&lab()).await.unwrap();
    assert_eq!(gate.ending(&lab(), "alice", &*backend).await.unwrap(), None);
    let gate = gate.lasting(Duration::from_secs(300));
    assert_eq!(gate.ending(&lab(), "alice", &*backend).await.unwrap(), None);
    let gate = gate.lasting(Duration::from_secs(3600));
    gate.check(&lab()).await.unwrap();
    let warning = gate.ending(&lab(), "alice", &*backend).await.unwrap().unwrap();
    has(
        &warning,
        &["WARNING: alice's reservations end before the tests on lab bench have to, which may take 3600 s: a1 at "],
    );
}

crate::reservation_backend!("registered", |config| {
    match config.settings.get("broken") {
        Some(_) => Err(Error::new(ErrorKind::Io, "the line is cut")),
        None => Ok(Arc::new(NoReservations)),
    }
});
crate::reservation_backend!("twice", |_| Ok(Arc::new(NoReservations)));
crate::reservation_backend!("twice", |_| Ok(Arc::new(NoReservations)));

#[tokio::test]
async fn a_registered_backend_is_selected_by_its_name() {
    let (folder, _path) = file("[]");
    let check = async |text: &str| {
        std::fs::write(folder.path().join("otto.toml"), format!("[reservations]\n{text}")).unwrap();
        let config = ProjectConfig::above(folder.path()).unwrap();
        ReservationGate::new(&config.reservations, Some("alice"), false).check(&lab()).await
    };
    check("backend = 'registered'\nurl = 'x'").await.unwrap();
    let error = check("backend = 'registered'\nbroken = true").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReservationBackend);
    has(&error.chain(), &["the line is cut", "-R"]);
    let error = check("backend = 'twice'").await.unwrap_err();
    has(&error.to_string(), &["`twice` is registered 2 times: ", "tests.rs:", "-R"]);
    let error = check("backend = 'registred'").await.unwrap_err();
    has(&error.to_string(), &["did you mean `registered`?"]);
}

#[tokio::test]
async fn leases_are_configured_and_checked_before_anything_runs() {
    let (folder, _path) = file("[]");
    let read = |text: &str| {
        std::fs::write(folder.path().join("otto.toml"), format!("[reservations]\n{text}")).unwrap();
        ProjectConfig::above(folder.path()).map(|config| config.reservations)
    };
    for (text, part) in [
        ("backend = 'sqlite'\nttl = 0", "`ttl` has to be a time above zero"),
        ("backend = 'sqlite'\nendpoints = []", "has no field `endpoints`"),
        ("backend = 'json'\npath = 'x'\nttl = 3", "has no field `ttl`"),
        ("backend = 'etcd'", "needs `endpoints`"),
        ("backend = 'etcd'\nendpoints = ['etcd1:2379']", "otto.toml:3:14: \"etcd1:2379\" is no endpoint"),
        ("backend = 'etcd'\nendpoints = ['http://e']\npath = 'x'", "the backend \"etcd\" reads none"),
        (
            "backend = 'etcd'\nendpoints = ['http://e']\nuser = 'u'\npassword = 'pw'",
            "a password does not stand in otto.toml",
        ),
        ("backend = 'etcd'\nendpoints = ['http://e']\ncert = 'c.pem'", "`cert` and `key` belong together"),
        ("backend = 'etcd'\nendpoints = ['http://e']\npassword = { env = 'X' }", "is nobody's without `user`"),
    ] {
        let error = read(text).unwrap_err();
        has(&error.to_string(), &["otto.toml:", part]);
    }
    let good =
        "backend = 'etcd'\nendpoints = ['https://e:2379']\nuser = 'u'\npassword = { env = 'X' }\nttl = 10\nwait = 60";
    let config = read(good).unwrap();
    assert_eq!(config.leases.ttl, Some(Duration::from_secs(10)));
    assert!(!format!("{config:?}").contains("pw"));
    assert!(super::TestLeases::configured(&config, Some("alice"), true).unwrap().is_none());

    #[cfg(feature = "sqlite")]
    {
        let config = read("backend = 'sqlite'\npath = 'leases'").unwrap();
        ReservationGate::new(&config, Some("alice"), false).check(&lab()).await.unwrap();
        assert!(super::TestLeases::configured(&config, Some("alice"), false).unwrap().is_some());
        std::fs::write(folder.path().join("blocked"), "").unwrap();
        let config = read("backend = 'sqlite'\npath = 'blocked'").unwrap();
        let error = ReservationGate::new(&config, Some("alice"), false).check(&lab()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReservationBackend);
        has(&error.chain(), &["blocked: leases are kept in a folder", "-R"]);
        ReservationGate::new(&config, Some("alice"), true).check(&lab()).await.unwrap();
    }
}

/// A backend that never answers, or answers with any error.
struct Broken(bool);

impl ReservationBackend for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn reservations(&self) -> BoxFuture<'_, Result<Vec<Reservation>>> {
        Box::pin(async {
            if self.0 {
                std::future::pending::<()>().await;
            }
            Err(Error::new(ErrorKind::Io, "the line is cut"))
        })
    }
}

#[tokio::test]
async fn a_backend_that_cannot_answer_lets_nobody_pass() {
    for (hangs, part) in [(true, "did not answer within 50ms"), (false, "caused by: the line is cut")] {
        let mut gate = ReservationGate::with_backend(Arc::new(Broken(hangs)), Some("alice"));
        gate.limit = Duration::from_millis(50);
        let error = gate.check(&lab()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReservationBackend);
        has(&error.chain(), &[part, "-R"]);
    }
    let nothing = Lab::builder("free").host(HostSpec::local("here")).build().unwrap();
    check_reservations(&nothing, "alice", &Broken(true)).await.unwrap();
}

#[tokio::test]
async fn the_gate_asks_what_is_configured() {
    let (folder, _path) = file(r#"[{"user": "alice", "resources": ["rack3", "router1", "a1"]}]"#);
    let gate = |text: &str, user: &str, skip: bool| {
        std::fs::write(folder.path().join("otto.toml"), text).unwrap();
        let config = ProjectConfig::above(folder.path()).unwrap();
        ReservationGate::new(&config.reservations, Some(user), skip)
    };
    let json = "[reservations]\nbackend = 'json'\npath = 'reservations.json'";
    gate(json, "alice", false).check(&lab()).await.unwrap();
    let error = gate(json, "bob", false).check(&lab()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reservation);
    gate(json, "bob", true).check(&lab()).await.unwrap();
    gate("", "bob", false).check(&lab()).await.unwrap();
    check_reservations(&lab(), "bob", &NoReservations).await.unwrap();

    let missing = json.replace("reservations.json", "gone.json");
    let error = gate(&missing, "alice", false).check(&lab()).await.unwrap_err();
    has(&error.to_string(), &["gone.json: there is no such file", "-R"]);
    gate(&missing, "alice", true).check(&lab()).await.unwrap();
    let error = gate("[reservations]\nbackend = 'jsno'", "alice", false).check(&lab()).await.unwrap_err();
    has(&error.to_string(), &["no reservation backend `jsno`", "did you mean `json`?", "-R"]);
    assert_eq!(gate(json, "", false).user().unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn the_user_is_found_by_uid() {
    let passwd =
        "root:x:0:0:root:/root:/bin/sh\n# a comment\n+::::::\nbroken\nalice:x:1000:1000::/home/alice:/bin/sh\n";
    assert_eq!(user_of(1000, passwd).as_deref(), Some("alice"));
    assert_eq!(user_of(0, passwd).as_deref(), Some("root"));
    assert_eq!(user_of(7, passwd), None);
    let gate = ReservationGate::new(&ProjectConfig::default().reservations, Some("carol"), false);
    assert_eq!(gate.user().unwrap(), "carol");
}
