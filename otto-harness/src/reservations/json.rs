//! [`JsonReservations`]: a file that people or a script keep.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::backend::{Reservation, ReservationBackend, unknowable};
use crate::error::{ErrorKind, Result};
use crate::lab::diagnose::{Reader, Source, report};
use crate::lab::fields::{At, Fields};
use crate::lab::json;
use crate::lab::tree::{Node, Value};
use crate::transport::BoxFuture;

/// The backend `json`: a list of reservations in a file, which is read anew for each check.
///
/// ```json
/// [
///   { "user": "alice", "resources": ["rack3", "router1"] },
///   { "user": "bob", "resources": ["rack4"], "start": "2026-05-01T08:00:00Z", "end": "2026-05-01T18:00:00+02:00" }
/// ]
/// ```
///
/// otto-sh's form is the same list as `{ "version": 1, "reservations": [ … ] }`, with `expires` for `end`. Times are RFC 3339
/// with their offset from UTC. A name that begins with `_` is a comment.
///
/// ```
/// use otto::reservations::{JsonReservations, ReservationBackend};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("reservations.json");
/// std::fs::write(&path, r#"[{ "user": "alice", "resources": ["rack3"] }]"#).unwrap();
/// let backend = JsonReservations::open(&path)?;
/// assert_eq!(backend.name(), "json");
/// std::fs::write(&path, r#"[{ "user": "alice" }]"#).unwrap();
/// let error = JsonReservations::open(&path).unwrap_err();
/// assert!(error.to_string().contains("reservations.json:1:2: the reservation has no `resources`"), "{error}");
/// # Ok::<(), otto::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct JsonReservations {
    path: PathBuf,
}

impl JsonReservations {
    /// Those in the file at `path`, which is read once here, so that a broken one is known before anything else is done.
    ///
    /// # Errors
    /// [`ErrorKind::ReservationBackend`] if it cannot be read, or for all mistakes in it at once.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let backend = Self { path: path.as_ref().to_owned() };
        backend.read()?;
        Ok(backend)
    }

    fn read(&self) -> Result<Vec<Reservation>> {
        let mut problems = Vec::new();
        let mut reservations = Vec::new();
        match Source::read(&self.path) {
            Ok(source) => {
                let reader = Reader::new(&source);
                reservations = json::parse(&reader).map(|root| read(&reader, root)).unwrap_or_default();
                problems = reader.into_problems();
            }
            Err(problem) => problems.push(problem),
        }
        report(ErrorKind::ReservationBackend, problems).map_err(unknowable)?;
        Ok(reservations)
    }
}

impl ReservationBackend for JsonReservations {
    fn name(&self) -> &'static str {
        "json"
    }

    fn reservations(&self) -> BoxFuture<'_, Result<Vec<Reservation>>> {
        Box::pin(async { self.read() })
    }
}

fn read(reader: &Reader<'_>, root: Node) -> Vec<Reservation> {
    let at = root.at;
    let entries = match root.value {
        Value::List(entries) => Some(entries),
        Value::Table(_) => Fields::of(reader, "a reservation file", root).and_then(|mut fields| {
            fields.take("$schema");
            fields.integer("version", 1, 1);
            if !fields.has("reservations") {
                reader.fault(at, "a reservation file is a list of reservations, or has one as `reservations`");
            }
            let entries = fields.list("reservations", "a list of tables");
            fields.end();
            entries
        }),
        other => {
            reader.fault(
                at,
                format!("a reservation file has to be a list of reservations, and this is {}", other.what()),
            );
            None
        }
    };
    entries.into_iter().flatten().filter_map(|entry| reservation(reader, entry)).collect()
}

fn reservation(reader: &Reader<'_>, node: Node) -> Option<Reservation> {
    let mut fields = Fields::of(reader, "a reservation", node)?;
    for name in ["user", "resources"] {
        if !fields.has(name) {
            reader.fault(fields.at(), format!("the reservation has no `{name}`"));
        }
    }
    let named = |text: At<String>, what: &str| {
        if text.value.trim().is_empty() {
            reader.fault(text.at, format!("{what} has to be named, and this is empty"));
            return None;
        }
        Some(text.value)
    };
    let user = fields.text("user").and_then(|user| named(user, "the user"));
    let resources =
        fields.texts("resources").map(|all| all.into_iter().filter_map(|text| named(text, "a resource")).collect());
    let start = time(reader, fields.text("start"));
    let (end, expires) = (fields.text("end"), fields.text("expires"));
    if let (Some(_), Some(expires)) = (&end, &expires) {
        reader.fault(expires.at, "`expires` is another name of `end`: say one of them");
    }
    let end = end.or(expires);
    let end_at = end.as_ref().map_or(0, |end| end.at);
    let end = time(reader, end);
    if let (Some(start), Some(end)) = (start, end)
        && end <= start
    {
        reader.fault(end_at, "the reservation ends before it begins");
    }
    fields.end();
    Some(Reservation { user: user?, resources: resources?, start, end })
}

fn time(reader: &Reader<'_>, text: Option<At<String>>) -> Option<SystemTime> {
    let text = text?;
    let time = text.value.parse::<jiff::Timestamp>();
    if time.is_err() {
        let given = text.value;
        reader.fault(text.at, format!("{given:?} is no time with its offset, such as 2026-05-01T08:00:00Z"));
    }
    time.ok().map(SystemTime::from)
}
