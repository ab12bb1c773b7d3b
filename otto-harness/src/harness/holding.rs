//! Which hosts of its lab a test has, and whether it shares them: `hosts(…)`, `shared(…)` and `each_host` against a lab.

use std::collections::{BTreeSet, HashSet};

use super::gate::Claim;
use super::registry::{HostUse, TestCase};
use crate::context::Declared;
use crate::lab::{Lab, Mode, Need};

/// Labs whose tests have nothing to share: everybody has them, and nobody has to reserve them.
pub(super) const FREE_LABS: [&str; 2] = ["local", "sim"];

/// What a test has while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holding {
    /// All of its lab, for itself.
    Lab,
    /// These hosts, and no others.
    Hosts(Chosen),
}

/// The hosts that a test chose.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Chosen {
    /// In lab order, each once.
    pub(super) hosts: Vec<Held>,
    /// Names and the ids that they stand for.
    pub(super) bound: Vec<(String, String)>,
    /// The one that `each_host` made this instance for.
    pub(super) each: Option<String>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) id: String,
    pub(super) shared: bool,
}

/// The ids that the pattern of `each_host` fits, in lab order.
///
/// # Errors
/// That it is no pattern, or that nothing fits it.
pub(super) fn each_host(each: HostUse, outline: &Lab) -> Result<Vec<String>, String> {
    let choice = need(&each).and_then(|need| outline.choose(&[need]).map_err(|error| error.chain()));
    let choice = choice.map_err(|why| format!("each_host = \"{}\": {why}", each.pattern))?;
    Ok(choice.hosts().map(|(id, _)| id.to_owned()).collect())
}

fn mode(one: HostUse) -> Mode {
    if one.shared { Mode::Shared } else { Mode::Exclusive }
}

/// What `choose` understands.
fn need(one: &HostUse) -> Result<Need, String> {
    let need = Need::new(one.pattern).map(|need| need.mode(mode(*one)));
    let need = need.and_then(|need| match one.name {
        Some(name) => need.bound_to(name),
        None => Ok(need),
    });
    need.map_err(|error| error.chain())
}

impl Holding {
    /// What `case` has on this lab; `each` is the host of its instance, if `each_host` made it.
    ///
    /// # Errors
    /// What is wrong with its patterns.
    pub(super) fn choose(case: &TestCase, each: Option<&str>, outline: &Lab) -> Result<Self, String> {
        if case.hosts.is_empty() && case.each_host.is_none() {
            return Ok(Self::Lab);
        }
        let mut needs = Vec::new();
        if let (Some(id), Some(of)) = (each, case.each_host) {
            // What is the id of a host means that host, whatever else it is as a regex.
            needs.push(Need::new(id).map_err(|error| error.chain())?.mode(mode(of)));
        }
        let (mut faults, mut own) = (Vec::new(), Vec::new());
        for one in case.hosts {
            let option = if one.shared { "shared" } else { "hosts" };
            let need = need(one).and_then(|need| match outline.choose(std::slice::from_ref(&need)) {
                Ok(_) => Ok(need),
                Err(error) => Err(error.chain()),
            });
            match need {
                Ok(need) => own.push(need),
                // All that fit nothing are named at once.
                Err(why) => faults.push(format!("{option}(\"{}\"): {why}", one.pattern)),
            }
        }
        if !faults.is_empty() {
            return Err(faults.join("\n"));
        }
        needs.extend(own);
        let choice = outline.choose(&needs).map_err(|error| error.chain())?;
        let held = |(id, mode): (&str, Mode)| Held { id: id.to_owned(), shared: mode == Mode::Shared };
        Ok(Self::Hosts(Chosen {
            hosts: choice.hosts().map(held).collect(),
            bound: choice.bindings().map(|(name, id)| (name.to_owned(), id.to_owned())).collect(),
            each: each.map(str::to_owned),
        }))
    }

