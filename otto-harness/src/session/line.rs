//! What is typed on a single line that carries everything: a console, telnet.
//!
//! The line is a terminal with a shell at its other end. Three things differ from pipes. A terminal takes lines of 4095
//! bytes at the most and has a meaning for control characters, so a frame is typed in short lines of plain ASCII. Plain
//! commands must not write to a terminal, so their output goes into a pipe inside the host, from which `cat` copies it to
//! the line; markers go the same way, so that order holds. And when a shell ends on a line nobody reports its exit code, so
//! the shell for commands is a child of another one, the guard, which says it.
//!
//! The shell's descriptors: 0 and 6 the terminal's input, 9 its output, 8 and mostly 1 the pipe, 2 nothing. See
//! `docs/design/sessions.md`.

use std::fmt::Write as _;

use super::frame::{Dialect, FUNCTIONS, Frame, Nonce, QUIET, Streams};

/// The longest line that is typed. Below a terminal's 4095, and what a small shell's line editor takes.
pub(super) const LIMIT: usize = 500;

/// What is known of the shell on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    /// busybox ash, which ends when a child ends while it reads with echo off, unless its line editor reads.
    pub(crate) ash: bool,
    /// Whether it knows `$'…'`.
    pub(crate) quotes: bool,
    /// Whether the terminal's echo and processing of output could be switched off.
    pub(crate) stty: bool,
    /// The nonce with which its guard says that it has ended.
    pub(crate) exit: Nonce,
}

/// The first line, typed until it is answered: a login may throw away what it finds. It has no quotes, so that whatever
/// part of it arrives leaves no quote open, and means little.
pub(crate) fn hello(nonce: Nonce) -> String {
    format!("printf \\\\036E{}\\;\n", nonce.as_str())
}

/// Who it is: `<family>:<its file, or what it was called by>`. Leaves the file in `__otto_e`. A login that leaves a plain `sh`
/// says with `OTTO_SHELL` that bash is there.
pub(crate) fn who(nonce: Nonce) -> String {
    format!(
        "unset ENV BASH_ENV;__otto_e=${{OTTO_SHELL-${{BASH-}}}};[ \"$__otto_e\" ]||__otto_e=$(readlink /proc/$$/exe 2>/dev/null)||__otto_e=${{0#-}};\
         printf '\\36E{} %s:%s;' \"${{OTTO_SHELL-${{ZSH_VERSION+zsh}}${{BASH_VERSION+bash}}${{KSH_VERSION+ksh}}}}\" \"${{__otto_e##*/}}\"\n",
        nonce.as_str()
    )
}

/// What puts a guard in the place of the shell that is there, line by line. The guard starts that shell once more below
/// itself, for commands, with a pipe to the terminal for its output, and when it has ended says so with its exit code. Its
/// first answer comes before that.
///
/// Descriptor 8 is a pipe whose reader belongs to no job of the shell, and without `mkfifo` the terminal. `cat` waits in the
/// opening of the pipe for the guard. Its name, which is random, is gone as soon as both have it. A hang-up does not count
/// for that moment, or the name would stay; the shell below then finds its terminal at its end. The shell has no terminal
/// for its errors: a Korn shell that finds one hands the terminal to each command, and fails to start any once its errors go
/// elsewhere.
///
/// The guard shares the process group of all that it starts, but for a Korn shell, and so gets their ^C, which it catches:
/// what is ignored stays ignored in children. bash leads a group of its own too, of which what is left is hung up: the end
/// of the terminal would miss it. The pause lets `cat` copy what the end of a session's leader would take away.
pub(crate) fn guard(family: &str, file: &str, started: Nonce, exit: Nonce) -> [String; 4] {
    // A Korn shell that is interrupted takes the terminal for a process group of its own number, so it has to have that one.
    let group = if family == "ksh" { "set -m;" } else { "" };
    let arguments = match (family, file.contains("busybox")) {
        ("bash", _) => "--norc --noprofile --noediting -i +m",
        ("zsh", _) => "-f -i +m",
        ("", true) => "ash -i +m",
        _ => "-i +m",
    };
    let (started, exit) = (started.as_str(), exit.as_str());
    [
        format!(
            "__otto_t='trap : INT QUIT TSTP;unset ENV BASH_ENV OTTO_SHELL;HISTFILE=/dev/null;export HISTFILE;exec 6<&0 9>&1 8>&1;\
             d=${{TMPDIR:-/tmp}}/otto-{exit};p=;\
             trap \"\" HUP;mkfifo -m 600 \"$d\" \"$d.p\" 2>/dev/null&&{{ (trap \"\" INT QUIT TSTP;cat <\"$d\" >&9 \
             2>/dev/null 6<&- 8>&- 9>&-)& exec 8>\"$d\" 7<>\"$d.p\";rm -f \"$d\" \"$d.p\";}};trap - HUP'\n"
        ),
        format!(
            "__otto_t=$__otto_t';printf \"\\36E{started} ;\">&8;command -v \"$0\" >/dev/null||exec sh -i 2>/dev/null 7>&-;{group}\
             sh -c \"echo \\$\\$>&7;exec \\\"\\$@\\\" 7>&-\" sh \"$0\" {arguments} 2>/dev/null;d=$?;printf \"\\36X{exit} %s;\" $d>&8'\n"
        ),
        "__otto_t=$__otto_t';exec 2>/dev/null;[ ! -p /proc/self/fd/7 ]||{ read -r p<&7;kill -s HUP -- -$p;};sleep 1;exit $d'\n"
            .to_owned(),
        "exec sh -c \"$__otto_t\" \"$__otto_e\"\n".to_owned(),
    ]
}

