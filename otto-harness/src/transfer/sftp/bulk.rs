//! The bytes of files: many requests in flight, so that neither the way nor the server's disk is waited for.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::spawn_blocking;

use crate::crowd;
use crate::transfer::files::{Download, Fault, Moved, Outcome, Upload};
use crate::transport::{BoxFuture, Service};

use super::client::{Client, Handle, Reply};
use super::files::Sftp;
use super::wire::{
    Answer, CREATING, Data, EXTENDED, FOR_READING, FOR_WRITING, FSETSTAT, FSTAT, OPEN, Packet, READ, TRUNCATING, WRITE,
};

/// Bytes of one request. Every server has to take so many; more of them in one is no faster on loopback.
const PIECE: u32 = 32 << 10;

/// And where the server allows more.
const LARGE_PIECE: u32 = 128 << 10;

/// Answers that take longer than this make pieces large.
const FAR: Duration = Duration::from_millis(5);

/// Bytes that are in flight at once on one channel.
const FLIGHT: u64 = 4 << 20;
const FAR_FLIGHT: u64 = 8 << 20;

/// Files up to this size are read whole before they are sent, and received whole before they are written.
const SMALL: u64 = 256 << 10;

/// What OpenSSH takes on one channel before it has to say that it took it.
const FLIGHT_OF_A_LANE: u64 = 2 << 20;

/// A file this large is sent over several channels where answers take long.
const WORTH_LANES: u64 = 8 << 20;

/// Pieces that wait for this machine's disk.
const WAITING: usize = 16;

impl Sftp {
    fn is_far(&self) -> bool {
        self.client.round > FAR
    }

    fn piece(most: Option<u64>) -> u32 {
        most.and_then(|most| u32::try_from(most).ok()).map_or(PIECE, |most| LARGE_PIECE.min(most)).max(1)
    }

    fn flight(&self) -> u64 {
        if self.is_far() { FAR_FLIGHT } else { FLIGHT }
    }

    fn ask(&self, handle: &Handle, at: u64, length: u32) -> Reply {
        self.client.send(Packet::new(READ).string(handle.bytes()).long(at).number(length))
    }

    fn tell(&self, handle: &Handle, at: u64, data: &[u8]) -> Reply {
        tell(&self.client, handle, at, data)
    }

    /// All that a file holds, however long it says that it is.
    pub(super) async fn contents(&self, handle: &Handle) -> Outcome<Vec<u8>> {
        let piece = Self::piece(self.extensions().longest_read);
        // The first bytes and the size at once: most files are small.
        let (first, about) = (self.ask(handle, 0, piece), self.client.send(Packet::new(FSTAT).string(handle.bytes())));
        let Some(first) = first.await?.into_data()? else { return Ok(Vec::new()) };
        let about = about.await?;
        let size = about.of_kind(super::wire::ATTRS)?.attributes()?.len;
        let mut bytes = first.into_vec();
        if bytes.len() as u64 == size {
            return Ok(bytes);
        }
        let from = bytes.len() as u64;
        bytes.reserve(usize::try_from(size.saturating_sub(from)).unwrap_or(0).min(64 << 20));
        let mut pour = self.pour(handle, from, size);
        while let Some(data) = pour.next().await? {
            bytes.extend_from_slice(data.get());
        }
        Ok(bytes)
    }

    /// The pieces of a file from `from` on, in order. A file of unknown size is read to its end; one that was found to have
    /// a size, to that.
    fn pour<'a>(&'a self, handle: &'a Handle, from: u64, size: u64) -> Pour<'a> {
        let piece = Self::piece(self.extensions().longest_read);
        Pour { sftp: self, handle, size, piece, flight: self.flight(), asked: VecDeque::new(), next: from, at: from }
    }

    /// A file ended before its size. Those of the kernel (`/sys`) say they are longer than they are.
    async fn ended_early(&self, handle: &Handle, size: u64) -> Outcome<()> {
        let now = self.stat(Packet::new(FSTAT).string(handle.bytes())).await?.len;
        if now == size {
            return Ok(());
        }
        let text = format!("it changed while it was read: it had {size} bytes, and now has {now}");
        Err(Fault::File(io::ErrorKind::UnexpectedEof, text))
    }

