//! The client's engine: any number of requests in flight on one stream, each with an answer of its own.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::error::{Error, ErrorKind, Result};
use crate::transfer::files::{Fault, Outcome};
use crate::transport::{ByteStream, StreamReader, StreamWriter};

use super::wire::{Answer, CLOSE, EXTENDED, EXTENDED_REPLY, Fields, HANDLE, INIT, Packet, VERSION};

/// A server that owes answers and says nothing for so long is given up. It is looked at twice in that time.
const SILENCE: Duration = Duration::from_secs(60);

/// How long the server may take to say its version.
const START: Duration = Duration::from_secs(15);

/// No packet of a server is longer. One that seems to be is the text of a start-up file.
const LONGEST: usize = 1 << 20;

/// Small requests are put together up to this for the way.
const TOGETHER: usize = 32 << 10;

/// Folders and files that are open at once, if the server names no limit. OpenSSH had 100 before it named one.
const HANDLES: usize = 64;

/// A running SFTP server. Dropping it ends the stream, in the background.
pub(super) struct Client {
    shared: Arc<Shared>,
    tasks: [AbortHandle; 2],
    pub(super) extensions: Extensions,
    /// Places for open files and folders.
    pub(super) handles: Arc<Semaphore>,
    /// How long the fastest answer took.
    pub(super) round: Duration,
}

/// What the server can do beyond the draft.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that a server can do")]
pub(super) struct Extensions {
    pub(super) posix_rename: bool,
    pub(super) statvfs: bool,
    pub(super) copy_data: bool,
    limits: bool,
    /// The most bytes of one READ and one WRITE.
    pub(super) longest_read: Option<u64>,
    pub(super) longest_write: Option<u64>,
    most_handles: Option<u64>,
}

struct Shared {
    state: Mutex<State>,
    /// There is something to write.
    work: Notify,
}

#[derive(Default)]
struct State {
    next: u32,
    pending: HashMap<u32, Slot>,
    queue: VecDeque<Vec<u8>>,
    /// Why no more will come.
    dead: Option<(ErrorKind, String)>,
}

enum Slot {
    Waiting(Option<Waker>),
    Done(Answer),
    /// Nobody waits any more. What it opened is to be closed.
    Dropped,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("Client")
            .field("pending", &state.pending.len())
            .field("dead", &state.dead)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn die(&self, kind: ErrorKind, why: String) {
        let mut state = self.lock();
        if state.dead.is_some() {
            return;
        }
        state.dead = Some((kind, why));
        state.queue.clear();
        let wakers: Vec<Waker> = state
            .pending
            .values_mut()
            .filter_map(|slot| if let Slot::Waiting(waker) = slot { waker.take() } else { None })
            .collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        self.work.notify_one();
    }

    fn send(&self, state: &mut State, packet: Vec<u8>) {
        match state.queue.back_mut() {
            Some(last) if last.len() + packet.len() <= TOGETHER => last.extend_from_slice(&packet),
            _ => state.queue.push_back(packet),
        }
        self.work.notify_one();
    }

