//! Whether the user has reserved what a lab requires, asked before anything is connected.
//!
//! [`check_reservations`] asks a [`ReservationBackend`]; a [`ReservationGate`] is that with the project's configuration and
//! the user's identity. Whatever is not known counts as not reserved. [`Leases`] hold what is used for as long as it is
//! used; [`TestLeases`] are those of a run. See `docs/design/reservations.md`.

mod backend;
mod check;
pub(crate) mod conformance;
mod gate;
mod json;
mod lease;
mod none;
mod registered;
#[cfg(test)]
mod tests;
mod window;

pub use crate::os_user::os_user;
pub use backend::{Reservation, ReservationBackend};
pub use check::{check_reservations, required_resources};
pub use gate::ReservationGate;
pub use json::JsonReservations;
#[cfg(feature = "etcd")]
#[doc(hidden)]
pub use lease::EtcdProbe;
pub use lease::{
    Acquired, Holder, Holds, Lease, LeaseInfo, LeaseMode, LeaseRequest, LeaseState, LeaseWatch, Leases, Loss,
    TestLeases, Theft, Waiting,
};
pub use none::NoReservations;
pub use registered::MakeBackend;
#[doc(hidden)]
pub use registered::Registered;
