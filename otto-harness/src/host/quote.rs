//! Arguments as words of a shell.

use std::borrow::Cow;

/// `text` as one word of a Bourne shell, whatever is in it. Text that is a plain word stays as it is.
///
/// ```
/// use otto::host::sh_quote;
/// assert_eq!(sh_quote("plain-1.0/x"), "plain-1.0/x");
/// assert_eq!(sh_quote("two words"), "'two words'");
/// assert_eq!(sh_quote("it's"), r"'it'\''s'");
/// assert_eq!(sh_quote(""), "''");
/// ```
#[must_use]
pub fn sh_quote(text: &str) -> Cow<'_, str> {
    // Not `~` or `=`: they mean something at the start of a word.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | ',' | '+' | '@' | '%');
    if !text.is_empty() && text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_expand_is_quoted() {
        for text in ["$HOME", "a*", "~", "x=1", "a b", "a\nb", "!", "#c", "a;b", "\\", "é"] {
            assert_eq!(sh_quote(text), format!("'{text}'"));
        }
    }

    #[test]
    fn a_shell_reads_it_back() {
        let all: String = (1..=255_u8).map(char::from).collect();
        let script = format!("printf %s {}", sh_quote(&all));
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(output.stdout, all.as_bytes());
    }
}
