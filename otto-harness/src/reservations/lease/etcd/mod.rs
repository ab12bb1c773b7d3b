//! The engine `etcd`: leases of many machines.
//!
//! A ticket is one key, so a set is had in one transaction; the order of the queue is that of the revisions that made the
//! keys, and such a revision is the fencing number. The keys of a process belong to a lease of etcd's own, so they vanish
//! when the process does not renew it. Whoever waits watches the keys before its own.

mod client;
mod probe;
mod session;
mod wire;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Handle;

pub use self::probe::EtcdProbe;

use self::client::Client;
use self::session::Session;
use self::wire::{
    Outcome, RangeRequest, RangeResponse, TxnRequest, TxnResponse, WatchCreate, WatchRequest, WatchResponse, delete,
    end_of, made_by, put, range,
};
use super::engine::{Engine, Grant, Granted, Held, OnWait, Renewal};
use super::holder::Holder;
use super::info::{LeaseInfo, Loss, Theft};
use super::keeper::gone;
use super::queue::{self, Record, Ticket};
use super::request::LeaseRequest;
use crate::error::{Error, ErrorKind, Result};
use crate::lab::EtcdOptions;
use crate::transport::BoxFuture;

const RANGE: &str = "/etcdserverpb.KV/Range";
const TXN: &str = "/etcdserverpb.KV/Txn";
const WATCH: &str = "/etcdserverpb.Watch/Watch";

/// How long the holder of a lease that is taken has to give it up.
const GRACE: Duration = Duration::from_secs(3);
/// How often what failed is tried again.
const AGAIN: Duration = Duration::from_millis(300);
/// How often those who wait look although they would be told.
const LOOK: Duration = Duration::from_secs(2);
/// A watch of a key begins this long after it is held: most are not held for longer.
const SETTLED: Duration = Duration::from_millis(500);

pub(super) struct Etcd {
    shared: Arc<Shared>,
    sessions: tokio::sync::Mutex<HashMap<Duration, Arc<Session>>>,
}

struct Shared {
    client: Client,
    prefix: String,
    handle: Handle,
}

impl Etcd {
    pub(super) fn new(options: &EtcdOptions, handle: &Handle) -> Result<Self> {
        if options.prefix.is_empty() {
            return Err(Error::new(ErrorKind::ReservationBackend, "the prefix of the keys in etcd is empty"));
        }
        let _entered = handle.enter();
        let shared = Shared { client: Client::new(options)?, prefix: options.prefix.clone(), handle: handle.clone() };
        Ok(Self { shared: Arc::new(shared), sessions: tokio::sync::Mutex::default() })
    }

    async fn session(&self, ttl: Duration) -> Result<Arc<Session>> {
        let mut sessions = self.sessions.lock().await;
        if let Some(session) = sessions.get(&ttl) {
            if session.is_good() {
                return Ok(Arc::clone(session));
            }
            // One that stood unused for a while may be there still.
            if !session.is_gone() && session.renew(&self.shared.client).await? {
                return Ok(Arc::clone(session));
            }
        }
        let session = Arc::new(Session::begin(&self.shared.client, ttl).await?);
        sessions.insert(ttl, Arc::clone(&session));
        Ok(session)
    }

