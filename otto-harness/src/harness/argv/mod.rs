//! The command line and the `OTTO_*` variables.
//!
//! libtest's flags mean what they mean in libtest, whether libtest-mimic knows them or not; otto's own stand beside
//! them. All are read here and not by libtest-mimic's parser, because that one knows a single filter, exits the process
//! by itself, and refuses flags that cargo's users and editors pass (`--no-capture`, `--shuffle`, `--report-time`).

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::harness::progress;
use libtest_mimic::Arguments;

use super::budget::Limits;

mod apply;
mod conflicts;
mod flags;
#[cfg(test)]
mod tests;

pub(super) use flags::help;
use flags::{Flag, OTTO, REPEATED, long, short, unknown, variable_of, with_variable};

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
    pub(super) lab_schema: bool,
    pub(super) as_user: Option<String>,
    pub(super) skip_reservation_check: bool,
    pub(super) dry_run: bool,
    /// `--setup-timeout`, `--timeout`, `--teardown-timeout`.
    pub(super) limits: Limits,
    pub(super) fail_fast: bool,
    pub(super) shuffle: bool,
    pub(super) seed: Option<u64>,
    pub(super) output_dir: Option<PathBuf>,
    /// A test is run if it has any of them, or if there are none.
    pub(super) tags: Vec<String>,
    /// A test is not run if it has any of them.
    pub(super) without_tags: Vec<String>,
    /// Of tests that say no number themselves.
    pub(super) retries: Option<u32>,
    /// A test that passed on a retry fails the run.
    pub(super) flaky_fails: bool,
    /// How often each test is run, and for how long; whichever is over first, if both are given.
    pub(super) iterations: Option<u64>,
    pub(super) duration: Option<Duration>,
    /// How many of a test's iterations have to pass, in per cent.
    pub(super) threshold: Option<f64>,
    pub(super) junit: Option<PathBuf>,
    /// The HTML report.
    pub(super) report: Option<PathBuf>,
    /// The event file.
    pub(super) events: Option<PathBuf>,
    pub(super) progress: progress::Mode,
    /// The flags that were given, and how they were spelt.
    given: Vec<Given>,
    /// As they were given, without the program's name.
    pub(super) arguments: Vec<String>,
    /// What to say on stderr before anything is done.
    pub(super) notes: Vec<String>,
}

/// A flag, and what gave it.
#[derive(Debug)]
struct Given {
    long: &'static str,
    /// `--retries`, or `OTTO_RETRIES`.
    by: String,
    is_variable: bool,
}

/// Reads the arguments (without the program's name) and the variables. A flag wins over its variable.
///
/// # Errors
/// What is wrong, as one line, for exit code 2.
pub(super) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Options, String> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut options = Options {
        arguments: arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect(),
        ..Options::default()
    };
    for flag in with_variable() {
        let name = variable_of(flag.long);
        if let Some(value) = variable(&name).filter(|value| !value.is_empty()) {
            let given = if flag.value.is_some() { Some(value) } else { switch(&name, &value)? };
            if let Some(value) = given {
                options.given.push(Given { long: flag.long, by: name.clone(), is_variable: true });
                options.apply(flag.long, value, &name)?;
            }
        }
    }
    if let Some(threads) = variable("RUST_TEST_THREADS").filter(|value| !value.is_empty()) {
        options.apply("test-threads", threads, "RUST_TEST_THREADS")?;
    }
    let labs = std::mem::take(&mut options.labs);
    let tags = (std::mem::take(&mut options.tags), std::mem::take(&mut options.without_tags));
    options.read(arguments)?;
    if options.labs.is_empty() {
        options.labs = labs;
    }
    if options.tags.is_empty() && options.without_tags.is_empty() {
        (options.tags, options.without_tags) = tags;
    }
    options.settle()?;
    Ok(options)
}

/// A variable of this process. One that is no text is shown as far as it is one, and then refused or looked for.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
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
            } else if let Some(given) = argument.strip_prefix("--") {
                let (name, value) = match given.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (given, None),
                };
                let flag = long(name).ok_or_else(|| unknown(name))?;
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
                self.take(flag, value, format!("--{name}"))?;
            } else if argument.len() > 1 && argument.starts_with('-') {
                let mut letters = argument[1..].chars();
                while let Some(letter) = letters.next() {
                    let flag =
                        short(letter).ok_or_else(|| format!("unknown flag `-{letter}`; `--help` lists all of them"))?;
                    let value = match flag.value {
                        None => String::new(),
                        Some(shape) if letters.as_str().is_empty() => arguments
                            .next()
                            .transpose()?
                            .ok_or_else(|| format!("`-{letter}` wants a value: {shape}"))?,
                        Some(_) => std::mem::replace(&mut letters, "".chars()).as_str().to_owned(),
                    };
                    self.take(flag, value, format!("-{letter}"))?;
                }
            } else {
                self.filters.push(argument);
            }
        }
        Ok(())
    }

    /// Takes up a flag of the command line.
    fn take(&mut self, flag: &'static Flag, value: String, by: String) -> Result<(), String> {
        self.apply(flag.long, value, &by)?;
        let otto = OTTO.iter().any(|own| own.long == flag.long);
        let again = self.given.iter().any(|given| given.long == flag.long && !given.is_variable);
        if otto && again && flag.value.is_some() && !REPEATED.contains(&flag.long) {
            return Err(format!("`{by}` is given twice"));
        }
        self.given.push(Given { long: flag.long, by, is_variable: false });
        Ok(())
    }
}
