//! Where reports go, and how they get there: to a temporary name first, so that no half of one is ever read.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{html, junit};
use crate::harness::record::RunRecord;

/// The reports that were asked for.
#[derive(Debug, Clone, Default)]
pub(in crate::harness) struct Destinations {
    pub(in crate::harness) junit: Option<PathBuf>,
    pub(in crate::harness) html: Option<PathBuf>,
}

/// Writes them, and says on stderr where they are. False if one could not be written, which it says too.
pub(in crate::harness) fn write(run: &RunRecord, to: &Destinations) -> bool {
    let junit = to.junit.as_deref().map(|path| (path, "JUnit", junit::document(run)));
    let html = to.html.as_deref().map(|path| (path, "report", Ok(html::page(run))));
    let mut all = true;
    for (path, what, text) in junit.into_iter().chain(html) {
        match text.and_then(|text| replace(path, text.as_bytes()).map_err(|error| error.to_string())) {
            Ok(()) => eprintln!("otto: {what}: {}", path.display()),
            Err(error) => {
                all = false;
                eprintln!("error: the {what} cannot be written to {}: {error}", path.display());
            }
        }
    }
    all
}

/// Puts a file in place as a whole; makes its folder if need be.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    // What is no file (`/dev/stdout`, a pipe) cannot be renamed over.
    if fs::metadata(path).is_ok_and(|known| !known.is_file() && !known.is_dir()) {
        return fs::write(path, bytes);
    }
    let mut file =
        tempfile::Builder::new().prefix(".otto-").permissions(fs::Permissions::from_mode(0o644)).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

use std::os::unix::fs::PermissionsExt as _;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::reports::samples;

    #[test]
    fn a_report_is_replaced_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let to =
            Destinations { junit: Some(dir.path().join("new/junit.xml")), html: Some(dir.path().join("run.html")) };
        fs::write(dir.path().join("run.html"), "old").unwrap();
        assert!(write(&samples::run(), &to));
        assert!(fs::read_to_string(dir.path().join("new/junit.xml")).unwrap().starts_with("<?xml"));
        assert!(fs::read_to_string(dir.path().join("run.html")).unwrap().starts_with("<!doctype html>"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn one_that_cannot_be_written_does_not_keep_the_other_from_it() {
        let dir = tempfile::tempdir().unwrap();
        let html = dir.path().join("run.html");
        for junit in ["/proc/no/such.xml", "/dev/full"] {
            assert!(!write(&samples::run(), &Destinations { junit: Some(junit.into()), html: Some(html.clone()) }));
            assert!(html.exists());
            fs::remove_file(&html).unwrap();
        }
    }
}
