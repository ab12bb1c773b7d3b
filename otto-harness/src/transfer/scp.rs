//! The bytes of files by the host's `scp` program, where the SFTP subsystem is off. All else is done by the shell.
//!
//! The protocol has no document: one side says `C<mode> <size> <name>`, the other agrees with a zero byte; then come the
//! bytes and a zero byte. A byte of 1 or 2 begins a line that says what is wrong. One file at a time is asked for, and the
//! name that the host gives it is not looked at: so no name from there can lead anywhere.

use std::fs::File;
use std::io;
use std::path::Path;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Duration, timeout};

use crate::error::{Error, ErrorKind};
use crate::session::SessionManager;
use crate::transport::{ByteStream, Service, StreamReader, StreamWriter};

use super::files::{Download, Fault, Outcome, Upload};
use super::shell::{fault, gone, paths, read_piece};

/// How long the host may say and take nothing.
const SILENCE: Duration = Duration::from_secs(60);

/// Bytes of one write.
const PIECE: usize = 128 << 10;

/// Pieces that wait for this machine's disk.
const WAITING: usize = 64;

/// The longest line of the protocol.
const LINE: usize = 8192;

/// A running `scp` on the host.
struct Scp {
    reader: Box<dyn StreamReader>,
    writer: Box<dyn StreamWriter>,
    /// What came and was not looked at.
    raw: Vec<u8>,
}

fn malformed() -> Fault {
    Fault::File(io::ErrorKind::InvalidData, "the host's scp does not keep to its protocol".to_owned())
}

fn silent() -> Fault {
    Fault::Host(Error::new(ErrorKind::Timeout, format!("the host's scp said nothing for {SILENCE:?}")))
}

impl Scp {
    async fn start(sessions: &SessionManager, how: &str, path: &Path) -> Outcome<Self> {
        // Without `--`, which old ones do not know: no path here begins with a dash.
        let script = format!("{}exec scp {how} \"$a\"", paths(&[path])?);
        let opened = sessions.connector().open_stream(Service::Program(script.into_bytes())).await?;
        let Some(ByteStream { reader, writer }) = opened else {
            let text = "this kind of connection has no streams, which scp needs";
            return Err(Fault::File(io::ErrorKind::Unsupported, text.to_owned()));
        };
        Ok(Self { reader, writer, raw: Vec::new() })
    }

    async fn write(&mut self, data: Vec<u8>) -> Outcome<()> {
        match timeout(SILENCE, self.writer.write(data)).await {
            Ok(Ok(())) => Ok(()),
            // Why it reads no more, it has most likely said.
            Ok(Err(_)) => match self.agreed().await {
                Ok(()) => Err(malformed()),
                Err(fault) => Err(fault),
            },
            Err(_) => Err(silent()),
        }
    }

    /// Waits for more; an error if the program has ended.
    async fn more(&mut self) -> Outcome<()> {
        let read = timeout(SILENCE, self.reader.read(&mut self.raw)).await.map_err(|_| silent())?;
        match read? {
            None => Ok(()),
            Some(ending) if ending.lost.is_some() => {
                Err(Fault::Host(Error::new(ErrorKind::ConnectionLost, ending.to_string())))
            }
            Some(_) => Err(fault(self.reader.complaint().as_bytes())),
        }
    }

    /// A line, without its end.
    async fn line(&mut self) -> Outcome<Vec<u8>> {
        loop {
            if let Some(end) = self.raw.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.raw.drain(..=end).collect();
                line.pop();
                return Ok(line);
            }
            if self.raw.len() > LINE {
                return Err(malformed());
            }
            self.more().await?;
        }
    }

    /// Waits for the byte that says "go on"; what is wrong, if it is another.
    async fn agreed(&mut self) -> Outcome<()> {
        while self.raw.is_empty() {
            self.more().await?;
        }
        match self.raw.remove(0) {
            0 => Ok(()),
            1 | 2 => {
                let line = self.line().await?;
                Err(fault(&line))
            }
            _ => Err(malformed()),
        }
    }
}