/// What follows once the shell for commands is there, each to be answered before the next is typed.
pub(crate) fn steps(ash: bool) -> [String; 3] {
    let outlet = outlet(ash);
    let modes = if ash { "-icanon -echo -opost min 1" } else { "icanon -echo -opost" };
    let keys = "isig icrnl -noflsh intr '^C' kill '^U' eof '^D'";
    [
        format!("{QUIET};[ -z \"${{BASH_VERSION-}}${{KSH_VERSION-}}\" ]||set +o emacs +o vi"),
        // The rest is what a console may lack and a shell can do without.
        format!(
            "unset __otto_e;__otto_s=;case $'\\101' in A) __otto_q=q;;*) __otto_q=;;esac;stty {keys} {modes} 2>/dev/null||\
             {{ stty {keys};stty {modes};}} 2>/dev/null&&__otto_q=${{__otto_q}}s&&__otto_s=$(stty -g)"
        ),
        format!("{FUNCTIONS};__otto_t=;exec >{outlet} 2>/dev/null"),
    ]
}

/// Where the shell's own output goes between commands: the way of all output, so that it cannot overtake any. The line
/// editor of ash shows there what is typed.
fn outlet(ash: bool) -> &'static str {
    if ash { "/dev/null" } else { "&8" }
}

/// A step with the end of it that answers: with the shell's features.
pub(crate) fn step(text: &str, nonce: Nonce, to: &str) -> String {
    format!("{text};printf '\\36E{} %s;' \"${{__otto_q-}}\" >&{to}\n", nonce.as_str())
}

/// The lines to type for a command.
pub(crate) fn frame(frame: &Frame<'_>, line: Line) -> String {
    let mut last = String::with_capacity(LIMIT);
    let terminal = frame.streams == Streams::LineTerminal;
    if terminal && line.ash && line.stty {
        last.push_str("stty icanon||:;");
    }
    frame.head(&mut last);
    let mut end = String::new();
    frame.tail(&mut end);
    if terminal && line.stty {
        // The command may have left the terminal in any state.
        end.pop();
        end.push_str(RESTORE);
        end.push('\n');
    }
    let text = frame.text;
    if text.bytes().all(is_plain) && last.len() + text.len() + end.len() + 2 <= LIMIT {
        last.push('\'');
        last.push_str(text);
        last.push('\'');
        last.push_str(&end);
        return last;
    }
    let mut lines = pieces(frame.dialect, text, line.quotes);
    lines.push_str(&last);
    lines.push_str("\"$__otto_t\"");
    lines.push_str(&end);
    lines
}

const RESTORE: &str = ";stty \"$__otto_s\"||:";

