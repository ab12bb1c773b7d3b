//! The shell while it reads its commands from its terminal, as `send` and `expect` use it.
//!
//! The shell itself runs a loop that reads a line from the terminal and evaluates it, so that what is typed acts on the
//! same state as `run`, typed-ahead lines wait their turn, and otto is told whenever the shell is back at reading: it
//! knows whether a program still has the terminal.

use std::time::{Duration, Instant};

use memchr::memmem;

use super::frame::{self, Dialect, Marker, Nonce, STOP, Wires};
use super::line::{self, Line};
use super::outlet::Track;

/// How long after a line was typed, or after the shell came back from the one before, it may still be starting what the line
/// says. A shell needs milliseconds, and a busy machine many of them.
const STARTING: Duration = Duration::from_secs(1);

/// How often ^C is typed again that nothing came of.
const AGAIN: u8 = 3;

/// One such loop.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the loop")]
pub(crate) struct Interactive {
    nonce: Nonce,
    wires: Wires,
    terminal: Track,
    prompt: [u8; 14],
    /// Set on a line, where the shell's own prompt says that ^C has ended the loop.
    left: Option<[u8; 14]>,
    /// After ^C on a line: how many lines were typed since, less those that the shell has come back from; whether the
    /// shell said that ^C brought it to its own prompt.
    since_interrupt: Option<(usize, bool)>,
    held: Vec<u8>,
    /// Whether a line was typed that the shell has not come back from.
    busy: bool,
    /// Whether the line that is being typed has characters in it.
    partial: bool,
    /// Whether ^C was typed.
    interrupted: bool,
    /// When the shell was last given, or came to, a line that it had to start.
    started: Instant,
    /// Whether anything was written since a line was typed to the shell itself.
    wrote: bool,
    /// Whether any ^C was typed while the shell may have been starting a program.
    missed: bool,
    /// The ^C that was typed last, if nothing was typed after it.
    last: Option<Interrupted>,
}

/// A ^C that may have been lost: see [`Interactive::unheeded`].
#[derive(Debug, Clone, Copy)]
struct Interrupted {
    /// Whether the shell may have been starting a program.
    starting: bool,
    /// Whether the program had written something before, and so was there to take it.
    wrote_before: bool,
    wrote_after: bool,
    /// How often it may be typed again.
    left: u8,
}

impl Interactive {
    /// A loop, and the text that starts it.
    pub(crate) fn start(dialect: Dialect, wires: Wires, line: Option<Line>) -> (Self, String) {
        let nonce = Nonce::new();
        let new = Self {
            nonce,
            wires,
            terminal: Track::new(nonce).until_exit(line.map(|line| line.exit)),
            prompt: nonce.marker(Marker::Prompt),
            left: line.map(|_| nonce.marker(Marker::Left)),
            since_interrupt: None,
            held: Vec::new(),
            busy: false,
            partial: false,
            interrupted: false,
            started: Instant::now(),
            wrote: false,
            missed: false,
            last: None,
        };
        let text = match line {
            Some(line) => line::interactive(dialect, nonce, &frame::leave(nonce), line),
            None => frame::interactive(dialect, wires, nonce),
        };
        (new, text)
    }

