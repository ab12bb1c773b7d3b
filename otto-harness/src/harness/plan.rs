//! What `--dry-run` shows: what would be run, on which hosts, after what, and what nobody can know without contact.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::attempts::Policy;
use super::budget::{Budgets, Limits};
use super::execute::Job;
use super::gate::Claim;
use super::holding::{FREE_LABS, Holding};
use crate::lab::Lab;
use crate::reservations::required_resources;

/// What cannot be known without contact.
const NOT_CHECKED: &str = "not checked, because nothing was contacted:
  whether the resources are held by who asks, and no host is leased to somebody else
  whether the hosts answer, have the keys that are expected, and let otto in
  what a test decides while it runs: skips, and hosts that it makes itself
";

/// The plan of these tests, in the order in which they are begun.
pub(super) fn plan(jobs: &[Job], threads: usize, policy: &Policy, limits: Limits) -> String {
    let mut text = format!(
        "dry run: {} {}, {threads} at once; nothing is run, and no host is contacted\n",
        jobs.len(),
        if jobs.len() == 1 { "test" } else { "tests" }
    );
    for (at, job) in jobs.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n{:>4}. {}", at + 1, job.instance.full_name());
        let mut line = |what: &str, value: &str| _ = writeln!(text, "        {what:<10}{value}");
        let (Some(lab), None) = (&job.lab, &job.instance.ignored) else {
            line("ignored", job.why_not().as_deref().unwrap_or("#[ignore]"));
            continue;
        };
        if let Some(fault) = &job.instance.fault {
            line("fails", &fault.replace('\n', "\n                  "));
            continue;
        }
        match &job.holding {
            Holding::Lab if lab.names().all(|part| FREE_LABS.contains(&part)) => {
                line("holds", "nothing: tests on this lab run side by side");
            }
            Holding::Lab => {
                line("holds", &format!("all of lab {} ({} hosts), for itself", lab.name(), lab.hosts().len()));
            }
            Holding::Hosts(chosen) => {
                let of = |shared: bool| -> Vec<&str> {
                    chosen.hosts.iter().filter(|held| held.shared == shared).map(|held| &*held.id).collect()
                };
                for (what, ids) in [("holds", of(false)), ("shares", of(true))] {
                    if !ids.is_empty() {
                        line(what, &ids.join(", "));
                    }
                }
                let bound: Vec<_> = chosen.bound.iter().map(|(name, id)| format!("{name} = {id}")).collect();
                if !bound.is_empty() {
                    line("names", &bound.join(", "));
                }
            }
        }
        let resources = resources(lab, &job.holding);
        if !resources.is_empty() {
            line("requires", &resources.into_iter().collect::<Vec<_>>().join(", "));
        }
        if let Some(before) = jobs[..at].iter().rposition(|other| exclude(&job.claims, &other.claims)) {
            line("after", &format!("{}. {}", before + 1, jobs[before].instance.full_name()));
        }
        line("limit", &format!("{:?}", Budgets::of(job.instance.case, limits).body.limit));
        let how_often = policy.in_words(job.instance.case);
        if !how_often.is_empty() {
            line("is run", &how_often);
        }
    }
    let _ = write!(text, "\n{NOT_CHECKED}\n");
    text
}

/// What has to be reserved for it.
fn resources(lab: &Lab, holding: &Holding) -> BTreeSet<String> {
    match holding {
        Holding::Lab => required_resources(lab),
        Holding::Hosts(chosen) => {
            let hosts = chosen.hosts.iter().filter_map(|held| lab.host(&held.id));
            lab.resources().iter().chain(hosts.flat_map(|host| &host.resources)).cloned().collect()
        }
    }
}

/// Whether tests with these claims cannot run at the same time.
fn exclude(these: &[Claim], those: &[Claim]) -> bool {
    these.iter().any(|one| those.iter().any(|other| one.what == other.what && (one.alone || other.alone)))
}
