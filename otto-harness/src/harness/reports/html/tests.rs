//! The page as text; `tests/tests/reports.rs` looks at it in a browser.

use super::*;
use crate::harness::reports::samples;

/// The tags of a page without their attributes, and whether each ends itself.
fn tags(html: &str) -> Vec<(String, bool)> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        // No value of an attribute has one of these.
        let tag = &rest[..rest.find('>').unwrap()];
        let name = tag.split(|c: char| c.is_whitespace()).next().unwrap_or_default().trim_end_matches('/');
        tags.push((name.to_owned(), tag.ends_with('/') || ["!doctype", "meta", "input", "br"].contains(&name)));
        // Style and script are text up to their own end.
        if let Some(raw) = ["style", "script"].iter().find(|raw| name == **raw) {
            rest = &rest[rest.find(&format!("</{raw}")).unwrap()..];
        }
    }
    tags
}

#[test]
fn every_element_is_closed_and_every_test_is_there() {
    let run = samples::run();
    let html = page(&run);
    let mut open: Vec<String> = Vec::new();
    for (tag, ends) in tags(&html) {
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop().as_deref(), Some(name), "{open:?}"),
            None if ends => {}
            None => open.push(tag),
        }
    }
    assert!(open.is_empty(), "{open:?}");
    for (number, test) in run.tests.iter().enumerate() {
        assert!(html.contains(&format!("id=\"t{number}\"")) && html.contains(&*test.name), "{}", test.name);
    }
    assert!(html.contains("6 of 8 failed") && html.contains("16 of 20"), "{}", &html[..2000]);
    assert!(html.contains("80 %") && html.contains("Slowest commands"));
}

#[test]
fn nothing_from_outside_becomes_markup() {
    let plain = tags(&page(&samples::run()));
    let hostile = page(&samples::hostile());
    let allowed: std::collections::BTreeSet<_> = plain.into_iter().map(|(tag, _)| tag).collect();
    for (tag, _) in tags(&hostile) {
        assert!(allowed.contains(&tag) || ["p", "/p"].contains(&&*tag), "<{tag}");
    }
    assert_eq!(hostile.matches("<script").count(), 1);
    assert!(!hostile.contains(['\0', '\u{1b}', '\u{202e}', '\u{2028}']));
}

#[test]
fn nothing_is_fetched() {
    let html = page(&samples::run());
    for outside in ["http://", "https://", "src=", "@import", "url(", "<link"] {
        assert!(!html.contains(outside), "{outside}");
    }
}

#[test]
fn it_stays_small_and_says_what_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("router1.default.log"),
        format!("first line\n{}last <line>\n", ("x".repeat(98) + "\n").repeat(4000)),
    )
    .unwrap();
    std::fs::write(dir.path().join("other.bin"), "not a transcript").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("passwd.log")).unwrap();
    let mut run = samples::run();
    let attempt = &mut run.tests[0].attempts[0];
    attempt.output_dir = Some(dir.path().to_owned());
    attempt.commands = (0..1000).map(|n| samples::command("router1", &format!("echo {n};"), 0)).collect();
    attempt.commands_left_out = 5;
    let html = page(&run);
    assert!(html.contains("<h3>1005 commands</h3>") && html.contains("The first 705 are left out"));
    assert!(html.contains("echo 999;") && !html.contains("echo 699;"));
    assert!(html.contains("last &lt;line&gt;") && !html.contains("first line") && !html.contains("not a transcript"));
    assert!(!html.contains("root:"), "a link out of the folder was followed");
    assert!(html.contains("The last 64 KiB of 386 KiB"));
    assert!(html.contains("<li>705 commands of bgp::converges</li>"));
    // A page that is full has the tests and their failures all the same.
    let html = page_of(&run, 10);
    assert!(html.contains("soak::reboot") && html.contains("it timed out") && !html.contains("<code>echo 998;"));
    assert!(html.contains("the transcript router1.default.log of bgp::converges"));
}

#[test]
fn a_long_soak_shows_the_rounds_that_failed() {
    let mut run = samples::run();
    let soak = run.tests.last_mut().unwrap();
    soak.attempts = (0..5000)
        .map(|n| samples::attempt(if n == 77 { Verdict::Failed } else { Verdict::Passed }, n * 10, 9))
        .collect();
    soak.attempts.iter_mut().zip(1..).for_each(|(attempt, round)| attempt.round = round);
    (soak.runs, soak.passes) = (5000, 4999);
    let html = page(&run);
    assert!(html.contains("4999 of 5000") && html.contains("99.9 %"));
    assert!(html.contains("attempt 78 ") && html.contains("attempt 5000 ") && !html.contains("attempt 79 "));
    assert!(html.len() < 2 << 20, "{}", html.len());
}

#[test]
fn a_run_of_nothing_is_a_page_too() {
    let run = RunRecord { tests: Vec::new(), labs: Vec::new(), ..samples::run() };
    assert!(page(&run).contains("No test ran"));
}
