//! Output as lines that can be read: each with its time, control characters spelt out, none too long.

use std::io::Write as _;
use std::time::Duration;

/// The widest line of a transcript, in bytes of output; a longer one goes on in the next.
const WIDEST: usize = 4096;

/// Where the text of a session stands. What is written is written at once, so that a prompt without a line ending is in
/// the file while a test hangs on it; only what cannot be told yet is held: half a character, half a line ending.
#[derive(Debug, Default)]
pub(super) struct Lines {
    held: Vec<u8>,
    /// How much of a line is written; `None` at the start of one.
    column: Option<usize>,
}

impl Lines {
    /// Renders bytes that came at this time after the beginning of what wrote them, each line with `mark` before it.
    pub(super) fn render(&mut self, bytes: &[u8], at: Duration, mark: char, into: &mut Vec<u8>) {
        let joined;
        let bytes = if self.held.is_empty() {
            bytes
        } else {
            self.held.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.held);
            &joined[..]
        };
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if let Some(body) = line.strip_suffix(b"\n") {
                self.text(body.strip_suffix(b"\r").unwrap_or(body), at, mark, into);
                self.begun(at, mark, into);
                self.end(into);
            } else {
                let whole = undecided(line);
                self.text(&line[..whole], at, mark, into);
                self.held.extend_from_slice(&line[whole..]);
            }
        }
    }

    /// Ends the line that is being written, if any: something else follows.
    pub(super) fn finish(&mut self, at: Duration, mark: char, into: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        self.text(&held, at, mark, into);
        if self.column.is_some() {
            self.end(into);
        }
    }

    fn text(&mut self, body: &[u8], at: Duration, mark: char, into: &mut Vec<u8>) {
        if body.is_empty() {
            return;
        }
        for chunk in body.utf8_chunks() {
            let mut text = chunk.valid();
            while !text.is_empty() {
                self.begun(at, mark, into);
                let room = WIDEST.saturating_sub(self.column.unwrap_or(0)).max(4);
                let cut = text.floor_char_boundary_of(room);
                let (now, later) = text.split_at(cut);
                escape(now, into);
                self.wrote(now.len(), into);
                text = later;
            }
            for byte in chunk.invalid() {
                self.begun(at, mark, into);
                // Writing to a vector cannot fail.
                let _ = write!(into, "\\x{byte:02x}");
                self.wrote(4, into);
            }
        }
    }

    /// Begins a line if none is begun.
    fn begun(&mut self, at: Duration, mark: char, into: &mut Vec<u8>) {
        if self.column.is_none() {
            let _ = write!(into, "{:>+11.3} {mark} ", at.as_secs_f64());
            self.column = Some(0);
        }
    }

    fn wrote(&mut self, count: usize, into: &mut Vec<u8>) {
        let column = self.column.unwrap_or(0) + count;
        self.column = Some(column);
        if column >= WIDEST {
            // Says that the line went on.
            into.extend_from_slice("…".as_bytes());
            self.end(into);
        }
    }

    fn end(&mut self, into: &mut Vec<u8>) {
        into.push(b'\n');
        self.column = None;
    }
}

trait FloorCharBoundary {
    /// The last boundary of characters that is not after `at`.
    fn floor_char_boundary_of(&self, at: usize) -> usize;
}

impl FloorCharBoundary for str {
    fn floor_char_boundary_of(&self, at: usize) -> usize {
        (0..=at.min(self.len())).rev().find(|at| self.is_char_boundary(*at)).unwrap_or(0)
    }
}

/// Where a half of something begins that the next bytes may complete.
fn undecided(line: &[u8]) -> usize {
    if line.ends_with(b"\r") {
        return line.len() - 1;
    }
    let last = line.utf8_chunks().last();
    let half = last
        .map(|chunk| chunk.invalid())
        .filter(|invalid| std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none()));
    line.len() - half.map_or(0, <[u8]>::len)
}

/// Writes text whose control characters are spelt out: nothing in it moves a cursor, clears a screen or ends a line.
pub(super) fn escape(text: &str, into: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| (c.is_control() && c != '\t') || is_unseen(c)) {
        let (plain, odd) = rest.split_at(at);
        into.extend_from_slice(plain.as_bytes());
        let mut chars = odd.chars();
        match chars.next() {
            Some('\r') => into.extend_from_slice(b"\\r"),
            Some('\n') => into.extend_from_slice(b"\\n"),
            Some('\x1b') => into.extend_from_slice(b"\\e"),
            Some(c) if c.is_ascii() => _ = write!(into, "\\x{:02x}", u32::from(c)),
            Some(c) => _ = write!(into, "\\u{{{:x}}}", u32::from(c)),
            None => {}
        }
        rest = chars.as_str();
    }
    into.extend_from_slice(rest.as_bytes());
}

/// As [`escape`], as text.
pub(crate) fn spell_out(text: &str) -> String {
    let mut shown = Vec::with_capacity(text.len());
    escape(text, &mut shown);
    // What is written is text, as what was read was.
    String::from_utf8(shown).unwrap_or_default()
}

/// Characters that end a line or turn its direction for whoever shows the file.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(pieces: &[&[u8]]) -> String {
        let (mut lines, mut text) = (Lines::default(), Vec::new());
        for (at, piece) in (1..).zip(pieces) {
            lines.render(piece, Duration::from_millis(500 * at), '|', &mut text);
        }
        lines.finish(Duration::from_secs(9), '|', &mut text);
        String::from_utf8(text).expect("a transcript is text")
    }

    /// Without times.
    fn bodies(pieces: &[&[u8]]) -> Vec<String> {
        rendered(pieces).lines().map(|line| line.split_once(" | ").expect(line).1.to_owned()).collect()
    }

    #[test]
    fn each_line_has_the_time_when_it_began() {
        let text = rendered(&[b"one\ntw", b"o\r\n\n", b"three"]);
        assert_eq!(text, "     +0.500 | one\n     +0.500 | two\n     +1.000 | \n     +1.500 | three\n");
    }

    #[test]
    fn what_is_no_text_is_spelt_out() {
        let bytes = b"\x1b[31mred\x1b[0m\x07 \xff\xfe\0 10%\r20%\r\n\xc2\x9b\xe2\x80\xae\tend";
        assert_eq!(bodies(&[bytes]), ["\\e[31mred\\e[0m\\x07 \\xff\\xfe\\x00 10%\\r20%", "\\u{9b}\\u{202e}\tend"]);
    }

    #[test]
    fn it_is_the_same_however_it_is_cut() {
        let bytes = "häß日本\r\n\r\r\n\u{1f600}\r".as_bytes();
        let whole = bodies(&[bytes]);
        assert_eq!(whole, ["häß日本", "\\r", "\u{1f600}\\r"]);
        for size in 1..bytes.len() {
            assert_eq!(bodies(&bytes.chunks(size).collect::<Vec<_>>()), whole, "in pieces of {size}");
        }
        assert_eq!(bodies(&[b"\xe6\x97", b"x"]), ["\\xe6\\x97x"]);
    }

    #[test]
    fn a_line_without_end_goes_on_in_the_next_and_is_not_kept() {
        let mut lines = Lines::default();
        let (bytes, mut longest) = (vec![b'x'; 1 << 15], 0);
        for _ in 0..2000 {
            let mut text = Vec::new();
            lines.render(&bytes, Duration::ZERO, '|', &mut text);
            longest = longest.max(text.split(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap());
            assert!(text.len() < 1 << 16 && lines.held.is_empty());
        }
        assert!(longest <= WIDEST + 20, "{longest}");
    }
}
