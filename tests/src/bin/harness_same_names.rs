//! Two tests of one name, as two linked suites may have them; `tests/select_bad_input.rs` runs it.

use otto::harness::registry::{TestCase, inventory};

const TEST: TestCase = TestCase {
    module: module_path!(),
    name: "boots",
    file: "first.rs",
    line: 7,
    package: env!("CARGO_PKG_NAME"),
    labs: &["local"],
    hosts: &[],
    each_host: None,
    tags: &[],
    timeout: None,
    setup: None,
    teardown: None,
    fixtures: &[],
    retries: None,
    ignore: None,
    should_panic: None,
    run: |_made| Box::pin(async { Ok(()) }),
};

inventory::submit! { TEST }
inventory::submit! { TestCase { file: "second.rs", line: 9, ..TEST } }

otto::main!();
