//! Redaction of a stream that comes in pieces.

use std::borrow::Cow;

use super::{REDACTED, Redactor};

/// Redacts a stream piece by piece: the text is the same however the stream is cut.
///
/// What may be the start of a secret is held back until it is decided, which is at most the longest form less one byte. A
/// byte is redacted if any form of any secret covers it, so that two secrets that overlap are both gone.
#[derive(Debug)]
pub(crate) struct Stream {
    redactor: Redactor,
    pub(super) held: Vec<u8>,
    /// So many of the held bytes belong to a secret that was replaced already.
    covered: usize,
}

impl Stream {
    pub(crate) fn new(redactor: Redactor) -> Self {
        Self { redactor, held: Vec::new(), covered: 0 }
    }

    /// Takes a piece; gives what can be shown by now.
    pub(crate) fn feed<'p>(&mut self, piece: &'p [u8]) -> Cow<'p, [u8]> {
        let Some(known) = &self.redactor.0 else { return Cow::Borrowed(piece) };
        if self.held.is_empty() && !known.search.is_match(piece) {
            let keep = undecided(piece, &known.forms, known.longest);
            self.held.extend_from_slice(&piece[keep..]);
            return Cow::Borrowed(&piece[..keep]);
        }
        self.held.extend_from_slice(piece);
        let keep = undecided(&self.held, &known.forms, known.longest);
        Cow::Owned(self.decide(keep))
    }

    /// What is still held back, when nothing more comes: what could have been the start of a longer secret.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        self.decide(self.held.len())
    }

    /// Takes so many of the held bytes, without the secrets in them.
    fn decide(&mut self, keep: usize) -> Vec<u8> {
        let Some(known) = &self.redactor.0 else { return std::mem::take(&mut self.held) };
        let bytes = &self.held;
        let mut shown = Vec::with_capacity(keep);
        // Up to here all is decided: shown, or replaced.
        let mut done = self.covered;
        for (from, to) in covered(&known.search, bytes, self.covered) {
            if from >= keep {
                break;
            }
            // What reaches into a secret that was replaced before is a part of the same hole.
            if from >= done {
                shown.extend_from_slice(&bytes[done..from]);
                shown.extend_from_slice(REDACTED.as_bytes());
            }
            done = done.max(to);
        }
        shown.extend_from_slice(bytes.get(done..keep).unwrap_or_default());
        self.held.drain(..keep);
        self.covered = done.saturating_sub(keep);
        shown
    }
}

/// The ranges that secrets cover, in order; those that overlap are one. `before` bytes at the start were covered already,
/// and what overlaps those starts before them.
fn covered(search: &aho_corasick::AhoCorasick, bytes: &[u8], before: usize) -> Vec<(usize, usize)> {
    let mut ranges: Vec<(usize, usize)> =
        search.find_overlapping_iter(bytes).map(|found| (found.start(), found.end())).collect();
    ranges.sort_unstable();
    let mut merged: Vec<(usize, usize)> = Vec::with_capacity(ranges.len() + 1);
    if before > 0 {
        merged.push((0, before));
    }
    for (from, to) in ranges {
        match merged.last_mut() {
            Some(last) if from < last.1 => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

/// Where the longest end of `bytes` starts that some form begins with and is longer than.
fn undecided(bytes: &[u8], forms: &[Vec<u8>], longest: usize) -> usize {
    let earliest = bytes.len().saturating_sub(longest - 1);
    (earliest..bytes.len())
        .find(|at| {
            let end = &bytes[*at..];
            // They are sorted, so those that begin with it and are longer come right after it.
            let next = forms.partition_point(|form| form.as_slice() <= end);
            forms.get(next).is_some_and(|form| form.starts_with(end))
        })
        .unwrap_or(bytes.len())
}
