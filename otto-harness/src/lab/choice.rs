//! [`Lab::choose`]: from what a test needs to the hosts that it gets, and why not others.

use std::fmt::{self, Write as _};

use indexmap::IndexMap;

use super::diagnose::nearest_first;
use super::model::Lab;
use super::need::{Mode, Need, Part};
use super::spec::HostSpec;
use crate::error::{Error, ErrorKind, Result};

/// How many ids or tags a message lists.
const LISTED: usize = 12;

/// Which hosts of a lab a test gets for its [`Need`]s.
///
/// The same lab and the same needs always give the same choice: of several hosts that fit, the first in lab order that
/// leaves a host for every other name.
///
/// ```
/// use otto::lab::{Mode, Need, WhyNot};
/// let lab = otto::Lab::from_toml(r#"
///     lab = "bench"
///     hosts = [
///         { id = "board1", ip = "10.0.0.1", tags = ["arch=arm", "poe"] },
///         { id = "board2", ip = "10.0.0.2", tags = ["arch=arm"] },
///         { id = "board3", ip = "10.0.0.3", tags = ["arch=riscv"] },
///         { id = "dns1", ip = "10.0.0.4" },
///     ]
/// "#)?;
/// let needs = [
///     Need::new("tag:arch=arm")?.bound_to("dut")?,
///     Need::new("tag:poe")?.bound_to("peer")?,
///     Need::new("dns1:shared")?,
/// ];
/// let choice = lab.choose(&needs)?;
/// assert_eq!(choice.host("dut"), Some("board2"), "board1 is the only one that `peer` can be");
/// assert_eq!(choice.host("peer"), Some("board1"));
/// let held: Vec<_> = choice.hosts().collect();
/// assert_eq!(held, [("board1", Mode::Exclusive), ("board2", Mode::Exclusive), ("dns1", Mode::Shared)]);
/// assert_eq!(choice.why_not("dut", "board1"), Some(WhyNot::Taken("peer".into())));
/// assert_eq!(choice.why_not("dut", "board3"), Some(WhyNot::Unfit));
/// assert!(choice.to_string().contains("dut = board2 (tag:arch=arm); board1 is `peer`"), "{choice}");
/// # Ok::<(), otto::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Choice {
    /// Ids and modes, in lab order.
    hosts: IndexMap<String, Mode>,
    bound: Vec<Bound>,
    unnamed: Vec<(String, usize)>,
}

/// A name, its host, and those that could have had it.
#[derive(Debug, Clone)]
struct Bound {
    name: String,
    need: String,
    host: String,
    /// All that fit, in lab order, its own among them.
    fit: Vec<String>,
}

/// Why a host does not have a name of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhyNot {
    /// It is not what was asked for.
    Unfit,
    /// It has this other name.
    Taken(String),
    /// It would do, and the one that was chosen stands before it in the lab.
    Later,
}

impl Choice {
    /// All hosts that the test holds, and how, in lab order. One that is asked for in both modes is held alone.
    #[must_use]
    pub fn hosts(&self) -> impl ExactSizeIterator<Item = (&str, Mode)> {
        self.hosts.iter().map(|(id, mode)| (&**id, *mode))
    }

    /// The id of the host that the test knows by `name`.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&str> {
        self.bound.iter().find(|bound| bound.name == name).map(|bound| &*bound.host)
    }

    /// The names and the ids of their hosts, in the order in which they were asked for.
    #[must_use]
    pub fn bindings(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.bound.iter().map(|bound| (&*bound.name, &*bound.host))
    }

    /// Why the host `id` is not the one that the test knows by `name`; `None` if it is, or there is no such name.
    #[must_use]
    pub fn why_not(&self, name: &str, id: &str) -> Option<WhyNot> {
        let bound = self.bound.iter().find(|bound| bound.name == name && bound.host != id)?;
        Some(if bound.fit.iter().all(|fit| fit != id) { WhyNot::Unfit } else { self.passed_over(id) })
    }

    fn passed_over(&self, id: &str) -> WhyNot {
        self.bound
            .iter()
            .find(|other| other.host == id)
            .map_or(WhyNot::Later, |other| WhyNot::Taken(other.name.clone()))
    }
}

/// For a plan: a line for each name, and one for each need without a name.
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        for bound in &self.bound {
            let mut line = format!("{} = {} ({})", bound.name, bound.host, bound.need);
            let others = bound.fit.iter().filter(|id| **id != bound.host);
            let mut later = 0;
            for id in others {
                match self.passed_over(id) {
                    WhyNot::Taken(name) => {
                        let _ = write!(line, "; {id} is `{name}`");
                    }
                    _ if later < LISTED => {
                        later += 1;
                        let _ = write!(line, "; {id} would do and comes later");
                    }
                    _ => later += 1,
                }
            }
            if later > LISTED {
                let _ = write!(line, "; and {} more", later - LISTED);
            }
            lines.push(line);
        }
        lines.extend(self.unnamed.iter().map(|(need, count)| match count {
            1 => format!("{need}: 1 host"),
            count => format!("{need}: {count} hosts"),
        }));
        f.write_str(&lines.join("\n"))
    }
}

