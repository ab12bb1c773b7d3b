//! [`TestLeases`]: what the runner holds for a test.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::held::Lease;
use super::holder::Holder;
use super::info::Waiting;
use super::leases::Leases;
use super::request::{LeaseMode, LeaseRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::lab::{HostSpec, Lab, ReservationConfig, Term};
use crate::os_user::os_user;
use crate::reservations::required_resources;

/// Labs that are made anew for each process, so that nobody can be in anybody's way there.
const BUILT_IN: [&str; 2] = ["local", "sim"];

/// What a test holds of its lab.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Holds {
    /// All of it, alone.
    #[default]
    Lab,
    /// Some of its hosts, by id.
    Hosts {
        /// Alone.
        exclusive: Vec<String>,
        /// Together with others who share them.
        shared: Vec<String>,
    },
}

/// The leases of a run: what `[reservations]` says, and who is asking. Cloning it is cheap.
///
/// What a test holds, as items of a lease: of a whole lab, the lab, each host and each resource, exclusively; of some hosts,
/// these and their resources, the lab as one that shares it, and the resources of the lab among the tests of that lab. So a
/// whole lab excludes each of its hosts, and two labs that name the same resource or the same host (id and address) exclude
/// each other.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # let folder = tempfile::tempdir().unwrap();
/// use otto::reservations::{Holds, Leases, TestLeases};
/// let lab = otto::Lab::builder("bench").host(otto::HostSpec::ssh("r1", "10.0.0.1")).resource("rack3").build()?;
/// let leases = TestLeases::new(Leases::sqlite(folder.path())?, "alice");
/// let lease = leases.hold(&lab, &Holds::Lab, "bgp::converges", |waiting| eprintln!("waiting: {waiting}")).await?.unwrap();
/// let items: Vec<_> = lease.info().items.keys().collect();
/// assert_eq!(items, ["host:r1@10.0.0.1", "lab:bench", "resource:rack3"]);
/// # Ok::<(), otto::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct TestLeases {
    leases: Leases,
    holder: Arc<Holder>,
    ttl: Option<Duration>,
    maximum: Option<Duration>,
    limit: Duration,
}

impl TestLeases {
    /// Those that `otto.toml`, `--as-user` and `--skip-reservation-check` describe; `None` if nothing is to be held: the
    /// backend is not one that holds, or the check is skipped.
    ///
    /// # Errors
    /// [`ErrorKind::ReservationBackend`] if the backend cannot be used, or is not part of this build.
    pub fn configured(config: &ReservationConfig, as_user: Option<&str>, skip: bool) -> Result<Option<Self>> {
        if skip {
            return Ok(None);
        }
        let Some(leases) = Leases::configured(config)? else { return Ok(None) };
        let user = match as_user {
            Some(user) => user.to_owned(),
            None => os_user()?,
        };
        let mut own = Self::new(leases, user);
        own.ttl = config.leases.ttl;
        own.maximum = config.leases.maximum;
        own.limit = config.leases.wait.unwrap_or(own.limit);
        Ok(Some(own))
    }

    /// Those in `leases`, for `user`. A test waits for an hour at most.
    #[must_use]
    pub fn new(leases: Leases, user: impl Into<String>) -> Self {
        let holder = Arc::new(Holder::of_this_process(user, ""));
        Self { leases, holder, ttl: None, maximum: None, limit: Duration::from_secs(60 * 60) }
    }

    /// With the run that all tests belong to, whatever process they are in. If nothing is said, nextest's is taken.
    #[must_use]
    pub fn run(mut self, run: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.holder).run = Some(run.into());
        self
    }

    /// Where they are kept: to list them, or to take one.
    #[must_use]
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// Waits until all that a test holds is free, and holds it; `None` if it is nothing that others could hold, as on the
    /// built-in labs. `on_wait` is told of the wait as by [`Leases::wait`].
    ///
    /// # Errors
    /// [`ErrorKind::Host`] for a host that the lab does not have; else as [`Leases::wait`].
    pub async fn hold(
        &self,
        lab: &Lab,
        holds: &Holds,
        test: &str,
        on_wait: impl Fn(&Waiting) + Send + Sync + 'static,
    ) -> Result<Option<Lease>> {
        let holder = Holder { purpose: format!("test {test}"), ..(*self.holder).clone() };
        let mut request = LeaseRequest::new(holder);
        let items = items(lab, holds)?;
        if items.is_empty() {
            return Ok(None);
        }
        for (item, mode) in items {
            request = request.item(item, mode);
        }
        if let Some(ttl) = self.ttl {
            request = request.ttl(ttl);
        }
        if let Some(maximum) = self.maximum {
            request = request.maximum(maximum);
        }
        self.leases.wait(&request, self.limit, on_wait).await.map(Some)
    }
}

impl fmt::Debug for TestLeases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestLeases").field("leases", &self.leases).field("holder", &self.holder).finish_non_exhaustive()
    }
}

