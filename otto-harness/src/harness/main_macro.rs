//! `otto::main!`.

/// The `main` of a test binary with `harness = false`: finds its tests and runs them as the command line says.
///
/// ```toml
/// # Cargo.toml
/// [[test]]
/// name = "bench"
/// harness = false
/// ```
///
/// ```no_run
/// // tests/bench.rs
/// #[otto::test(lab = "sim")]
/// async fn boots() {}
///
/// otto::main!();
/// ```
///
/// Tests of the file and of its modules are found by themselves. Those of another crate are found only if the crate is
/// linked, and the linker leaves out a crate that nothing names: name it, `otto::main!(suite_a, suite_b);`.
#[macro_export]
macro_rules! main {
    ($($suite:ident),* $(,)?) => {
        $(use $suite as _;)*

        fn main() -> ::std::process::ExitCode {
            $crate::__private::main()
        }
    };
}
