//! The automata that search: lazy DFAs, forward for the end of a match and backward for its start.

use regex_automata::hybrid::dfa::{Builder, Cache, Config, DFA};
use regex_automata::hybrid::{BuildError, LazyStateID};
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::prefilter::Prefilter;
use regex_automata::util::start;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{Capture, Hir, HirKind, Look, Repetition};

/// What a pattern may take when compiled: as much as the regex crate allows.
pub(super) const NFA_LIMIT: usize = 10 << 20;
/// What the states of one search may take before they are thrown away and built anew.
const STATES_LIMIT: usize = 2 << 20;
/// A byte of each kind that a look ahead can tell: both line ends, a letter, anything else.
pub(super) const KINDS: [u8; 4] = [b'\n', b'\r', b'a', b' '];

/// The patterns as one NFA.
pub(super) fn compile(patterns: &[&Hir]) -> Result<NFA, Box<thompson::BuildError>> {
    nfa(patterns, false)
}

fn nfa(patterns: &[&Hir], reverse: bool) -> Result<NFA, Box<thompson::BuildError>> {
    let hirs: Vec<Hir> = patterns.iter().map(|hir| ascii_words(hir)).collect();
    let config = thompson::Config::new()
        .utf8(false)
        .reverse(reverse)
        .which_captures(WhichCaptures::None)
        .nfa_size_limit(Some(NFA_LIMIT));
    thompson::Compiler::new().configure(config).build_many_from_hir(&hirs).map_err(Box::new)
}

/// Unicode words need more than one byte of sight, which no DFA has. ASCII words cost nothing.
fn ascii_words(hir: &Hir) -> Hir {
    if !hir.properties().look_set().contains_word_unicode() {
        return hir.clone();
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) => hir.clone(),
        HirKind::Look(look) => Hir::look(match look {
            Look::WordUnicode => Look::WordAscii,
            Look::WordUnicodeNegate => Look::WordAsciiNegate,
            Look::WordStartUnicode => Look::WordStartAscii,
            Look::WordEndUnicode => Look::WordEndAscii,
            Look::WordStartHalfUnicode => Look::WordStartHalfAscii,
            Look::WordEndHalfUnicode => Look::WordEndHalfAscii,
            other => *other,
        }),
        HirKind::Repetition(part) => {
            Hir::repetition(Repetition { sub: Box::new(ascii_words(&part.sub)), ..part.clone() })
        }
        HirKind::Capture(part) => Hir::capture(Capture { sub: Box::new(ascii_words(&part.sub)), ..part.clone() }),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(ascii_words).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(ascii_words).collect()),
    }
}

/// Whether the end of a match can hang on what follows it (`$`, `\b`), so that it is not known until more has come.
pub(super) fn looks_ahead(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) => false,
        HirKind::Look(look) => !matches!(look, Look::Start | Look::StartLF),
        HirKind::Repetition(part) => looks_ahead(&part.sub),
        HirKind::Capture(part) => looks_ahead(&part.sub),
        HirKind::Alternation(parts) => parts.iter().any(looks_ahead),
        HirKind::Concat(parts) => {
            for part in parts.iter().rev() {
                if looks_ahead(part) {
                    return true;
                }
                // What takes up room keeps all before it from the end.
                if part.properties().minimum_len().is_none_or(|least| least > 0) {
                    return false;
                }
            }
            false
        }
    }
}

/// What every match of every pattern starts with, if there is a fast search for that.
pub(super) fn prefilter(patterns: &[&Hir]) -> Option<Prefilter> {
    Prefilter::from_hirs_prefix(MatchKind::LeftmostFirst, patterns).filter(Prefilter::is_fast)
}

/// A lazy DFA with its states, and one place in it.
#[derive(Clone)]
pub(super) struct Automaton {
    dfa: DFA,
    cache: Cache,
    state: LazyStateID,
    /// More than a few states can take: with less than this left, a look ahead could throw the current state away.
    spare: usize,
    capacity: usize,
}

impl Automaton {
    /// At the start of a text. With `mark_start`, [`at_start`](Self::at_start) tells when nothing is in progress.
    pub(super) fn new(nfa: NFA, mark_start: bool) -> Result<Self, Box<BuildError>> {
        let config = Config::new().match_kind(MatchKind::All).specialize_start_states(mark_start);
        let spare = config.get_minimum_cache_capacity(&nfa)?.saturating_mul(2);
        let capacity = STATES_LIMIT.max(spare.saturating_mul(4));
        let dfa = Builder::new().configure(config.cache_capacity(capacity)).build_from_nfa(nfa)?;
        let mut cache = dfa.create_cache();
        let state = start(&dfa, &mut cache, None);
        Ok(Self { dfa, cache, state, spare, capacity })
    }

    pub(super) fn nfa(&self) -> &NFA {
        self.dfa.get_nfa()
    }

