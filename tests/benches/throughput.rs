//! How fast 100 MB go through `run`, as a ratio to the least that any program could do, and what memory that takes.
//!
//! The floors: a bare loop in this language that reads the same command's pipe, and `ssh host cat` of OpenSSH's client
//! into such a loop. Floor and otto take turns; a figure is the median.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::error::Error;
use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Instant;

use otto::Host;
use otto_tests::sshd::Sshd;

const BYTES: usize = 100_000_000;
const ROUNDS: usize = 9;

type Any<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Any<()> {
    // `cargo test --workspace` builds and runs benches with `--test`: nothing to measure then.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("100MB");
        // Lines of a usual length.
        fs::write(&file, "0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTU\n".repeat(BYTES / 59 + 1))?;
        let size = fs::metadata(&file)?.len();
        let cat = format!("cat {}", file.display());
        println!("{size} bytes through `run`, {ROUNDS} rounds in turn; MB/s, median (least – most)");

        let host = Host::local();
        measure("local, to a pipe", size, &host, &cat, || floor(Command::new("bash").args(["-c", &cat]))).await?;
        host.close().await?;

        let server = Sshd::start();
        let host = Host::ssh("127.0.0.1")
            .port(server.port())
            .user(server.user())
            .key_file(server.key_file())
            .host_key(server.host_key())
            .build();
        let options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"];
        let port = server.port().to_string();
        let client = || {
            let mut command = Command::new("ssh");
            command.args(options).args(["-o", "IdentitiesOnly=yes", "-T", "-p", &port, "-l", server.user(), "-i"]);
            command.arg(server.key_file()).args(["127.0.0.1", &cat]);
            floor(&mut command)
        };
        measure("ssh, to `ssh host cat`", size, &host, &cat, client).await?;
        host.close().await?;
        Ok(())
    })
}

async fn measure(what: &str, size: u64, host: &Host, cat: &str, floor: impl Fn() -> Any<u64>) -> Any<()> {
    host.run("true").await?.ok()?;
    let (mut floors, mut ottos) = (Vec::new(), Vec::new());
    let megabytes = f64::from(u32::try_from(size)?) / 1e6;
    let speed = |start: Instant| megabytes / start.elapsed().as_secs_f64();
    // The peak counts from here.
    fs::write("/proc/self/clear_refs", "5")?;
    let before = resident("VmRSS")?;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        if floor()? != size {
            return Err("the floor did not read all".into());
        }
        floors.push(speed(start));
        let start = Instant::now();
        let result = host.run(cat).await?;
        ottos.push(speed(start));
        let status = &result.statuses[0];
        // Less one final line ending.
        if !(status.is_ok() && status.truncated && status.output.len() + 1 == 16 << 20) {
            return Err(format!("otto: {status:?}").into());
        }
    }
    let peak = resident("VmHWM")?;
    let (floor, otto) = (spread(&mut floors), spread(&mut ottos));
    let show = |(least, median, most): (f64, f64, f64)| format!("{median:7.0} ({least:.0} – {most:.0})");
    println!(
        "{what:24} floor {}   otto {}   ratio {:.2}   memory before {before} MB, peak {peak} MB, {} MB beyond the capture",
        show(floor),
        show(otto),
        otto.1 / floor.1,
        peak.saturating_sub(before + ((16 << 20) / 1_000_000))
    );
    Ok(())
}

/// Reads all that the command writes; how much that was.
fn floor(command: &mut Command) -> Any<u64> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut from = child.stdout.take().ok_or("no stdout")?;
    let (mut buffer, mut total) = (vec![0; 64 << 10], 0);
    loop {
        match from.read(&mut buffer)? {
            0 => break,
            count => total += count as u64,
        }
    }
    child.wait()?;
    Ok(total)
}

/// A figure of this process's memory, in MB.
fn resident(field: &str) -> Any<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(field)).ok_or("no such field")?;
    Ok(line.split_whitespace().nth(1).ok_or("no figure")?.parse::<u64>()? / 1000)
}

fn spread(figures: &mut [f64]) -> (f64, f64, f64) {
    figures.sort_by(f64::total_cmp);
    (figures[0], figures[figures.len() / 2], figures[figures.len() - 1])
}
