//! Hosts of several files and labs into one lab: what is the same host, what contradicts, and whether the hops lead anywhere.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;

use indexmap::IndexMap;
use indexmap::map::Entry;

use super::diagnose::{Problem, did_you_mean};
use super::serial::SerialOptions;
use super::spec::{HostSpec, SshOptions, Term};
use super::telnet::TelnetOptions;

/// The hosts of a lab by id, in order.
pub(crate) type Hosts = IndexMap<String, HostSpec>;

/// Adds `host`: the same id at the same address is one host; the same id elsewhere is a mistake.
pub(crate) fn join(hosts: &mut Hosts, host: HostSpec, problems: &mut Vec<Problem>) {
    match hosts.entry(host.id.clone()) {
        Entry::Vacant(entry) => {
            entry.insert(host);
        }
        // One entry of one file that is in both labs.
        Entry::Occupied(entry) if host.place.is_some() && entry.get().place == host.place => {}
        Entry::Occupied(mut entry) => unite(entry.get_mut(), host, problems),
    }
}

/// Makes one of two descriptions of a host, unless they contradict each other.
fn unite(first: &mut HostSpec, mut second: HostSpec, problems: &mut Vec<Problem>) {
    let differs = contradictions(first, &second);
    if !differs.is_empty() {
        let (differs, there) = (differs.join(", "), described_at(first));
        let message = format!("host `{}` is described twice, here and {there}, and differently: {differs}", second.id);
        problems.push(Problem::new(second.place, message));
        return;
    }
    take_origins(first, &mut second);
    add_new(&mut first.resources, second.resources);
    add_new(&mut first.tags, second.tags);
    add_new(&mut first.labs, second.labs);
    first.ip = first.ip.take().or(second.ip);
    first.name = first.name.take().or(second.name);
    first.port = first.port.or(second.port);
    first.user = first.user.take().or(second.user);
    first.host_key = first.host_key.take().or(second.host_key);
    first.known_hosts = first.known_hosts.take().or(second.known_hosts);
    first.hop = first.hop.take().or(second.hop);
    if first.ssh_options == SshOptions::default() {
        first.ssh_options = second.ssh_options;
    }
    if first.telnet_options == TelnetOptions::default() {
        first.telnet_options = second.telnet_options;
    }
    if first.serial_options == SerialOptions::default() {
        first.serial_options = second.serial_options;
    }
    if first.creds.is_empty() {
        first.creds = second.creds;
    }
    for (name, data) in second.extra {
        first.extra.entry(name).or_insert(data);
    }
}

/// Adds where the fields are said that `first` gets from `second`: those it lacks, and the lists that are united.
fn take_origins(first: &mut HostSpec, second: &mut HostSpec) {
    const UNITED: [&str; 3] = ["resources", "tags", "labs"];
    let table = |field: &str| field.split('.').next().unwrap_or_default().to_owned();
    let known: HashSet<String> = first.origins.iter().map(|(field, _)| table(field)).collect();
    let new = std::mem::take(&mut second.origins).into_iter();
    first.origins.extend(new.filter(|(field, _)| UNITED.contains(&&**field) || !known.contains(&table(field))));
}

fn described_at(host: &HostSpec) -> String {
    host.origin().map_or_else(|| "in code".to_owned(), |place| format!("at {place}"))
}

fn add_new(ours: &mut Vec<String>, theirs: Vec<String>) {
    for text in theirs {
        if !ours.contains(&text) {
            ours.push(text);
        }
    }
}

