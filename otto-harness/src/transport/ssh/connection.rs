//! One connection: the task that owns russh's handle, and how many channels there may be.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use russh::client::Handle;
use russh::{ChannelOpenFailure, Disconnect, Sig};
use tokio::runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::error::Phase;

use super::channel::Channel;
use super::control;
use super::forward::Forward;
use super::inbox::Inbox;
use super::target::SshTarget;
use super::trouble::Trouble;
use super::watcher::{Listening, Table, Watcher};
use super::wire::HangUp;
use crate::transport::CLOSED_HERE;
use crate::transport::fault::Fault;
use crate::transport::{Duplex, TcpListening};

/// The longest pause between two attempts to open a channel on a server that is full.
const LONGEST_PAUSE: Duration = Duration::from_millis(64);
/// A server that refused for so long has less room than was thought. Less can be the dying of a process of before.
const FULL_FOR_GOOD: Duration = Duration::from_millis(300);
/// For so long after the last channel went, a refusal still counts as "full".
const AFTERMATH: Duration = Duration::from_secs(1);

/// Leave to have one channel open.
#[derive(Debug)]
pub(super) struct Permit {
    permit: Option<OwnedSemaphorePermit>,
    /// Counts the permits that are held for long.
    long: Option<Arc<AtomicUsize>>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(long) = &self.long {
            long.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// How many channels there may be at once.
#[derive(Debug)]
struct Room {
    semaphore: Arc<Semaphore>,
    /// At first what the target says, then what the server was seen to allow.
    limit: AtomicUsize,
    long: Arc<AtomicUsize>,
}

/// What a channel is opened for.
#[derive(Debug, Clone)]
pub(super) enum Opening {
    Session,
    /// A TCP connection from the server to this address.
    Tcp(String, u16),
}

/// One attempt to open a channel. The task that owns the handle makes it, so that it is never given up half-way: a
/// channel whose opening nobody waits for any longer is closed, and frees its place on the server.
struct Attempt {
    connection: Arc<Connection>,
    what: Opening,
    permit: Option<Permit>,
    done: oneshot::Sender<Result<Channel, (russh::Error, Option<Permit>)>>,
}

/// What the task that owns the handle is asked for.
enum Order {
    Open(Attempt),
    /// To have the server listen there; the answer is the port.
    Listen {
        address: String,
        port: u16,
        done: oneshot::Sender<Result<u32, russh::Error>>,
    },
    /// To have it listen no more.
    Unlisten {
        address: String,
        port: u32,
    },
}

/// A connection that is logged in. It ends, with a DISCONNECT, when nobody has it and none of its channels any more.
pub(super) struct Connection {
    table: Arc<Table>,
    room: Room,
    orders: mpsc::UnboundedSender<Order>,
    /// Where what is dropped is closed in the background, from whichever thread it is dropped on.
    runtime: runtime::Handle,
    target: Arc<SshTarget>,
    /// For commands that kill: as many as a server has places beyond the budget, with the defaults of both.
    control: Semaphore,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("room", &self.room).field("lost", &self.table.lost()).finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) fn start(
        handle: Handle<Watcher>,
        table: Arc<Table>,
        hang_up: HangUp,
        channels: usize,
        target: Arc<SshTarget>,
    ) -> Arc<Self> {
        let (orders, ordered) = mpsc::unbounded_channel();
        tokio::spawn(own(handle, ordered, Arc::clone(&table), hang_up));
        Arc::new(Self {
            table,
            room: Room {
                semaphore: Arc::new(Semaphore::new(channels)),
                limit: AtomicUsize::new(channels),
                long: Arc::default(),
            },
            orders,
            runtime: runtime::Handle::current(),
            target,
            control: Semaphore::new(2),
        })
    }

    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    pub(super) fn runtime(&self) -> &runtime::Handle {
        &self.runtime
    }

    pub(super) fn target(&self) -> &Arc<SshTarget> {
        &self.target
    }

    pub(super) async fn control_turn(&self) -> Option<SemaphorePermit<'_>> {
        self.control.acquire().await.ok()
    }

