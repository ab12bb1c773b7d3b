//! What a failure shows of the hosts: at which command it was, what that wrote, what else ran, and where the files are.
//!
//! See `docs/design/reports.md`.

mod block;
mod culprit;

pub(super) use block::{Scene, block};
