//! A service of a host as bytes in both directions, with nothing in between: what file transfers run over.

use std::fmt;
use std::io;

use super::{BoxFuture, Ending};

/// What a stream leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Service {
    /// A subsystem by its name, such as `sftp` (RFC 4254, section 6.5).
    Subsystem(&'static str),
    /// A program, started by script text for the account's shell.
    Program(Vec<u8>),
}

/// A stream of bytes to a service. Dropping both halves ends the service, in the background.
pub struct ByteStream {
    /// What the service says.
    pub reader: Box<dyn StreamReader>,
    /// What the service is told.
    pub writer: Box<dyn StreamWriter>,
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteStream").finish_non_exhaustive()
    }
}

/// The half that is read.
pub trait StreamReader: Send {
    /// Puts the next bytes at the end of `into`, as many as are there; `None` if the stream goes on, how it ended if not.
    ///
    /// Cancel-safe: dropping the future loses no byte.
    ///
    /// # Errors
    /// If bytes were lost on the way.
    fn read<'a>(&'a mut self, into: &'a mut Vec<u8>) -> BoxFuture<'a, io::Result<Option<Ending>>>;

    /// The last lines of the service's error stream.
    fn complaint(&self) -> String;
}

/// The half that is written.
pub trait StreamWriter: Send {
    /// Writes all of it. Not cancel-safe: what was written of it is not known then.
    ///
    /// # Errors
    /// When nobody reads it any more; the reader then has the reason.
    fn write(&mut self, data: Vec<u8>) -> BoxFuture<'_, io::Result<()>>;

    /// Says that no more will come.
    ///
    /// # Errors
    /// When nobody reads it any more.
    fn finish(&mut self) -> BoxFuture<'_, io::Result<()>>;
}
