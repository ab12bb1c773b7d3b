//! What the code that `#[otto::test]` and `otto::main!` make calls. It changes with them, and without notice.

pub use inventory;

pub use super::argument::Argument;
pub use super::outcome::{TestResult, returned};
pub use super::registry::{HostUse, TestCase};
pub use super::{main, run_under_libtest};
