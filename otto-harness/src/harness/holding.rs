//! Which hosts of its lab a test has, and whether it shares them: `hosts(…)`, `shared(…)` and `each_host` against a lab.
//!
//! A pattern is a regex that matches whole ids, or `tag:` and a tag. A name is bound to one host: of those that its
//! pattern matches, the first in lab order that leaves the other names theirs.

use std::collections::{BTreeSet, HashSet};

use regex::Regex;

use super::gate::Claim;
use super::registry::{HostUse, TestCase};
use crate::context::{Declared, listed};
use crate::fleet::full_match;
use crate::lab::diagnose::nearest_first;
use crate::lab::{HostFacts, Lab};

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

/// A pattern that can be matched.
enum Pattern<'a> {
    Tag(&'a str),
    Id(Regex),
}

impl<'a> Pattern<'a> {
    fn new(text: &'a str) -> Result<Self, String> {
        match text.strip_prefix("tag:") {
            Some(tag) => Ok(Self::Tag(tag)),
            None => full_match(text).map(Self::Id).map_err(|error| error.chain()),
        }
    }

    fn fits(&self, host: &HostFacts) -> bool {
        match self {
            Self::Tag(tag) => host.tags.iter().any(|other| other == tag),
            Self::Id(regex) => regex.is_match(&host.id),
        }
    }
}

/// The ids that the pattern of `each_host` matches, in lab order.
///
/// # Errors
/// That it is no regex, or that it matches none.
pub(super) fn each_host(pattern: &str, lab: &str, hosts: &[HostFacts]) -> Result<Vec<String>, String> {
    Ok(matching("each_host", pattern, lab, hosts)?.into_iter().map(|at| hosts[at].id.clone()).collect())
}

impl Holding {
    /// What `case` has on this lab; `each` is the host of its instance, if `each_host` made it.
    ///
    /// # Errors
    /// What is wrong with its patterns, all at once.
    pub(super) fn choose(case: &TestCase, each: Option<&str>, lab: &str, hosts: &[HostFacts]) -> Result<Self, String> {
        if case.hosts.is_empty() && case.each_host.is_none() {
            return Ok(Self::Lab);
        }
        let mut faults = Vec::new();
        // For each host that it has, whether it has it for itself: who asks for both, has it for itself.
        let mut alone: Vec<Option<bool>> = vec![None; hosts.len()];
        let mut take = |at: usize, shared: bool| alone[at] = Some(alone[at] == Some(true) || !shared);
        if let (Some(id), Some(of)) = (each, case.each_host)
            && let Some(at) = hosts.iter().position(|host| host.id == id)
        {
            take(at, of.shared);
        }
        let mut names: Vec<(&HostUse, Vec<usize>)> = Vec::new();
        for one in case.hosts {
            let option = if one.shared { "shared" } else { "hosts" };
            match matching(option, one.pattern, lab, hosts) {
                Err(fault) => faults.push(fault),
                Ok(found) if one.name.is_some() => names.push((one, found)),
                Ok(found) => found.into_iter().for_each(|at| take(at, one.shared)),
            }
        }
        let mut bound = Vec::new();
        match bind(&names) {
            Ok(chosen) => {
                for ((one, _), at) in names.iter().zip(chosen) {
                    take(at, one.shared);
                    bound.push((one.name.unwrap_or_default().to_owned(), hosts[at].id.clone()));
                }
            }
            Err(number) => {
                let (one, found) = &names[number];
                let ids: Vec<_> = found.iter().map(|at| &*hosts[*at].id).collect();
                faults.push(format!(
                    "`{}` gets no host of lab `{lab}`: `{}` matches {}, and the other names need those",
                    one.name.unwrap_or_default(),
                    one.pattern,
                    listed(&ids)
                ));
            }
        }
        if !faults.is_empty() {
            return Err(faults.join("\n"));
        }
        let held = hosts.iter().zip(alone);
        let held = held.filter_map(|(host, alone)| Some(Held { id: host.id.clone(), shared: !alone? })).collect();
        Ok(Self::Hosts(Chosen { hosts: held, bound, each: each.map(str::to_owned) }))
    }

    /// What the gate is asked for. `in_several` knows the hosts that stand in more labs than one.
    pub(super) fn claims(&self, lab: &Lab, in_several: &HashSet<String>) -> Vec<Claim> {
        let parts = lab.names().filter(|part| !FREE_LABS.contains(part));
        let mut claims = Vec::new();
        match self {
            Self::Lab => {
                claims.extend(parts.map(|part| Claim { what: format!("lab {part}"), alone: true }));
                // By the lab's name alone, a test of another lab with the same device would not be kept away.
                let devices = lab.hosts().map(|host| host_key(&host.id, host.ip.as_deref()));
                claims.extend(devices.filter(|key| in_several.contains(key)).map(|what| Claim { what, alone: true }));
            }
            Self::Hosts(chosen) => {
                let mut labs = BTreeSet::new();
                for held in &chosen.hosts {
                    let Some(host) = lab.host(&held.id) else { continue };
                    let its =
                        parts.clone().filter(|part| host.labs.is_empty() || host.labs.iter().any(|of| of == part));
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

/// The places of the hosts that match.
fn matching(option: &str, pattern: &str, lab: &str, hosts: &[HostFacts]) -> Result<Vec<usize>, String> {
    let matcher = Pattern::new(pattern).map_err(|why| format!("in `{option}`: {why}"))?;
    let found: Vec<_> = hosts.iter().enumerate().filter(|(_, host)| matcher.fits(host)).map(|(at, _)| at).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let none = format!("no host of lab `{lab}` matches `{pattern}` of `{option}`");
    Err(match matcher {
        Pattern::Tag(tag) => {
            let tags: BTreeSet<&str> = hosts.iter().flat_map(|host| &host.tags).map(String::as_str).collect();
            let near = nearest_first(tag, tags);
            if near.is_empty() {
                format!("{none}\n  hint: its hosts have no tags")
            } else {
                format!("{none}\n  hint: the tags of its hosts, nearest first: {}", listed(&near))
            }
        }
        Pattern::Id(_) => {
            let near = nearest_first(pattern, hosts.iter().map(|host| &*host.id));
            format!("{none}, as a whole id\n  hint: its hosts, nearest first: {}", listed(&near))
        }
    })
}

/// A host for each name, none twice; else which name gets none.
fn bind(names: &[(&HostUse, Vec<usize>)]) -> Result<Vec<usize>, usize> {
    /// Gives `name` a host, moving names that have one to another of theirs if need be.
    fn place(
        name: usize,
        names: &[(&HostUse, Vec<usize>)],
        owner: &mut Vec<(usize, usize)>,
        seen: &mut HashSet<usize>,
    ) -> bool {
        for &host in &names[name].1 {
            if !seen.insert(host) {
                continue;
            }
            let taken = owner.iter().position(|(_, of)| *of == host);
            let Some(taken) = taken else {
                owner.push((name, host));
                return true;
            };
            let other = owner[taken].0;
            if place(other, names, owner, seen) {
                owner.retain(|entry| *entry != (other, host));
                owner.push((name, host));
                return true;
            }
        }
        false
    }
    let mut owner = Vec::new();
    for name in 0..names.len() {
        if !place(name, names, &mut owner, &mut HashSet::new()) {
            return Err(name);
        }
    }
    owner.sort_unstable();
    Ok(owner.into_iter().map(|(_, host)| host).collect())
}
