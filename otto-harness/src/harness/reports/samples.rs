//! Runs made by hand, for tests of the reports: ordinary ones, and one whose every text tries to break out.

use std::time::{Duration, SystemTime};

use crate::harness::record::{Attempt, CommandRecord, RunRecord, TestRecord, Verdict};

/// The moment at which all of it happens.
pub(in crate::harness) fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_262_400)
}

/// A command that ended with this code.
pub(in crate::harness) fn command(host: &str, command: &str, code: i32) -> CommandRecord {
    CommandRecord {
        host: host.to_owned(),
        session: "default".to_owned(),
        command: command.to_owned(),
        began: noon(),
        took: Duration::from_millis(1500),
        ended: Some(format!("exit {code}")),
        is_ok: code == 0,
        tail: vec!["line one".to_owned(), "line two".to_owned()],
    }
}

/// A command that runs.
pub(in crate::harness) fn running(host: &str, session: &str, what: &str) -> CommandRecord {
    CommandRecord {
        session: session.to_owned(),
        took: Duration::from_secs(20),
        ended: None,
        is_ok: false,
        tail: vec!["64 bytes".to_owned()],
        ..command(host, what, 0)
    }
}

pub(in crate::harness) fn attempt(verdict: Verdict, after: u64, took: u64) -> Attempt {
    Attempt {
        round: 1,
        began: noon() + Duration::from_millis(after),
        took: Duration::from_millis(took),
        verdict,
        failure: verdict
            .is_failure()
            .then(|| format!("it {}\n\n  took long\n  run it again: cargo test", verdict.name())),
        output_dir: None,
        commands: Vec::new(),
        commands_left_out: 0,
        attachments: Vec::new(),
    }
}

/// A test on the lab `bench` that holds `router1`.
pub(in crate::harness) fn test(name: &str, verdict: Verdict, mut attempts: Vec<Attempt>) -> TestRecord {
    attempts.iter_mut().zip(1..).for_each(|(attempt, round)| attempt.round = round);
    TestRecord {
        name: name.to_owned(),
        lab: Some("bench".to_owned()),
        package: "suite".to_owned(),
        file: "tests/bgp.rs".to_owned(),
        line: 12,
        tags: vec!["smoke".to_owned()],
        hosts: vec!["router1".to_owned()],
        shared: Vec::new(),
        verdict,
        reason: None,
        runs: attempts.len() as u64,
        passes: attempts.iter().filter(|attempt| !attempt.verdict.is_failure()).count() as u64,
        attempts,
        rerun: format!("cargo test -p suite -- --exact {name} --lab bench"),
    }
}

/// One test of each verdict, one after the other.
pub(in crate::harness) fn run() -> RunRecord {
    let mut passed = attempt(Verdict::Passed, 0, 4210);
    passed.commands = vec![command("router1", "show bgp summary", 0), command("router1", "uptime", 0)];
    let mut failed = attempt(Verdict::Failed, 9_000, 3_000);
    failed.commands = vec![command("router1", "true", 0), command("router1", "make", 2)];
    let timed_out = Attempt {
        commands: vec![running("switch1", "default", "show interface eth3"), running("router1", "oneshot", "ping")],
        ..attempt(Verdict::TimedOut, 12_000, 30_000)
    };
    let ends = |verdict, after| vec![attempt(verdict, after, 1_000)];
    let mut tests = vec![
        test("bgp::converges", Verdict::Passed, vec![passed]),
        test(
            "link::flaky",
            Verdict::Flaky,
            vec![attempt(Verdict::Failed, 5_000, 2_000), attempt(Verdict::Passed, 7_000, 1_500)],
        ),
        test("build::fails", Verdict::Failed, vec![failed]),
        test("link::flap", Verdict::TimedOut, vec![timed_out]),
        test("power::unreachable", Verdict::Infrastructure, ends(Verdict::Infrastructure, 42_000)),
        test("power::interrupted", Verdict::Interrupted, ends(Verdict::Interrupted, 43_000)),
        test("power::lease", Verdict::ReservationLost, ends(Verdict::ReservationLost, 44_000)),
        test("power::camera", Verdict::Skipped, ends(Verdict::Skipped, 45_000)),
        test("power::psu", Verdict::Ignored, Vec::new()),
    ];
    let rounds =
        (0..20).map(|n| attempt(if n % 5 == 4 { Verdict::Failed } else { Verdict::Passed }, 46_000 + n * 100, 90));
    tests.push(test("soak::reboot", Verdict::Unstable, rounds.collect()));
    tests[7].reason = Some("no host has a camera".to_owned());
    tests[8].reason = Some("needs the new PSU".to_owned());
    tests[9].reason = Some("passed 16 of 20, which is 80 % of the 95 % asked for".to_owned());
    tests[3].hosts = vec!["switch1".to_owned(), "router1".to_owned()];
    RunRecord {
        id: "20261121-0931-7f3a".to_owned(),
        began: noon(),
        took: Duration::from_secs(49),
        user: "alice".to_owned(),
        arguments: vec!["--lab".to_owned(), "bench".to_owned()],
        labs: vec!["bench".to_owned()],
        seed: Some(7),
        filtered: 3,
        tests,
    }
}

/// What a page, an XML file or a terminal must not take for its own.
pub(in crate::harness) const HOSTILE: &str = "</script><img src=x onerror=\"document.title='broken'\">'\"&amp;<!-- ]]> \
     \u{0}\u{1}\u{8}\u{b}\u{1b}[31m\u{7f}\u{9b}\u{202e}\u{2028}\u{fffe}\u{ffff} \u{1f4a5} </details></style><script>document.title='broken'</script>${1+1}`";

/// A run whose every text is [`HOSTILE`].
pub(in crate::harness) fn hostile() -> RunRecord {
    let text = || HOSTILE.to_owned();
    let mut run = run();
    run.user = text();
    run.arguments = vec![text()];
    run.labs = vec![text()];
    for test in &mut run.tests {
        test.name = format!("{}{HOSTILE}", test.name);
        test.lab = Some(text());
        (test.package, test.file, test.rerun) = (text(), text(), text());
        (test.tags, test.hosts, test.reason) = (vec![text()], vec![text()], Some(text()));
        for attempt in &mut test.attempts {
            attempt.failure = attempt.failure.is_some().then(text);
            attempt.attachments = vec![(text(), text().into())];
            for command in &mut attempt.commands {
                (command.host, command.session, command.command) = (text(), text(), text());
                command.ended = command.ended.is_some().then(text);
                command.tail = vec![text(), String::from_utf8_lossy(b"\xff\xfe\x00").into_owned()];
            }
        }
    }
    run
}
