//! What each flag does to the options.

use std::num::NonZeroUsize;
use std::time::Duration;

use libtest_mimic::{ColorSetting, FormatSetting};

use super::Options;
use crate::harness::duration;
use crate::harness::progress::Mode;
use crate::harness::reports::path;

/// As many as `retries` of the attribute may be.
const MOST_RETRIES: u32 = 1000;

fn limit(value: &str, given: &str) -> Result<Duration, String> {
    duration::parse(value).map_err(|why| format!("{given}: {why}"))
}

impl Options {
    /// Takes up one flag. `given` is how it was spelt: a flag or the name of a variable.
    #[expect(clippy::too_many_lines, reason = "an arm for each flag, and nothing else")]
    pub(super) fn apply(&mut self, long: &str, value: String, given: &str) -> Result<(), String> {
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
            "lab-schema" => self.lab_schema = true,
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
            "output-dir" => self.output_dir = Some(path(value, given)?),
            "junit" => self.junit = Some(path(value, given)?),
            "report" => self.report = Some(path(value, given)?),
            "events" => self.events = Some(path(value, given)?),
            "progress" => self.progress = Mode::parse(&value, given)?,
            "tag" => {
                for tag in value.split(',').map(str::trim) {
                    match tag.strip_prefix('!') {
                        Some(without) if !without.is_empty() => self.without_tags.push(without.to_owned()),
                        None if !tag.is_empty() => self.tags.push(tag.to_owned()),
                        _ => return Err(format!("{given} is `{value}`, which leaves a tag without a name")),
                    }
                }
            }
            "retries" => {
                let retries = u32::try_from(number(&value)?).ok().filter(|retries| *retries <= MOST_RETRIES);
                self.retries =
                    Some(retries.ok_or_else(|| format!("{given} is {value}; it may be {MOST_RETRIES} at most"))?);
            }
            "flaky" => {
                self.flaky_fails = match value.as_str() {
                    "pass" => false,
                    "fail" => true,
                    _ => return Err(format!("{given} is `{value}`; it may be pass or fail")),
                };
            }
            "iterations" => {
                self.iterations = Some(number(&value)?);
                if self.iterations == Some(0) {
                    return Err(format!("{given} must not be 0: no test would ever run"));
                }
            }
            "duration" => self.duration = Some(limit(&value, given)?),
            "threshold" => {
                let share = value.strip_suffix('%').unwrap_or(&value).trim().parse::<f64>().ok();
                let share = share.filter(|share| *share > 0.0 && *share <= 100.0);
                self.threshold = Some(share.ok_or_else(|| {
                    format!("{given} is `{value}`, which is no share in per cent; write it as in `99.5`: above 0, 100 at most")
                })?);
            }
            // `-Z` and `--force-run-in-process` ask for what is the case anyway.
            _ => {}
        }
        Ok(())
    }
}
