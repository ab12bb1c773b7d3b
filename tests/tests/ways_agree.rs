//! One suite, run by `cargo test`, by nextest and by libtest, with and without `harness = false`: every test ends as one
//! table says, whichever way it is run. Then as a lab runs it: archived on one machine, its parts run on another.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use otto_tests::suite::{Said, command};
use regex::Regex;
use tempfile::TempDir;

/// How a test is to end, and what its failure or its reason says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Passes,
    /// Fails once, and then passes.
    Flaky,
    Fails(&'static str),
    Skips(&'static str),
    Ignored(&'static str),
    /// No lab is selected for it. libtest cannot ignore a test at run time, so that what was not run fails there.
    OtherLab(&'static str),
}

use End::{Fails, Flaky, Ignored, OtherLab, Passes, Skips};

const TABLE: [(&str, End); 18] = [
    ("passes", Passes),
    ("fails", Fails("no route to the peer\n  caused by: the cable is out")),
    ("fails_at_a_command", Fails("ls /nowhere")),
    ("panics", Fails("the bench is on fire")),
    ("hangs", Fails("timed out: not done within 300ms")),
    ("blocks", Fails("timed out: it was not done within 300ms and did not yield")),
    ("is_flaky", Flaky),
    ("skips", Skips("the bench has no camera")),
    ("is_ignored", Ignored("needs the new PSU")),
    ("should_panic", Passes),
    ("should_panic_and_does_not", Fails("did not panic, and is marked #[should_panic]")),
    ("of_another_lab", OtherLab("there is no lab `rack`")),
    ("checks", Fails("2 checks failed:\n  tests/tests/ways/suite.rs:")),
    ("leaves_a_fixture_open", Fails("the test passed, and then: fixture `Relay` did not close: the relay is stuck")),
    ("waits", Ignored("it ends when somebody ends it")),
    ("has_no_fixture", Fails("cannot set up the test: fixture `Camera`: no route to the peer")),
    ("shares", Passes),
    ("shares_too", Passes),
];

/// What a runner can say of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Shown {
    Ok,
    Failed,
    Ignored,
}

/// The folder of this package.
fn package() -> PathBuf {
    // Where it is now: an archive of these tests may run elsewhere than they were built.
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from)
}

/// `cargo`, with none of the variables of this run but those that say where it builds.
fn cargo(arguments: &[&str]) -> Said {
    let mut cargo = command(env!("CARGO"), &package(), arguments);
    cargo.env_remove("CARGO_MANIFEST_DIR").env("CARGO_TERM_COLOR", "never").output().expect("cargo runs").into()
}

const SUITES: [&str; 6] = ["-p", "otto-tests", "--test", "ways", "--test", "ways_under_libtest"];

/// Builds both, once: cargo would have the tests of this file wait for each other.
fn build() {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        cargo(&[&["test", "--no-run"], &SUITES[..]].concat()).expect(0, &[]);
    });
}

fn nextest() {
    let version = Command::new(env!("CARGO")).args(["nextest", "--version"]).output().expect("cargo runs");
    assert!(version.status.success(), "there is no nextest: cargo install --locked cargo-nextest");
}

/// What `test NAME ... WHAT` lines say; `[lab]` and `suite::` are left out of the names.
fn results(out: &str) -> BTreeMap<String, Shown> {
    let line =
        Regex::new(r"(?m)^test (?:\[\w+\] +)?suite::(\w+)(?: - should panic)? +\.\.\. (ok|FAILED|ignored)").unwrap();
    let shown = |text: &str| match text {
        "ok" => Shown::Ok,
        "FAILED" => Shown::Failed,
        _ => Shown::Ignored,
    };
    line.captures_iter(out).map(|found| (found[1].to_owned(), shown(&found[2]))).collect()
}

/// That each test of the table ended as this runner shows it, and that the reasons can be found in what it said.
#[track_caller]
fn compare(runner: &str, results: &BTreeMap<String, Shown>, said: &str, shows: impl Fn(End) -> Shown) {
    let expected: BTreeMap<_, _> = TABLE.iter().map(|(name, end)| ((*name).to_owned(), shows(*end))).collect();
    assert_eq!(*results, expected, "under {runner}:\n{said}");
    // Runners indent what tests say, each in its own way.
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = flat(said);
    for (name, end) in TABLE {
        let (Fails(text) | Skips(text)) = end else { continue };
        assert!(said.contains(&flat(text)), "{name} does not say {text:?} under {runner}:\n{said}");
    }
}

