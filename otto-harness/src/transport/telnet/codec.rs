//! Telnet as bytes: what of a stream is data and what is negotiation (RFC 854, 855, 856, 857, 858, 1073, 1091).
//!
//! A state machine that is fed bytes in any pieces and does no I/O. What has to be sent, answers and what is typed alike,
//! gathers in one queue, because the order in which options change and data follow is part of their meaning.

use memchr::memchr2;

use super::options::{Say, Side};

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;

const BINARY: u8 = 0;
const ECHO: u8 = 1;
const SUPPRESS_GO_AHEAD: u8 = 3;
const TIMING_MARK: u8 = 6;
const TERMINAL_TYPE: u8 = 24;
const WINDOW_SIZE: u8 = 31;

/// `TERMINAL_TYPE` subnegotiation: "say yours", and "mine is".
const SEND: u8 = 1;
const IS: u8 = 0;

const CR: u8 = b'\r';

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

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: Terminal = Terminal { kind: "dumb", columns: 255, rows: 50 };

    /// Data and answers to bytes that come in these pieces.
    fn heard<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Vec<u8>) {
        let mut codec = Codec::new(SCREEN);
        let mut data = Vec::new();
        for piece in pieces {
            codec.receive(piece, &mut data);
        }
        (data, std::mem::take(codec.out()))
    }

    /// A codec after these bytes came, with nothing left to send.
    fn after(bytes: &[u8]) -> Codec {
        let mut codec = Codec::new(SCREEN);
        codec.receive(bytes, &mut Vec::new());
        codec.out().clear();
        codec
    }

    fn answers(codec: &mut Codec, bytes: &[u8]) -> Vec<u8> {
        codec.receive(bytes, &mut Vec::new());
        std::mem::take(codec.out())
    }

    fn sent(codec: &mut Codec, data: &[u8]) -> Vec<u8> {
        codec.send(data);
        std::mem::take(codec.out())
    }

    /// What we say to the first sign of telnet.
    const WISHES: [u8; 12] = [IAC, WILL, BINARY, IAC, DO, BINARY, IAC, DO, SUPPRESS_GO_AHEAD, IAC, WILL, WINDOW_SIZE];
    const REFUSES_ALL: [u8; 12] =
        [IAC, DONT, BINARY, IAC, WONT, BINARY, IAC, WONT, SUPPRESS_GO_AHEAD, IAC, DONT, WINDOW_SIZE];

    #[test]
    fn a_bare_console_is_told_nothing() {
        assert_eq!(heard([&b"login: \r\0x"[..]]), (b"login: \r\0x".to_vec(), Vec::new()));
    }

    #[test]
    fn wishes_are_said_once_and_before_the_first_answer() {
        let (data, out) = heard([&[IAC, WILL, ECHO, IAC, WILL, ECHO][..]]);
        assert_eq!(data, b"");
        assert_eq!(out, [&WISHES[..], &[IAC, DO, ECHO]].concat());
    }

    #[test]
    fn what_is_unknown_is_refused_and_loops_end() {
        let mut codec = after(&[IAC, WILL, ECHO]);
        assert_eq!(answers(&mut codec, &[IAC, WILL, 200]), [IAC, DONT, 200]);
        assert_eq!(answers(&mut codec, &[IAC, DO, 200]), [IAC, WONT, 200]);
        assert_eq!(answers(&mut codec, &[IAC, DO, ECHO]), [IAC, WONT, ECHO]);
        assert_eq!(answers(&mut codec, &[IAC, WONT, 200, IAC, DONT, 200]), b"");
        // A confirmation is never confirmed.
        assert_eq!(answers(&mut codec, &[IAC, WILL, ECHO, IAC, WILL, ECHO]), b"");
        assert_eq!(answers(&mut codec, &[IAC, WONT, ECHO, IAC, WONT, ECHO]), [IAC, DONT, ECHO]);
        assert_eq!(answers(&mut codec, &[IAC, DO, TIMING_MARK]), [IAC, WONT, TIMING_MARK]);
        assert_eq!(answers(&mut codec, &[IAC, WILL, TIMING_MARK]), b"");
    }

    #[test]
    fn a_server_that_refuses_everything_is_left_in_peace() {
        let mut codec = after(&[IAC, DONT, ECHO]);
        assert_eq!(answers(&mut codec, &REFUSES_ALL), b"");
        let mut data = Vec::new();
        codec.receive(b"a\r\0b\r\nc\xff\xffd", &mut data);
        assert_eq!(data, b"a\rb\r\nc\xffd");
        assert_eq!(sent(&mut codec, b"a\rb\n\xff"), b"a\r\0b\n\xff\xff");
    }

    #[test]
    fn binary_may_come_and_go_again() {
        // inetutils agrees, and takes its half of it back when its login resets the terminal.
        let mut codec = after(&[IAC, DO, 24]);
        assert_eq!(answers(&mut codec, &[IAC, DO, BINARY, IAC, WILL, BINARY]), b"");
        let mut data = Vec::new();
        codec.receive(b"\r\0x", &mut data);
        assert_eq!(data, b"\r\0x");
        assert_eq!(answers(&mut codec, &[IAC, WONT, BINARY]), [IAC, DONT, BINARY]);
        data.clear();
        codec.receive(b"\r\0x", &mut data);
        assert_eq!(data, b"\rx");
        assert_eq!(sent(&mut codec, b"\rx\r\n"), b"\rx\r\n");
        assert_eq!(answers(&mut codec, &[IAC, DONT, BINARY]), [IAC, WONT, BINARY]);
        assert_eq!(sent(&mut codec, b"\rx\r\n"), b"\r\0x\r\0\n");
    }

    #[test]
    fn a_server_that_never_answers_has_its_returns_taken_as_they_are() {
        // The opening of BusyBox's telnetd.
        let mut codec = after(&[IAC, DO, ECHO, IAC, DO, WINDOW_SIZE, IAC, WILL, ECHO, IAC, WILL, SUPPRESS_GO_AHEAD]);
        let mut data = Vec::new();
        codec.receive(b"a\r\0\xff\xff\r\r\n", &mut data);
        assert_eq!(data, b"a\r\0\xff\r\r\n");
        assert!(!codec.ask_whether_there());
    }

    #[test]
    fn the_window_is_told_when_asked_for_and_255_is_doubled() {
        let mut codec = after(&[IAC, WILL, ECHO]);
        assert_eq!(answers(&mut codec, &[IAC, DO, WINDOW_SIZE]), [IAC, SB, WINDOW_SIZE, 0, 254, 0, 50, IAC, SE]);
        let whole = [IAC, SB, WINDOW_SIZE, 0, IAC, IAC, 0, 50, IAC, SE];
        assert_eq!(answers(&mut codec, &[IAC, DO, BINARY]), whole);
        assert_eq!(answers(&mut codec, &[IAC, DO, WINDOW_SIZE, IAC, WILL, BINARY]), b"");
        // After a no, another yes asks for it again.
        assert_eq!(answers(&mut codec, &[IAC, DONT, WINDOW_SIZE]), [IAC, WONT, WINDOW_SIZE]);
        let again = answers(&mut codec, &[IAC, DO, WINDOW_SIZE]);
        assert_eq!(again, [&[IAC, WILL, WINDOW_SIZE][..], &whole].concat());
    }

    #[test]
    fn the_terminal_type_is_said_as_often_as_it_is_asked() {
        let ask = [IAC, SB, TERMINAL_TYPE, SEND, IAC, SE];
        let mut codec = after(&[IAC, WILL, ECHO]);
        assert_eq!(answers(&mut codec, &ask), b"", "it was not agreed that it may be asked");
        assert_eq!(answers(&mut codec, &[IAC, DO, TERMINAL_TYPE]), [IAC, WILL, TERMINAL_TYPE]);
        let says = [&[IAC, SB, TERMINAL_TYPE, IS][..], b"dumb", &[IAC, SE]].concat();
        assert_eq!(answers(&mut codec, &ask), says);
        assert_eq!(answers(&mut codec, &[ask, ask].concat()), [&says[..], &says].concat());
    }

    #[test]
    fn a_subnegotiation_is_never_data_however_long_or_broken() {
        let mut codec = after(&[IAC, DO, TERMINAL_TYPE]);
        let mut long = vec![IAC, SB, TERMINAL_TYPE];
        long.extend((0..1_000_000).flat_map(|_| [IAC, IAC, 7]));
        long.extend([IAC, SE, b'x']);
        let mut data = Vec::new();
        codec.receive(&long, &mut data);
        assert_eq!((&data[..], codec.out().len()), (&b"x"[..], 0));
        assert!(codec.subnegotiation.capacity() <= 4 * SUBNEGOTIATION, "{}", codec.subnegotiation.capacity());
        // Without its end: the command that follows counts, what it said does not.
        assert_eq!(answers(&mut codec, &[IAC, SB, TERMINAL_TYPE, SEND, IAC, DO, 99, IAC, SE]), [IAC, WONT, 99]);
    }

    #[test]
    fn commands_are_no_data() {
        let bytes = [b'a', IAC, 241, b'b', IAC, 242, b'\r', IAC, 249, 0, IAC, 5, b'c', IAC];
        let mut codec = after(&[[IAC, WILL, ECHO].as_slice(), &REFUSES_ALL].concat());
        let mut data = Vec::new();
        codec.receive(&bytes, &mut data);
        assert_eq!(data, b"ab\rc");
        codec.receive(&[IAC], &mut data);
        assert_eq!(data, b"ab\rc\xff");
    }

    /// Numbers that look random and are the same for the same seed.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 33).unwrap() % sides
        }

        fn bytes(&mut self, length: usize) -> Vec<u8> {
            let spice =
                [IAC, IAC, IAC, DONT, DO, WONT, WILL, SB, SE, CR, CR, 0, 0, b'\n', BINARY, ECHO, 3, 6, 24, 31, SEND];
            (0..length)
                .map(|_| match self.roll(4) {
                    0 => u8::try_from(self.roll(256)).unwrap(),
                    _ => spice[self.roll(spice.len())],
                })
                .collect()
        }
    }

    #[test]
    fn any_bytes_mean_the_same_in_any_pieces() {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).unwrap();
        for round in 0..3_000 {
            let seed = u64::from_ne_bytes(seed).wrapping_add(round) | 1;
            let mut dice = Dice(seed);
            let length = dice.roll(400);
            let bytes = dice.bytes(length);
            let whole = heard([&bytes[..]]);
            assert_eq!(heard(bytes.chunks(1)), whole, "seed {seed}: {bytes:?}");
            let mut pieces = Vec::new();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, others) = rest.split_at(1 + dice.roll(rest.len().min(40)));
                pieces.push(piece);
                rest = others;
            }
            assert_eq!(heard(pieces), whole, "seed {seed}: {bytes:?}");
            let bound = WISHES.len() + 10 * bytes.len();
            assert!(whole.1.len() <= bound, "seed {seed}: {} bytes of answers", whole.1.len());
        }
    }

    #[test]
    fn what_is_sent_is_what_the_other_end_reads() {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).unwrap();
        for round in 0..2_000 {
            let seed = u64::from_ne_bytes(seed).wrapping_add(round) | 1;
            let mut dice = Dice(seed);
            let length = dice.roll(300);
            let data = dice.bytes(length);
            // Either both ends send binary, or neither does.
            for binary in [true, false] {
                let opening = if binary { [IAC, DO, BINARY, IAC, WILL, BINARY] } else { [IAC, DONT, 0, IAC, WONT, 0] };
                let opening = [&[IAC, WILL, ECHO][..], &opening].concat();
                let wire = sent(&mut after(&opening), &data);
                let mut read = Vec::new();
                after(&opening).receive(&wire, &mut read);
                assert_eq!(read, data, "seed {seed}, binary {binary}");
            }
        }
    }
}
