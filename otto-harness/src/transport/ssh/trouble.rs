//! Why a channel could not be had.

use std::sync::Arc;

use crate::transport::fault::Fault;

/// Why a channel could not be had.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It will not work.
    Fault(Fault),
    /// The server has no room for it on this connection.
    Full,
    /// A shell cannot be had on pipes here, for this reason; on a terminal alone it may.
    NoPipes(Fault),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Trouble {
    pub(super) fn lost(reason: &Arc<str>) -> Self {
        Self::Fault(Fault::lost(reason))
    }
}
