//! What every [`ReservationBackend`] has to do, as a test that its author runs.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::backend::ReservationBackend;
use crate::error::ErrorKind;

/// How long an answer may take: as long as the gate gives it.
const LIMIT: Duration = Duration::from_secs(30);
/// A user, and a resource, that nobody has.
const NOBODY: &str = "otto-conformance-nobody";

/// Asserts that a backend keeps the rules that otto relies on: it answers in time, also when it is asked by many at once;
/// what `held` says agrees with `reservations`; nobody has what nobody reserved; only what was asked for is answered; users
/// and resources are told apart by case; times are in order; an error is of the kind
/// [`ReservationBackend`](crate::ErrorKind::ReservationBackend).
///
/// It changes nothing, so it can be run against the real service.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use otto::reservations::JsonReservations;
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("reservations.json");
/// # std::fs::write(&path, r#"[{ "user": "alice", "resources": ["rack3"] }]"#).unwrap();
/// otto::testing::assert_reservation_backend_conforms(&JsonReservations::open(&path)?).await;
/// # Ok::<(), otto::Error>(())
/// # }).unwrap();
/// ```
///
/// # Panics
/// With all rules that the backend breaks.
pub async fn assert_reservation_backend_conforms(backend: &dyn ReservationBackend) {
    let broken = faults(backend).await;
    assert!(
        broken.is_empty(),
        "the reservation backend `{}` does not conform:\n  {}",
        backend.name(),
        broken.join("\n  ")
    );
}

/// As the assertion, as text.
async fn faults(backend: &dyn ReservationBackend) -> Vec<String> {
    let mut faults = Vec::new();
    let name = backend.name();
    if name.is_empty() || name.trim() != name || name.chars().any(char::is_control) {
        faults.push(format!("its name is {name:?}, which nobody can write into otto.toml"));
    }
    if name != backend.name() {
        faults.push("its name changes".to_owned());
    }
    let ask = || async {
        match tokio::time::timeout(LIMIT, backend.reservations()).await {
            Err(_) => Err(format!("reservations() did not answer within {LIMIT:?}")),
            Ok(Err(error)) if error.kind() == ErrorKind::ReservationBackend => {
                Err(format!("reservations() failed, so nothing below could be asked: {}", error.chain()))
            }
            Ok(Err(error)) => Err(format!(
                "reservations() failed with an error of the kind {:?}, which has to be ReservationBackend: {}",
                error.kind(),
                error.chain()
            )),
            Ok(Ok(all)) => Ok(all),
        }
    };
    // At once, as the labs of one run ask.
    let (first, ..) = tokio::join!(ask(), ask(), ask(), ask());
    let all = match first {
        Ok(all) => all,
        Err(fault) => {
            faults.push(fault);
            return faults;
        }
    };
    for one in &all {
        if one.user.trim().is_empty() {
            faults.push("a reservation has no user".to_owned());
        }
        if one.resources.iter().any(|name| name.trim().is_empty()) {
            faults.push(format!("a reservation of {} has a resource without a name", one.user));
        }
        if let (Some(start), Some(end)) = (one.start, one.end)
            && end <= start
        {
            faults.push(format!("a reservation of {} ends before it begins", one.user));
        }
    }
    let mut users: BTreeSet<&str> = all.iter().map(|one| &*one.user).collect();
    users.insert(NOBODY);
    let mut required: BTreeSet<String> = all.iter().flat_map(|one| one.resources.clone()).collect();
    required.insert(NOBODY.to_owned());
    for user in users {
        let before = SystemTime::now();
        let held = match tokio::time::timeout(LIMIT, backend.held(user, &required)).await {
            Ok(Ok(held)) => held,
            Ok(Err(error)) => {
                faults.push(format!("held({user:?}) failed: {}", error.chain()));
                continue;
            }
            Err(_) => {
                faults.push(format!("held({user:?}) did not answer within {LIMIT:?}"));
                continue;
            }
        };
        let in_force = |time| {
            let own = all.iter().filter(move |one| one.user == user && one.is_in_force(time));
            own.flat_map(|one| one.resources.iter().cloned()).collect::<BTreeSet<_>>()
        };
        // What begins or ends just now may be said either way.
        let (one, other) = (in_force(before), in_force(SystemTime::now()));
        if name != "none" && held != one && held != other {
            faults.push(format!("held({user:?}) is {held:?}, and by reservations() it is {one:?}"));
        }
        if !held.is_subset(&required) {
            faults.push(format!("held({user:?}) names what was not asked for"));
        }
        if matches!(tokio::time::timeout(LIMIT, backend.held(user, &BTreeSet::new())).await, Ok(Ok(held)) if !held.is_empty())
        {
            faults.push(format!("held({user:?}) of nothing is something"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Result};
    use crate::reservations::{NoReservations, Reservation};
    use crate::transport::BoxFuture;

    #[derive(Clone, Copy, PartialEq)]
    enum Breaks {
        Nothing,
        Kind,
        Held,
        Times,
        Case,
    }

    struct Backend(Breaks);

    impl ReservationBackend for Backend {
        fn name(&self) -> &'static str {
            "mine"
        }

        fn reservations(&self) -> BoxFuture<'_, Result<Vec<Reservation>>> {
            Box::pin(async {
                let mut one = Reservation::new("alice", ["rack3"]);
                if self.0 == Breaks::Kind {
                    return Err(Error::new(ErrorKind::Io, "the line is cut"));
                }
                if self.0 == Breaks::Times {
                    (one.start, one.end) = (Some(SystemTime::now()), Some(SystemTime::UNIX_EPOCH));
                }
                let mut past = Reservation::new("bob", ["rack4"]);
                past.end = Some(SystemTime::UNIX_EPOCH);
                Ok(vec![one, past, Reservation::new("Alice", ["rack5"])])
            })
        }

        fn held<'a>(
            &'a self,
            user: &'a str,
            required: &'a BTreeSet<String>,
        ) -> BoxFuture<'a, Result<BTreeSet<String>>> {
            Box::pin(async move {
                let mut held = BTreeSet::new();
                for one in self.reservations().await? {
                    let same =
                        if self.0 == Breaks::Case { one.user.eq_ignore_ascii_case(user) } else { one.user == user };
                    if same && (one.is_in_force(SystemTime::now()) || self.0 == Breaks::Held) {
                        held.extend(one.resources.intersection(required).cloned());
                    }
                }
                Ok(held)
            })
        }
    }

    #[tokio::test]
    async fn what_breaks_a_rule_is_told_and_nothing_else() {
        for (breaks, part) in [
            (Breaks::Kind, "of the kind Io, which has to be ReservationBackend"),
            (Breaks::Held, "held(\"bob\") is {\"rack4\"}, and by reservations() it is {}"),
            (Breaks::Times, "a reservation of alice ends before it begins"),
            (Breaks::Case, "held(\"Alice\") is {\"rack3\", \"rack5\"}"),
        ] {
            let found = faults(&Backend(breaks)).await.join("\n");
            assert!(found.contains(part), "{found}");
        }
        assert_reservation_backend_conforms(&Backend(Breaks::Nothing)).await;
        assert_reservation_backend_conforms(&NoReservations).await;
    }
}
