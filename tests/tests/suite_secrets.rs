//! What a run says and writes shows no password, even when a test itself does.

use std::fs;

use otto_tests::suite::Project;

const SUITE: &str = env!("CARGO_BIN_EXE_lab_fixture");
const SECRET: &str = "pass-of-the-box";

#[test]
fn no_password_is_in_what_a_run_says_or_writes() {
    let project = Project::with_labs(&["lab = \"secret\"\n[[hosts]]\nid = \"box\"\nterm = \"local\"\n\
        creds = [{ login = \"admin\", password = { env = \"OTTO_TEST_SECRET\" } }]\n"]);
    let arguments = ["secret::", "--lab", "secret", "--output-dir", "out", "--test-threads", "1"];
    let said = project.run(SUITE, &arguments, &[("OTTO_TEST_SECRET", SECRET)]);
    said.expect(
        101,
        &[
            "a panic with [redacted] in it",
            "left: \"[redacted]\"",
            "an error with [redacted] in it",
            "1 passed; 3 failed",
        ],
    );
    assert!(!said.out.contains(SECRET) && !said.err.contains(SECRET), "{}\n{}", said.out, said.err);
    let (mut folders, mut texts) = (vec![project.path().join("out")], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the output folder is there") {
            let path = entry.expect("it can be read").path();
            if path.is_dir() { folders.push(path) } else { texts.push(fs::read_to_string(path).expect("it is text")) }
        }
    }
    assert_eq!(texts.len(), 4, "a transcript for each test");
    for text in texts {
        assert!(text.contains("$ echo [redacted]\n") && text.contains("| [redacted]\n"), "{text}");
        assert!(!text.contains(SECRET), "{text}");
    }
}
