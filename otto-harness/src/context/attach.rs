//! Files that a test leaves for people to look at.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::OttoContext;
use super::transcript::part;
use crate::error::{Error, ErrorKind, Result};

/// Where they are, inside the folder of a test.
const FOLDER: &str = "attachments";

/// So many files of one name are told apart.
const SAME_NAME: u32 = 10_000;

/// What was attached: the name as it was given, and the file.
#[derive(Debug, Default)]
pub(super) struct Attachments(Mutex<Vec<(String, PathBuf)>>);

impl OttoContext {
    /// Writes a file for people to look at after the test, such as a capture, a screenshot or a dump: into the folder
    /// `attachments` of the test's output folder. Reports list it. Returns its path.
    ///
    /// Without `--output-dir`, a test's output folder is `target/otto/<run>/<lab>/<test>`; it is made for the first file.
    /// A name is a file's name and never more: what is no letter, digit, `-`, `_` or `.` in it is written as `%` and a
    /// number, and one that is taken gets a number. Text is written without the lab's secrets, other bytes as they are.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> otto::Result<()> {
    /// let folder = tempfile::tempdir().unwrap();
    /// otto::open_context("local").output_dir(folder.path()).with(async |ctx| {
    ///     let path = ctx.attach("route.txt", "10.0.0.0/8 via 10.0.0.1")?;
    ///     assert_eq!(path, folder.path().join("attachments/route.txt"));
    ///     assert!(ctx.attach("../../etc/passwd", [0xff, 0]).unwrap().starts_with(folder.path()));
    ///     Ok(())
    /// }).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// One of kind [`ErrorKind::Io`] if the file cannot be written, which names it; one of kind [`ErrorKind::Invalid`] if
    /// the context was opened by hand, without [`output_dir`](super::OpenContext::output_dir).
    pub fn attach(&self, name: impl AsRef<str>, bytes: impl AsRef<[u8]>) -> Result<PathBuf> {
        let (name, bytes) = (name.as_ref(), bytes.as_ref());
        let settings = &self.0.settings;
        let of_test = settings.of_test.as_ref().map(|test| &*test.folder);
        let folder = settings.output_dir.as_deref().or(of_test).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, format!("there is no folder for the attachment `{name}`"))
                .hint("open the context with `.output_dir(..)`")
        })?;
        // Bytes that are no text may have a checksum, or a meaning that depends on each of them.
        let bytes = if std::str::from_utf8(bytes).is_ok() { self.0.secrets.bytes(bytes) } else { bytes.into() };
        let name = self.0.secrets.text(name).into_owned();
        let folder = folder.join(FOLDER);
        let path = write_new(&folder, &part(&name, true), &bytes).map_err(|error| {
            Error::new(ErrorKind::Io, format!("cannot attach `{name}` in {}", folder.display())).caused_by(error)
        })?;
        let mut attached = self.0.attachments.0.lock().unwrap_or_else(PoisonError::into_inner);
        attached.push((name, path.clone()));
        Ok(path)
    }

    /// What was attached so far.
    pub(crate) fn attachments(&self) -> Vec<(String, PathBuf)> {
        self.0.attachments.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Writes a file of that name, or with a number before its ending if that is taken.
fn write_new(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let (stem, ending) = match name.rfind('.') {
        Some(at) if at > 0 => name.split_at(at),
        _ => (name, ""),
    };
    for number in 1..=SAME_NAME {
        let path = folder.join(if number == 1 { name.to_owned() } else { format!("{stem}-{number}{ending}") });
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                return file.write_all(bytes).map(|()| path.clone()).inspect_err(|_| {
                    // Half a file looks like a whole one.
                    let _ = fs::remove_file(&path);
                });
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!("there are {SAME_NAME} files of that name")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_folder_and_apart() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = write_new(folder.path(), &part(name, true), name.as_bytes()).unwrap();
            assert_eq!(fs::read(&path).unwrap(), name.as_bytes());
            assert_eq!(path.parent(), Some(folder.path()));
            path.file_name().unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(write("shot.png"), "shot.png");
        assert_eq!(write("shot.png"), "shot-2.png");
        assert_eq!(write("shot.png"), "shot-3.png");
        assert_eq!(write("core"), "core");
        assert_eq!(write("core"), "core-2");
        for odd in ["../up", "..", ".", "", "/etc/passwd", "a\0b", "a\nb", ".hidden", "ä b", &"x".repeat(5000)] {
            write(odd);
        }
    }

    #[test]
    fn a_folder_that_cannot_be_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(write_new(&file, "name", b"").is_err());
    }
}
