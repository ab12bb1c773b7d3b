//! What the examples show and their own run does not: that a lab which somebody else holds is refused.

use std::process::{Command, Output};

fn two_labs(arguments: &[&str]) -> Output {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(folder).args(["test", "-q", "-p", "otto-examples", "--test", "two_labs", "--"]).args(arguments);
    for (name, _) in std::env::vars_os() {
        // What this run was told is not for that one.
        if name.to_string_lossy().starts_with("OTTO_") || name.to_string_lossy().starts_with("NEXTEST") {
            cargo.env_remove(name);
        }
    }
    cargo.output().expect("cargo runs")
}

#[test]
fn a_lab_that_somebody_else_holds_is_refused() {
    let refused = two_labs(&["--lab", "rack", "--as-user", "mallory"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    for part in ["rack7", "dut", "alice", "mallory"] {
        assert!(said.contains(part), "no {part} in:\n{said}");
    }
    assert!(!said.contains("--skip-reservation-check"), "{said}");
    assert!(!String::from_utf8_lossy(&refused.stdout).contains("... ok"));

    let held = two_labs(&["--lab", "rack", "--as-user", "alice"]);
    let said = String::from_utf8_lossy(&held.stdout);
    assert!(held.status.success(), "{said}{}", String::from_utf8_lossy(&held.stderr));
    assert!(said.contains("2 passed"), "{said}");
}
