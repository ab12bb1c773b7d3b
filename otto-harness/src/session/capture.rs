//! What a command wrote, as far as it is kept: the newest part within a cap.

use std::collections::VecDeque;

/// How much of a command's output is kept unless said otherwise: 16 MiB.
pub(crate) const CAP: usize = 16 << 20;

/// Up to this the room for it grows step by step.
const LITTLE: usize = 1 << 20;

/// The newest bytes of a stream.
#[derive(Debug)]
pub(crate) struct Capture {
    kept: VecDeque<u8>,
    cap: usize,
    truncated: bool,
}

impl Capture {
    pub(crate) fn new(cap: usize) -> Self {
        Self { kept: VecDeque::new(), cap, truncated: false }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let bytes = if bytes.len() > self.cap {
            self.truncated = true;
            &bytes[bytes.len() - self.cap..]
        } else {
            bytes
        };
        let excess = (self.kept.len() + bytes.len()).saturating_sub(self.cap);
        if excess > 0 {
            self.truncated = true;
            self.kept.drain(..excess);
        }
        let free = self.kept.capacity() - self.kept.len();
        if bytes.len() > free && self.kept.len() + bytes.len() > LITTLE {
            // Room for all that is ever kept, at once: pages that are not written to cost nothing, and growing step by step
            // would leave the smaller rooms behind as holes in the process's memory.
            self.kept.reserve_exact(self.cap - self.kept.len());
        }
        self.kept.extend(bytes);
    }

    /// Some of the stream was lost before it came here.
    pub(crate) fn missed(&mut self) {
        self.truncated = true;
    }

    pub(crate) fn truncated(&self) -> bool {
        self.truncated
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.kept.into()
    }
}

/// Cuts a stream into lines for `on_output`, as text without their endings.
pub(crate) struct Lines<'a> {
    to: Option<&'a mut (dyn FnMut(&str) + Send)>,
    part: Vec<u8>,
}

/// The longest line that is put together; a longer one is handed on in parts.
const LINE: usize = 1 << 20;

impl<'a> Lines<'a> {
    pub(crate) fn new(to: Option<&'a mut (dyn FnMut(&str) + Send)>) -> Self {
        Self { to, part: Vec::new() }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let Some(to) = &mut self.to else { return };
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.part.extend_from_slice(piece);
            if self.part.ends_with(b"\n") || self.part.len() >= LINE {
                hand_on(*to, &mut self.part);
            }
        }
    }

    /// The last line, if it had no ending.
    pub(crate) fn finish(&mut self) {
        if let Some(to) = &mut self.to
            && !self.part.is_empty()
        {
            hand_on(*to, &mut self.part);
        }
    }
}

fn hand_on(to: &mut (dyn FnMut(&str) + Send), line: &mut Vec<u8>) {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    to(&String::from_utf8_lossy(text));
    line.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_bytes_are_kept() {
        let mut capture = Capture::new(4);
        capture.push(b"abc");
        assert!(!capture.truncated());
        capture.push(b"de");
        assert!(capture.truncated());
        assert_eq!(capture.into_bytes(), b"bcde");
        let mut capture = Capture::new(4);
        capture.push(b"0123456789");
        assert_eq!(capture.into_bytes(), b"6789");
    }

    #[test]
    fn lines_come_whole_and_the_last_without_ending_too() {
        let mut lines = Vec::new();
        let mut push = |line: &str| lines.push(line.to_owned());
        let mut cutter = Lines::new(Some(&mut push));
        cutter.push(b"a");
        cutter.push(b"b\r\n\nc");
        cutter.finish();
        assert_eq!(lines, ["ab", "", "c"]);
    }
}