    pub(super) fn is_alive(&self) -> bool {
        self.table.lost().is_none()
    }

    /// How many channels there may be, as far as is known.
    pub(super) fn limit(&self) -> usize {
        self.room.limit.load(Ordering::Relaxed)
    }

    /// Whether a place will come free without a session having to end.
    pub(super) fn has_short_places(&self) -> bool {
        self.limit() > self.room.long.load(Ordering::Relaxed)
    }

    pub(super) fn free(&self) -> usize {
        self.room.semaphore.available_permits()
    }

    /// Places for long. One stays for short things, if there are more.
    pub(super) fn try_long(&self, count: usize) -> Option<Vec<Permit>> {
        let (free, limit) = (self.free(), self.limit());
        if free <= count && !(free == count && limit == count) {
            return None;
        }
        let mut all = Arc::clone(&self.room.semaphore).try_acquire_many_owned(u32::try_from(count).ok()?).ok()?;
        self.room.long.fetch_add(count, Ordering::Relaxed);
        let one = || Permit { permit: all.split(1), long: Some(Arc::clone(&self.room.long)) };
        Some(std::iter::repeat_with(one).take(count).collect())
    }

    /// One place, in the order asked.
    pub(super) async fn one(&self) -> Option<Permit> {
        let acquired = tokio::select! {
            acquired = Arc::clone(&self.room.semaphore).acquire_owned() => acquired.ok(),
            () = self.table.until_lost() => None,
        };
        acquired.map(|permit| Permit { permit: Some(permit), long: None })
    }

    /// Opens a channel; waits while the server is full. Without a permit it is one beyond the budget, for which servers
    /// usually have room.
    pub(super) async fn open(self: &Arc<Self>, mut permit: Option<Permit>) -> Result<Channel, Trouble> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            let change = self.table.change();
            let error = match self.attempt(Opening::Session, permit.take(), self.target.limits.channel).await? {
                Ok(channel) => return Ok(channel),
                Err((error, returned)) => {
                    permit = returned;
                    error
                }
            };
            let full = match error {
                russh::Error::ChannelOpenFailure(
                    ChannelOpenFailure::ConnectFailed | ChannelOpenFailure::ResourceShortage,
                ) => {
                    let (open, last) = self.table.open();
                    open > 0 || last.is_some_and(|last| last.elapsed() < AFTERMATH)
                }
                _ => false,
            };
            if let Some(reason) = self.table.lost() {
                return Err(Trouble::lost(&reason));
            }
            if !full {
                return Err(Fault::at(Phase::Channel, format!("the server refuses to open a session: {error}"))
                    .hint("see the server's log; `MaxSessions 0` or a forced command in its configuration does this")
                    .into());
            }
            // Without a permit, whoever asks has a limit of his own.
            if let Some(permit) = &mut permit
                && started.elapsed() > FULL_FOR_GOOD
            {
                self.shrink(permit);
                return Err(Trouble::Full);
            }
            tokio::select! {
                () = change => {}
                () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }

