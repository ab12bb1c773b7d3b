//! The handshake: finding out what shell is there, and making it quiet.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::frame::{self, Dialect, Nonce, Wires};
use super::line::{self, Line};
use super::live::Live;
use super::outlet::Track;
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::transport::{Incoming, Inlet, Outlet, Transport, Wiring};

/// How long a shell may take to answer the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// After how long a line that was not answered is typed again, the last for ever: a login throws away what was typed before it,
/// and a shell that starts may too. Copies that are answered late do no harm.
const AGAIN: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400), Duration::from_millis(700)];

impl Live {
    /// Shakes hands with the shell of a transport.
    pub(crate) async fn handshake(transport: Box<dyn Transport>) -> Result<Self> {
        let mut live = Self::new(transport);
        let mut said = Vec::new();
        let greeted = async {
            match live.transport.wiring() {
                Wiring::Pipes => live.greet(&mut said).await,
                Wiring::Line => live.greet_on_line(&mut said).await,
            }
        };
        let why = match timeout(HANDSHAKE, greeted).await {
            Ok(Ok(())) => return Ok(live),
            Ok(Err(why)) => why,
            Err(_) => format!("it did not answer within {} s", HANDSHAKE.as_secs()),
        };
        let mut message = format!("no shell came up: {why}");
        for line in last_lines(&said) {
            message.push_str("\n  | ");
            message.push_str(&line);
        }
        Err(Error::new(ErrorKind::Connect(Phase::Shell), message).hint(
            "the account's shell has to be of the Bourne family, and its start-up files must not wait or replace it",
        ))
    }

    async fn greet(&mut self, said: &mut Vec<u8>) -> Result<(), String> {
        let nonce = Nonce::new();
        self.write(Inlet::Commands, frame::handshake(nonce).into_bytes());
        let fields = self.answer_to(nonce, said).await?;
        self.recognise(&fields);
        let (wires, _) = fields.split_once(' ').unwrap_or((&fields, ""));
        self.wires = Wires { high: wires.contains('h'), holds: wires.contains('6') };
        // Without a marker, all that comes has to be the command's: then the shell must write nothing of its own there.
        self.marks = !(self.wires.high && self.transport.sees_all());
        Ok(())
    }

    async fn greet_on_line(&mut self, said: &mut Vec<u8>) -> Result<(), String> {
        self.greet_until_answered(said).await?;
        let nonce = Nonce::new();
        let who = self.ask(&line::who(nonce), nonce, said).await?;
        let (family, file) = who.split_once(':').unwrap_or_default();
        let (started, exit) = (Nonce::new(), Nonce::new());
        self.ask(&line::guard(family, file, started, exit).concat(), started, said).await?;
        self.greet_until_answered(said).await?;
        let nonce = Nonce::new();
        let who = self.ask(&line::who(nonce), nonce, said).await?;
        let (family, file) = who.split_once(':').unwrap_or_default();
        self.recognise(family);
        let ash = family.is_empty() && file.contains("busybox");
        let mut features = String::new();
        for text in line::steps(ash) {
            let nonce = Nonce::new();
            // By the way that all output will go: that proves that the pipe works.
            features = self.ask(&line::step(&text, nonce, "8"), nonce, said).await?;
        }
        let (quotes, stty) = (features.contains('q'), features.contains('s'));
        if !stty {
            tracing::warn!(
                "the host has no stty: what is typed may show in the output of commands that have a terminal"
            );
        }
        self.line = Some(Line { ash, quotes, stty, exit });
        self.idle = Some(Track::new(exit).until_exit(Some(exit)));
        Ok(())
    }

    /// Types a line until it is answered.
    async fn greet_until_answered(&mut self, said: &mut Vec<u8>) -> Result<(), String> {
        let mut nonces = Vec::new();
        for pause in AGAIN.into_iter().chain(std::iter::repeat(AGAIN[AGAIN.len() - 1])) {
            let nonce = Nonce::new();
            self.write(Inlet::Commands, line::hello(nonce).into_bytes());
            nonces.push(Track::end_only(nonce));
            let deadline = Instant::now() + pause;
            // An answer to an earlier one counts too: the shell was only slow.
            while let Ok(incoming) = timeout_at(deadline, self.step()).await {
                match incoming.map_err(|error| error.to_string())? {
                    Incoming::Data(_) => {
                        keep(said, &self.scratch);
                        for track in &mut nonces {
                            track.feed(&self.scratch, |_| {});
                        }
                    }
                    Incoming::Gap(_) => {}
                    Incoming::Ended(ending) => return Err(ending.to_string()),
                }
                if nonces.iter().any(|track| track.ended().is_some()) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Types a line and waits for its answer.
    async fn ask(&mut self, text: &str, nonce: Nonce, said: &mut Vec<u8>) -> Result<String, String> {
        self.write(Inlet::Commands, text.as_bytes().to_vec());
        self.answer_to(nonce, said).await
    }

    async fn answer_to(&mut self, nonce: Nonce, said: &mut Vec<u8>) -> Result<String, String> {
        let mut track = Track::end_only(nonce);
        loop {
            match self.step().await.map_err(|error| error.to_string())? {
                Incoming::Data(Outlet::Out) => track.feed(&self.scratch, |bytes| keep(said, bytes)),
                Incoming::Data(_) => keep(said, &self.scratch),
                Incoming::Gap(_) => {}
                Incoming::Ended(ending) => return Err(ending.to_string()),
            }
            if let Some(fields) = track.ended() {
                return Ok(fields.to_owned());
            }
        }
    }

    fn recognise(&mut self, fields: &str) {
        self.says_exit = fields.ends_with("bash");
        if fields.ends_with("zsh") {
            self.dialect = Dialect::Zsh;
        }
    }
}

/// Keeps the newest of what a shell said that does not answer, for the error.
fn keep(said: &mut Vec<u8>, bytes: &[u8]) {
    said.extend_from_slice(bytes);
    if said.len() > 64 * 1024 {
        said.drain(..said.len() - 32 * 1024);
    }
}

fn last_lines(said: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(said);
    let mut lines: Vec<_> =
        text.lines().rev().filter(|line| !line.trim().is_empty()).take(5).map(str::to_owned).collect();
    lines.reverse();
    lines
}