    /// To the start, after the byte `before`; with none, at the start of a text.
    pub(super) fn restart(&mut self, before: Option<u8>) {
        self.state = start(&self.dfa, &mut self.cache, before);
    }

    /// Whether nothing will ever match.
    pub(super) fn is_dead(&self) -> bool {
        self.state.is_dead()
    }

    /// Whether no match is in progress.
    pub(super) fn at_start(&self) -> bool {
        self.state.is_start()
    }

    /// Whether a pattern matches up to the byte that was read last, which is not part of it.
    pub(super) fn is_match(&self) -> bool {
        self.state.is_match()
    }

    /// The first pattern in the list that matches here.
    pub(super) fn first(&self) -> Option<usize> {
        patterns(&self.dfa, &self.cache, self.state).min()
    }

    /// Reads `bytes` until there is something to look at, a match or the start state, and gives the number of bytes read.
    /// Always reads at least one of them.
    pub(super) fn read(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        // A tagged state must not take the fast way, which checks nothing.
        if !self.state.is_tagged() {
            let mut state = self.state;
            while let Some(byte) = bytes.get(at) {
                let next = self.dfa.next_state_untagged(&self.cache, state, *byte);
                if next.is_tagged() {
                    break;
                }
                state = next;
                at += 1;
            }
            self.state = state;
        }
        if let Some(byte) = bytes.get(at) {
            self.state = sure(self.dfa.next_state(&mut self.cache, self.state, *byte));
            at += 1;
        }
        at
    }

    /// For each byte, whether a match can start with it. Only for an automaton that marks its start.
    pub(super) fn first_bytes(&mut self) -> [bool; 256] {
        let mut first = [false; 256];
        for before in [None].into_iter().chain(KINDS.map(Some)) {
            for byte in 0..=u8::MAX {
                self.restart(before);
                self.state = sure(self.dfa.next_state(&mut self.cache, self.state, byte));
                first[usize::from(byte)] |= !self.at_start();
            }
        }
        self.restart(None);
        first
    }

    /// How often the states were thrown away.
    #[cfg(test)]
    pub(super) fn clears(&self) -> usize {
        self.cache.clear_count()
    }

    /// The patterns that match up to here if this byte, or with none the end, comes next.
    pub(super) fn peek(&mut self, next: Option<u8>) -> Vec<usize> {
        if self.is_dead() {
            return Vec::new();
        }
        // A full cache is emptied, and the current state's name with it: let that happen to a copy.
        let mut copy = None;
        let cache = if self.cache.memory_usage() + self.spare > self.capacity {
            copy.insert(self.cache.clone())
        } else {
            &mut self.cache
        };
        let state = sure(match next {
            Some(byte) => self.dfa.next_state(cache, self.state, byte),
            None => self.dfa.next_eoi_state(cache, self.state),
        });
        patterns(&self.dfa, cache, state).collect()
    }
}

/// Finds where a match of one pattern starts, from its end.
#[derive(Clone)]
pub(super) struct Backward {
    dfa: DFA,
    cache: Cache,
}

impl Backward {
    /// `None` if it would be too large.
    pub(super) fn new(pattern: &Hir) -> Option<Self> {
        let nfa = nfa(&[pattern], true).ok()?;
        let config = Config::new().match_kind(MatchKind::All);
        let least = config.get_minimum_cache_capacity(&nfa).ok()?;
        let config = config.cache_capacity(STATES_LIMIT.max(least.saturating_mul(4)));
        let dfa = Builder::new().configure(config).build_from_nfa(nfa).ok()?;
        let cache = dfa.create_cache();
        Some(Self { dfa, cache })
    }

    /// The first place from `from` on where a match that ends at `end` starts. What is before `from` in `text` and after
    /// `end` is seen by `^` and `\b`.
    pub(super) fn start(&mut self, text: &[u8], from: usize, end: usize) -> Option<usize> {
        let input = Input::new(text).range(from..end).anchored(Anchored::Yes);
        Some(self.dfa.try_search_rev(&mut self.cache, &input).ok()??.offset())
    }
}

fn start(dfa: &DFA, cache: &mut Cache, before: Option<u8>) -> LazyStateID {
    sure(dfa.start_state(cache, &start::Config::new().anchored(Anchored::No).look_behind(before)))
}

fn patterns(dfa: &DFA, cache: &Cache, state: LazyStateID) -> impl Iterator<Item = usize> {
    let count = if state.is_match() { dfa.match_len(cache, state) } else { 0 };
    (0..count).map(move |at| dfa.match_pattern(cache, state, at).as_usize())
}

/// A lazy DFA fails on bytes it was told to quit at and when told to give up on a full cache. These never are.
fn sure<T, E: std::fmt::Display>(step: Result<T, E>) -> T {
    step.unwrap_or_else(|error| unreachable!("a lazy DFA without limits stopped: {error}"))
}
