//! [`Link`]: a route between two hosts.

use std::collections::HashSet;

use super::de::{At, Field};
use super::diagnose::{Place, Problem, Reader, did_you_mean};
use super::file::{EndFields, LinkFields, Rows};
use super::merge::Hosts;

/// A route between two hosts, as `links` in a lab file declare it. Plain data, for tests to read.
///
/// ```
/// let lab = otto::Lab::from_toml(r#"
///     lab = "bench"
///     hosts = [{ id = "r1", ip = "10.0.0.1" }, { id = "r2", ip = "10.0.0.2" }]
///     links = [{ endpoints = [{ host = "r1", interface = "eth1" }, { host = "r2", interface = "eth3" }], name = "core" }]
/// "#)?;
/// let [link] = lab.links() else { panic!() };
/// assert_eq!((link.ends[0].host.as_str(), link.ends[1].interface.as_deref()), ("r1", Some("eth3")));
/// assert_eq!((link.name.as_deref(), link.protocol.as_str()), (Some("core"), "tcp"));
/// # Ok::<(), otto::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// Its two ends.
    pub ends: [LinkEnd; 2],
    /// What it carries, in lower case; `tcp` if not said.
    pub protocol: String,
    /// Its name.
    pub name: Option<String>,
    /// The id of the host in its path that impairs it.
    pub impair: Option<String>,
    /// As otto-sh has it.
    pub management: Option<String>,
}

/// One end of a [`Link`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkEnd {
    /// The id of a host.
    pub host: String,
    /// The network interface there.
    pub interface: Option<String>,
}

/// A link as its file has it, and where it names hosts.
#[derive(Debug)]
pub(crate) struct LinkEntry {
    link: Link,
    named: Vec<(Place, String)>,
}

/// The links that a file declares, as far as they make sense.
pub(super) fn read(reader: &Reader<'_>, links: Field<Rows<LinkFields>>) -> Vec<LinkEntry> {
    links.value().unwrap_or_default().right().filter_map(|link| one(reader, link)).collect()
}

fn one(reader: &Reader<'_>, At { at, value: fields }: At<LinkFields>) -> Option<LinkEntry> {
    if !fields.endpoints.is_given() {
        reader.fault(at, "the link has no `endpoints`");
    }
    let ends = fields.endpoints.right()?;
    let (ends_at, count) = (ends.at, ends.value.0.len());
    if count != 2 {
        reader.fault(ends_at, format!("a link has two `endpoints`, and this has {count}"));
    }
    let ends: Vec<At<EndFields>> = ends.value.right().collect();
    let mut named = Vec::new();
    let mut read = Vec::new();
    for end in ends {
        if !end.value.host.is_given() {
            reader.fault(end.at, "the end of the link has no `host`");
        }
        let Some(host) = end.value.host.right() else { continue };
        named.push((reader.place(host.at), host.value.clone()));
        read.push(LinkEnd { host: host.value, interface: end.value.interface.value() });
    }
    let impair = fields.impair.right().map(|host| {
        named.push((reader.place(host.at), host.value.clone()));
        host.value
    });
    let ends: [LinkEnd; 2] = read.try_into().ok()?;
    if ends[0] == ends[1] {
        reader.fault(ends_at, "the two ends of a link have to differ");
    }
    let link = Link {
        ends,
        protocol: fields.protocol.value().map_or_else(|| "tcp".to_owned(), |text| text.to_lowercase()),
        name: fields.name.value(),
        impair,
        management: fields.management.value(),
    };
    Some(LinkEntry { link, named })
}

/// The links whose ends are hosts of the lab. One that leads from the lab to what is no host anywhere is a mistake.
pub(super) fn of_lab<'f>(
    hosts: &Hosts,
    links: impl Iterator<Item = &'f LinkEntry>,
    all_ids: impl FnOnce() -> HashSet<&'f str>,
    problems: &mut Vec<Problem>,
) -> Vec<Link> {
    let mut links = links.peekable();
    let all = if links.peek().is_some() { all_ids() } else { HashSet::new() };
    let mut found: Vec<Link> = Vec::new();
    for entry in links {
        if !entry.link.ends.iter().any(|end| hosts.contains_key(&end.host)) {
            continue;
        }
        for (place, host) in entry.named.iter().filter(|(_, host)| !hosts.contains_key(host) && !all.contains(&**host))
        {
            let near = did_you_mean(host, all.iter().copied());
            problems.push(Problem::at(place.clone(), format!("the link names `{host}`, which is no host{near}")));
        }
        if entry.link.ends.iter().all(|end| hosts.contains_key(&end.host)) && !found.contains(&entry.link) {
            found.push(entry.link.clone());
        }
    }
    found
}
