//! Patterns on the ids of hosts.

use regex::Regex;

use crate::error::{Error, ErrorKind, Result};

/// The regex that matches a whole id or nothing.
///
/// # Errors
/// [`ErrorKind::Invalid`] if the pattern is no regex.
pub(crate) fn full_match(pattern: &str) -> Result<Regex> {
    let refused = |error: regex::Error| {
        Error::new(ErrorKind::Invalid, format!("the pattern `{pattern}` is not a regex")).caused_by(error)
    };
    // By itself first: `a)(b` must not become one by what is put around it.
    Regex::new(pattern).map_err(refused)?;
    // The line break ends a comment, which `(?x)` allows; without `(?x)` the first form is right.
    let plain = Regex::new(&format!(r"\A(?:{pattern})\z"));
    plain.or_else(|_| Regex::new(&format!("\\A(?:{pattern}\n)\\z"))).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_matched_in_full() {
        let fits = |pattern: &str, id: &str| full_match(pattern).unwrap().is_match(id);
        assert!(fits("router.*", "router1") && !fits("router", "router1") && !fits("outer.*", "router1"));
        assert!(fits("a|ab", "ab") && fits("(?i)ROUTER1", "router1") && !fits("a$", "a\n"));
        assert!(fits("(?x) router \\d # any", "router1"));
        assert_eq!(full_match("a)(b").unwrap_err().kind(), ErrorKind::Invalid);
    }
}
