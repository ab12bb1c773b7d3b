//! How long a connection and its first command take: `cargo bench -p otto-tests --bench connect`.
//!
//! The floors: russh with one channel and one command, and a loop over a socket that answers telnet's prompts and refuses all
//! options. Each round connects, runs `true`, and closes; only the part up to the answer counts. With `OTTO_PEERS=<venv>`,
//! asyncssh and otto-sh follow.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use common::{Any, Bare, Batch, Times, over, peers};
use otto::Host;
use otto_tests::sshd::Sshd;
use otto_tests::telnetd::Telnetd;

const ROUNDS: usize = 15;

fn main() -> Any<()> {
    // `cargo test --workspace` builds and runs benches with `--test`: nothing to measure then.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        println!("connect + first command, {ROUNDS} rounds in turn; microseconds, median (least – most)");
        let server = Sshd::start();
        let (mut floor, mut ours) = (Times::default(), Times::default());
        for _ in 0..ROUNDS {
            let batch = Batch::start();
            Bare::connect(&server).await?.ask("true; echo $?\n").await?;
            floor.add(&batch, 1);
            otto(&over(&server), &mut ours).await?;
        }
        print("ssh, to a bare channel", &floor, &ours);
        let (port, key) = (server.port().to_string(), server.key_file().display().to_string());
        peers(&["connect", &port, server.user(), &key])?;

        let server = Telnetd::inetutils();
        let (mut floor, mut ours) = (Times::default(), Times::default());
        for _ in 0..ROUNDS {
            let batch = Batch::start();
            login(server.port())?;
            floor.add(&batch, 1);
            otto(&server.host().build(), &mut ours).await?;
        }
        print("telnet, to a bare login", &floor, &ours);
        Ok(())
    })
}

async fn otto(host: &Host, times: &mut Times) -> Any<()> {
    let batch = Batch::start();
    if !host.run("true").await?.is_ok() {
        return Err("`true` failed".into());
    }
    times.add(&batch, 1);
    host.close().await?;
    Ok(())
}

fn print(what: &str, floor: &Times, ours: &Times) {
    println!("{what}");
    println!("  floor {}", floor.shown());
    println!("  otto  {}", ours.shown());
    println!("  ratio {:.2}", ours.wall() / floor.wall());
}

/// Logs in by the prompts, and has one command answered.
fn login(port: u16) -> Any<()> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut seen = Vec::new();
    let mut until = |socket: &mut TcpStream, what: &str| -> Any<()> {
        loop {
            if let Some(at) = seen.windows(what.len()).position(|window| window == what.as_bytes()) {
                seen.drain(..at + what.len());
                return Ok(());
            }
            let mut read = [0; 4096];
            let count = match socket.read(&mut read) {
                // Of a child of this process.
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                count => count?,
            };
            rustix::net::sockopt::set_tcp_quickack(&*socket, true)?;
            if count == 0 {
                return Err(format!("the server ended before {what:?}").into());
            }
            refuse(socket, &read[..count], &mut seen)?;
        }
    };
    until(&mut socket, "ogin: ")?;
    socket.write_all(format!("{}\r\n", Telnetd::USER).as_bytes())?;
    until(&mut socket, "assword: ")?;
    socket.write_all(format!("{}\r\n", Telnetd::PASSWORD).as_bytes())?;
    // The shell's prompt; what is typed before it may be thrown away.
    until(&mut socket, "$ ").or_else(|_| until(&mut socket, "# "))?;
    socket.write_all(b"true; echo fi''rst-$?\r\n")?;
    until(&mut socket, "first-0")
}

/// Refuses all options; the rest is text.
fn refuse(socket: &mut TcpStream, bytes: &[u8], text: &mut Vec<u8>) -> Any<()> {
    let mut bytes = bytes.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != 255 {
            text.push(byte);
            continue;
        }
        match (bytes.next(), bytes.next()) {
            (Some(253 | 254), Some(option)) => socket.write_all(&[255, 252, option])?,
            (Some(251 | 252), Some(option)) => socket.write_all(&[255, 254, option])?,
            _ => {}
        }
    }
    Ok(())
}
