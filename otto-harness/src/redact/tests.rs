//! Redaction is the same however the stream is cut, and nothing of a secret is left.

use super::*;
use crate::fuzz::Random;

fn of(secrets: &[&str]) -> Redactor {
    Redactor::new(secrets.iter().map(|secret| Secret::from(*secret)))
}

fn in_pieces(redactor: &Redactor, text: &[u8], mut size: impl FnMut() -> usize) -> Vec<u8> {
    let mut stream = Stream::new(redactor.clone());
    let longest = redactor.0.as_ref().map_or(1, |known| known.longest);
    let (mut shown, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(size().clamp(1, rest.len()));
        shown.extend_from_slice(&stream.feed(piece));
        assert!(stream.held.len() < longest, "{} bytes are held back", stream.held.len());
        rest = after;
    }
    shown.extend(stream.finish());
    shown
}

/// What is left when every byte that some form covers is taken out, one byte at a time.
fn slowly(redactor: &Redactor, text: &[u8]) -> Vec<u8> {
    let forms = &redactor.0.as_ref().unwrap().forms;
    let mut covered = vec![false; text.len()];
    // Whether a byte belongs to the same hole as the one before it.
    let mut joined = vec![false; text.len()];
    for at in 0..text.len() {
        for form in forms.iter().filter(|form| text[at..].starts_with(form)) {
            covered[at..at + form.len()].fill(true);
            joined[at + 1..at + form.len()].fill(true);
        }
    }
    let mut left = Vec::new();
    for at in 0..text.len() {
        if !covered[at] {
            left.push(text[at]);
        } else if !joined[at] {
            left.extend_from_slice(REDACTED.as_bytes());
        }
    }
    left
}

#[test]
fn any_split_gives_the_same_text_and_never_a_secret() {
    let mut random = Random::new("any_split_gives_the_same_text_and_never_a_secret");
    for _ in 0..4000 {
        // Of few letters, so that secrets overlap each other and themselves; none is a part of "[redacted]".
        let mut word = |least: usize, most: usize| -> String {
            let length = least + random.below(most - least + 1);
            (0..length).map(|_| ['x', 'y', '\'', 'z'][random.below(4)]).collect()
        };
        let secrets: Vec<String> = (0..3).map(|_| word(3, 6)).collect();
        let text = word(0, 60);
        let redactor = of(&secrets.iter().map(String::as_str).collect::<Vec<_>>());
        let whole = redactor.bytes(text.as_bytes()).into_owned();
        let expected = slowly(&redactor, text.as_bytes());
        let shown = String::from_utf8_lossy(&whole);
        assert_eq!(whole, expected, "{secrets:?} in {text:?}: {shown:?}");
        let split = in_pieces(&redactor, text.as_bytes(), || 1 + random.below(9));
        assert_eq!(split, whole, "{secrets:?} in {text:?}");
        // What is left of the text around the holes may form a secret anew only across a hole, which stands between.
        for secret in &secrets {
            assert!(!shown.contains(secret), "{secret:?} of {secrets:?} in {text:?}: {shown:?}");
        }
    }
}

#[test]
fn every_split_in_two_gives_the_same_text() {
    let redactor = of(&["correct horse", "horse battery", "hors"]);
    let text = b"a correct horse battery staple, a horse, correct hors";
    let whole = redactor.bytes(text).into_owned();
    assert_eq!(String::from_utf8_lossy(&whole), "a [redacted] staple, a [redacted]e, correct [redacted]");
    for at in 0..=text.len() {
        let mut sizes = [at, text.len()].into_iter();
        assert_eq!(in_pieces(&redactor, text, || sizes.next().unwrap_or(1)), whole, "cut at {at}");
    }
}

#[test]
fn the_forms_that_shells_and_assertions_make_of_it_are_known() {
    let secret = "p'a \"$s\\w`d";
    let redactor = of(&[secret]);
    for text in [
        secret.to_owned(),
        crate::host::sh_quote(secret).into_owned(),
        "'p'\"'\"'a \"$s\\w`d'".to_owned(),
        r#"p\'a\ \"\$s\\w\`d"#.to_owned(),
        r#""p'a \"\$s\\w\`d""#.to_owned(),
        format!("{secret:?}"),
        serde_json::to_string(secret).unwrap(),
    ] {
        assert_eq!(redactor.text(&text).trim_matches(['\'', '"']), REDACTED, "{text}");
    }
    assert_eq!(redactor.text("https://u:p%27a%20%22%24s%5Cw%60d@host"), "https://u:[redacted]@host");
}

#[test]
fn line_endings_at_the_end_do_not_count_and_those_inside_are_of_either_kind() {
    let redactor = of(&["hunter2\r\n", "line one\nline two\nx\n"]);
    assert_eq!(redactor.text("hunter2"), REDACTED);
    assert_eq!(redactor.text("hunter2\n"), "[redacted]\n");
    assert_eq!(redactor.text("<line one\r\nline two\r\nx>"), "<[redacted]>");
    assert_eq!(redactor.text("<line one\nline two\nx>"), "<[redacted]>");
    assert_eq!(redactor.text("only line two here"), "only [redacted] here");
    assert_eq!(redactor.text("x stays"), "x stays");
}

#[test]
fn what_is_too_short_is_left_and_empty_is_nothing() {
    assert!(of(&["", "\n", "ab"]).is_empty());
    assert_eq!(of(&["ab", "abc"]).text("ab abc"), "ab [redacted]");
    assert_eq!(of(&[]).bytes(b"x\xff"), Cow::Borrowed(b"x\xff"));
}

#[test]
fn bytes_that_are_no_text_stay_as_they_are() {
    let redactor = of(&["päss"]);
    assert_eq!(&*redactor.bytes(b"\xff\0p\xc3\xa4ss\xfe"), b"\xff\0[redacted]\xfe");
    assert_eq!(format!("{redactor:?}"), "Redactor { forms: 2 }");
}

#[test]
fn what_cannot_be_a_secret_is_shown_at_once() {
    let mut stream = Stream::new(of(&["secret"]));
    assert_eq!(&*stream.feed(b"progress 10%\r"), b"progress 10%\r");
    assert_eq!(&*stream.feed(b"its sec"), b"its ");
    assert_eq!(&*stream.feed(b"ond"), b"second");
    assert_eq!(&*stream.feed(b" secre"), b" ");
    assert_eq!(&*stream.feed(b"t"), REDACTED.as_bytes());
    assert_eq!(stream.finish(), b"");
}

#[test]
fn time_is_linear_in_the_text() {
    let redactor = of(&["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "secret"]);
    let took = |size: usize| {
        let text = vec![b'a'; size];
        let began = std::time::Instant::now();
        in_pieces(&redactor, &text, || 4096);
        began.elapsed()
    };
    took(1 << 16);
    let (small, large) = (took(1 << 18), took(1 << 20));
    // Four times as much; squared would be sixteen times as long.
    assert!(large < small * 10, "{small:?}, {large:?}");
}
