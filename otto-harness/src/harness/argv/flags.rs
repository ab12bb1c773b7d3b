//! The flags there are, `--help`, and what is said of a flag that there is not.

use std::cmp::Reverse;

/// A flag: how it is spelt, whether it takes a value, and what `--help` says of it.
#[derive(Debug)]
pub(super) struct Flag {
    pub(super) long: &'static str,
    pub(super) short: Option<char>,
    pub(super) value: Option<&'static str>,
    help: &'static str,
}

const fn flag(long: &'static str, short: Option<char>, value: Option<&'static str>, help: &'static str) -> Flag {
    Flag { long, short, value, help }
}

/// The flags of libtest as of Rust 1.95.
pub(super) const LIBTEST: &[Flag] = &[
    flag("include-ignored", None, None, "Run ignored and not ignored tests"),
    flag("ignored", None, None, "Run only ignored tests"),
    flag("force-run-in-process", None, None, "Accepted: tests always run in this process"),
    flag("exclude-should-panic", None, None, "Leave out tests marked #[should_panic]"),
    flag("test", None, None, "Run tests and not benchmarks"),
    flag("bench", None, None, "Run benchmarks instead of tests: there are none, so tests are ignored"),
    flag("list", None, None, "List the tests; no host is touched"),
    flag("help", Some('h'), None, "Show this"),
    flag("logfile", None, Some("PATH"), "Write the results to this file instead of stdout"),
    flag("no-capture", None, None, "Accepted (also --nocapture): what tests print is never captured"),
    flag("nocapture", None, None, ""),
    flag("test-threads", None, Some("N"), "How many tests run at once; 1 runs them in order [env: RUST_TEST_THREADS]"),
    flag("skip", None, Some("FILTER"), "Leave out tests whose names contain FILTER (may be repeated)"),
    flag("quiet", Some('q'), None, "One character a test; the same as --format terse"),
    flag("exact", None, None, "Filters are whole names instead of parts of them"),
    flag("color", None, Some("auto|always|never"), "Colour the output"),
    flag("format", None, Some("pretty|terse|json"), "How results are written"),
    flag("show-output", None, None, "Accepted: what tests print is never captured"),
    flag("", Some('Z'), Some("FLAG"), "Accepted: unstable flags of libtest need no opt-in here"),
    flag("report-time", None, None, "Not supported; a failure shows how long it took"),
    flag("ensure-time", None, None, "Not supported; see --timeout"),
    flag("shuffle", None, None, "Run the tests in random order [env: OTTO_SHUFFLE]"),
    flag("shuffle-seed", None, Some("SEED"), "Run them in the random order of this seed [env: OTTO_SHUFFLE_SEED]"),
];

/// The flags of otto. The variable of each is its name in capitals after `OTTO_`.
pub(super) const OTTO: &[Flag] = &[
    flag("lab", None, Some("LAB"), "Run on this lab; `a+b` merges two; may be repeated, or hold several with commas"),
    flag("tag", None, Some("TAG"), "Run tests that have any of these tags; `!TAG`: none; repeated, or with commas"),
    flag("list-labs", None, None, "List the labs that can be selected"),
    flag("list-hosts", None, None, "List the hosts of the selected labs"),
    flag("lab-schema", None, None, "Print the JSON Schema of lab files, for editors"),
    flag("as-user", None, Some("USER"), "Check reservations as this user instead of the one logged in"),
    flag("skip-reservation-check", Some('R'), None, "Run without looking at the reservations"),
    flag("dry-run", None, None, "Show what would be run on which hosts; contact none, run nothing"),
    flag("timeout", None, Some("DURATION"), "The limit of tests that set none of their own: 90s, 5m (default: 5m)"),
    flag("setup-timeout", None, Some("DURATION"), "What making a test's fixtures may take (default: 30s)"),
    flag("teardown-timeout", None, Some("DURATION"), "What closing its fixtures and hosts may take (default: 8s)"),
    flag("retries", None, Some("N"), "Attempts more for a test that failed and says no number itself; 0: none at all"),
    flag("flaky", None, Some("pass|fail"), "Whether a test that passed on a retry has passed (default: pass)"),
    flag("iterations", None, Some("N"), "Run each test so many times"),
    flag("duration", None, Some("DURATION"), "Run each test again and again for so long"),
    flag("threshold", None, Some("PERCENT"), "How many of a test's iterations have to pass (default: 100)"),
    flag("fail-fast", None, None, "Begin no test after one has failed"),
    flag("output-dir", None, Some("DIR"), "Where tests write their files"),
    flag("junit", None, Some("PATH"), "Write a JUnit report"),
    flag("report", None, Some("PATH"), "Write a report as one HTML file"),
    flag("events", None, Some("PATH"), "Write what happens, as it happens: JSON, an event a line"),
    flag(
        "progress",
        None,
        Some("auto|plain|never"),
        "How running tests are shown: live on a terminal, else a line for slow ones",
    ),
];

