use regex_automata::util::syntax;

use super::*;
use crate::error::ErrorKind;

pub(super) fn searcher(patterns: &[&str]) -> Searcher {
    Searcher::new(&patterns.iter().map(|text| Pattern::from(*text)).collect::<Vec<_>>()).unwrap()
}

/// Every match of a stream that arrives in these reads and then pauses.
pub(super) fn all(searcher: &mut Searcher, reads: &[&[u8]]) -> Vec<(usize, u64)> {
    let mut found = Vec::new();
    for read in reads {
        let base = searcher.position();
        let mut rest = *read;
        while let Some(next) = searcher.feed(rest) {
            found.push((next.pattern, next.end));
            rest = &read[usize::try_from(next.end - base).unwrap()..];
        }
    }
    found.extend(searcher.idle().map(|next| (next.pattern, next.end)));
    found
}

fn found(patterns: &[&str], reads: &[&str]) -> Vec<(usize, u64)> {
    all(&mut searcher(patterns), &reads.iter().map(|read| read.as_bytes()).collect::<Vec<_>>())
}

/// A small generator of our own: the seed is the test's, so a failure repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }

    fn cut<'a>(&mut self, mut stream: &'a [u8], longest: usize) -> Vec<&'a [u8]> {
        let mut reads = Vec::new();
        while !stream.is_empty() {
            let (read, rest) = stream.split_at(self.below(longest + 1).min(stream.len()));
            reads.push(read);
            stream = rest;
        }
        reads
    }
}

// Case 28: two patterns, flags of a compiled regex, a pattern that never comes.
#[test]
fn several_patterns_and_flags() {
    let mut name = searcher(&[r"name\? ", "never"]);
    assert_eq!(all(&mut name, &[b"name? ", b"bob\r\nhi bob\r\n"]), [(0, 6)]);

    let regex = regex::RegexBuilder::new("^pass.*word$").case_insensitive(true).multi_line(true).build().unwrap();
    let bytes =
        regex::bytes::RegexBuilder::new("a . b").ignore_whitespace(true).dot_matches_new_line(true).build().unwrap();
    let mut flags = Searcher::new(&[regex.into(), bytes.into()]).unwrap();
    assert_eq!(all(&mut flags, &[b"x\nPASS", b"WORD\na\n", b"b"]), [(0, 10), (1, 14)]);
}

// Case 29: the same prompt again and again; two patterns for one text.
#[test]
fn each_match_counts_and_the_first_of_the_list_wins() {
    assert_eq!(found(&["ok\\? "], &["ok? y\r\nok? y\r\no", "k? "]), [(0, 4), (0, 11), (0, 18)]);
    assert_eq!(found(&["[Pp]assword:", "word:"], &["Password:"]), [(0, 9)]);
    assert_eq!(found(&["word:", "[Pp]assword:"], &["Password:"]), [(0, 9)]);
    assert_eq!(found(&["a", "a"], &["aa"]), [(0, 1), (0, 2)]);
}

// Case 30: across lines and reads, after 5 MB; a time-out leaves the output to the next expect.
#[test]
fn expect_across_lines_and_after_much_output() {
    assert_eq!(found(&["(?s)begin.*end", "one\r\ntwo"], &["one\r", "\ntwo be", "gin\r\n e", "nd"]), [(1, 8), (0, 20)]);

    let mut buffer = StreamBuffer::new();
    let mut done = searcher(&[r"done \d+;"]);
    for line in 0..100_000 {
        buffer.append(format!("line {line:06}: nothing that is done here, not yet\r\n").as_bytes());
        assert!(buffer.search_idle(&mut done).is_none());
    }
    assert!(buffer.unread().len() <= StreamBuffer::WINDOW + 100);
    assert_eq!(buffer.tail(2).lines().next(), Some("line 099998: nothing that is done here, not yet"));
    // The time-out; then the same output serves another expect.
    let taken = buffer.search(&mut searcher(&["099999: "])).unwrap();
    assert_eq!(taken.matched().unwrap(), b"099999: ");
    assert!(taken.dropped > 3_000_000);
    buffer.append(b"done 17;$ ");
    let taken = buffer.search(&mut done).unwrap();
    assert_eq!((taken.matched().unwrap(), taken.dropped), (&b"done 17;"[..], 0));
    assert_eq!(buffer.unread(), b"$ ");
}

