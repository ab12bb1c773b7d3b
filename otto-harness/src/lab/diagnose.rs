//! Mistakes in files: where they stand, what is wrong, what was probably meant, and all of them at once.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};

/// The longest file that is read. A lab of ten thousand hosts has a few megabytes.
const LONGEST: u64 = 64 << 20;

/// A place in a file; line 0 stands for the file as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    file: Arc<str>,
    line: usize,
    column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line == 0 { Ok(()) } else { write!(f, ":{}:{}", self.line, self.column) }
    }
}

/// The text of a file, and how to name places in it. It may hold passwords, so it is overwritten when done with.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) file: Arc<str>,
    /// What relative paths in the file are relative to.
    pub(crate) folder: PathBuf,
    pub(crate) text: Zeroizing<String>,
    line_starts: Vec<usize>,
}

impl Source {
    /// Text that came from no file.
    pub(crate) fn inline(name: &str, text: &str) -> Self {
        Self::new(name.into(), PathBuf::new(), text.to_owned())
    }

    fn new(file: Arc<str>, folder: PathBuf, text: String) -> Self {
        let mut text = Zeroizing::new(text);
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { file, folder, text, line_starts }
    }

    /// The text of the file at `path`: a regular one, of a sane length, in UTF-8.
    pub(crate) fn read(path: &Path) -> Result<Self, Problem> {
        let file: Arc<str> = shown(path).into();
        let whole = |message: String| Problem::at(Place { file: file.clone(), line: 0, column: 0 }, message);
        let metadata = std::fs::metadata(path).map_err(|error| whole(cannot_read(&error)))?;
        if !metadata.is_file() {
            // A pipe or a device would block for ever.
            return Err(whole("this is not a regular file".to_owned()));
        }
        if metadata.len() > LONGEST {
            return Err(whole(format!(
                "the file has {} bytes, and {LONGEST} is the most that is read",
                metadata.len()
            )));
        }
        let bytes = std::fs::read(path).map_err(|error| whole(cannot_read(&error)))?;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(file, folder, text)),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let bytes = Zeroizing::new(error.into_bytes());
                let before = String::from_utf8_lossy(&bytes[..valid]).into_owned();
                Err(Problem::at(
                    Self::new(file, folder, before).place(valid),
                    format!("the file is not UTF-8: the byte 0x{:02x} cannot stand here", bytes[valid]),
                ))
            }
        }
    }

    /// The place of the byte `at`; columns count characters.
    pub(crate) fn place(&self, at: usize) -> Place {
        let at = at.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= at);
        let start = self.line_starts[line - 1];
        let column = self.text[start..].char_indices().take_while(|(offset, _)| start + offset < at).count() + 1;
        Place { file: self.file.clone(), line, column }
    }

    /// The byte where line `line`, column `column` is, as a parser counts them that counts bytes.
    pub(crate) fn offset(&self, line: usize, column: usize) -> usize {
        let start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len());
        let mut at = (start + column.saturating_sub(1)).min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

/// A path as messages show it: from the working directory, where it is below that.
fn shown(path: &Path) -> String {
    let from_here = std::env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok().map(Path::to_path_buf));
    from_here.filter(|path| !path.as_os_str().is_empty()).as_deref().unwrap_or(path).display().to_string()
}

/// A mistake that concerns a path itself.
pub(crate) fn path_problem(path: &Path, message: impl Into<String>) -> Problem {
    Problem::at(Place { file: shown(path).into(), line: 0, column: 0 }, message)
}

pub(crate) fn cannot_read(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        std::io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        _ => format!("cannot read it: {error}"),
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    place: Option<Place>,
    message: String,
}

impl Problem {
    pub(crate) fn new(place: Option<Place>, message: impl Into<String>) -> Self {
        Self { place, message: message.into() }
    }

    pub(crate) fn at(place: Place, message: impl Into<String>) -> Self {
        Self::new(Some(place), message)
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

/// The error that reports all `problems`, in the order of the files' names and lines; nothing if there are none.
pub(crate) fn report(kind: ErrorKind, mut problems: Vec<Problem>) -> Result<()> {
    problems.sort();
    problems.dedup();
    match &*problems {
        [] => Ok(()),
        [one] => Err(Error::new(kind, one.to_string())),
        many => {
            let lines: Vec<String> = many.iter().map(Problem::to_string).collect();
            Err(Error::new(kind, format!("{} mistakes:\n  {}", many.len(), lines.join("\n  "))))
        }
    }
}

/// A source under reading, with the mistakes found in it so far.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) source: &'a Source,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a Source) -> Self {
        Self { source, problems: RefCell::default() }
    }

    /// Notes a mistake at the byte `at`.
    pub(crate) fn fault(&self, at: usize, message: impl Into<String>) {
        self.note(Problem::at(self.source.place(at), message));
    }

    pub(crate) fn note(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// The one of `known` that was probably meant by `name`.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, best) = known.into_iter().map(|other| (distance(name, other), other)).min_by_key(|(far, _)| *far)?;
    (distance <= 1 + name.chars().count() / 4).then_some(best)
}

/// `known`, those most like `name` first; among equals the order stays.
pub(crate) fn nearest_first<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = HashSet::new();
    let mut known: Vec<_> = known.into_iter().filter(|other| seen.insert(*other)).collect();
    known.sort_by_cached_key(|other| distance(name, other));
    known
}

fn distance(a: &str, b: &str) -> usize {
    strsim::damerau_levenshtein(&a.to_lowercase(), &b.to_lowercase())
}

/// `: did you mean …?`, if there is something near.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map(|near| format!(": did you mean `{near}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters() {
        let source = Source::inline("x", "\u{feff}é = 1\nlab = 3\n");
        assert_eq!(source.place(3).to_string(), "x:1:3");
        assert_eq!(source.place(source.text.find('3').unwrap()).to_string(), "x:2:7");
        assert_eq!(source.place(source.text.len()).to_string(), "x:3:1");
        assert_eq!(source.place(usize::MAX).to_string(), "x:3:1");
        assert_eq!(source.offset(2, 7), source.text.find('3').unwrap());
        assert_eq!(source.offset(9, 9), source.text.len());
    }

    #[test]
    fn nearest_is_near_or_none() {
        assert_eq!(nearest("prot", ["port", "user"]), Some("port"));
        assert_eq!(nearest("resorces", ["creds", "resources"]), Some("resources"));
        assert_eq!(nearest("banana", ["port", "user"]), None);
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
    }
}
