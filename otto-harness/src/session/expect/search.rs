//! Several patterns in one pass over a stream.

use std::fmt;

use regex_automata::util::prefilter::Prefilter;
use regex_syntax::hir::Hir;

use super::automaton::{self, Automaton, Backward, KINDS};
use super::pattern::Pattern;
use crate::error::{Error, ErrorKind, Result};

/// So many calls of the prefilter are made before it is judged.
const PREFILTER_TRIAL: u64 = 64;
/// A prefilter that skips fewer bytes a call than this costs more than it saves.
const PREFILTER_WORTH: u64 = 32;

/// A match: which pattern, and where in the stream it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// The pattern's place in the list.
    pub pattern: usize,
    /// How many bytes of the stream were read up to the end of the match.
    pub end: u64,
}

/// Looks for several patterns in one pass over a stream that arrives in reads.
///
/// It reads each byte once, whatever the patterns, and keeps none: its memory does not grow with the stream, and no match
/// is too long. What it finds does not depend on how the stream was cut into reads:
///
/// * The match that ends first is found; of several with one end, that of the pattern first in the list.
/// * The next search starts at the end of the match. `^` is the start of the stream only; `(?m)^` and `\b` see the byte
///   before.
/// * A pattern that ends in `$` or `\b` hangs on what comes next: it is found with the next byte or by
///   [`idle`](Self::idle), and so is one whose rival before it in the list does.
///
/// ```
/// # use otto::session::expect::{Pattern, Searcher};
/// let mut searcher = Searcher::new(&["yes/no".into(), Pattern::from("(?i)password: ")])?;
/// let read = b"Password: Password: (yes/no)?";
/// let (mut found, mut rest) = (Vec::new(), &read[..]);
/// while let Some(next) = searcher.feed(rest) {
///     rest = &read[usize::try_from(next.end)?..];
///     found.push(next.pattern);
/// }
/// assert_eq!(found, [1, 1, 0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Searcher {
    patterns: Vec<Pattern>,
    automaton: Automaton,
    prefilter: Option<Prefilter>,
    /// Whether the start of a match can hang on the byte before it.
    looks: bool,
    /// The bytes that a match can start with; known where there is a prefilter.
    first: Option<Box<[bool; 256]>>,
    calls: u64,
    skipped: u64,
    /// For each pattern, whether a match of it can hang on what follows.
    looks_ahead: Vec<bool>,
    backward: Vec<Option<Backward>>,
    /// Where the text started, for which `^` stands.
    text_start: u64,
    /// Where this search started: at the start of the text or the end of the last match.
    from: u64,
    position: u64,
    /// The last byte read.
    before: Option<u8>,
    /// Whether anything was read at all.
    fresh: bool,
    #[cfg(test)]
    pub(super) examined: u64,
}

impl Searcher {
    /// A search for these patterns, at the start of a stream.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a pattern that [`Pattern::check`] refuses, or patterns that are too large together.
    pub fn new(patterns: &[Pattern]) -> Result<Self> {
        let hirs = patterns.iter().map(Pattern::hir).collect::<Result<Vec<&Hir>>>()?;
        let nfa = automaton::compile(&hirs).map_err(|error| match patterns {
            [only] => only.too_large(&error),
            // Name the culprit if one alone is too large.
            many => many.iter().find_map(|pattern| pattern.check().err()).unwrap_or_else(|| together(&error)),
        })?;
        let prefilter = automaton::prefilter(&hirs);
        let mut automaton = Automaton::new(nfa, prefilter.is_some()).map_err(|error| together(&error))?;
        Ok(Self {
            first: prefilter.is_some().then(|| Box::new(automaton.first_bytes())),
            automaton,
            prefilter,
            looks: hirs.iter().any(|hir| !hir.properties().look_set().is_empty()),
            calls: 0,
            skipped: 0,
            looks_ahead: hirs.iter().map(|hir| automaton::looks_ahead(hir)).collect(),
            backward: vec![None; patterns.len()],
            patterns: patterns.to_vec(),
            text_start: 0,
            from: 0,
            position: 0,
            before: None,
            fresh: true,
            #[cfg(test)]
            examined: 0,
        })
    }

    /// The patterns, in list order.
    #[must_use]
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// How many bytes of the stream are read: what is fed next is taken for the bytes from here on.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Reads on, up to the first match. The bytes after [`Found::end`] are not read: feed them again.
    ///
    /// A match that hangs on what follows it ([`Pattern`]s with `$` or `\b` at the end) can end before the first of `bytes`.
    /// A pattern that [matches nothing at all](Pattern::matches_empty) is found at once and again, without end.
    pub fn feed(&mut self, bytes: &[u8]) -> Option<Found> {
        self.fresh = false;
        let mut at = 0;
        let mut skip = self.prefilter.is_some();
        while at < bytes.len() && !self.automaton.is_dead() {
            if self.automaton.at_start() {
                let from = at;
                if skip {
                    (at, skip) = self.skip(bytes, at);
                }
                if !skip {
                    at = self.skip_tail(bytes, at);
                }
                #[cfg(test)]
                {
                    self.examined += (at - from) as u64;
                }
                if at > from && self.looks {
                    self.automaton.restart(Some(bytes[at - 1]));
                }
                if at == bytes.len() {
                    break;
                }
            }
            let read = self.automaton.read(&bytes[at..]);
            #[cfg(test)]
            {
                self.examined += read as u64;
            }
            at += read;
            if self.automaton.is_match()
                && let Some(pattern) = self.automaton.first()
            {
                // The automaton knows of a match one byte after its end.
                self.advance(&bytes[..at - 1]);
                return Some(self.found(pattern));
            }
        }
        self.advance(bytes);
        let pattern = self.settled()?;
        Some(self.found(pattern))
    }

