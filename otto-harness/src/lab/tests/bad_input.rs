//! Input that nobody means well: long, deep, circular, contradictory.

use std::fmt::Write;
use std::time::{Duration, Instant};

use super::{has, host_with, refused, refused_json, written};
use crate::lab::Lab;

/// More than any of these takes, and less than what counts places from the start of the text each time would.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn long_texts_are_quoted_short() {
    let long = "x y".repeat(350_000);
    for (text, json) in [
        (
            host_with(&format!("user = '{long}'")),
            format!(r#"{{"lab":"l","hosts":[{{"id":"a","ip":"h","user":"{long}"}}]}}"#),
        ),
        (host_with(&format!("'{long}' = 1")), format!(r#"{{"lab":"l","hosts":[{{"id":"a","ip":"h","{long}":1}}]}}"#)),
        (host_with(&format!("term = '{long}'")), format!(r#"{{"lab":"{long}"}}"#)),
        (
            host_with(&format!("tags = [3, '{long}']")),
            format!(r#"{{"lab":"l","hosts":[{{"id":"a","ip":"h","port":0,"_":"{long}"}}]}}"#),
        ),
    ] {
        for error in [Lab::from_toml(&text).unwrap_err(), Lab::from_json(&json).unwrap_err()] {
            let (plain, report) = (error.to_string(), error.report(false));
            assert!(plain.len() < 2000 && report.len() < 3000, "{} {}", plain.len(), report.len());
        }
    }
    Lab::from_toml(&host_with(&format!("name = '{long}'"))).unwrap();
}

#[test]
fn deep_nesting_is_refused_and_no_stack_overflows() {
    for (open, close) in [("[", "]"), ("{ a = ", "}")] {
        for depth in [100, 100_000] {
            let text = host_with(&format!("metadata = {{ a = {}1{} }}", open.repeat(depth), close.repeat(depth)));
            let error = Lab::from_toml(&text).unwrap_err();
            assert!(error.report(false).len() < 100_000, "{}", error.report(false).len());
        }
    }
    for depth in [65, 100_000] {
        let text = format!("{{\"a\": {}1{}}}", "{\"a\": ".repeat(depth), "}".repeat(depth));
        has(&refused_json(&text), &["<json>:1:"]);
    }
    let dotted = host_with(&format!("metadata.{} = 1", vec!["a"; 100_000].join(".")));
    assert!(Lab::from_toml(&dotted).is_err());
}

#[test]
fn thousands_of_mistakes_are_told_soon() {
    let start = Instant::now();
    let mut toml = "lab = 'l'\n".to_owned();
    let mut hosts = Vec::new();
    for index in 0..5_000 {
        writeln!(toml, "[[hosts]]\nid = 'h{index}'\nip = 'h'\nprot = {index}").unwrap();
        hosts.push(format!(r#"{{"id": "h{index}", "ip": "é", "prot": 1}}"#));
    }
    let error = Lab::from_toml(&toml).unwrap_err();
    assert_eq!(error.mistakes().len(), 5_000);
    has(&error.report(false), &["5000 mistakes:", "<toml>:20001:1: a host has no field `prot`"]);
    // All in one line, and not ASCII.
    let error = Lab::from_json(&format!(r#"{{"lab": "l", "hosts": [{}]}}"#, hosts.join(","))).unwrap_err();
    assert_eq!(error.mistakes().len(), 10_000);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

#[test]
fn long_circles_and_long_ways_of_hops_are_followed_once() {
    let start = Instant::now();
    let count = 10_000;
    let hosts = |hop: &dyn Fn(usize) -> Option<usize>| {
        let mut text = "lab = 'l'\n".to_owned();
        for index in 0..count {
            writeln!(text, "[[hosts]]\nid = 'h{index}'\nip = 'h'").unwrap();
            if let Some(hop) = hop(index) {
                writeln!(text, "hop = 'h{hop}'").unwrap();
            }
        }
        text
    };
    Lab::from_toml(&hosts(&|index| index.checked_sub(1))).unwrap();
    let circle = Lab::from_toml(&hosts(&|index| Some((index + 1) % count))).unwrap_err();
    assert_eq!(circle.mistakes().len(), count);
    has(&circle.mistakes()[0].to_string(), &["h0 → h1 → h2 → h3 → h4 → h5 → h6 → h7 → … → h0"]);
    let tail =
        Lab::from_toml(&hosts(&|index| Some(if index == count - 1 { index - 1 } else { index + 1 }))).unwrap_err();
    assert_eq!(
        tail.mistakes().len(),
        2,
        "those that lead into the circle and are not in it have no fault of their own"
    );
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

#[test]
fn links_and_odd_files_of_the_file_system() {
    let folder = tempfile::tempdir().unwrap();
    let real = tempfile::tempdir().unwrap();
    written(real.path(), "real.toml", host_with("known_hosts = 'keys'"));
    std::os::unix::fs::symlink(real.path().join("real.toml"), folder.path().join("link.toml")).unwrap();
    let lab = Lab::load("bench", [folder.path()]).unwrap();
    let keys = lab.host("a").unwrap().known_hosts.clone().unwrap();
    assert_eq!(keys, folder.path().join("keys"), "paths are relative to where the file is named");
    // The same file by two names is one file.
    let both = [folder.path().join("link.toml"), real.path().join("real.toml")];
    assert_eq!(Lab::load("bench", &both).unwrap().hosts().len(), 1);
    std::os::unix::fs::symlink("loop.toml", folder.path().join("loop.toml")).unwrap();
    has(&Lab::load("bench", [folder.path()]).unwrap_err().to_string(), &["loop.toml: cannot read it: "]);
    std::fs::remove_file(folder.path().join("loop.toml")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("dangling.toml")).unwrap();
    has(&Lab::load("bench", [folder.path()]).unwrap_err().to_string(), &["dangling.toml: there is no such file"]);
    let empty = tempfile::tempdir().unwrap();
    has(&Lab::load("bench", [empty.path()]).unwrap_err().to_string(), &["there is no lab `bench`"]);
    // Nobody writes to it: opening it to read would wait for ever.
    let pipe = empty.path().join("pipe.toml");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    has(&Lab::load("bench", [empty.path()]).unwrap_err().to_string(), &["pipe.toml: this is not a regular file"]);
}

#[test]
fn hosts_and_labs_that_contradict_or_belong_nowhere() {
    has(
        &refused("lab = 'l'\n[[hosts]]\nid = 'a'\nip = 'h'\nlabs = []"),
        &["<toml>:2:1: the host is in no lab: its `labs` name none"],
    );
    has(&refused("[[hosts]]\nid = 'a'\nip = 'h'"), &["<toml>:1:1: the host is in no lab: say"]);
    let twice = Lab::from_toml("lab = 'l'\n[[hosts]]\nid = 'a'\nip = 'h'\nlabs = ['l', 'l']").unwrap();
    assert_eq!(twice.hosts().len(), 1);
    let folder = tempfile::tempdir().unwrap();
    written(
        folder.path(),
        "a.json",
        r#"{"labs": {"x": {}}, "elements": [{"name": "e", "labs": ["x"], "hosts": [{"ip": "h"}]}]}"#,
    );
    written(folder.path(), "b.json", r#"{"labs": {"x": {}}}"#);
    has(
        &Lab::load("x", [folder.path()]).unwrap_err().to_string(),
        &["b.json:1:10: the lab `x` is declared twice: also at ", "a.json:1:10"],
    );
    // What one file declares another may fill.
    written(folder.path(), "b.json", r#"{"labs": {"y": {"resources": ["r"]}}}"#);
    written(folder.path(), "c.json", r#"{"elements": [{"name": "f", "labs": ["y", "z"], "hosts": [{"ip": "h"}]}]}"#);
    let lab = Lab::load("y", [folder.path()]).unwrap();
    assert_eq!((lab.hosts().len(), lab.resources().len()), (1, 1));
}

#[test]
fn the_lines_at_fault_are_shown_with_what_is_wrong_marked() {
    let error =
        Lab::from_toml("lab = 'bench'\n[[hosts]]\nid = 'r1'\nip = '10.0.0.1'\nhop = 'r2'\nprot = 22\n").unwrap_err();
    assert_eq!(
        error.report(false),
        "2 mistakes:\n\n\
         <toml>:5:7: host `r1` is reached through `r2`, which is no host of the lab: did you mean `r1`?\n  |\n5 | hop = 'r2'\n  |       ^^^^\n\n\
         <toml>:6:1: a host has no field `prot`: did you mean `port`?\n  |\n6 | prot = …\n  | ^^^^"
    );
}
