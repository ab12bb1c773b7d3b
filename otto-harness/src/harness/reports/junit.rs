//! JUnit XML, as Jenkins, GitLab and the like read it: one `testcase` a test.

use std::time::{Duration, SystemTime};

use quick_junit::{FlakyOrRerun, NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite, XmlString};

use crate::context::spell_out;
use crate::harness::record::{Attempt, RunRecord, TestRecord, Verdict};

/// How many commands of a test stand in its `system-out`: the newest.
const COMMANDS: usize = 50;

/// The document.
///
/// # Errors
/// If it cannot be put together, which only a bug can do.
pub(super) fn document(run: &RunRecord) -> Result<String, String> {
    let mut report = Report::new("otto");
    set_time(&mut report.timestamp, run.began);
    report.set_time(run.took);
    // A suite for each package and lab, in the order of their first tests.
    let mut suites: Vec<((&str, Option<&str>), TestSuite)> = Vec::new();
    for test in &run.tests {
        let key = (&*test.package, test.lab.as_deref());
        let at = suites.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            suites.push((key, suite(run, test)));
            suites.len() - 1
        });
        suites[at].1.add_test_case(case(test));
    }
    for (_, mut suite) in suites {
        suite.set_time(suite.test_cases.iter().filter_map(|case| case.time).sum());
        report.add_test_suite(suite);
    }
    report.to_string().map_err(|error| error.to_string())
}

fn suite(run: &RunRecord, first: &TestRecord) -> TestSuite {
    let name = match &first.lab {
        Some(lab) => format!("{} [{lab}]", first.package),
        None => first.package.clone(),
    };
    let mut suite = TestSuite::new(text(&name));
    set_time(&mut suite.timestamp, run.began);
    let lab = first.lab.iter().map(|lab| ("lab", lab.clone()));
    let seed = run.seed.iter().map(|seed| ("seed", seed.to_string()));
    let properties = [("run", run.id.clone()), ("user", run.user.clone()), ("arguments", run.arguments.join(" "))];
    for (name, value) in properties.into_iter().chain(lab).chain(seed) {
        suite.add_property((text(name), text(&value)));
    }
    suite
}

fn case(test: &TestRecord) -> TestCase {
    let mut case = TestCase::new(text(&test.name), status(test));
    let module = test.name.rsplit_once("::").map_or("", |(module, _)| module);
    case.set_classname(text(&if module.is_empty() {
        test.package.clone()
    } else {
        format!("{}::{module}", test.package)
    }));
    case.set_time(test.took());
    if let Some(first) = test.attempts.first() {
        set_time(&mut case.timestamp, first.began);
    }
    case.extra.insert("file".into(), text(&test.file));
    case.extra.insert("line".into(), text(&test.line.to_string()));
    let of_lab = test.lab.iter().map(|lab| ("lab", lab.clone()));
    let properties = [
        ("hosts", test.hosts.join(" ")),
        ("shared", test.shared.join(" ")),
        ("tags", test.tags.join(" ")),
        ("verdict", test.verdict.name().to_owned()),
        ("attempts", test.runs.to_string()),
        ("passed-attempts", test.passes.to_string()),
        ("rerun", test.rerun.clone()),
    ];
    for (name, value) in of_lab.chain(properties).filter(|(_, value)| !value.is_empty()) {
        case.add_property((text(name), text(&value)));
    }
    if let Some(last) = test.failed_attempt().or(test.attempts.last())
        && let Some(out) = transcript(last)
    {
        case.set_system_out(text(&out));
    }
    case
}

fn status(test: &TestRecord) -> TestCaseStatus {
    let reason = || test.reason.as_deref();
    match test.verdict {
        Verdict::Passed | Verdict::Flaky => {
            let mut status = TestCaseStatus::success();
            status.add_reruns(test.attempts.iter().filter(|attempt| attempt.verdict.is_failure()).map(rerun));
            status
        }
        Verdict::Skipped | Verdict::Ignored => {
            let mut status = TestCaseStatus::skipped();
            status.set_type(test.verdict.name());
            if let Some(reason) = reason() {
                status.set_message(text(reason));
            }
            status
        }
        _ => {
            let mut status = TestCaseStatus::non_success(kind(test.verdict));
            status.set_type(test.verdict.name());
            let last = test.failed_attempt();
            let failure = last.and_then(|attempt| attempt.failure.as_deref());
            let message = reason().or_else(|| failure.map(first_line)).unwrap_or(test.verdict.name());
            status.set_message(text(message));
            if let Some(failure) = failure {
                status.set_description(text(failure));
            }
            // The attempt that is the failure itself is not told of again.
            let others = test.attempts.iter().filter(|attempt| attempt.verdict.is_failure());
            status
                .add_reruns(others.filter(|attempt| last.is_none_or(|last| !std::ptr::eq(*attempt, last))).map(rerun));
            status.set_rerun_kind(FlakyOrRerun::Rerun);
            status
        }
    }
}

/// A host that cannot be reached says nothing of what is tested, and is no `<failure>`.
fn kind(verdict: Verdict) -> NonSuccessKind {
    match verdict {
        Verdict::Infrastructure | Verdict::ReservationLost | Verdict::Interrupted => NonSuccessKind::Error,
        _ => NonSuccessKind::Failure,
    }
}

