//! The command line and the `OTTO_*` variables.
//!
//! libtest's flags mean what they mean in libtest, whether libtest-mimic knows them or not; otto's own stand beside
//! them. All are read here and not by libtest-mimic's parser, because that one knows a single filter, exits the process
//! by itself, and refuses flags that cargo's users and editors pass (`--no-capture`, `--shuffle`, `--report-time`).

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use libtest_mimic::{Arguments, ColorSetting, FormatSetting};

use super::budget::Limits;
use super::duration;

/// A flag: how it is spelt, whether it takes a value, and what `--help` says of it.
#[derive(Debug)]
struct Flag {
    long: &'static str,
    short: Option<char>,
    value: Option<&'static str>,
    help: &'static str,
}

const fn flag(long: &'static str, short: Option<char>, value: Option<&'static str>, help: &'static str) -> Flag {
    Flag { long, short, value, help }
}

/// The flags of libtest as of Rust 1.95.
const LIBTEST: &[Flag] = &[
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
const OTTO: &[Flag] = &[
    flag("lab", None, Some("LAB"), "Run on this lab; `a+b` merges two; may be repeated, or hold several with commas"),
    flag("list-labs", None, None, "List the labs that can be selected"),
    flag("list-hosts", None, None, "List the hosts of the selected labs"),
    flag("as-user", None, Some("USER"), "Check reservations as this user instead of the one logged in"),
    flag("skip-reservation-check", Some('R'), None, "Run without looking at the reservations"),
    flag("dry-run", None, None, "Contact no host; commands answer `NotRun`"),
    flag("timeout", None, Some("DURATION"), "The limit of tests that set none of their own: 90s, 5m (default: 5m)"),
    flag("setup-timeout", None, Some("DURATION"), "What making a test's fixtures may take (default: 30s)"),
    flag("teardown-timeout", None, Some("DURATION"), "What closing its fixtures and hosts may take (default: 8s)"),
    flag("fail-fast", None, None, "Begin no test after one has failed"),
    flag("output-dir", None, Some("DIR"), "Where tests write their files"),
];

/// Flags of libtest that are settings of a run rather than of one call, so that they have a variable as otto's own do.
const WITH_VARIABLE: &[&str] = &["shuffle", "shuffle-seed"];

/// What the command line and the variables ask for.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
pub(super) struct Options {
    /// What libtest-mimic needs to print and to run; its filters are left empty, as the selection is otto's.
    pub(super) mimic: Arguments,
    pub(super) help: bool,
    /// A test is run if any of them fits.
    pub(super) filters: Vec<String>,
    pub(super) skip: Vec<String>,
    pub(super) exclude_should_panic: bool,
    pub(super) threads: Option<NonZeroUsize>,
    /// The labs that were named, in that order; none if the default is to be used.
    pub(super) labs: Vec<String>,
    pub(super) list_labs: bool,
    pub(super) list_hosts: bool,
    pub(super) as_user: Option<String>,
    pub(super) skip_reservation_check: bool,
    pub(super) dry_run: bool,
    /// `--setup-timeout`, `--timeout`, `--teardown-timeout`.
    pub(super) limits: Limits,
    pub(super) fail_fast: bool,
    pub(super) shuffle: bool,
    pub(super) seed: Option<u64>,
    pub(super) output_dir: Option<PathBuf>,
    /// What to say on stderr before anything is done.
    pub(super) notes: Vec<String>,
}

/// Reads the arguments (without the program's name) and the variables. A flag wins over its variable.
///
/// # Errors
/// What is wrong, as one line, for exit code 2.
pub(super) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Options, String> {
    let mut options = Options::default();
    for flag in OTTO.iter().chain(LIBTEST.iter().filter(|flag| WITH_VARIABLE.contains(&flag.long))) {
        let name = variable_of(flag.long);
        if let Some(value) = variable(&name).filter(|value| !value.is_empty()) {
            let given = if flag.value.is_some() { Some(value) } else { switch(&name, &value)? };
            if let Some(value) = given {
                options.apply(flag.long, value, &name)?;
            }
        }
    }
    if let Some(threads) = variable("RUST_TEST_THREADS").filter(|value| !value.is_empty()) {
        options.apply("test-threads", threads, "RUST_TEST_THREADS")?;
    }
    let from_variables = std::mem::take(&mut options.labs);
    options.read(arguments)?;
    if options.labs.is_empty() {
        options.labs = from_variables;
    }
    Ok(options)
}

/// The variable of a flag: `--as-user` has `OTTO_AS_USER`.
fn variable_of(long: &str) -> String {
    format!("OTTO_{}", long.replace('-', "_").to_ascii_uppercase())
}

/// A variable that switches a flag on (`Some`) or leaves it off.
fn switch(name: &str, value: &str) -> Result<Option<String>, String> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(Some(String::new())),
        "0" | "false" | "no" | "off" => Ok(None),
        _ => Err(format!("{name} is `{value}`; it is switched on by 1 and off by 0")),
    }
}

