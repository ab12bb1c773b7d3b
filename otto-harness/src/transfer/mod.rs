//! Files on their way to a host and back, and the files that are there. See `docs/design/transfer.md`.

#[cfg(feature = "progress")]
mod bar;
mod copying;
mod files;
mod fs;
mod glob;
mod local;
mod names;
mod plan;
mod progress;
mod results;
mod run;
mod scp;
mod service;
mod sftp;
mod shell;
mod temp_dir;
mod temporary;

pub use files::{DirEntry, FileType, Metadata};
pub use fs::HostFs;
pub use progress::Progress;
pub use results::{TransferResult, TransferResults};
pub use run::{IntoPaths, TransferRun};
pub(crate) use service::FileService;
pub use temp_dir::TempDir;

/// What files go over.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> otto::Result<()> {
/// use otto::Transfer;
/// let host = otto::Host::local();
/// // As on a host that has nothing but a shell.
/// assert!(host.fs().backend(Transfer::Shell).exists("/etc").await?);
/// # host.close().await
/// # }
/// ```
///
/// Chosen by what the host has, once a host: this machine's own calls, else SFTP, else SCP, else the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transfer {
    /// Plain copying on this machine.
    Local,
    /// The SFTP subsystem of an SSH server.
    Sftp,
    /// The program `scp` of an SSH server that has no SFTP subsystem. What `scp` has no word for, the shell does.
    Scp,
    /// The shell and the usual tools: for telnet, serial lines, and hosts with neither SFTP nor `scp`.
    Shell,
}
