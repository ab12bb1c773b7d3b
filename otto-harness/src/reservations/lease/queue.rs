//! The queue, which is the whole protocol: a ticket is granted once nothing before it wants the same.
//!
//! Every engine numbers tickets in one order that all processes see. A ticket names its whole set, so nobody holds a part
//! while waiting for the rest, and nothing can come before a ticket later, so what is granted stays granted. Whoever waits
//! for less is not passed by for ever by those who want more, nor the other way round.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::holder::Holder;
use super::info::{LeaseInfo, LeaseState, Waiting};
use super::request::{LeaseMode, LeaseRequest};

/// What an engine stores of a lease, or of a request for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) items: BTreeMap<String, LeaseMode>,
    pub(super) holder: Holder,
    /// When it was asked for or, once that was not at once, granted: milliseconds since 1970, for people.
    pub(super) since: u64,
    /// Who takes it away, and why. Its holder has to give it up at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stolen: Option<(String, String)>,
}

impl Record {
    pub(super) fn of(request: &LeaseRequest) -> Self {
        Self { items: request.items.clone(), holder: request.holder.clone(), since: millis_now(), stolen: None }
    }
}

/// Milliseconds since 1970, for people.
pub(super) fn millis_now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// A record with its number in the queue.
#[derive(Debug, Clone)]
pub(super) struct Ticket {
    pub(super) fence: u64,
    /// Unique for ever, and the name of all that belongs to it.
    pub(super) id: String,
    pub(super) record: Record,
}

impl Ticket {
    /// Whether it has to wait for `other` to go.
    fn waits_for(&self, other: &Self) -> bool {
        other.fence < self.fence && !common(&self.record.items, &other.record.items).is_empty()
    }

    pub(super) fn info(&self, state: LeaseState) -> LeaseInfo {
        LeaseInfo {
            fence: self.fence,
            items: self.record.items.clone(),
            holder: self.record.holder.clone(),
            state,
            since: SystemTime::UNIX_EPOCH + Duration::from_millis(self.record.since),
        }
    }
}

/// What both want and cannot have together.
fn common<'a>(ours: &'a BTreeMap<String, LeaseMode>, theirs: &BTreeMap<String, LeaseMode>) -> Vec<&'a str> {
    let clash = |item: &str, mode: &LeaseMode| theirs.get(item).is_some_and(|other| !mode.allows(other));
    // A whole lab may be thousands of items, and most tests hold few.
    if ours.len() > 4 * theirs.len() {
        let both = theirs.keys().filter_map(|item| ours.get_key_value(item));
        return both.filter(|(item, mode)| clash(item, mode)).map(|(item, _)| item.as_str()).collect();
    }
    ours.iter().filter(|(item, mode)| clash(item, mode)).map(|(item, _)| item.as_str()).collect()
}

/// Those of `tickets` that `own` has to wait for, oldest first. It is granted if there are none.
pub(super) fn ahead<'a>(tickets: &'a [Ticket], own: &Ticket) -> Vec<&'a Ticket> {
    let mut ahead: Vec<_> = tickets.iter().filter(|other| own.waits_for(other)).collect();
    ahead.sort_by_key(|ticket| ticket.fence);
    ahead
}

/// What there is to tell about the wait of `own`, which is behind `ahead`.
pub(super) fn waiting(tickets: &[Ticket], own: &Ticket, ahead_of_it: &[&Ticket], waited: Duration) -> Waiting {
    let mut items: Vec<String> = Vec::new();
    let mut position = 1;
    let mut infos = Vec::new();
    for ticket in ahead_of_it {
        for item in common(&own.record.items, &ticket.record.items) {
            if !items.iter().any(|known| known == item) {
                items.push(item.to_owned());
            }
        }
        let state = state(tickets, ticket);
        position += usize::from(state == LeaseState::Waiting);
        infos.push(ticket.info(state));
    }
    Waiting { position, ahead: infos, items, waited }
}

/// Whether a ticket is granted.
pub(super) fn state(tickets: &[Ticket], ticket: &Ticket) -> LeaseState {
    if tickets.iter().any(|other| ticket.waits_for(other)) { LeaseState::Waiting } else { LeaseState::Held }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(fence: u64, items: &[(&str, LeaseMode)]) -> Ticket {
        let items = items.iter().map(|(item, mode)| ((*item).to_owned(), mode.clone())).collect();
        let holder = Holder::of_this_process("alice", "");
        Ticket { fence, id: fence.to_string(), record: Record { items, holder, since: 0, stolen: None } }
    }

    #[test]
    fn a_ticket_waits_for_all_before_it_that_want_the_same() {
        use LeaseMode::{Among, Exclusive, Shared};
        let among = |lab: &str| Among(lab.to_owned());
        let tickets = [
            ticket(1, &[("a", Exclusive), ("rack", among("x"))]),
            ticket(2, &[("b", Shared), ("rack", among("x"))]),
            ticket(3, &[("b", Shared), ("a", Shared)]),
            ticket(4, &[("b", Exclusive)]),
            ticket(5, &[("b", Shared)]),
            ticket(6, &[("c", Exclusive), ("rack", among("y"))]),
            ticket(7, &[("d", Exclusive)]),
        ];
        let ahead_of = |fence: u64| {
            let own = tickets.iter().find(|ticket| ticket.fence == fence).unwrap();
            ahead(&tickets, own).iter().map(|ticket| ticket.fence).collect::<Vec<_>>()
        };
        assert_eq!(ahead_of(1), [0; 0]);
        assert_eq!(ahead_of(2), [0; 0]);
        assert_eq!(ahead_of(3), [1]);
        assert_eq!(ahead_of(4), [2, 3]);
        // It could share with 2, and does not pass 4 by.
        assert_eq!(ahead_of(5), [4]);
        assert_eq!(ahead_of(6), [1, 2]);
        assert_eq!(ahead_of(7), [0; 0]);

        let own = &tickets[3];
        let told = waiting(&tickets, own, &ahead(&tickets, own), Duration::ZERO);
        assert_eq!((told.position, told.items), (2, vec!["b".to_owned()]));
        assert_eq!(told.ahead.iter().filter(|lease| lease.state == LeaseState::Held).count(), 1);
    }

    #[test]
    fn large_and_small_sets_clash_alike() {
        let large: Vec<_> = (0..100).map(|number| (format!("host{number}"), LeaseMode::Exclusive)).collect();
        let large: Vec<_> = large.iter().map(|(name, mode)| (name.as_str(), mode.clone())).collect();
        let large = ticket(1, &large).record.items;
        let small = ticket(2, &[("host7", LeaseMode::Shared), ("other", LeaseMode::Exclusive)]).record.items;
        assert_eq!(common(&large, &small), ["host7"]);
        assert_eq!(common(&small, &large), ["host7"]);
    }
}