    /// Takes note of what is typed. Some says that this text has to be given to the shell's commands as well: ^C ends the
    /// loop, and some shells then forget the line that would have said so.
    pub(crate) fn typed(&mut self, dialect: Dialect, text: &[u8]) -> Option<String> {
        for byte in text {
            self.last = None;
            match byte {
                b'\n' | b'\r' => {
                    self.started = Instant::now();
                    self.wrote &= self.busy;
                }
                0x03 => {
                    let starting = self.started.elapsed() < STARTING;
                    self.missed |= starting;
                    self.last =
                        Some(Interrupted { starting, wrote_before: self.wrote, wrote_after: false, left: AGAIN });
                }
                _ => {}
            }
        }
        self.busy |= text.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0x03 | 0x04 | 0x1c));
        self.partial = text.last().is_some_and(|last| !matches!(last, b'\n' | b'\r'));
        self.interrupted |= text.contains(&0x03);
        if self.left.is_some() {
            if let Some(at) = memchr::memrchr(0x03, text) {
                self.since_interrupt = Some((newlines(&text[at..]), false));
            } else if let Some((lines, _)) = &mut self.since_interrupt {
                *lines += newlines(text);
            }
            return None;
        }
        text.contains(&0x03).then(|| frame::interrupted_over(dialect, self.wires, self.nonce))
    }

    /// Whether ^C was typed last, and seems to have been lost: the shell may just have been starting a program, and neither it
    /// nor a program has shown since that it took it.
    ///
    /// Shells lose it in two ways. It may hit the child between `fork` and `exec`, where it still has the shell's own
    /// handler, which makes a note that `exec` then forgets. And it may hit a shell between two bytes of the line that it
    /// reads, which makes a note too and goes on reading, while the terminal has thrown the rest of the line away.
    ///
    /// A program that had written something, and wrote again after ^C, took it and stays: it is not interrupted twice.
    pub(crate) fn unheeded(&self) -> bool {
        self.busy
            && !self.over()
            && !self.cut_short()
            && self.last.is_some_and(|last| last.starting && last.left > 0 && !(last.wrote_before && last.wrote_after))
    }

    /// Whether a program may still run that was just being started when ^C was typed, though the shell has given up its line.
    pub(crate) fn may_have_missed(&self) -> bool {
        self.missed
    }

    /// Takes note that ^C is typed once more. What [`typed`](Self::typed) answers has to be done.
    pub(crate) fn typed_again(&mut self, dialect: Dialect) -> Option<String> {
        let before = self.last;
        let again = self.typed(dialect, b"\x03");
        self.last = before.map(|last| Interrupted { left: last.left.saturating_sub(1), ..last });
        again
    }

    /// Takes a piece of the terminal's output; hands on what programs wrote.
    pub(crate) fn feed(&mut self, piece: &[u8], mut output: impl FnMut(&[u8])) {
        let Self { terminal, prompt, left, since_interrupt, held, busy, started, wrote, last, .. } = self;
        let mut output = |bytes: &[u8]| {
            if !bytes.is_empty() {
                *wrote = true;
                if let Some(last) = last {
                    last.wrote_after = true;
                }
            }
            output(bytes);
        };
        terminal.feed(piece, |bytes| held.extend_from_slice(bytes));
        let markers = || std::iter::once(&*prompt).chain(&*left);
        while let Some(at) = markers().filter_map(|marker| memmem::find(held, marker)).min() {
            let Some(stop) = memchr::memchr(STOP, &held[at..]) else { break };
            output(&held[..at]);
            if left.is_some_and(|left| held[at..].starts_with(&left)) {
                // An error of the shell's own can end the loop too.
                let (lines, came_back) = since_interrupt.get_or_insert((0, false));
                *lines = lines.saturating_sub(usize::from(*came_back));
                *came_back = true;
            } else {
                *busy = false;
                *started = Instant::now();
            }
            held.drain(..=at + stop);
        }
        // A marker may be cut: what could be its start waits for the rest.
        let keep = memchr::memrchr(prompt[0], held).filter(|at| {
            let end = &held[*at..];
            markers()
                .any(|marker| if end.len() < marker.len() { marker.starts_with(end) } else { end.starts_with(marker) })
        });
        let ready = if terminal.ended().is_some() { held.len() } else { keep.unwrap_or(held.len()) };
        output(&held[..ready]);
        held.drain(..ready);
    }

    /// Whether the shell has begun the loop.
    pub(crate) fn begun(&self) -> bool {
        self.terminal.begun()
    }

    /// Whether ^C was typed while it ran.
    pub(crate) fn interrupted(&self) -> bool {
        self.interrupted
    }

    /// Whether the loop has ended.
    pub(crate) fn over(&self) -> bool {
        self.terminal.ended().is_some() || self.since_interrupt == Some((0, true))
    }

    /// Whether ^C has ended the loop before it could set right what it had begun.
    pub(crate) fn cut_short(&self) -> bool {
        self.terminal.ended().is_none() && self.since_interrupt.is_some_and(|(_, left)| left)
    }

    /// The next time the shell says that it is at its prompt, it has read all that was typed: a line was typed at the end.
    pub(crate) fn forget_lines(&mut self) {
        if let Some((lines, _)) = &mut self.since_interrupt {
            *lines = 1;
        }
    }

    /// The exit code with which the shell said that it ends.
    pub(crate) fn exited(&self) -> Option<i32> {
        self.terminal.exited()
    }

    /// Whether a program that was started by what was typed still runs, as far as the shell has said.
    pub(crate) fn busy(&self) -> bool {
        self.busy
    }

    /// What to type to end the loop.
    pub(crate) fn leave(&self) -> Vec<u8> {
        const KILL_LINE: u8 = 0x15;
        let mut text = if self.partial { vec![KILL_LINE] } else { Vec::new() };
        text.extend(frame::leave(self.nonce).into_bytes());
        text.push(b'\n');
        text
    }
}