    /// Puts a ticket at the end of the queue, and reads all of it in the same transaction.
    async fn enqueue(&self, request: &LeaseRequest) -> Result<(Kept, Vec<Ticket>, i64)> {
        let session = self.session(request.ttl).await?;
        let id = random_id()?;
        let key = self.shared.tickets() + &id;
        let record = Record::of(request);
        let value = serde_json::to_vec(&record).unwrap_or_default();
        // From here on it is removed however this ends.
        let ticket = Ticket { fence: 0, id, record };
        let mut kept = Kept { shared: Arc::clone(&self.shared), session, key, ticket, removed: AtomicBool::new(false) };
        let all = || range(self.shared.tickets().as_bytes(), end_of(self.shared.tickets().as_bytes()));
        let transaction = TxnRequest {
            compare: vec![made_by(kept.key.as_bytes(), 0), made_by(kept.shared.void(&kept.ticket.id).as_bytes(), 0)],
            success: vec![put(kept.key.as_bytes(), value, kept.session.id, false), all()],
            failure: vec![all()],
        };
        // It may have been done although no answer came, so it is done only if it was not.
        let mut tries = 0;
        let answer: TxnResponse = loop {
            match self.shared.client.call(TXN, transaction.clone()).await {
                Ok(answer) => break answer,
                Err(error) => {
                    tries += 1;
                    if tries == 3 {
                        return Err(error);
                    }
                    tokio::time::sleep(AGAIN).await;
                }
            }
        };
        let revision = answer.header.as_ref().map_or(0, |header| header.revision);
        let tickets = tickets_of(answer, &self.shared.tickets())?;
        match tickets.iter().find(|other| other.id == kept.ticket.id) {
            Some(own) => kept.ticket.fence = own.fence,
            None => return Err(odd("a ticket is gone that was just made")),
        }
        Ok((kept, tickets, revision))
    }

