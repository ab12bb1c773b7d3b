//! The frame parser on any bytes in any split, against a parser that has all of them at once and is in no hurry.

use super::frame::{Marker, Nonce, STOP};
use super::outlet::{Seek, Track};
use crate::fuzz::Random;

/// The end marker's fields are no longer than this, as far as the parser cares.
const FIELDS: usize = 64;

/// What a parser makes of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Parsed {
    output: Vec<u8>,
    begun: bool,
    ended: Option<String>,
}

fn parsed(mut track: Track, pieces: &[&[u8]]) -> Parsed {
    let mut output = Vec::new();
    for piece in pieces {
        track.feed(piece, |bytes| output.extend_from_slice(bytes));
    }
    track.finish(|bytes| output.extend_from_slice(bytes));
    Parsed { output, begun: track.begun(), ended: track.ended().map(str::to_owned) }
}

fn position(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// By the definition: what lies between the first begin marker with the byte after it, and the first end marker that has
/// its fields.
fn by_definition(nonce: Nonce, stream: &[u8]) -> Parsed {
    let (begin, end) = (nonce.marker(Marker::Begin), nonce.marker(Marker::End));
    let after = position(stream, &begin).map(|at| at + begin.len() + 1).filter(|after| *after <= stream.len());
    let Some(after) = after else { return Parsed { output: Vec::new(), begun: false, ended: None } };
    let rest = &stream[after..];
    let fields_at = |at: usize| {
        let fields = rest[at..].strip_prefix(&end)?;
        let stop = fields.iter().take(FIELDS).position(|byte| *byte == STOP)?;
        Some((at, String::from_utf8_lossy(&fields[..stop]).trim().to_owned()))
    };
    match (0..rest.len()).find_map(fields_at) {
        Some((at, fields)) => Parsed { output: rest[..at].to_vec(), begun: true, ended: Some(fields) },
        None => Parsed { output: rest.to_vec(), begun: true, ended: None },
    }
}

/// A stream of all that a frame is made of, in any order, whole or cut off.
fn stream(random: &mut Random, nonce: Nonce) -> Vec<u8> {
    let texts: [&[u8]; 6] = [b" 0 himBH;", b" 127 e;", b"\xff;", b"\n", b"hello\r\n", b"\0"];
    let mut bytes = Vec::new();
    // Most begin, so that there is something to end.
    if random.below(4) > 0 {
        bytes.extend_from_slice(&nonce.marker(Marker::Begin));
        bytes.push(STOP);
    }
    for _ in 0..random.below(12) {
        let marker = nonce.marker(*random.of(&[Marker::Begin, Marker::End, Marker::End, Marker::Prompt]));
        match random.below(8) {
            0 | 1 => bytes.extend_from_slice(&marker),
            2 => bytes.extend_from_slice(&marker[..random.below(marker.len())]),
            3 => bytes.extend_from_slice(&Nonce::new().marker(Marker::End)),
            4 => bytes.extend((0..random.below(5)).map(|_| marker[0])),
            5 => bytes.push(STOP),
            6 => bytes.extend_from_slice(texts[random.below(texts.len())]),
            // Sometimes more than the fields of a marker may be.
            _ => bytes.extend((0..random.below(FIELDS + 9)).map(|_| u8::try_from(random.below(256)).unwrap())),
        }
    }
    bytes
}

#[test]
fn a_stream_in_any_split_is_parsed_as_in_one_read() {
    let mut random = Random::new("a_stream_in_any_split_is_parsed_as_in_one_read");
    let mut ended = 0;
    for _ in 0..20_000 {
        let nonce = Nonce::new();
        let bytes = stream(&mut random, nonce);
        let expected = by_definition(nonce, &bytes);
        let whole = parsed(Track::new(nonce), &[&bytes]);
        ended += u32::from(whole.ended.is_some());
        assert_eq!(whole, expected, "{}", bytes.escape_ascii());
        let pieces = random.cut(&bytes, 1 + bytes.len() / 3);
        assert_eq!(parsed(Track::new(nonce), &pieces), whole, "{} in {pieces:?}", bytes.escape_ascii());
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(parsed(Track::new(nonce), &single), whole, "{} byte by byte", bytes.escape_ascii());
    }
    assert!(ended > 2000, "only {ended} of the streams had an end, which shows little");
}

#[test]
fn a_probe_ends_a_stream_in_any_split_the_same() {
    let mut random = Random::new("a_probe_ends_a_stream_in_any_split_the_same");
    for _ in 0..5000 {
        let (nonce, probe) = (Nonce::new(), Nonce::new());
        let track = || {
            let mut track = Track::new(nonce);
            track.probed(probe);
            track
        };
        let mut bytes = nonce.marker(Marker::Begin).to_vec();
        bytes.push(STOP);
        bytes.extend((0..random.below(20)).map(|_| *random.of(b"ab\x1e\n")));
        // A shell that was interrupted while it wrote the end marker has written a part of it.
        let end = nonce.marker(Marker::End);
        bytes.extend_from_slice(&end[..random.below(end.len())]);
        bytes.extend_from_slice(&probe.marker(Marker::Probe));
        bytes.extend_from_slice(b" 130 him;late output");
        let whole = parsed(track(), &[&bytes]);
        assert_eq!(whole.ended.as_deref(), Some("130 him"), "{}", bytes.escape_ascii());
        let pieces = random.cut(&bytes, 9);
        assert_eq!(parsed(track(), &pieces), whole, "{} in {pieces:?}", bytes.escape_ascii());
    }
}

#[test]
fn a_marker_is_found_in_any_split() {
    let mut random = Random::new("a_marker_is_found_in_any_split");
    for _ in 0..5000 {
        let nonce = Nonce::new();
        let bytes = stream(&mut random, nonce);
        let there = position(&bytes, &nonce.marker(Marker::Prompt)).is_some();
        let mut seek = Seek::new(nonce, Marker::Prompt);
        let found = random.cut(&bytes, 9).into_iter().any(|piece| seek.feed(piece));
        assert_eq!(found, there, "{}", bytes.escape_ascii());
    }
}
