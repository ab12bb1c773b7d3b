//! Assertions for those who extend otto.

pub use crate::reservations::conformance::assert_reservation_backend_conforms;
