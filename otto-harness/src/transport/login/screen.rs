//! What the host wrote so far, as a person would read it: [`Screen`].

use regex::bytes::Regex;

use super::script::LoginScript;
use crate::transport::hidden::Hidden;

/// How much of what was written is kept.
const KEPT: usize = 64 << 10;

/// How much of it may be a question: prompts are short, and looking at all of it again and again would be slow.
const LOOKED_AT: usize = 4 << 10;

/// What the end of the screen asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing was written since the last answer, or only empty lines.
    Nothing,
    /// The user name.
    Name,
    /// The password.
    Password,
    /// A command.
    Command,
    /// We were told that we are not let in.
    Refused,
    /// Something else.
    Unknown,
}

/// The last of what the host wrote.
#[derive(Debug, Default)]
pub(super) struct Screen {
    bytes: Vec<u8>,
    /// Where in `bytes` that begins which came since the last answer.
    mark: usize,
    /// Whether anything was ever written.
    written: bool,
    /// Whether all of the last line came in the last piece, and no line end after it.
    whole: bool,
}

impl Screen {
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.written |= !piece.is_empty();
        // What a line editor says to the terminal before its prompt is no part of the line.
        let begins = plain(self.fresh()).last().is_none_or(|last| *last == b'\n');
        self.whole = (begins || piece.contains(&b'\n')) && !piece.ends_with(b"\n");
        self.bytes.extend_from_slice(piece);
        if self.bytes.len() > 2 * KEPT {
            let gone = self.bytes.len() - KEPT;
            self.bytes.drain(..gone);
            self.mark = self.mark.saturating_sub(gone);
        }
    }

    /// Whether the last line came at once, and so is not one of which more is to come.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    pub(super) fn is_blank(&self) -> bool {
        !self.written
    }

    /// What was written up to here has been answered.
    pub(super) fn answered(&mut self) {
        self.mark = self.bytes.len();
    }

    /// The raw end of what was written since the last answer.
    pub(super) fn fresh(&self) -> &[u8] {
        let from = self.mark.max(self.bytes.len().saturating_sub(LOOKED_AT));
        &self.bytes[from..]
    }

    /// What the end of it asks for. `expects_verdict`: whether something was answered, so that a refusal is one of us.
    pub(super) fn asked(&self, script: &LoginScript, expects_verdict: bool) -> Asked {
        let text = plain(self.fresh());
        if text.trim_ascii().is_empty() {
            return Asked::Nothing;
        }
        // With a line end, so that the pattern can ask for a whole line; without one it may be a line half written.
        if expects_verdict && script.failure.is_match(&text) {
            return Asked::Refused;
        }
        let from = memchr::memrchr(b'\n', text.trim_ascii_end()).map_or(0, |at| at + 1);
        let line = &text[from..];
        // `Last login:` with the rest still on its way is what sshd and login say after letting somebody in.
        let last_login = line.trim_ascii_start().to_ascii_lowercase().starts_with(b"last ");
        if ends_with(&script.password_prompt, line) {
            Asked::Password
        } else if ends_with(&script.login_prompt, line) && !last_login {
            Asked::Name
        } else if ends_with(&script.shell_prompt, line) {
            Asked::Command
        } else {
            Asked::Unknown
        }
    }

    /// The last lines, for an error. No control character of the host reaches the reader's terminal, and the password
    /// does not appear, even when the host wrote it back.
    pub(super) fn last_lines(&self, script: &LoginScript, count: usize) -> Vec<String> {
        let from = self.bytes.len().saturating_sub(LOOKED_AT);
        let mut text = String::from_utf8_lossy(&plain(&self.bytes[from..])).into_owned();
        if let Some(password) = script.password.as_ref().map(Hidden::expose).filter(|word| !word.is_empty()) {
            text = text.replace(password, "…");
        }
        let mut lines: Vec<String> = text
            .lines()
            .map(|line| line.chars().filter(|c| !c.is_control()).take(200).collect::<String>())
            .map(|line| line.trim_end().to_owned())
            .filter(|line| !line.is_empty())
            .collect();
        lines.split_off(lines.len().saturating_sub(count))
    }
}

/// Whether the pattern matches up to the end of the line.
fn ends_with(pattern: &Regex, line: &[u8]) -> bool {
    pattern.find_iter(line).any(|found| line[found.end()..].trim_ascii().is_empty() && !found.is_empty())
}

