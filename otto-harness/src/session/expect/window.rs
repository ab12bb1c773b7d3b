//! The unread output of a terminal.

use std::borrow::Cow;
use std::fmt;

use super::search::{Found, Searcher};
use crate::error::{Error, ErrorKind, Result};

/// What a tail shows of a last line without end.
const LONGEST_TAIL: usize = 4096;
/// Read bytes are cleared away no sooner than when there are so many.
const COMPACT: usize = 64 << 10;

/// The output that has arrived and that no `expect` has taken yet.
///
/// It keeps the newest bytes, up to its window and the last read. Older ones are dropped and counted; they were searched
/// when they arrived, so what is dropped is text to show, never a match.
///
/// ```
/// use otto::session::expect::{Searcher, StreamBuffer};
///
/// let mut buffer = StreamBuffer::new();
/// buffer.append(b"Python 3.13\r\n>>> 1 + 1\r\n2\r\n>>> ");
/// let mut prompt = Searcher::new(&[">>> ".into()])?;
/// assert_eq!(buffer.search(&mut prompt).unwrap().text(), "Python 3.13\r\n>>> ");
/// assert_eq!(buffer.search(&mut prompt).unwrap().text(), "1 + 1\r\n2\r\n>>> ");
/// assert!(buffer.search(&mut prompt).is_none());
/// # Ok::<(), otto::Error>(())
/// ```
pub struct StreamBuffer {
    bytes: Vec<u8>,
    /// Where the unread bytes start.
    head: usize,
    /// The place of the first unread byte in the stream.
    offset: u64,
    /// The place in the stream where the last match ended.
    taken: u64,
    window: usize,
    tap: Option<Tap>,
}

/// Is shown all that arrives.
type Tap = Box<dyn Fn(&[u8]) + Send + Sync>;

/// What [`StreamBuffer::search`] took: everything up to the end of a match.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Taken {
    /// The pattern's place in the list.
    pub pattern: usize,
    /// The unread bytes up to the end of the match, with it.
    pub bytes: Vec<u8>,
    /// Where in `bytes` the match starts; `None` if that was dropped.
    pub start: Option<usize>,
    /// How many bytes before `bytes` were dropped.
    pub dropped: u64,
    window: usize,
}

impl Taken {
    /// The bytes as text, with U+FFFD for what is not UTF-8.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }

    /// What the pattern matched.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the match is longer than the window.
    pub fn matched(&self) -> Result<&[u8]> {
        self.start.and_then(|start| self.bytes.get(start..)).ok_or_else(|| {
            let message = format!(
                "the match is longer than the window of {} bytes: its first part, in {} dropped bytes, is gone",
                self.window, self.dropped
            );
            Error::new(ErrorKind::Invalid, message)
                .hint("Use a pattern for the last part of what it is to match, or a larger window.")
        })
    }
}

impl StreamBuffer {
    /// How many bytes are kept unless said otherwise: 1 MiB.
    pub const WINDOW: usize = 1 << 20;

    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::with_window(Self::WINDOW)
    }

    /// An empty buffer that keeps this many bytes.
    #[must_use]
    pub fn with_window(window: usize) -> Self {
        Self { bytes: Vec::new(), head: 0, offset: 0, taken: 0, window, tap: None }
    }

    /// Shows all that arrives from now on to `tap` as well.
    pub(crate) fn tapped(mut self, tap: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        self.tap = Some(Box::new(tap));
        self
    }

    /// Empties it: what comes next is another stream.
    pub(crate) fn restart(&mut self) {
        let tap = self.tap.take();
        *self = Self { tap, ..Self::with_window(self.window) };
    }

    /// Adds what was read.
    pub fn append(&mut self, read: &[u8]) {
        if let Some(tap) = &self.tap {
            tap(read);
        }
        // Dropped only now, and not when they came, so that each byte can be searched once.
        let excess = self.unread().len().saturating_sub(self.window);
        self.consume(excess);
        self.bytes.extend_from_slice(read);
    }

    /// Searches what is unread and not searched yet by this searcher, and takes everything up to the first match.
    ///
    /// A new searcher starts at the first unread byte, so `^` is there. So does one that lost its place because another
    /// took what it was searching.
    pub fn search(&mut self, searcher: &mut Searcher) -> Option<Taken> {
        if searcher.is_fresh() || searcher.from() < self.taken || searcher.position() < self.offset {
            searcher.restart(self.offset);
        }
        let unsearched = usize::try_from(searcher.position() - self.offset).ok()?;
        let found = searcher.feed(self.unread().get(unsearched..)?)?;
        self.take(searcher, found)
    }

    /// As [`search`](Self::search), and then takes the output for ended here, because it has paused: a prompt that ends in
    /// `$` matches.
    pub fn search_idle(&mut self, searcher: &mut Searcher) -> Option<Taken> {
        if let Some(taken) = self.search(searcher) {
            return Some(taken);
        }
        let found = searcher.idle()?;
        self.take(searcher, found)
    }

    /// What is unread.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        &self.bytes[self.head..]
    }

    /// How many bytes were dropped since the last match.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.offset - self.taken
    }

    /// Takes everything that is unread.
    pub fn take_all(&mut self) -> Vec<u8> {
        let all = self.unread().to_vec();
        self.consume(all.len());
        self.taken = self.offset;
        all
    }

    /// The last lines of what is unread, for an error to show. Long lines are cut at the front.
    #[must_use]
    pub fn tail(&self, lines: usize) -> String {
        let unread = self.unread();
        let body = unread.strip_suffix(b"\n").unwrap_or(unread);
        let ends = body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        let start = match lines {
            0 => unread.len(),
            lines => ends.skip(lines - 1).map(|at| at.min(unread.len())).next().unwrap_or(0),
        };
        let cut = unread.len().saturating_sub(LONGEST_TAIL);
        if start >= cut {
            return String::from_utf8_lossy(&unread[start..]).into_owned();
        }
        // Not in the middle of a character.
        let cut = (cut..unread.len()).find(|at| unread[*at] & 0xc0 != 0x80).unwrap_or(cut);
        format!("…{}", String::from_utf8_lossy(&unread[cut..]))
    }

    fn take(&mut self, searcher: &mut Searcher, found: Found) -> Option<Taken> {
        let end = usize::try_from(found.end.checked_sub(self.offset)?).ok()?;
        let dropped = self.dropped();
        // A search that goes on after a match sees the byte before it; one at the start of a text must not.
        let goes_on = self.head > 0 && searcher.text_start() < self.offset;
        let origin = self.head - usize::from(goes_on);
        let lead = self.head - origin;
        let start = searcher.start_of(found.pattern, &self.bytes[origin..], lead, lead + end).map(|at| at - lead);
        let taken = Taken {
            pattern: found.pattern,
            bytes: self.unread()[..end].to_vec(),
            // At the very edge of what was dropped it may have started before.
            start: start.filter(|start| dropped == 0 || *start > 0),
            dropped,
            window: self.window,
        };
        self.consume(end);
        self.taken = self.offset;
        Some(taken)
    }

    fn consume(&mut self, count: usize) {
        self.head += count;
        self.offset += count as u64;
        // One read byte stays, for a search that looks behind.
        if self.head > COMPACT && self.head > self.bytes.len() / 2 {
            self.bytes.drain(..self.head - 1);
            self.head = 1;
        }
    }
}

/// Without the output, which is not for every log.
impl fmt::Debug for StreamBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamBuffer")
            .field("unread", &self.unread().len())
            .field("dropped", &self.dropped())
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

impl Default for StreamBuffer {
    fn default() -> Self {
        Self::new()
    }
}
