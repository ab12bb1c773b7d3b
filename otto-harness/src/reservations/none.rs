//! [`NoReservations`]: nothing has to be reserved.

use std::collections::BTreeSet;

use super::backend::{Reservation, ReservationBackend};
use crate::error::Result;
use crate::transport::BoxFuture;

/// The backend `none`: everything is free for everybody.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoReservations;

impl ReservationBackend for NoReservations {
    fn name(&self) -> &'static str {
        "none"
    }

    fn reservations(&self) -> BoxFuture<'_, Result<Vec<Reservation>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn held<'a>(&'a self, _user: &'a str, required: &'a BTreeSet<String>) -> BoxFuture<'a, Result<BTreeSet<String>>> {
        Box::pin(async { Ok(required.clone()) })
    }
}
