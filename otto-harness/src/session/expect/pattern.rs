//! What to look for.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use regex_syntax::ParserBuilder;
use regex_syntax::hir::Hir;

use super::{automaton, flags};
use crate::error::{Error, ErrorKind, Result};

/// What to look for in output: a regex in the syntax of the [`regex`] crate, given as text or compiled.
///
/// Flags count, in the text (`(?i)`, `(?m)`, `(?s)`, `(?x)`) as well as those a compiled regex was built with. Output is
/// bytes: classes match UTF-8 text, `(?s-u:.)` matches any byte. `\b` knows ASCII words only. `$` is the end of what has
/// arrived when the stream pauses; in `(?m)` it stands before `\n`, and in `(?mR)` before the `\r\n` of a terminal too.
///
/// A text that is no regex is kept, and refused by [`check`](Self::check) before anything is done with it.
///
/// ```
/// use otto::session::expect::Pattern;
///
/// assert!(Pattern::from(r"(?i)password:").check().is_ok());
/// assert!(Pattern::from(regex::Regex::new("name: $").unwrap()).check().is_ok());
/// assert!(Pattern::literal("[y/N]?").check().is_ok());
///
/// let error = Pattern::from("continue (y/n").check().unwrap_err();
/// assert_eq!(error.kind(), otto::ErrorKind::Invalid);
/// assert!(error.to_string().contains("unclosed group"), "{error}");
/// ```
#[derive(Clone)]
pub struct Pattern(Arc<Inner>);

struct Inner {
    text: String,
    parsed: Result<Hir, Refused>,
}

/// Why there is nothing to search with.
struct Refused {
    reason: String,
    hint: String,
}

impl Pattern {
    /// The pattern that matches this text and nothing else.
    pub fn literal(text: impl AsRef<str>) -> Self {
        Self::from(regex::escape(text.as_ref()))
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Whether this can be searched for.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a text that is no regex, says what and where; for a regex too large to be searched for;
    /// for a compiled regex whose flags cannot be told.
    pub fn check(&self) -> Result<()> {
        automaton::compile(&[self.hir()?]).map(drop).map_err(|error| self.too_large(&error))
    }

    /// Whether this matches where there is nothing (`a*`, `$`, the empty text). An `expect` of it is done at once; an
    /// answer to it would be given for ever.
    #[must_use]
    pub fn matches_empty(&self) -> bool {
        self.0.parsed.as_ref().is_ok_and(|hir| hir.properties().minimum_len() == Some(0))
    }

    /// The pattern, parsed.
    pub(super) fn hir(&self) -> Result<&Hir> {
        self.0.parsed.as_ref().map_err(|refused| {
            Error::new(ErrorKind::Invalid, format!("pattern `{}`: {}", self.0.text, refused.reason))
                .hint(refused.hint.clone())
        })
    }

    pub(super) fn too_large(&self, error: &dyn fmt::Display) -> Error {
        Error::new(ErrorKind::Invalid, format!("pattern `{}` cannot be searched for: {error}", self.0.text))
            .hint("Make its counted repetitions smaller, or use `(?-u)` where ASCII classes will do.")
    }

    fn text(text: &str) -> Self {
        let parsed = ParserBuilder::new().utf8(false).build().parse(text).map_err(|error| {
            let (what, span) = match &error {
                regex_syntax::Error::Parse(error) => (error.kind().to_string(), Some(error.span())),
                regex_syntax::Error::Translate(error) => (error.kind().to_string(), Some(error.span())),
                other => (other.to_string(), None),
            };
            let place = match span.map(|span| span.start) {
                Some(at) if text.contains('\n') => format!(" at line {}, column {}", at.line, at.column),
                Some(at) => format!(" at column {}", at.column),
                None => String::new(),
            };
            Refused {
                reason: format!("not a regex{place}: {what}"),
                hint: format!("To look for this text as it stands, write `Pattern::literal({text:?})`."),
            }
        });
        Self(Arc::new(Inner { text: text.to_owned(), parsed }))
    }

    fn compiled(text: &str, utf8: bool, is_match: &dyn Fn(&[u8]) -> bool) -> Self {
        let parsed = flags::recover(text, utf8, is_match).ok_or_else(|| Refused {
            reason: "the flags this regex was compiled with cannot be told".to_owned(),
            hint: "Give the pattern as text, with its flags in it: \"(?i)…\".".to_owned(),
        });
        Self(Arc::new(Inner { text: text.to_owned(), parsed }))
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.0.text).finish()
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        Self::text(&text)
    }
}

impl From<&String> for Pattern {
    fn from(text: &String) -> Self {
        Self::text(text)
    }
}

impl From<Cow<'_, str>> for Pattern {
    fn from(text: Cow<'_, str>) -> Self {
        Self::text(&text)
    }
}

impl From<&Self> for Pattern {
    fn from(pattern: &Self) -> Self {
        pattern.clone()
    }
}

impl From<&regex::Regex> for Pattern {
    fn from(regex: &regex::Regex) -> Self {
        Self::compiled(regex.as_str(), true, &|text| std::str::from_utf8(text).is_ok_and(|text| regex.is_match(text)))
    }
}

impl From<regex::Regex> for Pattern {
    fn from(regex: regex::Regex) -> Self {
        Self::from(&regex)
    }
}

impl From<&regex::bytes::Regex> for Pattern {
    fn from(regex: &regex::bytes::Regex) -> Self {
        Self::compiled(regex.as_str(), false, &|text| regex.is_match(text))
    }
}

impl From<regex::bytes::Regex> for Pattern {
    fn from(regex: regex::bytes::Regex) -> Self {
        Self::from(&regex)
    }
}
