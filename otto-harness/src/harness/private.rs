//! What the code that `#[otto::test]` and `otto::main!` make calls. It changes with them, and without notice.

pub use inventory;

pub use super::fixtures::{Fixture, by_mut, by_ref, by_value};
pub use super::outcome::{TestResult, returned};
pub use super::registry::{HostUse, TestCase};
pub use super::{main, run_under_libtest};
