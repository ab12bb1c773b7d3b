//! What can be wrong with a file, as an error that says which and what to do.

use std::io::Error as IoError;
use std::path::Path;

use rusqlite::ErrorCode;

use crate::error::{Error, ErrorKind};

/// A fault of the file or folder at `path`.
pub(super) fn at(path: &Path, what: &str) -> Error {
    Error::new(ErrorKind::ReservationBackend, format!("{}: {what}", path.display()))
}

pub(super) fn io(path: &Path, what: &str, error: IoError) -> Error {
    at(path, what).caused_by(error)
}

/// What `SQLite` says of the database at `path`.
pub(super) fn database(path: &Path, error: rusqlite::Error) -> Error {
    let code = error.sqlite_error_code();
    let what = match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "the database of leases is locked by a process that does not go on (stopped in the middle of a change, or a tool \
             that keeps it open): `fuser -v` with this file shows which"
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "this is no database of leases, or it is damaged: nobody knows who holds what. When no test runs on this machine, \
             remove the file"
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            "the database of leases cannot be written: give all who use it leave to write to it and its folder"
        }
        Some(ErrorCode::DiskFull) => "the disk with the database of leases is full",
        Some(ErrorCode::CannotOpen) => "the database of leases cannot be opened",
        Some(ErrorCode::SystemIoFailure) => {
            "the database of leases cannot be read or written: is its disk full, or gone?"
        }
        _ => "the database of leases cannot be used",
    };
    at(path, what).caused_by(error)
}

/// Whether the same may go well in a moment.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
