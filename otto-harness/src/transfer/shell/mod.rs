//! Files by what any shell has, for hosts without SFTP: `cat`, `dd`, `mkdir` and their like, over oneshots.
//!
//! Where processes have pipes, bytes go as they are. Over a line (telnet, a serial console) they go as text, in base64 or
//! what else the host has. See `docs/design/transfer.md`.

mod codec;
mod files;
mod script;
mod tools;

pub(crate) use files::ShellFiles;
pub(super) use files::{gone, read_piece};
pub(super) use script::{fault, paths};
