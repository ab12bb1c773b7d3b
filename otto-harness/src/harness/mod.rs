//! The runner: it finds the registered tests, selects labs, checks reservations, runs, and reports.
//!
//! How it is made and why: `docs/design/harness.md`.

use std::process::ExitCode;

mod argv;
mod attempts;
mod budget;
mod case;
mod collector;
mod duration;
mod execute;
mod exit;
mod failure;
pub mod fixtures;
mod gate;
mod holding;
mod lab_fixture;
mod list;
mod main_macro;
mod outcome;
mod output;
mod panic;
mod plan;
pub mod private;
mod progress;
mod record;
mod recorder;
pub mod registry;
mod report;
mod reports;
mod run;
mod runtime;
mod selection;
mod signals;
mod twin;
mod verdict;
mod watchdog;
mod wiring;

pub use lab_fixture::LabFixture;
pub use runtime::runtime;
pub use twin::run_under_libtest;

/// Runs the registered tests as the command line and the `OTTO_*` variables say: what `otto::main!()` calls.
#[must_use]
pub fn main() -> ExitCode {
    exit::guard();
    let exit = run::main(std::env::args_os().skip(1));
    exit::unguard();
    // What tests started on hosts that no context had, and did not close.
    crate::transport::local::kill_all();
    if watchdog::has_abandoned() {
        // A test blocks its thread; nothing may wait for it.
        std::process::exit(exit.code().into());
    }
    exit.into()
}