    pub(super) async fn write_bytes(&self, handle: &Handle, data: &[u8]) -> Outcome<()> {
        let piece = Self::piece(self.extensions().longest_write) as usize;
        let most = usize::try_from(self.flight()).unwrap_or(usize::MAX) / piece;
        let (mut told, mut at) = (VecDeque::new(), 0);
        for part in data.chunks(piece) {
            if told.len() >= most
                && let Some(reply) = told.pop_front()
            {
                settle(reply).await?;
            }
            told.push_back(self.tell(handle, at, part));
            at += part.len() as u64;
        }
        for reply in told {
            settle(reply).await?;
        }
        Ok(())
    }

    /// On the server itself, where it can.
    pub(super) async fn copy_open(&self, source: &Handle, target: &Handle, size: u64) -> Outcome<u64> {
        if self.extensions().copy_data && size > 0 {
            let packet = Packet::new(EXTENDED).string(b"copy-data").string(source.bytes()).long(0).long(0);
            self.done(packet.string(target.bytes()).long(0)).await?;
            let copied = self.stat(Packet::new(FSTAT).string(target.bytes())).await?.len;
            return if copied >= size { Ok(copied) } else { Err(short(copied, size)) };
        }
        let (mut at, mut told) = (0, VecDeque::new());
        let mut pour = self.pour(source, 0, size);
        while let Some(data) = pour.next().await? {
            told.push_back(self.tell(target, at, data.get()));
            at += data.len() as u64;
            if told.len() > 64
                && let Some(reply) = told.pop_front()
            {
                settle(reply).await?;
            }
        }
        for reply in told {
            settle(reply).await?;
        }
        Ok(at)
    }

    pub(super) async fn put_file(&self, upload: Upload<'_>) -> Outcome<()> {
        let Upload { local, remote, from, len, mode, modified, in_order, moved } = upload;
        // It is written before it has the mode it is to have, which may not allow that.
        let how = FOR_WRITING | CREATING | if from == 0 { TRUNCATING } else { 0 };
        let path = local.to_owned();
        if len <= SMALL && from == 0 {
            let read = spawn_blocking(move || std::fs::read(path));
            let handle = self.open_file(remote, how, Some(mode & 0o777 | 0o200)).await?;
            let data = read.await.map_err(|_| gone())??;
            self.write_bytes(&handle, &data).await?;
            moved(data.len() as u64);
            return self.conclude(handle, data.len() as u64, mode, modified).await;
        }
        let file = spawn_blocking(move || File::open(path)).await.map_err(|_| gone())??;
        let handle = self.open_file(remote, how, Some(mode & 0o777 | 0o200)).await?;
        let several = !in_order && self.is_far() && len - from >= WORTH_LANES;
        let end = self.send_file(&handle, several.then_some(remote), file, from, &moved).await?;
        self.conclude(handle, end, mode, modified).await
    }

    /// Further channels to the same file, as many as there is room for.
    async fn lanes(&self, remote: &Path) -> Vec<Lane> {
        let mut opening = Vec::new();
        while let Ok(place) = Arc::clone(&self.lanes).try_acquire_owned() {
            opening.push(self.lane(remote, place));
        }
        crowd::all(opening).await.into_iter().flatten().collect()
    }

    async fn lane(&self, remote: &Path, place: OwnedSemaphorePermit) -> Option<Lane> {
        // One channel less costs time and nothing else.
        let stream = self.connector.open_stream(Service::Subsystem("sftp")).await.ok()??;
        let client = Client::start(stream).await.ok()?;
        let handle =
            client.open(Packet::new(OPEN).path(remote).number(FOR_WRITING).attributes(None, None)).await.ok()?;
        Some(Lane { handle, client, _place: place })
    }

