//! Flags and variables, right and wrong.

use std::ffi::OsString;
use std::time::Duration;

use super::{Options, parse};

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
    assert_eq!((options.labs, options.dry_run, options.fail_fast), (vec!["x".to_owned(), "y".to_owned()], true, false));
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
fn tags_are_asked_for_or_not_wanted() {
    let options = with(&["--tag", "smoke,bgp", "--tag", "!slow"], &[("OTTO_TAG", "other")]).unwrap();
    assert_eq!(
        (options.tags, options.without_tags),
        (vec!["smoke".to_owned(), "bgp".to_owned()], vec!["slow".to_owned()])
    );
    assert_eq!(with(&[], &[("OTTO_TAG", "a, !b")]).unwrap().without_tags, ["b"]);
}

#[test]
fn bad_values_of_ottos_flags_say_what_may_stand_there() {
    let cases: [(&[&str], &str); 18] = [
        (&["--tag", ""], "a tag without a name"),
        (&["--tag", "a,!"], "a tag without a name"),
        (&["--retries", "-1"], "--retries is `-1`, which is not a number"),
        (&["--retries", "1001"], "1000 at most"),
        (&["--retries", "99999999999"], "1000 at most"),
        (&["--retries", "1", "--retries=2"], "`--retries` is given twice"),
        (&["--flaky", "maybe"], "pass or fail"),
        (&["--iterations", "0"], "must not be 0"),
        (&["--iterations", "many"], "not a number"),
        (&["--duration", "10"], "it has no unit"),
        (&["--duration", "0s"], "lets nothing run"),
        (&["--threshold", "0", "--iterations", "2"], "no share in per cent"),
        (&["--threshold", "101", "--iterations", "2"], "no share in per cent"),
        (&["--threshold", "NaN", "--iterations", "2"], "no share in per cent"),
        (&["--junit", ""], "--junit names no file"),
        (&["--report="], "--report names no file"),
        (&["--events", " "], "--events names no file"),
        (&["--output-dir", ""], "--output-dir names no file"),
    ];
    for (arguments, says) in cases {
        let error = with(arguments, &[]).unwrap_err();
        assert!(error.contains(says) && !error.contains('\n'), "{arguments:?}: {error}");
    }
    let error = with(&[], &[("OTTO_THRESHOLD", "most"), ("OTTO_ITERATIONS", "3")]).unwrap_err();
    assert!(error.contains("OTTO_THRESHOLD is `most`"), "{error}");
}

#[test]
fn flags_that_contradict_each_other_are_named_both() {
    let cases: [(&[&str], &str); 10] = [
        (&["--retries", "1", "--iterations", "2"], "`--retries` and `--iterations`"),
        (&["--retries", "1", "--duration", "2s"], "`--retries` and `--duration`"),
        (&["--threshold", "90"], "`--threshold`"),
        (&["--threshold", "90", "--retries", "1"], "`--threshold`"),
        (&["--ignored", "--include-ignored"], "`--ignored` and `--include-ignored`"),
        (&["--list", "--list-labs"], "`--list` and `--list-labs`"),
        (&["--list-hosts", "--list"], "`--list` and `--list-hosts`"),
        (&["--list-labs", "--lab-schema"], "`--list-labs` and `--lab-schema`"),
        (&["--list-hosts", "--list-labs"], "`--list-labs` and `--list-hosts`"),
        (&["--dry-run", "--iterations", "2", "--retries", "1"], "`--retries` and `--iterations`"),
    ];
    for (arguments, says) in cases {
        let error = with(arguments, &[]).unwrap_err();
        assert!(error.contains(says) && !error.contains('\n'), "{arguments:?}: {error}");
    }
    let variables = [("OTTO_RETRIES", "1"), ("OTTO_ITERATIONS", "2")];
    let error = with(&[], &variables).unwrap_err();
    assert!(error.contains("`OTTO_RETRIES` and `OTTO_ITERATIONS`"), "{error}");
    assert_eq!(with(&["--retries", "0", "--iterations", "2"], &[]).unwrap().iterations, Some(2));
}

#[test]
fn a_flag_wins_over_the_variable_that_it_contradicts() {
    let options = with(&["--iterations", "5"], &[("OTTO_RETRIES", "2")]).unwrap();
    assert_eq!((options.iterations, options.retries), (Some(5), None));
    let options = with(&["--retries", "2"], &[("OTTO_ITERATIONS", "5"), ("OTTO_THRESHOLD", "90")]).unwrap();
    assert_eq!((options.iterations, options.retries, options.threshold), (None, Some(2), None));
    let options = with(&["--list"], &[("OTTO_LIST_LABS", "1")]).unwrap();
    assert!(options.mimic.list && !options.list_labs);
}