impl Lab {
    /// The hosts that fit `needs`: all that fit a need without a name, one for each name, each name another host.
    ///
    /// # Errors
    /// [`ErrorKind::Host`] if nothing fits a need, or the names outnumber the hosts that fit; it says what there is.
    /// [`ErrorKind::Invalid`] if two needs have one name.
    pub fn choose(&self, needs: &[Need]) -> Result<Choice> {
        let mut all: IndexMap<usize, Mode> = IndexMap::new();
        let mut hold = |index: usize, mode: Mode| {
            let held = all.entry(index).or_insert(mode);
            if mode == Mode::Exclusive {
                *held = mode;
            }
        };
        let mut unnamed = Vec::new();
        let mut named: Vec<(&str, &Need, Vec<usize>)> = Vec::new();
        for need in needs {
            let fit = self.fitting(need)?;
            let Some(name) = need.name() else {
                unnamed.push((need.to_string(), fit.len()));
                for index in fit {
                    hold(index, need.held());
                }
                continue;
            };
            if named.iter().any(|(other, ..)| *other == name) {
                return Err(Error::new(ErrorKind::Invalid, format!("two hosts of one test are named `{name}`")));
            }
            named.push((name, need, fit));
        }
        let wanted: Vec<&[usize]> = named.iter().map(|(.., fit)| &**fit).collect();
        let taken = assign(&wanted).map_err(|short| self.too_few(&named, &short))?;
        let id = |index: &usize| self.at(*index).map(|host| host.id.clone()).unwrap_or_default();
        let mut bound = Vec::with_capacity(named.len());
        for ((name, need, fit), index) in named.iter().zip(&taken) {
            hold(*index, need.held());
            let fit = fit.iter().map(id).collect();
            bound.push(Bound { name: (*name).to_owned(), need: need.to_string(), host: id(index), fit });
        }
        all.sort_unstable_keys();
        Ok(Choice { hosts: all.iter().map(|(index, mode)| (id(index), *mode)).collect(), bound, unnamed })
    }

    /// The places in the lab of the hosts that fit, at least one.
    fn fitting(&self, need: &Need) -> Result<Vec<usize>> {
        // What is an id means that host: `a.c` is not `abc`.
        let exact = |part: &Part| match part {
            Part::Id(text, _) => self.position(text),
            Part::Tag(_) => None,
        };
        let fits = |index: usize, host: &HostSpec| {
            need.parts.iter().all(|part| exact(part).map_or_else(|| part.fits(host), |id| id == index))
        };
        let only = need.parts.iter().find_map(exact);
        let fit: Vec<usize> = match only {
            Some(index) => self.at(index).filter(|host| fits(index, host)).map(|_| index).into_iter().collect(),
            None => {
                self.hosts().enumerate().filter(|(index, host)| fits(*index, host)).map(|(index, _)| index).collect()
            }
        };
        if fit.is_empty() { Err(self.nothing_fits(need)) } else { Ok(fit) }
    }

    fn nothing_fits(&self, need: &Need) -> Error {
        let error = Error::new(ErrorKind::Host, format!("no host of lab `{}` fits `{need}`", self.name()));
        // The part that fits nothing by itself is at fault; without one, their meeting is.
        let alone = need.parts.iter().find(|part| !self.hosts().any(|host| part.fits(host)));
        match alone {
            Some(Part::Tag(tag)) => {
                let tags = nearest_first(tag, self.hosts().flat_map(|host| &host.tags).map(String::as_str));
                error.hint(if tags.is_empty() {
                    "no host of the lab has tags".to_owned()
                } else {
                    format!("the tags of its hosts: {}", some_of(&tags))
                })
            }
            Some(Part::Id(id, _)) => {
                let ids = nearest_first(id, self.hosts().map(|host| &*host.id));
                error.hint(format!("its hosts: {}", some_of(&ids)))
            }
            None => error.hint("each part fits some host, and no host fits all of them"),
        }
    }