    /// Takes the stream for ended here: `$` matches, and so does `\b` after a word. Without a match nothing is changed, and
    /// the stream may go on.
    ///
    /// Call it when the stream has paused, for a prompt such as `[$#] $`, and at its end.
    pub fn idle(&mut self) -> Option<Found> {
        let pattern = self.automaton.peek(None).into_iter().min()?;
        Some(self.found(pattern))
    }

    /// Makes `offset` the start of a text: nothing before it counts.
    pub(super) fn restart(&mut self, offset: u64) {
        self.text_start = offset;
        self.from = offset;
        self.position = offset;
        self.before = None;
        self.fresh = true;
        self.automaton.restart(None);
    }

    #[cfg(test)]
    pub(super) fn clears(&self) -> usize {
        self.automaton.clears()
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.fresh
    }

    pub(super) fn text_start(&self) -> u64 {
        self.text_start
    }

    /// Where the current search started.
    pub(super) fn from(&self) -> u64 {
        self.from
    }

    /// Where in `text` a match of `pattern` that ends at `end` starts: the first such place from `from` on.
    pub(super) fn start_of(&mut self, pattern: usize, text: &[u8], from: usize, end: usize) -> Option<usize> {
        let slot = self.backward.get_mut(pattern)?;
        if slot.is_none() {
            *slot = Backward::new(self.patterns[pattern].hir().ok()?);
        }
        slot.as_mut()?.start(text, from, end)
    }

    /// From the start state, the place from `at` on where a match can start, and whether to call this again for `bytes`.
    fn skip(&mut self, bytes: &[u8], at: usize) -> (usize, bool) {
        let Some(prefilter) = &self.prefilter else { return (at, false) };
        let found = prefilter.find(bytes, (at..bytes.len()).into());
        // The last bytes may be the first of what is looked for.
        let tail = bytes.len().saturating_sub(prefilter.max_needle_len().saturating_sub(1));
        let to = found.map_or(tail, |span| span.start).max(at);
        self.calls += 1;
        self.skipped += (to - at) as u64;
        if found.is_some() && self.calls >= PREFILTER_TRIAL && self.skipped < self.calls * PREFILTER_WORTH {
            // It finds too much to be of use. Go on with an automaton that does not stop at its start.
            if let Ok(plain) = Automaton::new(self.automaton.nfa().clone(), false) {
                self.automaton = plain;
                self.automaton.restart(if to > 0 { Some(bytes[to - 1]) } else { self.before });
                self.prefilter = None;
                return (to, false);
            }
        }
        (to, found.is_some())
    }

    /// From the start state, the place from `at` on of a byte that a match can start with.
    fn skip_tail(&self, bytes: &[u8], at: usize) -> usize {
        let first = |byte: &u8| self.first.as_ref().is_none_or(|first| first[usize::from(*byte)]);
        bytes[at..].iter().position(first).map_or(bytes.len(), |skipped| at + skipped)
    }

    fn advance(&mut self, bytes: &[u8]) {
        self.position += bytes.len() as u64;
        self.before = bytes.last().copied().or(self.before);
    }

    /// The pattern that matches up to here whatever comes next. The start is marked only where no pattern matches nothing.
    fn settled(&mut self) -> Option<usize> {
        let looks_ahead = &self.looks_ahead;
        if self.automaton.at_start() || looks_ahead.iter().all(|ahead| *ahead) {
            return None;
        }
        let pattern = self.automaton.peek(None).into_iter().filter(|at| !looks_ahead[*at]).min()?;
        // An earlier one in the list may yet match the same text.
        let rivals = |matching: Vec<usize>| matching.into_iter().any(|other| other < pattern);
        if looks_ahead[..pattern].contains(&true)
            && [None].into_iter().chain(KINDS.map(Some)).any(|next| rivals(self.automaton.peek(next)))
        {
            return None;
        }
        Some(pattern)
    }

    /// A match ends here, and the next search starts.
    fn found(&mut self, pattern: usize) -> Found {
        self.from = self.position;
        self.automaton.restart(self.before);
        Found { pattern, end: self.position }
    }
}

impl fmt::Debug for Searcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Searcher")
            .field("patterns", &self.patterns)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

fn together(error: &dyn fmt::Display) -> Error {
    Error::new(ErrorKind::Invalid, format!("the patterns cannot be searched for together: {error}"))
        .hint("Make the counted repetitions in them smaller, or use fewer patterns.")
}
