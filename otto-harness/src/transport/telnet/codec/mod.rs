//! Telnet as bytes: what of a stream is data and what is negotiation (RFC 854, 855, 856, 857, 858, 1073, 1091).
//!
//! A state machine that is fed bytes in any pieces and does no I/O. What has to be sent, answers and what is typed alike,
//! gathers in one queue, because the order in which options change and data follow is part of their meaning.

use memchr::memchr2;

use super::options::{Say, Side};

mod names;
#[cfg(test)]
mod tests;

use names::{
    BINARY, CR, DO, DONT, ECHO, IAC, IS, SB, SE, SEND, SUPPRESS_GO_AHEAD, TERMINAL_TYPE, TIMING_MARK, WILL,
    WINDOW_SIZE, WONT,
};

/// What is kept of a subnegotiation. None that we understand is longer than a few bytes; the rest of a longer one is
/// skipped.
const SUBNEGOTIATION: usize = 64;

/// What the terminal is said to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminal {
    pub(super) kind: &'static str,
    pub(super) columns: u16,
    pub(super) rows: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Data,
    /// After IAC.
    Command,
    /// After IAC and WILL, WONT, DO or DONT.
    Option(u8),
    /// After IAC SB, up to IAC SE.
    Subnegotiation,
    /// After an IAC in that.
    SubnegotiationCommand,
}

/// The options that we have a use for, and how both sides stand to them.
#[derive(Debug, Default)]
struct Options {
    our_binary: Side,
    our_go_ahead: Side,
    our_terminal_type: Side,
    our_window_size: Side,
    their_binary: Side,
    their_echo: Side,
    their_go_ahead: Side,
}

impl Options {
    fn ours(&mut self, option: u8) -> Option<&mut Side> {
        match option {
            BINARY => Some(&mut self.our_binary),
            SUPPRESS_GO_AHEAD => Some(&mut self.our_go_ahead),
            TERMINAL_TYPE => Some(&mut self.our_terminal_type),
            WINDOW_SIZE => Some(&mut self.our_window_size),
            _ => None,
        }
    }

    fn theirs(&mut self, option: u8) -> Option<&mut Side> {
        match option {
            BINARY => Some(&mut self.their_binary),
            ECHO => Some(&mut self.their_echo),
            SUPPRESS_GO_AHEAD => Some(&mut self.their_go_ahead),
            _ => None,
        }
    }
}

/// One telnet connection's state.
#[derive(Debug)]
pub(super) struct Codec {
    terminal: Terminal,
    state: State,
    /// Whether the last byte of data was a carriage return.
    after_return: bool,
    subnegotiation: Vec<u8>,
    options: Options,
    /// Whether the server has shown that it speaks telnet, on which we have said what we want.
    begun: bool,
    /// The columns that the server was told last.
    told: Option<u16>,
    /// What is to be sent.
    out: Vec<u8>,
}

impl Codec {
    pub(super) fn new(terminal: Terminal) -> Self {
        Self {
            terminal,
            state: State::Data,
            after_return: false,
            subnegotiation: Vec::new(),
            options: Options::default(),
            begun: false,
            told: None,
            out: Vec::new(),
        }
    }

