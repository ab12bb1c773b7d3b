//! How long what is reserved now stays so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use super::backend::Reservation;

/// Those of `required` that the user has now and will not have all the time until `limit` from now, with the moment at
/// which each ends. Reservations that follow each other without a gap are one.
pub(super) fn ends_within(
    required: &BTreeSet<String>,
    user: &str,
    reservations: &[Reservation],
    now: SystemTime,
    limit: Duration,
) -> BTreeMap<String, SystemTime> {
    let Some(goal) = now.checked_add(limit) else { return BTreeMap::new() };
    let ending = |resource: &String| {
        let own = || reservations.iter().filter(|one| one.user == user && one.resources.contains(resource));
        let mut until = now;
        // Each round reaches further, or is the last.
        loop {
            let reaching = own().filter(|one| one.is_in_force(until));
            match reaching.map(|one| one.end).max_by_key(|end| (end.is_none(), *end)) {
                None if until == now => return None,
                None => return Some((resource.clone(), until)),
                Some(None) => return None,
                Some(Some(end)) => until = end,
            }
            if until >= goal {
                return None;
            }
        }
    };
    required.iter().filter_map(ending).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_before_the_run_may_is_told() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let minutes = |number: u64| now + Duration::from_secs(60 * number);
        let one = |user: &str, resource: &str, start: Option<u64>, end: Option<u64>| Reservation {
            start: start.map(minutes),
            end: end.map(minutes),
            ..Reservation::new(user, [resource])
        };
        let all = [
            one("alice", "ever", None, None),
            one("alice", "short", None, Some(10)),
            one("bob", "short", None, None),
            one("alice", "chained", None, Some(10)),
            one("alice", "chained", Some(5), Some(20)),
            one("alice", "chained", Some(20), None),
            one("alice", "gap", None, Some(10)),
            one("alice", "gap", Some(11), None),
            one("alice", "later", Some(1), None),
        ];
        let required = ["ever", "short", "chained", "gap", "later", "nobody's"].map(str::to_owned).into();
        let ends = ends_within(&required, "alice", &all, now, Duration::from_secs(3600));
        assert_eq!(ends, BTreeMap::from([("short".to_owned(), minutes(10)), ("gap".to_owned(), minutes(10))]));
        assert!(ends_within(&required, "alice", &all, now, Duration::from_secs(600)).is_empty());
        assert!(ends_within(&required, "alice", &all, now, Duration::MAX).is_empty());
    }
}