    /// Opens a TCP connection from the server to this address. It takes none of the places for sessions.
    pub(super) async fn open_tcp(
        self: &Arc<Self>,
        (address, port): (&str, u16),
        limit: Duration,
    ) -> Result<Channel, Fault> {
        let opened = self.attempt(Opening::Tcp(address.to_owned(), port), None, limit).await;
        let error = match opened {
            Ok(Ok(channel)) => return Ok(channel),
            Ok(Err((error, _))) => error,
            Err(Trouble::Fault(fault)) => return Err(fault),
            Err(_) => return Err(Fault::at(Phase::Tcp, "no channel could be had")),
        };
        if let Some(reason) = self.table.lost() {
            return Err(Fault::lost(&reason));
        }
        Err(match error {
            russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed) => {
                Fault::at(Phase::Tcp, format!("from there, {address}:{port} cannot be reached"))
                    .hint("is the host behind it up, is its port right, and does its name mean something there?")
            }
            russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited) => {
                Fault::at(Phase::Tcp, format!("it refuses to forward to {address}:{port}")).hint(
                    "see `AllowTcpForwarding`, `PermitOpen` and `DisableForwarding` in its sshd_config, and the options of the \
                     key in its authorized_keys",
                )
            }
            other => Fault::at(Phase::Tcp, format!("it opens no connection to {address}:{port}: {other}")),
        })
    }

    /// Has the server listen on this address and port until what this gives is dropped.
    pub(super) async fn listen(self: &Arc<Self>, address: &str, port: u16) -> Result<TcpListening, Fault> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let gone = || Fault::lost(&self.table.lost().unwrap_or_else(|| "it was closed".into()));
        let (taker, mut came) = mpsc::unbounded_channel();
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        self.table.listening().push(Listening { id, port: (port != 0).then_some(port.into()), taker });
        let entry = Entry { connection: Arc::clone(self), id };
        let (done, answer) = oneshot::channel();
        self.orders.send(Order::Listen { address: address.to_owned(), port, done }).map_err(|_| gone())?;
        let limit = self.target.limits.channel;
        let refused = |why: String| {
            Fault::at(Phase::Tcp, format!("it does not listen on {address}:{port} for us: {why}"))
                .hint("is the port taken there? See also `AllowTcpForwarding` and `PermitListen` in its sshd_config")
        };
        let given = match timeout(limit, answer).await {
            Ok(Ok(Ok(given))) => given,
            Ok(Ok(Err(error))) => return Err(refused(error.to_string())),
            Ok(Err(_)) => return Err(gone()),
            Err(_) => return Err(refused(format!("no answer within {limit:?}"))),
        };
        // A server that was asked for a port need not name it again.
        let given = if given == 0 { port.into() } else { given };
        if let Some(one) = self.table.listening().iter_mut().find(|one| one.id == id) {
            one.port = Some(given);
        }
        let (streams, incoming) = mpsc::unbounded_channel();
        let (stop, mut stopped) = oneshot::channel();
        let address = address.to_owned();
        self.runtime.spawn(async move {
            let connection = &entry.connection;
            loop {
                let raw = tokio::select! {
                    raw = came.recv() => raw,
                    _ = &mut stopped => None,
                    () = connection.table.until_lost() => None,
                };
                let Some(raw) = raw else { break };
                let channel = Channel::new(raw, Arc::clone(connection), None);
                if streams.send(Box::new(Forward::new(channel)) as Box<dyn Duplex>).is_err() {
                    break;
                }
            }
            // The connection may be gone, and the port with it.
            let _ = connection.orders.send(Order::Unlisten { address, port: given });
        });
        let port = u16::try_from(given).map_err(|_| refused(format!("it named the port {given}, which is none")))?;
        Ok(TcpListening { port, streams: incoming, stop })
    }

    /// The server has no room for this one, so it is one place less from now on.
    fn shrink(&self, permit: &mut Permit) {
        if let Some(permit) = permit.permit.take() {
            permit.forget();
            let before = self.room.limit.fetch_sub(1, Ordering::Relaxed);
            tracing::debug!("the server has no room for {before} channels on one connection");
        }
    }

    async fn attempt(
        self: &Arc<Self>,
        what: Opening,
        permit: Option<Permit>,
        limit: Duration,
    ) -> Result<Result<Channel, (russh::Error, Option<Permit>)>, Trouble> {
        let (done, answer) = oneshot::channel();
        let gone = || Trouble::lost(&self.table.lost().unwrap_or_else(|| "it was closed".into()));
        let attempt = Attempt { connection: Arc::clone(self), what, permit, done };
        self.orders.send(Order::Open(attempt)).map_err(|_| gone())?;
        match timeout(limit, answer).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) => Err(gone()),
            Err(_) => Err(Fault::at(
                Phase::Channel,
                format!("the server did not answer within {limit:?} whether it opens a channel"),
            )
            .hint("the host may be frozen or overloaded")
            .into()),
        }
    }

    /// Stops all that runs over the connection and ends it; whether the server said that what ran has ended. Bounded: 4 s.
    pub(super) async fn close(self: &Arc<Self>) -> bool {
        let soon = Duration::from_millis(500);
        let mut running: Vec<_> = self.table.all().into_iter().filter(|inbox| !inbox.lock().is_settled()).collect();
        for inbox in &running {
            inbox.note(|state| state.dismissed = true);
        }
        // What ends with its input is told to, and needs no killing.
        running.retain(|inbox| !inbox.lock().ends_with_input);
        let _ = timeout(5 * soon, self.stop(&running)).await;
        let inboxes = self.table.all();
        let _ = timeout(soon, async {
            for inbox in &inboxes {
                if let Some(out) = inbox.out.get() {
                    let _ = out.close().await;
                }
            }
        })
        .await;
        let ended = running.iter().all(|inbox| inbox.lock().is_settled());
        self.table.lose(CLOSED_HERE);
        self.table.closing();
        let _ = timeout(2 * soon, self.table.until_ended()).await;
        ended
    }

    /// Kills what runs in these channels, and waits until the server has closed them. To be bounded by the caller.
    async fn stop(self: &Arc<Self>, running: &[Arc<Inbox>]) {
        for inbox in running {
            if let Some(out) = inbox.out.get() {
                let _ = out.signal(Sig::KILL).await;
            }
        }
        // Most have said long ago which process group they are: those go together. Some may only be starting.
        let moment = Duration::from_millis(100);
        let mut unknown: Vec<_> = running.to_vec();
        while !unknown.is_empty() {
            let named = crate::crowd::all(unknown.iter().map(|inbox| async {
                let _ = inbox.group().await;
            }));
            let _ = timeout(moment, named).await;
            let mut groups = Vec::new();
            unknown.retain(|inbox| {
                let state = inbox.lock();
                if !state.is_settled() {
                    groups.extend(state.group);
                }
                state.group.is_none() && !state.is_settled() && state.expects_greeting()
            });
            if !groups.is_empty() {
                control::kill(self, &groups, control::PROMPT).await;
            }
        }
        for inbox in running {
            inbox.closed().await;
        }
    }
}