    /// Takes bytes from the server; what of them is data goes to the end of `data`.
    pub(super) fn receive(&mut self, mut bytes: &[u8], data: &mut Vec<u8>) {
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.state == State::Data && !self.after_return {
                // Nearly all bytes are neither, and are taken at once.
                let plain = memchr2(IAC, CR, bytes).unwrap_or(bytes.len());
                if plain > 0 {
                    data.extend_from_slice(&bytes[..plain]);
                    bytes = &bytes[plain..];
                    continue;
                }
            }
            bytes = rest;
            self.state = self.step(byte, data);
        }
    }

    fn step(&mut self, byte: u8, data: &mut Vec<u8>) -> State {
        match (self.state, byte) {
            (State::Data, IAC) => State::Command,
            (State::Data, byte) => {
                self.datum(byte, data);
                State::Data
            }
            (State::Command, IAC) => {
                self.datum(IAC, data);
                State::Data
            }
            (State::Command, WILL | WONT | DO | DONT) => State::Option(byte),
            (State::Command, SB) => {
                self.subnegotiation.clear();
                State::Subnegotiation
            }
            // No operation, data mark, break and the like, and what is not defined at all.
            (State::Command, _) => State::Data,
            (State::Option(verb), option) => {
                self.begin();
                self.negotiated(verb, option);
                State::Data
            }
            (State::Subnegotiation, IAC) => State::SubnegotiationCommand,
            (State::Subnegotiation, byte) => {
                self.gather(byte);
                State::Subnegotiation
            }
            (State::SubnegotiationCommand, SE) => {
                self.subnegotiated();
                State::Data
            }
            (State::SubnegotiationCommand, IAC) => {
                self.gather(IAC);
                State::Subnegotiation
            }
            // Its end was forgotten: what it said does not count, and the command does.
            (State::SubnegotiationCommand, command) => {
                self.state = State::Command;
                self.step(command, data)
            }
        }
    }

    fn datum(&mut self, byte: u8, data: &mut Vec<u8>) {
        let after_return = std::mem::replace(&mut self.after_return, byte == CR);
        if !(after_return && byte == 0 && self.pads_returns()) {
            data.push(byte);
        }
    }

    /// Whether the server writes a NUL behind a lone carriage return, as it has to unless its data are binary (RFC 854,
    /// page 11). One that does not answer when it is asked for binary data, as that of `BusyBox`, does not know of that either, so
    /// that a NUL of its is always data.
    fn pads_returns(&self) -> bool {
        self.begun && self.options.their_binary == Side::No
    }

    fn gather(&mut self, byte: u8) {
        // One more than fits shows that it is too long.
        if self.subnegotiation.len() <= SUBNEGOTIATION {
            self.subnegotiation.push(byte);
        }
    }

    /// What we want of a server that speaks telnet. It is not said before: what listens may be a bare console.
    fn begin(&mut self) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        // Binary from us, because some servers strip the eighth bit of what is not.
        for (verb, option) in [(WILL, BINARY), (DO, BINARY), (DO, SUPPRESS_GO_AHEAD), (WILL, WINDOW_SIZE)] {
            let side = if verb == WILL { self.options.ours(option) } else { self.options.theirs(option) };
            let say = side.and_then(|side| side.want(true));
            self.say(say, if verb == WILL { [WILL, WONT] } else { [DO, DONT] }, option);
        }
    }

    fn negotiated(&mut self, verb: u8, option: u8) {
        let (side, words) = match verb {
            WILL | WONT => (self.options.theirs(option), [DO, DONT]),
            _ => (self.options.ours(option), [WILL, WONT]),
        };
        let say = match (side, verb) {
            (Some(side), WILL | DO) => side.hears_yes(true),
            (Some(side), _) => side.hears_no(),
            // The answer to a mark of ours, which needs none.
            (None, WILL) if option == TIMING_MARK => None,
            (None, WILL | DO) => Some(false),
            (None, _) => None,
        };
        self.say(say, words, option);
        self.tell_window_size();
    }

    fn say(&mut self, say: Say, [yes, no]: [u8; 2], option: u8) {
        if let Some(say) = say {
            self.out.extend_from_slice(&[IAC, if say { yes } else { no }, option]);
        }
    }

    /// Tells how large the window is, when that is new to the server.
    fn tell_window_size(&mut self) {
        if !self.options.our_window_size.is_on() {
            self.told = None;
            return;
        }
        let Terminal { mut columns, rows, .. } = self.terminal;
        // BusyBox's telnetd does not know that a byte of 255 comes twice: it reads the wrong size, and takes what is left
        // over for something typed. So there is no such byte for a server that has not shown that it knows more.
        if !self.negotiates() && columns == 255 {
            columns = 254;
        }
        if self.told.replace(columns) != Some(columns) {
            let [ch, cl] = columns.to_be_bytes();
            let [rh, rl] = rows.to_be_bytes();
            self.subnegotiate(WINDOW_SIZE, &[ch, cl, rh, rl]);
        }
    }

    fn subnegotiate(&mut self, option: u8, what: &[u8]) {
        self.out.extend_from_slice(&[IAC, SB, option]);
        for &byte in what {
            self.out.push(byte);
            if byte == IAC {
                self.out.push(IAC);
            }
        }
        self.out.extend_from_slice(&[IAC, SE]);
    }

    fn subnegotiated(&mut self) {
        if self.subnegotiation == [TERMINAL_TYPE, SEND] && self.options.our_terminal_type.is_on() {
            // The same one whenever it is asked for means that there is no other (RFC 1091).
            let mut answer = vec![IS];
            answer.extend_from_slice(self.terminal.kind.as_bytes());
            self.subnegotiate(TERMINAL_TYPE, &answer);
        }
    }

    /// Queues what is typed, so that the server reads exactly this.
    pub(super) fn send(&mut self, mut data: &[u8]) {
        self.out.reserve(data.len());
        while let Some(at) = memchr2(IAC, CR, data) {
            self.out.extend_from_slice(&data[..=at]);
            if data[at] == IAC {
                self.out.push(IAC);
            } else if !self.options.our_binary.is_on() {
                self.out.push(0);
            }
            data = &data[at + 1..];
        }
        self.out.extend_from_slice(data);
    }

    /// Queues a question that any server answers which answers at all; whether this is one.
    pub(super) fn ask_whether_there(&mut self) -> bool {
        if self.negotiates() {
            self.out.extend_from_slice(&[IAC, DO, TIMING_MARK]);
        }
        self.negotiates()
    }

    /// Whether the server has answered what it was asked.
    fn negotiates(&self) -> bool {
        self.begun && !(self.options.our_binary.is_open() && self.options.their_binary.is_open())
    }

    /// What is to be sent. Whoever sends takes it out.
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }
}
