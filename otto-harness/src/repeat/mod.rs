//! The same again and again, at a fixed rate. See `docs/design/repeat.md`.

mod clock;
mod history;
mod over;
mod runner;
mod start;

pub use clock::{Deadline, Missed};
pub use history::Tick;
pub use over::{Call, Repeatable, kind};
pub use runner::RepeatRunner;
pub use start::StartRepeat;
