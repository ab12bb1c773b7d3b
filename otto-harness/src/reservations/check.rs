//! The check itself: what a lab requires against what the user holds.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::SystemTime;

use super::backend::{Reservation, ReservationBackend, unknowable};
use crate::error::{Error, ErrorKind, Result};
use crate::lab::Lab;

/// What has to be reserved to use the lab: its own resources and those of each of its hosts.
///
/// ```
/// use otto::{HostSpec, Lab, reservations::required_resources};
/// let lab = Lab::builder("bench").host(HostSpec::local("here").resource("router1")).resource("rack3").build()?;
/// assert!(required_resources(&lab).iter().eq(["rack3", "router1"]));
/// # Ok::<(), otto::Error>(())
/// ```
#[must_use]
pub fn required_resources(lab: &Lab) -> BTreeSet<String> {
    lab.resources().iter().chain(lab.hosts().flat_map(|host| &host.resources)).cloned().collect()
}

/// That `user` holds all that `lab` requires. A lab that requires nothing needs nobody's word.
///
/// # Errors
/// [`ErrorKind::Reservation`] that names what is missing and who holds it; [`ErrorKind::ReservationBackend`] if the backend
/// cannot tell.
pub async fn check_reservations(lab: &Lab, user: &str, backend: &dyn ReservationBackend) -> Result<()> {
    let required = required_resources(lab);
    if required.is_empty() {
        return Ok(());
    }
    let held = backend.held(user, &required).await.map_err(unknowable)?;
    let missing: Vec<&String> = required.difference(&held).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let reservations = backend.reservations().await.map_err(unknowable)?;
    let mut message = format!(
        "{user} has not reserved {} of the {} resources that lab {} requires",
        missing.len(),
        required.len(),
        lab.name()
    );
    for resource in missing {
        // Writing to a String cannot fail.
        let _ = write!(message, "\n  {resource}: {}", holders(resource, user, &reservations));
    }
    Err(Error::new(ErrorKind::Reservation, message)
        .hint("reserve what is missing; who is asking is the user of this machine, or the one that --as-user names"))
}

/// Who holds `resource` now, and if nobody does, when the user did or will.
fn holders(resource: &str, user: &str, reservations: &[Reservation]) -> String {
    let now = SystemTime::now();
    let of: Vec<&Reservation> = reservations.iter().filter(|of| of.resources.contains(resource)).collect();
    let holders: BTreeSet<String> = of
        .iter()
        .filter(|of| of.is_in_force(now))
        .map(|of| of.end.map_or_else(|| of.user.clone(), |end| format!("{} until {}", of.user, shown(end))))
        .collect();
    let mut text = match holders.len() {
        0 => "held by nobody".to_owned(),
        _ => format!("held by {}", holders.into_iter().collect::<Vec<_>>().join(", ")),
    };
    let own = || of.iter().filter(|of| of.user == user);
    let past = own().filter_map(|of| of.end).filter(|end| *end <= now).max();
    let future = own().filter_map(|of| of.start).filter(|start| *start > now).min();
    let own = [past.map(|end| ("ended", end)), future.map(|start| ("begins", start))];
    for (verb, time) in own.into_iter().flatten() {
        let _ = write!(text, "; {user}'s reservation {verb} at {}", shown(time));
    }
    text
}

/// A time as reservation files write it.
pub(super) fn shown(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| "a time beyond all calendars".to_owned(), |time| time.to_string())
}
