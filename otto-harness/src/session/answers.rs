//! The answers that a command's prompts get.

use super::expect::{Pattern, Searcher};
use crate::command::Expect;
use crate::error::{Error, ErrorKind, Result};

/// Watches what a command writes on its terminal, and says what to type.
pub(crate) struct Answers {
    searcher: Option<Searcher>,
    responses: Vec<Expect>,
    waits_for_silence: bool,
}

impl Answers {
    /// # Errors
    /// For a pattern that is no regex, or that matches nothing at all and so would be answered without end.
    pub(crate) fn new(expects: &[Expect]) -> Result<Self> {
        let patterns: Vec<Pattern> = expects.iter().map(|expect| expect.pattern().clone()).collect();
        for pattern in &patterns {
            pattern.check()?;
            if pattern.matches_empty() {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    format!("`{}` matches the empty text, so its answer would be typed without end", pattern.as_str()),
                )
                .hint("write a pattern that needs at least one character of the prompt"));
            }
        }
        let searcher = if patterns.is_empty() { None } else { Some(Searcher::new(&patterns)?) };
        Ok(Self { searcher, responses: expects.to_vec(), waits_for_silence: false })
    }

    /// What to type after these bytes were written.
    pub(crate) fn when_written(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut typed = Vec::new();
        let Some(searcher) = &mut self.searcher else { return typed };
        self.waits_for_silence = true;
        loop {
            let from = searcher.position();
            let Some(found) = searcher.feed(bytes) else { return typed };
            typed.extend_from_slice(self.responses[found.pattern].response());
            // A match can end before these bytes, at a `$` that they decided.
            let read = usize::try_from(found.end.saturating_sub(from)).unwrap_or(bytes.len());
            bytes = &bytes[read.min(bytes.len())..];
        }
    }

    /// Whether a pattern may match because nothing follows.
    pub(crate) fn may_wait_for_silence(&self) -> bool {
        self.waits_for_silence
    }

    /// What to type when nothing followed for a while.
    pub(crate) fn when_silent(&mut self) -> Vec<u8> {
        self.waits_for_silence = false;
        let Some(found) = self.searcher.as_mut().and_then(Searcher::idle) else { return Vec::new() };
        self.responses[found.pattern].response().to_vec()
    }
}