    /// Waits until a ticket is granted. `false` if it is gone.
    async fn stand_in_line(
        &self,
        kept: &Kept,
        mut tickets: Vec<Ticket>,
        mut revision: i64,
        on_wait: &OnWait,
        start: Instant,
    ) -> Result<bool> {
        let mut told: Option<Vec<u64>> = None;
        let mut failing: Option<Error> = None;
        loop {
            let ahead = queue::ahead(&tickets, &kept.ticket);
            if failing.is_none() {
                if ahead.is_empty() {
                    return Ok(!kept.session.is_gone());
                }
                let fences: Vec<u64> = ahead.iter().map(|ticket| ticket.fence).collect();
                if told.as_ref() != Some(&fences) {
                    on_wait(&queue::waiting(&tickets, &kept.ticket, &ahead, start.elapsed()));
                    told = Some(fences);
                }
                self.shared.bury(&ahead).await;
                let keys = ahead.iter().map(|ticket| self.shared.tickets() + &ticket.id).collect();
                let limit = LOOK.min(kept.session.ttl / 4);
                // What it ends with, and why, is seen below.
                let _ = tokio::time::timeout(limit, self.shared.until_all_go(keys, revision)).await;
            }
            let looked = async {
                if !kept.session.renew(&self.shared.client).await? {
                    return Ok(None);
                }
                self.shared.all().await.map(Some)
            };
            match looked.await {
                Ok(None) => return Ok(false),
                Ok(Some((now, at))) => {
                    failing = None;
                    (tickets, revision) = (now, at);
                    let own = tickets.iter().find(|other| other.id == kept.ticket.id);
                    if own.is_none_or(|own| own.record.stolen.is_some()) {
                        return Ok(false);
                    }
                }
                // As long as the place in the queue lasts, it is worth waiting for etcd to come back.
                Err(error) if kept.session.is_gone() => return Err(error),
                Err(error) => {
                    failing = Some(error);
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}

impl Shared {
    fn tickets(&self) -> String {
        format!("{}tickets/", self.prefix)
    }

    fn thefts(&self) -> String {
        format!("{}thefts/", self.prefix)
    }

    /// The key that keeps the ticket with this id from being put, however late the request for it arrives.
    fn void(&self, id: &str) -> String {
        format!("{}void/{id}", self.prefix)
    }

    /// All tickets, and the revision that they were read at.
    async fn all(&self) -> Result<(Vec<Ticket>, i64)> {
        let prefix = self.tickets();
        let question =
            RangeRequest { key: prefix.clone().into_bytes(), range_end: end_of(prefix.as_bytes()), limit: 0 };
        let answer: RangeResponse = self.client.call(RANGE, question).await?;
        let revision = answer.header.as_ref().map_or(0, |header| header.revision);
        Ok((tickets_in(answer, &prefix)?, revision))
    }

    /// Removes a ticket if it is still the one that this revision made.
    async fn remove(&self, key: &str, fence: u64) -> Result<()> {
        let compare = vec![made_by(key.as_bytes(), signed(fence))];
        let transaction = TxnRequest { compare, success: vec![delete(key.as_bytes())], failure: Vec::new() };
        self.client.call::<_, TxnResponse>(TXN, transaction).await.map(drop)
    }

    /// Removes those tickets whose processes ran on this machine, and have ended.
    async fn bury(&self, tickets: &[&Ticket]) {
        for ticket in tickets {
            if ticket.record.holder.process.as_ref().is_some_and(super::machine::ProcessId::has_ended) {
                tracing::info!(fence = ticket.fence, "ending the lease of {}", ticket.record.holder);
                // If it cannot be done now, the ttl does it.
                let _ = self.remove(&(self.tickets() + &ticket.id), ticket.fence).await;
            }
        }
    }

    /// Ends when all of these keys were removed after `revision`, or when that cannot be watched.
    async fn until_all_go(&self, mut keys: Vec<String>, revision: i64) -> Result<()> {
        let prefix = self.tickets().into_bytes();
        let end = end_of(&prefix);
        self.watch(prefix, end, revision, move |event| {
            if let (1, Some(kv)) = (event.kind, &event.kv) {
                keys.retain(|key| key.as_bytes() != kv.key);
            }
            keys.is_empty().then_some(())
        })
        .await
    }

    /// Watches keys until `seen` makes something of an event.
    async fn watch<T>(
        &self,
        key: Vec<u8>,
        range_end: Vec<u8>,
        revision: i64,
        mut seen: impl FnMut(&wire::Event) -> Option<T> + Send,
    ) -> Result<T> {
        let create = WatchCreate { key, range_end, start_revision: revision + 1 };
        let question = WatchRequest { create: Some(create) };
        // The watch lasts for as long as it could still be told something.
        let questions = || {
            use tokio_stream::StreamExt;
            tokio_stream::once(question.clone()).chain(tokio_stream::pending())
        };
        let mut answers = self.client.stream::<_, WatchResponse, _>(WATCH, questions).await?;
        loop {
            let answer = answers.message().await;
            let answer = answer.map_err(|status| odd("a watch ended").caused_by(status.message().to_owned()))?;
            match answer {
                Some(answer) if !answer.canceled => {
                    if let Some(found) = answer.events.iter().find_map(&mut seen) {
                        return Ok(found);
                    }
                }
                _ => return Err(odd("a watch ended")),
            }
        }
    }

    /// Why the ticket is gone, if it is.
    async fn look(&self, key: &str, fence: u64) -> Result<Option<Loss>> {
        let question = RangeRequest { key: key.as_bytes().to_vec(), range_end: Vec::new(), limit: 0 };
        let answer: RangeResponse = self.client.call(RANGE, question).await?;
        let Some(found) = answer.kvs.first().filter(|found| found.create_revision == signed(fence)) else {
            return Ok(Some(gone(None)));
        };
        Ok(stolen(&found.value).map(|stolen| gone(Some(stolen))))
    }
}

/// A ticket of this process, removed when this is dropped unless it was before.
struct Kept {
    shared: Arc<Shared>,
    session: Arc<Session>,
    key: String,
    ticket: Ticket,
    removed: AtomicBool,
}

impl Kept {
    async fn remove(&self) -> Result<()> {
        self.shared.remove(&self.key, self.ticket.fence).await?;
        self.removed.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.removed.load(Ordering::Relaxed) || self.session.is_gone() {
            return;
        }
        let (shared, session) = (Arc::clone(&self.shared), Arc::clone(&self.session));
        let mut success = vec![delete(self.key.as_bytes())];
        if self.ticket.fence == 0 {
            // Nobody knows whether it was put, or will be when a server that hung goes on. Like the ticket, what forbids it
            // ends with the session.
            success.push(put(self.shared.void(&self.ticket.id).as_bytes(), Vec::new(), self.session.id, false));
        }
        self.shared.handle.spawn(async move {
            // Without etcd the ticket lasts as long as its session.
            let question = TxnRequest { success, ..TxnRequest::default() };
            while shared.client.call::<_, TxnResponse>(TXN, question.clone()).await.is_err() {
                if session.is_gone() {
                    return;
                }
                tokio::time::sleep(AGAIN).await;
            }
        });
    }
}

/// A lease of this process.
struct HeldThere {
    kept: Kept,
    since: Instant,
}

impl Held for HeldThere {
    fn renew(&self) -> BoxFuture<'_, Result<Renewal>> {
        Box::pin(async move {
            let Kept { shared, session, key, ticket, .. } = &self.kept;
            if !session.renew(&shared.client).await? {
                return Ok(Renewal::Gone(gone(None)));
            }
            Ok(match shared.look(key, ticket.fence).await? {
                Some(loss) => Renewal::Gone(loss),
                None => Renewal::Until(session.until()),
            })
        })
    }

    fn gone(&self) -> BoxFuture<'_, Loss> {
        Box::pin(async move {
            let Kept { shared, key, ticket, .. } = &self.kept;
            tokio::time::sleep(SETTLED.saturating_sub(self.since.elapsed())).await;
            loop {
                // From the ticket's own beginning, so that nothing between two watches is missed.
                let seen = shared.watch(key.as_bytes().to_vec(), Vec::new(), signed(ticket.fence), |event| {
                    if event.kind == 1 {
                        return Some(gone(None));
                    }
                    event.kv.as_ref().and_then(|kv| stolen(&kv.value)).map(|stolen| gone(Some(stolen)))
                });
                if let Ok(loss) = seen.await {
                    return loss;
                }
                tokio::time::sleep(AGAIN).await;
                // A watch cannot begin where etcd has forgotten what was.
                if let Ok(Some(loss)) = shared.look(key, ticket.fence).await {
                    return loss;
                }
            }
        })
    }

    fn release(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let mut tries = 0;
            loop {
                match self.kept.remove().await {
                    Ok(()) => return Ok(()),
                    Err(error) if tries == 2 || self.kept.session.is_gone() => return Err(error),
                    Err(_) => tries += 1,
                }
                tokio::time::sleep(AGAIN).await;
            }
        })
    }
}

