//! Leases in a real etcd, among processes and a server that are killed, stopped and restarted.

use std::time::{Duration, Instant};

use otto::ErrorKind;
use otto::lab::EtcdOptions;
use otto::reservations::{Acquired, Holder, LeaseRequest, LeaseState, Leases};
use otto_tests::etcd::Etcd;
use otto_tests::leasing::{Helper, PATIENCE};
use rustix::process::{Signal, kill_process};

const HELPER: &str = env!("CARGO_BIN_EXE_lease_helper");

fn hold(etcd: &Etcd, items: &str, ttl: u32) -> Helper {
    Helper::start(HELPER, &[&format!("etcd:{}:/t/", etcd.url()), "hold", items, &ttl.to_string()])
}

/// In a process namespace of its own, where nobody outside can say whether it lives: as on another machine.
fn hold_elsewhere(etcd: &Etcd, items: &str, ttl: u32) -> Helper {
    let place = format!("etcd:{}:/t/", etcd.url());
    let arguments = ["-f", "-p", "--mount-proc", "--kill-child", HELPER, &place, "hold", items, &ttl.to_string()];
    Helper::start("unshare", &arguments)
}

fn leases(etcd: &Etcd) -> Leases {
    let mut options = EtcdOptions::new([etcd.url()]);
    options.prefix = "/t/".to_owned();
    Leases::etcd(&options).unwrap()
}

fn request(item: &str) -> LeaseRequest {
    LeaseRequest::new(Holder::of_this_process("tester", "test")).exclusive(item)
}

fn fence(line: &str) -> u64 {
    line.rsplit(' ').next().and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no number in {line:?}"))
}

#[test]
fn of_two_that_want_one_host_one_waits_and_sees_who_holds_it() {
    let etcd = Etcd::start();
    let mut first = hold(&etcd, "host:a,host:b", 30_000);
    let first_fence = fence(&first.expect("held"));
    let second = hold(&etcd, "host:b,host:c", 30_000);
    let told = second.expect("waiting");
    let who = format!("host:b is held by helper (hold, pid {} on ", first.pid());
    assert!(told.contains(&who) && told.ends_with("position 1 in the queue"), "{told}");
    let mut beside = hold(&etcd, "host:d", 30_000);
    beside.expect("held");
    let third = hold(&etcd, "-host:c", 30_000);
    assert!(third.expect("waiting").contains("will be held by who came earlier; position 2"));
    first.tell("release");
    let (released, _) = first.expect_at("released");
    let (at, line) = second.expect_after_wait("held");
    assert!(fence(&line) > first_fence);
    // It was told; the time after which it would have looked by itself is 5 s.
    assert!(at.saturating_duration_since(released) < Duration::from_secs(4));
    drop(second);
    third.expect_after_wait("held");
    beside.tell("check");
    beside.expect("ok");
}

#[test]
fn what_a_killed_process_held_is_free_at_once_here_and_within_its_ttl_elsewhere() {
    let etcd = Etcd::start();
    let mut here = hold(&etcd, "host:a", 60_000);
    here.expect("held");
    let next = hold(&etcd, "host:a", 60_000);
    next.expect("waiting");
    let killed = here.kill();
    let (at, _) = next.expect_after_wait("held");
    assert!(at - killed < Duration::from_secs(30), "{:?}: its ttl is 60 s", at - killed);

    let mut there = hold_elsewhere(&etcd, "host:b", 2000);
    there.expect("held");
    let next = hold(&etcd, "host:b", 2000);
    next.expect("waiting");
    there.kill();
    next.expect_after_wait("held");
}

#[test]
fn a_process_that_was_stopped_past_its_ttl_knows_it_before_it_does_anything() {
    let etcd = Etcd::start();
    let mut stopped = hold(&etcd, "host:a", 2000);
    stopped.expect("held");
    stopped.signal(Signal::STOP);
    stopped.tell("check");
    let next = hold(&etcd, "host:a", 2000);
    next.expect_after_wait("held");
    stopped.signal(Signal::CONT);
    let mut lines = [stopped.expect(""), stopped.expect("")];
    lines.sort();
    assert!(lines[0].starts_with("lost the lease") && lines[1].starts_with("no the lease"), "{lines:?}");
    stopped.tell("release");
    stopped.expect("released");
    next.expect_nothing(Duration::from_millis(1000));
}

