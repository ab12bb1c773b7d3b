//! The names of every day: `use otto::prelude::*;`.

pub use crate::command::{Expect, LogMode, ShellCommand};
pub use crate::context::{FromContext, OttoContext, open_context};
pub use crate::fleet::{HostOutputs, HostResults, HostResultsExt};
pub use crate::harness::LabFixture;
pub use crate::host::Host;
pub use crate::repeat::RepeatRunner;
pub use crate::result::{CommandStatus, RunResult, Status};
pub use crate::session::HostSession;
