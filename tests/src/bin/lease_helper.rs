//! A process that holds leases as it is told, for the tests and benchmarks of leases.
//!
//! `lease_helper PLACE COMMAND…`, where PLACE is `sqlite:FOLDER` or `etcd:URL:PREFIX`. What it does it says on stdout, a
//! line each.
//!
//! * `hold ITEM[,ITEM…] [TTL_MS]`: waits for the items (`-ITEM` is shared), says `waiting …` and `held FENCE`, and keeps
//!   them until stdin ends or says `release`. On a line `check`, and when the lease is lost, it says `ok` or `lost …`.
//! * `race START_FILE WITNESS COUNT ITEM`: COUNT times, tries once for the item and says `won N` or `busy N`.
//! * `contend WITNESS COUNT ITEM…`: COUNT times, waits for one of the items in turn, proves with a file of its own in the
//!   folder WITNESS that it has it alone, and says the longest wait.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use otto::reservations::{Acquired, Holder, Lease, LeaseRequest, Leases};
use otto::{Error, ErrorKind, Result};

/// No test waits longer for anything.
const LIMIT: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match runtime.block_on(run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error {}", error.chain().replace('\n', " / ")));
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // The parent may be gone.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

async fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        [place, "hold", items] => hold(&open(place)?, items, 30_000).await,
        [place, "hold", items, ttl] => hold(&open(place)?, items, number(ttl)?).await,
        [place, "race", start, witness, count, item] => {
            race(&open(place)?, Path::new(start), Path::new(witness), number(count)?, item).await
        }
        [place, "contend", witness, count, items @ ..] => {
            contend(&open(place)?, Path::new(witness), number(count)?, items).await
        }
        _ => Err(Error::new(ErrorKind::Invalid, format!("cannot do {arguments:?}"))),
    }
}

fn number(text: &str) -> Result<u64> {
    text.parse().map_err(|error| Error::new(ErrorKind::Invalid, format!("{text:?} is no number")).caused_by(error))
}

fn open(place: &str) -> Result<Leases> {
    match place.split_once(':') {
        Some(("sqlite", folder)) => Leases::sqlite(folder),
        #[cfg(feature = "etcd")]
        Some(("etcd", rest)) => {
            let (url, prefix) = rest.rsplit_once(':').unwrap_or((rest, "/otto/"));
            let mut options = otto::lab::EtcdOptions::new([url]);
            options.prefix = prefix.to_owned();
            Leases::etcd(&options)
        }
        _ => Err(Error::new(ErrorKind::Invalid, format!("there are no leases at {place:?}"))),
    }
}

fn request(items: &str, purpose: &str) -> LeaseRequest {
    let request = LeaseRequest::new(Holder::of_this_process("helper", purpose));
    items.split(',').fold(request, |request, item| match item.strip_prefix('-') {
        Some(item) => request.shared(item),
        None => request.exclusive(item),
    })
}

async fn hold(leases: &Leases, items: &str, ttl: u64) -> Result<()> {
    let request = request(items, "hold").ttl(Duration::from_millis(ttl));
    let lease = leases.wait(&request, LIMIT, |waiting| say(&format!("waiting {waiting}"))).await?;
    say(&format!("held {}", lease.fence()));
    let (sender, mut lines) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(std::result::Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let lost = lease.lost();
    tokio::pin!(lost);
    let mut is_lost = false;
    loop {
        tokio::select! {
            // First what was asked, so that the answer is what the clock says, and not that a task has noticed.
            biased;
            line = lines.recv() => match line.as_deref() {
                Some("check") => match lease.check() {
                    Ok(()) => say("ok"),
                    Err(error) => say(&format!("no {error}").replace('\n', " / ")),
                },
                Some("release") | None => {
                    lease.release().await?;
                    say("released");
                    return Ok(());
                }
                Some(other) => say(&format!("error no order {other:?}")),
            },
            error = &mut lost, if !is_lost => {
                is_lost = true;
                say(&format!("lost {error}").replace('\n', " / "));
            }
        }
    }
}

async fn race(leases: &Leases, start: &Path, witness: &Path, count: u64, item: &str) -> Result<()> {
    // What is made once is made before the races.
    leases.list().await?;
    say("ready");
    for number in 0..count {
        // All begin a race together: whoever comes makes the file of it longer, and goes when all are there.
        meet(&start.join(number.to_string()), 2).await?;
        match leases.try_acquire(&request(item, "race")).await? {
            Acquired::Held(lease) => {
                let alone = Witness::enter(witness, item)?;
                say(&format!("won {number} {}", lease.fence()));
                // Until the other has had its answer.
                meet(&start.join(format!("{number}.done")), 2).await?;
                alone.leave()?;
                lease.release().await?;
            }
            Acquired::Busy(_) => {
                say(&format!("busy {number}"));
                meet(&start.join(format!("{number}.done")), 2).await?;
            }
        }
        meet(&start.join(format!("{number}.end")), 2).await?;
    }
    Ok(())
}

async fn meet(place: &Path, count: u64) -> Result<()> {
    let io = |error: std::io::Error| Error::new(ErrorKind::Io, "cannot meet").caused_by(error);
    OpenOptions::new().append(true).create(true).open(place).and_then(|mut file| file.write_all(b"x")).map_err(io)?;
    let start = Instant::now();
    while fs::metadata(place).map_err(io)?.len() < count {
        if start.elapsed() > LIMIT {
            return Err(Error::new(ErrorKind::Timeout, format!("nobody came to {}", place.display())));
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    Ok(())
}

async fn contend(leases: &Leases, witness: &Path, count: u64, items: &[&str]) -> Result<()> {
    let (mut longest, mut last_fence) = (Duration::ZERO, 0);
    let offset = std::process::id() as usize;
    for number in 0..usize::try_from(count).unwrap_or(0) {
        let item = items[(offset + number) % items.len()];
        let start = Instant::now();
        let lease: Lease = leases.wait(&request(item, "contend"), LIMIT, |_| {}).await?;
        longest = longest.max(start.elapsed());
        let alone = Witness::enter(witness, item)?;
        if lease.fence() <= last_fence {
            return Err(Error::new(ErrorKind::Invalid, "a fencing number did not rise"));
        }
        last_fence = lease.fence();
        tokio::task::yield_now().await;
        lease.check()?;
        alone.leave()?;
        lease.release().await?;
    }
    say(&format!("done {count} {}", longest.as_micros()));
    Ok(())
}

/// A file that only one process can have made, and that knows nothing of leases.
struct Witness(std::path::PathBuf);

impl Witness {
    fn enter(folder: &Path, item: &str) -> Result<Self> {
        let path = folder.join(item.replace('/', "_"));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(_) => Ok(Self(path)),
            Err(error) => Err(Error::new(ErrorKind::Invalid, format!("DOUBLE GRANT of {item}")).caused_by(error)),
        }
    }

    fn leave(self) -> Result<()> {
        fs::remove_file(&self.0).map_err(|error| Error::new(ErrorKind::Invalid, "DOUBLE GRANT").caused_by(error))
    }
}
