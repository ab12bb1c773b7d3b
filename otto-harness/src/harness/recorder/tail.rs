//! The end of what a command wrote: kept as it came, made readable only when somebody wants to read it.

use std::borrow::Cow;

use crate::context::spell_out;
use crate::redact::Redactor;

/// So many bytes of output are kept at least, if there were as many.
const KEPT: usize = 8 << 10;

/// How many lines are shown, and how many bytes of text in all and of one line.
const LINES: usize = 10;
const SHOWN: usize = 4 << 10;
const WIDEST: usize = 1 << 10;

/// The newest bytes of a stream. Taking a piece costs a copy of its end, and no allocation once there is room for all.
#[derive(Debug, Clone, Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    /// Whether there were bytes before these.
    cut: bool,
}

impl Tail {
    pub(super) fn push(&mut self, piece: &[u8]) {
        if piece.len() >= KEPT {
            self.cut |= !self.bytes.is_empty() || piece.len() > KEPT;
            self.bytes.clear();
            self.bytes.extend_from_slice(&piece[piece.len() - KEPT..]);
            return;
        }
        // Twice as much is let in before the older half goes, so that small pieces do not move all of it each time.
        if self.bytes.len() + piece.len() > 2 * KEPT {
            self.cut = true;
            self.bytes.drain(..self.bytes.len() + piece.len() - KEPT);
        }
        self.bytes.extend_from_slice(piece);
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.cut = false;
    }

    /// How many bytes it holds.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What is in it, with no more memory than that takes.
    pub(super) fn take(&mut self) -> Self {
        let taken = Self { bytes: self.bytes.as_slice().to_vec(), cut: self.cut };
        self.clear();
        taken
    }

    /// The last lines that are not blank, without secrets and without what would act on a terminal.
    pub(super) fn lines(&self, redactor: &Redactor) -> Vec<String> {
        let clean = redactor.bytes(&self.bytes);
        // What was cut off may have been the first half of a secret, whose second half nobody would know here. Secrets of
        // three bytes become ten, hence the factor.
        let unsure = if self.cut { redactor.longest().saturating_mul(4) } else { 0 };
        let text = String::from_utf8_lossy(clean.get(unsure..).unwrap_or_default());
        let mut left = SHOWN;
        let mut lines = Vec::new();
        for line in text.lines().rev().map(readable).filter(|line| !line.trim().is_empty()).take(LINES) {
            let line = end_of(&line, WIDEST.min(left)).into_owned();
            left = left.saturating_sub(line.len());
            lines.push(line);
            if left < 80 {
                break;
            }
        }
        lines.reverse();
        lines
    }
}

/// A line as it stands on a screen at last: without colours, and without what a carriage return wrote over.
fn readable(line: &str) -> String {
    let line = line.trim_end_matches('\r');
    let line = line.rsplit('\r').find(|part| !part.trim().is_empty()).unwrap_or(line);
    spell_out(&without_colours(line))
}

/// Without control sequences (`ESC [ … letter`): colours, and orders to a cursor.
fn without_colours(line: &str) -> Cow<'_, str> {
    if !line.contains("\x1b[") {
        return Cow::Borrowed(line);
    }
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("\x1b[") {
        plain.push_str(&rest[..at]);
        let sequence = &rest[at + 2..];
        let end = sequence.find(|c: char| !(' '..='?').contains(&c)).unwrap_or(sequence.len());
        rest = &sequence[end + sequence[end..].chars().next().map_or(0, char::len_utf8)..];
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// The end of a text, with a mark if that is not all of it.
fn end_of(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let from = (text.len() - most..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    Cow::Owned(format!("…{}", &text[from..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pieces: &[&[u8]], redactor: &Redactor) -> Vec<String> {
        let mut tail = Tail::default();
        pieces.iter().for_each(|piece| tail.push(piece));
        tail.lines(redactor)
    }

    #[test]
    fn the_last_lines_are_what_a_screen_would_show() {
        let bytes = b"\x1b[1;31mred\x1b[0m\r\n\n 10%\r 99%\r100%\r\n\x1b]0;title\x07\xff\0\nend";
        let lines = shown(&[bytes], &Redactor::default());
        assert_eq!(lines, ["red", "100%", "\\e]0;title\\x07\u{fffd}\\x00", "end"]);
        let many: String = (0..100).map(|n| format!("line {n}\n")).collect();
        let lines = shown(&[many.as_bytes()], &Redactor::default());
        assert_eq!((lines.len(), &*lines[0], &*lines[9]), (10, "line 90", "line 99"));
    }

    #[test]
    fn it_is_bounded_however_much_comes() {
        let mut tail = Tail::default();
        for size in [1, 100, KEPT - 1, KEPT, KEPT + 1, 10 * KEPT] {
            for _ in 0..30 {
                tail.push(&vec![b'x'; size]);
                assert!(tail.len() <= 2 * KEPT, "{}", tail.len());
            }
        }
        let lines = tail.lines(&Redactor::default());
        assert!(lines.len() == 1 && lines[0].starts_with('…') && lines[0].len() <= WIDEST + 3);
        let wide: Vec<u8> = [vec![b'y'; 900], b"\n".to_vec()].concat().repeat(10);
        assert!(shown(&[&wide], &Redactor::default()).iter().map(String::len).sum::<usize>() <= SHOWN + 3 * LINES);
    }

    #[test]
    fn no_half_of_a_secret_is_left_where_it_was_cut() {
        let secret = "correct-horse-battery-staple";
        let redactor = Redactor::new([secret.into()]);
        for more in 0..2 * secret.len() {
            // The cut goes through every place of the secret in turn.
            let bytes = [secret.as_bytes(), &vec![b'.'; KEPT - more][..]].concat();
            let mut tail = Tail::default();
            tail.push(&bytes);
            let text = tail.lines(&Redactor::default()).concat() + &tail.lines(&redactor).concat();
            let clean = tail.lines(&redactor).concat();
            assert!(!clean.contains("staple") && !clean.contains("e."), "{more}: {}", &clean[..80]);
            assert!(text.contains("..."));
        }
        assert_eq!(shown(&[b"pw correct-horse-", b"battery-staple!"], &redactor), ["pw [redacted]!"]);
    }
}
