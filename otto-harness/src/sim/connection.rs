//! One client of a simulated host: authentication, channels, requests.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::PublicKey;
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, MethodSet, Pty, Sig};
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::command::{Line, Running, Setting, Start, pump, signal_of};
use super::inbox::{Inbox, TRICKLE, WINDOW, inbox};
use super::processes::hang_up;
use super::pty::{PtyRequest, Resizer, winsize};
use super::server::{Busy, Credentials, Host};

/// Where distributions put the SFTP server of OpenSSH.
const SFTP_SERVERS: [&str; 4] = [
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/sftp-server",
];

type Result<T = (), E = russh::Error> = std::result::Result<T, E>;

pub(super) struct Connection {
    host: Arc<Host>,
    mark: String,
    peer: String,
    tell_status: bool,
    slots: Arc<Semaphore>,
    channels: HashMap<ChannelId, Open>,
    /// The sessions that the commands lead, to end what they leave behind.
    sessions: HashSet<i32>,
    busy: Busy,
}

/// An open channel. Dropping it ends what runs on it.
struct Open {
    inbox: Inbox,
    closed: oneshot::Sender<()>,
    signals: mpsc::UnboundedSender<Signal>,
    /// What a session channel holds until its command starts.
    idle: Option<Line>,
    variables: Vec<(String, String)>,
    pty: Option<PtyRequest>,
    resizer: Option<Resizer>,
}

impl Connection {
    pub(super) fn new(host: Arc<Host>, mark: String, peer: String, tell_status: bool, busy: Busy) -> Self {
        let slots = Arc::new(Semaphore::new(host.max_sessions));
        let (channels, sessions) = (HashMap::new(), HashSet::new());
        Self { host, mark, peer, tell_status, slots, channels, sessions, busy }
    }

    /// Starts a command on a channel that has none yet.
    fn start(&mut self, id: ChannelId, start: &Start<'_>, session: &mut Session) -> Result {
        match self.try_start(id, start, session) {
            Ok(()) => session.channel_success(id),
            Err(error) => {
                tracing::debug!(host = self.host.account.id, %error, "the command did not start");
                session.channel_failure(id)
            }
        }
    }

    fn try_start(&mut self, id: ChannelId, start: &Start<'_>, session: &Session) -> std::io::Result<()> {
        let taken = || std::io::Error::other("the channel is taken");
        let open = self.channels.get_mut(&id).ok_or_else(taken)?;
        let line = open.idle.take().ok_or_else(taken)?;
        let setting = Setting {
            account: &self.host.account,
            mark: &self.mark,
            peer: &self.peer,
            variables: &open.variables,
            pty: open.pty.as_ref(),
        };
        let mut running = Running::start(start, &setting)?;
        self.sessions.insert(running.pid.as_raw_nonzero().get());
        open.resizer = running.resizer.take();
        let served = running.serve(line, session.handle(), self.tell_status);
        self.busy.spawn(served);
        Ok(())
    }

    /// A channel that was opened, and the client's side of it for whoever serves it.
    fn opened(&mut self, channel: Channel<Msg>, slot: OwnedSemaphorePermit) -> (&mut Open, Line) {
        // A channel that this side closed first is not heard of again.
        self.channels.retain(|_, open| !open.closed.is_closed());
        let id = channel.id();
        // The reading half is dropped: data comes by `data`, see `inbox`.
        let (_, channel) = channel.split();
        let (inbox, incoming) = inbox();
        let (closed, on_close) = oneshot::channel();
        let (signals, on_signal) = mpsc::unbounded_channel();
        let line = Line { incoming, channel, signals: on_signal, closed: on_close, slot };
        let open = Open { inbox, closed, signals, idle: None, variables: Vec::new(), pty: None, resizer: None };
        (self.channels.entry(id).insert_entry(open).into_mut(), line)
    }

    fn accepts(&self, user: &str, key: &PublicKey) -> Auth {
        match &self.host.credentials {
            Credentials::Key(expected) if user == self.host.account.user && expected.key_data() == key.key_data() => {
                Auth::Accept
            }
            _ => self.refuse(),
        }
    }

    /// Refuses, and names the method again: the library would strike it off, where sshd lets one try again.
    fn refuse(&self) -> Auth {
        let proceed_with_methods = Some(MethodSet::from(&[self.host.credentials.method()][..]));
        Auth::Reject { proceed_with_methods, partial_success: false }
    }
}