#[test]
fn a_lease_outlives_a_server_that_is_killed_and_comes_back() {
    let mut etcd = Etcd::start();
    let mut holder = hold(&etcd, "host:a", 20_000);
    let held = fence(&holder.expect("held"));
    let next = hold(&etcd, "host:a", 20_000);
    next.expect("waiting");
    etcd.down();
    std::thread::sleep(Duration::from_secs(1));
    etcd.up();
    holder.tell("check");
    holder.expect("ok");
    next.expect_nothing(Duration::from_secs(1));
    holder.tell("release");
    holder.expect("released");
    let (_, line) = next.expect_after_wait("held");
    assert!(fence(&line) > held);
}

#[test]
fn a_server_that_stays_away_ends_what_is_held_and_what_is_waited_for() {
    let mut etcd = Etcd::start();
    let holder = hold(&etcd, "host:a", 3000);
    holder.expect("held");
    let next = hold(&etcd, "host:a", 3000);
    next.expect("waiting");
    etcd.down();
    let line = holder.expect("lost");
    assert!(line.contains("it was not renewed for") && line.contains("etcd at http://127.0.0.1:"), "{line}");
    let line = next.expect("error");
    assert!(line.contains("etcd at http://127.0.0.1:") && line.contains("cannot be reached"), "{line}");
}