impl Engine for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn acquire(
        self: Arc<Self>,
        request: Arc<LeaseRequest>,
        wait: Option<OnWait>,
    ) -> BoxFuture<'static, Result<Granted>> {
        let grant = |kept: Kept| {
            let (ticket, until) = (kept.ticket.clone(), kept.session.until());
            Granted::Yes(Grant { ticket, until, held: Box::new(HeldThere { kept, since: Instant::now() }) })
        };
        Box::pin(async move {
            let start = Instant::now();
            loop {
                let (kept, mut tickets, revision) = self.enqueue(&request).await?;
                let Some(on_wait) = &wait else {
                    let ahead = queue::ahead(&tickets, &kept.ticket);
                    if ahead.is_empty() {
                        return Ok(grant(kept));
                    }
                    let dead: Vec<_> = ahead.into_iter().cloned().collect();
                    self.shared.bury(&dead.iter().collect::<Vec<_>>()).await;
                    tickets = self.shared.all().await?.0;
                    let ahead = queue::ahead(&tickets, &kept.ticket);
                    if ahead.is_empty() {
                        return Ok(grant(kept));
                    }
                    let waiting = queue::waiting(&tickets, &kept.ticket, &ahead, start.elapsed());
                    kept.remove().await?;
                    return Ok(Granted::No(waiting));
                };
                if self.stand_in_line(&kept, tickets, revision, on_wait, start).await? {
                    return Ok(grant(kept));
                }
                // This process was stopped for so long that its place is gone: again, from the end.
            }
        })
    }

    fn list(self: Arc<Self>) -> BoxFuture<'static, Result<Vec<LeaseInfo>>> {
        Box::pin(async move {
            let (mut tickets, _) = self.shared.all().await?;
            tickets.sort_by_key(|ticket| ticket.fence);
            Ok(tickets.iter().map(|ticket| ticket.info(queue::state(&tickets, ticket))).collect())
        })
    }

    fn steal(self: Arc<Self>, fence: u64, by: Holder, reason: String) -> BoxFuture<'static, Result<Theft>> {
        Box::pin(async move {
            let (tickets, _) = self.shared.all().await?;
            let missing = || {
                Error::new(ErrorKind::Reservation, format!("there is no lease {fence}: it was released, or never was"))
            };
            let mut ticket = tickets.into_iter().find(|ticket| ticket.fence == fence).ok_or_else(missing)?;
            let theft = Theft {
                fence,
                from: ticket.record.holder.clone(),
                items: ticket.record.items.keys().cloned().collect(),
                by: by.clone(),
                reason: reason.clone(),
                at: SystemTime::now(),
            };
            ticket.record.stolen = Some((by.to_string(), reason));
            let key = self.shared.tickets() + &ticket.id;
            let text = |value: serde_json::Result<Vec<u8>>| value.unwrap_or_default();
            let record = format!("{}{fence:020}", self.shared.thefts());
            // What is done is on record, and what is on record is done.
            let transaction = TxnRequest {
                compare: vec![made_by(key.as_bytes(), signed(fence))],
                success: vec![
                    put(key.as_bytes(), text(serde_json::to_vec(&ticket.record)), 0, true),
                    put(record.as_bytes(), text(serde_json::to_vec(&theft)), 0, false),
                ],
                failure: Vec::new(),
            };
            let answer: TxnResponse = self.shared.client.call(TXN, transaction).await?;
            if !answer.succeeded {
                return Err(missing());
            }
            // Its holder gives it up at once, if it still runs.
            let deadline = Instant::now() + GRACE;
            while Instant::now() < deadline {
                if self.shared.all().await?.0.iter().all(|ticket| ticket.fence != fence) {
                    return Ok(theft);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            self.shared.remove(&key, fence).await?;
            Ok(theft)
        })
    }

    fn thefts(self: Arc<Self>) -> BoxFuture<'static, Result<Vec<Theft>>> {
        Box::pin(async move {
            let prefix = self.shared.thefts().into_bytes();
            let question = RangeRequest { range_end: end_of(&prefix), key: prefix, limit: 0 };
            let answer: RangeResponse = self.shared.client.call(RANGE, question).await?;
            Ok(answer.kvs.iter().filter_map(|kv| serde_json::from_slice(&kv.value).ok()).collect())
        })
    }

    fn check(self: Arc<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move { self.session(super::request::TTL).await.map(drop) })
    }
}

