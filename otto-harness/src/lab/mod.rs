//! Labs: hosts by name, from files that are checked.
//!
//! A [`Lab`] is plain data. It comes from TOML, from otto-sh's `lab.json`, or from code ([`Lab::builder`]); a [`LabCatalog`]
//! finds labs by name, and a [`ProjectConfig`] says where. See `docs/design/labs.md`.

mod catalog;
mod choice;
mod config;
mod de;
pub(crate) mod diagnose;
mod extra;
pub(crate) mod fields;
mod file;
mod identity;
pub(crate) mod json;
mod json_schema;
mod link;
mod login;
mod merge;
mod model;
mod need;
pub(crate) mod pattern;
mod profile;
mod reference;
mod schema;
mod secret;
mod selection;
mod serial;
mod shown_line;
mod source;
mod spec;
mod telnet;
#[cfg(test)]
mod tests;
mod toml;
pub(crate) mod tree;

pub use catalog::{BuiltinLab, LabCatalog};
pub use choice::{Choice, WhyNot};
pub use config::{ProjectConfig, ReservationConfig};
pub use extra::Extra;
pub use json_schema::json_schema;
pub use link::{Link, LinkEnd};
pub use login::LoginOptions;
pub use model::{Lab, LabBuilder};
pub use need::{Mode, Need};
pub use secret::Secret;
pub use selection::LabSelection;
pub use serial::{Flow, Parity, SerialOptions};
pub use spec::{Cred, HostKeyCheck, HostSpec, SshOptions, Term};
pub use telnet::TelnetOptions;
