//! Frames: what is written around a command so that its output and its end can be told from everything else.
//!
//! A frame is one line of shell: a begin marker, `eval` of the quoted script text, an end marker with the exit code. The
//! markers are a control character and a nonce that is new for each command. The control character stands in the frame's
//! source as an octal escape, so that no echo, trace or history of the source can be taken for a marker. Because the whole
//! line is parsed before any of it runs, a command that reads its input cannot swallow the end marker; because the text is
//! quoted, no comment, here-document or open quote of it can. See `docs/design/sessions.md`.

use std::fmt::{self, Write as _};

/// The character that markers begin with: ASCII record separator.
const MARK: u8 = 0x1e;

/// The family of a shell, as far as frames differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// bash, dash, ash, ksh: `command` takes the special meaning from `eval`, so that a syntax error does not end the shell.
    Posix,
    /// zsh: there `command` looks for programs only.
    Zsh,
}

impl Dialect {
    pub(super) fn builtin(self) -> &'static str {
        match self {
            Self::Posix => "\\command",
            Self::Zsh => "\\builtin",
        }
    }

    /// In zsh, `builtin eval` is not needed to survive a syntax error.
    pub(super) fn eval(self) -> &'static str {
        match self {
            Self::Posix => "\\command eval",
            Self::Zsh => "\\builtin eval",
        }
    }
}

/// A number used once, in every marker of one command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nonce([u8; 12]);

impl Nonce {
    /// A new one: 60 random bits.
    pub(crate) fn new() -> Self {
        const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        // Two thirds of the random source's failure modes are at start-up; a counter still tells commands apart.
        let mut random = getrandom::u64().unwrap_or_else(|_| fallback());
        Self(std::array::from_fn(|_| {
            let digit = DIGITS[(random & 31) as usize];
            random >>= 5;
            digit
        }))
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The bytes that the marker of this kind begins with on the wire.
    pub(crate) fn marker(self, kind: Marker) -> [u8; 14] {
        let mut bytes = [MARK; 14];
        bytes[1] = kind.letter();
        bytes[2..].copy_from_slice(&self.0);
        bytes
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn fallback() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

/// What a marker says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    /// The command's output begins.
    Begin,
    /// It ended; on the main outlet the exit code and the shell's options follow.
    End,
    /// The shell answers: it is back at reading commands.
    Probe,
    /// The interactive loop reads its next line.
    Prompt,
    /// The interactive loop was left, by ^C: the shell is at its own prompt.
    Left,
    /// What was typed for a command and not read by it has been thrown away.
    Drained,
    /// The shell has ended; its exit code follows.
    Exit,
}

impl Marker {
    fn letter(self) -> u8 {
        match self {
            Self::Begin => b'B',
            Self::End => b'E',
            Self::Probe => b'P',
            Self::Prompt => b'Q',
            Self::Left => b'L',
            Self::Drained => b'D',
            Self::Exit => b'X',
        }
    }
}

/// What ends every marker on the wire, after its fields.
pub(crate) const STOP: u8 = b';';

/// What stands in the end marker's place of the code when the frame did not run the command.
pub(crate) const SKIPPED: &str = "skipped";

/// Where a command's output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Streams {
    /// Output and errors together, to the main outlet.
    Merged,
    /// Errors to an outlet of their own.
    Separate,
    /// All on the terminal, input too.
    Terminal,
    /// One line carries everything; the command's output goes through a pipe to it.
    Line,
    /// One line carries everything, and it is the command's terminal.
    LineTerminal,
}

impl Streams {
    /// Whether the command has a terminal.
    pub(crate) fn terminal(self) -> bool {
        matches!(self, Self::Terminal | Self::LineTerminal)
    }
}

/// Quotes for a shell, so that it reads exactly these bytes.
pub(crate) fn quote_onto(line: &mut String, text: &str) {
    line.push('\'');
    let mut parts = text.split('\'');
    if let Some(first) = parts.next() {
        line.push_str(first);
    }
    for part in parts {
        line.push_str("'\\''");
        line.push_str(part);
    }
    line.push('\'');
}

/// One command's frame.
pub(crate) struct Frame<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) nonce: Nonce,
    pub(crate) text: &'a str,
    pub(crate) streams: Streams,
    /// What `$?` is to be when the command starts.
    pub(crate) last_code: i32,
    /// Whether the shell's option to show what it reads has to go off first.
    pub(crate) verbose: bool,
    /// Whether something may be typed for the command that it does not read.
    pub(crate) drain: bool,
}

