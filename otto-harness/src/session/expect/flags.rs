//! The flags a compiled regex was built with.
//!
//! A compiled regex gives back its text but not its flags, and it cannot be run over a stream. So it is asked: texts that
//! tell the flags apart are made from the pattern's own syntax, and the plainest set of flags that gives the regex's
//! answer to every one of them is taken.

use regex_automata::meta;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

/// No probe is longer, so that `x{1000}{1000}` costs nothing.
const LONGEST_PROBE: usize = 4096;
/// No part of a pattern gives more samples.
const MOST_SAMPLES: usize = 48;
/// What a probe stands in, so that `^`, `$` and `\b` show what they take for a border.
const SURROUNDINGS: [(&str, &str); 6] =
    [("", ""), ("a\n", "\na"), ("a\r\n", "\r\na"), ("a\r", "\ra"), ("é", "é"), (" ", " ")];

#[derive(Clone, Copy, PartialEq)]
enum Flag {
    CaseInsensitive,
    MultiLine,
    DotMatchesNewLine,
    IgnoreWhitespace,
    AsciiOnly,
    Crlf,
}

const FLAGS: [Flag; 6] = [
    Flag::CaseInsensitive,
    Flag::MultiLine,
    Flag::DotMatchesNewLine,
    Flag::IgnoreWhitespace,
    Flag::AsciiOnly,
    Flag::Crlf,
];

/// The syntax of `text` under the flags that make it match what `is_match` does. `None` if no flags do: a line terminator
/// other than `\n`, or octal escapes.
pub(super) fn recover(text: &str, utf8: bool, is_match: &dyn Fn(&[u8]) -> bool) -> Option<Hir> {
    let mut candidates: Vec<Hir> = Vec::new();
    for flags in sets(text, utf8) {
        if let Some(hir) = parse(text, utf8, &flags)
            && !candidates.contains(&hir)
        {
            candidates.push(hir);
        }
    }
    let mut answers: Vec<(Vec<u8>, bool)> = Vec::new();
    for sample in candidates.iter().flat_map(samples) {
        for (before, after) in SURROUNDINGS {
            let probe = [before.as_bytes(), &sample, after.as_bytes()].concat();
            // A `str` regex is never asked about other bytes, so it has no answer to give.
            if !utf8 || std::str::from_utf8(&probe).is_ok() {
                let answer = is_match(&probe);
                answers.push((probe, answer));
            }
        }
    }
    candidates.into_iter().find(|hir| {
        let config = meta::Config::new().utf8_empty(utf8).nfa_size_limit(Some(super::automaton::NFA_LIMIT));
        meta::Builder::new()
            .configure(config)
            .build_from_hir(hir)
            .is_ok_and(|regex| answers.iter().all(|(probe, answer)| regex.is_match(probe.as_slice()) == *answer))
    })
}

/// The sets of flags to try, the fewest flags first, of those that change the meaning of `text`.
fn sets(text: &str, utf8: bool) -> Vec<Vec<Flag>> {
    let plain = parse(text, utf8, &[]);
    let relevant: Vec<Flag> = FLAGS
        .into_iter()
        .filter(|flag| {
            let others: Vec<Flag> = FLAGS.into_iter().filter(|other| other != flag).collect();
            parse(text, utf8, &[*flag]) != plain || parse(text, utf8, &FLAGS) != parse(text, utf8, &others)
                // Verbose mode can hide a flag's whole subject in a comment, or bring one to light.
                || (*flag == Flag::IgnoreWhitespace && text.contains(|c: char| c.is_whitespace() || c == '#'))
        })
        .collect();
    let mut sets: Vec<Vec<Flag>> = (0..1_usize << relevant.len())
        .map(|bits| relevant.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, flag)| *flag).collect())
        .collect();
    sets.sort_by_key(Vec::len);
    sets
}

fn parse(text: &str, utf8: bool, flags: &[Flag]) -> Option<Hir> {
    ParserBuilder::new()
        .utf8(utf8)
        .case_insensitive(flags.contains(&Flag::CaseInsensitive))
        .multi_line(flags.contains(&Flag::MultiLine))
        .dot_matches_new_line(flags.contains(&Flag::DotMatchesNewLine))
        .ignore_whitespace(flags.contains(&Flag::IgnoreWhitespace))
        .unicode(!flags.contains(&Flag::AsciiOnly))
        .crlf(flags.contains(&Flag::Crlf))
        .build()
        .parse(text)
        .ok()
}

/// Texts that `hir` matches, its assertions aside: together they show each border of its classes and each of its branches.
fn samples(hir: &Hir) -> Vec<Vec<u8>> {
    let mut samples = match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![Vec::new()],
        HirKind::Literal(literal) => vec![literal.0.to_vec()],
        HirKind::Class(class) => of_class(class),
        HirKind::Capture(capture) => samples(&capture.sub),
        HirKind::Alternation(branches) => branches.iter().flat_map(samples).collect(),
        HirKind::Repetition(repetition) => {
            let least = repetition.min as usize;
            let mut all = Vec::new();
            for sample in samples(&repetition.sub) {
                // Longer ones could not become probes: do not even make them.
                if sample.len().saturating_mul(least.max(1)) <= LONGEST_PROBE {
                    all.push(sample.repeat(least.max(1)));
                }
            }
            if least == 0 {
                all.push(Vec::new());
            }
            all
        }
        HirKind::Concat(parts) => {
            let parts: Vec<_> = parts.iter().map(samples).collect();
            if parts.iter().any(Vec::is_empty) {
                return Vec::new();
            }
            let most = parts.iter().map(Vec::len).max().unwrap_or(0);
            (0..most).map(|at| parts.iter().flat_map(|part| &part[at % part.len()]).copied().collect()).collect()
        }
    };
    samples.retain(|sample| sample.len() <= LONGEST_PROBE);
    samples.truncate(MOST_SAMPLES);
    samples
}

fn of_class(class: &Class) -> Vec<Vec<u8>> {
    match class {
        Class::Unicode(class) => {
            let has = |c: char| class.ranges().iter().any(|range| range.start() <= c && c <= range.end());
            let mut chars: Vec<char> =
                ['\n', '\r', 'k', 'K', 'é', '\u{212a}'].into_iter().filter(|c| has(*c)).collect();
            chars.extend(class.ranges().first().map(regex_syntax::hir::ClassUnicodeRange::start));
            chars.extend(class.ranges().last().map(regex_syntax::hir::ClassUnicodeRange::end));
            chars.into_iter().map(|c| c.to_string().into_bytes()).collect()
        }
        Class::Bytes(class) => {
            let has = |b: u8| class.ranges().iter().any(|range| range.start() <= b && b <= range.end());
            let mut bytes: Vec<u8> = [b'\n', b'\r', b'k', b'K', 0xff].into_iter().filter(|b| has(*b)).collect();
            bytes.extend(class.ranges().first().map(regex_syntax::hir::ClassBytesRange::start));
            bytes.extend(class.ranges().last().map(regex_syntax::hir::ClassBytesRange::end));
            bytes.into_iter().map(|b| vec![b]).collect()
        }
    }
}