/// What two descriptions of a host both say, and say differently, as to where it is and how it is reached.
fn contradictions(first: &HostSpec, second: &HostSpec) -> Vec<String> {
    fn both(
        found: &mut Vec<String>,
        what: &str,
        first: Option<impl Display + PartialEq>,
        second: Option<impl Display>,
    ) {
        if let (Some(first), Some(second)) = (first, second) {
            let (first, second) = (first.to_string(), second.to_string());
            if first != second {
                found.push(format!("{what} {second} and {first}"));
            }
        }
    }
    let mut found = Vec::new();
    both(&mut found, "ip", first.ip.as_ref(), second.ip.as_ref());
    both(&mut found, "term", Some(first.term.as_str()), Some(second.term.as_str()));
    both(&mut found, "port", first.port, second.port);
    both(&mut found, "user", first.user.as_ref(), second.user.as_ref());
    both(&mut found, "hop", first.hop.as_ref(), second.hop.as_ref());
    both(&mut found, "host_key", first.host_key.as_ref(), second.host_key.as_ref());
    both(&mut found, "host_key_check", Some(first.host_key_check.as_str()), Some(second.host_key_check.as_str()));
    let path = |host: &HostSpec| host.known_hosts.as_ref().map(|path| path.display().to_string());
    both(&mut found, "known_hosts", path(first), path(second));
    let device = |host: &HostSpec| host.serial_options.device.as_ref().map(|path| path.display().to_string());
    both(&mut found, "device", device(first), device(second));
    found
}

/// Notes hops that lead to no host of the lab, to one that cannot forward, or round in a circle.
///
/// `elsewhere` names a lab that has a host of that id.
pub(crate) fn check_hops(hosts: &Hosts, elsewhere: impl Fn(&str) -> Option<String>, problems: &mut Vec<Problem>) {
    let circles = circles(hosts);
    for (index, host) in hosts.values().enumerate() {
        let Some(hop) = host.hop.as_deref() else { continue };
        let fault = match hosts.get(hop) {
            None => {
                let help = elsewhere(hop).map_or_else(
                    || did_you_mean(hop, hosts.keys().map(String::as_str)),
                    |lab| format!(": lab `{lab}` has it; select that too, joined with `+`"),
                );
                format!("host `{}` is reached through `{hop}`, which is no host of the lab{help}", host.id)
            }
            Some(through) if through.term != Term::Ssh => {
                let term = through.term.as_str();
                format!(
                    "host `{}` is reached through `{hop}`, which is a {term} host; a hop has to be an ssh host",
                    host.id
                )
            }
            Some(_) => match circles.get(&index) {
                Some(&length) => {
                    let way = way_round(hosts, host, length);
                    format!("the hops of host `{}` lead round in a circle: {way}", host.id)
                }
                None => continue,
            },
        };
        let place = host.origins_at("hop").next().or(host.place.as_ref()).cloned();
        problems.push(Problem::new(place, fault));
    }
}

/// The hosts, by their places in the lab, whose hops come back to them, and how many hosts are in the circle.
///
/// Each host is passed once, however long the ways are.
fn circles(hosts: &Hosts) -> HashMap<usize, usize> {
    let hop = |index: usize| hosts.get_index_of(hosts.get_index(index)?.1.hop.as_deref()?);
    let mut passed = vec![false; hosts.len()];
    let mut found = HashMap::new();
    for start in 0..hosts.len() {
        let mut way = Vec::new();
        let mut at = Some(start);
        while let Some(index) = at.filter(|index| !passed[*index]) {
            passed[index] = true;
            way.push(index);
            at = hop(index);
        }
        if let Some(begin) = way.iter().position(|index| Some(*index) == at) {
            found.extend(way[begin..].iter().map(|index| (*index, way.len() - begin)));
        }
    }
    found
}

/// The ids in a circle of hops, from `host` back to it; of a long one the beginning.
fn way_round(hosts: &Hosts, host: &HostSpec, length: usize) -> String {
    const SHOWN: usize = 8;
    let next = |host: &&HostSpec| hosts.get(host.hop.as_deref()?);
    let mut ids: Vec<&str> =
        std::iter::successors(Some(host), next).take(length.min(SHOWN)).map(|it| &*it.id).collect();
    if length > SHOWN {
        ids.push("…");
    }
    ids.push(&host.id);
    ids.join(" → ")
}
