//! Who does what: one side of one option, negotiated so that it always comes to an end (RFC 1143, the "Q method").

/// Whether one side does something. The other half of a negotiation is in [`Want`](Self::WantYes) states: an answer is
/// owed to us, and `opposite` says that we have changed our mind since, which must not be said before that answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Side {
    /// It does not.
    #[default]
    No,
    /// It does.
    Yes,
    /// We asked it to stop.
    WantNo { opposite: bool },
    /// We asked it to begin.
    WantYes { opposite: bool },
}

/// What has to be said: yes (DO or WILL) or no (DONT or WONT), if anything.
pub(super) type Say = Option<bool>;

impl Side {
    /// We want it so from now on.
    pub(super) fn want(&mut self, on: bool) -> Say {
        let (now, say) = match (*self, on) {
            (Self::No, true) => (Self::WantYes { opposite: false }, Some(true)),
            (Self::Yes, false) => (Self::WantNo { opposite: false }, Some(false)),
            (Self::WantNo { .. }, on) => (Self::WantNo { opposite: on }, None),
            (Self::WantYes { .. }, on) => (Self::WantYes { opposite: !on }, None),
            (same, _) => (same, None),
        };
        *self = now;
        say
    }

    /// The other end said yes (WILL or DO); `agree` is what we think of that when it is the one who begins.
    pub(super) fn hears_yes(&mut self, agree: bool) -> Say {
        let (now, say) = match *self {
            Self::No if agree => (Self::Yes, Some(true)),
            Self::No => (Self::No, Some(false)),
            // A yes to a no is a mistake of theirs: taken as the no that was due, or as what we want by now.
            Self::WantNo { opposite: false } => (Self::No, None),
            Self::Yes | Self::WantNo { opposite: true } | Self::WantYes { opposite: false } => (Self::Yes, None),
            Self::WantYes { opposite: true } => (Self::WantNo { opposite: false }, Some(false)),
        };
        *self = now;
        say
    }

    /// The other end said no (WONT or DONT).
    pub(super) fn hears_no(&mut self) -> Say {
        let (now, say) = match *self {
            Self::No | Self::WantNo { opposite: false } | Self::WantYes { .. } => (Self::No, None),
            Self::Yes => (Self::No, Some(false)),
            Self::WantNo { opposite: true } => (Self::WantYes { opposite: false }, Some(true)),
        };
        *self = now;
        say
    }

    /// Whether it is so, said by both ends.
    pub(super) fn is_on(self) -> bool {
        self == Self::Yes
    }

    /// Whether an answer is owed to us.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::WantNo { .. } | Self::WantYes { .. })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const WANT_NO: Side = Side::WantNo { opposite: false };
    const WANT_NO_YES: Side = Side::WantNo { opposite: true };
    const WANT_YES: Side = Side::WantYes { opposite: false };
    const WANT_YES_NO: Side = Side::WantYes { opposite: true };

    #[test]
    fn the_table_of_rfc_1143() {
        for (before, what, after, say) in [
            (Side::No, "yes", Side::Yes, Some(true)),
            (Side::Yes, "yes", Side::Yes, None),
            (WANT_NO, "yes", Side::No, None),
            (WANT_NO_YES, "yes", Side::Yes, None),
            (WANT_YES, "yes", Side::Yes, None),
            (WANT_YES_NO, "yes", WANT_NO, Some(false)),
            (Side::No, "refused yes", Side::No, Some(false)),
            (Side::No, "no", Side::No, None),
            (Side::Yes, "no", Side::No, Some(false)),
            (WANT_NO, "no", Side::No, None),
            (WANT_NO_YES, "no", WANT_YES, Some(true)),
            (WANT_YES, "no", Side::No, None),
            (WANT_YES_NO, "no", Side::No, None),
            (Side::No, "on", WANT_YES, Some(true)),
            (Side::Yes, "on", Side::Yes, None),
            (WANT_NO, "on", WANT_NO_YES, None),
            (WANT_NO_YES, "on", WANT_NO_YES, None),
            (WANT_YES, "on", WANT_YES, None),
            (WANT_YES_NO, "on", WANT_YES, None),
            (Side::No, "off", Side::No, None),
            (Side::Yes, "off", WANT_NO, Some(false)),
            (WANT_NO, "off", WANT_NO, None),
            (WANT_NO_YES, "off", WANT_NO, None),
            (WANT_YES, "off", WANT_YES_NO, None),
            (WANT_YES_NO, "off", WANT_YES_NO, None),
        ] {
            let mut side = before;
            let said = match what {
                "yes" => side.hears_yes(true),
                "refused yes" => side.hears_yes(false),
                "no" => side.hears_no(),
                on => side.want(on == "on"),
            };
            assert_eq!((side, said), (after, say), "{before:?} {what}");
        }
    }

    #[test]
    fn two_ends_that_change_their_minds_come_to_rest() {
        // Every order of wishes on both sides, with answers that are under way when the next wish is said.
        for wishes in 0..1_u32 << 12 {
            let mut ends = [Side::No, Side::No];
            let mut under_way = [VecDeque::new(), VecDeque::new()];
            let mut wanted = [false; 2];
            for step in 0..4 {
                let bits = wishes >> (step * 3);
                let (end, on) = (usize::from(bits & 1 != 0), bits & 2 != 0);
                wanted[end] = on;
                under_way[1 - end].extend(ends[end].want(on));
                // Sometimes both speak before either hears.
                if bits & 4 != 0 {
                    settle(&mut ends, &mut under_way, wanted);
                }
            }
            settle(&mut ends, &mut under_way, wanted);
            assert_eq!(ends[0], ends[1], "{wishes:o}");
            assert!(!ends[0].is_open(), "{wishes:o}");
        }
    }

    fn settle(ends: &mut [Side; 2], under_way: &mut [VecDeque<bool>; 2], wanted: [bool; 2]) {
        for _ in 0..32 {
            for end in 0..2 {
                let Some(heard) = under_way[end].pop_front() else { continue };
                let say = if heard { ends[end].hears_yes(wanted[end]) } else { ends[end].hears_no() };
                under_way[1 - end].extend(say);
            }
        }
        assert!(under_way.iter().all(VecDeque::is_empty), "they never stop");
    }
}
