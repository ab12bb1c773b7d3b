//! The text of a file, and how places in it are named.

use std::cmp::Ordering;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::diagnose::Problem;

/// The longest file that is read. A lab of ten thousand hosts has a few megabytes.
const LONGEST: u64 = 64 << 20;

/// Where the lines of a file begin: enough to name a place in it, and nothing of its text.
#[derive(Debug)]
pub(crate) struct Lines {
    file: Arc<str>,
    starts: Vec<usize>,
    /// The bytes that begin no character, so that columns of a very long line need no look at its text.
    inner: Vec<usize>,
}

impl Lines {
    fn of(file: Arc<str>, text: &str) -> Self {
        let starts = std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1)).collect();
        let inner = if text.is_ascii() {
            Vec::new()
        } else {
            (0..text.len()).filter(|at| !text.is_char_boundary(*at)).collect()
        };
        Self { file, starts, inner }
    }

    /// The line and the column, both from 1; columns count characters.
    fn line_and_column(&self, at: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= at);
        let start = self.starts[line - 1];
        let before = |at: usize| self.inner.partition_point(|inner| *inner < at);
        (line, at - start - (before(at) - before(start)) + 1)
    }

    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// The bytes of the line that the byte `at` is in, without its line ending.
    pub(crate) fn line<'t>(&self, text: &'t str, at: usize) -> (usize, &'t str) {
        let line = self.starts.partition_point(|start| *start <= at);
        let (start, end) = (self.starts[line - 1], self.starts.get(line).copied().unwrap_or(text.len()));
        (start, text.get(start..end).unwrap_or_default().trim_end_matches(['\n', '\r']))
    }
}

/// A place in a file, or a file as a whole.
#[derive(Clone)]
pub(crate) struct Place {
    lines: Arc<Lines>,
    at: Option<usize>,
}

impl Place {
    /// The file as a whole, which may not even be readable.
    pub(crate) fn file(path: &Path) -> Self {
        Self { lines: Arc::new(Lines::of(shown(path).into(), "")), at: None }
    }

    pub(crate) fn lines(&self) -> &Arc<Lines> {
        &self.lines
    }

    /// The byte of the file, unless the file as a whole is meant.
    pub(crate) fn at(&self) -> Option<usize> {
        self.at
    }

    /// The line and the column, unless the file as a whole is meant.
    pub(crate) fn line_and_column(&self) -> Option<(usize, usize)> {
        self.at.map(|at| self.lines.line_and_column(at))
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.lines.file, self.at).cmp(&(&other.lines.file, other.at))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Place {}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.file)?;
        match self.line_and_column() {
            Some((line, column)) => write!(f, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text of a file. It may hold passwords, so it is overwritten when done with.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) lines: Arc<Lines>,
    /// What relative paths in the file are relative to.
    pub(crate) folder: PathBuf,
    pub(crate) text: Zeroizing<String>,
    /// Whether it came from no file.
    pub(crate) inline: bool,
    /// What is added to the places of the bytes in it, so that those of several sources read together differ.
    pub(crate) base: usize,
}

impl Source {
    /// Text that came from no file.
    pub(crate) fn inline(name: &str, text: &str) -> Self {
        Self { inline: true, ..Self::new(name.into(), PathBuf::new(), text.to_owned()) }
    }

    fn new(file: Arc<str>, folder: PathBuf, text: String) -> Self {
        let mut text = Zeroizing::new(text);
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        Self { lines: Arc::new(Lines::of(file, &text)), folder, text, inline: false, base: 0 }
    }

    /// The same, its bytes counted from `base`.
    pub(crate) fn based(self, base: usize) -> Self {
        Self { base, ..self }
    }

    /// The first byte that a further source may count from.
    pub(crate) fn end(&self) -> usize {
        self.base + self.text.len() + 1
    }

    /// The text of the file at `path`: a regular one, of a sane length, in UTF-8.
    pub(crate) fn read(path: &Path) -> Result<Self, Problem> {
        let whole = |message: String| Problem::at(Place::file(path), message);
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
        let file = Arc::from(shown(path));
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(file, folder, text)),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let bytes = Zeroizing::new(error.into_bytes());
                let before = String::from_utf8_lossy(&bytes[..valid]).into_owned();
                let source = Self::new(file, folder, before);
                let message = format!("the file is not UTF-8: the byte 0x{:02x} cannot stand here", bytes[valid]);
                Err(Problem::at(source.place(source.text.len()), message))
            }
        }
    }

    /// The place of the byte `at`, counted from `base`.
    pub(crate) fn place(&self, at: usize) -> Place {
        Place { lines: self.lines.clone(), at: Some(at.saturating_sub(self.base).min(self.text.len())) }
    }

    /// The byte where line `line`, column `column` is, as a parser counts them that counts bytes.
    pub(crate) fn offset(&self, line: usize, column: usize) -> usize {
        let start = self.lines.starts.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len());
        let mut at = (start + column.saturating_sub(1)).min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        self.base + at
    }
}

/// A path as messages show it: from the working directory, where it is below that.
fn shown(path: &Path) -> String {
    let from_here = std::env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok().map(Path::to_path_buf));
    from_here.filter(|path| !path.as_os_str().is_empty()).as_deref().unwrap_or(path).display().to_string()
}

pub(crate) fn cannot_read(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        std::io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        _ => format!("cannot read it: {error}"),
    }
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
        let later = Source::inline("y", "a\nb").based(100);
        assert_eq!((later.place(102).to_string(), later.end()), ("y:2:1".to_owned(), 104));
    }

    #[test]
    fn columns_of_a_long_line_are_quick() {
        let source = Source::inline("x", &"é".repeat(1 << 20));
        let start = std::time::Instant::now();
        for at in 0..100_000 {
            assert_eq!(source.place(at * 2).line_and_column(), Some((1, at + 1)));
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(20), "counting from the line's start takes minutes");
    }
}