fn tickets_of(answer: TxnResponse, prefix: &str) -> Result<Vec<Ticket>> {
    for response in answer.responses {
        if let Some(Outcome::Range(found)) = response.outcome {
            return tickets_in(found, prefix);
        }
    }
    Err(odd("etcd did not answer what was asked"))
}

fn tickets_in(answer: RangeResponse, prefix: &str) -> Result<Vec<Ticket>> {
    answer
        .kvs
        .into_iter()
        .map(|kv| {
            let key = String::from_utf8_lossy(&kv.key).into_owned();
            let record = serde_json::from_slice(&kv.value).map_err(|error| {
                odd(&format!("{key} in etcd is no lease, or is one of another version of otto")).caused_by(error)
            })?;
            let id = key.strip_prefix(prefix).unwrap_or(&key).to_owned();
            Ok(Ticket { fence: kv.create_revision.unsigned_abs(), id, record })
        })
        .collect()
}

fn stolen(value: &[u8]) -> Option<(String, String)> {
    serde_json::from_slice::<Record>(value).ok()?.stolen
}

fn odd(what: &str) -> Error {
    Error::new(ErrorKind::ReservationBackend, what.to_owned())
}

fn random_id() -> Result<String> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).map_err(|error| odd("there are no random numbers").caused_by(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
