//! Backends that users register by name.

use std::sync::Arc;

use super::backend::{ReservationBackend, unknowable};
use crate::error::{Error, ErrorKind, Result};
use crate::lab::ReservationConfig;
use crate::lab::diagnose::{did_you_mean, nearest_first};

/// The backends that are otto's own.
pub(super) const OWN: [&str; 4] = ["etcd", "json", "none", "sqlite"];

/// Makes a backend as `[reservations]` in `otto.toml` describes it.
pub type MakeBackend = fn(&ReservationConfig) -> Result<Arc<dyn ReservationBackend>>;

/// A backend that [`reservation_backend!`](crate::reservation_backend) registered.
#[doc(hidden)]
#[derive(Debug)]
pub struct Registered {
    pub name: &'static str,
    pub make: MakeBackend,
    pub file: &'static str,
    pub line: u32,
}

inventory::collect!(Registered);

/// Registers a [`ReservationBackend`](crate::reservations::ReservationBackend) by the name that `otto.toml` selects it by.
///
/// It stands anywhere in a test crate, or in a library that the crate links. What stands under `[reservations]` beside
/// `backend` and `path` is in [`settings`](crate::ReservationConfig::settings).
///
/// ```
/// use otto::reservations::{Reservation, ReservationBackend, check_reservations};
/// use std::sync::Arc;
///
/// struct Booking { url: String }
///
/// impl ReservationBackend for Booking {
///     fn name(&self) -> &str {
///         "booking"
///     }
///
///     fn reservations(&self) -> otto::BoxFuture<'_, otto::Result<Vec<Reservation>>> {
///         Box::pin(async { Ok(vec![Reservation::new("alice", ["rack3"])]) }) // asks self.url
///     }
/// }
///
/// // otto.toml: [reservations] backend = "booking", url = "https://booking.example"
/// otto::reservation_backend!("booking", |config| {
///     let url = config.settings.get("url").and_then(|url| url.as_str()).unwrap_or_default().to_owned();
///     Ok(Arc::new(Booking { url }))
/// });
/// # fn main() {}
/// ```
///
/// An error of the closure, or of the backend, is taken as "nobody knows": nothing runs.
#[macro_export]
macro_rules! reservation_backend {
    ($name:expr, $make:expr $(,)?) => {
        $crate::__private::inventory::submit! {
            $crate::reservations::Registered { name: $name, make: $make, file: file!(), line: line!() }
        }
    };
}

/// The backend with this name that a user registered.
pub(super) fn make(config: &ReservationConfig) -> Result<Arc<dyn ReservationBackend>> {
    let name = &*config.backend;
    let refused = |message: String| Err(unknowable(Error::new(ErrorKind::ReservationBackend, message)));
    let all: Vec<&Registered> = inventory::iter::<Registered>.into_iter().collect();
    let fits: Vec<_> = all.iter().filter(|one| one.name == name).collect();
    match *fits {
        [one] => (one.make)(config).map_err(unknowable),
        [] => {
            let names = || OWN.into_iter().chain(all.iter().map(|one| one.name));
            let near = did_you_mean(name, names());
            let known = nearest_first(name, names()).join(", ");
            refused(format!("there is no reservation backend `{name}`; known ones: {known}{near}"))
        }
        _ => {
            let mut places: Vec<_> = fits.iter().map(|one| format!("{}:{}", one.file, one.line)).collect();
            places.sort();
            refused(format!(
                "the reservation backend `{name}` is registered {} times: {}",
                fits.len(),
                places.join(", ")
            ))
        }
    }
}

/// That no registered backend has the name of one of otto's own, which would be selected instead of it.
pub(super) fn check_names() -> Result<()> {
    match inventory::iter::<Registered>.into_iter().find(|one| OWN.contains(&one.name)) {
        None => Ok(()),
        Some(Registered { name, file, line, .. }) => {
            let message =
                format!("{file}:{line} registers a reservation backend `{name}`, and otto has one of that name");
            Err(unknowable(Error::new(ErrorKind::ReservationBackend, message)))
        }
    }
}