/// An entry in the table of those who take what comes in; gone when dropped.
struct Entry {
    connection: Arc<Connection>,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.connection.table.listening().retain(|one| one.id != self.id);
    }
}

/// Owns the handle: does what it is asked for in a task each, and says good-bye in the end.
async fn own(
    handle: Handle<Watcher>,
    mut orders: mpsc::UnboundedReceiver<Order>,
    table: Arc<Table>,
    // Whatever becomes of the good-bye, the stream ends with this task.
    _hang_up: HangUp,
) {
    let handle = Arc::new(handle);
    loop {
        let order = tokio::select! {
            order = orders.recv() => order,
            () = table.until_closing() => None,
        };
        let Some(order) = order else { break };
        let handle = Arc::clone(&handle);
        let Attempt { connection, what, permit, done } = match order {
            Order::Open(attempt) => attempt,
            Order::Listen { address, port, done } => {
                tokio::spawn(async move { done.send(handle.tcpip_forward(address, port.into()).await) });
                continue;
            }
            Order::Unlisten { address, port } => {
                tokio::spawn(async move { handle.cancel_tcpip_forward(address, port).await });
                continue;
            }
        };
        tokio::spawn(async move {
            let opened = match what {
                Opening::Session => handle.channel_open_session().await,
                // Where the connection comes from is nobody's business (RFC 4254, section 7.2, wants an address).
                Opening::Tcp(host, port) => handle.channel_open_direct_tcpip(host, port.into(), "127.0.0.1", 0).await,
            };
            let result = match opened {
                Ok(raw) => Ok(Channel::new(raw, connection, permit)),
                Err(error) => Err((error, permit)),
            };
            // If nobody waits any more, the channel is dropped here, and closed by that.
            let _ = done.send(result);
        });
    }
    let _ = timeout(Duration::from_secs(1), async {
        let _ = handle.disconnect(Disconnect::ByApplication, "", "").await;
        table.until_ended().await;
    })
    .await;
}