/// What a command left running in its session goes with the connection.
impl Drop for Connection {
    fn drop(&mut self) {
        self.channels.clear();
        let (mark, sessions) = (std::mem::take(&mut self.mark), std::mem::take(&mut self.sessions));
        self.busy.spawn(async move { hang_up(&mark, &sessions).await });
    }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth> {
        Ok(match &self.host.credentials {
            Credentials::Password(expected) if user == self.host.account.user && expected == password => Auth::Accept,
            _ => self.refuse(),
        })
    }

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth> {
        Ok(self.accepts(user, offer.public_key))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth> {
        Ok(self.accepts(user, key.public_key))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result {
        match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(slot) => {
                let (open, line) = self.opened(channel, slot);
                open.idle = Some(line);
                reply.accept().await;
            }
            Err(_) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
        }
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host_to_connect: &str,
        port_to_connect: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result {
        let loopback = host_to_connect == "localhost"
            || host_to_connect.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        let (true, Ok(port)) = (loopback, u16::try_from(port_to_connect)) else {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        };
        let Ok(slot) = Arc::new(Semaphore::new(1)).try_acquire_owned() else { return Ok(()) };
        let target = (host_to_connect.to_owned(), port);
        let (_, line) = self.opened(channel, slot);
        // Not here, where waiting for the target would hold up the whole connection.
        self.busy.spawn(forward(target, line, reply));
        Ok(())
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], _: &mut Session) -> Result {
        if let Some(open) = self.channels.get(&channel) {
            open.inbox.push(data);
            // The window is down to a trickle by now; this keeps it from being a busy one.
            if open.inbox.queued() > WINDOW as usize {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Ok(())
    }

    /// The target holds for all channels from the next grant on, so that one which is behind slows the others a little,
    /// and never stops them.
    fn adjust_window(&mut self, channel: ChannelId, _: u32) -> u32 {
        let behind = self.channels.get(&channel).is_some_and(|open| open.inbox.queued() > WINDOW as usize / 2);
        if behind { TRICKLE } else { WINDOW }
    }

    async fn channel_eof(&mut self, channel: ChannelId, _: &mut Session) -> Result {
        if let Some(open) = self.channels.get_mut(&channel) {
            open.inbox.end();
        }
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _: &mut Session) -> Result {
        if let Some(open) = self.channels.remove(&channel) {
            // Nobody listens on a channel that has ended by itself.
            let _ = open.closed.send(());
        }
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result {
        let Some(open) = self.channels.get_mut(&channel).filter(|open| open.idle.is_some()) else {
            return session.channel_failure(channel);
        };
        let size = winsize(columns, rows, width, height);
        open.pty = Some(PtyRequest { term: term.to_owned(), size, modes: modes.to_vec() });
        session.channel_success(channel)
    }

    async fn window_change_request(
        &mut self,
        channel: ChannelId,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        _: &mut Session,
    ) -> Result {
        if let Some(resizer) = self.channels.get(&channel).and_then(|open| open.resizer.as_ref()) {
            resizer.resize(winsize(columns, rows, width, height));
        }
        Ok(())
    }

    /// Takes what Debian's sshd takes, and otto's own.
    async fn env_request(&mut self, channel: ChannelId, name: &str, value: &str, session: &mut Session) -> Result {
        let welcome = name == "LANG" || name.starts_with("LC_") || name.starts_with("OTTO_");
        match self.channels.get_mut(&channel) {
            Some(open) if welcome && open.idle.is_some() && !value.contains('\0') => {
                open.variables.push((name.to_owned(), value.to_owned()));
                session.channel_success(channel)
            }
            _ => session.channel_failure(channel),
        }
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result {
        self.start(channel, &Start::Shell, session)
    }

    async fn exec_request(&mut self, channel: ChannelId, command: &[u8], session: &mut Session) -> Result {
        self.start(channel, &Start::Command(command), session)
    }

    async fn subsystem_request(&mut self, channel: ChannelId, name: &str, session: &mut Session) -> Result {
        let server = SFTP_SERVERS.iter().find(|path| name == "sftp" && Path::new(path).exists());
        match server {
            Some(server) => self.start(channel, &Start::Command(server.as_bytes()), session),
            None => session.channel_failure(channel),
        }
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _: bool,
        _: &str,
        _: &str,
        _: u32,
        session: &mut Session,
    ) -> Result {
        session.channel_failure(channel)
    }

    async fn signal(&mut self, channel: ChannelId, signal: Sig, _: &mut Session) -> Result {
        if let (Some(open), Some(signal)) = (self.channels.get(&channel), signal_of(&signal)) {
            // A command that has ended needs no signal.
            let _ = open.signals.send(signal);
        }
        Ok(())
    }
}

/// Joins a channel to a port of this machine.
async fn forward(target: (String, u16), line: Line, reply: ChannelOpenHandle) {
    let Line { incoming, channel, closed, .. } = line;
    let Ok(socket) = TcpStream::connect(target).await else {
        return reply.reject(ChannelOpenFailure::ConnectFailed).await;
    };
    // Latency is all that a refusal would cost.
    let _ = socket.set_nodelay(true);
    reply.accept().await;
    let (from, to) = socket.into_split();
    let output = async {
        pump(from, &channel, None).await;
        let _ = channel.eof().await;
    };
    tokio::select! {
        ((), ()) = async { tokio::join!(output, incoming.pour(to)) } => {
            let _ = channel.close().await;
        }
        _ = closed => {}
    }
}