impl Options {
    fn read(&mut self, arguments: impl IntoIterator<Item = OsString>) -> Result<(), String> {
        let mut arguments = arguments.into_iter().map(|argument| {
            argument.into_string().map_err(|argument| format!("{} is not valid UTF-8", argument.display()))
        });
        while let Some(argument) = arguments.next().transpose()? {
            if argument == "--" {
                self.filters.extend(arguments.collect::<Result<Vec<_>, _>>()?);
                return Ok(());
            } else if let Some(long) = argument.strip_prefix("--") {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (long, None),
                };
                let flag = LIBTEST
                    .iter()
                    .chain(OTTO)
                    .find(|flag| flag.long == name && !name.is_empty())
                    .ok_or_else(|| unknown(name))?;
                let value = match (flag.value, value) {
                    (None, None) => String::new(),
                    // libtest: `--report-time=plain`; the value says nothing that is supported.
                    (None, Some(_)) if name == "report-time" => String::new(),
                    (None, Some(_)) => return Err(format!("`--{name}` takes no value")),
                    (Some(_), Some(value)) => value,
                    (Some(shape), None) => {
                        arguments.next().transpose()?.ok_or_else(|| format!("`--{name}` wants a value: {shape}"))?
                    }
                };
                self.apply(flag.long, value, &format!("--{name}"))?;
            } else if argument.len() > 1 && argument.starts_with('-') {
                let mut letters = argument[1..].chars();
                while let Some(letter) = letters.next() {
                    let flag = LIBTEST
                        .iter()
                        .chain(OTTO)
                        .find(|flag| flag.short == Some(letter))
                        .ok_or_else(|| format!("unknown flag `-{letter}`; `--help` lists all of them"))?;
                    let value = match flag.value {
                        None => String::new(),
                        Some(shape) if letters.as_str().is_empty() => arguments
                            .next()
                            .transpose()?
                            .ok_or_else(|| format!("`-{letter}` wants a value: {shape}"))?,
                        Some(_) => std::mem::replace(&mut letters, "".chars()).as_str().to_owned(),
                    };
                    self.apply(flag.long, value, &format!("-{letter}"))?;
                }
            } else {
                self.filters.push(argument);
            }
        }
        Ok(())
    }

    /// Takes up one flag. `given` is how it was spelt: a flag or the name of a variable.
    fn apply(&mut self, long: &str, value: String, given: &str) -> Result<(), String> {
        let number =
            |value: &str| value.parse::<u64>().map_err(|_| format!("{given} is `{value}`, which is not a number"));
        match long {
            "include-ignored" => self.mimic.include_ignored = true,
            "ignored" => self.mimic.ignored = true,
            "exclude-should-panic" => self.exclude_should_panic = true,
            "test" => self.mimic.test = true,
            "bench" => self.mimic.bench = true,
            "list" => self.mimic.list = true,
            "help" => self.help = true,
            "logfile" => self.mimic.logfile = Some(value),
            "no-capture" | "nocapture" => self.mimic.nocapture = true,
            "test-threads" => {
                let threads = usize::try_from(number(&value)?).ok().and_then(NonZeroUsize::new);
                self.threads = Some(threads.ok_or_else(|| format!("{given} must not be 0: no test would ever run"))?);
            }
            "skip" => self.skip.push(value),
            "quiet" => self.mimic.quiet = true,
            "exact" => self.mimic.exact = true,
            "color" => {
                self.mimic.color = Some(match value.as_str() {
                    "auto" => ColorSetting::Auto,
                    "always" => ColorSetting::Always,
                    "never" => ColorSetting::Never,
                    _ => return Err(format!("{given} is `{value}`; it may be auto, always or never")),
                });
            }
            "format" => {
                self.mimic.format = Some(match value.as_str() {
                    "pretty" => FormatSetting::Pretty,
                    "terse" => FormatSetting::Terse,
                    "json" => FormatSetting::Json,
                    _ => return Err(format!("{given} is `{value}`; it may be pretty, terse or json")),
                });
            }
            "show-output" => self.mimic.show_output = true,
            "report-time" | "ensure-time" => self.notes.push(format!("{given} is not supported; it is ignored")),
            "lab" => {
                let labs: Vec<_> = value.split(',').map(str::trim).map(str::to_owned).collect();
                if labs.iter().any(|lab| lab.split('+').any(|part| part.trim().is_empty())) {
                    return Err(format!("{given} is `{value}`, which leaves a lab without a name"));
                }
                self.labs.extend(labs);
            }
            "list-labs" => self.list_labs = true,
            "list-hosts" => self.list_hosts = true,
            "as-user" if value.trim().is_empty() => return Err(format!("{given} names no user")),
            "as-user" => self.as_user = Some(value),
            "skip-reservation-check" => self.skip_reservation_check = true,
            "dry-run" => self.dry_run = true,
            "timeout" => self.limits.test = Some(limit(&value, given)?),
            "setup-timeout" => self.limits.setup = Some(limit(&value, given)?),
            "teardown-timeout" => self.limits.teardown = Some(limit(&value, given)?),
            "fail-fast" => self.fail_fast = true,
            "shuffle" => self.shuffle = true,
            "shuffle-seed" => {
                self.shuffle = true;
                self.seed = Some(number(&value)?);
            }
            "output-dir" => self.output_dir = Some(value.into()),
            // `-Z` and `--force-run-in-process` ask for what is the case anyway.
            _ => {}
        }
        Ok(())
    }
}

