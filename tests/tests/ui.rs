//! What the compiler answers to each mistake that can be made with `#[otto::test]`.

use std::env;
use std::process::Command;

/// The answers are those of this compiler; others word and place them otherwise.
const COMPILER: &str = "rustc 1.95.";

#[test]
fn mistakes_are_answered() {
    let compiler = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .arg("-V")
        .output()
        .expect("rustc should run");
    if !compiler.stdout.starts_with(COMPILER.as_bytes()) {
        eprintln!("skipped: the expected answers are those of {COMPILER}");
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