    /// What the gate is asked for. `in_several` knows the hosts that stand in more labs than one.
    pub(super) fn claims(&self, lab: &Lab, in_several: &HashSet<String>) -> Vec<Claim> {
        let parts: Vec<&str> = lab.names().filter(|part| !FREE_LABS.contains(part)).collect();
        let mut claims = Vec::new();
        match self {
            Self::Lab => {
                claims.extend(parts.iter().map(|part| Claim { what: format!("lab {part}"), alone: true }));
                // By the lab's name alone, a test of another lab with the same device would not be kept away.
                let devices = lab.hosts().map(|host| host_key(&host.id, host.ip.as_deref()));
                claims.extend(devices.filter(|key| in_several.contains(key)).map(|what| Claim { what, alone: true }));
            }
            Self::Hosts(chosen) => {
                let mut labs: BTreeSet<&str> = BTreeSet::new();
                for held in &chosen.hosts {
                    let Some(host) = lab.host(&held.id) else { continue };
                    let its =
                        parts.iter().filter(|part| host.labs.is_empty() || host.labs.iter().any(|of| of == *part));
                    labs.extend(its);
                    let what = host_key(&host.id, host.ip.as_deref());
                    claims.push(Claim { what, alone: !held.shared });
                }
                claims.extend(labs.into_iter().map(|part| Claim { what: format!("lab {part}"), alone: false }));
            }
        }
        claims
    }

    /// What the test's context lets it use; `None` for all of the lab.
    pub(super) fn declared(&self) -> Option<Declared> {
        match self {
            Self::Lab => None,
            Self::Hosts(chosen) => Some(Declared {
                ids: chosen.hosts.iter().map(|held| held.id.clone()).collect(),
                bound: chosen.bound.clone(),
                each: chosen.each.clone(),
            }),
        }
    }
}

/// What makes two hosts of two labs the same device: merging labs goes by the same.
pub(super) fn host_key(id: &str, ip: Option<&str>) -> String {
    format!("host {id} at {}", ip.unwrap_or("an unknown address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab(text: &str) -> Lab {
        Lab::from_toml(text).unwrap()
    }

    fn bench() -> Lab {
        lab("lab = 'bench'\nhosts = [{ id = 'r1', ip = '10.0.0.1' }, { id = 'r2', ip = '10.0.0.2' }]")
    }

    fn held(ids: &[(&str, bool)]) -> Holding {
        let hosts = ids.iter().map(|(id, shared)| Held { id: (*id).to_owned(), shared: *shared }).collect();
        Holding::Hosts(Chosen { hosts, ..Chosen::default() })
    }

    fn texts(claims: Vec<Claim>) -> Vec<String> {
        claims.into_iter().map(|claim| claim.what + if claim.alone { "" } else { "~" }).collect()
    }

    #[test]
    fn hosts_are_claimed_with_a_share_in_their_lab() {
        let none = HashSet::new();
        assert_eq!(texts(Holding::Lab.claims(&bench(), &none)), ["lab bench"]);
        assert_eq!(
            texts(held(&[("r1", false), ("r2", true)]).claims(&bench(), &none)),
            ["host r1 at 10.0.0.1", "host r2 at 10.0.0.2~", "lab bench~"]
        );
    }

    #[test]
    fn a_device_of_two_labs_is_claimed_with_either() {
        let both = HashSet::from([host_key("r1", Some("10.0.0.1"))]);
        assert_eq!(texts(Holding::Lab.claims(&bench(), &both)), ["lab bench", "host r1 at 10.0.0.1"]);
    }

    #[test]
    fn built_in_labs_are_claimed_only_by_host() {
        let local = Lab::builder("local").host(crate::lab::HostSpec::local("local")).build().unwrap();
        assert!(Holding::Lab.claims(&local, &HashSet::new()).is_empty());
        assert_eq!(
            texts(held(&[("local", false)]).claims(&local, &HashSet::new())),
            ["host local at an unknown address"]
        );
    }
}