    /// Sends a file from `from` to its end; says where that was. With its path, it goes over further channels too, in turn,
    /// as soon as they are there.
    async fn send_file(
        &self,
        handle: &Handle,
        several: Option<&Path>,
        file: File,
        from: u64,
        moved: &Moved,
    ) -> Outcome<u64> {
        let piece = Self::piece(self.extensions().longest_write) as usize;
        let (pieces, mut read) = mpsc::channel(8);
        let reading = spawn_blocking(move || read_pieces(&file, from, piece, &pieces));
        let mut opening: Option<BoxFuture<'_, Vec<Lane>>> = several.map(|path| Box::pin(self.lanes(path)) as _);
        let mut lanes: Vec<Lane> = Vec::new();
        // What one channel does not take at once would keep the others waiting.
        let mut flight = if opening.is_some() { FLIGHT_OF_A_LANE } else { self.flight() };
        let (mut told, mut at, mut turn): (VecDeque<(u64, Reply)>, u64, usize) = (VecDeque::new(), from, 0);
        let mut in_flight = 0;
        loop {
            let opened = async {
                match &mut opening {
                    Some(opening) => opening.await,
                    None => std::future::pending().await,
                }
            };
            let data = tokio::select! {
                biased;
                opened = opened => {
                    opening = None;
                    flight = FLIGHT_OF_A_LANE * (opened.len() as u64 + 1);
                    lanes = opened;
                    continue;
                }
                // One answer makes room for more.
                Some((length, answer)) = answered(&mut told), if in_flight >= flight => {
                    answer?.done()?;
                    in_flight -= length;
                    moved(length);
                    continue;
                }
                data = read.recv(), if in_flight < flight => data,
            };
            let Some(data) = data else { break };
            let length = data.len() as u64;
            let (client, handle) = match turn.checked_sub(1).and_then(|lane| lanes.get(lane)) {
                Some(lane) => (&lane.client, &lane.handle),
                None => (&self.client, handle),
            };
            told.push_back((length, tell(client, handle, at, &data)));
            at += length;
            in_flight += length;
            turn = (turn + 1) % (lanes.len() + 1);
        }
        drop(opening);
        reading.await.map_err(|_| gone())??;
        for (length, reply) in told {
            settle(reply).await?;
            moved(length);
        }
        for lane in lanes {
            lane.handle.close(&lane.client).await?.done()?;
        }
        Ok(at)
    }

    /// Mode, time, and a look at the size, in one round; then the file is closed.
    async fn conclude(&self, handle: Handle, size: u64, mode: u32, modified: Option<SystemTime>) -> Outcome<()> {
        let bytes = handle.bytes();
        let set = self.client.send(Packet::new(FSETSTAT).string(bytes).attributes(Some(mode), modified));
        let about = self.client.send(Packet::new(FSTAT).string(bytes));
        let closed = handle.close(&self.client);
        set.await?.done()?;
        let there = about.await?.of_kind(super::wire::ATTRS)?.attributes()?.len;
        closed.await?.done()?;
        if there == size { Ok(()) } else { Err(short(there, size)) }
    }

    pub(super) async fn get_file(&self, download: Download<'_>) -> Outcome<u64> {
        let Download { remote, local, from, len, moved } = download;
        let handle = self.open_file(remote, FOR_READING, None).await?;
        if len <= SMALL && from == 0 {
            let data = self.contents(&handle).await?;
            moved(data.len() as u64);
            let length = data.len() as u64;
            return spawn_blocking(move || local.write_all_at(&data, 0).map(|()| length))
                .await
                .map_err(|_| gone())?
                .map_err(Fault::from);
        }
        let (pieces, mut arrived) = mpsc::channel::<Data>(WAITING);
        let writing = spawn_blocking(move || -> io::Result<()> {
            let mut at = from;
            while let Some(data) = arrived.blocking_recv() {
                local.write_all_at(data.get(), at)?;
                at += data.len() as u64;
            }
            Ok(())
        });
        let mut pour = self.pour(&handle, from, len);
        let poured = loop {
            match pour.next().await {
                Ok(Some(data)) => {
                    let length = data.len() as u64;
                    // When nobody takes it, the writing has failed, and says why below.
                    if pieces.send(data).await.is_err() {
                        break Ok(());
                    }
                    moved(length);
                }
                Ok(None) => break Ok(()),
                Err(fault) => break Err(fault),
            }
        };
        drop(pieces);
        writing.await.map_err(|_| gone())??;
        poured.map(|()| pour.at)
    }
}

