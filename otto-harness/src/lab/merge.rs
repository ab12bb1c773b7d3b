//! Hosts of several files and labs into one lab: what is the same host, what contradicts, and whether the hops lead anywhere.

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
fn unite(first: &mut HostSpec, second: HostSpec, problems: &mut Vec<Problem>) {
    let differs = contradictions(first, &second);
    if !differs.is_empty() {
        let (differs, there) = (differs.join(", "), described_at(first));
        let message = format!("host `{}` is described twice, here and {there}, and differently: {differs}", second.id);
        problems.push(Problem::new(second.place, message));
        return;
    }
    add_new(&mut first.resources, second.resources);
    add_new(&mut first.tags, second.tags);
    add_new(&mut first.labs, second.labs);
    first.ip = first.ip.take().or(second.ip);
    first.name = first.name.take().or(second.name);
    first.port = first.port.or(second.port);
    first.user = first.user.take().or(second.user);
    first.host_key = first.host_key.take().or(second.host_key);
    first.known_hosts = first.known_hosts.take().or(second.known_hosts);
    if first.hop.is_none() {
        first.hop = second.hop;
        first.hop_place = second.hop_place;
    }
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
    for host in hosts.values() {
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
            Some(_) => match circle(hosts, host) {
                Some(circle) => {
                    format!("the hops of host `{}` lead round in a circle: {}", host.id, circle.join(" → "))
                }
                None => continue,
            },
        };
        problems.push(Problem::new(host.hop_place.clone().or_else(|| host.place.clone()), fault));
    }
}

/// The way from `host` through its hops back to it, if it comes back.
fn circle<'a>(hosts: &'a Hosts, host: &'a HostSpec) -> Option<Vec<&'a str>> {
    let mut way = vec![&*host.id];
    let mut at = host;
    // A way longer than there are hosts is in a circle that `host` is not part of: that of others, who report it.
    while way.len() <= hosts.len() {
        at = hosts.get(at.hop.as_deref()?)?;
        way.push(&at.id);
        if at.id == host.id {
            return Some(way);
        }
    }
    None
}