pub(super) async fn upload(sessions: &SessionManager, upload: Upload<'_>) -> Outcome<()> {
    let Upload { local, remote, len, mode, modified, moved, .. } = upload;
    let path = local.to_owned();
    let file = spawn_blocking(move || File::open(path)).await.map_err(|_| gone())??;
    let mut scp = Scp::start(sessions, "-qpt", remote).await?;
    scp.agreed().await?;
    if let Some(time) = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok()) {
        let seconds = time.as_secs();
        scp.write(format!("T{seconds} 0 {seconds} 0\n").into_bytes()).await?;
        scp.agreed().await?;
    }
    scp.write(format!("C{:04o} {len} file\n", mode & 0o7777).into_bytes()).await?;
    scp.agreed().await?;
    let (pieces, mut read) = mpsc::channel(4);
    let reading = spawn_blocking(move || -> io::Result<()> {
        let mut at = 0;
        while at < len {
            let piece = PIECE.min(usize::try_from(len - at).unwrap_or(PIECE));
            let data = read_piece(&file, at, piece)?;
            if data.is_empty() {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read"));
            }
            at += data.len() as u64;
            if pieces.blocking_send(data).is_err() {
                break;
            }
        }
        Ok(())
    });
    while let Some(data) = read.recv().await {
        let length = data.len() as u64;
        scp.write(data).await?;
        moved(length);
    }
    reading.await.map_err(|_| gone())??;
    scp.write(vec![0]).await?;
    scp.agreed().await?;
    // It ends by itself when its input does; without that, it would have to be killed.
    let _ = scp.writer.finish().await;
    let ended = async { while scp.more().await.is_ok() {} };
    let _ = timeout(Duration::from_secs(2), ended).await;
    Ok(())
}

pub(super) async fn download(sessions: &SessionManager, download: Download<'_>) -> Outcome<u64> {
    use std::os::unix::fs::FileExt as _;
    let Download { remote, local, moved, .. } = download;
    let mut scp = Scp::start(sessions, "-qf", remote).await?;
    scp.write(vec![0]).await?;
    while scp.raw.is_empty() {
        scp.more().await?;
    }
    if matches!(scp.raw[0], 1 | 2) {
        scp.agreed().await?;
    }
    let line = scp.line().await?;
    let line = String::from_utf8_lossy(&line);
    let mut words = line.strip_prefix('C').ok_or_else(malformed)?.splitn(3, ' ');
    let size: u64 = words.nth(1).and_then(|size| size.parse().ok()).ok_or_else(malformed)?;
    scp.write(vec![0]).await?;
    let (pieces, mut arrived) = mpsc::channel::<Vec<u8>>(WAITING);
    let writing = spawn_blocking(move || -> io::Result<()> {
        let mut at = 0;
        while let Some(data) = arrived.blocking_recv() {
            local.write_all_at(&data, at)?;
            at += data.len() as u64;
        }
        Ok(())
    });
    let mut left = size;
    let received = loop {
        if left == 0 {
            break Ok(());
        }
        if scp.raw.is_empty()
            && let Err(fault) = scp.more().await
        {
            break Err(fault);
        }
        let mut data = std::mem::take(&mut scp.raw);
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
        scp.raw = data.split_off(taken);
        left -= data.len() as u64;
        let length = data.len() as u64;
        if length > 0 {
            // When nobody takes it, the writing has failed, and says why below.
            if pieces.send(data).await.is_err() {
                break Ok(());
            }
            moved(length);
        }
    };
    drop(pieces);
    writing.await.map_err(|_| gone())??;
    received?;
    // It says here whether all that it sent was right.
    scp.agreed().await?;
    scp.write(vec![0]).await?;
    let _ = scp.writer.finish().await;
    let ended = async { while scp.more().await.is_ok() {} };
    let _ = timeout(Duration::from_secs(2), ended).await;
    Ok(size)
}
