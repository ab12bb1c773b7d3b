//! One command while it runs: which bytes of which outlet are its output, and whether it has ended.

use super::capture::{CAP, Capture, Lines};
use super::frame::{Marker, Nonce, Streams};
use super::outlet::{Seek, Track};
use crate::transport::Outlet;

/// What else sees a command's output as it comes.
pub(crate) struct Sink<'l, 'e> {
    pub(crate) lines: Lines<'l>,
    pub(crate) each: &'e (dyn Fn(&[u8]) + Send + Sync),
}

impl Sink<'_, '_> {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.lines.push(bytes);
            (self.each)(bytes);
        }
    }
}

/// A command of which the frame was written.
#[derive(Debug)]
pub(crate) struct Execution {
    streams: Streams,
    nonce: Nonce,
    probed: bool,
    out: Track,
    /// The outlet of errors, or the terminal.
    other: Option<Track>,
    /// What the shell itself writes, if its begin marker is there and not in the output.
    beside: Option<Track>,
    /// Set when what was typed and not read has to be thrown away before the next command.
    drain: Option<Drain>,
    output: Capture,
    errors: Capture,
    /// What the shell itself wrote beside a command whose errors are in its output.
    aside: Capture,
}

/// What is kept of that.
const ASIDE: usize = 64 << 10;

/// How far that has come.
#[derive(Debug)]
struct Drain {
    seek: Seek,
    asked: bool,
    done: bool,
}

impl Execution {
    /// `exit` is the nonce with which the shell says that it ends.
    pub(crate) fn new(nonce: Nonce, streams: Streams, drain: bool, exit: Option<Nonce>, marked: bool) -> Self {
        let (out, other) = match streams {
            Streams::Merged if !marked => (Track::end_only(nonce), None),
            Streams::Merged => (Track::new(nonce), None),
            Streams::Line | Streams::LineTerminal => (Track::new(nonce).until_exit(exit), None),
            Streams::Separate => (Track::new(nonce), Some(Track::new(nonce))),
            Streams::Terminal => (Track::end_only(nonce), Some(Track::new(nonce))),
        };
        let drain = drain.then(|| Drain { seek: Seek::new(nonce, Marker::Drained), asked: false, done: false });
        let beside = (streams == Streams::Merged && !marked).then(|| Track::new(nonce));
        Self {
            streams,
            nonce,
            probed: false,
            out,
            other,
            beside,
            drain,
            output: Capture::new(CAP),
            errors: Capture::new(CAP),
            aside: Capture::new(ASIDE),
        }
    }

    pub(crate) fn streams(&self) -> Streams {
        self.streams
    }

    /// Takes a piece of an outlet's bytes. What is output of the command on its terminal is handed to `typed` too.
    pub(crate) fn feed(&mut self, outlet: Outlet, piece: &[u8], sink: &mut Sink<'_, '_>, mut typed: impl FnMut(&[u8])) {
        if let Some(drain) = &mut self.drain
            && outlet == Outlet::Out
        {
            drain.done |= drain.seek.feed(piece);
        }
        match (self.streams, outlet) {
            (Streams::Terminal, Outlet::Out) => self.out.feed(piece, |_| {}),
            (Streams::LineTerminal, Outlet::Out) => {
                let output = &mut self.output;
                self.out.feed(piece, |bytes| {
                    output.push(bytes);
                    sink.push(bytes);
                    typed(bytes);
                });
            }
            (_, Outlet::Out) => {
                let output = &mut self.output;
                self.out.feed(piece, |bytes| {
                    output.push(bytes);
                    sink.push(bytes);
                });
            }
            (Streams::Merged, Outlet::Err) => match &mut self.beside {
                Some(track) => {
                    let aside = &mut self.aside;
                    track.feed(piece, |bytes| aside.push(bytes));
                }
                None => self.aside.push(piece),
            },
            (Streams::Separate, Outlet::Err) => {
                let errors = &mut self.errors;
                if let Some(track) = &mut self.other {
                    track.feed(piece, |bytes| {
                        errors.push(bytes);
                        sink.push(bytes);
                    });
                }
            }
            (Streams::Terminal, Outlet::Terminal) => {
                let output = &mut self.output;
                if let Some(track) = &mut self.other {
                    track.feed(piece, |bytes| {
                        output.push(bytes);
                        sink.push(bytes);
                        typed(bytes);
                    });
                }
            }
            _ => {}
        }
    }

