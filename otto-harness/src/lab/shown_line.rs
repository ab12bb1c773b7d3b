//! A line of a lab file as an error may show it: with nothing in it that may be secret.
//!
//! What is shown is what is known to be harmless, not what is left when passwords are taken out: a password stands wherever
//! a mistake put it, under a key that is misspelt or without its quotes.

use std::ops::Range;

use crate::mistake::Line;

/// Fields whose values are no secrets, of all files that are read by `lab`.
const OPEN: &[&str] = &[
    "arch",
    "backend",
    "base",
    "baud",
    "board",
    "cols",
    "column",
    "connect_timeout",
    "data_bits",
    "default",
    "device",
    "dial",
    "element",
    "element_id",
    "end",
    "endpoints",
    "env",
    "expires",
    "file",
    "flow",
    "hop",
    "host",
    "host_key",
    "host_key_check",
    "id",
    "impair",
    "interface",
    "ip",
    "keepalive_count_max",
    "keepalive_interval",
    "key_file",
    "known_hosts",
    "lab",
    "labs",
    "login",
    "login_timeout",
    "name",
    "os_name",
    "os_type",
    "os_version",
    "parity",
    "path",
    "paths",
    "port",
    "protocol",
    "rack",
    "resources",
    "rows",
    "server",
    "shelf",
    "simulated",
    "site",
    "slot",
    "start",
    "stop_bits",
    "tags",
    "term",
    "user",
    "valid_terms",
    "valid_transfers",
    "version",
    "write_chunk",
    "write_pause",
];

/// How much of a long line is kept on either side of the mark.
const AROUND: usize = 100;

/// The line `text`, its part from the byte `at` marked. With `strict` no value is shown at all: the text is not what it seems.
pub(super) fn of(text: &str, at: usize, strict: bool) -> Line {
    let mut shown = Shown { text: String::new(), at, marked: None };
    let mut open = false;
    let header = !strict && is_header(text.trim());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let token = token(rest, first);
        let begin = text.len() - rest.len();
        let (piece, after) = rest.split_at(token.len);
        let is_key = matches!(token.kind, Kind::Word | Kind::Quoted) && {
            let next = after.trim_start();
            header || next.starts_with([':', '='])
        };
        match token.kind {
            Kind::Comment => {
                shown.push(begin, piece, Some("# …"));
            }
            Kind::Word | Kind::Quoted if is_key => {
                open = !strict && OPEN.contains(&piece.trim_matches(['"', '\'']));
                shown.push(begin, piece, None);
            }
            Kind::Word if open || matches!(piece, "true" | "false" | "null") => shown.push(begin, piece, None),
            Kind::Quoted if open => shown.push(begin, piece, None),
            Kind::Word => shown.push(begin, piece, Some("…")),
            Kind::Quoted => shown.push(begin, piece, Some("\"…\"")),
            Kind::Sign => shown.push(begin, piece, None),
        }
        rest = after;
    }
    let end = shown.text.len();
    let marked = shown.marked.unwrap_or(end..end);
    cut(shown.text, marked)
}

