//! Packets of SFTP version 3 (draft-ietf-secsh-filexfer-02), as bytes. Names and handles are bytes too, never text.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::transfer::files::{Fault, FileType, Metadata, Outcome};

pub(super) const INIT: u8 = 1;
pub(super) const VERSION: u8 = 2;
pub(super) const OPEN: u8 = 3;
pub(super) const CLOSE: u8 = 4;
pub(super) const READ: u8 = 5;
pub(super) const WRITE: u8 = 6;
pub(super) const LSTAT: u8 = 7;
pub(super) const FSTAT: u8 = 8;
pub(super) const SETSTAT: u8 = 9;
pub(super) const FSETSTAT: u8 = 10;
pub(super) const OPENDIR: u8 = 11;
pub(super) const READDIR: u8 = 12;
pub(super) const REMOVE: u8 = 13;
pub(super) const MKDIR: u8 = 14;
pub(super) const RMDIR: u8 = 15;
pub(super) const REALPATH: u8 = 16;
pub(super) const STAT: u8 = 17;
pub(super) const RENAME: u8 = 18;
pub(super) const STATUS: u8 = 101;
pub(super) const HANDLE: u8 = 102;
pub(super) const DATA: u8 = 103;
pub(super) const NAME: u8 = 104;
pub(super) const ATTRS: u8 = 105;
pub(super) const EXTENDED: u8 = 200;
pub(super) const EXTENDED_REPLY: u8 = 201;

/// Bits of an OPEN request.
pub(super) const FOR_READING: u32 = 1;
pub(super) const FOR_WRITING: u32 = 2;
pub(super) const APPENDING: u32 = 4;
pub(super) const CREATING: u32 = 8;
pub(super) const TRUNCATING: u32 = 16;
pub(super) const EXCLUSIVELY: u32 = 32;

pub(super) const OK: u32 = 0;
pub(super) const EOF: u32 = 1;
const NO_SUCH_FILE: u32 = 2;
const PERMISSION_DENIED: u32 = 3;
pub(super) const FAILURE: u32 = 4;
const NO_CONNECTION: u32 = 6;
const CONNECTION_LOST: u32 = 7;
const UNSUPPORTED: u32 = 8;

const HAS_SIZE: u32 = 1;
const HAS_OWNER: u32 = 2;
const HAS_MODE: u32 = 4;
const HAS_TIMES: u32 = 8;
const HAS_MORE: u32 = 0x8000_0000;

/// Bytes before the fields of a request: its length, kind and number.
const HEAD: usize = 9;

/// A request that is being put together.
#[derive(Debug)]
pub(super) struct Packet(Vec<u8>);

impl Packet {
    pub(super) fn new(kind: u8) -> Self {
        Self::with_capacity(kind, 64)
    }

    /// With room for so many bytes of fields.
    pub(super) fn with_capacity(kind: u8, fields: usize) -> Self {
        let mut bytes = Vec::with_capacity(HEAD + fields);
        bytes.extend_from_slice(&[0, 0, 0, 0, kind, 0, 0, 0, 0]);
        Self(bytes)
    }

    pub(super) fn number(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn long(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn string(self, bytes: &[u8]) -> Self {
        let mut packet = self.number(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        packet.0.extend_from_slice(bytes);
        packet
    }

    pub(super) fn path(self, path: &Path) -> Self {
        use std::os::unix::ffi::OsStrExt as _;
        // An empty path is the folder that one begins in, to sftp-server as to `ls`.
        let bytes = path.as_os_str().as_bytes();
        self.string(if bytes.is_empty() { b"." } else { bytes })
    }

    /// Attributes: permission bits and times, where there are any.
    pub(super) fn attributes(self, mode: Option<u32>, times: Option<SystemTime>) -> Self {
        let flags = mode.map_or(0, |_| HAS_MODE) | times.map_or(0, |_| HAS_TIMES);
        let mut packet = self.number(flags);
        if let Some(mode) = mode {
            packet = packet.number(mode);
        }
        if let Some(time) = times {
            let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
            packet = packet.number(seconds).number(seconds);
        }
        packet
    }

    /// Its bytes, as the request of this number.
    pub(super) fn finish(mut self, id: u32) -> Vec<u8> {
        let length = u32::try_from(self.0.len() - 4).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        self.0[5..HEAD].copy_from_slice(&id.to_be_bytes());
        self.0
    }
}

/// An answer of the server: its kind, and its fields from `at` on.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) kind: u8,
    pub(super) body: Vec<u8>,
    pub(super) at: usize,
}

/// What a STATUS says.
#[derive(Debug)]
pub(super) struct Status {
    pub(super) code: u32,
    pub(super) message: String,
}

impl Status {
    /// As the failure of what was asked.
    pub(super) fn fault(self) -> Fault {
        let kind = match self.code {
            NO_SUCH_FILE => io::ErrorKind::NotFound,
            PERMISSION_DENIED => io::ErrorKind::PermissionDenied,
            UNSUPPORTED => io::ErrorKind::Unsupported,
            EOF => io::ErrorKind::UnexpectedEof,
            NO_CONNECTION | CONNECTION_LOST => io::ErrorKind::ConnectionAborted,
            _ => io::ErrorKind::Other,
        };
        let message: String = self.message.chars().filter(|c| !c.is_control()).take(200).collect();
        Fault::File(kind, if message.is_empty() { format!("SFTP status {}", self.code) } else { message })
    }
}

impl Answer {
    pub(super) fn fields(&self) -> Fields<'_> {
        Fields(&self.body[self.at..])
    }

    /// The status, if it is one.
    pub(super) fn status(&self) -> Option<Status> {
        let mut fields = self.fields();
        (self.kind == STATUS).then(|| Status {
            code: fields.number().unwrap_or(FAILURE),
            // Servers of the first drafts send none.
            message: fields.string().map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default(),
        })
    }

    /// Whether it is the status OK; the failure if it is another.
    pub(super) fn done(&self) -> Outcome<()> {
        match self.status() {
            Some(status) if status.code == OK => Ok(()),
            Some(status) => Err(status.fault()),
            None => Err(self.unexpected()),
        }
    }

    /// The fields of an answer of this kind; the failure if it is a status.
    pub(super) fn of_kind(&self, kind: u8) -> Outcome<Fields<'_>> {
        match self.status() {
            _ if self.kind == kind => Ok(self.fields()),
            Some(status) => Err(status.fault()),
            None => Err(self.unexpected()),
        }
    }

