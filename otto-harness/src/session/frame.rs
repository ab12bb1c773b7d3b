//! Frames: what is written around a command so that its output and its end can be told from everything else.
//!
//! A frame is one line of shell: a begin marker, `eval` of the quoted script text, an end marker with the exit code. The
//! markers are a control character and a nonce that is new for each command. The control character stands in the frame's
//! source as an octal escape, so that no echo, trace or history of the source can be taken for a marker. Because the whole
//! line is parsed before any of it runs, a command that reads its input cannot swallow the end marker; because the text is
//! quoted, no comment, here-document or open quote of it can. See `docs/design/sessions.md`.

use std::fmt::{self, Write as _};
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

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
    /// A new one: 60 bits of a keyed hash of a count. The key is this process's own, from the system's random source, which
    /// so need not be asked for each command.
    pub(crate) fn new() -> Self {
        const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        static KEY: OnceLock<RandomState> = OnceLock::new();
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut random = KEY.get_or_init(RandomState::new).hash_one(COUNT.fetch_add(1, Ordering::Relaxed));
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

    /// Whether there is one line for everything.
    fn on_line(self) -> bool {
        matches!(self, Self::Line | Self::LineTerminal)
    }
}

/// Where a shell on pipes keeps the descriptors that commands must not have.
///
/// Below 10, where every shell can name them, they have to be closed for each command and put back after it, which costs a
/// shell several system calls each. bash can keep them where no script looks for any, closed by the kernel when a program is
/// started, so that they can stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wires {
    /// Whether output and errors are kept as 238 and 239, with an empty input as 237, instead of as 8 and 9. What the shell
    /// itself writes then goes to the outlet of errors, else to the main one. It must not go nowhere: a shell that a command
    /// ends lets a trap on `EXIT` write there.
    pub(crate) high: bool,
    /// Whether the shell holds 6 and 7 for whoever has started it.
    pub(crate) holds: bool,
}

