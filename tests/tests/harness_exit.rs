//! What must not look like success: a test that ends the process, and a configuration that is there and cannot be read.

use std::process::Command;

use otto::ProjectConfig;

#[test]
fn a_test_that_ends_the_process_with_0_fails_the_run() {
    let ended = Command::new(env!("CARGO_BIN_EXE_harness_exit")).env_remove("OTTO_LAB").output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(101), "{said}");
    assert!(said.contains("a test ended the process"), "{said}");
}

#[test]
fn an_otto_toml_that_is_no_file_is_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    std::fs::create_dir_all(inner.join("otto.toml")).unwrap();
    std::fs::write(folder.path().join("otto.toml"), "[lab]\ndefault = ['sim']\n").unwrap();
    let error = ProjectConfig::above(&inner).unwrap_err();
    assert!(error.to_string().contains("inner/otto.toml"), "{error}");
    std::fs::remove_dir(inner.join("otto.toml")).unwrap();
    std::os::unix::fs::symlink("otto.toml", inner.join("otto.toml")).unwrap();
    ProjectConfig::above(&inner).unwrap_err();
}