impl Frame<'_> {
    /// The line to write.
    pub(crate) fn render(&self) -> String {
        let mut line = String::with_capacity(self.text.len() + 256);
        self.head(&mut line);
        quote_onto(&mut line, self.text);
        self.tail(&mut line);
        line
    }

    /// What comes before the script text.
    pub(super) fn head(&self, line: &mut String) {
        let &Self { dialect, nonce, streams, last_code, verbose, .. } = self;
        let (builtin, eval, nonce) = (dialect.builtin(), dialect.eval(), nonce.as_str());
        // Writing to a String cannot fail.
        let mut put = |part: fmt::Arguments<'_>| {
            let _ = line.write_fmt(part);
        };
        if streams == Streams::Separate {
            put(format_args!("{builtin} printf '\\36B{nonce};'>&9;"));
        }
        let (begin, end) = match streams {
            Streams::Merged | Streams::Line | Streams::Separate => ("&8", "&8"),
            Streams::Terminal => ("/dev/tty", "&8"),
            Streams::LineTerminal => ("&9", "&9"),
        };
        put(format_args!("{builtin} printf '\\36B{nonce};'>{begin};"));
        if verbose {
            // The shell would write the text that it reads to where the command's errors go.
            put(format_args!("{builtin} set +v;"));
        }
        if last_code != 0 {
            // Before `||`, a code that is not 0 neither ends a shell with errexit nor runs a trap on ERR.
            // If the command before has put something else in the place of that function, the command would not be run at
            // all: then the frame says so.
            put(format_args!("{{ __otto_rc {last_code};}} >&2&&{builtin} printf '\\36E{nonce} {SKIPPED};'>{end}||"));
        }
        put(format_args!("{eval} "));
    }

    /// What comes after the script text.
    pub(super) fn tail(&self, line: &mut String) {
        let (builtin, nonce) = (self.dialect.builtin(), self.nonce.as_str());
        // Output goes to 8 and not to the shell's own 1, which a command may have closed or turned to a file, and which an
        // interrupt that hits bash in a redirection may leave turned: what a command wrote must not be lost.
        line.push_str(match self.streams {
            Streams::Merged | Streams::Line => " </dev/null >&8 2>&8 6>&- 7>&- 8>&- 9>&-;",
            Streams::Separate => " </dev/null >&8 2>&9 6>&- 7>&- 8>&- 9>&-;",
            Streams::Terminal => " </dev/tty >/dev/tty 2>&1 6>&- 7>&- 8>&- 9>&-;",
            Streams::LineTerminal => " <&6 >&9 2>&9 6>&- 7>&- 8>&- 9>&-;",
        });
        let (end, other) = match self.streams {
            Streams::Merged | Streams::Line => ("&8", None),
            Streams::Separate => ("&8", Some("&9")),
            Streams::Terminal => ("&8", Some("/dev/tty")),
            Streams::LineTerminal => ("&9", None),
        };
        // What a trap on DEBUG writes for this word of ours goes where the shell's own errors go, which is nowhere.
        let _ = write!(line, "{{ {builtin} printf '\\36E{nonce} %s %s;' \"$?\" \"$-\">{end};}} >&2");
        if let Some(other) = other {
            let _ = write!(line, ";{builtin} printf '\\36E{nonce};'>{other}");
        }
        if self.drain {
            let (from, to) = if self.streams == Streams::LineTerminal { ("&6", "&9") } else { ("/dev/tty", "&8") };
            let _ = write!(line, ";__otto_d {nonce} <{from};{builtin} printf '\\36D{nonce};'>{to}");
        }
        line.push('\n');
    }
}

/// What is typed for [`drain`] to end at. A shell that reads it as a command does nothing.
pub(crate) fn drained(nonce: Nonce) -> Vec<u8> {
    format!(": otto-over-{}\n", nonce.as_str()).into_bytes()
}

/// Throws away what was typed on the terminal of a shell whose commands are on a pipe, up to [`drained`].
pub(crate) fn drain(dialect: Dialect, nonce: Nonce) -> String {
    let (builtin, nonce) = (dialect.builtin(), nonce.as_str());
    format!("__otto_d {nonce} </dev/tty;{builtin} printf '\\36D{nonce};'>&8\n")
}

/// Functions that frames use.
///
/// `__otto_rc` sets `$?`. `__otto_d` reads lines until one has the nonce; an end of file that was typed is not the end of
/// what was typed, but a terminal that answers nothing else is gone.
pub(super) const FUNCTIONS: &str = "__otto_rc() { return \"$1\"; };\
     __otto_d() { __otto_n=;while :;do IFS= read -r __otto_l||__otto_n=x$__otto_n;\
     case $__otto_l$__otto_n in *$1*|*xxxxxxxxx) return 0;;esac;done; }";