    /// Some of what it wrote was thrown away, because nobody read it in time.
    pub(crate) fn missed(&mut self) {
        self.output.missed();
    }

    /// Whether the shell has begun to run it, and so has read all of its frame.
    pub(crate) fn begun(&self) -> bool {
        match (self.streams, &self.beside) {
            (Streams::Terminal, _) => self.other.as_ref().is_some_and(Track::begun),
            (_, Some(beside)) => beside.begun() || self.out.ended().is_some(),
            _ => self.out.begun(),
        }
    }

    /// Looks for the sign that it has begun, if that was not seen though it has ended: what stands in it was left unread.
    pub(crate) fn owes_sign(&self) -> Option<Seek> {
        self.beside.as_ref().filter(|beside| !beside.begun()).map(|_| Seek::new(self.nonce, Marker::Begin))
    }

    /// The fields of the main end marker.
    pub(crate) fn ended(&self) -> Option<&str> {
        self.out.ended()
    }

    /// Whether every outlet it wrote to is at its end, and nothing that was typed for it is left.
    pub(crate) fn complete(&self) -> bool {
        self.written() && self.drain.as_ref().is_none_or(|drain| drain.done)
    }

    /// Whether every outlet it wrote to is at its end.
    fn written(&self) -> bool {
        self.out.ended().is_some() && self.other.as_ref().is_none_or(|track| track.ended().is_some())
    }

    /// The exit code with which the shell said that it ends.
    pub(crate) fn exited(&self) -> Option<i32> {
        self.out.exited()
    }

    /// Whether something may have been typed for it that it did not read.
    pub(crate) fn drains(&self) -> bool {
        self.drain.is_some()
    }

    /// The nonce of the line that ends what was typed for it. It is to be typed now, and once.
    pub(crate) fn ask_to_drain(&mut self) -> Option<Nonce> {
        let written = self.written();
        let drain = self.drain.as_mut().filter(|_| written)?;
        (!std::mem::replace(&mut drain.asked, true)).then_some(self.nonce)
    }

    /// Whether the shell was asked something while it ran.
    pub(crate) fn was_probed(&self) -> bool {
        self.probed
    }

    /// Its outlets end at the answer to this probe, too.
    pub(crate) fn probed(&mut self, nonce: Nonce) {
        self.probed = true;
        self.out.probed(nonce);
        if self.streams == Streams::Terminal
            && let Some(track) = &mut self.other
        {
            track.probed(nonce);
        }
    }

    /// What it wrote: output, errors, and whether some of that was not kept. `died` says that the shell has ended with it.
    pub(crate) fn into_output(mut self, died: bool, sink: &mut Sink<'_, '_>) -> (Vec<u8>, Vec<u8>, bool) {
        let (output, errors) = (&mut self.output, &mut self.errors);
        if self.streams != Streams::Terminal {
            self.out.finish(|bytes| {
                output.push(bytes);
                sink.push(bytes);
            });
        }
        if let Some(track) = &mut self.other {
            let target = if self.streams == Streams::Terminal { output } else { errors };
            track.finish(|bytes| {
                target.push(bytes);
                sink.push(bytes);
            });
        }
        if died {
            // bash that `set -e` ends puts its own output back in place before it runs a trap on EXIT.
            let aside = self.aside.into_bytes();
            self.output.push(&aside);
            sink.push(&aside);
        }
        sink.lines.finish();
        let truncated = self.output.truncated() || self.errors.truncated();
        (self.output.into_bytes(), self.errors.into_bytes(), truncated)
    }
}