#[test]
fn cargo_test_with_and_without_otto_s_own_main() {
    build();
    let said = cargo(&[&["test", "--no-fail-fast"], &SUITES[..]].concat());
    assert_eq!(said.code, 101, "{}{}", said.out, said.err);
    let (own, libtest) = said.out.split_once("test result: ").expect("two results");
    compare("otto::main!()", &results(own), &format!("{own}{}", said.err), |end| match end {
        Passes | Flaky => Shown::Ok,
        Fails(_) => Shown::Failed,
        Skips(_) | Ignored(_) | OtherLab(_) => Shown::Ignored,
    });
    assert!(said.err.contains("attempt 1 of 2 failed, once more: the link flaps"), "{}", said.err);
    for (_, end) in TABLE {
        if let Skips(why) | Ignored(why) | OtherLab(why) = end {
            assert!(own.contains(&format!("ignored ({why}")), "no {why:?} in:\n{own}");
        }
    }
    // What a test that passes has said is not shown, so neither is why it was skipped.
    compare("libtest", &results(libtest), &format!("{libtest} the bench has no camera"), |end| match end {
        Passes | Flaky | Skips(_) => Shown::Ok,
        Fails(_) | OtherLab(_) => Shown::Failed,
        Ignored(_) => Shown::Ignored,
    });
}

/// nextest's settings for these runs: a report that can be read, in a folder that is nobody's.
fn settings(folder: &Path) -> PathBuf {
    let file = folder.join("nextest.toml");
    let junit = folder.join("junit.xml");
    let junit = junit.display();
    let text = format!(
        "[profile.default]\nfail-fast = false\n\n[profile.default.junit]\npath = \"{junit}\"\nreport-skipped = \"ignored\"\n\
         store-success-output = true\n\n[[profile.default.overrides]]\nfilter = 'test(suite::is_flaky)'\nretries = 1\n"
    );
    fs::write(&file, text).unwrap();
    file
}