fn limit(value: &str, given: &str) -> Result<Duration, String> {
    duration::parse(value).map_err(|why| format!("{given}: {why}"))
}

/// What is said of a flag that nobody knows, with the nearest one that there is.
fn unknown(name: &str) -> String {
    let near = LIBTEST
        .iter()
        .chain(OTTO)
        .filter(|flag| !flag.long.is_empty())
        .map(|flag| (strsim::damerau_levenshtein(flag.long, name), flag.long))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    match near {
        Some((_, long)) => format!("unknown flag `--{name}`; did you mean `--{long}`?"),
        None => format!("unknown flag `--{name}`; `--help` lists all of them"),
    }
}

/// The text of `--help`: libtest's flags, then otto's.
pub(super) fn help() -> String {
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

    fn with(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Options, String> {
        parse(arguments.iter().map(OsString::from), |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn of(arguments: &[&str]) -> Options {
        with(arguments, &[]).unwrap()
    }

    #[test]
    fn labs_repeat_merge_and_list() {
        assert_eq!(of(&["--lab", "a+b", "--lab=c", "--lab", "d, e"]).labs, ["a+b", "c", "d", "e"]);
        assert!(with(&["--lab", "a,"], &[]).unwrap_err().contains("without a name"));
        assert!(with(&["--lab", "a++b"], &[]).unwrap_err().contains("without a name"));
    }

    #[test]
    fn a_flag_wins_over_its_variable() {
        let variables = [
            ("OTTO_LAB", "x,y"),
            ("OTTO_TIMEOUT", "2s"),
            ("OTTO_AS_USER", "bob"),
            ("OTTO_DRY_RUN", "1"),
            ("OTTO_FAIL_FAST", "0"),
        ];
        let options = with(&[], &variables).unwrap();
        assert_eq!(
            (options.labs, options.dry_run, options.fail_fast),
            (vec!["x".to_owned(), "y".to_owned()], true, false)
        );
        let options = with(&["--lab", "z", "--timeout", "1m", "--as-user=eve"], &variables).unwrap();
        assert_eq!(options.labs, ["z"]);
        assert_eq!(options.limits.test, Some(Duration::from_secs(60)));
        assert_eq!(options.as_user.as_deref(), Some("eve"));
    }

    #[test]
    fn a_wrong_variable_is_named() {
        for (name, value) in
            [("OTTO_DRY_RUN", "maybe"), ("OTTO_TIMEOUT", "5"), ("RUST_TEST_THREADS", "0"), ("OTTO_SHUFFLE_SEED", "x")]
        {
            let error = with(&[], &[(name, value)]).unwrap_err();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn every_flag_of_libtest_is_accepted() {
        let options = of(&[
            "-Z",
            "unstable-options",
            "-Zother",
            "--format=json",
            "--report-time=plain",
            "--ensure-time",
            "--force-run-in-process",
            "--exclude-should-panic",
            "--no-capture",
            "--show-output",
            "-q",
            "--color",
            "never",
            "--test",
        ]);
        assert!(options.mimic.nocapture && options.exclude_should_panic && options.mimic.quiet);
        assert_eq!(options.notes.len(), 2);
    }

    #[test]
    fn filters_and_the_end_of_flags() {
        let options = of(&["one", "--exact", "two", "--skip", "three", "--", "--four"]);
        assert_eq!(options.filters, ["one", "two", "--four"]);
        assert_eq!(options.skip, ["three"]);
        assert!(options.mimic.filter.is_none());
    }

    #[test]
    fn mistakes_are_one_clear_line() {
        let cases: [(&[&str], &str); 7] = [
            (&["--test-threads", "0"], "must not be 0"),
            (&["--test-threads", "many"], "not a number"),
            (&["--laab", "x"], "did you mean `--lab`"),
            (&["--lab"], "wants a value"),
            (&["--list=yes"], "takes no value"),
            (&["--format", "junit"], "pretty, terse or json"),
            (&["-x"], "unknown flag `-x`"),
        ];
        for (arguments, says) in cases {
            let error = with(arguments, &[]).unwrap_err();
            assert!(error.contains(says) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn help_has_two_groups_and_every_flag() {
        let text = help();
        let (libtest, otto) = text.split_once("Flags of otto:").unwrap();
        assert!(LIBTEST.iter().filter(|flag| !flag.help.is_empty()).all(|flag| libtest.contains(flag.long)));
        assert!(
            OTTO.iter()
                .all(|flag| otto.contains(&format!("--{}", flag.long)) && otto.contains(&variable_of(flag.long)))
        );
    }
}
