//! Any bytes in any pieces mean the same.

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