/// The text without escape sequences, NUL and the like, and with one kind of line end.
pub(super) fn plain(bytes: &[u8]) -> Vec<u8> {
    const ESCAPE: u8 = 0x1b;
    let mut text = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            ESCAPE => match rest.next() {
                Some(b'[') => while rest.next().is_some_and(|byte| !(0x40..=0x7e).contains(&byte)) {},
                // A title or the like, up to BEL or the string terminator.
                Some(b']' | b'P' | b'_' | b'^') => {
                    while let Some(byte) = rest.next() {
                        if byte == 7 || (byte == ESCAPE && rest.next_if_eq(&b'\\').is_some()) {
                            break;
                        }
                    }
                }
                Some(b'(' | b')' | b'#' | b'%') => drop(rest.next()),
                _ => {}
            },
            b'\r' => {
                while rest.next_if_eq(&b'\r').is_some() {}
                // A line that starts again from its left, as a line editor's does, is a line of its own.
                rest.next_if_eq(&b'\n');
                text.push(b'\n');
            }
            8 => drop(text.pop_if(|byte| *byte != b'\n')),
            b'\n' | b'\t' | 0x20..=0x7e | 0x80.. => text.push(byte),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Asked {
        let mut screen = Screen::default();
        screen.push(text.as_bytes());
        screen.asked(&LoginScript::new(Some("u".into()), Some("secret".into())), true)
    }

    #[test]
    fn questions_as_hosts_ask_them() {
        for text in ["login: ", "\r\nbox login:", "Username:", "\x1b[1mUser Name: \x1b[0m", "router login (tty1): "] {
            assert_eq!(asked(text), Asked::Name, "{text:?}");
        }
        for text in ["Password: ", "Enter passphrase for key 'x': ", "admin's password:", "\r\nPASSCODE:\r\n"] {
            assert_eq!(asked(text), Asked::Password, "{text:?}");
        }
        for text in ["$ ", "root@box:~# ", "\x1b]0;title\x07\x1b[32mbox\x1b[0m> ", "%", "\r\x1b[K❯ "] {
            assert_eq!(asked(text), Asked::Command, "{text:?}");
        }
        for text in ["Last login: ", "Last failed login:", "Welcome", "login: x", "Password: wait", "C:\\"] {
            assert_eq!(asked(text), Asked::Unknown, "{text:?}");
        }
        assert_eq!(asked("\r\n \0\r\n"), Asked::Nothing);
    }

    #[test]
    fn a_pattern_may_name_the_space_behind_the_prompt() {
        let mut script = LoginScript::new(None, None);
        script.login_prompt = Regex::new("Who goes there\\? $").unwrap();
        let mut screen = Screen::default();
        screen.push(b"\r\nWho goes there? ");
        assert_eq!(screen.asked(&script, false), Asked::Name);
    }

    #[test]
    fn a_refusal_is_a_line_of_its_own() {
        for text in [
            "\r\nLogin incorrect\r\nbox login: ",
            "% Login invalid\r\n",
            "% Bad passwords\r\n",
            "Permission denied, please try again.\r\n",
            "\nAuthentication failed.\n",
        ] {
            assert_eq!(asked(text), Asked::Refused, "{text:?}");
        }
        for text in ["bash: /x: Permission denied\r\n", "Unauthorized access denied by law.\r\n", "Login incorrect"] {
            assert_ne!(asked(text), Asked::Refused, "{text:?}");
        }
    }

    #[test]
    fn the_end_counts_and_a_flood_is_cut() {
        let mut screen = Screen::default();
        for _ in 0..40_000 {
            screen.push(b"login: x\n");
        }
        assert!(screen.bytes.len() <= 2 * KEPT);
        screen.answered();
        let script = LoginScript::new(None, None);
        assert_eq!(screen.asked(&script, false), Asked::Nothing);
        screen.push(b"log");
        assert_eq!(screen.asked(&script, false), Asked::Unknown);
        screen.push(b"in: ");
        assert_eq!(screen.asked(&script, false), Asked::Name);
    }

    #[test]
    fn the_password_is_not_among_the_last_lines() {
        let mut screen = Screen::default();
        screen.push(b"one\r\nPassword: secret\r\n\x1b[31mtwo\x07\r\n");
        let lines = screen.last_lines(&LoginScript::new(None, Some("secret".into())), 2);
        assert_eq!(lines, ["Password: …", "two"]);
    }
}
