//! What must hold on every shell and on both wirings, as a table: notes/sessions.md, section 4, grown.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::places::{Shell, places};
use super::{limited, run};
use crate::command::{IntoLimit, ShellCommand};
use crate::result::Status;
use crate::session::ShellSession;

/// What a command should say.
enum Want<'a> {
    /// Exactly this output, and success.
    Output(&'a str),
    /// This output and this exit code.
    Code(&'a str, i32),
    /// Failure with a message of the shell.
    Refused,
}

use Want::{Code, Output, Refused};

/// Runs a table in one session for each place; everything that is not as it should be, of all places, is one failure.
async fn check(group: &str, cases: &[(&str, Want<'_>)]) {
    let mut wrong = String::new();
    for place in places() {
        let session = place.session();
        for (script, want) in cases {
            let command = ShellCommand::new(*script).timeout(20.0);
            let status = run(&session, command).await;
            let right = match want {
                Output(output) => status.output == *output && status.status == Status::Success,
                Code(output, code) => status.output == *output && status.retcode == Some(*code),
                // To zsh it is an empty list of commands.
                Refused if place.shell == Shell::Zsh && *script == "if then fi" => status.status == Status::Success,
                Refused => status.status == Status::Failed && !status.output.is_empty(),
            };
            if !right {
                let shown: String = script.chars().take(60).collect();
                let _ = writeln!(
                    wrong,
                    "{group} {place:?} {shown:?}: {:?} {:?} {:?} {:?}",
                    status.status,
                    status.retcode,
                    status.output.chars().take(300).collect::<String>(),
                    status.cause()
                );
            }
            let alive = run(&session, "echo alive").await;
            if !alive.output.ends_with("alive") || alive.state_lost {
                let _ =
                    writeln!(wrong, "{group} {place:?} after {script:?}: {:?} {:?}", alive.output, alive.state_lost);
            }
        }
        session.close().await;
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn basic() {
    let many: String = (0..40).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "f{number}() {{\n  for i in 1 2; do\n    n=$((n + i))\n  done\n}}\nf{number}");
        text
    });
    let many = format!("n=0\n{many}echo $n");
    check(
        "basic",
        &[
            ("echo hi;", Output("hi")),
            ("", Output("")),
            ("   ", Output("")),
            ("printf abc", Output("abc")),
            ("printf '\\n\\nx\\n\\n'", Output("\n\nx\n")),
            ("printf 'h\\303\\251llo'", Output("héllo")),
            ("echo héllo ÄÖÜ €", Output("héllo ÄÖÜ €")),
            ("cat <<X\na 'b\nX", Output("a 'b")),
            ("cat <<'X'\n$a `b` \\c\n\tX\nX\necho end", Output("$a `b` \\c\n\tX\nend")),
            ("echo \"it's\"", Output("it's")),
            ("f() {\n for i in 1 2; do\n  echo $i\n done\n}\nf", Output("1\n2")),
            ("if true\nthen echo yes\nelse echo no\nfi", Output("yes")),
            ("case x in\n x) echo x;;\nesac", Output("x")),
            ("echo a\\\nb", Output("ab")),
            ("echo 100%s %d", Output("100%s %d")),
            ("(echo err >&2; echo out)", Output("err\nout")),
            ("echo one | cat", Output("one")),
            ("(exit 7)", Code("", 7)),
            ("false", Code("", 1)),
            ("printf '\\0a\\377' | od -An -tx1 | tr -d ' '", Output("0061ff")),
            (&many, Output("120")),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn syntax_errors() {
    check(
        "syntax",
        &[
            ("echo 'abc", Refused),
            ("echo \"abc", Refused),
            ("(", Refused),
            ("done", Refused),
            ("}", Refused),
            ("if then fi", Refused),
            ("if true", Refused),
            ("echo $(", Refused),
            (")", Refused),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_of_a_text() {
    check(
        "ends",
        &[
            ("echo hi # note", Output("hi")),
            ("# only a note", Output("")),
            ("echo hi;", Output("hi")),
            ("echo a \\\n", Output("a")),
            ("echo a\n\n\n", Output("a")),
            ("cat", Output("")),
            ("read x; echo \"[$x]\"", Output("[]")),
            ("sh -c 'cat; echo end'", Output("end")),
            ("test -t 0 || test -t 1 || test -t 2 || echo none", Output("none")),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn characters() {
    check(
        "characters",
        &[
            ("echo 'a\tb'", Output("a\tb")),
            ("echo 'a!b' !! !x", Output("a!b !! !x")),
            (
                "printf '%s' '\u{1}\u{3}\u{4}\u{7f}\u{1b}[A\u{16}\u{15}' | od -An -tx1 | tr -d ' \n'",
                Output("0103047f1b5b411615"),
            ),
            ("printf '%s' '\r\u{1c}\u{1a}\u{11}\u{13}' | od -An -tx1 | tr -d ' \n'", Output("0d1c1a1113")),
            ("printf 'a\\r\\nb\\n' | od -An -tx1 | tr -d ' \n'", Output("610d0a620a")),
            ("printf 'a\\rb\\033[1mc'", Output("a\rb\u{1b}[1mc")),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_texts() {
    for length in [200, 400, 480, 500, 900, 1020, 4095, 5000, 100_000] {
        let word = "y".repeat(length);
        let script = format!(": {word}; echo {length}");
        check("long", &[(&script, Output(&length.to_string()))]).await;
    }
    let lines: String = (0..1500).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "v{number}='{}'", "x".repeat(60));
        text
    });
    let script = format!("{lines}echo ${{#v0}} ${{#v1499}}");
    check("long", &[(&script, Output("60 60"))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_and_options() {
    let mut wrong = String::new();
    for place in places() {
        let session = place.session();
        run(&session, "export A=1; cd /tmp; f() { echo f; }; umask 077; x='a  b'").await;
        let status = run(&session, "echo $A; pwd; f; umask; echo \"$x\"").await;
        let umask = if place.shell == Shell::Zsh { "077" } else { "0077" };
        if status.output != format!("1\n/tmp\nf\n{umask}\na  b") {
            let _ = writeln!(wrong, "{place:?} state: {status:?}");
        }
        run(&session, "(exit 7)").await;
        let status = run(&session, "echo $?").await;
        if status.output != "7" {
            let _ = writeln!(wrong, "{place:?} $?: {status:?}");
        }
        for hostile in [
            "PS1='$ '",
            "PROMPT_COMMAND='echo x'",
            "set -v",
            "set +v",
            "set -x",
            "set +x",
            "set -u",
            "exec >/dev/null",
            "trap 'echo bye' EXIT",
            "printf() { command echo no; }",
            "read() { :; }",
            "stty() { :; }",
            "readonly r=1",
            "IFS=0123456789",
            "set -f",
            "PATH=/nowhere",
        ] {
            let status = run(&session, hostile).await;
            // `exec >…` of bash under `eval … >&8` lasts to the end of the command.
            if status.retcode != Some(0) {
                let _ = writeln!(wrong, "{place:?} {hostile}: {status:?}");
            }
            let status = run(&session, "echo hi 'it'").await;
            let traced = hostile == "set -x" || hostile == "set -v";
            let right = if traced {
                status.output.ends_with("hi it") && !status.output.contains("printf")
            } else {
                status.output == "hi it"
            };
            if !right || status.retcode != Some(0) || status.state_lost {
                let _ = writeln!(wrong, "{place:?} after {hostile}: {status:?}");
            }
        }
        session.close().await;
        let session = place.session();
        run(&session, "x=1; set -e").await;
        let status = run(&session, "false; echo not").await;
        if (status.status, status.retcode, status.output.as_str()) != (Status::Failed, Some(1), "") {
            let _ = writeln!(wrong, "{place:?} set -e; false: {status:?}");
        }
        let status = run(&session, "echo alive").await;
        if (status.output.as_str(), status.state_lost) != ("alive", true) {
            let _ = writeln!(wrong, "{place:?} after set -e; false: {status:?}");
        }
        session.close().await;
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deaths() {
    let mut wrong = String::new();
    for place in places() {
        let session = place.session();
        for (script, code, output) in [
            ("echo bye; exit 3", Some(3), "bye"),
            ("exit 0", Some(0), ""),
            ("kill -9 $$", None, ""),
            ("exec true", Some(0), ""),
            ("trap : EXIT; echo x; exec sh -c 'exit 9'", Some(9), "x"),
        ] {
            let start = Instant::now();
            let status = run(&session, script).await;
            // A shell says it of another one on a line, and has one number for an end by signal and by itself.
            let killed = code.is_none() && place.line && status.signal.as_deref() == Some("KILL");
            let code = if killed { Some(137) } else { code };
            if (status.status, status.retcode, status.output.as_str()) != (Status::Error, code, output)
                || start.elapsed() > Duration::from_secs(3)
            {
                let _ = writeln!(wrong, "{place:?} {script}: {status:?}");
            }
            let status = run(&session, "echo again").await;
            if (status.output.as_str(), status.state_lost) != ("again", true) {
                let _ = writeln!(wrong, "{place:?} after {script}: {status:?}");
            }
        }
        session.close().await;
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_write_late() {
    let mut wrong = String::new();
    for place in places() {
        let session = place.session();
        run(&session, "x=1; (sleep 0.3; echo late; echo late >&2) & sleep 0.1 &").await;
        for _ in 0..6 {
            let status = run(&session, "sleep 0.1; echo $x").await;
            // It may come in the middle of a command; it never takes the place of that one's output.
            if !status.output.ends_with('1') || status.state_lost {
                let _ = writeln!(wrong, "{place:?}: {status:?}");
            }
        }
        session.close().await;
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_drops() {
    let mut wrong = String::new();
    for place in places() {
        let session = place.session();
        run(&session, "x=1").await;
        let start = Instant::now();
        let status = limited(&session, "echo start; sleep 41.5; echo end", 0.4).await;
        if (status.timed_out, status.output.as_str()) != (true, "start")
            || start.elapsed() > Duration::from_millis(2400)
        {
            let _ = writeln!(wrong, "{place:?} limit: {status:?} {:?}", start.elapsed());
        }
        let status = run(&session, "echo $x").await;
        if (status.output.as_str(), status.state_lost) != ("1", false) {
            let _ = writeln!(wrong, "{place:?} after limit: {status:?}");
        }
        for script in ["while :; do :; done", "sleep 41.5 | cat", "while sleep 0.1; do :; done"] {
            limited(&session, script, 0.3).await;
            let status = run(&session, "echo $x").await;
            if (status.output.as_str(), status.state_lost) != ("1", false) {
                let _ = writeln!(wrong, "{place:?} after {script}: {status:?}");
            }
        }
        let long = format!(": {}; echo no; sleep 41.5", "é".repeat(60_000));
        for (pause, script) in [
            (1, "sleep 41.5"),
            (5, "sleep 41.5"),
            (200, "sleep 41.5"),
            (1, &long),
            (5, &long),
            (30, &long),
            (400, &long),
        ] {
            let _ = tokio::time::timeout(Duration::from_millis(pause), run(&session, script)).await;
            let start = Instant::now();
            let status = run(&session, "echo ok $x").await;
            let kept = (status.output.as_str(), status.state_lost) == ("ok 1", false);
            // A line on which so much is still being typed may cost the shell on a slow machine; then it says so.
            let told = place.line && script.len() > 100_000 && status.output == "ok" && status.state_lost;
            if !(kept || told) || start.elapsed() > Duration::from_secs(2) {
                let _ = writeln!(
                    wrong,
                    "{place:?} dropped after {pause} ms of {} bytes: {status:?} {:?}",
                    script.len(),
                    start.elapsed()
                );
                run(&session, "x=1").await;
            }
        }
        limited(&session, "trap '' INT; echo start; sleep 41.5; echo end", 0.3).await;
        let status = run(&session, "echo next; pgrep -f 'sleep 41[.]5'").await;
        if (status.output.as_str(), status.state_lost) != ("next", true) {
            let _ = writeln!(wrong, "{place:?} after an ignored interrupt: {status:?}");
        }
        session.close().await;
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// A question asked of the terminal, without echo, as `read -s` of shells that have it.
const ASK: &str =
    "ask() { printf '%s' \"$1\"; stty -echo; IFS= read -r answer; stty echo; echo; echo \"[$answer]\"; stty -echo; }";

#[tokio::test(flavor = "multi_thread")]
async fn answers() {
    let mut wrong = String::new();
    for place in places() {
        let session = place.session();
        run(&session, ASK).await;
        let cases = [
            ("ask 'name? '", vec![("name\\? ", "bob\n")], "name? \n[bob]"),
            ("ask 'one? '; ask 'two? '", vec![("one\\? ", "1\n"), ("two\\? ", "2\n")], "one? \n[1]\ntwo? \n[2]"),
            (
                "for i in 1 2 3; do printf 'more? '; read x; done; echo $x",
                vec![("more\\? ", "y\n")],
                "more? more? more? y",
            ),
            // Typed to nobody: it must not be run, nor be read by the next command.
            ("echo 'prompt: '", vec![("prompt: ", "echo EXECUTED\n")], "prompt: "),
            ("echo 'prompt: '; sleep 0.2", vec![("prompt: ", "left over\necho EXECUTED\npart")], "prompt: "),
            ("echo 'prompt: '; sleep 0.2", vec![("prompt: ", "\u{4}\u{4}")], "prompt: "),
            ("ask 'name? '", vec![("name\\? ", "bob\n")], "name? \n[bob]"),
            ("test -t 0 && test -t 1 && test -t 2 && echo all >/dev/tty", vec![("never", "x")], "all"),
            ("sh -c 'cat; exit 5'", vec![("never", "x")], ""),
        ];
        for (script, expects, output) in cases {
            let command =
                ShellCommand::new(script).expects(expects).timeout(if output.is_empty() { 0.5 } else { 10.0 });
            let status = run(&session, command).await;
            if status.output != output || (!output.is_empty() && status.status != Status::Success) {
                let _ = writeln!(wrong, "{place:?} {script}: {status:?}");
            }
            let status = run(&session, "test -t 1 || echo after").await;
            if status.output != "after" || status.state_lost {
                let _ = writeln!(wrong, "{place:?} after {script}: {status:?}");
            }
        }
        // What was typed and not read does not show in `expect` either.
        let command =
            ShellCommand::new("echo 'prompt: '; sleep 5").expects([("prompt: ", "echo EXECUTED\n")]).timeout(0.4);
        run(&session, command).await;
        session.send("echo te''st\n").await.unwrap();
        let seen = session.expect(&"test\n".into(), 5.0.into_limit().unwrap()).await;
        if !seen.as_ref().is_ok_and(|seen| !seen.contains("EXECUTED")) {
            let _ = writeln!(wrong, "{place:?} send after a limit: {seen:?}");
        }
        let status = run(&session, ShellCommand::new("test -t 1 && echo terminal").terminal()).await;
        if status.output != "terminal" {
            let _ = writeln!(wrong, "{place:?} terminal: {status:?}");
        }
        session.close().await;
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn typing() {
    let mut wrong = String::new();
    for place in places() {
        let session = place.session();
        if let Err(what) = type_things(&session).await {
            let _ = writeln!(wrong, "{place:?}: {what}");
        }
        session.close().await;
    }
    assert!(wrong.is_empty(), "{wrong}");
}

async fn type_things(session: &ShellSession) -> Result<(), String> {
    let limit = 5.0.into_limit().map_err(|error| error.to_string())?;
    let send = async |text: &str| session.send(text).await.map_err(|error| format!("send {text:?}: {error}"));
    let expect = async |pattern: &str| {
        session.expect(&pattern.into(), limit).await.map_err(|error| format!("expect {pattern}: {error}"))
    };
    let ten = 10.0.into_limit().unwrap();
    let run = async |session: &ShellSession, command: &str| {
        session.run_cmd(&command.into(), ten, None).await.map_err(|error| format!("run {command:?}: {error}"))
    };
    let is = |what: &str, got: &str, want: &str| if got == want { Ok(()) } else { Err(format!("{what}: {got:?}")) };
    run(session, "x=1; PS1='mine '").await?;
    send("cd /tmp\npwd\n").await?;
    is("pwd", &expect("/tmp\\n").await?, "/tmp\n")?;
    send("sleep 0.2\necho $x-$x\n").await?;
    is("echo", &expect("1-1").await?, "1-1")?;
    is("run", &run(session, "pwd").await?.output, "/tmp")?;
    is("PS1", &run(session, "echo \"$PS1\"").await?.output, "mine ")?;
    send("python3 -q\n").await?;
    expect(">>> ").await?;
    let busy = session.run_cmd(&"echo hi".into(), 0.3.into_limit().unwrap(), None).await;
    if !busy.as_ref().is_err_and(|error| error.kind() == crate::ErrorKind::Busy) {
        return Err(format!("under a REPL: {busy:?}"));
    }
    send("\u{3}").await?;
    expect("KeyboardInterrupt").await?;
    expect(">>> ").await?;
    let busy = session.run_cmd(&"echo hi".into(), 0.3.into_limit().unwrap(), None).await;
    if !busy.as_ref().is_err_and(|error| error.kind() == crate::ErrorKind::Busy) {
        return Err(format!("under a REPL that took ^C: {busy:?}"));
    }
    send("print('otto' + '_test')\n").await?;
    let seen = expect("(?s)otto_test.*>>> ").await?;
    if seen.contains("rror") {
        return Err(format!("the REPL saw something: {seen:?}"));
    }
    // It gets the ^C that were typed, and no other.
    send("n=0\n").await?;
    expect(">>> ").await?;
    send("\u{3}").await?;
    let busy = session.run_cmd(&"echo hi".into(), 1.0.into_limit().unwrap(), None).await;
    if !busy.as_ref().is_err_and(|error| error.kind() == crate::ErrorKind::Busy) {
        return Err(format!("under a REPL that took ^C at once: {busy:?}"));
    }
    send("print('still' + '_here')\n").await?;
    let seen = expect("(?s)still_here.*>>> ").await?;
    if seen.matches("KeyboardInterrupt").count() != 1 {
        return Err(format!("^C in the REPL: {seen:?}"));
    }
    send("exit()\n").await?;
    is("after the REPL", &run(session, "echo $x").await?.output, "1")?;
    is("PS1 after ^C", &run(session, "echo \"$PS1\"").await?.output, "mine ")?;
    send("sleep 43.5\n").await?;
    send("\u{3}").await?;
    let status = run(session, "echo back").await?;
    is("after ^C", &status.output, "back")?;
    send("sleep 43.5\n").await?;
    send("\u{3}").await?;
    send("echo one; test -t 1 && echo terminal\n").await?;
    expect("(?s)one.*terminal").await?;
    send("\u{3}").await?;
    send("echo two\n").await?;
    expect("two").await?;
    let status = run(session, "echo $x; pgrep -f 'sleep 43[.]5'").await?;
    is("after ^C and more", &status.output, "1")?;
    if status.state_lost { Err("state lost".to_owned()) } else { Ok(()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn floods() {
    let mut wrong = String::new();
    for place in places() {
        let session = place.session();
        let status = run(&session, "head -c 3000000 /dev/zero | tr '\\0' x").await;
        if status.bytes().len() != 3_000_000 || status.bytes().iter().any(|byte| *byte != b'x') {
            let _ = writeln!(wrong, "{place:?}: {} bytes", status.bytes().len());
        }
        let start = Instant::now();
        let status = limited(&session, "yes", 0.5).await;
        if !status.timed_out || start.elapsed() > Duration::from_millis(2500) {
            let _ = writeln!(wrong, "{place:?} yes: {:?} {:?}", status.status, start.elapsed());
        }
        let status = run(&session, "echo ok").await;
        // On a line the shell may have had to be killed: see "Known" in docs/design/sessions.md.
        if status.output != "ok" || (status.state_lost && !place.line) {
            let _ = writeln!(wrong, "{place:?} after yes: {} {:?}", status.state_lost, status.output.len());
        }
        session.close().await;
    }
    assert!(wrong.is_empty(), "{wrong}");
}
