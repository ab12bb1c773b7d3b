//! Leases: hosts that are held for as long as somebody uses them, and not longer.
//!
//! [`Leases`] is where they are kept: a folder of this machine, or etcd. A [`LeaseRequest`] names a set of items, all of
//! which are had at once or not at all; who has them has a [`Lease`], which renews itself, notices when it is lost, and is
//! released when it is dropped. [`TestLeases`] is that for the tests of a run. See `docs/design/reservations.md`.

mod clock;
mod engine;
#[cfg(feature = "etcd")]
mod etcd;
mod held;
mod holder;
mod info;
mod keeper;
mod leases;
mod machine;
mod queue;
mod readiness;
mod request;
#[cfg(feature = "sqlite")]
mod sqlite;
mod test_leases;

#[cfg(feature = "etcd")]
#[doc(hidden)]
pub use etcd::EtcdProbe;
pub use held::{Lease, LeaseWatch};
pub use holder::Holder;
pub use info::{LeaseInfo, LeaseState, Loss, Theft, Waiting};
pub use leases::{Acquired, Leases};
pub use request::{LeaseMode, LeaseRequest};
pub use test_leases::{Holds, TestLeases};
