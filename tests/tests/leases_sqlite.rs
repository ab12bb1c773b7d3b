//! Leases in a folder, among processes that are killed, stopped and crowded, on files that are broken.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use otto::ErrorKind;
use otto::reservations::{Acquired, Holder, LeaseRequest, LeaseState, Leases};
use otto_tests::leasing::{Helper, PATIENCE};
use rustix::process::Signal;

const HELPER: &str = env!("CARGO_BIN_EXE_lease_helper");

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn hold(folder: &Path, items: &str) -> Helper {
    Helper::start(HELPER, &[&format!("sqlite:{}", folder.display()), "hold", items])
}

fn hold_for(folder: &Path, items: &str, ttl: u32) -> Helper {
    Helper::start(HELPER, &[&format!("sqlite:{}", folder.display()), "hold", items, &ttl.to_string()])
}

fn request(item: &str) -> LeaseRequest {
    LeaseRequest::new(Holder::of_this_process("tester", "test")).exclusive(item)
}

fn fence(line: &str) -> u64 {
    line.rsplit(' ').next().and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no number in {line:?}"))
}

#[test]
fn of_two_that_want_one_host_one_waits_and_sees_who_holds_it() {
    let folder = folder();
    let mut first = hold(folder.path(), "host:a,host:b");
    let first_fence = fence(&first.expect("held"));
    let mut second = hold(folder.path(), "host:b,host:c");
    let told = second.expect("waiting");
    let who = format!("host:b is held by helper (hold, pid {} on ", first.pid());
    assert!(told.contains(&who) && told.ends_with("position 1 in the queue"), "{told}");
    // What nobody has is had beside them; what one of them waits for is not.
    let mut beside = hold(folder.path(), "host:d");
    beside.expect("held");
    let third = hold(folder.path(), "host:c");
    let told = third.expect("waiting");
    assert!(told.contains("will be held by who came earlier; position 2"), "{told}");
    second.expect_nothing(Duration::from_millis(300));
    first.tell("release");
    first.expect("released");
    let (_, line) = second.expect_after_wait("held");
    assert!(fence(&line) > first_fence);
    second.tell("release");
    second.expect("released");
    third.expect_after_wait("held");
    beside.tell("check");
    beside.expect("ok");
}

#[test]
fn what_a_killed_process_held_or_waited_for_is_free_at_once() {
    let folder = folder();
    let mut holder = hold(folder.path(), "host:a");
    holder.expect("held");
    let mut waiting = hold(folder.path(), "host:a");
    waiting.expect("waiting");
    let last = hold(folder.path(), "host:a");
    last.expect("waiting");
    waiting.kill();
    let killed = holder.kill();
    let (at, _) = last.expect_after_wait("held");
    // The ttl is 30 s.
    assert!(at - killed < Duration::from_secs(10), "{:?}", at - killed);
}

#[test]
fn sharers_share_and_a_stranger_waits_for_all_of_them() {
    let folder = folder();
    let mut one = hold(folder.path(), "-dns");
    one.expect("held");
    let mut two = hold(folder.path(), "-dns");
    two.expect("held");
    let alone = hold(folder.path(), "dns");
    alone.expect("waiting");
    // Who comes now does not pass by who waits.
    let three = hold(folder.path(), "-dns");
    three.expect("waiting");
    one.tell("release");
    one.expect("released");
    two.tell("release");
    two.expect("released");
    alone.expect_after_wait("held");
    three.expect_nothing(Duration::from_millis(200));
    drop(alone);
    three.expect_after_wait("held");
}

#[test]
fn a_process_that_was_stopped_past_its_ttl_knows_it_before_it_does_anything() {
    let folder = folder();
    let mut stopped = hold_for(folder.path(), "host:a", 1000);
    stopped.expect("held");
    stopped.tell("check");
    stopped.expect("ok");
    stopped.signal(Signal::STOP);
    // Asked while it is stopped, so that the answer is the first thing that it does.
    stopped.tell("check");
    let next = hold_for(folder.path(), "host:a", 1000);
    next.expect_after_wait("held");
    stopped.signal(Signal::CONT);
    let mut lines = [stopped.expect(""), stopped.expect("")];
    lines.sort();
    assert!(lines[0].starts_with("lost the lease") && lines[1].starts_with("no the lease"), "{lines:?}");
    assert!(lines[0].contains("because this process or its machine stood still"), "{lines:?}");
    // It gave back what was its own, and no more.
    stopped.tell("release");
    stopped.expect("released");
    next.expect_nothing(Duration::from_millis(1500));
}

