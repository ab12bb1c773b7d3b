//! The expect engine: finding patterns in a stream of output, in one pass, as it arrives.
//!
//! * [`Pattern`]: what to look for; text, or a compiled regex with its flags.
//! * [`Searcher`]: several patterns in one pass over a stream of reads. It holds no output.
//! * [`StreamBuffer`]: the unread output of a terminal, for `send` and `expect`.
//!
//! What is found depends on the stream alone, never on how it was cut into reads: the match that **ends first** wins, and
//! of those with one end the first in the list. So a pattern's own greed at its end counts for nothing: in `port 8080`,
//! `\d+` ends at the `8`; say what comes after it (`\d+\s`). The rules and their reasons are in `docs/design/expect.md`
//! of the repository.
//!
//! ```
//! use otto::session::expect::{Pattern, Searcher};
//!
//! let mut searcher = Searcher::new(&[Pattern::from("login: "), Pattern::from(r"[$#] $")])?;
//! assert_eq!(searcher.feed(b"rack4 lo"), None);
//! assert_eq!(searcher.feed(b"gin: ").map(|found| (found.pattern, found.end)), Some((0, 13)));
//! assert_eq!(searcher.feed(b"root@rack4:~# "), None); // More may follow: `$` is decided by the next byte,
//! assert_eq!(searcher.idle().map(|found| found.pattern), Some(1)); // or by the stream's pause.
//! # Ok::<(), otto::Error>(())
//! ```

mod automaton;
mod flags;
mod pattern;
mod search;
mod window;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

pub use pattern::Pattern;
pub use search::{Found, Searcher};
pub use window::{StreamBuffer, Taken};
