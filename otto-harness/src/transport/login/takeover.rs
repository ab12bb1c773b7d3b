//! The line that puts a plain shell in the place of the account's.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::Arrived;

/// The longest that the line may be: a terminal in canonical mode holds 4,095 bytes that nobody has read yet, and
/// [`COPIES`] of the line have to fit, because a line that is cut in the middle would do something else.
const LONGEST: usize = 500;

/// How many copies of the line may wait for a shell that does not read yet.
pub(super) const COPIES: usize = 8;

/// The line that starts a shell, in copies that can be told apart.
#[derive(Debug)]
pub(super) struct Takeover {
    token: String,
    /// How many copies were made.
    pub(super) copies: u32,
}

impl Takeover {
    pub(super) fn new() -> Self {
        // Tells this login from what an earlier one left on the screen; nothing has to be secret about it.
        let random = getrandom::u32().unwrap_or_else(|_| std::process::id());
        Self { token: format!("{random:x}"), copies: 0 }
    }

    /// The next copy.
    ///
    /// sh, bash, zsh, ksh, csh and fish read it alike: one word in single quotes without `!`, `\` and `'`. What bash and
    /// tcsh would save of their history when they are replaced goes nowhere, and a leading space keeps the line out of a history that
    /// ignores such. The greeting that its output holds is not in its text, so no echo of it can be taken for one.
    ///
    /// The copies that were typed before a shell read the first are read away: a line editor that ends leaves them as one
    /// chunk, and a shell that reads such a chunk and is replaced takes a part of it along. A copy that the new shell does
    /// read, because it came later, starts a shell once more, which greets once more. The first copy, which mostly is the only
    /// one, leaves that to those.
    ///
    /// It ends in LF, and not CR as Enter would: a line that a shell's editor left unread is read again by a terminal in
    /// another mode, which would not take a CR for its end.
    pub(super) fn next_copy(&mut self) -> Vec<u8> {
        self.copies += 1;
        let others = if self.copies == 1 { "" } else { "stty -icanon min 0 time 0 2>/dev/null && cat >/dev/null; " };
        let line = format!(
            " unset HISTFILE savehist; exec sh -c '{others}stty sane 2>/dev/null; \
             unset ENV BASH_ENV TMOUT PROMPT_COMMAND; export HISTFILE=/dev/null; \
             read p c s d g r 2>/dev/null </proc/$$/stat; b=sh; \
             command -v bash >/dev/null 2>&1 && b=bash && export OTTO_SHELL=bash; \
             echo; echo otto-\"process\" $$ ${{g:-0}} $b {}.{}; exec sh -i'\n",
            self.token, self.copies
        );
        debug_assert!(line.len() <= LONGEST);
        line.into_bytes()
    }

    /// The last greeting in the text, and of which copy it is.
    pub(super) fn greeting(&self, text: &[u8]) -> Option<(u32, Arrived)> {
        static GREETING: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"otto-process (\d+) (\d+) (bash|sh) ([0-9a-f]+)\.(\d+)\r*\n").expect("a constant pattern")
        });
        let found = GREETING.captures_iter(text).filter(|found| &found[4] == self.token.as_bytes()).last()?;
        let number = |at: usize| std::str::from_utf8(&found[at]).ok()?.parse::<u32>().ok();
        let pid = number(1)?;
        let group = number(2).filter(|group| *group == pid);
        Some((number(5)?, Arrived { pid, group, bash: &found[3] == b"bash" }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_copies_fit_into_a_terminal_and_none_is_a_greeting() {
        let mut takeover = Takeover { token: "ffffffff".into(), copies: 90 };
        let line = takeover.next_copy();
        assert!(line.len() <= LONGEST && line.len() * COPIES < 4095, "{}", line.len());
        assert!(takeover.greeting(&line).is_none());
        assert_eq!(String::from_utf8_lossy(&line).matches('\'').count(), 2);
        assert!(!line.iter().any(|byte| b"!\\`".contains(byte)));
    }

    #[test]
    fn only_greetings_of_this_login_count_and_the_last_of_them() {
        let takeover = Takeover { token: "ab".into(), copies: 2 };
        let text = b"\r\notto-process 7 7 bash ab.1\r\n$ \notto-process 8 9 sh ab.2\r\r\notto-process 1 1 sh cd.9\n";
        assert_eq!(takeover.greeting(text), Some((2, Arrived { pid: 8, group: None, bash: false })));
        assert_eq!(takeover.greeting(&text[..30]).map(|(copy, _)| copy), Some(1));
        assert_eq!(takeover.greeting(&text[..24]), None);
    }
}
