//! One transcript file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Instant, SystemTime};

use super::lines::{self, Lines};
use super::names::file_name;
use super::stamp::stamp;

/// The most that is written of one command's output: what never ends must not fill the disk.
const MOST: u64 = 64 << 20;

/// One file: entries with a date, and below each the output that came after it, with seconds since.
#[derive(Debug)]
pub(super) struct Page {
    file: File,
    lines: Lines,
    mark: char,
    since: Instant,
    /// Bytes of output since the last entry.
    written: u64,
    left_out: u64,
}

impl Page {
    pub(super) fn open(folder: &Path, host: &str, session: &str) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut file = OpenOptions::new().create(true).append(true).open(folder.join(file_name(host, session)))?;
        let mut text = b"# ".to_vec();
        lines::escape(&format!("host {host}, session {session}"), &mut text);
        text.extend_from_slice(
            b": dates are UTC, times are seconds since the last date; $ command, | its output, = its end,\n",
        );
        text.extend_from_slice(b"# > typed, < shown on the terminal, ! what happened to the session\n");
        file.write_all(&text)?;
        Ok(Self { file, lines: Lines::default(), mark: '|', since: Instant::now(), written: 0, left_out: 0 })
    }

    /// A command, and when it began.
    pub(super) fn command(&mut self, command: &str, began: SystemTime) -> io::Result<()> {
        self.dated('$', command, began)
    }

    /// Something that happens now. Lines after the first stand below it, indented, so that no text looks like an entry.
    pub(super) fn entry(&mut self, mark: char, text: &str) -> io::Result<()> {
        self.dated(mark, text, SystemTime::now())
    }

    fn dated(&mut self, mark: char, text: &str, date: SystemTime) -> io::Result<()> {
        self.finish()?;
        let mut entry = format!("[{}] {mark} ", stamp(date)).into_bytes();
        for (number, line) in text.split('\n').enumerate() {
            if number > 0 {
                let _ = write!(entry, "\n{:29}", "");
            }
            lines::escape(line.strip_suffix('\r').unwrap_or(line), &mut entry);
        }
        entry.push(b'\n');
        let now = Instant::now();
        self.since = date.elapsed().ok().and_then(|ago| now.checked_sub(ago)).unwrap_or(now);
        self.written = 0;
        self.file.write_all(&entry)
    }

    /// Output that came now.
    pub(super) fn output(&mut self, bytes: &[u8], mark: char) -> io::Result<()> {
        if mark != self.mark {
            self.finish()?;
            self.mark = mark;
        }
        let room = usize::try_from(MOST - self.written).unwrap_or(usize::MAX);
        let (bytes, rest) = bytes.split_at(room.min(bytes.len()));
        self.left_out += rest.len() as u64;
        self.written += bytes.len() as u64;
        let mut text = Vec::with_capacity(bytes.len() + bytes.len() / 4 + 16);
        self.lines.render(bytes, self.since.elapsed(), mark, &mut text);
        self.file.write_all(&text)
    }

    /// Ends the line that is being written, and says what was left out.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        let mut text = Vec::new();
        self.lines.finish(self.since.elapsed(), self.mark, &mut text);
        let left_out = std::mem::take(&mut self.left_out);
        if left_out > 0 {
            // Writing to a vector cannot fail.
            let _ = writeln!(text, "{:>11} ! {left_out} bytes more, which are left out here", "");
        }
        self.file.write_all(&text)
    }
}
