//! Mistakes in files: where they stand, what is wrong, what was probably meant, and all of them at once.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::shown_line;
pub(crate) use super::source::{Place, Source, cannot_read};
use crate::error::{Error, ErrorKind, Result};
use crate::mistake::{Line, Mistake};

/// Of so many mistakes the lines are shown too. Nobody reads more at once.
const ILLUSTRATED: usize = 50;

/// A mistake that concerns a path itself.
pub(crate) fn path_problem(path: &Path, message: impl Into<String>) -> Problem {
    Problem::at(Place::file(path), message)
}

/// One mistake.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    place: Option<Place>,
    message: String,
    line: Option<Line>,
}

impl Problem {
    pub(crate) fn new(place: Option<Place>, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), line: None }
    }

    pub(crate) fn at(place: Place, message: impl Into<String>) -> Self {
        Self::new(Some(place), message)
    }

    /// With the line it stands in, if that is in `source`.
    fn illustrate(&mut self, source: &Source, strict: bool) {
        if let Some(place) = self.place.as_ref().filter(|place| Arc::ptr_eq(place.lines(), &source.lines))
            && let (Some(at), None) = (place.at(), &self.line)
        {
            let (start, line) = source.lines.line(&source.text, at);
            self.line = Some(shown_line::of(line, at - start, strict));
        }
    }

    fn key(&self) -> (&Option<Place>, &str) {
        (&self.place, &self.message)
    }

    fn into_mistake(self) -> Mistake {
        Mistake {
            file: self.place.as_ref().map(|place| place.lines().file().to_owned()),
            place: self.place.as_ref().and_then(Place::line_and_column),
            message: self.message,
            line: self.line,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Gives the first of `problems` the lines that they stand in.
pub(crate) fn illustrate(problems: &mut [Problem], sources: &[Arc<Source>]) {
    problems.sort_by(|a, b| a.key().cmp(&b.key()));
    for problem in problems.iter_mut().take(ILLUSTRATED) {
        sources.iter().for_each(|source| problem.illustrate(source, false));
    }
}

/// The error that reports all `problems`, in the order of the files' names and lines; nothing if there are none.
pub(crate) fn report(kind: ErrorKind, mut problems: Vec<Problem>) -> Result<()> {
    problems.sort_by(|a, b| a.key().cmp(&b.key()));
    problems.dedup_by(|a, b| a.key() == b.key());
    let error = match &*problems {
        [] => return Ok(()),
        [one] => Error::new(kind, one.to_string()),
        many => {
            let lines: Vec<String> = many.iter().map(Problem::to_string).collect();
            Error::new(kind, format!("{} mistakes:\n  {}", many.len(), lines.join("\n  ")))
        }
    };
    Err(error.with_mistakes(problems.into_iter().map(Problem::into_mistake).collect()))
}

/// Sources under reading, with the mistakes found in them so far.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    /// The source that is parsed.
    pub(crate) source: &'a Source,
    /// Others that values may come from.
    others: &'a [Arc<Source>],
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a Source) -> Self {
        Self::among(source, &[])
    }

    /// One for a tree whose values come from `source` and `others`.
    pub(crate) fn among(source: &'a Source, others: &'a [Arc<Source>]) -> Self {
        Self { source, others, problems: RefCell::default() }
    }

    /// The source that the byte `at` is in.
    pub(crate) fn source_at(&self, at: usize) -> &'a Source {
        let has = |source: &Source| (source.base..source.end()).contains(&at);
        let other = || self.others.iter().find(|other| has(other)).map(|other| &**other);
        if has(self.source) { self.source } else { other().unwrap_or(self.source) }
    }

    pub(crate) fn place(&self, at: usize) -> Place {
        self.source_at(at).place(at)
    }

    /// Notes a mistake at the byte `at`.
    pub(crate) fn fault(&self, at: usize, message: impl Into<String>) {
        self.note(Problem::at(self.place(at), message));
    }

    /// Notes a mistake in a text that could not be parsed: nothing is known of what its parts are.
    pub(crate) fn no_syntax(&self, at: usize, message: impl Into<String>) {
        let mut problem = Problem::at(self.place(at), message);
        problem.illustrate(self.source_at(at), true);
        self.note(problem);
    }

    pub(crate) fn note(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by(|a, b| a.key().cmp(&b.key()));
        for problem in problems.iter_mut().take(ILLUSTRATED) {
            std::iter::once(self.source)
                .chain(self.others.iter().map(|other| &**other))
                .for_each(|source| problem.illustrate(source, false));
        }
        problems
    }
}

/// The one of `known` that was probably meant by `name`.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let furthest = 1 + name.chars().take(128).count() / 4;
    // Those that differ more in length than in anything that counts as near need no closer look.
    let near = known.into_iter().filter(|other| other.len().abs_diff(name.len()) <= furthest * 4);
    let (distance, best) = near.map(|other| (distance(name, other), other)).min_by_key(|(far, _)| *far)?;
    (distance <= furthest).then_some(best)
}

/// `known`, those most like `name` first; among equals the order stays.
pub(crate) fn nearest_first<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = HashSet::new();
    let mut known: Vec<_> = known.into_iter().filter(|other| seen.insert(*other)).collect();
    known.sort_by_cached_key(|other| distance(name, other));
    known
}

/// How far two names are apart. Of what is longer than any name only the beginning counts: the work is the product of both.
fn distance(a: &str, b: &str) -> usize {
    let begin = |text: &str| text.chars().take(128).collect::<String>().to_lowercase();
    strsim::damerau_levenshtein(&begin(a), &begin(b)) + a.len().abs_diff(b.len()) / 128
}

/// `: did you mean …?`, if there is something near.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map(|near| format!(": did you mean `{near}`?")).unwrap_or_default()
}

/// A text as a message quotes it: escaped, and its beginning if it is long.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(60) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}… ({} characters)", &text[..end], text.chars().count()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_is_near_or_none() {
        assert_eq!(nearest("prot", ["port", "user"]), Some("port"));
        assert_eq!(nearest("resorces", ["creds", "resources"]), Some("resources"));
        assert_eq!(nearest("banana", ["port", "user"]), None);
        assert_eq!(nearest(&"x".repeat(1 << 20), ["port", "user"]), None);
        assert_eq!(nearest_first("roter1", ["switch1", "router1", "switch1"]), ["router1", "switch1"]);
    }

    #[test]
    fn all_problems_are_reported_once_and_in_order() {
        let source = Source::inline("x", "a\nb\n");
        let reader = Reader::new(&source);
        reader.fault(2, "second");
        reader.fault(0, "first");
        reader.fault(0, "first");
        let error = report(ErrorKind::Lab, reader.into_problems()).unwrap_err();
        assert_eq!(error.to_string(), "2 mistakes:\n  x:1:1: first\n  x:2:1: second");
        assert_eq!(error.mistakes().len(), 2);
        assert_eq!(
            error.report(false),
            "2 mistakes:\n\nx:1:1: first\n  |\n1 | …\n  | ^\n\nx:2:1: second\n  |\n2 | …\n  | ^"
        );
        assert!(error.report(true).contains("\u{1b}[") && !error.report(false).contains('\u{1b}'));
    }
}
