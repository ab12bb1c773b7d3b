//! How long `run("true")` takes, as a ratio to the least that any program could do on the same kind of stream.
//!
//! The floors: a bare loop that writes `true; echo $?` to the same shell and reads one line, over a pipe on this machine,
//! and over a bare russh channel to the same OpenSSH server. Floor and otto take turns in batches; a figure is the median
//! of the batches' means.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use otto::Host;
use otto_tests::sshd::Sshd;
use russh::keys::{PrivateKeyWithHashAlg, load_secret_key};
use russh::{ChannelMsg, client};

const BATCHES: usize = 30;
const EACH: u32 = 100;
/// The shell as otto starts it.
const SHELL: [&str; 6] = ["bash", "--norc", "--noprofile", "--noediting", "-i", "+m"];

type Any<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Any<()> {
    // `cargo test --benches` and `cargo test --workspace` build and run benches with `--test`: nothing to measure then.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        println!("run(\"true\"), {BATCHES} batches of {EACH} in turn; microseconds each, median (least – most)");
        local().await?;
        ssh().await
    })
}

async fn local() -> Any<()> {
    let mut child = Command::new(SHELL[0])
        .args(&SHELL[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut to = child.stdin.take().ok_or("no stdin")?;
    let mut from = BufReader::new(child.stdout.take().ok_or("no stdout")?);
    let host = Host::local();
    let mut figures = Figures::default();
    for _ in 0..BATCHES {
        let start = Instant::now();
        for _ in 0..EACH {
            to.write_all(b"true; echo $?\n")?;
            let mut line = String::new();
            from.read_line(&mut line)?;
        }
        figures.floor(start);
        figures.otto(&host).await?;
    }
    host.close().await?;
    drop(to);
    child.wait()?;
    figures.print("local, to a pipe");
    Ok(())
}

struct Anybody;

impl client::Handler for Anybody {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &russh::keys::PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

async fn ssh() -> Any<()> {
    let server = Sshd::start();
    let config = client::Config { nodelay: true, ..client::Config::default() };
    let mut handle = client::connect(Arc::new(config), ("127.0.0.1", server.port()), Anybody).await?;
    let key = PrivateKeyWithHashAlg::new(Arc::new(load_secret_key(server.key_file(), None)?), None);
    if !handle.authenticate_publickey(server.user(), key).await?.success() {
        return Err("the floor could not log in".into());
    }
    let mut channel = handle.channel_open_session().await?;
    channel.exec(false, format!("exec {} 2>/dev/null", SHELL.join(" "))).await?;
    let host = Host::ssh("127.0.0.1")
        .port(server.port())
        .user(server.user())
        .key_file(server.key_file())
        .host_key(server.host_key())
        .build();
    let mut figures = Figures::default();
    for _ in 0..BATCHES {
        let start = Instant::now();
        for _ in 0..EACH {
            channel.data(&b"true; echo $?\n"[..]).await?;
            loop {
                match channel.wait().await {
                    Some(ChannelMsg::Data { data }) if data.ends_with(b"\n") => break,
                    Some(_) => {}
                    None => return Err("the floor's channel ended".into()),
                }
            }
        }
        figures.floor(start);
        figures.otto(&host).await?;
    }
    host.close().await?;
    figures.print("ssh, to a bare channel");
    Ok(())
}

#[derive(Default)]
struct Figures {
    floor: Vec<f64>,
    otto: Vec<f64>,
}

impl Figures {
    fn floor(&mut self, start: Instant) {
        self.floor.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(EACH));
    }

    async fn otto(&mut self, host: &Host) -> Any<()> {
        let start = Instant::now();
        for _ in 0..EACH {
            host.run("true").await?.ok()?;
        }
        self.otto.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(EACH));
        Ok(())
    }

    fn print(mut self, what: &str) {
        let (floor, otto) = (spread(&mut self.floor), spread(&mut self.otto));
        let show = |(least, median, most): (f64, f64, f64)| format!("{median:7.1} ({least:.1} – {most:.1})");
        println!("{what:24} floor {}   otto {}   ratio {:.2}", show(floor), show(otto), otto.1 / floor.1);
    }
}

fn spread(figures: &mut [f64]) -> (f64, f64, f64) {
    figures.sort_by(f64::total_cmp);
    (figures[0], figures[figures.len() / 2], figures[figures.len() - 1])
}