#[test]
fn a_waiter_that_was_stopped_is_passed_by_and_asks_again() {
    let folder = folder();
    let mut holder = hold(folder.path(), "host:a");
    holder.expect("held");
    let stopped = hold_for(folder.path(), "host:a", 1000);
    stopped.expect("waiting");
    stopped.signal(Signal::STOP);
    let mut next = hold_for(folder.path(), "host:a", 1000);
    next.expect("waiting");
    holder.tell("release");
    holder.expect("released");
    next.expect_after_wait("held");
    stopped.signal(Signal::CONT);
    next.tell("release");
    next.expect("released");
    stopped.expect_after_wait("held");
}

#[tokio::test]
async fn a_lease_lives_as_long_as_it_is_renewed_and_no_longer_than_its_maximum() {
    let folder = folder();
    let leases = Leases::sqlite(folder.path()).unwrap();
    let second = Duration::from_secs(1);
    let Acquired::Held(lease) = leases.try_acquire(&request("a").ttl(second)).await.unwrap() else { panic!("free") };
    // A test that blocks its thread loses nothing.
    std::thread::sleep(2 * second);
    lease.check().unwrap();
    lease.renew().await.unwrap();
    lease.release().await.unwrap();

    let short = request("a").ttl(second).maximum(Duration::from_millis(1500));
    let Acquired::Held(lease) = leases.try_acquire(&short).await.unwrap() else { panic!("free") };
    let watch = lease.watch();
    let error = tokio::time::timeout(PATIENCE, lease.lost()).await.unwrap();
    assert_eq!(error.kind(), ErrorKind::ReservationLost);
    assert!(error.to_string().contains("of a is lost: it was held for 1 s, which is its maximum"), "{error}");
    assert_eq!(lease.check().unwrap_err().kind(), ErrorKind::ReservationLost);
    let next = leases.wait(&request("a"), PATIENCE, |_| {}).await.unwrap();
    lease.release().await.unwrap();
    assert!(watch.check().is_err());
    next.check().unwrap();
}

