//! `harness = false` was forgotten here: libtest runs the twins, and each runs its registered test.

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use otto::harness::registry::{TestCase, TestFuture, inventory};
use otto::harness::run_under_libtest;

static PASSED: AtomicU32 = AtomicU32::new(0);

const PLAIN: TestCase = TestCase {
    module: module_path!(),
    name: "",
    file: file!(),
    line: line!(),
    package: env!("CARGO_PKG_NAME"),
    labs: &["sim"],
    hosts: &[],
    each_host: None,
    tags: &[],
    timeout: None,
    retries: None,
    setup: None,
    teardown: None,
    ignore: None,
    should_panic: None,
    fixtures: &[],
    run: |_made| Box::pin(async { Ok(()) }),
};

fn counts() -> TestFuture<'static> {
    Box::pin(async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(std::thread::current().name(), Some("a_registered_test_runs_once"));
        PASSED.fetch_add(1, Ordering::Relaxed);
        Ok(())
    })
}

inventory::submit! { TestCase { name: "counts", run: |_made| counts(), ..PLAIN } }
inventory::submit! { TestCase { name: "fails", run: |_made| Box::pin(async { Err("no route".into()) }), ..PLAIN } }
inventory::submit! { TestCase { name: "panics", run: |_made| Box::pin(async { panic!("boom") }), ..PLAIN } }
inventory::submit! { TestCase { name: "elsewhere", labs: &["bench"], ..PLAIN } }
inventory::submit! {
    TestCase {
        name: "blocks",
        timeout: Some(Duration::from_millis(100)),
        run: |_made| Box::pin(async {
            std::thread::sleep(Duration::from_secs(20));
            Ok(())
        }),
        ..PLAIN
    }
}

/// What the twin of that test panics with.
fn failure(name: &str) -> String {
    let payload = catch_unwind(|| run_under_libtest(module_path!(), name)).unwrap_err();
    *payload.downcast::<String>().unwrap()
}

#[test]
fn a_registered_test_runs_once() {
    run_under_libtest(module_path!(), "counts");
    assert_eq!(PASSED.load(Ordering::Relaxed), 1);
}

#[test]
fn a_failure_is_the_twins() {
    let text = failure("fails");
    assert!(text.starts_with("no route\n"), "{text}");
    assert!(
        text.contains("OTTO_LAB=sim cargo test -p otto-tests --test harness_twin -- --exact a_failure_is_the_twins"),
        "{text}"
    );
    let text = failure("panics");
    assert!(text.starts_with("panicked at tests/tests/harness_twin.rs:") && text.contains("\nboom\n"), "{text}");
}

#[test]
fn a_blocked_thread_is_left_behind() {
    assert!(failure("blocks").contains("did not yield"));
}

#[test]
fn what_cannot_run_has_not_passed() {
    assert!(failure("elsewhere").contains("select with OTTO_LAB=bench"));
    assert!(failure("nosuch").contains("is registered"));
}