fn items(lab: &Lab, holds: &Holds) -> Result<BTreeMap<String, LeaseMode>> {
    let mut items = Vec::new();
    let labs = || lab.names().filter(|name| !BUILT_IN.contains(name));
    match holds {
        Holds::Lab => {
            items.extend(labs().map(|name| (format!("lab:{name}"), LeaseMode::Exclusive)));
            let hosts = lab.hosts().filter(|host| !is_built_in(host));
            items.extend(hosts.map(|host| (host_item(host), LeaseMode::Exclusive)));
            items.extend(required_resources(lab).into_iter().map(|name| (resource_item(&name), LeaseMode::Exclusive)));
        }
        Holds::Hosts { exclusive, shared } => {
            items.extend(labs().map(|name| (format!("lab:{name}"), LeaseMode::Shared)));
            let among = LeaseMode::Among(lab.name().to_owned());
            items.extend(lab.resources().iter().map(|name| (resource_item(name), among.clone())));
            let exclusive = exclusive.iter().map(|id| (id, LeaseMode::Exclusive));
            for (id, mode) in exclusive.chain(shared.iter().map(|id| (id, LeaseMode::Shared))) {
                let Some(host) = lab.host(id) else {
                    let ids: Vec<_> = lab.hosts().map(|host| &*host.id).collect();
                    let message = format!("lab {} has no host `{id}` to hold; it has {}", lab.name(), ids.join(", "));
                    return Err(Error::new(ErrorKind::Host, message));
                };
                if !is_built_in(host) {
                    items.push((host_item(host), mode.clone()));
                }
                items.extend(host.resources.iter().map(|name| (resource_item(name), mode.clone())));
            }
        }
    }
    let mut set: BTreeMap<String, LeaseMode> = BTreeMap::new();
    for (item, mode) in items {
        let mode = set.remove(&item).map_or_else(|| mode.clone(), |known| known.and(&mode));
        set.insert(item, mode);
    }
    Ok(set)
}

fn is_built_in(host: &HostSpec) -> bool {
    !host.labs.is_empty() && host.labs.iter().all(|lab| BUILT_IN.contains(&&**lab))
}

fn resource_item(name: &str) -> String {
    format!("resource:{name}")
}

/// A host by what makes it the same one in every lab: its id and where it is.
fn host_item(host: &HostSpec) -> String {
    let place = match (&host.ip, host.term, &host.serial_options.device) {
        (Some(ip), ..) => ip.clone(),
        // Another machine has another one of that name.
        (None, Term::Serial, Some(device)) => format!("{}{}", machine(), device.display()),
        (None, ..) => machine(),
    };
    format!("host:{}@{place}", host.id)
}

fn machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(lab: &Lab, holds: &Holds) -> BTreeMap<String, LeaseMode> {
        items(lab, holds).unwrap()
    }

    fn clash(one: &BTreeMap<String, LeaseMode>, other: &BTreeMap<String, LeaseMode>) -> bool {
        one.iter().any(|(item, mode)| other.get(item).is_some_and(|other| !mode.allows(other)))
    }

    fn hosts(exclusive: &[&str], shared: &[&str]) -> Holds {
        let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        Holds::Hosts { exclusive: owned(exclusive), shared: owned(shared) }
    }

    #[test]
    fn a_lab_excludes_its_hosts_and_hosts_only_themselves() {
        let lab = |name: &str, resource: &str| {
            let host = |id: &str, ip: &str| HostSpec::ssh(id, ip);
            let dns = host("dns", "10.0.0.9").resource("dns-vm");
            let builder = Lab::builder(name).host(host("r1", "10.0.0.1")).host(host("r2", "10.0.0.2")).host(dns);
            builder.resource(resource).build().unwrap()
        };
        let bench = lab("bench", "rack3");
        let whole = set(&bench, &Holds::Lab);
        let r1 = set(&bench, &hosts(&["r1"], &["dns"]));
        let r2 = set(&bench, &hosts(&["r2"], &["dns"]));
        let dns = set(&bench, &hosts(&["dns"], &[]));
        assert!(clash(&whole, &r1) && clash(&whole, &whole) && clash(&r1, &r1));
        assert!(!clash(&r1, &r2) && clash(&r1, &dns));
        // Another lab, where the same rack and the same addresses are.
        let other = lab("other", "rack3");
        assert!(clash(&whole, &set(&other, &Holds::Lab)));
        assert!(clash(&r1, &set(&other, &hosts(&["r2"], &[]))), "a resource of two labs");
        let elsewhere = lab("elsewhere", "rack4");
        assert!(clash(&r1, &set(&elsewhere, &hosts(&["r1"], &[]))), "the same host");
        assert!(!clash(&r1, &set(&elsewhere, &hosts(&["r2"], &["dns"]))));
        // Several times, in several modes.
        assert_eq!(set(&bench, &hosts(&["dns"], &["dns"]))["host:dns@10.0.0.9"], LeaseMode::Exclusive);

        let error = items(&bench, &hosts(&["r3"], &[])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Host);
        assert!(error.to_string().contains("lab bench has no host `r3` to hold; it has r1, r2, dns"), "{error}");
    }
}