fn newlines(text: &[u8]) -> usize {
    text.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_taken_out_however_they_are_cut() {
        let (one, _) = Interactive::start(Dialect::Posix, Wires::default(), None);
        let mut bytes = b"noise".to_vec();
        bytes.extend(one.nonce.marker(Marker::Begin));
        bytes.extend(b";>>> \x1eQx ");
        bytes.extend(one.nonce.marker(Marker::Prompt));
        bytes.extend(b" 0 hi;more");
        for size in 1..bytes.len() {
            let mut loop_of =
                Interactive { nonce: one.nonce, ..Interactive::start(Dialect::Posix, Wires::default(), None).0 };
            loop_of.terminal = Track::new(one.nonce);
            loop_of.prompt = one.prompt;
            loop_of.typed(Dialect::Posix, b"python3\n");
            assert!(loop_of.busy());
            let mut got = Vec::new();
            for piece in bytes.chunks(size) {
                loop_of.feed(piece, |bytes| got.extend_from_slice(bytes));
            }
            assert_eq!(got, b">>> \x1eQx more", "in pieces of {size}");
            assert!(!loop_of.busy());
        }
    }

    /// The shell's answer to a line.
    fn came_back(loop_of: &Interactive) -> Vec<u8> {
        let mut bytes = loop_of.prompt.to_vec();
        bytes.extend(b" 0 hi;");
        bytes
    }

    fn begun() -> Interactive {
        let (mut loop_of, _) = Interactive::start(Dialect::Posix, Wires::default(), None);
        let mut bytes = loop_of.nonce.marker(Marker::Begin).to_vec();
        bytes.push(STOP);
        loop_of.feed(&bytes, |_| {});
        loop_of
    }

    #[test]
    fn an_interrupt_that_nothing_came_of_is_typed_again_thrice() {
        let mut loop_of = begun();
        loop_of.typed(Dialect::Posix, b"sleep 9\n");
        assert!(!loop_of.unheeded());
        loop_of.typed(Dialect::Posix, b"\x03");
        for _ in 0..AGAIN {
            assert!(loop_of.unheeded() && loop_of.may_have_missed());
            assert!(loop_of.typed_again(Dialect::Posix).is_some());
        }
        assert!(!loop_of.unheeded());
        let mut loop_of = begun();
        loop_of.typed(Dialect::Posix, b"sleep 9\n\x03");
        assert!(loop_of.unheeded());
        let back = came_back(&loop_of);
        loop_of.feed(&back, |_| {});
        assert!(!loop_of.unheeded());
    }

    #[test]
    fn a_program_that_takes_the_interrupt_is_not_interrupted_twice() {
        let mut loop_of = begun();
        loop_of.typed(Dialect::Posix, b"python3\n");
        loop_of.feed(b">>> ", |_| {});
        loop_of.typed(Dialect::Posix, b"x\n\x03");
        assert!(loop_of.unheeded());
        loop_of.feed(b"KeyboardInterrupt\n>>> ", |_| {});
        assert!(!loop_of.unheeded());
        // What is typed after it is for the program again.
        let mut loop_of = begun();
        loop_of.typed(Dialect::Posix, b"python3\n\x03compute()\n");
        assert!(!loop_of.unheeded());
        // A program that runs for a while has not just been started.
        let mut loop_of = begun();
        loop_of.typed(Dialect::Posix, b"flash\n");
        loop_of.started = Instant::now().checked_sub(STARTING).unwrap();
        loop_of.typed(Dialect::Posix, b"\x03");
        assert!(!loop_of.unheeded() && !loop_of.may_have_missed());
    }
}