    /// The error for names of which `short` are too many for the hosts that fit them.
    fn too_few(&self, named: &[(&str, &Need, Vec<usize>)], short: &[usize]) -> Error {
        let mut hosts: Vec<usize> = short.iter().flat_map(|index| &named[*index].2).copied().collect();
        hosts.sort_unstable();
        hosts.dedup();
        let contending: Vec<String> =
            short.iter().map(|index| format!("{} = {}", named[*index].0, named[*index].1)).collect();
        let ids: Vec<&str> = hosts.iter().filter_map(|index| self.at(*index)).map(|host| &*host.id).collect();
        Error::new(
            ErrorKind::Host,
            format!(
                "lab `{}` has too few hosts: {} need {} of them, and {} fit: {}",
                self.name(),
                contending.join(", "),
                short.len(),
                ids.len(),
                some_of(&ids)
            ),
        )
        .hint("each name of a test is another host")
    }
}

fn some_of(all: &[&str]) -> String {
    let more = all.len().saturating_sub(LISTED);
    let shown = all[..all.len() - more].join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// One of `wanted[i]` for each `i`, no two the same: in order of `i`, the first that leaves enough for the rest.
///
/// # Errors
/// Those of which there are more than there are hosts for them.
fn assign(wanted: &[&[usize]]) -> std::result::Result<Vec<usize>, Vec<usize>> {
    let mut taken: Vec<Option<usize>> = vec![None; wanted.len()];
    for index in 0..wanted.len() {
        let mut seen = vec![false; wanted.len()];
        if !augment(wanted, index, &mut taken, &mut seen, &[]) {
            // All that were asked to make way, and could not, are one too many for their hosts.
            seen[index] = true;
            return Err((0..wanted.len()).filter(|index| seen[*index]).collect());
        }
    }
    // Everybody can have one; now each, in order, the first that it can have.
    let mut fixed: Vec<usize> = Vec::with_capacity(wanted.len());
    for index in 0..wanted.len() {
        for host in wanted[index] {
            if fixed.contains(host) {
                continue;
            }
            if taken[index] == Some(*host) {
                break;
            }
            let mut attempt = taken.clone();
            let displaced = attempt.iter().position(|other| other == &Some(*host));
            attempt[index] = Some(*host);
            let settled = displaced.is_none_or(|other| {
                attempt[other] = None;
                let mut seen = vec![false; wanted.len()];
                seen[..=index].fill(true);
                let mut held = fixed.clone();
                held.push(*host);
                augment(wanted, other, &mut attempt, &mut seen, &held)
            });
            if settled {
                taken = attempt;
                break;
            }
        }
        fixed.extend(taken[index]);
    }
    Ok(fixed)
}

/// Finds `index` a host that is not in `held`, if need be by moving others that are not `seen`.
fn augment(wanted: &[&[usize]], index: usize, taken: &mut [Option<usize>], seen: &mut [bool], held: &[usize]) -> bool {
    seen[index] = true;
    // With as many hosts as there are names one is free for sure, so more of them need no look.
    let near = || wanted[index].iter().filter(|host| !held.contains(host)).take(wanted.len());
    if let Some(free) = near().find(|host| !taken.contains(&Some(**host))) {
        taken[index] = Some(*free);
        return true;
    }
    for host in near() {
        let Some(holder) = taken.iter().position(|other| other == &Some(*host)) else { continue };
        if !seen[holder] && augment(wanted, holder, taken, seen, held) {
            taken[index] = Some(*host);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab(hosts: &[(&str, &[&str])]) -> Lab {
        let hosts =
            hosts.iter().map(|(id, tags)| tags.iter().fold(HostSpec::ssh(*id, "10.0.0.1"), |host, tag| host.tag(*tag)));
        hosts.fold(Lab::builder("bench"), super::super::model::LabBuilder::host).build().unwrap()
    }

    fn named(needs: &[(&str, &str)]) -> Vec<Need> {
        needs.iter().map(|(name, need)| Need::new(need).unwrap().bound_to(*name).unwrap()).collect()
    }

    fn held(choice: &Choice) -> Vec<(&str, Mode)> {
        choice.hosts().collect()
    }

    #[test]
    fn without_a_name_all_that_fit_are_held_in_lab_order() {
        let lab = lab(&[("switch1", &[]), ("router1", &["arch=arm"]), ("switch2", &["arch=arm"])]);
        let choose = |needs: &[&str]| {
            let needs: Vec<_> = needs.iter().map(|need| Need::new(need).unwrap()).collect();
            lab.choose(&needs)
        };
        let (alone, shared) = (Mode::Exclusive, Mode::Shared);
        assert_eq!(
            held(&choose(&["router1", "switch.*"]).unwrap()),
            [("switch1", alone), ("router1", alone), ("switch2", alone)]
        );
        assert_eq!(held(&choose(&["tag:arch=arm & switch.*:shared"]).unwrap()), [("switch2", shared)]);
        assert_eq!(
            held(&choose(&["tag:arch=arm:shared", "router1"]).unwrap()),
            [("router1", alone), ("switch2", shared)]
        );
        assert_eq!(held(&choose(&[]).unwrap()), []);
        let error = choose(&["tag:arch=am"]).unwrap_err().to_string();
        assert!(error.contains("no host of lab `bench` fits `tag:arch=am`") && error.contains("arch=arm"), "{error}");
        let error = choose(&["roter1"]).unwrap_err().to_string();
        assert!(error.contains("its hosts: router1, switch1, switch2"), "{error}");
        let error = choose(&["tag:arch=arm & switch1"]).unwrap_err().to_string();
        assert!(error.contains("no host fits all of them"), "{error}");
    }

    #[test]
    fn an_id_is_not_a_regex_for_others() {
        let lab = lab(&[("abc", &[]), ("a.c", &[])]);
        assert_eq!(held(&lab.choose(&[Need::new("a.c").unwrap()]).unwrap()), [("a.c", Mode::Exclusive)]);
        assert_eq!(lab.choose(&[Need::new("a[.b]c").unwrap()]).unwrap().hosts().len(), 2);
    }

    #[test]
    fn each_name_has_another_host_and_the_first_that_leaves_enough() {
        let lab = lab(&[("a", &["x"]), ("b", &["x", "y"]), ("c", &["x", "y", "z"])]);
        let names = |needs: &[(&str, &str)]| {
            let choice = lab.choose(&named(needs)).unwrap();
            choice.bindings().map(|(_, host)| host.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&[("p", "tag:x"), ("q", "tag:x"), ("r", "tag:x")]), ["a", "b", "c"]);
        assert_eq!(names(&[("p", "tag:x"), ("q", "a")]), ["b", "a"]);
        assert_eq!(names(&[("p", "tag:z"), ("q", "tag:y"), ("r", "tag:x")]), ["c", "b", "a"]);
        assert_eq!(names(&[("p", "tag:x"), ("q", "tag:y"), ("r", "tag:y")]), ["a", "b", "c"]);
        let choice = lab.choose(&named(&[("p", "tag:x"), ("q", "a")])).unwrap();
        assert_eq!(choice.why_not("p", "a"), Some(WhyNot::Taken("q".into())));
        assert_eq!(choice.why_not("p", "c"), Some(WhyNot::Later));
        assert_eq!((choice.why_not("p", "b"), choice.why_not("nobody", "b")), (None, None));
        assert_eq!(choice.to_string(), "p = b (tag:x); a is `q`; c would do and comes later\nq = a (a)");
        let error = lab.choose(&named(&[("o", "a"), ("p", "tag:y"), ("q", "tag:y"), ("r", "tag:y")])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Host);
        let error = error.to_string();
        assert!(error.contains("p = tag:y, q = tag:y, r = tag:y need 3 of them, and 2 fit: b, c"), "{error}");
        let twice = lab.choose(&named(&[("p", "a"), ("p", "b")])).unwrap_err();
        assert_eq!(twice.kind(), ErrorKind::Invalid);
    }

    /// All ways to give names to hosts are tried: the choice is the first of them in the order that is promised.
    #[test]
    fn the_choice_is_the_first_of_all_that_are_possible() {
        fn first(wanted: &[&[usize]], fixed: &mut Vec<usize>) -> bool {
            let Some(mine) = wanted.get(fixed.len()) else { return true };
            mine.iter().any(|host| {
                if fixed.contains(host) {
                    return false;
                }
                fixed.push(*host);
                first(wanted, fixed) || {
                    fixed.pop();
                    false
                }
            })
        }
        // Four names over five hosts, each name with any set of them, in steps that share no factor with the number of sets.
        let sets: Vec<Vec<usize>> =
            (1..32_usize).map(|set| (0..5).filter(|bit| set >> bit & 1 == 1).collect()).collect();
        for number in (0..31_usize.pow(4)).step_by(37) {
            let wanted: Vec<&[usize]> = (0..4).map(|name| &*sets[number / 31_usize.pow(name) % 31]).collect();
            let mut expected = Vec::new();
            let possible = first(&wanted, &mut expected);
            assert_eq!(assign(&wanted).ok(), possible.then_some(expected), "{wanted:?}");
        }
    }

    #[test]
    fn a_lab_of_thousands_is_no_burden() {
        let ids: Vec<String> = (0..10_000).map(|index| format!("h{index}")).collect();
        let big = lab(&ids.iter().map(|id| (&**id, &["t"][..])).collect::<Vec<_>>());
        let needs: Vec<_> =
            (0..20).map(|name| Need::new("tag:t").unwrap().bound_to(format!("n{name}")).unwrap()).collect();
        let choice = big.choose(&needs).unwrap();
        assert_eq!(choice.host("n19"), Some("h19"));
        assert!(choice.to_string().contains("and 9968 more"), "the list is cut");
    }
}