#[tokio::test]
async fn a_server_that_is_down_or_hangs_is_named_and_later_used() {
    let mut etcd = Etcd::start();
    let leases = leases(&etcd);
    etcd.down();
    let start = Instant::now();
    for error in [leases.check().await.unwrap_err(), leases.try_acquire(&request("a")).await.map(|_| ()).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::ReservationBackend);
        let text = error.chain();
        assert!(text.contains(&etcd.url()) && text.contains("cannot be reached"), "{text}");
    }
    assert!(start.elapsed() < PATIENCE);
    etcd.up();
    let Acquired::Held(lease) = leases.try_acquire(&request("a")).await.unwrap() else { panic!("free") };
    // One that is there and does not answer.
    kill_process(etcd.pid(), Signal::STOP).unwrap();
    let error = leases.try_acquire(&request("b")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReservationBackend);
    kill_process(etcd.pid(), Signal::CONT).unwrap();
    // What was asked for and given up does not stay in the way.
    let start = Instant::now();
    loop {
        match leases.try_acquire(&request("b")).await {
            Ok(Acquired::Held(_)) => break,
            other => assert!(start.elapsed() < PATIENCE, "{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    lease.check().unwrap();
    lease.release().await.unwrap();
}

#[tokio::test]
async fn taking_a_lease_is_told_to_its_holder_and_recorded() {
    let etcd = Etcd::start();
    let leases = leases(&etcd);
    let mut holder = hold(&etcd, "host:a", 30_000);
    let fence = fence(&holder.expect("held"));
    let listed = leases.list().await.unwrap();
    assert_eq!((listed.len(), listed[0].fence, listed[0].state), (1, fence, LeaseState::Held));
    let me = Holder::of_this_process("boss", "");
    assert_eq!(leases.steal(fence + 7, &me, "why").await.unwrap_err().kind(), ErrorKind::Reservation);
    leases.steal(fence, &me, "the rack is on fire").await.unwrap();
    let line = holder.expect("lost");
    assert!(line.contains("took it: the rack is on fire"), "{line}");
    holder.tell("check");
    holder.expect("no");
    let lease = leases.wait(&request("host:a"), PATIENCE, |_| {}).await.unwrap();
    let stuck = hold(&etcd, "host:b", 60_000);
    let stuck_fence = self::fence(&stuck.expect("held"));
    stuck.signal(Signal::STOP);
    let start = Instant::now();
    leases.steal(stuck_fence, &me, "it hangs").await.unwrap();
    leases.wait(&request("host:b"), PATIENCE, |_| {}).await.unwrap().release().await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(30), "its ttl is 60 s");
    let thefts = leases.thefts().await.unwrap();
    assert_eq!(thefts.iter().map(|theft| &*theft.reason).collect::<Vec<_>>(), ["the rack is on fire", "it hangs"]);
    lease.check().unwrap();
}

#[tokio::test]
async fn a_wait_that_is_given_up_leaves_no_ticket() {
    let etcd = Etcd::start();
    let leases = leases(&etcd);
    let lease = leases.wait(&request("a"), PATIENCE, |_| {}).await.unwrap();
    let error = leases.wait(&request("a"), Duration::from_millis(300), |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reservation);
    assert!(error.to_string().contains("a is held by tester"), "{error}");
    let start = Instant::now();
    while leases.list().await.unwrap().len() > 1 {
        assert!(start.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let Acquired::Busy(_) = leases.try_acquire(&request("a")).await.unwrap() else { panic!("it is held") };
    assert_eq!(leases.list().await.unwrap().len(), 1);
    drop(lease);
    assert!(leases.list().await.unwrap().is_empty());
}

#[test]
fn of_two_that_race_exactly_one_wins() {
    const RACES: usize = 100;
    let etcd = Etcd::start();
    let folder = tempfile::tempdir().unwrap();
    let (start, witness) = (folder.path().join("start"), folder.path().join("witness"));
    std::fs::create_dir(&start).unwrap();
    std::fs::create_dir(&witness).unwrap();
    let place = format!("etcd:{}:/t/", etcd.url());
    let arguments = [&*place, "race", start.to_str().unwrap(), witness.to_str().unwrap(), &RACES.to_string(), "host:a"]
        .map(String::from);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let racers = [Helper::start(HELPER, &arguments), Helper::start(HELPER, &arguments)];
    racers.iter().for_each(|racer| drop(racer.expect("ready")));
    for number in 0..RACES {
        let mut lines = [racers[0].expect(""), racers[1].expect("")];
        lines.sort();
        assert_eq!(lines[0], format!("busy {number}"));
        assert!(lines[1].starts_with(&format!("won {number} ")), "{lines:?}");
    }
}

#[tokio::test]
async fn a_user_of_etcd_needs_the_right_password() {
    let etcd = Etcd::start();
    let control = |arguments: &[&str]| {
        let done = std::process::Command::new("etcdctl")
            .args(["--endpoints", &etcd.url()])
            .args(arguments)
            .env("ETCDCTL_API", "3")
            .output()
            .expect("etcdctl: apt-get install etcd-client");
        assert!(done.status.success(), "{done:?}");
    };
    control(&["user", "add", "root:top"]);
    control(&["user", "grant-role", "root", "root"]);
    control(&["user", "add", "otto:right"]);
    control(&["role", "add", "leases"]);
    control(&["role", "grant-permission", "leases", "--prefix=true", "readwrite", "/t/"]);
    control(&["user", "grant-role", "otto", "leases"]);
    control(&["auth", "enable"]);
    let with = |user: Option<&str>, password: &str| {
        let mut options = EtcdOptions::new([etcd.url()]);
        options.prefix = "/t/".to_owned();
        options.user = user.map(str::to_owned);
        options.password = user.map(|_| password.into());
        Leases::etcd(&options).unwrap()
    };
    for wrong in [with(None, ""), with(Some("otto"), "wrong-secret"), with(Some("nobody"), "right")] {
        let error = wrong.try_acquire(&request("a")).await.map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReservationBackend);
        assert!(!error.chain().contains("wrong-secret"), "{}", error.chain());
    }
    let leases = with(Some("otto"), "right");
    let Acquired::Held(lease) = leases.try_acquire(&request("a")).await.unwrap() else { panic!("free") };
    lease.renew().await.unwrap();
    lease.release().await.unwrap();
}
