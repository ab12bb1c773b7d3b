//! What one outlet carries while a command runs: noise, the begin marker, output, the end marker.

use memchr::memmem;

use super::frame::{Marker, Nonce, STOP};

/// The longest that the fields of a marker may be.
const FIELDS: usize = 64;

/// Where a command's output begins and ends in the bytes of one outlet.
#[derive(Debug)]
pub(crate) struct Track {
    begin: Option<[u8; 14]>,
    end: [u8; 14],
    /// Answers to probes, any of which ends the output when the end marker never comes.
    probes: Vec<[u8; 14]>,
    /// What the shell says when it ends, if it can.
    exit: Option<[u8; 14]>,
    /// Bytes at the end of the last piece that may be the start of a marker.
    held: Vec<u8>,
    fields: Option<String>,
    exited: Option<i32>,
}

impl Track {
    /// For the command with this nonce.
    pub(crate) fn new(nonce: Nonce) -> Self {
        Self {
            begin: Some(nonce.marker(Marker::Begin)),
            end: nonce.marker(Marker::End),
            probes: Vec::new(),
            exit: None,
            held: Vec::new(),
            fields: None,
            exited: None,
        }
    }

    /// For an outlet that carries only the end of the command with this nonce.
    pub(crate) fn end_only(nonce: Nonce) -> Self {
        Self { begin: None, ..Self::new(nonce) }
    }

    /// Ends the output too where the shell says, with this nonce, that it ends.
    pub(crate) fn until_exit(mut self, nonce: Option<Nonce>) -> Self {
        self.exit = nonce.map(|nonce| nonce.marker(Marker::Exit));
        self
    }

    /// The exit code that the shell said it ends with.
    pub(crate) fn exited(&self) -> Option<i32> {
        self.exited
    }

    /// Whether the begin marker was seen, so that the shell has read all of the frame.
    pub(crate) fn begun(&self) -> bool {
        self.begin.is_none()
    }

    /// The fields of the end marker, once it was seen.
    pub(crate) fn ended(&self) -> Option<&str> {
        self.fields.as_deref()
    }

    /// Ends the output at the answer to this probe too.
    pub(crate) fn probed(&mut self, nonce: Nonce) {
        self.probes.push(nonce.marker(Marker::Probe));
    }

    /// Takes a piece of the outlet's bytes; hands on what is output. After the end marker everything is dropped.
    pub(crate) fn feed(&mut self, piece: &[u8], mut output: impl FnMut(&[u8])) {
        if self.fields.is_some() || self.exited.is_some() {
            return;
        }
        let joined;
        let mut rest = if self.held.is_empty() {
            piece
        } else {
            self.held.extend_from_slice(piece);
            joined = std::mem::take(&mut self.held);
            &joined[..]
        };
        if let Some(begin) = &self.begin {
            let found = memmem::find(rest, begin);
            let exit = self.exit.as_ref();
            if let Some(exit_at) =
                exit.and_then(|exit| memmem::find(rest, exit)).filter(|at| found.is_none_or(|b| *at < b))
            {
                // The shell ended before it came to this command.
                match memchr::memchr(STOP, &rest[exit_at..]) {
                    Some(stop) => self.exited = Some(code_in(&rest[exit_at + begin.len()..exit_at + stop])),
                    None => self.held.extend_from_slice(&rest[exit_at..]),
                }
                return;
            }
            match found {
                Some(at) if rest.len() > at + begin.len() => {
                    rest = &rest[at + begin.len() + 1..];
                    self.begin = None;
                }
                Some(at) => {
                    self.held.extend_from_slice(&rest[at..]);
                    return;
                }
                None => {
                    let keep = std::iter::once(begin).chain(exit).map(|marker| possible_start(rest, marker)).min();
                    self.held.extend_from_slice(&rest[keep.unwrap_or(rest.len())..]);
                    return;
                }
            }
        }
        let (end, probes, exit) = (self.end, std::mem::take(&mut self.probes), self.exit);
        let markers = || std::iter::once(&end).chain(&probes).chain(&exit);
        if let Some(at) = markers().filter_map(|marker| memmem::find(rest, marker)).min() {
            let fields = &rest[at + self.end.len()..];
            match memchr::memchr(STOP, fields) {
                Some(stop) => {
                    if exit.is_some_and(|exit| rest[at..].starts_with(&exit)) {
                        self.exited = Some(code_in(&fields[..stop]));
                    } else {
                        self.fields = Some(String::from_utf8_lossy(&fields[..stop]).trim().to_owned());
                    }
                    // A shell that was interrupted while it wrote the end marker has written a part of it.
                    let cut_short = !rest[at..].starts_with(&end);
                    output(&rest[..if cut_short { possible_start(&rest[..at], &end) } else { at }]);
                }
                None if fields.len() <= FIELDS => {
                    output(&rest[..at]);
                    self.held.extend_from_slice(&rest[at..]);
                }
                None => output(rest),
            }
        } else {
            let keep = markers().map(|marker| possible_start(rest, marker)).min().unwrap_or(rest.len());
            output(&rest[..keep]);
            self.held.extend_from_slice(&rest[keep..]);
        }
        self.probes = probes;
    }

