//! Scripts that do one thing to a file, and what they say when they cannot.

use std::fmt::Write as _;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::host::sh_quote;
use crate::transfer::files::{Fault, Outcome};

use super::codec::octal;

/// Lines of a script that put paths into `$a` and `$b`, whatever bytes are in them. None of them is taken for an option.
pub(in crate::transfer) fn paths(paths: &[&Path]) -> Outcome<String> {
    let mut text = String::new();
    for (name, path) in ["a", "b"].iter().zip(paths) {
        let bytes = path.as_os_str().as_bytes();
        if bytes.contains(&0) {
            return Err(Fault::File(io::ErrorKind::InvalidFilename, "a name cannot hold a NUL character".to_owned()));
        }
        let dot = match bytes.first() {
            None => ".",
            Some(b'-') => "./",
            Some(_) => "",
        };
        // Writing to a string cannot fail.
        let _ = match std::str::from_utf8(bytes) {
            Ok(path) if !path.contains(|c: char| c.is_control() && c != '\n') => {
                writeln!(text, "{name}={}", sh_quote(&format!("{dot}{path}")))
            }
            // The dot at the end keeps newlines that are part of the name.
            _ => writeln!(text, "{name}=$(printf '{dot}{}.'); {name}=${{{name}%.}}", octal(bytes)),
        };
    }
    Ok(text)
}

/// What the system says, in the language that scripts ask for, and what kind of failure that is.
const SAYINGS: [(&str, io::ErrorKind); 18] = [
    ("No such file", io::ErrorKind::NotFound),
    ("nonexistent", io::ErrorKind::NotFound),
    ("Permission denied", io::ErrorKind::PermissionDenied),
    ("Operation not permitted", io::ErrorKind::PermissionDenied),
    ("No space left", io::ErrorKind::StorageFull),
    ("quota exceeded", io::ErrorKind::QuotaExceeded),
    ("Is a directory", io::ErrorKind::IsADirectory),
    ("is a directory", io::ErrorKind::IsADirectory),
    ("Not a directory", io::ErrorKind::NotADirectory),
    ("File exists", io::ErrorKind::AlreadyExists),
    ("not empty", io::ErrorKind::DirectoryNotEmpty),
    ("Read-only file system", io::ErrorKind::ReadOnlyFilesystem),
    ("name too long", io::ErrorKind::InvalidFilename),
    ("File too large", io::ErrorKind::FileTooLarge),
    ("file too large", io::ErrorKind::FileTooLarge),
    ("Text file busy", io::ErrorKind::ExecutableFileBusy),
    ("Invalid argument", io::ErrorKind::InvalidInput),
    ("not found", io::ErrorKind::Unsupported),
];

/// Why a script failed, from what it wrote.
pub(in crate::transfer) fn fault(output: &[u8]) -> Fault {
    let tail = &output[output.len().saturating_sub(2000)..];
    let text = String::from_utf8_lossy(tail);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let known = lines.iter().rev().find_map(|line| {
        let (_, kind) = SAYINGS.iter().find(|(saying, _)| line.contains(saying))?;
        Some((*kind, *line))
    });
    match (known, lines.last()) {
        (Some((kind @ (io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput), line)), _) => {
            Fault::File(kind, clean(line))
        }
        (Some((kind, _)), _) => Fault::new(kind),
        (None, Some(last)) => Fault::File(io::ErrorKind::Other, clean(last)),
        (None, None) => Fault::File(io::ErrorKind::Other, "the host's shell does not say why".to_owned()),
    }
}

fn clean(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_reads_any_name_as_it_is() {
        for name in
            [&b"-rf"[..], b"a b", b"it's", b"a\nb", b"nl\n", b"\xff\xfe\n", b"\x01", b"\xc3\xa9", b"$x", b"a\\b"]
        {
            let path = Path::new(OsStr::from_bytes(name));
            let script = format!("{}printf %s \"$a\"", paths(&[path]).unwrap());
            for shell in ["dash", "bash"] {
                let output = Command::new(shell).args(["-c", &script]).env("LC_ALL", "C").output().unwrap();
                let wanted = if name == b"-rf" { b"./-rf" } else { name };
                assert_eq!(output.stdout, wanted, "{shell} {script}");
            }
        }
    }

    #[test]
    fn what_shells_and_tools_say_is_understood() {
        let cases = [
            ("sh: 1: cannot open /x: No such file", io::ErrorKind::NotFound),
            ("sh: 1: cannot create /x/y: Directory nonexistent", io::ErrorKind::NotFound),
            ("mkdir: cannot create directory 'x': File exists", io::ErrorKind::AlreadyExists),
            ("half of the data\ncat: write error: No space left on device\n", io::ErrorKind::StorageFull),
        ];
        for (said, kind) in cases {
            assert!(fault(said.as_bytes()).is(kind), "{said}: {:?}", fault(said.as_bytes()));
        }
    }
}
