//! Files over SFTP, the usual way: our own client, with any number of requests in flight on one channel.
//!
//! See `docs/design/transfer.md`.

mod bulk;
mod client;
mod files;
mod wire;

pub(crate) use files::Sftp;