/// A channel of its own to a file that is being sent.
struct Lane {
    handle: Handle,
    client: Client,
    _place: OwnedSemaphorePermit,
}

fn tell(client: &Client, handle: &Handle, at: u64, data: &[u8]) -> Reply {
    let packet = Packet::with_capacity(WRITE, data.len() + handle.bytes().len() + 16);
    client.send(packet.string(handle.bytes()).long(at).string(data))
}

/// The pieces of a file, many of them asked for ahead.
struct Pour<'a> {
    sftp: &'a Sftp,
    handle: &'a Handle,
    size: u64,
    piece: u32,
    flight: u64,
    asked: VecDeque<(u64, u32, Reply)>,
    /// What is asked for next.
    next: u64,
    /// How far it came.
    at: u64,
}

impl Pour<'_> {
    /// The next piece; none at the end.
    async fn next(&mut self) -> Outcome<Option<Data>> {
        if self.size > 0 && self.at >= self.size && self.asked.is_empty() {
            return Ok(None);
        }
        // More than one piece ahead only as far as there is something to be had.
        while self.next < self.size && self.next - self.at < self.flight || self.asked.is_empty() {
            let left = self.size.saturating_sub(self.next);
            let length = if left == 0 { self.piece } else { self.piece.min(u32::try_from(left).unwrap_or(self.piece)) };
            self.asked.push_back((self.next, length, self.sftp.ask(self.handle, self.next, length)));
            self.next += u64::from(length);
        }
        let Some((offset, length, reply)) = self.asked.pop_front() else { return Ok(None) };
        let Some(data) = reply.await?.into_data()? else {
            if offset < self.size {
                self.sftp.ended_early(self.handle, self.size).await?;
            }
            return Ok(None);
        };
        let got = u32::try_from(data.len()).unwrap_or(u32::MAX);
        if got == 0 || got > length {
            let text = format!("the server gave {got} bytes where {length} were asked for");
            return Err(Fault::File(io::ErrorKind::InvalidData, text));
        }
        self.at = offset + u64::from(got);
        if got < length {
            if self.at < self.size {
                // What is missing of it goes before the rest; and the server seems to like smaller pieces.
                self.piece = got.max(4096).min(self.piece);
                let missing = length - got;
                self.asked.push_front((self.at, missing, self.sftp.ask(self.handle, self.at, missing)));
            } else {
                // More was asked for than there was, of a file whose size nobody knows.
                self.next = self.at;
            }
        }
        Ok(Some(data))
    }
}

fn read_pieces(file: &File, mut at: u64, piece: usize, pieces: &mpsc::Sender<Vec<u8>>) -> io::Result<()> {
    loop {
        let mut data = vec![0; piece];
        let mut filled = 0;
        while filled < piece {
            match file.read_at(&mut data[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        data.truncate(filled);
        at += filled as u64;
        if filled == 0 || pieces.blocking_send(data).is_err() {
            return Ok(());
        }
    }
}

/// The answer to the oldest of them, with what belongs to it; none if there is none. Dropping this loses nothing.
async fn answered(told: &mut VecDeque<(u64, Reply)>) -> Option<(u64, Outcome<Answer>)> {
    let (length, reply) = told.front_mut()?;
    let (length, answer) = (*length, reply.await);
    told.pop_front();
    Some((length, answer))
}

async fn settle(reply: Reply) -> Outcome<()> {
    reply.await?.done()
}

fn short(there: u64, size: u64) -> Fault {
    Fault::File(io::ErrorKind::UnexpectedEof, format!("only {there} of {size} bytes arrived"))
}

/// The runtime is being shut down.
fn gone() -> Fault {
    Fault::File(io::ErrorKind::Interrupted, "the runtime ended meanwhile".to_owned())
}