#[tokio::test]
async fn a_wait_ends_in_time_and_leaves_no_trace() {
    let folder = folder();
    let leases = Leases::sqlite(folder.path()).unwrap();
    let lease = leases.wait(&request("a"), PATIENCE, |_| {}).await.unwrap();
    let start = Instant::now();
    let error = leases.wait(&request("a"), Duration::from_millis(200), |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reservation);
    let text = error.to_string();
    assert!(text.starts_with("what it needs was not free within 0.2 s: a is held by tester (test, pid "), "{text}");
    assert!(start.elapsed() < PATIENCE);
    // A wait that is dropped, and one whose callback panics.
    let other = leases.clone();
    let dropped = tokio::spawn(async move { other.wait(&request("a"), PATIENCE, |_| {}).await });
    while leases.list().await.unwrap().len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    dropped.abort();
    while leases.list().await.unwrap().len() > 1 {
        assert!(start.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let leases = leases.clone();
    let panics = tokio::spawn(async move { leases.wait(&request("a"), PATIENCE, |_| panic!("mine")).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    lease.release().await.unwrap();
    drop(panics.await.unwrap().unwrap());
    assert_eq!(std::fs::read_dir(folder.path().join("alive")).unwrap().count(), 0);
}

#[tokio::test]
async fn taking_a_lease_is_told_to_its_holder_and_recorded() {
    let folder = folder();
    let leases = Leases::sqlite(folder.path()).unwrap();
    let mut holder = hold(folder.path(), "host:a");
    let fence = fence(&holder.expect("held"));
    let listed = leases.list().await.unwrap();
    assert_eq!((listed.len(), listed[0].fence, listed[0].state), (1, fence, LeaseState::Held));
    let me = Holder::of_this_process("boss", "");
    for reason in ["", " \n ", "two\nlines"] {
        assert_eq!(leases.steal(fence, &me, reason).await.unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(leases.steal(fence + 1, &me, "why").await.unwrap_err().kind(), ErrorKind::Reservation);
    leases.steal(fence, &me, "the rack is on fire").await.unwrap();
    let line = holder.expect("lost");
    assert!(line.contains("boss (pid ") && line.contains("took it: the rack is on fire"), "{line}");
    holder.tell("check");
    holder.expect("no");
    let lease = leases.wait(&request("host:a"), PATIENCE, |_| {}).await.unwrap();
    // One that does not notice any more.
    let stuck = hold(folder.path(), "host:b");
    let stuck_fence = self::fence(&stuck.expect("held"));
    stuck.signal(Signal::STOP);
    leases.steal(stuck_fence, &me, "it hangs").await.unwrap();
    let start = Instant::now();
    leases.wait(&request("host:b"), PATIENCE, |_| {}).await.unwrap().release().await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(20), "its ttl is 30 s");
    let thefts = leases.thefts().await.unwrap();
    let told: Vec<_> = thefts.iter().map(|theft| (theft.fence, &*theft.by.user, &*theft.reason)).collect();
    assert_eq!(told, [(fence, "boss", "the rack is on fire"), (stuck_fence, "boss", "it hangs")]);
    lease.check().unwrap();
}

#[tokio::test]
async fn requests_that_cannot_be_are_refused_before_anything_is_asked() {
    let folder = folder();
    let leases = Leases::sqlite(folder.path()).unwrap();
    let holder = Holder::of_this_process("tester", "test");
    let hour = Duration::from_secs(3600);
    for (request, part) in [
        (LeaseRequest::new(holder), "names no item"),
        (request(""), "\"\" is no name of an item"),
        (request("a\nb"), "is no name of an item"),
        (request(&"x".repeat(2000)), "is no name of an item"),
        (request("a").ttl(Duration::ZERO), "from 1 s to 1 h, and this is 0ns"),
        (request("a").ttl(2 * hour), "from 1 s to 1 h, and this is 7200s"),
        (request("a").maximum(Duration::from_secs(3)), "the maximum of a lease, 3s, is less than its ttl, 30s"),
    ] {
        let error = leases.try_acquire(&request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(leases.list().await.unwrap().is_empty());
}

fn database(folder: &Path) -> std::path::PathBuf {
    let found = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    found.filter(|path| path.extension().is_some_and(|kind| kind == "sqlite")).next().expect("a database")
}

#[tokio::test]
async fn a_database_that_is_broken_lets_nobody_pass_and_says_why() {
    // Each kind of damage, while it is open, and before it is.
    type Damage = fn(&Path);
    let kinds: [(&str, Damage, &str); 4] = [
        (
            "corrupt",
            |path| std::fs::write(path, "this is no database at all, and long enough to see it ".repeat(200)).unwrap(),
            "this is no database of leases, or it is damaged",
        ),
        ("removed", |path| std::fs::remove_file(path).unwrap(), "was removed"),
        (
            "replaced",
            |path| {
                std::fs::copy(path, path.with_extension("copy")).unwrap();
                std::fs::rename(path.with_extension("copy"), path).unwrap();
            },
            "removed or replaced",
        ),
        (
            "a folder",
            |path| {
                std::fs::remove_file(path).unwrap();
                std::fs::create_dir(path).unwrap();
            },
            "replaced",
        ),
    ];
    for (kind, damage, part) in kinds {
        let folder = folder();
        let leases = Leases::sqlite(folder.path()).unwrap();
        let Acquired::Held(lease) = leases.try_acquire(&request("a").ttl(Duration::from_secs(3))).await.unwrap() else {
            panic!("free")
        };
        damage(&database(folder.path()));
        let error = leases.try_acquire(&request("b")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReservationBackend, "{kind}");
        assert!(error.to_string().contains(part) && error.to_string().contains(".sqlite: "), "{kind}: {error}");
        // Nor does it help to come anew, as long as somebody may hold what is no longer on record.
        if kind != "replaced" {
            let error = Leases::sqlite(folder.path()).map(|_| ()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ReservationBackend, "{kind}");
        }
        // The holder does not go on as if nothing were.
        let error = tokio::time::timeout(PATIENCE, lease.lost()).await.unwrap();
        assert_eq!(error.kind(), ErrorKind::ReservationLost, "{kind}");
    }
}

#[tokio::test]
async fn a_database_that_is_locked_is_waited_for_and_then_named() {
    let folder = folder();
    let leases = Leases::sqlite(folder.path()).unwrap();
    leases.check().await.unwrap();
    let path = database(folder.path());
    let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); sys.stdin.read()";
    let mut child = std::process::Command::new("python3")
        .args(["-c", script, path.to_str().unwrap()])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("python3: apt-get install python3");
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    assert_eq!(line, "locked\n");
    let error = leases.try_acquire(&request("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReservationBackend);
    assert!(error.to_string().contains(".sqlite: the database of leases is locked by a process"), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(matches!(leases.try_acquire(&request("a")).await.unwrap(), Acquired::Held(_)));
}

/// Runs `lease_helper` as another user, or under limits, by a shell.
fn shell(script: &str, folder: &Path) -> String {
    let output = std::process::Command::new("sh")
        .args(["-c", script, "sh", HELPER, &format!("sqlite:{}", folder.display()), folder.to_str().unwrap()])
        .stdin(std::process::Stdio::null())
        .output()
        .expect("sh");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_full_disk_and_a_read_only_one_are_named() {
    // As root in namespaces of its own; where that is not allowed, the rest of this file is what there is.
    if !shell("unshare -m true && echo allowed", Path::new("/")).contains("allowed") {
        eprintln!("unshare -m is not allowed here: a full disk is not tested");
        return;
    }
    let folder = folder();
    let full = "set -e; exec 2>&1; mount -t tmpfs -o size=100k none \"$3\"; \"$1\" \"$2\" hold a </dev/null; cat /dev/zero >\"$3/fill\" 2>/dev/null || true; \"$1\" \"$2\" hold \"$(printf %09000d 1 | fold -w 900 | paste -sd,)\" </dev/null";
    let text = shell(&format!("unshare -m sh -c '{full}' sh \"$@\""), folder.path());
    assert!(text.contains("held 1") && text.contains("error "), "{text}");
    assert!(text.contains("is full") || text.contains("No space left on device"), "{text}");
    let read_only = "set -e; exec 2>&1; mount -t tmpfs none \"$3\"; \"$1\" \"$2\" hold a </dev/null; mount -o remount,ro \"$3\"; \"$1\" \"$2\" hold b </dev/null";
    let text = shell(&format!("unshare -m sh -c '{read_only}' sh \"$@\""), folder.path());
    assert!(text.contains("held 1") && text.contains("on a filesystem that is read-only"), "{text}");
}

#[test]
fn users_of_a_group_share_a_folder_and_others_are_told_how() {
    if !rustix::process::getuid().is_root() {
        eprintln!("only root can be several users: not tested");
        return;
    }
    let folder = folder();
    let shared = folder.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    for (path, mode) in [(folder.path(), 0o755), (&*shared, 0o2770)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    std::os::unix::fs::chown(&shared, None, Some(4242)).unwrap();
    // The helper where another user may run it.
    let helper = folder.path().join("helper");
    std::fs::copy(HELPER, &helper).unwrap();
    let as_user = |uid: u32, gid: u32| {
        let place = format!("sqlite:{}", shared.display());
        let (uid, gid) = (format!("--reuid={uid}"), format!("--regid={gid}"));
        Helper::start("setpriv", &[&uid, &gid, "--clear-groups", helper.to_str().unwrap(), &place, "hold", "a"])
    };
    let mut one = as_user(4301, 4242);
    one.expect("held");
    let two = as_user(4302, 4242);
    two.expect("waiting");
    let stranger = as_user(4303, 4303);
    let text = stranger.expect("error");
    assert!(text.contains("is closed to you") && text.contains("install -d -m 2770"), "{text}");
    let root = hold(&shared, "a");
    root.expect("waiting");
    // Of another user, too, the end is seen at once.
    one.kill();
    two.expect_after_wait("held");
    drop(two);
    root.expect_after_wait("held");
}
