//! What a connection with its first command costs over telnet, as a ratio to a bare loop that answers the same prompts.
//!
//! `cargo bench -p otto-tests --bench login`. Both talk to the same server, in turns, so only the ratio means something.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use otto_tests::telnetd::{Kind, Telnetd};

const ROUNDS: usize = 15;

/// Reads until the text was seen, refusing every option that the server speaks of.
fn until(stream: &mut TcpStream, seen: &mut Vec<u8>, text: &str, quick: bool) {
    let mut piece = [0; 4096];
    loop {
        if let Some(at) = seen.windows(text.len()).position(|window| window == text.as_bytes()) {
            seen.drain(..at + text.len());
            return;
        }
        let count = stream.read(&mut piece).expect("the server is there");
        // Without it each answer may cost a delayed acknowledgement of 40 ms.
        if quick {
            let _ = rustix::net::sockopt::set_tcp_quickack(&*stream, true);
        }
        assert!(count > 0, "the server went away; it said {:?}", String::from_utf8_lossy(seen));
        let mut bytes = piece[..count].iter();
        while let Some(byte) = bytes.next() {
            match byte {
                255 => match (bytes.next(), bytes.next()) {
                    (Some(253), Some(option)) => stream.write_all(&[255, 252, *option]).expect("it listens"),
                    (Some(251), Some(option)) => stream.write_all(&[255, 254, *option]).expect("it listens"),
                    _ => {}
                },
                byte => seen.push(*byte),
            }
        }
    }
}

/// As little as gets an answer: no look at what the shell is, no state, nothing that is seen to be gone.
fn bare(server: &Telnetd, quick: bool) -> Duration {
    let start = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).expect("it listens");
    stream.set_nodelay(true).expect("a socket");
    let mut seen = Vec::new();
    until(&mut stream, &mut seen, "login: ", quick);
    write!(stream, "{}\r\0", Telnetd::USER).expect("it listens");
    until(&mut stream, &mut seen, "Password: ", quick);
    write!(stream, "{}\r\0", Telnetd::PASSWORD).expect("it listens");
    // The prompt of the bed's bash, whoever runs it.
    until(&mut stream, &mut seen, "bash-", quick);
    write!(stream, "echo a$((40 + 2))b\r\0").expect("it listens");
    until(&mut stream, &mut seen, "a42b", quick);
    start.elapsed()
}

async fn ours(server: &Telnetd) -> (Duration, Duration) {
    let start = Instant::now();
    let host = server.host().build();
    let status = host.run("echo a$((40 + 2))b").await.and_then(|result| result.only()).expect("it runs");
    assert_eq!(status.output, "a42b");
    let took = start.elapsed();
    let closing = Instant::now();
    host.close().await.expect("it closes");
    (took, closing.elapsed())
}

fn median(mut all: Vec<Duration>) -> f64 {
    all.sort_unstable();
    all[all.len() / 2].as_secs_f64() * 1000.0
}

fn main() {
    // `cargo test --benches` builds and runs benches with `--test`: nothing to measure then.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    for kind in [Kind::Inetutils, Kind::Busybox] {
        let server = Telnetd::builder(kind).start();
        let (mut floor, mut quick, mut otto, mut close) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            floor.push(bare(&server, false));
            quick.push(bare(&server, true));
            let (took, closing) = runtime.block_on(ours(&server));
            otto.push(took);
            close.push(closing);
        }
        let (floor, quick, otto, close) = (median(floor), median(quick), median(otto), median(close));
        println!(
            "{kind:?}: connect and first command {otto:.1} ms; bare loop {floor:.1} ms, ratio {:.2}; bare loop that \
             acknowledges at once {quick:.1} ms, ratio {:.2}; close {close:.1} ms",
            otto / floor,
            otto / quick
        );
    }
}
