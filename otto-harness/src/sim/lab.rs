//! The simulated lab as the lab that tests are given.

use std::sync::{Mutex, PoisonError};

use super::{RunningHost, SimHost, SimLab};
use crate::error::Result;
use crate::lab::{HostSpec, Lab};

/// The ids of the hosts of the built-in lab.
pub(crate) const HOSTS: &[&str] = &["sim1", "sim2", "sim3", "sim-hop"];

/// The built-in lab `sim`, with the hosts `sim1`, `sim2`, `sim3` and `sim-hop`, over which `sim3` is reached. The first call starts it; it runs as long as this
/// process.
///
/// # Errors
///
/// When the lab cannot be started. The next call tries again.
pub fn builtin_lab() -> Result<Lab> {
    static SIM: Mutex<Option<SimLab>> = Mutex::new(None);
    let mut sim = SIM.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = &*sim {
        return running.lab("sim");
    }
    let mut hosts = SimLab::builder();
    for id in HOSTS {
        let host = SimHost::new(*id);
        hosts = hosts.host(match *id {
            // One of them by password, so that both ways to log in are used.
            "sim2" => host.password(),
            "sim3" => host.hop("sim-hop"),
            _ => host,
        });
    }
    sim.insert(hosts.start()?).lab("sim")
}

impl SimLab {
    /// This lab under a name, to open a context on.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let sim = otto::sim::SimLab::builder().host("router1").start()?;
    /// let ctx = otto::open_context(sim.lab("bench")?).open().await?;
    /// assert_eq!(ctx.get_host("router1")?.run("echo hi").await?.only()?.output, "hi");
    /// ctx.close().await
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// When two of its hosts have one id, or an id is no id.
    pub fn lab(&self, name: &str) -> Result<Lab> {
        self.hosts().iter().fold(Lab::builder(name), |lab, host| lab.host(spec(host))).build()
    }
}

fn spec(host: &RunningHost) -> HostSpec {
    let mut spec = HostSpec::ssh(host.id(), "127.0.0.1").port(host.port()).user(host.user()).host_key(host.host_key());
    if let Some(password) = host.password() {
        spec = spec.password(password);
    }
    if let Some(key) = host.key_file() {
        spec = spec.key_file(key);
    }
    if let Some(hop) = &host.hop {
        spec = spec.hop(hop);
    }
    spec
}
