//! How fast files go to a host and back, as a ratio to OpenSSH's `sftp` on the same server, and what memory that takes.
//!
//! `sftp` and otto take turns; a figure is the median of the rounds. `sftp` is a process that has to connect each time, and
//! otto keeps its connection, so that `sftp`'s figures are given without what a `sftp` that does nothing takes. Behind a
//! delay both go through a relay that holds back every byte.

#![expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "a benchmark prints its figures")]

use std::collections::VecDeque;
use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use otto::Host;
use otto_tests::sshd::Sshd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

type Any<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Any<()> {
    // `cargo test --workspace` builds and runs benches with `--test`: nothing to measure then.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let only: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |what: &str| only.is_empty() || only.iter().any(|word| what.contains(word.as_str()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    // The relay has threads of its own, so that it is no part of what is measured.
    let relaying = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let server = Sshd::start();
    let folder = tempfile::Builder::new().prefix("otto-bench-").tempdir_in(scratch())?;
    let bench = Bench { server: &server, port: server.port(), folder: folder.path() };
    println!("memory at the start {} MB", resident("VmHWM")?);
    runtime.block_on(async {
        if wanted("256MB") {
            bench.large("256MB", 256 << 20, 7).await?;
        }
        if wanted("1000") {
            bench.many(1000, 7).await?;
        }
        if wanted("reads") {
            bench.reads(1000, 7).await?;
        }
        if wanted("delay") {
            let port = relaying.block_on_elsewhere(server.port())?;
            let far = Bench { port, ..bench };
            far.large("256MB at 50 ms", 256 << 20, 1).await?;
            far.many_far(20, 1).await?;
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    })?;
    println!("memory at the most {} MB", resident("VmHWM")?);
    relaying.shutdown_background();
    Ok(())
}

/// Where nothing waits for a disk, if there is such a place.
fn scratch() -> &'static Path {
    Path::new(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" })
}

#[derive(Clone, Copy)]
struct Bench<'a> {
    server: &'a Sshd,
    port: u16,
    folder: &'a Path,
}

