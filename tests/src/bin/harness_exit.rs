//! A suite with a test that ends the whole process, which `tests/harness_exit.rs` runs as a child.

#[otto::test(lab = "local")]
async fn leaves() {
    std::process::exit(0);
}

otto::main!();
