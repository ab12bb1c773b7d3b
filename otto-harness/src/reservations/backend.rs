//! [`ReservationBackend`]: who has reserved what.

use std::collections::BTreeSet;
use std::time::SystemTime;

use crate::error::{Error, ErrorKind, Result};
use crate::transport::BoxFuture;

/// That a user has resources, for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Who.
    pub user: String,
    /// What.
    pub resources: BTreeSet<String>,
    /// From when on; if not said, from ever.
    pub start: Option<SystemTime>,
    /// Until when, that moment not included; if not said, for ever.
    pub end: Option<SystemTime>,
}

impl Reservation {
    /// For all time.
    pub fn new<R: Into<String>>(user: impl Into<String>, resources: impl IntoIterator<Item = R>) -> Self {
        let resources = resources.into_iter().map(Into::into).collect();
        Self { user: user.into(), resources, start: None, end: None }
    }

    /// Whether it counts at `time`.
    ///
    /// ```
    /// use otto::reservations::Reservation;
    /// use std::time::{Duration, SystemTime};
    /// let now = SystemTime::now();
    /// let mut reservation = Reservation::new("alice", ["rack3"]);
    /// assert!(reservation.is_in_force(now));
    /// reservation.end = Some(now);
    /// assert!(!reservation.is_in_force(now));
    /// assert!(reservation.is_in_force(now - Duration::from_secs(1)));
    /// ```
    #[must_use]
    pub fn is_in_force(&self, time: SystemTime) -> bool {
        self.start.is_none_or(|start| start <= time) && self.end.is_none_or(|end| time < end)
    }
}

/// Where reservations are kept: a file, a scheduler, a booking system. otto reads it and changes nothing.
///
/// ```
/// use otto::reservations::{Reservation, ReservationBackend, check_reservations};
/// use otto::BoxFuture;
///
/// struct Fixed;
///
/// impl ReservationBackend for Fixed {
///     fn name(&self) -> &str {
///         "fixed"
///     }
///
///     fn reservations(&self) -> BoxFuture<'_, otto::Result<Vec<Reservation>>> {
///         Box::pin(async { Ok(vec![Reservation::new("alice", ["rack3"])]) })
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let lab = otto::Lab::builder("bench").host(otto::HostSpec::local("here")).resource("rack3").build()?;
/// check_reservations(&lab, "alice", &Fixed).await?;
/// let error = check_reservations(&lab, "bob", &Fixed).await.unwrap_err();
/// assert!(error.to_string().contains("rack3: held by alice"), "{error}");
/// # Ok::<(), otto::Error>(())
/// # }).unwrap();
/// ```
pub trait ReservationBackend: Send + Sync {
    /// Its name, as `otto.toml` selects it.
    fn name(&self) -> &str;

    /// All reservations as they are now; those that are not in force may be among them.
    ///
    /// An error is taken as "nobody knows": nothing runs. It should be of the kind
    /// [`ReservationBackend`](crate::ErrorKind::ReservationBackend).
    fn reservations(&self) -> BoxFuture<'_, Result<Vec<Reservation>>>;

    /// Which of `required` the user holds now.
    fn held<'a>(&'a self, user: &'a str, required: &'a BTreeSet<String>) -> BoxFuture<'a, Result<BTreeSet<String>>> {
        Box::pin(async move {
            let now = SystemTime::now();
            let own = self.reservations().await?.into_iter().filter(|own| own.user == user && own.is_in_force(now));
            let held: BTreeSet<String> = own.flat_map(|own| own.resources).collect();
            Ok(held.intersection(required).cloned().collect())
        })
    }
}

/// An error of a backend as it is shown: of the right kind, and with the way out, which no refusal names.
pub(super) fn unknowable(error: Error) -> Error {
    let error = match error.kind() {
        ErrorKind::ReservationBackend => error,
        _ => Error::new(ErrorKind::ReservationBackend, "the reservations cannot be read").caused_by(error),
    };
    error.hint(
        "nothing runs while nobody knows who holds what; in an emergency, --skip-reservation-check (-R) runs without asking",
    )
}
