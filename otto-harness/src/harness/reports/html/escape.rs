//! Text of others in a page of ours.

use std::fmt;

use crate::context::spell_out;

/// Text as HTML shows it, as content and between quotes: no markup, and no character that acts on whoever reads it.
/// Line endings and tabs stay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'t>(pub(super) &'t str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, line) in self.0.split('\n').enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            let line = spell_out(line);
            let mut rest = &*line;
            while let Some(at) = rest.find(['&', '<', '>', '"', '\'', '`', '\u{fffe}', '\u{ffff}']) {
                f.write_str(&rest[..at])?;
                let mut chars = rest[at..].chars();
                f.write_str(match chars.next() {
                    Some('&') => "&amp;",
                    Some('<') => "&lt;",
                    Some('>') => "&gt;",
                    Some('"') => "&quot;",
                    Some('\'') => "&#39;",
                    Some('`') => "&#96;",
                    _ => "\u{fffd}",
                })?;
                rest = chars.as_str();
            }
            f.write_str(rest)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::reports::samples::HOSTILE;

    #[test]
    fn nothing_of_it_is_markup() {
        assert_eq!(Text("a<b>&\"'`\tc\nd").to_string(), "a&lt;b&gt;&amp;&quot;&#39;&#96;\tc\nd");
        let shown = Text(HOSTILE).to_string();
        assert!(
            !shown.contains(['<', '>', '"', '\'', '`', '\0', '\u{1b}', '\u{202e}', '\u{2028}', '\u{ffff}']),
            "{shown}"
        );
        assert!(shown.contains("\\x00") && shown.contains("\u{1f4a5}"));
    }
}