fn rerun(attempt: &Attempt) -> TestRerun {
    let mut rerun = TestRerun::new(kind(attempt.verdict));
    set_time(&mut rerun.timestamp, attempt.began);
    rerun.set_time(attempt.took);
    rerun.set_type(attempt.verdict.name());
    if let Some(failure) = &attempt.failure {
        rerun.set_message(text(first_line(failure)));
        rerun.set_description(text(failure));
    }
    if let Some(out) = transcript(attempt) {
        rerun.set_system_out(text(&out));
    }
    rerun
}

/// The newest commands of an attempt and the ends of what they wrote, as a transcript has them.
fn transcript(attempt: &Attempt) -> Option<String> {
    let left_out = attempt.commands.len().saturating_sub(COMMANDS);
    let mut lines = Vec::new();
    let before = left_out as u64 + attempt.commands_left_out;
    if before > 0 {
        lines.push(format!("({before} commands before these are left out here)"));
    }
    for command in &attempt.commands[left_out..] {
        lines.push(format!("{} [{}] $ {}", command.host, command.session, command.command));
        lines.extend(command.tail.iter().map(|line| format!("  | {line}")));
        let ended = command.ended.as_deref().unwrap_or("not ended");
        lines.push(format!("  = {ended} after {:.3} s", command.took.as_secs_f64()));
    }
    lines.extend(attempt.attachments.iter().map(|(name, path)| format!("[[ATTACHMENT|{}]] {name}", path.display())));
    if let Some(folder) = &attempt.output_dir {
        lines.push(format!("transcripts: {}", folder.display()));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn first_line(text: &str) -> &str {
    // A panic says its place first, and what it is about below that.
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    match lines.next() {
        Some(first) if first.starts_with("panicked at ") && first.ends_with(':') => lines.next().unwrap_or(first),
        first => first.unwrap_or_default(),
    }
}

/// Text with nothing in it that XML cannot hold, which is spelt out instead.
fn text(text: &str) -> XmlString {
    let spelt: Vec<_> = text.split('\n').map(spell_out).collect();
    XmlString::new(spelt.join("\n").replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}"))
}

fn set_time(field: &mut Option<chrono::DateTime<chrono::FixedOffset>>, time: SystemTime) {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let seconds = i64::try_from(since.as_secs()).unwrap_or_default();
    *field = chrono::DateTime::from_timestamp(seconds, since.subsec_nanos()).map(|time| time.fixed_offset());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::reports::samples;

    fn read(run: &RunRecord) -> Report {
        let xml = document(run).unwrap();
        Report::deserialize_from_str(&xml).unwrap_or_else(|error| panic!("{error}: {xml}"))
    }

    fn case_of<'r>(report: &'r Report, name: &str) -> &'r TestCase {
        let mut cases = report.test_suites.iter().flat_map(|suite| &suite.test_cases);
        cases.find(|case| case.name.as_str() == name).unwrap()
    }

    #[test]
    fn each_verdict_has_its_element_and_its_count() {
        let report = read(&samples::run());
        assert_eq!((report.tests, report.failures, report.errors, report.skipped), (10, 3, 3, 2));
        assert_eq!(report.test_suites.len(), 1);
        assert_eq!(report.test_suites[0].name.as_str(), "suite [bench]");
        let failed = case_of(&report, "build::fails");
        assert!(
            matches!(&failed.status, TestCaseStatus::NonSuccess { kind: NonSuccessKind::Failure, message: Some(message), .. } if message.as_str() == "it failed")
        );
        assert!(
            failed
                .system_out
                .as_ref()
                .unwrap()
                .as_str()
                .contains("router1 [default] $ make\n  | line one\n  | line two\n  = exit 2")
        );
        assert_eq!(failed.classname.as_ref().unwrap().as_str(), "suite::build");
        let lost = case_of(&report, "power::unreachable");
        assert!(
            matches!(&lost.status, TestCaseStatus::NonSuccess { kind: NonSuccessKind::Error, ty: Some(ty), .. } if ty.as_str() == "infrastructure error")
        );
        let skipped = case_of(&report, "power::camera");
        assert!(
            matches!(&skipped.status, TestCaseStatus::Skipped { message: Some(why), .. } if why.as_str() == "no host has a camera")
        );
    }

    #[test]
    fn attempts_are_flaky_or_rerun_elements() {
        let xml = document(&samples::run()).unwrap();
        assert_eq!(xml.matches("<flakyFailure").count(), 1, "{xml}");
        // Four rounds of twenty failed, of which the last is the failure itself.
        assert_eq!(xml.matches("<rerunFailure").count(), 3, "{xml}");
        let report = read(&samples::run());
        let properties = &case_of(&report, "soak::reboot").properties;
        let of = |name| properties.iter().find(|property| property.name.as_str() == name).map(|one| one.value.as_str());
        assert_eq!((of("attempts"), of("passed-attempts"), of("lab")), (Some("20"), Some("16"), Some("bench")));
    }

    #[test]
    fn whatever_a_host_writes_it_stays_xml() {
        let report = read(&samples::hostile());
        assert_eq!(report.tests, 10);
        let out = report.test_suites[0].test_cases[0].system_out.as_ref().unwrap().as_str();
        assert!(out.contains("<img src=x onerror=") && out.contains("\\x00\\x01\\x08\\x0b\\e[31m"), "{out}");
        assert!(!document(&samples::hostile()).unwrap().contains(['\0', '\u{b}', '\u{202e}', '\u{ffff}']));
    }

    #[test]
    fn a_panic_is_named_by_what_it_says() {
        assert_eq!(first_line("panicked at tests/a.rs:1:2:\nno route\nmore"), "no route");
        assert_eq!(first_line("\nr1: `x` exited with 2\n  | y"), "r1: `x` exited with 2");
    }
}