    fn unexpected(&self) -> Fault {
        Fault::File(io::ErrorKind::InvalidData, format!("the server answered with packet {}", self.kind))
    }

    /// The bytes that a READ gave; none at the end of the file.
    pub(super) fn into_data(mut self) -> Outcome<Option<Data>> {
        match self.status() {
            Some(status) if status.code == EOF => return Ok(None),
            Some(status) => return Err(status.fault()),
            None if self.kind != DATA => return Err(self.unexpected()),
            None => {}
        }
        let length = self.fields().number()? as usize;
        self.at += 4;
        if self.body.len() - self.at < length {
            return Err(malformed());
        }
        self.body.truncate(self.at + length);
        Ok(Some(Data { bytes: self.body, at: self.at }))
    }
}

/// Bytes of a file, behind some that are not.
#[derive(Debug)]
pub(super) struct Data {
    bytes: Vec<u8>,
    at: usize,
}

impl Data {
    pub(super) fn get(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn into_vec(mut self) -> Vec<u8> {
        self.bytes.drain(..self.at);
        self.bytes
    }
}

fn malformed() -> Fault {
    Fault::File(io::ErrorKind::InvalidData, "the server sent a malformed packet".to_owned())
}

/// Fields that are left to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take(&mut self, count: usize) -> Outcome<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn number(&mut self) -> Outcome<u32> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        Ok(u32::from_be_bytes(bytes))
    }

    pub(super) fn long(&mut self) -> Outcome<u64> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(u64::from_be_bytes(bytes))
    }

    pub(super) fn string(&mut self) -> Outcome<&'a [u8]> {
        let length = self.number()? as usize;
        self.take(length)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn name(&mut self) -> Outcome<OsString> {
        Ok(OsString::from_vec(self.string()?.to_vec()))
    }

    pub(super) fn attributes(&mut self) -> Outcome<Metadata> {
        let flags = self.number()?;
        let mut found = Metadata { len: 0, mode: 0, file_type: FileType::Other, modified: None, owner: None };
        if flags & HAS_SIZE != 0 {
            found.len = self.long()?;
        }
        if flags & HAS_OWNER != 0 {
            found.owner = Some((self.number()?, self.number()?));
        }
        if flags & HAS_MODE != 0 {
            let mode = self.number()?;
            found.mode = mode & 0o7777;
            found.file_type = FileType::of_mode(mode);
        }
        if flags & HAS_TIMES != 0 {
            let _accessed = self.number()?;
            found.modified = Some(UNIX_EPOCH + Duration::from_secs(self.number()?.into()));
        }
        if flags & HAS_MORE != 0 {
            for _ in 0..self.number()? {
                self.string()?;
                self.string()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_as_the_draft_has_it() {
        let packet = Packet::new(OPEN).path(Path::new("/a")).number(FOR_READING).attributes(Some(0o644), None);
        let bytes = packet.finish(7);
        let wanted =
            [&[0, 0, 0, 23, 3, 0, 0, 0, 7][..], &[0, 0, 0, 2, b'/', b'a', 0, 0, 0, 1], &[0, 0, 0, 4, 0, 0, 1, 0xa4]];
        assert_eq!(bytes, wanted.concat());
    }

    #[test]
    fn what_is_cut_short_is_malformed_and_no_panic() {
        let whole =
            Packet::new(0).number(0x8000_000f).long(5).number(1).number(2).number(0o100_600).number(9).number(10);
        let whole = whole.number(1).string(b"x").string(b"y").finish(0).split_off(HEAD);
        assert_eq!(Fields(&whole).attributes().unwrap().len, 5);
        for length in 0..whole.len() {
            assert!(Fields(&whole[..length]).attributes().is_err(), "{length}");
        }
        let data = Answer { kind: DATA, body: vec![0, 0, 0, 9, 1], at: 0 };
        assert!(data.into_data().is_err());
    }
}
