//! Which tests run on which labs.
//!
//! A test that names a lab runs on that lab, one that names several has an instance for each, and one that names none
//! runs on whichever are selected. Labs selected by `--lab` or `OTTO_LAB` filter the tests of all other labs out. When
//! nothing is selected, the default labs are, and the tests of other labs stay visible: they are ignored, with what
//! to type to run them. A project that sets no default has `sim`, and as the built-in labs are there for everybody, tests
//! that name one of them run too.
//!
//! `a+b` is a lab of its own, made of two. It is selected by `--lab a+b` or `--lab b+a`, not by `--lab a --lab b`,
//! which selects two labs: a test of `a+b` needs hosts of both at once, a test of `a` may not expect hosts of `b`.

use std::collections::HashMap;

use super::argv::Options;
use super::holding;
use super::registry::TestCase;
use super::wiring::Outline;

/// The labs that tests run on, and whether somebody asked for them.
#[derive(Debug, Clone)]
pub(super) struct Labs {
    pub(super) names: Vec<String>,
    /// By a flag or a variable; else they are the default.
    pub(super) explicit: bool,
    /// Built-in labs that tests may name without being asked for: nobody has to reserve or to reach them.
    pub(super) always: Vec<&'static str>,
}

/// Why a test is not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ignored {
    /// `#[ignore]`, and its reason.
    ByAttribute(Option<&'static str>),
    /// Its lab is not selected. It cannot be run, even if ignored tests are asked for.
    NoLab,
}

/// One test on one lab.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) case: &'static TestCase,
    /// The lab as the user wrote it when selecting, or as the test did; none if nothing is known.
    pub(super) lab: Option<String>,
    /// Module path without the crate, function, and the lab if the function has several instances.
    pub(super) name: String,
    pub(super) ignored: Option<Ignored>,
    /// The host of its lab that `each_host` made it for.
    pub(super) host: Option<String>,
    /// Why it cannot run, though it is to: it fails, and says this.
    pub(super) fault: Option<String>,
    /// What is wrong with its lab, so that selecting it would not help.
    pub(super) unknown_lab: Option<String>,
}

impl Instance {
    /// The name as the list shows it: `[lab] name`.
    pub(super) fn full_name(&self) -> String {
        match &self.lab {
            Some(lab) => format!("[{lab}] {}", self.name),
            None => self.name.clone(),
        }
    }

    /// What to type to select its lab.
    pub(super) fn how_to_select(&self) -> String {
        if let Some(why) = &self.unknown_lab {
            return why.clone();
        }
        let lab = self.lab.as_deref().unwrap_or("NAME");
        format!("select with --lab {lab} or OTTO_LAB={lab}")
    }

    /// Whether the flags leave it out. A filter fits the name with its lab in front, so `bench` finds the tests of that
    /// lab; an exact one may also leave the lab out, as editors do.
    pub(super) fn is_filtered_out(&self, options: &Options) -> bool {
        let full = self.full_name();
        let fits = |filter: &String| {
            if options.mimic.exact {
                *filter == full || *filter == self.name || *filter == base_name(self.case)
            } else {
                full.contains(filter.as_str())
            }
        };
        let tagged = |tag: &String| self.case.tags.contains(&tag.as_str());
        (!options.filters.is_empty() && !options.filters.iter().any(fits))
            || options.skip.iter().any(fits)
            // In a dry run all are ignored, so that nextest calls none of them passed.
            || (options.mimic.ignored && self.ignored.is_none() && !options.dry_run)
            || (!options.tags.is_empty() && !options.tags.iter().any(tagged))
            || options.without_tags.iter().any(tagged)
            || (options.exclude_should_panic && self.case.should_panic.is_some())
    }
}

/// The name of a test without its labs: its module path less the crate, then its function.
pub(super) fn base_name(case: &TestCase) -> String {
    match case.module.split_once("::") {
        Some((_, modules)) => format!("{modules}::{}", case.name),
        None => case.name.to_owned(),
    }
}

/// The labs that `a+b` is made of, sorted, each once: two spellings with the same parts are the same lab.
pub(super) fn parts(lab: &str) -> Vec<&str> {
    let mut parts: Vec<_> = lab.split('+').map(str::trim).collect();
    parts.sort_unstable();
    parts.dedup();
    parts
}