/// Whether the line is the header of a TOML table, `[a.b]` or `[[a]]`: names, and no values.
fn is_header(line: &str) -> bool {
    let names = line.trim_matches(['[', ']']);
    line.starts_with('[')
        && line.ends_with(']')
        && names.starts_with(|c: char| c.is_ascii_alphabetic())
        && names.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// At most [`AROUND`] characters on either side of the mark, and as many of it.
fn cut(text: String, marked: Range<usize>) -> Line {
    let back = |from: usize, count: usize| text[..from].char_indices().nth_back(count).map(|(at, _)| at);
    let on = |from: usize, count: usize| text[from..].char_indices().nth(count).map(|(at, _)| from + at);
    let end = on(marked.start, AROUND).map_or(marked.end, |limit| marked.end.min(limit));
    let (first, last) = (back(marked.start, AROUND), on(end, AROUND));
    let (from, to) = (first.unwrap_or(0), last.unwrap_or(text.len()));
    let left = if first.is_some() { "… " } else { "" };
    let right = if last.is_some() { " …" } else { "" };
    let move_to = |at: usize| at - from + left.len();
    Line { marked: move_to(marked.start)..move_to(end), text: format!("{left}{}{right}", &text[from..to]) }
}

struct Shown {
    text: String,
    at: usize,
    marked: Option<Range<usize>>,
}

impl Shown {
    /// Adds the piece that begins at the byte `begin` of the line, or what is shown for it.
    fn push(&mut self, begin: usize, piece: &str, instead: Option<&str>) {
        let start = self.text.len();
        self.text.push_str(instead.unwrap_or(piece));
        if self.marked.is_none() && (begin..begin + piece.len()).contains(&self.at) {
            // A mark inside of what is shown as it is begins there.
            let inner = if instead.is_none() { self.at - begin } else { 0 };
            self.marked = Some(start + inner..self.text.len());
        }
    }
}

enum Kind {
    /// A run of letters, digits and what stands in numbers, names and unquoted values.
    Word,
    Quoted,
    Comment,
    /// One character of structure, or white space.
    Sign,
}

struct Token {
    kind: Kind,
    len: usize,
}

fn token(rest: &str, first: char) -> Token {
    let (kind, len) = match first {
        '#' => (Kind::Comment, rest.len()),
        '"' | '\'' => (Kind::Quoted, quoted(rest, first)),
        '[' | ']' | '{' | '}' | '=' | ':' | ',' | '.' => (Kind::Sign, 1),
        first if first.is_whitespace() => (Kind::Sign, first.len_utf8()),
        _ => {
            let end = rest.find(|c: char| c.is_whitespace() || "[]{}=,:\"'#.".contains(c));
            (Kind::Word, end.unwrap_or(rest.len()))
        }
    };
    Token { kind, len }
}

/// The length of the quoted text that `rest` begins with; one that does not end goes to the end of the line.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, marked: &str) -> (String, String) {
        let line = of(text, text.find(marked).unwrap(), false);
        let mark = line.text[line.marked.clone()].to_owned();
        (line.text, mark)
    }

    #[test]
    fn harmless_values_are_shown_and_the_mark_is_on_the_token() {
        assert_eq!(shown("term = \"shh\"", "\"shh"), ("term = \"shh\"".into(), "\"shh\"".into()));
        assert_eq!(shown("port = 70000", "70000"), ("port = 70000".into(), "70000".into()));
        assert_eq!(
            shown(" {\"id\": \"a\", \"prot\": 22}", "\"prot"),
            (" {\"id\": \"a\", \"prot\": …}".into(), "\"prot\"".into())
        );
        assert_eq!(shown("tags = [\"a\", 3]", "3"), ("tags = [\"a\", 3]".into(), "3".into()));
        assert_eq!(shown("[hosts.ssh_options]", "ssh"), ("[hosts.ssh_options]".into(), "ssh_options".into()));
        assert_eq!(shown("", ""), (String::new(), String::new()));
    }

    #[test]
    fn what_may_be_secret_never_is() {
        for line in [
            "pasword = \"hunter2\"",
            "creds = [{ login = \"a\", passwd = 'hunter2', port = 3 }]",
            "password = hunter2",
            "password = \"hunter2",
            "password: hunter2",
            "port = 70000 # the pin is hunter2",
            "hunter2 hunter2",
            "{\"login\": \"a\", \"password\": \"say \\\"hunter2\\\"\", \"x\": [\"hunter2\", {\"y\": \"hunter2\"}]}",
            "metadata = { key = \"hunter2\" }",
            "\"password\" = 'hunter2' 'hunter2'",
            "snmp = { community = \"hunter2\" }",
            "  \"\"\"hunter2\"\"\"",
            "[\"hunter2\"]",
            "x.\"hunter2\", y",
        ] {
            for at in 0..line.len() {
                let shown = of(line, at, false);
                assert!(!shown.text.contains("hunter2"), "{line} is shown as {}", shown.text);
                assert!(shown.text.get(shown.marked.clone()).is_some(), "{line}: {shown:?}");
            }
        }
        assert!(!of("id = \"hunter2\"", 0, true).text.contains("hunter2"), "strict shows no values");
    }

    #[test]
    fn a_long_line_is_cut_around_its_mark() {
        let long = format!("tags = [\"{}\", 3, \"{}\"]", "é".repeat(1 << 20), "x".repeat(1 << 20));
        let line = of(&long, long.find(" 3,").unwrap() + 1, false);
        assert!(line.text.chars().count() < 300 && &line.text[line.marked.clone()] == "3", "{line:?}");
        let line = of(&long, long.find("\"é").unwrap(), false);
        assert!(line.text.chars().count() < 400, "{}", line.text.len());
    }
}