/// The first line a shell on pipes gets: it becomes quiet, and says who it is in an end marker: `<pid> <family>`.
///
/// Job control goes off here, because a shell that finds a terminal turns it on whatever its arguments say: without it,
/// all that the shell runs in the foreground and behind is one process group, which can be stopped and seen to be gone.
///
/// It must not be followed by anything before it is answered: dash forgets what it had read ahead when a command fails.
pub(crate) fn handshake(nonce: Nonce) -> String {
    let nonce = nonce.as_str();
    format!(
        "{QUIET};{FUNCTIONS};\
         printf '\\36E{nonce} %s %s;' \"$$\" \"${{ZSH_VERSION+zsh}}${{BASH_VERSION+bash}}\" >&8;exec 2>/dev/null\n"
    )
}

/// No job control, prompts, history or time-out of its own.
pub(super) const QUIET: &str = "set +m;PS1= PS2= PROMPT_COMMAND=;unset TMOUT HISTFILE MAILCHECK 2>/dev/null;\
     case ${ZSH_VERSION+z}${BASH_VERSION+b} in \
     z) unsetopt zle prompt_sp prompt_cr banghist;; \
     b) set +o history;set +H;; esac 2>/dev/null";

/// Puts a shell's output back where it was at first. An interrupt that hits bash just while it begins or ends a redirection
/// leaves that in force, and what the next command writes would be lost.
const BACK_TO_THE_OUTLET: &str = "exec >&8 2>/dev/null;";

/// A question that only a shell at its prompt answers, to be asked after an interrupt.
pub(crate) fn probe(dialect: Dialect, nonce: Nonce, terminal: bool) -> String {
    let (builtin, nonce) = (dialect.builtin(), nonce.as_str());
    let on_terminal = if terminal { format!("{builtin} printf '\\36P{nonce};'>/dev/tty;") } else { String::new() };
    format!("{BACK_TO_THE_OUTLET}{on_terminal}{builtin} printf '\\36P{nonce};'>&8\n")
}

/// The loop that makes the shell read its commands from its terminal, for `send` and `expect`. `leave` typed alone on a
/// line ends it. ^C ends it too, which is why its end marker is a line of its own.
pub(crate) fn interactive(dialect: Dialect, nonce: Nonce) -> String {
    let (builtin, eval, nonce_text) = (dialect.builtin(), dialect.eval(), nonce.as_str());
    format!(
        "{{ {builtin} printf '\\36B{nonce_text};';\
         while IFS= {builtin} read -r __otto_line && [ \"$__otto_line\" != '{leave}' ];do \
         {eval} \"$__otto_line\" 6>&- 7>&- 8>&- 9>&-;\
         {builtin} printf '\\36Q{nonce_text} %s %s;' \"$?\" \"$-\">/dev/tty;done; }} </dev/tty >/dev/tty 2>&1\n{over}",
        leave = leave(nonce),
        over = interactive_over(dialect, nonce),
    )
}

/// As [`interactive_over`], after ^C was typed.
pub(crate) fn interrupted_over(dialect: Dialect, nonce: Nonce) -> String {
    format!("{BACK_TO_THE_OUTLET}{}", interactive_over(dialect, nonce))
}

/// The line that says the loop is over, whichever way it ended.
pub(crate) fn interactive_over(dialect: Dialect, nonce: Nonce) -> String {
    let (builtin, nonce) = (dialect.builtin(), nonce.as_str());
    format!("{builtin} printf '\\36E{nonce};'>/dev/tty;{builtin} printf '\\36E{nonce} 0 %s;' \"$-\">&8\n")
}

/// The line that ends the loop.
pub(crate) fn leave(nonce: Nonce) -> String {
    format!(": otto-leave-{}", nonce.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_keeps_every_character() {
        let quoted = |text: &str| {
            let mut line = String::new();
            quote_onto(&mut line, text);
            line
        };
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("a b\n#"), "'a b\n#'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted("'"), "''\\'''");
    }

    #[test]
    fn nonces_differ_and_never_stand_as_markers_in_a_frame() {
        let nonce = Nonce::new();
        assert_ne!(nonce, Nonce::new());
        for streams in [Streams::Merged, Streams::Separate, Streams::Terminal] {
            let (dialect, text) = (Dialect::Posix, "true");
            let frame = Frame { dialect, nonce, text, streams, last_code: 3, verbose: true, drain: true }.render();
            assert!(frame.contains(nonce.as_str()) && frame.ends_with('\n'));
            assert!(!frame.as_bytes().contains(&MARK), "{frame}");
        }
    }
}
