//! Numbers for tests of any input: random, and the same again for the seed that a failure shows.

/// A generator whose seed is printed, so that `OTTO_SEED=… cargo test` repeats a failure.
pub(crate) struct Random(u64);

impl Random {
    /// With the seed of the environment variable `OTTO_SEED`, else a new one.
    pub(crate) fn new(what: &str) -> Self {
        let given = std::env::var("OTTO_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), what));
        eprintln!("{what}: OTTO_SEED={seed} repeats it");
        Self(seed | 1)
    }

    /// One below the bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    /// One of these.
    pub(crate) fn of<'a, T>(&mut self, these: &'a [T]) -> &'a T {
        &these[self.below(these.len())]
    }

    /// The bytes in pieces of any size up to the longest, empty ones too.
    pub(crate) fn cut<'b>(&mut self, mut bytes: &'b [u8], longest: usize) -> Vec<&'b [u8]> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(self.below(longest + 1).min(bytes.len()));
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }
}
