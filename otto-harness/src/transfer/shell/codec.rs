//! Bytes as text that survives any line, and back.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What turns a host's bytes into text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoder {
    Base64,
    Od,
    Hexdump,
    Xxd,
    /// The host has none: bytes have to go as they are.
    None,
}

impl Encoder {
    /// The command that does it, from its input to its output.
    pub(super) fn command(self) -> &'static str {
        match self {
            Self::Base64 => "base64",
            Self::Od => "od -An -v -tx1",
            Self::Hexdump => "hexdump -v -e '16/1 \"%02x\" \"\\n\"'",
            Self::Xxd => "xxd -p",
            Self::None => "cat",
        }
    }

    /// What the text was; `None` if it is none that this makes.
    pub(super) fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        let dense = || text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect::<Vec<u8>>();
        match self {
            Self::None => Some(text.to_vec()),
            Self::Base64 => STANDARD.decode(dense()).ok(),
            Self::Od | Self::Hexdump | Self::Xxd => {
                let dense = dense();
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let pair = |pair: &[u8]| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?);
                dense.chunks(2).map(pair).collect()
            }
        }
    }
}

/// A command that writes these bytes; in base64 if the host can undo that, else by `printf`, which every shell has.
pub(super) fn writer_of(data: &[u8], base64: bool) -> String {
    if base64 {
        let mut text = String::with_capacity(data.len() * 4 / 3 + data.len() / 50 + 64);
        text.push_str("base64 -d <<'OTTO'\n");
        for line in data.chunks(57) {
            STANDARD.encode_string(line, &mut text);
            text.push('\n');
        }
        text.push_str("OTTO\n");
        return text;
    }
    let mut text = String::with_capacity(data.len() * 4 + data.len() / 10 + 64);
    for part in data.chunks(256) {
        let _ = writeln!(text, "printf '{}'", octal(part));
    }
    text
}

/// Bytes as a format of `printf` gives them.
pub(super) fn octal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(4 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "\\{byte:03o}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_a_host_encodes_is_decoded() {
        let all: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for encoder in [Encoder::Base64, Encoder::Od, Encoder::None] {
            let mut child = Command::new("sh")
                .args(["-c", encoder.command()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(&all).unwrap();
            let output = child.wait_with_output().unwrap();
            assert_eq!(encoder.decode(&output.stdout).as_deref(), Some(&all[..]), "{encoder:?}");
        }
        assert_eq!(Encoder::Hexdump.decode(b"00ff\n1a\n"), Some(vec![0, 255, 26]));
        assert_eq!(Encoder::Od.decode(b" 0g"), None);
    }

    #[test]
    fn what_is_written_by_text_is_what_it_was() {
        let all: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for base64 in [true, false] {
            let output = Command::new("sh").args(["-c", &writer_of(&all, base64)]).output().unwrap();
            assert_eq!(output.stdout, all, "{base64}");
        }
    }
}
