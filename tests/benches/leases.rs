//! What leases cost: one alone, and many processes that want the same.
//!
//! * acquire and release, in `SQLite`, and in etcd beside the least that any client needs there: one transaction that puts a
//!   key, and one that removes it.
//! * 64 processes that want 8 hosts, 2,000 leases in all. Each proves with a file of its own that it is alone.
//! * 1,000 races of two processes for one host in etcd.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::error::Error;
use std::time::{Duration, Instant};

use otto::reservations::{Acquired, Holder, LeaseRequest, Leases};
use otto_tests::leasing::Helper;

const HELPER: &str = env!("CARGO_BIN_EXE_lease_helper");
const EACH: usize = 300;

type Any<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Any<()> {
    // `cargo test --benches` and `cargo test --workspace` build and run benches with `--test`: nothing to measure then.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let leases = Leases::sqlite(folder.path().join("alone"))?;
    println!("acquire + release, {EACH} times, milliseconds: median, 95th of 100");
    println!("  sqlite  {}", shown(runtime.block_on(alone(&leases))?));
    let place = format!("sqlite:{}", folder.path().join("crowd").display());
    // The folder is made by one, as it is in life.
    Leases::sqlite(folder.path().join("crowd"))?;
    crowd(&place, folder.path())?;
    #[cfg(feature = "etcd")]
    etcd::measure(&runtime, folder.path())?;
    Ok(())
}

fn request() -> LeaseRequest {
    LeaseRequest::new(Holder::of_this_process("bench", "bench")).exclusive("host:a")
}

async fn alone(leases: &Leases) -> Any<Vec<Duration>> {
    let mut times = Vec::new();
    for number in 0..EACH + 20 {
        let start = Instant::now();
        let Acquired::Held(lease) = leases.try_acquire(&request()).await? else { return Err("it is held".into()) };
        lease.release().await?;
        // The first warm up what is made once.
        if number >= 20 {
            times.push(start.elapsed());
        }
    }
    Ok(times)
}

fn shown(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |part: usize| times[times.len() * part / 100].as_secs_f64() * 1e3;
    format!("{:.3}, {:.3}", at(50), at(95))
}

fn crowd(place: &str, folder: &std::path::Path) -> Any<()> {
    const PROCESSES: usize = 64;
    const LEASES: usize = 2000;
    let witness = folder.join(format!("witness-{}", place.split(':').next().unwrap_or_default()));
    std::fs::create_dir(&witness)?;
    let hosts: Vec<String> = (0..8).map(|number| format!("host:{number}")).collect();
    let each: Vec<String> = (0..PROCESSES)
        .map(|number| (LEASES / PROCESSES + usize::from(number < LEASES % PROCESSES)).to_string())
        .collect();
    let start = Instant::now();
    let all: Vec<Helper> = each
        .iter()
        .map(|count| {
            let mut arguments = vec![place, "contend", witness.to_str().unwrap_or_default(), count];
            arguments.extend(hosts.iter().map(String::as_str));
            Helper::start(HELPER, &arguments)
        })
        .collect();
    let mut longest = Duration::ZERO;
    for helper in &all {
        let line = helper.expect("done");
        let micros = line.rsplit(' ').next().unwrap_or_default().parse()?;
        longest = longest.max(Duration::from_micros(micros));
    }
    let took = start.elapsed();
    println!(
        "{PROCESSES} processes, 8 hosts, {LEASES} leases in {}: {:.2} s, {:.0} leases a second, longest wait {:.0} ms, no double grant",
        place.split(':').next().unwrap_or_default(),
        took.as_secs_f64(),
        2000.0 / took.as_secs_f64(),
        longest.as_secs_f64() * 1e3
    );
    Ok(())
}

#[cfg(feature = "etcd")]
mod etcd {
    use super::{Any, Duration, EACH, HELPER, Helper, Instant, Leases, alone, crowd, shown};
    use otto_tests::etcd::Etcd;

    pub(super) fn measure(runtime: &tokio::runtime::Runtime, folder: &std::path::Path) -> Any<()> {
        let etcd = Etcd::start();
        let mut options = otto::lab::EtcdOptions::new([etcd.url()]);
        options.prefix = "/bench/".to_owned();
        let leases = Leases::etcd(&options)?;
        let mut round_trips = Vec::new();
        let bare = otto::reservations::EtcdProbe::new(&options, runtime.handle())?;
        for number in 0..EACH + 20 {
            let start = Instant::now();
            runtime.block_on(bare.put_and_delete())?;
            if number >= 20 {
                round_trips.push(start.elapsed());
            }
        }
        let ours = runtime.block_on(alone(&leases))?;
        let median = |times: &[Duration]| {
            let mut times = times.to_vec();
            times.sort();
            times[times.len() / 2]
        };
        let (bare, own) = (median(&round_trips), median(&ours));
        println!("  etcd    {}", shown(ours));
        println!(
            "  bare    {}: two transactions on one connection; ratio {:.2}, {:.3} ms more",
            shown(round_trips),
            own.as_secs_f64() / bare.as_secs_f64(),
            (own.as_secs_f64() - bare.as_secs_f64()) * 1e3
        );
        let place = format!("etcd:{}:/crowd/", etcd.url());
        crowd(&place, folder)?;
        races(&format!("etcd:{}:/race/", etcd.url()), folder)
    }

    fn races(place: &str, folder: &std::path::Path) -> Any<()> {
        const RACES: usize = 1000;
        let (start, witness) = (folder.join("start"), folder.join("witness-of-races"));
        std::fs::create_dir(&start)?;
        std::fs::create_dir(&witness)?;
        let count = RACES.to_string();
        let arguments =
            [place, "race", start.to_str().unwrap_or_default(), witness.to_str().unwrap_or_default(), &count, "host:a"];
        let racers = [Helper::start(HELPER, &arguments), Helper::start(HELPER, &arguments)];
        racers.iter().for_each(|racer| drop(racer.expect("ready")));
        let began = Instant::now();
        let mut firsts = 0;
        for number in 0..RACES {
            let lines = [racers[0].expect(""), racers[1].expect("")];
            let won = lines.iter().filter(|line| line.starts_with(&format!("won {number} "))).count();
            let busy = lines.iter().filter(|line| **line == format!("busy {number}")).count();
            if (won, busy) != (1, 1) {
                return Err(format!("race {number}: {lines:?}").into());
            }
            firsts += usize::from(lines[0].starts_with("won"));
        }
        println!(
            "{RACES} races of two in etcd: exactly one won each, {firsts} times the first; {:.1} s",
            began.elapsed().as_secs_f64()
        );
        Ok(())
    }
}
