//! What an engine of leases has to do; [`keeper`](super::keeper) does the rest the same way for all of them.

use std::sync::Arc;

use super::clock::Moment;
use super::holder::Holder;
use super::info::{LeaseInfo, Loss, Theft, Waiting};
use super::queue::Ticket;
use super::request::LeaseRequest;
use crate::error::Result;
use crate::transport::BoxFuture;

/// Is told of a wait when it begins, and when its queue changes.
pub(super) type OnWait = Arc<dyn Fn(&Waiting) + Send + Sync>;

/// Where tickets are kept. Its futures run on the keeper's runtime, and may be dropped at any point: whatever they had
/// begun is then undone.
pub(super) trait Engine: Send + Sync + 'static {
    fn name(&self) -> &'static str;

    /// Grants the request. Without `wait` the answer comes at once, and leaves nothing behind if it is no.
    fn acquire(
        self: Arc<Self>,
        request: Arc<LeaseRequest>,
        wait: Option<OnWait>,
    ) -> BoxFuture<'static, Result<Granted>>;

    /// All tickets, in the order of the queue.
    fn list(self: Arc<Self>) -> BoxFuture<'static, Result<Vec<LeaseInfo>>>;

    /// Takes the lease with this number from its holder, who has some moments to give it up.
    fn steal(self: Arc<Self>, fence: u64, by: Holder, reason: String) -> BoxFuture<'static, Result<Theft>>;

    /// All that were taken so.
    fn thefts(self: Arc<Self>) -> BoxFuture<'static, Result<Vec<Theft>>>;

    /// That it can be used.
    fn check(self: Arc<Self>) -> BoxFuture<'static, Result<()>>;
}

/// The answer to a request.
#[expect(clippy::large_enum_variant, reason = "there is one of it at a time")]
pub(super) enum Granted {
    Yes(Grant),
    No(Waiting),
}

/// A lease as the engine gives it to the keeper.
pub(super) struct Grant {
    pub(super) ticket: Ticket,
    /// Until when nobody else has it if nothing more is done.
    pub(super) until: Moment,
    pub(super) held: Box<dyn Held>,
}

/// What an engine can do with a lease that is held. Dropping it releases it, sooner or later.
pub(super) trait Held: Send + Sync + 'static {
    /// Renews it for another ttl. An error says nothing about whether it is still held.
    fn renew(&self) -> BoxFuture<'_, Result<Renewal>>;

    /// Ends when the engine notices between renewals that it is gone.
    fn gone(&self) -> BoxFuture<'_, Loss>;

    /// Gives it back, whoever has it by now: only its own ticket is touched.
    fn release(&self) -> BoxFuture<'_, Result<()>>;
}

pub(super) enum Renewal {
    Until(Moment),
    Gone(Loss),
}
