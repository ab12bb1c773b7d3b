//! A harness into which no test is linked.

use std::process::ExitCode;

fn main() -> ExitCode {
    otto::harness::main()
}