/// The `<testcase>`s of a report: of which binary, the name, and all that it says.
fn testcases(junit: &str) -> Vec<(String, String, Shown, String)> {
    let case = Regex::new(r#"(?s)<testcase name="([^"]*)" classname="([^"]*)"[^>]*?(?:/>|>(.*?)</testcase>)"#).unwrap();
    let cases = case.captures_iter(junit).map(|found| {
        let text = found.get(3).map_or("", |text| text.as_str()).to_owned();
        let shown = match () {
            () if text.contains("<failure") || text.contains("<error") => Shown::Failed,
            () if text.contains("<skipped") => Shown::Ignored,
            () => Shown::Ok,
        };
        (found[2].to_owned(), found[1].rsplit("::").next().unwrap_or_default().to_owned(), shown, unescaped(&text))
    });
    cases.collect()
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&")
}

#[test]
fn nextest_with_and_without_otto_s_own_main() {
    nextest();
    build();
    let folder = TempDir::new().unwrap();
    let config = settings(folder.path());
    let run = ["nextest", "run", "--no-fail-fast", "--config-file", config.to_str().unwrap()];
    let said = cargo(&[&run[..], &SUITES[..]].concat());
    assert_eq!(said.code, 100, "{}{}", said.out, said.err);
    let junit = fs::read_to_string(folder.path().join("junit.xml")).expect(&said.err);
    let cases = testcases(&junit);
    for (binary, under_libtest) in [("otto-tests::ways", false), ("otto-tests::ways_under_libtest", true)] {
        let of_binary: Vec<_> = cases.iter().filter(|case| case.0 == binary).collect();
        let results = of_binary.iter().map(|case| (case.1.clone(), case.2)).collect();
        let text: String = of_binary.iter().map(|case| case.3.as_str()).collect();
        compare(&format!("nextest, {binary}"), &results, &text, |end| match end {
            Passes | Flaky | Skips(_) => Shown::Ok,
            OtherLab(_) if under_libtest => Shown::Failed,
            Fails(_) => Shown::Failed,
            Ignored(_) | OtherLab(_) => Shown::Ignored,
        });
        let flaky = of_binary.iter().find(|case| case.1 == "is_flaky").expect("it ran");
        assert!(under_libtest || flaky.3.contains("<flakyFailure "), "{}", flaky.3);
        // The report has the message where people look for it.
        for (_, name, shown, text) in of_binary {
            if let (Shown::Failed, Some(&(_, Fails(why)))) = (shown, TABLE.iter().find(|row| row.0 == name)) {
                let failure = text.split("<failure ").nth(1).and_then(|text| text.split("</failure>").next());
                let first = why.lines().next().unwrap_or_default();
                assert!(failure.is_some_and(|text| text.contains(first)), "{name}: {text}");
            }
        }
    }
}

/// What nextest's time-out and Ctrl-C do to a test: the fixture is closed, which it says, and the verdict is right.
#[test]
fn one_that_nextest_ends_is_torn_down_first() {
    nextest();
    build();
    let folder = TempDir::new().unwrap();
    let config = settings(folder.path());
    let mut text = fs::read_to_string(&config).unwrap();
    text.insert_str(
        0,
        "[profile.default]\nslow-timeout = { period = \"1s\", terminate-after = 1, grace-period = \"10s\" }\n",
    );
    fs::write(&config, text.replacen("\n[profile.default]\n", "\n", 1)).unwrap();
    let run = ["nextest", "run", "--run-ignored", "only", "--config-file", config.to_str().unwrap()];
    let said = cargo(&[&run[..], &SUITES[..], &["-E", "test(suite::waits)"]].concat());
    said.expect(100, &["2 tests run", "2 timed out", "Error: interrupted by SIGTERM"]);
    let closed = "fixture `Relay` did not close: the relay is stuck";
    // By both runners of the test, on both streams.
    assert!(said.err.matches(closed).count() >= 2, "{}", said.err);
    let junit = fs::read_to_string(folder.path().join("junit.xml")).unwrap();
    assert!(junit.matches("interrupted by SIGTERM").count() >= 2, "{junit}");
}

/// The file that users are told to copy.
#[test]
fn the_recipe_s_settings_are_accepted_and_put_a_lab_in_its_group() {
    nextest();
    build();
    let file = package().join("../docs/ci/nextest.toml");
    let folder = TempDir::new().unwrap();
    // The group of a lab that this suite has.
    let text = fs::read_to_string(&file).unwrap().replace("bench", "local");
    let config = folder.path().join("nextest.toml");
    fs::write(&config, text).unwrap();
    let file = config.to_str().unwrap();
    let shown = cargo(
        &[&["nextest", "show-config", "test-groups", "--profile", "lab", "--config-file", file], &SUITES[..4]].concat(),
    );
    shown.expect(0, &["group: local (max threads = 1)", "[local] suite::passes"]);
}

#[test]
fn built_here_and_run_at_the_lab_in_parts() {
    nextest();
    build();
    let built = TempDir::new().unwrap();
    let archive = built.path().join("suite.tar.zst");
    let archive = archive.to_str().unwrap();
    cargo(&["nextest", "archive", "-p", "otto-tests", "--test", "ways", "--archive-file", archive]).expect(0, &[]);

    // The lab's own checkout: no sources, but the lab files of the place, which stand where the package stood. nextest
    // wants to see a manifest there, whatever it says.
    let site = TempDir::new().unwrap();
    let package = site.path().join("tests");
    fs::create_dir_all(package.join("labs")).unwrap();
    fs::write(site.path().join("Cargo.toml"), "[workspace]\n").unwrap();
    fs::write(package.join("otto.toml"), "[lab]\ndefault = [\"rack\"]\npaths = [\"labs\"]\n").unwrap();
    fs::write(package.join("labs/rack.toml"), "lab = \"rack\"\n[[hosts]]\nid = \"here\"\nterm = \"local\"\n").unwrap();
    let config = settings(site.path());
    let mut ran = Vec::new();
    for part in ["slice:1/2", "slice:2/2"] {
        let mut cargo = command(
            "cargo-nextest",
            site.path(),
            &["nextest", "run", "--archive-file", archive, "--workspace-remap", site.path().to_str().unwrap()],
        );
        cargo.args(["--config-file", config.to_str().unwrap(), "--partition", part]);
        cargo.env("OTTO_LAB", "rack,local").env("CARGO_TERM_COLOR", "never").env_remove("CARGO_MANIFEST_DIR");
        let said: Said = cargo.output().expect("cargo-nextest runs").into();
        assert_eq!(said.code, 100, "{}{}", said.out, said.err);
        let junit = fs::read_to_string(site.path().join("junit.xml")).unwrap();
        let cases = testcases(&junit);
        // Of the lab that only the site has. Left out by the part is left out of the report.
        let found = cases.iter().find(|case| case.1 == "of_another_lab");
        assert!(found.is_none_or(|case| case.3.contains("was run")), "{found:?}");
        // Those that are ignored are listed by each part.
        ran.extend(cases.into_iter().filter(|case| case.2 != Shown::Ignored).map(|case| case.1));
    }
    ran.sort_unstable();
    let to_run = TABLE.iter().filter(|row| !matches!(row.1, Ignored(_)));
    let mut all: Vec<_> = to_run.map(|row| row.0.to_owned()).collect();
    all.sort_unstable();
    assert_eq!(ran, all);
}