    /// Gives an answer to whoever waits for it.
    fn deliver(&self, id: u32, answer: Answer) {
        let mut state = self.lock();
        match state.pending.get_mut(&id) {
            Some(slot @ Slot::Waiting(_)) => {
                let Slot::Waiting(waker) = std::mem::replace(slot, Slot::Done(answer)) else { return };
                drop(state);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Some(Slot::Dropped) => {
                state.pending.remove(&id);
                self.close_what_it_opened(&mut state, &answer);
            }
            // An answer to nothing: it is the server's mistake, and none of ours waits for it.
            Some(Slot::Done(_)) | None => {}
        }
    }

    fn close_what_it_opened(&self, state: &mut State, answer: &Answer) {
        if answer.kind == HANDLE
            && let Ok(handle) = answer.fields().string()
        {
            self.close(state, handle);
        }
    }

    /// Has the server close a handle. Its answer is waited for by nobody.
    fn close(&self, state: &mut State, handle: &[u8]) {
        if state.dead.is_some() {
            return;
        }
        let id = state.number();
        state.pending.insert(id, Slot::Dropped);
        self.send(state, Packet::new(CLOSE).string(handle).finish(id));
    }
}

impl State {
    fn number(&mut self) -> u32 {
        loop {
            self.next = self.next.wrapping_add(1);
            if !self.pending.contains_key(&self.next) {
                return self.next;
            }
        }
    }
}

/// An answer that is on its way. Dropping it loses nothing but the answer; a file that it opened is closed.
pub(super) struct Reply {
    shared: Arc<Shared>,
    id: u32,
    done: bool,
}

impl Future for Reply {
    type Output = Outcome<Answer>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        let dead = state.dead.clone();
        let found = match state.pending.get_mut(&self.id) {
            Some(Slot::Waiting(waker)) if dead.is_none() => {
                *waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            _ => state.pending.remove(&self.id),
        };
        self.done = true;
        let (kind, why) = match (found, dead) {
            (Some(Slot::Done(answer)), _) => return Poll::Ready(Ok(answer)),
            (_, Some(dead)) => dead,
            (_, None) => (ErrorKind::ConnectionLost, "the answer went astray".to_owned()),
        };
        Poll::Ready(Err(Fault::Host(Error::new(kind, why))))
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut state = self.shared.lock();
        match state.pending.get_mut(&self.id) {
            Some(slot @ Slot::Waiting(_)) => *slot = Slot::Dropped,
            Some(Slot::Done(_)) => {
                if let Some(Slot::Done(answer)) = state.pending.remove(&self.id) {
                    self.shared.close_what_it_opened(&mut state, &answer);
                }
            }
            Some(Slot::Dropped) | None => {}
        }
    }
}

/// An open file or folder. Dropping it closes it; nobody waits for that.
pub(super) struct Handle {
    shared: Arc<Shared>,
    bytes: Vec<u8>,
    open: bool,
    _place: Option<tokio::sync::OwnedSemaphorePermit>,
}

impl Handle {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Closes it; what the server says of that.
    pub(super) fn close(mut self, client: &Client) -> Reply {
        self.open = false;
        client.send(Packet::new(CLOSE).string(&self.bytes))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.open {
            let mut state = self.shared.lock();
            self.shared.close(&mut state, &self.bytes);
        }
    }
}

impl Client {
    /// Shakes hands over a stream. `Err(Ok(why))` if what answers is no SFTP server, `Err(Err(error))` if nothing does.
    pub(super) async fn start(stream: ByteStream) -> Result<Self, Result<String, Error>> {
        let ByteStream { mut reader, mut writer } = stream;
        let mut inward = Inward::default();
        let hello = async {
            // The version takes the place of the number of other requests.
            if writer.write(Packet::new(INIT).finish(3)).await.is_err() {
                return Err(Ok(reader.complaint()));
            }
            loop {
                match inward.next() {
                    Ok(Some((kind, body))) if kind == VERSION => return Ok(body),
                    Ok(Some(_)) => return Err(Ok("its first packet tells no version".to_owned())),
                    Err(why) => return Err(Ok(why)),
                    Ok(None) => {}
                }
                match reader.read(&mut inward.raw).await {
                    Ok(None) => {}
                    Ok(Some(ending)) if ending.lost.is_some() => {
                        return Err(Err(Error::new(ErrorKind::ConnectionLost, ending.to_string())));
                    }
                    Ok(Some(_)) => {
                        let complaint = reader.complaint();
                        let ended = "its SFTP server ended at once";
                        return Err(Ok(if complaint.is_empty() {
                            ended.to_owned()
                        } else {
                            format!("{ended}: {complaint}")
                        }));
                    }
                    Err(error) => return Err(Ok(error.to_string())),
                }
            }
        };
        let body = match timeout(START, hello).await {
            Ok(hello) => hello?,
            Err(_) => return Err(Ok(format!("its SFTP server did not say its version within {START:?}"))),
        };
        let mut fields = Fields::new(body.get(1..).unwrap_or_default());
        let version = fields.number().unwrap_or(0);
        if version < 3 {
            return Err(Ok(format!("its SFTP server speaks version {version}, which is too old")));
        }
        let mut extensions = Extensions::default();
        while !fields.is_empty() {
            let (Ok(name), Ok(_data)) = (fields.string(), fields.string()) else { break };
            match name {
                b"posix-rename@openssh.com" => extensions.posix_rename = true,
                b"statvfs@openssh.com" => extensions.statvfs = true,
                b"copy-data" => extensions.copy_data = true,
                b"limits@openssh.com" => extensions.limits = true,
                _ => {}
            }
        }
        let shared = Arc::new(Shared { state: Mutex::default(), work: Notify::new() });
        let tasks = [
            tokio::spawn(read_all(Arc::clone(&shared), reader, inward)).abort_handle(),
            tokio::spawn(write_all(Arc::clone(&shared), writer)).abort_handle(),
        ];
        let mut client = Self {
            shared,
            tasks,
            extensions,
            handles: Arc::new(Semaphore::new(HANDLES)),
            round: Duration::from_secs(1),
        };
        client.learn().await.map_err(|fault| match fault {
            Fault::Host(error) => Err(error),
            Fault::File(_, why) => Ok(why),
        })?;
        Ok(client)
    }

    /// Asks for the server's limits, and times how long an answer takes.
    async fn learn(&mut self) -> Outcome<()> {
        let asked = std::time::Instant::now();
        if !self.extensions.limits {
            let here = Packet::new(super::wire::REALPATH).string(b".");
            // Whatever it says, it answers.
            let _ = self.send(here).await?;
            self.round = asked.elapsed();
            return Ok(());
        }
        let answer = self.send(Packet::new(EXTENDED).string(b"limits@openssh.com")).await?;
        self.round = asked.elapsed();
        if let Ok(mut fields) = answer.of_kind(EXTENDED_REPLY) {
            let known = |value: u64| (value > 0).then_some(value);
            let _packet = fields.long()?;
            self.extensions.longest_read = known(fields.long()?);
            self.extensions.longest_write = known(fields.long()?);
            self.extensions.most_handles = known(fields.long()?);
            if let Some(most) = self.extensions.most_handles {
                // Some are left for what is asked meanwhile.
                let most = usize::try_from(most).unwrap_or(HANDLES).saturating_sub(4);
                self.handles = Arc::new(Semaphore::new(most.clamp(1, 256)));
            }
        }
        Ok(())
    }

