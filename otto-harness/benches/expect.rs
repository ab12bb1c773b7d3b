//! What a search in reads of 4 KiB costs against one linear pass of `regex::bytes` over the same log, in the same run:
//! `cargo bench -p otto-harness --bench expect`.
//!
//! "each read" is the same regex called on each read alone: it misses what spans two, and shows what the calls cost.
//! The match is at the very end, and the log is full of beginnings of it. Doubling the log has to double the time.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use otto::session::expect::{Pattern, Searcher};

const MIB: usize = 1 << 20;
const READ: usize = 4096;
const ROUNDS: usize = 5;
const END: &str = "BEGIN END 0123456789abcdef01234567 ok status=200 OK took 123456! __otto_5f3a9c__ root@rack:~# ";

const CASES: [(&str, &[&str]); 6] = [
    ("sentinel literal", &["__otto_5f3a9c__"]),
    ("five literals", &["__otto_5f3a9c__", "assword: ", "yes/no", "login: ", "panic - not syncing"]),
    ("[0-9a-f]{24} (ok|denied)", &["[0-9a-f]{24} (ok|denied)"]),
    ("(?s)BEGIN.*END 0", &["(?s)BEGIN.*END 0"]),
    (r"status=\d+ [A-Z]+.*\d{6}!", &[r"status=\d+ [A-Z]+.*\d{6}!"]),
    ("prompt: [$#] $", &["[$#] $"]),
];

fn main() {
    let log = log(64 * MIB);
    println!(
        "{:<28}{:>10}{:>10}{:>10}{:>10}{:>10}{:>8}",
        "MB/s and ratio of times", "16 MiB", "32 MiB", "64 MiB", "each read", "one pass", "ratio"
    );
    for (name, texts) in CASES {
        let patterns: Vec<Pattern> = texts.iter().map(|text| Pattern::from(*text)).collect();
        let regex = regex::bytes::Regex::new(&texts.join("|")).expect("a regex");
        // The end of the log is the end of each of its parts.
        let parts = [16, 32, 64].map(|mib| &log[log.len() - mib * MIB..]);
        let times = parts.map(|part| median(|| search(&patterns, part)));
        let pass = median(|| regex.find(&log).map_or(0, |found| found.end()));
        let reads = median(|| log.chunks(READ).filter(|read| regex.is_match(read)).count());
        let rates = parts.iter().zip(times).map(|(part, time)| rate(part.len(), time));
        print!("{name:<28}");
        rates.for_each(|rate| print!("{rate:>10.0}"));
        if name.starts_with("prompt") {
            // One pass over a whole text looks for a `$` from its end: there is nothing to compare.
            println!("{:>28}", "from the end");
            continue;
        }
        println!(
            "{:>10.0}{:>10.0}{:>8.2}",
            rate(log.len(), reads),
            rate(log.len(), pass),
            times[2].as_secs_f64() / pass.as_secs_f64()
        );
    }
}

/// Where the first match ends, for a stream that arrives in reads and then pauses.
fn search(patterns: &[Pattern], stream: &[u8]) -> usize {
    let mut searcher = Searcher::new(patterns).expect("patterns");
    let found = stream.chunks(READ).find_map(|read| searcher.feed(read)).or_else(|| searcher.idle());
    let end = found.expect("a match").end;
    assert!(stream.len() as u64 - end < END.len() as u64, "found too early: at {end}");
    usize::try_from(end).expect("a length")
}

fn median(mut run: impl FnMut() -> usize) -> Duration {
    let mut times = [Duration::ZERO; ROUNDS];
    for time in &mut times {
        let start = Instant::now();
        black_box(run());
        *time = start.elapsed();
    }
    times.sort();
    times[ROUNDS / 2]
}

fn rate(bytes: usize, time: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
    let bytes = bytes as f64;
    bytes / 1e6 / time.as_secs_f64()
}

fn log(length: usize) -> Vec<u8> {
    let mut log = Vec::with_capacity(length + 256);
    let mut line = 0_u64;
    while log.len() < length - END.len() {
        let hash = line.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let text = format!(
            "{line:010} node{} BEGIN app[{}]: status={} GET /items/{hash:016x}{:06x} took {}us\r\n",
            line % 64,
            line % 4096,
            200 + line % 5,
            line & 0xff_ffff,
            hash % 100_000
        );
        log.extend_from_slice(text.as_bytes());
        line += 1;
    }
    log.truncate(length - END.len());
    log.extend_from_slice(END.as_bytes());
    log
}
