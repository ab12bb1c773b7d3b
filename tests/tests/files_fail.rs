//! Files whose way is cut, whose disk is full, or whose host lies: an error that names file and cause, no half file under
//! the final name, and nothing left behind.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use otto::prelude::*;
use otto::{ErrorKind, Result, Transfer};
use otto_tests::places::{Place, at, dropped_after, until, within};
use otto_tests::sshd::{Sshd, SshdBuilder};

const BIG: usize = 200_000_000;

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("otto-files-").tempdir().unwrap()
}

/// A large file, whose blocks differ.
fn big(folder: &Path) -> PathBuf {
    let path = folder.join("big");
    let mut file = fs::File::create(&path).unwrap();
    for number in 0..BIG / 1_000_000 {
        io::Write::write_all(&mut file, &vec![u8::try_from(number % 251).unwrap(); 1_000_000]).unwrap();
    }
    path
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

fn host(server: &Sshd) -> Host {
    let host = Host::ssh("127.0.0.1").id("server").port(server.port()).user(server.user());
    host.key_file(server.key_file()).host_key(server.host_key()).build()
}

fn server(builder: SshdBuilder) -> (Sshd, Host) {
    let server = builder.start();
    let host = host(&server);
    (server, host)
}

/// Waits until something of a transfer is there, so that it is in the middle.
async fn begun(folder: &Path) {
    let some = || {
        fs::read_dir(folder).unwrap().any(|entry| entry.unwrap().metadata().is_ok_and(|about| about.len() > 1_000_000))
    };
    until("a part of the file is there", Duration::from_secs(20), some).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut() {
    let (server, host) = server(Sshd::builder());
    let (here, there, back) = (folder(), folder(), folder());
    let source = big(here.path());
    for to_host in [true, false] {
        let target = if to_host { there.path() } else { back.path() };
        fs::write(target.join("copy"), "old").unwrap();
        let from = if to_host { source.clone() } else { there.path().join("whole") };
        if !to_host {
            fs::rename(&source, &from).unwrap();
        }
        let run = if to_host { host.put(&from, target.join("copy")) } else { host.get(&from, target.join("copy")) };
        let transfer = tokio::spawn(run.into_future());
        begun(target).await;
        server.kill_children();
        let results = within(Duration::from_secs(15), "the transfer ends", transfer).await.unwrap().unwrap();
        let error = results.ok().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error:?}");
        assert!(error.to_string().contains(from.to_str().unwrap()), "{error:?}");
        // Neither a half file nor a temporary one, although its connection is gone; and the old one is as it was.
        until("nothing else is left", Duration::from_secs(10), || names(target).len() == 1).await;
        assert_eq!(fs::read_to_string(target.join("copy")).unwrap(), "old");
        fs::remove_file(target.join("copy")).unwrap();
        // The next use connects again.
        assert!(host.fs().exists(&from).await.unwrap());
    }
    host.close().await.unwrap();
    until("the server is left by all", Duration::from_secs(5), || server.connections().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_cut_is_gone_on_with() {
    let (server, host) = server(Sshd::builder());
    let (here, there) = (folder(), folder());
    let source = big(here.path());
    for to_host in [true, false] {
        let (from, into) =
            if to_host { (source.clone(), there.path()) } else { (there.path().join("big"), here.path()) };
        if !to_host {
            fs::remove_file(&source).unwrap();
        }
        let run = if to_host { host.put(&from, into.join("big")) } else { host.get(&from, into.join("big")) };
        let transfer = tokio::spawn(run.resume(true).into_future());
        begun(into).await;
        server.kill_children();
        assert!(!transfer.await.unwrap().unwrap().is_ok());
        assert!(!into.join("big").exists() && names(into).len() == 1, "{:?}", names(into));
        let run = if to_host { host.put(&from, into.join("big")) } else { host.get(&from, into.join("big")) };
        let results = run.resume(true).await.unwrap().ok().unwrap();
        assert!(results.files[0].resumed_from > 500_000, "{results:?}");
        assert!(fs::read(&from).unwrap() == fs::read(into.join("big")).unwrap());
        assert_eq!(names(into), ["big"]);
    }
    host.close().await.unwrap();
}

/// Over every way to a host's files.
async fn everywhere(case: impl AsyncFn(&Place) -> Result<()>) {
    for place in [Place::local(), Place::sshd(), Place::sim(), Place::scp(), Place::shell(), Place::telnet()] {
        at(place, &case).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_that_is_dropped_leaves_nothing() {
    let here = folder();
    let source = big(here.path());
    everywhere(async |place| {
        let (there, back) = (folder(), folder());
        let pause = Duration::from_millis(if place.name == "telnet" { 1500 } else { 150 });
        place.host().fs().backend(place.transfer()).exists("/").await?;
        for (name, run) in [
            ("put", place.host().put(&source, there.path().join("copy"))),
            ("get", place.host().get(&source, back.path().join("copy"))),
        ] {
            if !dropped_after(pause, run.backend(place.transfer()).into_future()).await {
                // A fast disk: then it is there, and whole.
                continue;
            }
            let into = if name == "put" { there.path() } else { back.path() };
            until(&format!("{name} on {} leaves nothing", place.name), Duration::from_secs(8), || {
                names(into).is_empty()
            })
            .await;
        }
        // And what is in use goes on.
        assert!(place.host().fs().backend(place.transfer()).exists(&source).await?);
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert!(
            !there.path().join("copy").exists() || there.path().join("copy").metadata().unwrap().len() == BIG as u64
        );
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_the_host_ends_transfers() {
    let here = folder();
    let source = big(here.path());
    for place in [Place::sshd(), Place::scp(), Place::shell(), Place::telnet()] {
        let there = folder();
        let host = place.host().clone();
        host.fs().backend(place.transfer()).exists("/").await.unwrap();
        let transfer =
            tokio::spawn(host.put(&source, there.path().join("copy")).backend(place.transfer()).into_future());
        let some = || !names(there.path()).is_empty();
        until("it has begun", Duration::from_secs(20), some).await;
        let began = Instant::now();
        host.close().await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(6), "{}: {:?}", place.name, began.elapsed());
        let error = transfer.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "{}: {error:?}", place.name);
        assert!(names(there.path()).is_empty(), "{}: {:?}", place.name, names(there.path()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_holds_and_says_which_files() {
    let here = folder();
    let source = big(here.path());
    let (server, host) = server(Sshd::builder());
    let there = folder();
    host.fs().exists("/").await.unwrap();
    let began = Instant::now();
    // The small one first: behind the other it may not have its turn.
    let results = host.put([&PathBuf::from("/etc/passwd"), &source], there.path()).timeout("100ms").await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let failed: Vec<_> = results.failed().collect();
    assert!(failed.iter().any(|file| file.source == source && file.error.as_ref().unwrap().is_timeout()), "{failed:?}");
    // What is said to be there is. One whose last answer came too late may be there as well, but never by half.
    until("nothing else is there", Duration::from_secs(5), || names(there.path()).iter().all(|name| name == "passwd"))
        .await;
    let copy = fs::read(there.path().join("passwd")).ok();
    assert!(copy.is_none() || copy == fs::read("/etc/passwd").ok());
    assert!(copy.is_some() || !results.get("/etc/passwd").unwrap().is_ok());
    assert_eq!(host.put(&source, "/tmp/x").timeout(0.0).await.unwrap_err().kind(), ErrorKind::Invalid);
    let error = host.fs().timeout(f64::NAN).exists("/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    host.close().await.unwrap();
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_is_told_now_and_then() {
    let here = folder();
    let source = big(here.path());
    let (server, host) = server(Sshd::builder());
    let there = folder();
    let (mut calls, mut last) = (0_u32, None);
    let began = Instant::now();
    host.put([&source, &PathBuf::from("/etc/passwd")], there.path())
        .on_progress(|progress| {
            assert!(last.as_ref().is_none_or(|last: &otto::Progress| last.bytes <= progress.bytes));
            calls += 1;
            last = Some(progress.clone());
        })
        .await
        .unwrap()
        .ok()
        .unwrap();
    let last = last.unwrap();
    assert_eq!((last.bytes, last.files_done, last.files), (last.total, 2, 2));
    assert!(last.total > BIG as u64);
    assert!(calls >= 2 && u128::from(calls) <= began.elapsed().as_millis() / 100 + 3, "{calls} calls");
    host.close().await.unwrap();
    drop(server);
}

/// A disk of 1 MB. It takes root, and a system that lets root mount.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Self {
        let folder = folder();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(folder.path()).status().unwrap();
        assert!(mounted.success(), "the test has to be run as root, where root may mount");
        Self(folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full() {
    let here = folder();
    let source = here.path().join("too much");
    fs::write(&source, vec![7; 3_000_000]).unwrap();
    everywhere(async |place| {
        let disk = SmallDisk::new();
        let path = disk.0.path();
        let mut transfers = vec![place.host().put(&source, path.join("copy"))];
        if place.name != "telnet" {
            transfers.push(place.host().get(&source, path.join("copy")));
        }
        for run in transfers {
            let error = run.backend(place.transfer()).await?.ok().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::File(io::ErrorKind::StorageFull), "{}: {error:?}", place.name);
            assert!(error.to_string().contains("too much"), "{error}");
            assert!(names(path).is_empty(), "{}: {:?}", place.name, names(path));
        }
        let error =
            place.host().fs().backend(place.transfer()).write(path.join("x"), vec![7; 3_000_000]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::File(io::ErrorKind::StorageFull), "{}: {error:?}", place.name);
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_account_may_not_do() {
    for sftp in [Some("internal-sftp"), None] {
        let (server, host) = server(Sshd::builder().account("/bin/bash").sftp(sftp));
        let transfers = if sftp.is_some() { vec![Transfer::Sftp, Transfer::Shell] } else { vec![Transfer::Scp] };
        for transfer in transfers {
            let there = folder();
            fs::set_permissions(there.path(), fs::Permissions::from_mode(0o755)).unwrap();
            let secret = there.path().join("secret");
            fs::write(&secret, "x").unwrap();
            fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
            let error = host.put("/etc/passwd", there.path()).backend(transfer).await.unwrap().ok().unwrap_err();
            assert!(
                error.is_permission_denied() && error.to_string().contains("/etc/passwd"),
                "{transfer:?}: {error:?}"
            );
            let error = host.get(&secret, "/tmp/otto-never").backend(transfer).await.unwrap().ok().unwrap_err();
            assert!(error.is_permission_denied() && error.to_string().contains("secret"), "{transfer:?}: {error:?}");
            let fs = host.fs().backend(transfer);
            for result in [
                fs.read(&secret).await.map(drop),
                fs.write(&secret, "y").await,
                fs.chmod(&secret, 0o777).await,
                fs.create_dir_all(there.path().join("new")).await,
                fs.remove(&secret).await,
                fs.list("/root").await.map(drop),
                fs.rename(&secret, there.path().join("x")).await,
            ] {
                let error = result.unwrap_err();
                assert!(error.is_permission_denied(), "{transfer:?}: {error:?}");
            }
            assert_eq!(names(there.path()), ["secret"]);
            // Relative paths begin at home.
            host.put("/etc/passwd", "mine").backend(transfer).await.unwrap().ok().unwrap();
            assert!(server.home().join("mine").exists());
            fs.remove("mine").await.unwrap();
        }
        host.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subsystem_that_is_none() {
    let there = folder();
    for broken in ["/bin/false", "/bin/sh -c 'echo Welcome to this machine; exec cat'", "/no/such/program"] {
        let (server, host) = server(Sshd::builder().sftp(broken));
        let error = host.put("/etc/passwd", there.path()).backend(Transfer::Sftp).await.unwrap_err();
        assert!(error.to_string().contains("by SFTP"), "{error}");
        let results = host.put("/etc/passwd", there.path()).await.unwrap().ok().unwrap();
        assert_eq!(results.transfer, Transfer::Scp, "{broken}");
        host.close().await.unwrap();
        drop(server);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subsystem_that_dies_in_mid_file() {
    let (here, there) = (folder(), folder());
    let source = big(here.path());
    // The kernel ends it at the 20th megabyte.
    let server_program = ["/usr/lib/openssh/sftp-server", "/usr/lib/sftp-server", "/usr/libexec/openssh/sftp-server"];
    let program =
        server_program.iter().find(|path| Path::new(path).exists()).expect("apt-get install openssh-sftp-server");
    let script = here.path().join("dies");
    fs::write(&script, format!("#!/bin/bash\nulimit -f 20000\nexec {program}\n")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let (server, host) = server(Sshd::builder().sftp(script.to_str().unwrap()));
    let error = host.put(&source, there.path().join("copy")).await.unwrap().ok().unwrap_err();
    let text = format!("{error:?}");
    assert!(matches!(error.kind(), ErrorKind::ConnectionLost | ErrorKind::File(_)), "{text}");
    assert!(text.contains("big") && !text.contains("otto-part"), "{text}");
    until("nothing is left", Duration::from_secs(6), || names(there.path()).is_empty()).await;
    host.put("/etc/passwd", there.path()).await.unwrap().ok().unwrap();
    host.close().await.unwrap();
    drop(server);
}

/// An SFTP server that gives at most 1,000 bytes a read, opens handles that are no text, and names files that would lead
/// out of a folder.
const STRANGE: &str = r#"
import os, struct, sys
def get(n):
    data = b""
    while len(data) < n:
        more = os.read(0, n - len(data))
        if not more: sys.exit(0)
        data += more
    return data
def say(kind, body):
    data = struct.pack(">IB", len(body) + 1, kind) + body
    while data: data = data[os.write(1, data):]
def text(b): return struct.pack(">I", len(b)) + b
def attrs(st): return struct.pack(">IQIII", 1 | 4 | 8, st.st_size, st.st_mode, int(st.st_atime), int(st.st_mtime))
files, count = {}, 200
while True:
    n, = struct.unpack(">I", get(4))
    p = get(n); kind, rest = p[0], p[1:]
    if kind == 1: say(2, struct.pack(">I", 3)); continue
    rid, rest = rest[:4], rest[4:]
    def string():
        global rest
        n, = struct.unpack(">I", rest[:4]); s = rest[4:4+n]; rest = rest[4+n:]; return s
    def status(code): say(101, rid + struct.pack(">I", code) + text(b"") + text(b""))
    try:
        if kind in (3, 11):
            path = string(); count += 1; h = bytes([count % 256, 255, 0])
            if kind == 3: files[h] = open(path, "rb")
            else:
                names = [os.fsencode(x) for x in os.listdir(os.fsdecode(path))]
                files[h] = [(n, os.lstat(os.path.join(path, n))) for n in names]
                st = os.stat("/etc/passwd")
                files[h] += [(b"../evil", st), (b"/tmp/evil", st), (b"..", st), (b"", st)]
            say(102, rid + text(h))
        elif kind == 4: del files[string()]; status(0)
        elif kind == 5:
            f = files[string()]; at, n = struct.unpack(">QI", rest[:12])
            data = os.pread(f.fileno(), min(n, 1000), at)
            if data: say(103, rid + text(data))
            else: status(1)
        elif kind == 12:
            h = string()
            if files[h]:
                say(104, rid + struct.pack(">I", len(files[h])) + b"".join(text(n) + text(n) + attrs(s) for n, s in files[h]))
                files[h] = []
            else: status(1)
        elif kind == 8: say(105, rid + attrs(os.fstat(files[string()].fileno())))
        elif kind in (7, 17): say(105, rid + attrs((os.stat if kind == 17 else os.lstat)(string())))
        elif kind == 16: p = os.path.realpath(string()); say(104, rid + struct.pack(">I", 1) + text(p) + text(p) + struct.pack(">I", 0))
        else: status(8)
    except FileNotFoundError: status(2)
    except (IsADirectoryError, OSError): status(4)
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_gives_short_reads_and_leads_astray() {
    let (here, there) = (folder(), folder());
    let script = here.path().join("strange.py");
    fs::write(&script, STRANGE).unwrap();
    let (server, host) = server(Sshd::builder().sftp(format!("/usr/bin/python3 {}", script.display()).as_str()));
    fs::create_dir(here.path().join("from")).unwrap();
    let data: Vec<u8> = (0..1_000_003_u32).map(|at| ((at * 7) >> 3).to_le_bytes()[0]).collect();
    fs::write(here.path().join("from/file"), &data).unwrap();
    let results = host.get(here.path().join("from"), there.path().join("a/b/")).await;
    let results = results.expect("python3 is there: apt-get install python3");
    assert_eq!(results.transfer, Transfer::Sftp);
    assert!(fs::read(there.path().join("a/b/from/file")).unwrap() == data);
    let failed: Vec<_> = results.failed().map(|file| file.error.as_ref().unwrap().to_string()).collect();
    assert_eq!(failed.len(), 3, "{failed:?}");
    assert!(failed.iter().all(|text| text.contains("which is no name")), "{failed:?}");
    assert_eq!(
        (names(there.path()).len(), names(&there.path().join("a")).len(), names(&there.path().join("a/b")).len()),
        (1, 1, 1)
    );
    assert!(!Path::new("/tmp/evil").exists());
    assert!(host.fs().read(here.path().join("from/file")).await.unwrap() == data);
    host.close().await.unwrap();
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_and_commands_share_few_channels() {
    for sessions in ["1", "2", "3"] {
        let (server, host) = server(Sshd::builder().config(format!("MaxSessions {sessions}")));
        let there = folder();
        host.run("cd /tmp").await.unwrap().ok().unwrap();
        host.put("/etc/passwd", there.path()).await.unwrap().ok().unwrap();
        let commands = async { host.oneshot("echo one").await.unwrap().ok().unwrap().output };
        let (one, here) = tokio::join!(commands, host.run("pwd"));
        assert_eq!((one.as_str(), here.unwrap().only().unwrap().output.as_str()), ("one", "/tmp"));
        assert_eq!(host.fs().read(there.path().join("passwd")).await.unwrap(), fs::read("/etc/passwd").unwrap());
        host.close().await.unwrap();
        until("nothing of it is left", Duration::from_secs(5), || server.connections().is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_dropped_calls_leave_no_handle_open() {
    let (server, host) = server(Sshd::builder());
    let fs = host.fs();
    fs.exists("/").await.unwrap();
    let done = Arc::new(AtomicUsize::new(0));
    for round in 0..40_u64 {
        let mut reads = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let (read, done) = (fs.read("/etc/passwd"), done.clone());
            reads.spawn(async move { read.await.map(|_| done.fetch_add(1, Ordering::Relaxed)) });
        }
        tokio::time::sleep(Duration::from_micros(round * 150)).await;
        reads.abort_all();
    }
    // With the server's limit of handles used up, none of these would be answered.
    for _ in 0..10 {
        let reads = (0..200).map(|_| tokio::spawn(fs.read("/etc/passwd"))).collect::<Vec<_>>();
        for read in reads {
            assert!(!within(Duration::from_secs(20), "it is read", read).await.unwrap().unwrap().is_empty());
        }
    }
    host.close().await.unwrap();
    drop(server);
}

/// 4 GiB, most of which is a hole. It takes a while, so it is asked for: `--ignored`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "4 GiB"]
async fn four_gigabytes() {
    let (server, host) = server(Sshd::builder());
    let (here, there) = (folder(), folder());
    let source = here.path().join("huge");
    let file = fs::File::create(&source).unwrap();
    file.set_len((4 << 30) + 5).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"end", (4 << 30) + 2).unwrap();
    host.put(&source, there.path().join("huge")).checksum(true).await.unwrap().ok().unwrap();
    host.get(there.path().join("huge"), here.path().join("back")).checksum(true).await.unwrap().ok().unwrap();
    assert_eq!(fs::metadata(here.path().join("back")).unwrap().size(), (4 << 30) + 5);
    host.close().await.unwrap();
    drop(server);
}
