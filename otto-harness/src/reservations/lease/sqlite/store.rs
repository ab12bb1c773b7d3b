//! The database of leases: every change is one `BEGIN IMMEDIATE`, so all processes see one order.
//!
//! It is a file of its own for each start of the machine. No lease outlives that, so nothing has to reach the disk
//! (`synchronous = OFF`): what a power cut damages is never read again. A process that is killed damages nothing, since the
//! rollback journal is on the same machine.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};

use super::alive::{Alive, Pulse, bury, pulse, sweep};
use super::faults::{at, database, io, is_busy};
use super::folder::Folder;
use crate::error::{Error, ErrorKind, Result};
use crate::reservations::lease::clock::Moment;
use crate::reservations::lease::engine::Renewal;
use crate::reservations::lease::holder::Holder;
use crate::reservations::lease::info::{LeaseInfo, Loss, Theft, Waiting};
use crate::reservations::lease::keeper::gone;
use crate::reservations::lease::queue::{self, Record, Ticket};
use crate::reservations::lease::{machine, request::LeaseRequest};

/// How long a change waits for those of others, each of which takes less than a millisecond.
const BUSY: Duration = Duration::from_secs(5);
/// How long the holder of a lease that is taken has to give it up.
const GRACE: Duration = Duration::from_secs(3);
/// The layout, in `user_version`.
const LAYOUT: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE tickets (
        fence INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        record TEXT NOT NULL,
        expires INTEGER NOT NULL
    );
    PRAGMA user_version = 1;
";

#[derive(Debug)]
pub(super) struct Store {
    pub(super) folder: Folder,
    path: PathBuf,
    /// The file itself, to notice when another is put in its place.
    file: (u64, u64),
    connection: Mutex<Connection>,
}

/// A ticket of this process, with the file that keeps it alive.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) ticket: Ticket,
    pub(super) alive: Alive,
    pub(super) ttl: Duration,
}

/// Where a ticket stands.
pub(super) enum Standing {
    Granted(Moment),
    Behind(Behind),
    /// The ticket is gone: its process was stopped for longer than its ttl.
    Gone,
}

pub(super) struct Behind {
    pub(super) waiting: Waiting,
    /// The tickets whose end is waited for.
    pub(super) ids: Vec<String>,
}

