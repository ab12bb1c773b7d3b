//! What russh's task tells us: the table of a connection's channels, and the handler that fills their inboxes.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use russh::client::{self, ChannelOpenHandle, DisconnectReason, Msg, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel as RawChannel, ChannelId, Sig};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, mpsc};

use super::host_key::HostKeys;
use super::inbox::{Exit, Inbox, Stream};
use crate::transport::fault::Fault;
use crate::transport::tcp::Keepalive;

/// The channels of a connection by their number, and why the connection ended if it did.
#[derive(Debug, Default)]
pub(super) struct Table {
    inner: Mutex<Inner>,
    /// A channel was closed, or the connection lost.
    changed: Notify,
    /// Who takes the connections that come in on a port of the server.
    listening: Mutex<Vec<Listening>>,
}

/// Who takes what comes in on one port; the port is not known before the server has said which it is.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) id: u64,
    pub(super) port: Option<u32>,
    pub(super) taker: mpsc::UnboundedSender<RawChannel<Msg>>,
}

#[derive(Debug, Default)]
struct Inner {
    channels: HashMap<ChannelId, Arc<Inbox>>,
    lost: Option<Arc<str>>,
    /// The owner is to end the connection.
    closing: bool,
    /// russh's task is gone, and with it the socket.
    ended: bool,
    last_removal: Option<Instant>,
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A channel's inbox, made when first asked for: russh's task and whoever opened it come in either order.
    pub(super) fn inbox(&self, id: ChannelId) -> Arc<Inbox> {
        let mut inner = self.lock();
        let lost = inner.lost.clone();
        let inbox = inner.channels.entry(id).or_default();
        if lost.is_some() {
            inbox.note(|state| state.lost = lost);
        }
        Arc::clone(inbox)
    }

    fn with(&self, id: ChannelId, what: impl FnOnce(&Inbox)) {
        let inbox = self.lock().channels.get(&id).cloned();
        if let Some(inbox) = inbox {
            what(&inbox);
        }
    }

    pub(super) fn remove(&self, id: ChannelId) {
        let mut inner = self.lock();
        inner.channels.remove(&id);
        inner.last_removal = Some(Instant::now());
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Notes that the connection ended. The first reason stays.
    pub(super) fn lose(&self, reason: &str) {
        let mut inner = self.lock();
        if inner.lost.is_some() {
            return;
        }
        let reason: Arc<str> = reason.into();
        inner.lost = Some(Arc::clone(&reason));
        let inboxes: Vec<_> = inner.channels.values().cloned().collect();
        drop(inner);
        for inbox in inboxes {
            inbox.note(|state| state.lost = Some(Arc::clone(&reason)));
        }
        self.changed.notify_waiters();
    }

    /// How many channels there are, and how long ago the last one went.
    pub(super) fn open(&self) -> (usize, Option<Instant>) {
        let inner = self.lock();
        (inner.channels.len(), inner.last_removal)
    }

    /// The next change after this call.
    pub(super) fn change(&self) -> Notified<'_> {
        self.changed.notified()
    }

    pub(super) fn lost(&self) -> Option<Arc<str>> {
        self.lock().lost.clone()
    }

    /// Has the owner end the connection.
    pub(super) fn closing(&self) {
        self.lock().closing = true;
        self.changed.notify_waiters();
    }

    pub(super) async fn until_closing(&self) {
        self.until(|inner| inner.closing).await;
    }

    pub(super) async fn until_lost(&self) {
        self.until(|inner| inner.lost.is_some()).await;
    }

    pub(super) async fn until_ended(&self) {
        self.until(|inner| inner.ended).await;
    }

    async fn until(&self, what: impl Fn(&Inner) -> bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if what(&self.lock()) {
                return;
            }
            changed.await;
        }
    }

    /// Who takes what comes in on ports of the server.
    pub(super) fn listening(&self) -> MutexGuard<'_, Vec<Listening>> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a connection that came in to whoever takes those of its port; whether somebody does.
    fn come_in(&self, port: u32, channel: RawChannel<Msg>) -> bool {
        // What comes first is to find its inbox.
        let id = channel.id();
        let taken = {
            let listening = self.listening();
            // The first may come before the answer that says which port it is.
            let taker = listening
                .iter()
                .find(|one| one.port == Some(port))
                .or_else(|| listening.iter().find(|one| one.port.is_none()));
            taker.is_some_and(|one| {
                self.inbox(id);
                one.taker.send(channel).is_ok()
            })
        };
        if !taken {
            self.remove(id);
        }
        taken
    }

    pub(super) fn all(&self) -> Vec<Arc<Inbox>> {
        self.lock().channels.values().cloned().collect()
    }
}