/// Flags of libtest that are settings of a run rather than of one call, so that they have a variable as otto's own do.
const WITH_VARIABLE: &[&str] = &["shuffle", "shuffle-seed"];

/// Flags that may be given several times; of otto's others, the second would undo the first.
pub(super) const REPEATED: &[&str] = &["lab", "tag"];

/// All flags that have a variable.
pub(super) fn with_variable() -> impl Iterator<Item = &'static Flag> {
    OTTO.iter().chain(LIBTEST.iter().filter(|flag| WITH_VARIABLE.contains(&flag.long)))
}

/// The flag of that long name.
pub(super) fn long(name: &str) -> Option<&'static Flag> {
    LIBTEST.iter().chain(OTTO).find(|flag| flag.long == name && !name.is_empty())
}

/// The flag of that letter.
pub(super) fn short(letter: char) -> Option<&'static Flag> {
    LIBTEST.iter().chain(OTTO).find(|flag| flag.short == Some(letter))
}

/// The variable of a flag: `--as-user` has `OTTO_AS_USER`.
pub(super) fn variable_of(long: &str) -> String {
    format!("OTTO_{}", long.replace('-', "_").to_ascii_uppercase())
}

/// What is said of a flag that nobody knows, with the nearest one that there is.
pub(super) fn unknown(name: &str) -> String {
    let near = LIBTEST
        .iter()
        .chain(OTTO)
        .filter(|flag| !flag.long.is_empty())
        .map(|flag| {
            // Of two that are as far away, the one that begins alike.
            let alike = flag.long.chars().zip(name.chars()).take_while(|(one, other)| one == other).count();
            (strsim::damerau_levenshtein(flag.long, name), Reverse(alike), flag.long)
        })
        .min()
        .filter(|(distance, ..)| *distance <= 3);
    match near {
        Some((.., long)) => format!("unknown flag `--{name}`; did you mean `--{long}`?"),
        None => format!("unknown flag `--{name}`; `--help` lists all of them"),
    }
}

/// The text of `--help`: libtest's flags, then otto's.
pub(in crate::harness) fn help() -> String {
    let mut text = String::from(
        "Usage: [FLAGS] [FILTERS...]\n\n\
         Runs the tests whose names contain any of the FILTERS, on the selected labs.\n\n\
         Flags of libtest:\n",
    );
    let line = |flag: &Flag, variable: bool| {
        let mut names = flag.short.map_or_else(
            || "    ".to_owned(),
            |short| format!("-{short}{}", if flag.long.is_empty() { "  " } else { ", " }),
        );
        if !flag.long.is_empty() {
            names.push_str("--");
            names.push_str(flag.long);
        }
        if let Some(value) = flag.value {
            names.push(' ');
            names.push_str(value);
        }
        let variable = if variable { format!(" [env: {}]", variable_of(flag.long)) } else { String::new() };
        format!("  {names:<34} {}{variable}\n", flag.help)
    };
    for flag in LIBTEST.iter().filter(|flag| !flag.help.is_empty()) {
        text.push_str(&line(flag, false));
    }
    text.push_str("\nFlags of otto:\n");
    for flag in OTTO {
        text.push_str(&line(flag, true));
    }
    text.push_str(
        "\nWithout --lab and OTTO_LAB the default labs of otto.toml are used, else the simulated lab `sim`.\n\
         Exit codes: 0 passed, 101 a test failed, 2 wrong usage or lab, 1 reservation, 128+n signal n.\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_has_two_groups_and_every_flag() {
        let text = help();
        let (libtest, otto) = text.split_once("Flags of otto:").unwrap();
        assert!(LIBTEST.iter().filter(|flag| !flag.help.is_empty()).all(|flag| libtest.contains(flag.long)));
        assert!(
            OTTO.iter()
                .all(|flag| otto.contains(&format!("--{}", flag.long)) && otto.contains(&variable_of(flag.long)))
        );
        assert!(text.lines().all(|line| line.chars().count() < 160), "{text}");
    }
}
