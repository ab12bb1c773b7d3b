//! Names: which ones may come from a host, and those of temporary files.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use super::files::Metadata;

/// Whether a name that a host gave is one name and no path: what is written by it stays in its folder.
pub(super) fn is_one_name(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    !matches!(bytes, b"" | b"." | b"..") && !bytes.contains(&b'/') && !bytes.contains(&0)
}

/// Of a random number and of how many there were before, in hexadecimal.
pub(super) fn nonce() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut random = [0; 8];
    if getrandom::fill(&mut random).is_err() {
        random = u64::from(std::process::id()).to_be_bytes();
    }
    format!("{:016x}{:x}", u64::from_be_bytes(random), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Names are no longer than this on most systems.
const LONGEST: usize = 255;

fn beside(target: &Path, mark: &str) -> PathBuf {
    let mut name = vec![b'.'];
    name.extend_from_slice(target.file_name().unwrap_or_default().as_bytes());
    let rest = format!(".{mark}.otto-part");
    name.truncate(LONGEST - rest.len());
    name.extend_from_slice(rest.as_bytes());
    target.with_file_name(OsString::from_vec(name))
}

/// A name beside the target that nobody else uses.
pub(super) fn temporary(target: &Path) -> PathBuf {
    beside(target, &nonce())
}

/// A name beside the target that the same source gets again, as long as it stays the same.
pub(super) fn resumable(target: &Path, source: &Path, about: &Metadata) -> PathBuf {
    let mut hash = Sha256::new();
    hash.update(source.as_os_str().as_bytes());
    // Whole seconds, which is what every way to files tells.
    let seconds =
        about.modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok()).map_or(0, |d| d.as_secs());
    hash.update(seconds.to_be_bytes());
    hash.update(about.len.to_be_bytes());
    beside(target, &hex(&hash.finalize()[..8]))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_its_folder() {
        for name in ["", ".", "..", "a/b", "/", "../x", "a\0"] {
            assert!(!is_one_name(OsStr::new(name)), "{name:?}");
        }
        for name in ["a", "...", "-rf", " ", "a\nb"] {
            assert!(is_one_name(OsStr::new(name)), "{name:?}");
        }
    }

    #[test]
    fn temporary_names_fit_and_differ() {
        let long = PathBuf::from(format!("/x/{}", "n".repeat(255)));
        for target in [Path::new("/x/a"), &long] {
            let (one, other) = (temporary(target), temporary(target));
            assert_ne!(one, other);
            assert_eq!(one.parent(), target.parent());
            assert!(one.file_name().unwrap().len() <= 255);
            assert!(one.to_string_lossy().ends_with(".otto-part"));
        }
    }
}
