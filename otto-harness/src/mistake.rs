//! [`Mistake`]: one of the mistakes in a file, with the line that it stands in.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// A mistake in a lab file, in `otto.toml` or in a file of reservations: what is wrong and where.
///
/// [`Error::mistakes`](crate::Error::mistakes) has all of them. Shown by `Display` it is one line, as compilers write them:
/// `bench.toml:7:8: …`.
///
/// ```
/// let error = otto::Lab::from_toml("lab = 'bench'\nhots = []").unwrap_err();
/// let [mistake] = error.mistakes() else { panic!("{error}") };
/// assert_eq!((mistake.file(), mistake.line(), mistake.column()), (Some("<toml>"), Some(2), Some(1)));
/// assert_eq!(mistake.message(), "a lab file has no field `hots`: did you mean `hosts`?");
/// assert!(mistake.shown(false).ends_with("\n  |\n2 | hots = []\n  | ^^^^"), "{}", mistake.shown(false));
/// ```
#[derive(Debug, Clone)]
pub struct Mistake {
    pub(crate) file: Option<String>,
    pub(crate) place: Option<(usize, usize)>,
    pub(crate) message: String,
    pub(crate) line: Option<Line>,
}

/// A line of a file, without what may be secret in it, and the part of it that is at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) marked: Range<usize>,
}

impl Mistake {
    /// The file, as a path from the working directory where it is below that; `None` for what was said in code.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The line, from 1; `None` for a file as a whole.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.place.map(|(line, _)| line)
    }

    /// The column, from 1, in characters; `None` for a file as a whole.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.place.map(|(_, column)| column)
    }

    /// What is wrong, and what was probably meant.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// With the line that it stands in below, and the part at fault marked. Values that may be secret are shown as `…`.
    #[must_use]
    pub fn shown(&self, colours: bool) -> String {
        let title = self.to_string();
        let Some(line) = &self.line else { return title };
        let mark = AnnotationKind::Primary.span(line.marked.clone());
        let snippet = Snippet::source(&*line.text).line_start(self.line().unwrap_or(1)).annotation(mark);
        let report = [Level::ERROR.no_name().primary_title(&*title).element(snippet)];
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&report)
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            f.write_str(file)?;
            if let Some((line, column)) = self.place {
                write!(f, ":{line}:{column}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}