/// Lines that put the text into a variable, piece by piece.
fn pieces(dialect: Dialect, text: &str, quotes: bool) -> String {
    let (open, octal) = if quotes { ("$'", "\\") } else { ("'", "\\0") };
    let mut lines = format!("__otto_t={open}");
    let mut room = LIMIT - 32;
    for byte in text.bytes() {
        if room < 8 {
            let _ = write!(lines, "'\n__otto_t=$__otto_t{open}");
            room = LIMIT - 32;
        }
        let before = lines.len();
        if is_plain(byte) {
            lines.push(char::from(byte));
        } else {
            let _ = write!(lines, "{octal}{byte:03o}");
        }
        room -= lines.len() - before;
    }
    lines.push_str("'\n");
    if !quotes {
        // The x keeps the line endings at the end, which a substitution would take off.
        let _ =
            writeln!(lines, "__otto_t=$({} printf '%bx' \"$__otto_t\");__otto_t=${{__otto_t%x}}", dialect.builtin());
    }
    lines
}

/// Whether it means itself between single quotes of either kind.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'\'' | b'\\')
}

/// The question that only a shell at its prompt answers.
///
/// It answers on the terminal itself and not down the pipe: when a terminal that is full is interrupted, Linux may throw away
/// what it holds and forget to wake `cat`, and the pipe then stands still until something else is written.
pub(crate) fn probe(dialect: Dialect, nonce: Nonce, line: Line, restore: bool) -> String {
    let (builtin, nonce) = (dialect.builtin(), nonce.as_str());
    let restore = if restore && line.stty { &RESTORE[1..] } else { ":" };
    // An interrupt that hits bash in a redirection may leave it in force.
    let outlet = outlet(line.ash);
    format!("exec >{outlet} 2>/dev/null;{restore};{builtin} printf '\\36P{nonce};'>&9\n")
}

/// The loop that makes the shell read its commands from what is typed and say so, for `send` and `expect`.
///
/// ^C ends it, and a program may take ^C for itself instead: so the shell's prompt says that the shell is at it.
pub(crate) fn interactive(dialect: Dialect, nonce: Nonce, leave: &str, line: Line) -> String {
    let (builtin, eval, nonce) = (dialect.builtin(), dialect.eval(), nonce.as_str());
    let modes = if line.ash && line.stty { "stty icanon;" } else { "" };
    let over = over(line);
    format!(
        "{modes}__otto_p=$PS1 PS1=$({builtin} printf '\\36L{nonce};');exec >&9 2>&9;{{ {builtin} printf '\\36B{nonce};';\
         while IFS= {builtin} read -r __otto_l&&[ \"$__otto_l\" != '{leave}' ];do \
         {eval} \"$__otto_l\" 6>&- 7>&- 8>&- 9>&-;\
         {builtin} printf '\\36Q{nonce} %s %s;' \"$?\" \"$-\";done;}} <&6 >&9 2>&9;{over};\
         {builtin} printf '\\36E{nonce};'>&9\n"
    )
}

/// Ends what [`interactive`] has begun, when ^C has ended the loop.
pub(crate) fn over(line: Line) -> String {
    let restore = if line.stty { RESTORE } else { "" };
    format!("PS1=$__otto_p;exec >{} 2>/dev/null{restore}", outlet(line.ash))
}

#[cfg(test)]
mod tests {
    use super::super::frame::Wires;
    use super::*;

    #[test]
    fn no_line_is_longer_than_a_terminal_takes_and_all_are_plain() {
        let nonce = Nonce::new();
        let text = "é'\\\t\n%".repeat(2000);
        for dialect in [Dialect::Posix, Dialect::Zsh] {
            for (ash, quotes) in [(true, true), (false, true), (false, false)] {
                let line = Line { ash, quotes, stty: true, exit: nonce };
                let mut typed = vec![
                    hello(nonce),
                    who(nonce),
                    probe(dialect, nonce, line, true),
                    interactive(dialect, nonce, ": otto-leave-123456789012", line),
                ];
                typed.extend(steps(ash).map(|text| step(&text, nonce, "8")));
                for (family, file) in [("bash", "bash"), ("", "busybox"), ("zsh", "zsh"), ("ksh", "ksh93")] {
                    typed.extend(guard(family, file, nonce, nonce));
                }
                for streams in [Streams::Line, Streams::LineTerminal] {
                    for text in [&text, "true", &"x".repeat(250)] {
                        let (last_code, verbose, drain, marked, wires) = (127, true, true, true, Wires::default());
                        let frame_of =
                            Frame { dialect, nonce, text, streams, last_code, verbose, drain, marked, wires };
                        typed.push(frame(&frame_of, line));
                    }
                }
                for line in typed.iter().flat_map(|text| text.lines()) {
                    assert!(line.len() < LIMIT, "{} bytes: {line}", line.len());
                    assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
                }
            }
        }
    }
}