// Case 31: a pattern that is no regex.
#[test]
fn what_is_no_regex_is_refused() {
    for (text, what) in [
        ("(", "at column 1: unclosed group"),
        ("a\n[", "at line 2, column 1: unclosed character class"),
        ("*", "at column 1: repetition operator missing expression"),
        (r"\p{Nothing}", "Unicode property not found"),
        (r"\w{1000}{1000}", "exceeded limit"),
    ] {
        let error = Pattern::from(text).check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(what), "{error}");
        assert!(error.to_string().contains("\n  hint: "), "{error}");
        let error = Searcher::new(&[Pattern::from("fine"), Pattern::from(text)]).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn the_end_of_what_has_arrived() {
    let mut prompt = searcher(&[r"[$#] $"]);
    assert_eq!(prompt.feed(b"cost: 5$ "), None);
    assert_eq!(prompt.feed(b"each\n~# "), None);
    assert_eq!(prompt.idle().map(|found| found.end), Some(17));
    assert_eq!(prompt.idle(), None);
    assert_eq!(prompt.feed(b"ls"), None);
    // What needs no more is found without a pause; what might be a rival's waits.
    assert_eq!(searcher(&["ok"]).feed(b"ok").map(|found| found.end), Some(2));
    assert_eq!(searcher(&["^a", "ok$"]).feed(b"ok"), None);
    let mut rivals = searcher(&["ok$", "ok"]);
    assert_eq!(rivals.feed(b"ok"), None);
    assert_eq!(rivals.clone().idle().map(|found| found.pattern), Some(0));
    assert_eq!(rivals.feed(b"!").map(|found| (found.pattern, found.end)), Some((1, 2)));
    assert_eq!(rivals.position(), 2);
}

#[test]
fn borders_and_lines() {
    assert_eq!(found(&[r"\bfoo\b"], &["food fo", "o"]), [(0, 8)]);
    assert_eq!(found(&[r"\bfoo\b"], &["foo", "d foo."]), [(0, 8)]);
    assert_eq!(found(&["(?m)^b$"], &["ab\n", "b", "\nb"]), [(0, 4), (0, 6)]);
    assert_eq!(found(&["(?mR)^b$"], &["a\r\nb\r", "\n"]), [(0, 4)]);
    assert_eq!(found(&["^a"], &["aaa"]), [(0, 1)]);
    assert_eq!(found(&["(?m)^a"], &["aa\na"]), [(0, 1), (0, 4)]);
    assert_eq!(found(&["^a"], &["b", "a"]), []);
    assert_eq!(found(&["é+x", r"(?-u:\xff)"], &["ééx"]), [(0, 5)]);
    assert_eq!(all(&mut searcher(&["é", r"(?-u:\xff)"]), &[b"\xff\xc3", b"\xa9"]), [(1, 1), (0, 3)]);
}

#[test]
fn the_earliest_end_wins() {
    assert_eq!(found(&[r"\d+"], &["80"]), [(0, 1), (0, 2)]);
    assert_eq!(found(&["a.*b"], &["aXbYb"]), [(0, 3)]);
    assert_eq!(found(&["abcd", "bc"], &["abcd"]), [(1, 3)]);
}

#[test]
fn empty_feeds_empty_lists_and_empty_patterns() {
    assert_eq!(searcher(&["a"]).feed(b""), None);
    assert_eq!(searcher(&["a"]).idle(), None);
    assert_eq!(found(&[], &["abc"]), []);
    assert_eq!(searcher(&["a*"]).feed(b"").map(|found| found.end), Some(0));
    for (text, empty) in
        [("", true), ("a*", true), ("$", true), (r"\b", true), ("a", false), ("(", false), ("a|", true)]
    {
        assert_eq!(Pattern::from(text).matches_empty(), empty, "{text}");
    }
}

#[test]
fn no_cut_changes_the_result() {
    let lists: &[&[&str]] = &[
        &["abc"],
        &["ab", "b$", "a"],
        &["(?m)^a+b$", "c"],
        &[r"\bab\b", r"\Bc", "a b"],
        &["(?s)a.*c", "cc"],
        &["(?i)B\n?A", "(?m)b$", "ab$"],
        &["a[^b]{2,4}b", "cab"],
        &["(?mR)c$", "é", "[ab]{3}"],
        &[r"a(b|$)", "ab"],
        &["^a", "bb"],
    ];
    let mut random = Random(0x5eed);
    for round in 0..1000 {
        let patterns = lists[round % lists.len()];
        let alphabet: &[&[u8]] = &[b"a", b"b", b"c", b"A", b"\n", b"\r\n", b" ", "é".as_bytes(), b"\xff"];
        let length = random.below(40);
        let stream: Vec<u8> = (0..length).flat_map(|_| alphabet[random.below(alphabet.len())]).copied().collect();
        let whole = all(&mut searcher(patterns), &[&stream]);
        assert_eq!(whole, by_definition(patterns, &stream), "{patterns:?} {:?}", stream.escape_ascii().to_string());
        let reads = random.cut(&stream, 1 + round % 9);
        assert_eq!(all(&mut searcher(patterns), &reads), whole, "{patterns:?} {:?}", stream.escape_ascii().to_string());
    }
}

/// The rules, spelt out with an engine of another kind: of all ends from the last match on, the first.
pub(super) fn by_definition(patterns: &[&str], stream: &[u8]) -> Vec<(usize, u64)> {
    use regex_automata::nfa::thompson::{Config, pikevm::PikeVM};
    use regex_automata::{Anchored, Input, MatchKind};
    let engines: Vec<PikeVM> = patterns
        .iter()
        .map(|text| {
            PikeVM::builder()
                .configure(PikeVM::config().match_kind(MatchKind::All))
                .thompson(Config::new().utf8(false))
                .syntax(syntax::Config::new().utf8(false))
                // The engine has ASCII words.
                .build(&text.replace(r"\b", r"(?-u:\b)").replace(r"\B", r"(?-u:\B)"))
                .unwrap()
        })
        .collect();
    let ends_at = |engine: &PikeVM, from: usize, end: usize| {
        // With all matches asked for, the longest is given: so only a search whose range ends here can end here.
        (from..=end).any(|start| {
            let input = Input::new(stream).range(start..end).anchored(Anchored::Yes);
            engine.find(&mut engine.create_cache(), input).is_some_and(|found| found.end() == end)
        })
    };
    let (mut from, mut result) = (0, Vec::new());
    while let Some((pattern, end)) =
        (from..=stream.len()).find_map(|end| Some((engines.iter().position(|engine| ends_at(engine, from, end))?, end)))
    {
        result.push((pattern, end as u64));
        from = end;
    }
    result
}

#[test]
fn the_buffer_agrees_however_it_is_cut() {
    let mut random = Random(0x5eed);
    for _ in 0..500 {
        let stream: Vec<u8> = (0..200).map(|_| b"abc\n"[random.below(4)]).collect();
        let patterns = ["(?m)^a[bc]+a", "c+b", "(?m)b$"];
        let run = |reads: &[&[u8]]| {
            let (mut buffer, mut searcher, mut taken) = (StreamBuffer::new(), searcher(&patterns), Vec::new());
            for read in reads {
                buffer.append(read);
                while let Some(next) = buffer.search(&mut searcher) {
                    taken.push(next);
                }
            }
            let left = buffer.unread().to_vec();
            (taken, left)
        };
        let (taken, left) = run(&[&stream]);
        let joined: Vec<u8> = taken.iter().flat_map(|next| next.bytes.clone()).chain(left.clone()).collect();
        assert_eq!(joined, stream);
        for next in &taken {
            assert!(regex::bytes::Regex::new(patterns[next.pattern]).unwrap().is_match(next.matched().unwrap()));
        }
        assert_eq!(run(&random.cut(&stream, 7)), (taken, left));
    }
}

#[test]
fn each_byte_is_read_once() {
    let line = b"2024-05-01T00:00:00 node7 status=200 GET /a/b?c=0123456789abcdef01234567 done\n";
    let stream: Vec<u8> = line.iter().copied().cycle().take(1 << 20).collect();
    for pattern in
        ["nothing of the kind", "[0-9a-f]{24} ok", "(?s)node7.*never", r"status=\d+ [A-Z]+.*\d{6}!", "d[a-z]*x"]
    {
        for cut in [1, 7, 4096, stream.len()] {
            let mut searcher = searcher(&[pattern]);
            for read in stream.chunks(cut) {
                assert_eq!(searcher.feed(read), None);
            }
            assert_eq!(searcher.examined, stream.len() as u64, "{pattern} in reads of {cut}");
        }
    }
}

#[test]
fn a_search_whose_states_do_not_fit_is_right_all_the_same() {
    // 2^18 states: they are thrown away and made anew many times, also while looking ahead.
    let mut random = Random(7);
    let stream: Vec<u8> = (0..1 << 17).map(|_| b"ab"[random.below(2)]).chain(*b"c").collect();
    let patterns = ["a[ab]{17}c", "bb$"];
    let mut whole = searcher(&patterns);
    let one = all(&mut whole, &[&stream]);
    assert!(whole.clears() > 0);
    let mut cut = searcher(&patterns);
    assert_eq!(all(&mut cut, &random.cut(&stream, 30)), one);
    assert!(cut.clears() > 0);
    let last = stream[stream.len() - 19] == b'a';
    assert_eq!(one.len(), usize::from(last));
}

#[test]
fn a_match_longer_than_the_window() {
    let mut buffer = StreamBuffer::with_window(1000);
    let mut block = searcher(&["(?s)BEGIN.*END", r"(?m)^x"]);
    buffer.append(b"BEGIN");
    for _ in 0..100 {
        assert!(buffer.search(&mut block).is_none());
        buffer.append(&[b'.'; 100]);
        assert!(buffer.unread().len() <= 1100);
    }
    buffer.append(b"END\nx");
    let taken = buffer.search(&mut block).unwrap();
    assert_eq!((taken.pattern, taken.start, taken.dropped), (0, None, 10_008 - 5 + 5 - 1003));
    let error = taken.matched().unwrap_err();
    assert!(error.to_string().contains("window of 1000 bytes"), "{error}");
    assert_eq!(buffer.search(&mut block).unwrap().matched().unwrap(), b"x");
    assert!(buffer.unread().is_empty());
}

#[test]
fn a_buffer_serves_one_expect_after_another() {
    let mut buffer = StreamBuffer::new();
    let (mut first, mut second) = (searcher(&["^a.*z"]), searcher(&["^b", "c"]));
    buffer.append(b"abc");
    assert!(buffer.search(&mut first).is_none());
    assert_eq!(buffer.search(&mut second).unwrap().text(), "abc");
    buffer.append(b"z");
    // The first has lost what it had begun to match.
    assert!(buffer.search(&mut first).is_none());
    assert_eq!(buffer.take_all(), b"z");
    assert_eq!(buffer.dropped(), 0);
    buffer.append(b"b");
    assert_eq!(buffer.search(&mut searcher(&["^b$"])), None);
    assert_eq!(buffer.search_idle(&mut searcher(&["^b$"])).unwrap().start, Some(0));
}

#[test]
fn the_tail() {
    let mut buffer = StreamBuffer::new();
    assert_eq!(buffer.tail(3), "");
    buffer.append(b"one\ntwo\nthree\n");
    assert_eq!(buffer.tail(2), "two\nthree\n");
    assert_eq!(buffer.tail(0), "");
    assert_eq!(buffer.tail(9), "one\ntwo\nthree\n");
    buffer.append(b"$ ");
    assert_eq!(buffer.tail(1), "$ ");
    buffer.append("é".repeat(5000).as_bytes());
    let tail = buffer.tail(1);
    assert!(tail.starts_with("…é") && tail.len() < 4200);
}

#[test]
fn the_flags_of_a_compiled_regex_are_recovered() {
    let texts = [
        "password: ",
        "^a.b$",
        r"(?i)a\w+",
        "a # b\nc",
        r"\bk\b",
        "[^a]x",
        r"x{3,}?y|Z",
        "(?-s)a.(?s).",
        "7",
        "é.",
        "(",
    ];
    let flags = |bits: u32, n: u32| bits >> n & 1 == 1;
    for text in texts {
        for bits in 0..128 {
            let mut builder = regex::bytes::RegexBuilder::new(text);
            builder
                .case_insensitive(flags(bits, 0))
                .multi_line(flags(bits, 1))
                .dot_matches_new_line(flags(bits, 2))
                .ignore_whitespace(flags(bits, 3))
                .unicode(!flags(bits, 4))
                .crlf(flags(bits, 5))
                .swap_greed(flags(bits, 6));
            let Ok(regex) = builder.build() else { continue };
            let pattern = Pattern::from(&regex);
            assert!(pattern.check().is_ok(), "{text} {bits:b}");
            let same = regex_automata::meta::Builder::new()
                .configure(regex_automata::meta::Config::new().utf8_empty(false))
                .build_from_hir(pattern.hir().unwrap())
                .unwrap();
            let mut random = Random(u64::from(bits) + 1);
            for _ in 0..100 {
                let alphabet = [
                    "a",
                    "A",
                    "b",
                    "k",
                    "K",
                    "\u{212a}",
                    "x",
                    "xxxy",
                    "Z",
                    "é",
                    "É",
                    "\n",
                    "\r",
                    " ",
                    "#",
                    "c",
                    "7",
                    "password: ",
                ];
                let probe: String = (0..random.below(6)).map(|_| alphabet[random.below(alphabet.len())]).collect();
                assert_eq!(same.is_match(&probe), regex.is_match(probe.as_bytes()), "{text} {bits:b} {probe:?}");
            }
        }
    }
    let nul = regex::bytes::RegexBuilder::new("a.b").line_terminator(0).build().unwrap();
    assert!(Pattern::from(nul).check().unwrap_err().to_string().contains("flags"));
}