/// Why russh's task stopped.
#[derive(Debug)]
pub(super) enum Stopped {
    Russh(russh::Error),
    Fault(Fault),
}

impl From<russh::Error> for Stopped {
    fn from(error: russh::Error) -> Self {
        Self::Russh(error)
    }
}

/// What russh's task calls. It never waits for anybody, so one channel cannot stall another.
pub(super) struct Watcher {
    pub(super) table: Arc<Table>,
    pub(super) host_keys: HostKeys,
    pub(super) keepalive: Keepalive,
}

impl Watcher {
    fn reason(&self, error: &russh::Error) -> String {
        let frozen = || {
            let Keepalive { interval, misses } = self.keepalive;
            format!("the host does not answer any more (asked {misses} times, {interval:?} apart)")
        };
        match error {
            russh::Error::KeepaliveTimeout => frozen(),
            russh::Error::IO(error) if error.kind() == std::io::ErrorKind::TimedOut => frozen(),
            russh::Error::IO(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => error.to_string(),
            russh::Error::IO(_) | russh::Error::HUP | russh::Error::Disconnect => {
                "the host closed the connection; did it reboot, or was its SSH server stopped?".to_owned()
            }
            other => other.to_string(),
        }
    }
}

impl Drop for Watcher {
    /// Whatever ended russh's task, nobody waits for it any longer.
    fn drop(&mut self) {
        self.table.lose("the connection ended");
        self.table.lock().ended = true;
        self.table.changed.notify_waiters();
    }
}

impl client::Handler for Watcher {
    type Error = Stopped;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Stopped> {
        self.host_keys.check(key).map_err(Stopped::Fault)?;
        Ok(true)
    }

    async fn channel_open_confirmation(
        &mut self,
        id: ChannelId,
        _: u32,
        _: u32,
        _: &mut Session,
    ) -> Result<(), Stopped> {
        self.table.inbox(id);
        Ok(())
    }

    async fn channel_success(&mut self, id: ChannelId, _: &mut Session) -> Result<(), Stopped> {
        self.table.with(id, |inbox| inbox.reply(true));
        Ok(())
    }

    async fn channel_failure(&mut self, id: ChannelId, _: &mut Session) -> Result<(), Stopped> {
        self.table.with(id, |inbox| inbox.reply(false));
        Ok(())
    }

    async fn data(&mut self, id: ChannelId, data: &[u8], _: &mut Session) -> Result<(), Stopped> {
        self.table.with(id, |inbox| inbox.push(Stream::Out, data));
        Ok(())
    }

    async fn extended_data(&mut self, id: ChannelId, kind: u32, data: &[u8], _: &mut Session) -> Result<(), Stopped> {
        if kind == 1 {
            self.table.with(id, |inbox| inbox.push(Stream::Err, data));
        }
        Ok(())
    }

    async fn exit_status(&mut self, id: ChannelId, code: u32, _: &mut Session) -> Result<(), Stopped> {
        self.table.with(id, |inbox| inbox.note(|state| state.exit = Some(Exit::Code(code))));
        Ok(())
    }

    async fn exit_signal(
        &mut self,
        id: ChannelId,
        signal: Sig,
        _: bool,
        _: &str,
        _: &str,
        _: &mut Session,
    ) -> Result<(), Stopped> {
        let name = match signal {
            Sig::Custom(name) => name,
            known => format!("{known:?}"),
        };
        self.table.with(id, |inbox| inbox.note(|state| state.exit = Some(Exit::Signal(name))));
        Ok(())
    }

    async fn channel_eof(&mut self, id: ChannelId, _: &mut Session) -> Result<(), Stopped> {
        self.table.with(id, |inbox| inbox.note(|state| state.eof = true));
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Session) -> Result<(), Stopped> {
        self.table.with(id, |inbox| inbox.note(|state| state.closed = true));
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Stopped>) -> Result<(), Stopped> {
        let text = match &reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                let message: String = info.message.chars().filter(|c| !c.is_control()).take(200).collect();
                format!("the host disconnected: {message} ({:?})", info.reason_code)
            }
            DisconnectReason::Error(Stopped::Russh(error)) => self.reason(error),
            DisconnectReason::Error(Stopped::Fault(fault)) => fault.message().to_owned(),
        };
        self.table.lose(&text);
        Ok(())
    }

    // A channel that the server opens is refused, unless it was asked for: dropping the handle does it. russh would accept by
    // default.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: RawChannel<Msg>,
        _: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Stopped> {
        if self.table.come_in(port, channel) {
            reply.accept().await;
        }
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: RawChannel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Stopped> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: RawChannel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Stopped> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: RawChannel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Stopped> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: RawChannel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Stopped> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: RawChannel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Stopped> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: RawChannel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Stopped> {
        Ok(())
    }
}
