//! The forms in which a secret appears in text.

use std::fmt::Write as _;

use super::SHORTEST;

/// The shortest line of a secret of several lines that counts as a secret by itself: shorter ones are often punctuation.
const LINE: usize = 8;

/// A secret as it is compared: without line endings at its end, which a file or a variable often has.
pub(super) fn trimmed(secret: &str) -> &str {
    secret.trim_end_matches(['\n', '\r'])
}

/// Every form of a secret that is long enough to be taken out.
pub(super) fn of(secret: &str) -> Vec<Vec<u8>> {
    let whole = trimmed(secret);
    let mut forms = Vec::new();
    add(whole, &mut forms);
    if whole.contains('\n') {
        let unix = whole.replace("\r\n", "\n");
        add(&unix, &mut forms);
        add(&unix.replace('\n', "\r\n"), &mut forms);
        // Where only some lines of a text are shown, the secret is not there as a whole.
        for line in unix.lines().filter(|line| line.len() >= LINE) {
            add(line, &mut forms);
        }
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

fn add(secret: &str, forms: &mut Vec<Vec<u8>>) {
    // What a shell's quoting makes of it: 'it'\''s', 'it'"'"'s', it\'s, "a\$b"; then Rust's and JSON's escapes, as in the
    // message of a failed assertion; then URLs.
    let quoted_by = |quote: &str| secret.replace('\'', quote);
    let with_backslashes = |special: fn(char) -> bool| {
        let escape = |c: char| [special(c).then_some('\\'), Some(c)].into_iter().flatten();
        secret.chars().flat_map(escape).collect::<String>()
    };
    forms.push(secret.as_bytes().to_vec());
    for form in [
        quoted_by(r"'\''"),
        quoted_by(r#"'"'"'"#),
        with_backslashes(|c| !(c.is_alphanumeric() || "_-./:,+@%=".contains(c))),
        with_backslashes(|c| "\"\\$`".contains(c)),
        with_backslashes(|c| "\"\\".contains(c)),
        secret.escape_debug().to_string(),
        percent_encoded(secret),
    ] {
        if form.as_bytes() != secret.as_bytes() {
            forms.push(form.into_bytes());
        }
    }
}

fn percent_encoded(secret: &str) -> String {
    let mut text = String::new();
    for byte in secret.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}