    pub(super) fn is_alive(&self) -> bool {
        self.shared.lock().dead.is_none()
    }

    /// Sends a request. It is on its way when this returns, whether the answer is awaited or not.
    pub(super) fn send(&self, packet: Packet) -> Reply {
        let mut state = self.shared.lock();
        let id = state.number();
        let slot = Slot::Waiting(None);
        state.pending.insert(id, slot);
        if state.dead.is_none() {
            self.shared.send(&mut state, packet.finish(id));
        }
        Reply { shared: Arc::clone(&self.shared), id, done: false }
    }

    /// Opens a file or a folder, once there is a place for it.
    pub(super) async fn open(&self, packet: Packet) -> Outcome<Handle> {
        let place = Arc::clone(&self.handles).acquire_owned().await.ok();
        let answer = self.send(packet).await?;
        let bytes = answer.of_kind(HANDLE)?.string()?.to_vec();
        Ok(Handle { shared: Arc::clone(&self.shared), bytes, open: true, _place: place })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.die(ErrorKind::Closed, "the connection for files was closed".to_owned());
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Bytes of the server, cut into packets.
#[derive(Default)]
struct Inward {
    raw: Vec<u8>,
    /// Where in `raw` it goes on.
    at: usize,
    /// A packet that has begun, and how long it will be.
    begun: Option<(Vec<u8>, usize)>,
}

impl Inward {
    /// The next whole packet: its kind and what follows.
    fn next(&mut self) -> Result<Option<(u8, Vec<u8>)>, String> {
        let (mut packet, length) = if let Some(begun) = self.begun.take() {
            begun
        } else {
            let Some(head) = self.raw.get(self.at..self.at + 4) else {
                self.raw.drain(..self.at);
                self.at = 0;
                return Ok(None);
            };
            let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
            if length == 0 || length > LONGEST {
                let start = String::from_utf8_lossy(&self.raw[self.at..]);
                let start: String = start.chars().filter(|c| !c.is_control()).take(80).collect();
                return Err(format!(
                    "what answers is no SFTP server: it said `{start}`; start-up files of the account that print do this"
                ));
            }
            self.at += 4;
            (Vec::with_capacity(length), length)
        };
        let here = &self.raw[self.at..];
        let taken = here.len().min(length - packet.len());
        packet.extend_from_slice(&here[..taken]);
        self.at += taken;
        if self.at == self.raw.len() {
            self.raw.clear();
            self.at = 0;
        }
        if packet.len() < length {
            self.begun = Some((packet, length));
            return Ok(None);
        }
        // The kind stays where it is: nothing has to be moved.
        let kind = packet[0];
        packet[0] = 0;
        Ok(Some((kind, packet)))
    }
}

async fn read_all(shared: Arc<Shared>, mut reader: Box<dyn StreamReader>, mut inward: Inward) {
    let mut silent = false;
    let (kind, why) = loop {
        match inward.next() {
            Ok(Some((kind, body))) => {
                let id = Fields::new(body.get(1..).unwrap_or_default()).number();
                let Ok(id) = id else {
                    break (ErrorKind::ConnectionLost, "the SFTP server sent a malformed packet".into());
                };
                shared.deliver(id, Answer { kind, body, at: 5 });
                continue;
            }
            Ok(None) => {}
            Err(why) => break (ErrorKind::ConnectionLost, why),
        }
        match timeout(SILENCE / 2, reader.read(&mut inward.raw)).await {
            Ok(Ok(None)) => silent = false,
            Ok(Ok(Some(ending))) if ending.lost.is_some() => break (ErrorKind::ConnectionLost, ending.to_string()),
            Ok(Ok(Some(_))) => {
                let complaint = reader.complaint();
                let why = if complaint.is_empty() { String::new() } else { format!(": {complaint}") };
                break (ErrorKind::ConnectionLost, format!("the host's SFTP server ended{why}"));
            }
            Ok(Err(error)) => break (ErrorKind::ConnectionLost, error.to_string()),
            Err(_) => {
                let owes = !shared.lock().pending.is_empty();
                if owes && std::mem::replace(&mut silent, owes) {
                    break (ErrorKind::Timeout, format!("the host's SFTP server did not answer for {SILENCE:?}"));
                }
            }
        }
    };
    shared.die(kind, why);
}

async fn write_all(shared: Arc<Shared>, mut writer: Box<dyn StreamWriter>) {
    loop {
        // Whoever is about to ask for something too gets to: many small requests go in one packet then.
        tokio::task::yield_now().await;
        let next = {
            let mut state = shared.lock();
            if state.dead.is_some() {
                return;
            }
            state.queue.pop_front()
        };
        match next {
            // Why nobody reads any more, the other half knows.
            Some(packet) => {
                if writer.write(packet).await.is_err() {
                    return;
                }
            }
            None => shared.work.notified().await,
        }
    }
}