impl Labs {
    /// Those that were asked for, else the default; each once.
    pub(super) fn choose(asked: &[String], default: &[String]) -> Self {
        let explicit = !asked.is_empty();
        let mut names: Vec<String> = Vec::new();
        for name in if explicit { asked } else { default } {
            if !names.iter().any(|known| parts(known) == parts(name)) {
                names.push(name.clone());
            }
        }
        Self { names, explicit, always: Vec::new() }
    }

    fn has(&self, lab: &str) -> bool {
        let parts = parts(lab);
        self.names.iter().any(|selected| self::parts(selected) == parts)
            || parts.iter().all(|part| self.always.contains(part))
    }
}

/// The instances of these tests, by name, and how many were left out because their lab is not selected. `hosts` looks up
/// those of a lab, for tests that run on each of them.
pub(super) fn select(
    cases: &mut [&'static TestCase],
    labs: &Labs,
    hosts: &dyn Fn(&str) -> Outline,
) -> (Vec<Instance>, usize) {
    cases.sort_by_cached_key(|case| (base_name(case), case.module, case.line));
    let mut instances = Vec::new();
    let mut left_out = 0;
    for case in cases {
        let of_lab = |lab: Option<&String>, several: bool, ignored: Option<Ignored>| {
            let mut name = base_name(case);
            if let Some(lab) = lab.filter(|_| several) {
                name.push_str("::");
                name.push_str(lab);
            }
            let ignored = ignored.or(case.ignore.map(Ignored::ByAttribute));
            let one = Instance { case, lab: lab.cloned(), name, ignored, host: None, fault: None, unknown_lab: None };
            on_each_host(one, hosts)
        };
        if case.labs.is_empty() {
            let several = labs.names.len() > 1;
            instances.extend(labs.names.iter().flat_map(|lab| of_lab(Some(lab), several, None)));
            if labs.names.is_empty() {
                instances.extend(of_lab(None, false, Some(Ignored::NoLab)));
            }
            continue;
        }
        for wanted in case.labs {
            let several = case.labs.len() > 1;
            match labs.has(wanted) {
                true => instances.extend(of_lab(Some(&(*wanted).to_owned()), several, None)),
                false if labs.explicit => left_out += 1,
                false => instances.extend(of_lab(Some(&(*wanted).to_owned()), several, Some(Ignored::NoLab))),
            }
        }
    }
    (instances, left_out)
}

/// One instance for each host that `each_host` matches. If it matches none, the one that there would be without it, which
/// fails and says so: a pattern with a mistake in it must not look like a lab that has nothing to test.
fn on_each_host(instance: Instance, hosts: &dyn Fn(&str) -> Outline) -> Vec<Instance> {
    let (Some(each), Some(lab)) = (instance.case.each_host, instance.lab.clone()) else { return vec![instance] };
    if instance.ignored == Some(Ignored::NoLab) {
        // There may be no such lab.
        return vec![instance];
    }
    match hosts(&lab).and_then(|outline| holding::each_host(each, &outline)) {
        Ok(ids) => {
            let of =
                |id: String| Instance { name: format!("{}::{id}", instance.name), host: Some(id), ..instance.clone() };
            ids.into_iter().map(of).collect()
        }
        Err(fault) => vec![Instance { fault: Some(fault), ..instance }],
    }
}

/// What is wrong with the names, if two tests have the same one: libtest would run both, nextest neither, and no report
/// could tell them apart.
pub(super) fn same_names(instances: &[Instance]) -> Option<String> {
    let mut seen: HashMap<(&str, Option<&str>), &Instance> = HashMap::new();
    instances.iter().find_map(|one| {
        let other = seen.insert((&one.name, one.lab.as_deref()), one)?;
        let at = |instance: &Instance| format!("{}:{}", instance.case.file, instance.case.line);
        Some(format!(
            "two tests have the name `{}`: at {} and at {}\n  hint: name one of them otherwise, or put it into another module",
            one.full_name(),
            at(other),
            at(one)
        ))
    })
}

/// Puts them in the random order that belongs to `seed`.
pub(super) fn shuffle(instances: &mut [Instance], seed: u64) {
    // Splitmix64: three lines, and the same order on every machine, which is all that is asked of it.
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    for last in (1..instances.len()).rev() {
        let chosen = usize::try_from(next() % (last as u64 + 1)).unwrap_or(0);
        instances.swap(last, chosen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::registry::HostUse;

    const fn case(module: &'static str, name: &'static str, labs: &'static [&'static str]) -> TestCase {
        TestCase {
            module,
            name,
            file: "f.rs",
            line: 1,
            package: "p",
            labs,
            hosts: &[],
            each_host: None,
            tags: &[],
            timeout: None,
            retries: None,
            setup: None,
            teardown: None,
            fixtures: &[],
            ignore: None,
            should_panic: None,
            run: |_| Box::pin(async { Ok(()) }),
        }
    }

    static FREE: TestCase = case("suite", "free", &[]);
    static BENCH: TestCase = case("suite::bgp", "converges", &["bench"]);
    static MERGED: TestCase = case("suite::bgp", "merged", &["a+b"]);
    static MANY: TestCase = case("suite", "many", &["bench", "other"]);
    static IGNORED: TestCase = TestCase { ignore: Some(Some("slow")), ..case("suite", "zzz", &["bench"]) };
    static PANICS: TestCase = TestCase { should_panic: Some(None), ..case("suite", "panics", &["bench"]) };

    fn all() -> Vec<&'static TestCase> {
        vec![&IGNORED, &MANY, &MERGED, &BENCH, &FREE, &PANICS]
    }

    fn labs(names: &[&str], explicit: bool) -> Labs {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        if explicit { Labs::choose(&names, &[]) } else { Labs::choose(&[], &names) }
    }

    /// Any lab: it has the hosts `r1` and `s1`.
    #[expect(clippy::unnecessary_wraps, reason = "a lab may have no outline")]
    fn outline(lab: &str) -> Outline {
        let hosts = ["r1", "s1"].map(crate::lab::HostSpec::local);
        let builder = hosts.into_iter().fold(crate::lab::Lab::builder(lab), crate::lab::LabBuilder::host);
        Ok(builder.build().unwrap())
    }

    fn names(labs: &Labs) -> Vec<String> {
        let ignored = |one: &Instance| match one.ignored {
            None => "",
            Some(Ignored::NoLab) => " -",
            Some(Ignored::ByAttribute(_)) => " #",
        };
        select(&mut all(), labs, &outline).0.iter().map(|one| one.full_name() + ignored(one)).collect()
    }

    #[test]
    fn a_selected_lab_filters_the_others_out() {
        let labs = labs(&["bench"], true);
        assert_eq!(
            names(&labs),
            ["[bench] bgp::converges", "[bench] free", "[bench] many::bench", "[bench] panics", "[bench] zzz #"]
        );
        assert_eq!(select(&mut all(), &labs, &outline).1, 2);
    }

    #[test]
    fn tests_of_no_lab_run_on_each() {
        let labs = labs(&["bench", "x"], true);
        let names = names(&labs);
        assert!(
            names.contains(&"[bench] free::bench".to_owned()) && names.contains(&"[x] free::x".to_owned()),
            "{names:?}"
        );
    }

    #[test]
    fn with_none_selected_the_rest_is_ignored() {
        assert_eq!(
            names(&labs(&["sim"], false)),
            [
                "[bench] bgp::converges -",
                "[a+b] bgp::merged -",
                "[sim] free",
                "[bench] many::bench -",
                "[other] many::other -",
                "[bench] panics -",
                "[bench] zzz -"
            ]
        );
        assert_eq!(names(&labs(&[], false))[2], "free -");
    }

    #[test]
    fn built_in_labs_need_no_selection() {
        let always = Labs { always: vec!["a", "b"], ..labs(&["sim"], false) };
        let names = names(&always);
        assert!(
            names.contains(&"[a+b] bgp::merged".to_owned()) && names.contains(&"[bench] panics -".to_owned()),
            "{names:?}"
        );
        assert!(names.contains(&"[sim] free".to_owned()), "{names:?}");
    }

    #[test]
    fn a_merged_lab_is_one_lab_in_any_order() {
        assert!(names(&labs(&["b+a"], true)).contains(&"[a+b] bgp::merged".to_owned()));
        assert_eq!(names(&labs(&["a", "b"], true)), ["[a] free::a", "[b] free::b"]);
        assert_eq!(labs(&["a+b", "b+a+b", "c"], true).names, ["a+b", "c"]);
    }

    #[test]
    fn filters_are_alternatives_and_exact_ones_may_leave_the_lab_out() {
        let (instances, _) = select(&mut all(), &labs(&["bench"], true), &outline);
        let kept = |arguments: &[&str]| -> Vec<String> {
            let options = super::super::argv::parse(arguments.iter().map(Into::into), |_| None).unwrap();
            instances.iter().filter(|one| !one.is_filtered_out(&options)).map(|one| one.name.clone()).collect()
        };
        assert_eq!(kept(&["conv", "free"]), ["bgp::converges", "free"]);
        assert_eq!(kept(&["[bench] f"]), ["free"]);
        assert_eq!(kept(&["--exact", "[bench] free", "many"]), ["free", "many::bench"]);
        assert_eq!(kept(&["--exact", "fre"]), [""; 0]);
        assert_eq!(kept(&["--ignored"]), ["zzz"]);
        assert_eq!(kept(&["--skip", "bgp", "--skip", "many", "--exclude-should-panic"]), ["free", "zzz"]);
    }

    #[test]
    fn there_is_one_for_each_host_that_fits() {
        const fn each(pattern: &'static str) -> HostUse {
            HostUse { name: None, pattern, shared: false }
        }
        static BOTH: TestCase = TestCase { each_host: Some(each(".*")), ..case("suite", "both", &["bench", "other"]) };
        static NONE: TestCase = TestCase { each_host: Some(each("x.*")), ..case("suite", "none", &[]) };
        let listed = |labs: &Labs| -> Vec<(String, bool)> {
            let (instances, _) = select(&mut [&BOTH, &NONE], labs, &outline);
            instances.into_iter().map(|one| (one.name, one.fault.is_some())).collect()
        };
        let of =
            |names: &[(&str, bool)]| names.iter().map(|(name, fault)| ((*name).to_owned(), *fault)).collect::<Vec<_>>();
        assert_eq!(
            listed(&labs(&["bench"], true)),
            of(&[("both::bench::r1", false), ("both::bench::s1", false), ("none", true)])
        );
        // Of the lab that is not selected nothing is known.
        let names = listed(&labs(&["bench"], false));
        assert!(names.contains(&("both::other".to_owned(), false)), "{names:?}");
    }

    #[test]
    fn two_of_one_name_are_found_with_their_places() {
        static SAME: TestCase = TestCase { line: 9, ..case("other::bgp", "converges", &["bench"]) };
        let (instances, _) = select(&mut [&BENCH, &SAME], &labs(&["bench"], true), &outline);
        let text = same_names(&instances).unwrap();
        assert!(text.contains("`[bench] bgp::converges`: at f.rs:9 and at f.rs:1"), "{text}");
        let (instances, _) = select(&mut all(), &labs(&["bench", "other"], true), &outline);
        assert_eq!(same_names(&instances), None);
    }

    #[test]
    fn tags_select() {
        static SLOW: TestCase = TestCase { tags: &["slow", "bgp"], ..case("suite", "slow", &["bench"]) };
        static QUICK: TestCase = TestCase { tags: &["bgp"], ..case("suite", "quick", &["bench"]) };
        let (instances, _) = select(&mut [&SLOW, &QUICK, &FREE], &labs(&["bench"], true), &outline);
        let kept = |arguments: &[&str]| -> Vec<String> {
            let options = super::super::argv::parse(arguments.iter().map(Into::into), |_| None).unwrap();
            instances.iter().filter(|one| !one.is_filtered_out(&options)).map(|one| one.name.clone()).collect()
        };
        assert_eq!(kept(&["--tag", "bgp"]), ["quick", "slow"]);
        assert_eq!(kept(&["--tag", "bgp,other", "--tag", "!slow"]), ["quick"]);
        assert_eq!(kept(&["--tag", "!bgp"]), ["free"]);
        assert_eq!(kept(&["--tag", "bg"]), [""; 0]);
    }

    #[test]
    fn a_seed_is_an_order() {
        let order = |seed| {
            let (mut instances, _) = select(&mut all(), &labs(&["bench"], true), &outline);
            shuffle(&mut instances, seed);
            instances.into_iter().map(|one| one.name).collect::<Vec<_>>()
        };
        assert_eq!(order(7), order(7));
        assert!((0..20).any(|seed| order(seed) != order(7)));
    }
}