struct Row {
    ticket: Ticket,
    expires: Moment,
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let folder = Folder::open(path)?;
        let boot = machine::boot().ok_or_else(|| {
            at(Path::new("/proc/sys/kernel/random/boot_id"), "leases on one machine need Linux and its /proc")
        })?;
        let path = folder.database(&boot);
        match OpenOptions::new().write(true).create_new(true).mode(folder.file_mode).open(&path) {
            Ok(file) => file
                .set_permissions(Permissions::from_mode(folder.file_mode))
                .map_err(|error| io(&path, "cannot share the database of leases", error))?,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io(&path, "cannot make the database of leases", error)),
        }
        let flags =
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(|error| database(&path, error))?;
        prepare(&mut connection, &folder, &path).map_err(|error| match error {
            Fault::Database(error) => database(&path, error),
            Fault::Other(error) => error,
        })?;
        let file = identity(&path)?;
        let store = Self { folder, path, file, connection: Mutex::new(connection) };
        let known: Vec<String> = store.read()?.into_iter().map(|row| row.ticket.id).collect();
        sweep(&store.folder, |id| known.iter().any(|known| known == id));
        Ok(store)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` as one change that all processes see at once, or not at all.
    fn change<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>) -> Result<T> {
        let mut connection = self.connection();
        if identity(&self.path).ok() != Some(self.file) {
            return Err(at(&self.path, "the database of leases was removed or replaced while it was in use"));
        }
        let run = || -> Result<T, Fault> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        run().map_err(|fault| match fault {
            Fault::Database(error) => database(&self.path, error),
            Fault::Other(error) => error,
        })
    }

    fn read(&self) -> Result<Vec<Row>> {
        rows(&self.connection()).map_err(|fault| match fault {
            Fault::Database(error) => database(&self.path, error),
            Fault::Other(error) => error,
        })
    }

    /// Adds a ticket at the end of the queue; without `queue`, only if it is granted there.
    pub(super) fn enqueue(&self, request: &LeaseRequest, queue: bool) -> Result<(Option<Place>, Standing)> {
        let alive = Alive::new(&self.folder)?;
        let record = Record::of(request);
        let text = text_of(&record);
        let mut ticket = Ticket { fence: u64::MAX, id: alive.id.clone(), record };
        let outcome =
            self.change(|transaction| {
                let now = Moment::now();
                let rows = rows(transaction)?;
                let behind = self.behind(transaction, rows, &ticket, Duration::ZERO, now)?;
                if behind.is_some() && !queue {
                    return Ok((None, behind, now));
                }
                let expires = now.after(request.ttl);
                transaction
                    .prepare("INSERT INTO tickets (id, record, expires) VALUES (?1, ?2, ?3)")?
                    .execute(params![ticket.id, text, signed(expires.0)])?;
                Ok((Some(transaction.last_insert_rowid()), behind, expires))
            });
        let (fence, behind, expires) = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                alive.remove();
                return Err(error);
            }
        };
        let standing = match behind {
            None => Standing::Granted(expires),
            Some(behind) => Standing::Behind(behind),
        };
        let Some(fence) = fence else {
            alive.remove();
            return Ok((None, standing));
        };
        ticket.fence = u64::try_from(fence).unwrap_or_default();
        let place = Place { ticket, alive, ttl: request.ttl };
        Ok((Some(place), standing))
    }

    /// Where the ticket stands now; it is renewed as long as it waits.
    pub(super) fn stand(&self, place: &Place, waited: Duration) -> Result<Standing> {
        self.change(|transaction| {
            let now = Moment::now();
            let rows = rows(transaction)?;
            let own = rows.iter().find(|row| row.ticket.fence == place.ticket.fence);
            if own.is_none_or(|own| own.expires <= now || own.ticket.record.stolen.is_some()) {
                return Ok(Standing::Gone);
            }
            let behind = self.behind(transaction, rows, &place.ticket, waited, now)?;
            let expires = now.after(place.ttl);
            let fence = signed(place.ticket.fence);
            if let Some(behind) = behind {
                let renew = "UPDATE tickets SET expires = ?2 WHERE fence = ?1";
                transaction.prepare(renew)?.execute(params![fence, signed(expires.0)])?;
                return Ok(Standing::Behind(behind));
            }
            let record = Record { since: queue::millis_now(), ..place.ticket.record.clone() };
            let grant = "UPDATE tickets SET expires = ?2, record = ?3 WHERE fence = ?1";
            transaction.prepare(grant)?.execute(params![fence, signed(expires.0), text_of(&record)])?;
            Ok(Standing::Granted(expires))
        })
    }

    /// Those that `own` has to wait for, after the dead among them are removed.
    fn behind(
        &self,
        transaction: &Transaction<'_>,
        rows: Vec<Row>,
        own: &Ticket,
        waited: Duration,
        now: Moment,
    ) -> Result<Option<Behind>, Fault> {
        let (mut tickets, mut expiries) = (Vec::new(), Vec::new());
        for row in rows {
            expiries.push((row.ticket.fence, row.expires));
            tickets.push(row.ticket);
        }
        let mut dead = Vec::new();
        for ticket in queue::ahead(&tickets, own) {
            let expired = expiries.iter().any(|(fence, expires)| *fence == ticket.fence && *expires <= now);
            if expired || self.is_dead(ticket)? {
                tracing::info!(fence = ticket.fence, expired, "ending the lease of {}", ticket.record.holder);
                dead.push((ticket.fence, ticket.id.clone()));
            }
        }
        for (fence, id) in &dead {
            transaction.prepare("DELETE FROM tickets WHERE fence = ?1")?.execute(params![signed(*fence)])?;
            if pulse(&self.folder, id)? == Pulse::Dead {
                bury(&self.folder, id);
            }
        }
        tickets.retain(|ticket| dead.iter().all(|(fence, _)| *fence != ticket.fence));
        let ahead = queue::ahead(&tickets, own);
        if ahead.is_empty() {
            return Ok(None);
        }
        let ids = ahead.iter().map(|ticket| ticket.id.clone()).collect();
        Ok(Some(Behind { waiting: queue::waiting(&tickets, own, &ahead, waited), ids }))
    }

    /// Whether the process of a ticket has certainly ended.
    fn is_dead(&self, ticket: &Ticket) -> Result<bool> {
        Ok(match pulse(&self.folder, &ticket.id)? {
            Pulse::Alive => false,
            Pulse::Dead => true,
            // Somebody tidied the file away: what the kernel says of the process, and else time, has to tell.
            Pulse::Unknown => ticket.record.holder.process.as_ref().is_some_and(machine::ProcessId::has_ended),
        })
    }

    /// Renews a lease.
    pub(super) fn renew(&self, place: &Place) -> Result<Renewal> {
        self.change(|transaction| {
            let now = Moment::now();
            if let Some(loss) = lost(transaction, place, now)? {
                return Ok(Renewal::Gone(loss));
            }
            let expires = now.after(place.ttl);
            transaction
                .prepare("UPDATE tickets SET expires = ?2 WHERE fence = ?1")?
                .execute(params![signed(place.ticket.fence), signed(expires.0)])?;
            Ok(Renewal::Until(expires))
        })
    }

    /// Whether a lease is gone, without writing anything.
    pub(super) fn look(&self, place: &Place) -> Result<Option<Loss>> {
        if identity(&self.path).ok() != Some(self.file) {
            return Ok(Some(Loss::Gone(format!("{} was removed or replaced", self.path.display()))));
        }
        match lost(&self.connection(), place, Moment::now()) {
            Ok(loss) => Ok(loss),
            // The next look will do.
            Err(Fault::Database(error)) if is_busy(&error) => Ok(None),
            Err(Fault::Database(error)) => Err(database(&self.path, error)),
            Err(Fault::Other(error)) => Err(error),
        }
    }

    /// Removes a ticket of this process.
    pub(super) fn remove(&self, place: &Place) -> Result<()> {
        let removed = self.change(|transaction| {
            let delete = "DELETE FROM tickets WHERE fence = ?1 AND id = ?2";
            transaction.prepare(delete)?.execute(params![signed(place.ticket.fence), place.ticket.id])?;
            Ok(())
        });
        if removed.is_ok() {
            place.alive.remove();
        }
        removed
    }

    /// All tickets whose processes are alive.
    pub(super) fn list(&self) -> Result<Vec<LeaseInfo>> {
        let now = Moment::now();
        let mut tickets = Vec::new();
        for row in self.read()? {
            if row.expires > now && !self.is_dead(&row.ticket)? {
                tickets.push(row.ticket);
            }
        }
        Ok(tickets.iter().map(|ticket| ticket.info(queue::state(&tickets, ticket))).collect())
    }

    /// Marks a lease as taken, and ends it after some moments.
    pub(super) fn steal(&self, fence: u64, by: &Holder, reason: &str) -> Result<Theft> {
        self.change(|transaction| {
            let row = rows(transaction)?.into_iter().find(|row| row.ticket.fence == fence);
            let Some(Row { mut ticket, expires }) = row else {
                let message = format!("there is no lease {fence}: it was released, or never was");
                return Err(Error::new(ErrorKind::Reservation, message).into());
            };
            let theft = Theft {
                fence,
                from: ticket.record.holder.clone(),
                items: ticket.record.items.keys().cloned().collect(),
                by: by.clone(),
                reason: reason.to_owned(),
                at: SystemTime::now(),
            };
            // First the record: what is not on record is not done.
            self.record(&theft)?;
            ticket.record.stolen = Some((by.to_string(), reason.to_owned()));
            let expires = expires.min(Moment::now().after(GRACE));
            transaction.prepare("UPDATE tickets SET expires = ?2, record = ?3 WHERE fence = ?1")?.execute(params![
                signed(fence),
                signed(expires.0),
                text_of(&ticket.record)
            ])?;
            Ok(theft)
        })
    }

    fn record(&self, theft: &Theft) -> Result<()> {
        let path = self.folder.thefts();
        let fault = |error| io(&path, "cannot record who takes a lease", error);
        let mut file =
            OpenOptions::new().append(true).create(true).mode(self.folder.file_mode).open(&path).map_err(fault)?;
        // Only who made it can; the umask may have narrowed it.
        let _ = file.set_permissions(Permissions::from_mode(self.folder.file_mode));
        let mut line = text_of(theft);
        line.push('\n');
        file.write_all(line.as_bytes()).and_then(|()| file.sync_data()).map_err(fault)
    }

    pub(super) fn thefts(&self) -> Result<Vec<Theft>> {
        let path = self.folder.thefts();
        match fs::read_to_string(&path) {
            // A line that was cut short by a full disk has nothing to tell.
            Ok(text) => Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(io(&path, "cannot read who took leases", error)),
        }
    }

    /// That it can be written.
    pub(super) fn check(&self) -> Result<()> {
        self.change(|_| Ok(()))
    }
}

/// A fault of the database, which has no path yet, or any other.
enum Fault {
    Database(rusqlite::Error),
    Other(Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

fn prepare(connection: &mut Connection, folder: &Folder, path: &Path) -> Result<(), Fault> {
    // Short sleeps of uneven length: changes are short, and many wait.
    let mut since = Instant::now();
    connection.busy_handler(Some(move |count: i32| {
        if count == 0 {
            since = Instant::now();
        }
        let mut byte = [0];
        let _ = getrandom::fill(&mut byte);
        let micros = 100 + u64::from(byte[0]) * 8 * u64::from(count.clamp(1, 4).unsigned_abs());
        std::thread::sleep(Duration::from_micros(micros));
        since.elapsed() < BUSY
    }))?;
    if connection.is_readonly(rusqlite::MAIN_DB)? {
        let what = "the database of leases cannot be written: give all who use it leave to write to it and its folder";
        return Err(at(path, what).into());
    }
    connection.pragma_update_and_check(None, "journal_mode", "TRUNCATE", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if check != "ok" {
        let what = "the database of leases is damaged: nobody knows who holds what. When no test runs on this machine, \
                    remove the file";
        return Err(at(path, what).caused_by(check).into());
    }
    if layout(connection)? == LAYOUT {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match layout(&transaction)? {
        // Another process was faster.
        LAYOUT => return Ok(()),
        0 => {}
        other => {
            let what = format!(
                "the database of leases has the layout {other} of another version of otto, and this one knows {LAYOUT}"
            );
            return Err(at(path, &what).into());
        }
    }
    if sweep(folder, |_| false) {
        let what = "the database of leases was removed while leases are held: wait until the tests that hold them end";
        return Err(at(path, what).into());
    }
    transaction.execute_batch(SCHEMA)?;
    if let Some(last) = last_fence(folder, path) {
        transaction.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('tickets', ?1)", [last])?;
    }
    transaction.commit()?;
    Ok(())
}

fn layout(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// The last number that was given before the machine was started anew, so that numbers only rise. What is left of that
/// start is removed.
fn last_fence(folder: &Folder, own: &Path) -> Option<i64> {
    let mut last = None;
    for entry in fs::read_dir(&folder.path).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path == own || !name.starts_with("leases-") || path.extension().is_none_or(|kind| kind != "sqlite") {
            continue;
        }
        let read = || -> rusqlite::Result<i64> {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let old = Connection::open_with_flags(&path, flags)?;
            old.query_row("SELECT seq FROM sqlite_sequence WHERE name = 'tickets'", [], |row| row.get(0))
        };
        // One that a power cut damaged had fewer leases than there were seconds since 1970.
        let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let found = match read() {
            Ok(found) => found,
            Err(rusqlite::Error::QueryReturnedNoRows) => 0,
            Err(_) => i64::try_from(seconds).unwrap_or(0),
        };
        last = last.max(Some(found));
        for path in [path.with_extension("sqlite-journal"), path] {
            let _ = fs::remove_file(path);
        }
    }
    last
}

fn rows(connection: &Connection) -> Result<Vec<Row>, Fault> {
    let mut statement = connection.prepare("SELECT fence, id, record, expires FROM tickets ORDER BY fence")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    rows.map(|row| {
        let (fence, id, text, expires): (i64, String, String, i64) = row?;
        let record = record_of(fence, &text)?;
        let ticket = Ticket { fence: fence.unsigned_abs(), id, record };
        Ok(Row { ticket, expires: Moment(expires.unsigned_abs()) })
    })
    .collect()
}

fn record_of(fence: i64, text: &str) -> Result<Record, Fault> {
    serde_json::from_str(text).map_err(|error| {
        let message = format!("the lease {fence} was recorded by another version of otto, or is damaged");
        Error::new(ErrorKind::ReservationBackend, message).caused_by(error).into()
    })
}

/// Why the lease is gone, if it is.
fn lost(connection: &Connection, place: &Place, now: Moment) -> Result<Option<Loss>, Fault> {
    let mut statement = connection.prepare("SELECT record, expires FROM tickets WHERE fence = ?1 AND id = ?2")?;
    let found: Option<(String, i64)> = statement
        .query_row(params![signed(place.ticket.fence), place.ticket.id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((text, expires)) = found else { return Ok(Some(gone(None))) };
    let stolen = record_of(signed(place.ticket.fence), &text)?.stolen;
    if stolen.is_some() {
        return Ok(Some(gone(stolen)));
    }
    let late = now.since(Moment(expires.unsigned_abs()));
    Ok((expires.unsigned_abs() <= now.0).then(|| Loss::Expired { unrenewed: place.ttl + late, because: None }))
}

/// Which file a path leads to.
fn identity(path: &Path) -> Result<(u64, u64)> {
    let found = fs::metadata(path).map_err(|error| io(path, "cannot find the database of leases", error))?;
    Ok((found.dev(), found.ino()))
}

fn text_of<T: serde::Serialize>(value: &T) -> String {
    // Texts, numbers and maps with texts for keys always have a text.
    serde_json::to_string(value).unwrap_or_default()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
