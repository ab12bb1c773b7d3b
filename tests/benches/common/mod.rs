//! What the benchmarks share: medians, this process's CPU time, and a bare russh connection.

#![allow(dead_code, clippy::allow_attributes, reason = "each benchmark uses a part of it")]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use otto::Host;
use otto_tests::sshd::Sshd;
use russh::keys::{PrivateKeyWithHashAlg, load_secret_key};
use russh::{ChannelMsg, client};

pub(crate) type Any<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The shell as otto starts it.
pub(crate) const SHELL: [&str; 6] = ["bash", "--norc", "--noprofile", "--noediting", "-i", "+m"];

/// CPU time of all threads of this process.
pub(crate) fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Times of batches: wall and CPU, in microseconds for each piece of work.
#[derive(Default)]
pub(crate) struct Times {
    wall: Vec<f64>,
    cpu: Vec<f64>,
}

/// A batch under way.
pub(crate) struct Batch(Instant, Duration);

impl Batch {
    pub(crate) fn start() -> Self {
        Self(Instant::now(), cpu())
    }
}

impl Times {
    pub(crate) fn add(&mut self, batch: &Batch, pieces: u32) {
        let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(pieces);
        self.wall.push(each(batch.0.elapsed()));
        self.cpu.push(each(cpu().saturating_sub(batch.1)));
    }

    pub(crate) fn wall(&self) -> f64 {
        spread(&self.wall).1
    }

    /// `median (least – most), CPU median`.
    pub(crate) fn shown(&self) -> String {
        let (least, median, most) = spread(&self.wall);
        format!("{median:8.1} ({least:.1} – {most:.1}), CPU {:6.1}", spread(&self.cpu).1)
    }
}

/// Least, median and most.
pub(crate) fn spread(figures: &[f64]) -> (f64, f64, f64) {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    (figures[0], figures[figures.len() / 2], figures[figures.len() - 1])
}

struct Anybody;

impl client::Handler for Anybody {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &russh::keys::PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// A shell over russh and nothing else.
pub(crate) struct Bare {
    channel: russh::Channel<client::Msg>,
    _handle: client::Handle<Anybody>,
}

impl Bare {
    pub(crate) async fn connect(server: &Sshd) -> Any<Self> {
        let config = client::Config { nodelay: true, ..client::Config::default() };
        let mut handle = client::connect(Arc::new(config), ("127.0.0.1", server.port()), Anybody).await?;
        let key = PrivateKeyWithHashAlg::new(Arc::new(load_secret_key(server.key_file(), None)?), None);
        if !handle.authenticate_publickey(server.user(), key).await?.success() {
            return Err("the floor could not log in".into());
        }
        let channel = handle.channel_open_session().await?;
        // The descriptors that a loop has which keeps what `run` promises.
        let shell = SHELL.join(" ");
        channel.exec(false, format!("exec 8>&1; exec {shell} 2>/dev/null")).await?;
        Ok(Self { channel, _handle: handle })
    }

    /// Writes a line, and waits for one.
    pub(crate) async fn ask(&mut self, line: &str) -> Any<()> {
        self.channel.data(line.as_bytes()).await?;
        loop {
            match self.channel.wait().await {
                Some(ChannelMsg::Data { data }) if data.ends_with(b"\n") => return Ok(()),
                Some(_) => {}
                None => return Err("the floor's channel ended".into()),
            }
        }
    }
}

/// The host that otto reaches over the server.
pub(crate) fn over(server: &Sshd) -> Host {
    Host::ssh("127.0.0.1")
        .port(server.port())
        .user(server.user())
        .key_file(server.key_file())
        .host_key(server.host_key())
        .build()
}

/// Runs the peers' script with the Python of `OTTO_PEERS`, if that is set, and shows what it says.
pub(crate) fn peers(arguments: &[&str]) -> Any<()> {
    let Some(venv) = std::env::var_os("OTTO_PEERS") else {
        println!("peers: not measured (set OTTO_PEERS to a venv with asyncssh and otto-sh)");
        return Ok(());
    };
    let python = std::path::Path::new(&venv).join("bin/python");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/peers.py");
    let output = std::process::Command::new(&python).arg(script).args(arguments).output()?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    if !output.status.success() {
        return Err(format!("{}: {}", python.display(), String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(())
}