    /// What was held back and turned out to be output after all, when no more comes.
    pub(crate) fn finish(&mut self, mut output: impl FnMut(&[u8])) {
        let held = std::mem::take(&mut self.held);
        if self.begin.is_none() && self.fields.is_none() {
            output(&held);
        }
    }
}

/// Looks for one marker in a stream and nothing else.
#[derive(Debug)]
pub(crate) struct Seek {
    marker: [u8; 14],
    held: Vec<u8>,
}

impl Seek {
    pub(crate) fn new(nonce: Nonce, marker: Marker) -> Self {
        Self { marker: nonce.marker(marker), held: Vec::new() }
    }

    /// Takes a piece; whether the marker was in what came so far.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> bool {
        self.held.extend_from_slice(piece);
        let found = memmem::find(&self.held, &self.marker).is_some();
        if !found {
            let keep = possible_start(&self.held, &self.marker);
            self.held.drain(..keep);
        }
        found
    }
}

fn code_in(fields: &[u8]) -> i32 {
    String::from_utf8_lossy(fields).trim().parse().unwrap_or(-1)
}

/// Where the longest end of `bytes` starts that `marker` begins with.
fn possible_start(bytes: &[u8], marker: &[u8]) -> usize {
    let earliest = bytes.len().saturating_sub(marker.len() - 1);
    memchr::memchr_iter(marker[0], &bytes[earliest..])
        .map(|at| earliest + at)
        .find(|at| marker.starts_with(&bytes[*at..]))
        .unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(nonce: Nonce, output: &[u8]) -> Vec<u8> {
        let mut bytes = b"noise\x1eBnot it;".to_vec();
        bytes.extend(nonce.marker(Marker::Begin));
        bytes.push(STOP);
        bytes.extend(output);
        bytes.extend(nonce.marker(Marker::End));
        bytes.extend(b" 3 himBH;late");
        bytes
    }

    #[test]
    fn output_is_what_lies_between_however_it_is_cut() {
        let nonce = Nonce::new();
        let mut output = b"a\x1e\x1eE\n".to_vec();
        output.extend(&Nonce::new().marker(Marker::End));
        output.extend(b" 0 x;");
        let bytes = stream(nonce, &output);
        for size in 1..bytes.len() {
            let mut track = Track::new(nonce);
            let mut got = Vec::new();
            for piece in bytes.chunks(size) {
                track.feed(piece, |bytes| got.extend_from_slice(bytes));
            }
            assert_eq!(got, output, "in pieces of {size}");
            assert_eq!(track.ended(), Some("3 himBH"));
        }
    }

    #[test]
    fn what_only_looks_like_a_marker_is_output() {
        let nonce = Nonce::new();
        let mut track = Track::new(nonce);
        let mut got = Vec::new();
        let bytes = stream(nonce, b"x");
        let cut = bytes.len() - 27;
        track.feed(&bytes[..cut], |bytes| got.extend_from_slice(bytes));
        track.feed(&nonce.marker(Marker::End)[..9], |bytes| got.extend_from_slice(bytes));
        track.finish(|bytes| got.extend_from_slice(bytes));
        assert!(track.begun() && track.ended().is_none());
        assert!(got.ends_with(&nonce.marker(Marker::End)[..9]));
    }
}