impl Bench<'_> {
    fn host(&self) -> Host {
        Host::ssh("127.0.0.1")
            .port(self.port)
            .user(self.server.user())
            .key_file(self.server.key_file())
            .host_key(self.server.host_key())
            .build()
    }

    /// How long OpenSSH's client takes for a batch.
    fn sftp(&self, batch: &str) -> Any<f64> {
        let script = self.folder.join("batch");
        fs::write(&script, batch)?;
        let mut command = Command::new("sftp");
        for option in
            ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "IdentitiesOnly=yes"]
        {
            command.args(["-o", option]);
        }
        command
            .arg("-q")
            .arg("-i")
            .arg(self.server.key_file())
            .arg("-P")
            .arg(self.port.to_string())
            .arg("-b")
            .arg(&script);
        command.arg(format!("{}@127.0.0.1", self.server.user()));
        let began = Instant::now();
        let output = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(began.elapsed().as_secs_f64())
    }

    async fn large(&self, what: &str, size: usize, rounds: usize) -> Any<()> {
        let host = self.host();
        let (here, there) = (self.folder.join("here"), self.folder.join("there"));
        let mut file = fs::File::create(&here)?;
        for number in 0..size >> 20 {
            std::io::Write::write_all(&mut file, &vec![number.to_le_bytes()[0]; 1 << 20])?;
        }
        host.put(&here, &there).await?.ok()?;
        let nothing = self.sftp("pwd\n")?;
        for (verb, batch) in [
            ("get", format!("get {} {}.copy\n", there.display(), here.display())),
            ("put", format!("put {} {}.copy\n", here.display(), there.display())),
        ] {
            let (mut theirs, mut ours, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..rounds {
                theirs.push(self.sftp(&batch)? - nothing);
                let (began, used) = (Instant::now(), cpu_time()?);
                let results = match verb {
                    "get" => host.get(&there, here.with_extension("copy")).await?,
                    _ => host.put(&here, there.with_extension("copy")).await?,
                };
                ours.push(began.elapsed().as_secs_f64());
                cpu.push(cpu_time()? - used);
                results.ok()?;
            }
            let (theirs, ours) = (median(&mut theirs), median(&mut ours));
            let speed = |seconds: f64| size as f64 / 1e6 / seconds;
            println!(
                "{verb} {what:16} sftp {:6.0} MB/s   otto {:6.0} MB/s   ratio {:.2}   cpu {:.2} s   peak {} MB",
                speed(theirs),
                speed(ours),
                theirs / ours,
                median(&mut cpu),
                resident("VmHWM")?
            );
        }
        for file in [&here, &there, &here.with_extension("copy"), &there.with_extension("copy")] {
            let _ = fs::remove_file(file);
        }
        host.close().await?;
        Ok(())
    }

    async fn many(&self, count: usize, rounds: usize) -> Any<()> {
        self.both_ways(count, rounds, "1 KB files").await
    }

    async fn many_far(&self, count: usize, rounds: usize) -> Any<()> {
        self.both_ways(count, rounds, "1 KB files at 50 ms").await
    }

    async fn both_ways(&self, count: usize, rounds: usize, what: &str) -> Any<()> {
        let host = self.host();
        let (here, there, back) =
            (self.folder.join("small"), self.folder.join("small.there"), self.folder.join("back"));
        for folder in [&here, &there, &back] {
            fs::create_dir_all(folder)?;
        }
        for number in 0..count {
            fs::write(here.join(format!("file{number}")), vec![number.to_le_bytes()[0]; 1000])?;
        }
        host.put(here.join("*"), &there).await?.ok()?;
        let nothing = self.sftp("pwd\n")?;
        for verb in ["get", "put"] {
            let (from, to) = if verb == "get" { (&there, &back) } else { (&here, &there) };
            let (mut theirs, mut ours) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                theirs.push(self.sftp(&format!("{verb} {}/* {}\n", from.display(), to.display()))? - nothing);
                let began = Instant::now();
                let pattern = from.join("*");
                let results = match verb {
                    "get" => host.get(pattern, to).await?.ok()?,
                    _ => host.put(pattern, to).await?.ok()?,
                };
                ours.push(began.elapsed().as_secs_f64());
                if results.files.len() != count {
                    return Err("not all files".into());
                }
            }
            let (theirs, ours) = (median(&mut theirs), median(&mut ours));
            println!(
                "{verb} {count} {what:20} sftp -b {theirs:6.3} s   otto {ours:6.3} s   ratio {:.2}",
                theirs / ours
            );
        }
        for folder in [&here, &there, &back] {
            fs::remove_dir_all(folder)?;
        }
        host.close().await?;
        Ok(())
    }

    async fn reads(&self, count: usize, rounds: usize) -> Any<()> {
        let host = self.host();
        let folder = self.folder.join("reads");
        fs::create_dir_all(&folder)?;
        for number in 0..count {
            fs::write(folder.join(format!("file{number}")), format!("file {number}"))?;
        }
        let files = host.fs();
        files.read_to_string(folder.join("file0")).await?;
        let mut ours = Vec::new();
        for _ in 0..rounds {
            let began = Instant::now();
            let mut all = tokio::task::JoinSet::new();
            for number in 0..count {
                all.spawn(files.read_to_string(folder.join(format!("file{number}"))));
            }
            while let Some(read) = all.join_next().await {
                read??;
            }
            ours.push(count as f64 / began.elapsed().as_secs_f64());
        }
        let ours = median(&mut ours);
        println!("{count} reads in flight: {ours:.0} a second   ratio to rmote's 7,600 {:.2}", ours / 7600.0);
        host.close().await?;
        Ok(())
    }
}

/// A relay on a runtime of its own.
trait Relay {
    fn block_on_elsewhere(&self, to: u16) -> Any<u16>;
}

/// How long a byte is held back each way.
const ONE_WAY: Duration = Duration::from_millis(25);

impl Relay for tokio::runtime::Runtime {
    fn block_on_elsewhere(&self, to: u16) -> Any<u16> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        self.spawn(async move {
            let Ok(listener) = TcpListener::from_std(listener) else { return };
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], to))).await else { return };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(hold_back(from_client, to_server));
                tokio::spawn(hold_back(from_server, to_client));
            }
        });
        Ok(port)
    }
}

/// Passes on what comes, a while later; as much is on its way as comes in that while.
async fn hold_back(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf) {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        let mut queue = VecDeque::new();
        while let Some(one) = receiver.recv().await {
            queue.push_back(one);
            while let Some((due, data)) = queue.pop_front() {
                tokio::time::sleep_until(due.into()).await;
                if to.write_all(&data).await.is_err() {
                    return;
                }
            }
        }
    });
    loop {
        let mut data = Vec::with_capacity(256 << 10);
        match from.read_buf(&mut data).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                if sender.send((Instant::now() + ONE_WAY, data)).is_err() {
                    return;
                }
            }
        }
    }
}

/// A figure of this process's memory, in MB.
fn resident(field: &str) -> Any<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(field)).ok_or("no such field")?;
    Ok(line.split_whitespace().nth(1).ok_or("no figure")?.parse::<u64>()? / 1000)
}

/// The processor time of this process, in seconds.
fn cpu_time() -> Any<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after = stat.rsplit(')').next().ok_or("no stat")?;
    let field = |at: usize| after.split_whitespace().nth(at).and_then(|word| word.parse::<f64>().ok());
    Ok((field(11).ok_or("no utime")? + field(12).ok_or("no stime")?) / 100.0)
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
