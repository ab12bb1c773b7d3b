#![doc = include_str!("../../README.md")]

mod command;
mod crowd;
mod error;
#[cfg(test)]
mod fuzz;
mod mistake;
mod os_user;
mod result;
mod unwind;

pub mod lab;
pub mod redact;
pub mod transport;

pub mod session;

pub mod host;

pub mod context;
pub mod fleet;
pub mod prelude;
pub mod repeat;
pub mod reservations;

#[doc(hidden)]
pub mod harness;
#[cfg(feature = "sim")]
pub mod sim;

pub use command::{Expect, IntoCommands, IntoLimit, Limit, LogMode, ShellCommand};
pub use context::{
    ContextToken, FromContext, HostScope, OpenContext, OttoContext, all_hosts, do_for_all_hosts, get_context, get_host,
    open_context, reset_context, run_on_all_hosts, set_context, try_get_context,
};
pub use error::{Error, ErrorKind, Phase, Result};
pub use fleet::{DoForAll, HostOutputs, HostResults, HostResultsExt, RunOnAll};
#[doc(inline)]
pub use harness::LabFixture;
pub use host::{Host, SerialHost, SshHost, TelnetHost};
pub use indexmap::IndexMap;
pub use lab::{
    BuiltinLab, Cred, HostKeyCheck, HostSpec, Lab, LabBuilder, LabCatalog, LabSelection, ProjectConfig,
    ReservationConfig, Secret, SshOptions, Term,
};
pub use mistake::Mistake;
pub use repeat::{Missed, RepeatRunner, StartRepeat};
pub use reservations::{
    JsonReservations, NoReservations, Reservation, ReservationBackend, ReservationGate, check_reservations,
    required_resources,
};
pub use result::{CommandStatus, RunResult, Status};
pub use session::{Dirt, ExpectRun, HostSession, OneshotRun, Pattern, Run, SessionManager};

#[doc(hidden)]
pub use harness::private as __private;

/// Makes an `async fn` a test that runs on a lab.
///
/// ```no_run
/// use otto::OttoContext;
///
/// #[otto::test(lab = "bench", timeout = "90s")]
/// async fn boots(ctx: OttoContext) -> otto::Result<()> {
///     // ...
///     Ok(())
/// }
///
/// otto::main!();
/// ```
///
/// # Options
///
/// | option | meaning |
/// |---|---|
/// | `lab = "bench"` | the lab it runs on; `"rack1+rack2"` are two, merged |
/// | `labs = ["bench1", "bench2"]` | one instance for each: `boots::bench1`, `boots::bench2` |
/// | `hosts("router1", "switch.*")` | the hosts it uses, for itself alone; without it, it has the whole lab |
/// | `hosts(dut = "tag:arch=arm", gw = "router1:shared")` | one host for each name: `ctx.host("dut")?`; `:shared` with others |
/// | `shared("dns1")` | hosts it uses together with other tests that share them |
/// | `each_host = "router.*"` | one instance for each host: `boots::router1`, …; an argument [`Host`] is that host |
/// | `tags("smoke", "bgp")` | what `--tag` selects it by |
/// | `retries = 1` | attempts more when it fails; it is then flaky |
/// | `timeout = "90s"` | its own limit: whole numbers of `h`, `m`, `s`, `ms`, as in `"1m30s"` |
/// | `setup = "2m"`, `teardown = "5s"` | the limits of making its fixtures, and of closing them and its hosts |
/// | `crate = path` | where otto is, for macros and crates that re-export it |
///
/// Without `lab` and `labs` it runs on whichever lab is selected.
///
/// A pattern is a regex that has to match a whole id, or `tag:` and a tag, or several of these with ` & ` between them; see
/// [`lab::Need`]. Of a test that says which hosts it uses the context has no others, and tests of other hosts of the lab run
/// at the same time.
///
/// # The function
///
/// * Its arguments are made by their types, in any order: [`OttoContext`]; fixtures, which implement [`FromContext`]; `Arc`
///   of a [`LabFixture`]; with `each_host`, a [`Host`]; or none. Each may also be a reference, `&` or `&mut`.
/// * It returns `()` or `Result<(), E>`. Of an error the test shows the text and its causes; of what has no text (no
///   `Display`), the `Debug`. Its future need not be `Send`.
/// * `#[ignore]`, `#[ignore = "why"]`, `#[should_panic]` and `#[should_panic(expected = "part")]` mean what they mean
///   to `#[test]`, also in a `#[cfg_attr]`. `#[cfg]` and doc comments are kept; other attributes stay with the body.
/// * Its name is its module path without the crate, then its own name, without `r#`.
/// * Nothing else can call it. What tests share belongs in functions of their own.
///
/// # Cases, with rstest
///
/// `#[rstest]` above it makes a test of each case. The context comes by an argument that rstest is told to leave alone:
///
/// ```ignore
/// #[rstest]
/// #[case::small(64)]
/// #[case::large(9000)]
/// #[otto::test(lab = "bench")]
/// async fn passes_frames(#[ignore] ctx: OttoContext, #[case] bytes: u32) { /* ... */ }
/// ```
///
/// # Without `harness = false`
///
/// In a test binary with [`main!`] the tests have otto's whole command line. In any other, also in `src`, they run as
/// ordinary tests, one by one under libtest.
pub use otto_macros::test;

pub use transport::BoxFuture;