impl Wires {
    fn input(self) -> &'static str {
        if self.high { "&237" } else { "/dev/null" }
    }

    fn output(self) -> &'static str {
        if self.high { "&238" } else { "&8" }
    }

    fn errors(self) -> &'static str {
        if self.high { "&239" } else { "&9" }
    }

    /// Puts what the shell itself writes back to where it goes.
    fn own(self) -> &'static str {
        if self.high { "exec >&239 2>/dev/null;" } else { "exec >&8 2>/dev/null;" }
    }

    /// Keeps from a command what is not for it.
    fn closed(self) -> &'static str {
        match (self.holds, self.high) {
            (false, true) => "",
            (true, true) => " 6>&- 7>&-",
            (false, false) => " 8>&- 9>&-",
            (true, false) => " 6>&- 7>&- 8>&- 9>&-",
        }
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
    /// Whether the output begins with a marker. Without it, it begins where the output before it was read to its end, and the
    /// marker stands in what the shell itself writes.
    pub(crate) marked: bool,
    /// The shell's descriptors.
    pub(crate) wires: Wires,
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
        let &Self { dialect, nonce, streams, last_code, verbose, marked, wires, .. } = self;
        let (builtin, eval, nonce) = (dialect.builtin(), dialect.eval(), nonce.as_str());
        // Writing to a String cannot fail.
        let mut put = |part: fmt::Arguments<'_>| {
            let _ = line.write_fmt(part);
        };
        if streams == Streams::Separate {
            put(format_args!("{builtin} printf '\\36B{nonce};'>{};", wires.errors()));
        }
        let (begin, end) = match streams {
            Streams::Merged | Streams::Line | Streams::Separate => (wires.output(), wires.output()),
            Streams::Terminal => ("/dev/tty", wires.output()),
            Streams::LineTerminal => ("&9", "&9"),
        };
        if marked {
            put(format_args!("{builtin} printf '\\36B{nonce};'>{begin};"));
        } else {
            // Beside the output, without a redirection.
            put(format_args!("{builtin} printf '\\36B{nonce};';"));
        }
        if verbose {
            // The shell would write the text that it reads to where the command's errors go.
            put(format_args!("{builtin} set +v;"));
        }
        if last_code != 0 {
            // Before `||`, a code that is not 0 neither ends a shell with errexit nor runs a trap on ERR.
            // If the command before has put something else in the place of that function, the command would not be run at
            // all: then the frame says so.
            let (open, close) = if wires.high { ("", "") } else { ("{ ", ";} >&2") };
            put(format_args!("{open}__otto_rc {last_code}{close}&&{builtin} printf '\\36E{nonce} {SKIPPED};'>{end}||"));
        }
        put(format_args!("{eval} "));
    }

    /// What comes after the script text.
    pub(super) fn tail(&self, line: &mut String) {
        let (builtin, nonce) = (self.dialect.builtin(), self.nonce.as_str());
        // Output goes to 8 and not to the shell's own 1, which a command may have closed or turned to a file, and which an
        // interrupt that hits bash in a redirection may leave turned: what a command wrote must not be lost.
        // Writing to a String cannot fail.
        let (input, output, errors) = (self.wires.input(), self.wires.output(), self.wires.errors());
        let _ = match self.streams {
            Streams::Merged => write!(line, " <{input} >{output} 2>&1"),
            Streams::Separate => write!(line, " <{input} >{output} 2>{errors}"),
            Streams::Terminal => write!(line, " </dev/tty >/dev/tty 2>&1"),
            Streams::Line => write!(line, " </dev/null >&8 2>&8 6>&- 7>&- 8>&- 9>&-"),
            Streams::LineTerminal => write!(line, " <&6 >&9 2>&9 6>&- 7>&- 8>&- 9>&-"),
        };
        line.push_str(if self.streams.on_line() { "" } else { self.wires.closed() });
        line.push(';');
        let (end, other) = match self.streams {
            Streams::Merged | Streams::Line => (output, None),
            Streams::Separate => (output, Some(errors)),
            Streams::Terminal => (output, Some("/dev/tty")),
            Streams::LineTerminal => ("&9", None),
        };
        // What a trap on DEBUG writes for this word of ours goes where the shell's own errors go, which is nowhere.
        let (open, close) = if self.wires.high { ("", "") } else { ("{ ", ";} >&2") };
        let _ = write!(line, "{open}{builtin} printf '\\36E{nonce} %s %s;' \"$?\" \"$-\">{end}{close}");
        if let Some(other) = other {
            let _ = write!(line, ";{builtin} printf '\\36E{nonce};'>{other}");
        }
        if self.drain {
            let (from, to) = if self.streams == Streams::LineTerminal { ("&6", "&9") } else { ("/dev/tty", output) };
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
pub(crate) fn drain(dialect: Dialect, wires: Wires, nonce: Nonce) -> String {
    let (builtin, nonce) = (dialect.builtin(), nonce.as_str());
    format!("__otto_d {nonce} </dev/tty;{builtin} printf '\\36D{nonce};'>{}\n", wires.output())
}

/// Functions that frames use.
///
/// `__otto_rc` sets `$?`. `__otto_d` reads lines until one has the nonce; an end of file that was typed is not the end of
/// what was typed, but a terminal that answers nothing else is gone.
pub(super) const FUNCTIONS: &str = "__otto_rc() { return \"$1\"; };\
     __otto_d() { __otto_n=;while :;do IFS= read -r __otto_l||__otto_n=x$__otto_n;\
     case $__otto_l$__otto_n in *$1*|*xxxxxxxxx) return 0;;esac;done; }";

/// The first line a shell on pipes gets: it becomes quiet, sorts its descriptors, and says in an end marker where they are (`6`
/// if that one is open, `h` for the high ones), and who it is: `<6><h>- <family>`.
///
/// From then on what the shell itself writes as errors goes nowhere: prompts and notices. With high descriptors, what its traps
/// and `PROMPT_COMMAND` write while no command runs is not in the main outlet either.
///
/// Job control goes off here, because a shell that finds a terminal turns it on whatever its arguments say: without it,
/// all that the shell runs in the foreground and behind is one process group, which can be stopped and seen to be gone.
///
/// It must not be followed by anything before it is answered: dash forgets what it had read ahead when a command fails.
pub(crate) fn handshake(nonce: Nonce) -> String {
    let nonce = nonce.as_str();
    format!(
        "{QUIET};{FUNCTIONS};__otto_n=-;{{ true >&6;}} 2>/dev/null&&__otto_n=6-;{HIGH};\
         printf '\\36E{nonce} %s %s;' \"$__otto_n\" \"${{ZSH_VERSION+zsh}}${{BASH_VERSION+bash}}\" >&8;\
         case $__otto_n in *h*) exec 8>&- 9>&- >&239;;esac;exec 2>/dev/null\n"
    )
}

/// Puts the descriptors of bash where programs do not inherit them.
///
/// While a redirection of 1 is in force, bash keeps the 1 from before as 10 or the next that is free, to be closed when a program
/// is started; and a copy of such a descriptor is closed then too. It is tried out: each copy has to be what it should, and by
/// `/proc` an `O_CLOEXEC`.
const HIGH: &str = "case ${BASH_VERSION+b} in b) for __otto_d in 10 11 12 13 14 15;do \
     exec >&9;{ exec 239>&$__otto_d;} >&8;exec 1<>/dev/null;{ exec 237<&$__otto_d;} >&8;exec >&8;{ exec 238>&$__otto_d;} >&9;\
     for __otto_l in 237:/dev/null 238:/dev/fd/8 239:/dev/fd/9;do \
     [ /dev/fd/${__otto_l%%:*} -ef ${__otto_l#*:} ]&&while read -r __otto_r __otto_t;do case $__otto_r$__otto_t in \
     flags:*2??????)__otto_n=h$__otto_n;;esac;done </proc/$$/fdinfo/${__otto_l%%:*};done;\
     case $__otto_n in hhh*)break;;esac;exec 237<&- 238>&- 239>&-;__otto_n=${__otto_n##*h};done;;esac 2>/dev/null";

/// No job control, prompts, history or time-out of its own.
pub(super) const QUIET: &str = "set +m;PS1= PS2= PROMPT_COMMAND=;unset TMOUT HISTFILE MAILCHECK 2>/dev/null;\
     case ${ZSH_VERSION+z}${BASH_VERSION+b} in \
     z) unsetopt zle prompt_sp prompt_cr banghist;; \
     b) set +o history;set +H;; esac 2>/dev/null";

/// A question that only a shell at its prompt answers, to be asked after an interrupt.
///
/// An interrupt that hits bash just while it begins or ends a redirection leaves that in force: what the shell itself writes
/// would then be in the next command's output, or what that one writes would be lost.
pub(crate) fn probe(dialect: Dialect, wires: Wires, nonce: Nonce, terminal: bool) -> String {
    let (builtin, nonce) = (dialect.builtin(), nonce.as_str());
    let on_terminal = if terminal { format!("{builtin} printf '\\36P{nonce};'>/dev/tty;") } else { String::new() };
    format!("{}{on_terminal}{builtin} printf '\\36P{nonce};'>{}\n", wires.own(), wires.output())
}

/// The loop that makes the shell read its commands from its terminal, for `send` and `expect`. `leave` typed alone on a
/// line ends it. ^C ends it too, which is why its end marker is a line of its own.
pub(crate) fn interactive(dialect: Dialect, wires: Wires, nonce: Nonce) -> String {
    let (builtin, eval, nonce_text) = (dialect.builtin(), dialect.eval(), nonce.as_str());
    format!(
        "{{ {builtin} printf '\\36B{nonce_text};';\
         while IFS= {builtin} read -r __otto_line && [ \"$__otto_line\" != '{leave}' ];do \
         {eval} \"$__otto_line\"{closed};\
         {builtin} printf '\\36Q{nonce_text} %s %s;' \"$?\" \"$-\">/dev/tty;done; }} </dev/tty >/dev/tty 2>&1\n{over}",
        leave = leave(nonce),
        closed = wires.closed(),
        over = interactive_over(dialect, wires, nonce),
    )
}

/// As [`interactive_over`], after ^C was typed.
pub(crate) fn interrupted_over(dialect: Dialect, wires: Wires, nonce: Nonce) -> String {
    format!("{}{}", wires.own(), interactive_over(dialect, wires, nonce))
}

/// The line that says the loop is over, whichever way it ended.
pub(crate) fn interactive_over(dialect: Dialect, wires: Wires, nonce: Nonce) -> String {
    let (builtin, nonce, output) = (dialect.builtin(), nonce.as_str(), wires.output());
    format!("{builtin} printf '\\36E{nonce};'>/dev/tty;{builtin} printf '\\36E{nonce} 0 %s;' \"$-\">{output}\n")
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
            let (last_code, verbose, drain, marked, wires) = (3, true, true, true, Wires::default());
            let frame = Frame { dialect, nonce, text, streams, last_code, verbose, drain, marked, wires }.render();
            assert!(frame.contains(nonce.as_str()) && frame.ends_with('\n'));
            assert!(!frame.as_bytes().contains(&MARK), "{frame}");
        }
    }
}
