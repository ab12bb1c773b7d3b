//! The search with random patterns on random streams in random splits, against the rules spelt out.

use super::tests::{all, by_definition, searcher};
use crate::fuzz::Random;

/// A pattern of the given depth, over few letters, so that it matches often.
fn pattern(random: &mut Random, depth: usize) -> String {
    let atoms = ["a", "b", "c", "ab", ".", "[ab]", "[^a]", r"\n", r"\w", r"\s", "é", "(?i:a)", "(?s:.)"];
    let looks = ["^", "$", "(?m:^)", "(?m:$)", r"\b", r"\B"];
    if depth == 0 {
        return (*random.of(&atoms)).to_owned();
    }
    let below = pattern(random, depth - 1);
    match random.below(9) {
        0 => format!("{below}{}", pattern(random, depth - 1)),
        1 => format!("(?:{below}|{})", pattern(random, depth - 1)),
        2 => format!("(?:{below})*{}", random.of(&atoms)),
        3 => format!("(?:{below})+?"),
        4 => format!("(?:{below}){{1,3}}"),
        5 => format!("(?:{below})?{}", random.of(&atoms)),
        6 => format!("{}{below}", random.of(&looks)),
        7 => format!("{below}{}", random.of(&looks)),
        _ => format!("({below})"),
    }
}

#[test]
fn random_patterns_on_random_streams_find_what_the_rules_say_in_any_split() {
    let mut random = Random::new("random_patterns_on_random_streams_find_what_the_rules_say_in_any_split");
    let alphabet: [&[u8]; 9] = [b"a", b"b", b"c", b"A", b"\n", b"\r\n", b" ", "é".as_bytes(), b"\xff"];
    let (mut rounds, mut matches) = (0, 0);
    while rounds < 400 {
        let depth = random.below(4);
        let patterns: Vec<String> = (0..=random.below(3)).map(|_| pattern(&mut random, depth)).collect();
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
        // Those that match nothing at all are refused as answers, and have no place where they match first.
        if patterns.iter().any(|one| crate::session::Pattern::from(*one).matches_empty()) {
            continue;
        }
        rounds += 1;
        let length = random.below(24);
        let stream: Vec<u8> = (0..length).flat_map(|_| random.of(&alphabet).iter().copied()).collect();
        let shown = stream.escape_ascii().to_string();
        let whole = all(&mut searcher(&patterns), &[&stream]);
        assert_eq!(whole, by_definition(&patterns, &stream), "{patterns:?} in {shown}");
        let pieces = random.cut(&stream, 5);
        assert_eq!(all(&mut searcher(&patterns), &pieces), whole, "{patterns:?} in {shown}, cut as {pieces:?}");
        matches += whole.len();
    }
    assert!(matches > 400, "only {matches} matches, which shows little");
}
