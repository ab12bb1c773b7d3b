//! The names of transcript files: each host and session has its own, whatever they are called.

use std::fmt::Write as _;

use sha1::{Digest, Sha1};

/// The longest part that is written out; a file's name may have 255 bytes, and there are two parts.
const LONGEST: usize = 100;

/// The file of one session of one host. Different ones have different files, and none is outside its folder.
pub(super) fn file_name(host: &str, session: &str) -> String {
    // A dot may stand in the host's part alone: the last but one of the name is the one between the two.
    format!("{}.{}.log", part(host, true), part(session, false))
}

/// Letters, digits, `-` and `_` as they are; all else as `%` and the number of each byte, as in a URL.
pub(in crate::context) fn part(name: &str, dots: bool) -> String {
    let mut text = String::new();
    for (at, c) in name.char_indices() {
        if c.is_alphanumeric() || c == '-' || c == '_' || (c == '.' && dots && at > 0) {
            text.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a string cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    if text.is_empty() {
        // Nothing else is a sign of percent alone.
        return "%".to_owned();
    }
    if text.len() > LONGEST {
        let mut cut = LONGEST - 42;
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        text.truncate(cut);
        text.push('~');
        for byte in Sha1::digest(name.as_bytes()) {
            let _ = write!(text, "{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn usual_names_are_as_they_are() {
        assert_eq!(file_name("router1", "default"), "router1.default.log");
        assert_eq!(file_name("10.0.0.1", "käse-2"), "10.0.0.1.käse-2.log");
    }

    #[test]
    fn different_names_have_different_files_inside_the_folder() {
        let long = "x".repeat(300);
        let names = [
            "",
            ".",
            "..",
            "../x",
            "..%2Fx",
            "/etc/passwd",
            "a",
            "a.b",
            "a.b.c",
            "b.c",
            "c",
            "a b",
            "a_b",
            "a/b",
            "a%20b",
            "a%b",
            "%",
            "%25",
            "A",
            "\0",
            "\n",
            "ä",
            "log",
            "a.log",
            "~",
            "日本",
            &long,
            &format!("{long}y"),
            &"日".repeat(90),
            &format!("{}/", "日".repeat(90)),
        ];
        let mut seen = HashMap::new();
        for host in names {
            for session in names {
                let file = file_name(host, session);
                assert!(file.len() <= 255 && !file.contains(['/', '\0', '\n']), "{file:?}");
                assert!(!file.starts_with('.') && file != "..", "{file:?}");
                let taken = seen.insert(file.clone(), (host, session));
                assert_eq!(taken, None, "{file:?} is also of {host:?} {session:?}");
            }
        }
    }
}
