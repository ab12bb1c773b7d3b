//! What commands write and how they end, on every transport: numbers are those of the list of behaviours.

use std::time::{Duration, Instant};

use otto::ErrorKind;
use otto::prelude::*;
use otto_tests::everywhere;
use otto_tests::places::{Sleeper, within};

everywhere! {
    /// 1, 8, 9.
    async fn any_text_is_run_as_the_shell_would(place) {
        place.writes(&[
            ("echo hi;", "hi\n", 0),
            ("echo hi # note", "hi\n", 0),
            ("# only a note", "", 0),
            ("", "", 0),
            ("   ", "", 0),
            ("\n\n", "", 0),
            ("\techo\ta\t\t|\tcat", "a\n", 0),
            ("echo a\\", "a\\\n", 0),
            ("echo a &&\\\necho b", "a\nb\n", 0),
            ("printf abc", "abc", 0),
            ("printf '\\n\\nx\\n\\n'", "\n\nx\n\n", 0),
            ("printf 'h\\303\\251llo'", "héllo", 0),
            ("echo héllo ☃", "héllo ☃\n", 0),
            ("echo 'a!b' \"c!d\" e!f !! !$", "a!b c!d e!f !! !$\n", 0),
            ("printf %s $'a\\tb\\'c'", "a\tb'c", 0),
            ("echo \"it's\" 'say \"x\"' \\'", "it's say \"x\" '\n", 0),
            ("echo '\\n \\0 \\\\' %s %%", "\\n \\0 \\\\ %s %%\n", 0),
            ("echo a\r\necho b\r", "a\r\nb\r\n", 0),
            ("echo ~+ | head -c 1; echo {1..3} $((1 + 2))", "/1 2 3 3\n", 0),
            ("printf 'a\\0b\\33[1mc\\r50%%\\377'", "a\0b\u{1b}[1mc\r50%", 0),
        ].map(|(script, bytes, code)| {
            let mut bytes = bytes.as_bytes().to_vec();
            if script.ends_with("\\377'") {
                bytes.push(0xff);
            }
            (script, bytes, code)
        })).await?;
        let status = place.run("printf '\\n\\nx\\n\\n'").await?;
        assert_eq!(status.output, "\n\nx\n");
        assert_eq!(place.run("printf 'a\\r\\nb\\r\\n'").await?.output, "a\nb");
    }

    /// 2.
    async fn scripts_of_many_lines(place) {
        let mut long = String::from("total=0\nadd() {\n  local n=$1 # a note\n  total=$((total + n))\n}\n");
        for n in 0..12 {
            long.extend(["for i in 1 2; do\n  add ", &n.to_string(), "\ndone\n"]);
        }
        long += "case $total in\n  132) echo right;;\n  *) echo wrong $total;;\nesac\n";
        place.writes(&[
            (&*long, "right\n", 0),
            ("cat <<EOF\na $((1+1))\n  'b' \"c\nEOF", "a 2\n  'b' \"c\n", 0),
            ("cat <<'EOF'\n$x `y` \\\nEOF\n", "$x `y` \\\n", 0),
            ("cat <<-EOF\n\ta\n\tEOF\necho after", "a\nafter\n", 0),
            ("cat <<A; cat <<B\n1\nA\n2\nB", "1\n2\n", 0),
            ("if true\nthen\n  echo yes\nelse\n  echo no\nfi", "yes\n", 0),
            ("while read -r x; do\n  echo \"<$x>\"\ndone <<< $'1\\n2'", "<1>\n<2>\n", 0),
            ("f() {\n  echo f $1\n  return 4\n}\nf x", "f x\n", 4),
            ("cat <(echo sub) > >(cat); wait; sleep 0.05", "sub\n", 0),
        ]).await?;
    }

    /// 3.
    async fn syntax_errors_fail_at_once_and_keep_the_session(place) {
        place.run("x=kept; cd /tmp").await?.ok()?;
        for script in ["echo 'abc", "echo \"abc", "if then fi", "echo $(", "for", "}", "echo a &&", "case x in", "f() {", "echo a; )", "`"] {
            let asked = Instant::now();
            let status = place.run(script).await?;
            assert_eq!(status.status, Status::Failed, "{script}: {status:?}");
            assert!(asked.elapsed() < Duration::from_secs(1), "{script}: {:?}", asked.elapsed());
            assert!(status.output.contains("syntax error") || status.output.contains("unexpected"), "{script}: {status:?}");
            assert_eq!(place.run("echo $x; pwd").await?.bytes(), b"kept\n/tmp\n", "after {script}");
        }
    }

    /// 4.
    async fn options_and_traps_do_not_end_a_command(place) {
        let status = place.run("set -e; false").await?;
        assert_eq!((status.status, status.retcode), (Status::Failed, Some(1)), "{status:?}");
        let status = place.run("echo alive").await?;
        assert_eq!((&*status.output, status.state_lost), ("alive", true));
        place.run("trap 'echo bye' EXIT").await?.ok()?;
        place.writes(&[
            ("echo hi", "hi\n", 0),
            ("trap 'echo err' ERR; false", "err\n", 1),
            ("echo next", "next\n", 0),
            ("trap - ERR; trap 'n=$((n+1))' DEBUG; :", "", 0),
            ("trap - DEBUG; echo $((n > 0))", "1\n", 0),
            ("trap 'echo int' INT; echo x", "x\n", 0),
            ("trap - INT; set -u; echo ${unset-fine}", "fine\n", 0),
            ("echo two", "two\n", 0),
            ("set +u; IFS=:; echo a:b", "a:b\n", 0),
            ("x=a:b; echo $x", "a b\n", 0),
            ("unset IFS; set -f; echo /*", "/*\n", 0),
            ("set +f; set -o noclobber; echo x", "x\n", 0),
            ("set +o noclobber; set -o pipefail; false | true", "", 1),
            ("set +o pipefail; shopt -s extglob; echo x", "x\n", 0),
            ("set -- a b c; echo $#", "3\n", 0),
            ("echo $1$3", "ac\n", 0),
            ("(exit 7)", "", 7),
            ("echo $?", "7\n", 0),
        ]).await?;
        // A reference to a name that is not set ends the evaluation, and the session goes on.
        assert_eq!(place.run("set -u; echo $nobody").await?.retcode.map(|code| code > 0), Some(true));
        assert_eq!(place.run("set +u; echo on").await?.output, "on");
        // What the traps of errors and of each command write belongs to the command that they run in.
        place.run("trap 'echo D' DEBUG").await?.ok()?;
        let traced = place.run("echo a").await?.output;
        assert!(traced.ends_with("D\na") && traced.replace("D\n", "") == "a", "{traced}");
        place.run("trap - DEBUG").await?.ok()?;
        place.writes(&[("echo clean", "clean\n", 0)]).await?;
    }

    /// 7.
    async fn readers_of_stdin_see_its_end_at_once(place) {
        within(Duration::from_secs(5), "readers of an empty input", place.writes(&[
            ("cat", "", 0),
            ("read x", "", 1),
            ("cat; echo after", "after\n", 0),
            ("wc -c", "0\n", 0),
            ("bash", "", 0),
            ("sh -s", "", 0),
            ("test -t 0; echo $?; test -t 1; echo $?", "1\n1\n", 0),
            ("while read -r line; do echo no; done; echo done", "done\n", 0),
        ])).await?;
    }

    /// 13.
    async fn markers_and_prompts_do_not_show(place) {
        place.writes(&[
            ("set -v", "", 0),
            ("echo v", "v\n", 0),
            ("set +v; PS1='$ '; PS2='> '", "", 0),
            ("echo a", "a\n", 0),
            ("PS1='\\[\\e[1m\\]\\u@\\h:\\w\\$ '; PS0='zero'; PS4='four'", "", 0),
            ("echo b", "b\n", 0),
            ("PROMPT_COMMAND='echo x'", "", 0),
            ("echo c", "c\n", 0),
            ("PROMPT_COMMAND=; PS1=; PS0=; printf '\\36E%s 0 x;' abcdefghijkl", "\u{1e}Eabcdefghijkl 0 x;", 0),
            ("printf '\\36'", "\u{1e}", 0),
            ("printf '\\36\\36E\\36B'", "\u{1e}\u{1e}E\u{1e}B", 0),
        ]).await?;
        // The trace of a command is its own, on its error stream.
        place.run("set -x").await?;
        let traced = place.run("echo traced").await?;
        assert!(traced.output.ends_with("echo traced\ntraced"), "{traced:?}");
        place.run("set +x").await?;
        // A frame that a command has caught is no frame for the next.
        place.run("caught=$(cat /proc/$$/cmdline | tr '\\0' ' '; fc -l 2>&1)").await?;
        place.writes(&[("echo d", "d\n", 0)]).await?;
    }

    async fn words_of_the_frame_may_be_redefined(place) {
        place.writes(&[
            ("alias printf=false eval=false command=false exec=false builtin=false read=false", "", 0),
            ("echo a", "a\n", 0),
            ("unalias -a", "", 0),
            ("printf() { echo no; }; eval() { echo no; }; read() { echo no; }; exec() { echo no; }", "", 0),
            ("echo b", "b\n", 0),
            ("printf x", "no\n", 0),
            ("unset -f printf eval read exec; echo() { builtin echo mine \"$@\"; }; test() { false; }", "", 0),
            ("echo c", "mine c\n", 0),
            ("unset -f echo test; PATH=/nowhere", "", 0),
            ("echo d", "d\n", 0),
            ("PATH=/usr/local/bin:/usr/bin:/bin; unset -f __otto_rc; false", "", 1),
            ("echo e", "e\n", 0),
            ("enable -n printf 2>/dev/null; enable printf; echo f", "f\n", 0),
        ]).await?;
        // A failed command before, and the one after it still sees its code where otto's own function is there.
        place.writes(&[("(exit 3)", "", 3), ("echo g", "g\n", 0)]).await?;
    }

    /// 14.
    async fn state_stays_in_its_session_and_nowhere_else(place) {
        place.run("export A=1; B=2; cd /tmp; f() { echo f; }; umask 077; alias ll='echo alias'; shopt -s expand_aliases").await?.ok()?;
        place.writes(&[
            ("echo $A$B; pwd; f; umask; sh -c 'echo $A'", "12\n/tmp\nf\n0077\n1\n", 0),
            ("ll", "alias\n", 0),
        ]).await?;
        let probe = "echo [$A$B]; pwd; type f >/dev/null 2>&1 || echo none; umask";
        let other = place.host().open_session("other").await?;
        for (what, output) in [("session", other.run(probe).await?.only()?.output), ("oneshot", place.host().oneshot(probe).await?.output)] {
            let lines: Vec<_> = output.lines().collect();
            assert_eq!((lines[0], lines[2]), ("[]", "none"), "{what}: {output}");
            assert!(lines[1] != "/tmp" && lines[3] != "0077", "{what}: {output}");
        }
    }

    /// 16.
    async fn lines_are_seen_when_they_appear(place) {
        place.answers().await?;
        let mut seen = Vec::new();
        let asked = Instant::now();
        let status = place.host().run("for i in 1 2 3; do echo $i; sleep 0.3; done")
            .on_output(|line| seen.push((line.to_owned(), asked.elapsed()))).await?.only()?;
        assert_eq!(status.output, "1\n2\n3");
        assert_eq!(seen.iter().map(|(line, _)| &**line).collect::<Vec<_>>(), ["1", "2", "3"]);
        for (before, after) in seen.iter().zip(&seen[1..]) {
            assert!(after.1 > before.1 + Duration::from_millis(100), "lines came together: {seen:?}");
        }
    }

    /// 17.
    async fn a_list_goes_on_after_a_failure(place) {
        let result = place.host().run(["true", "false", "echo x"]).await?;
        let statuses: Vec<_> = result.statuses.iter().map(|one| one.status).collect();
        assert_eq!(statuses, [Status::Success, Status::Failed, Status::Success]);
        assert_eq!((result.status, &*result.statuses[2].output), (Status::Failed, "x"));
        assert!(result.only().unwrap_err().to_string().contains('3'));
    }

    /// 19.
    async fn late_output_of_a_job_is_never_a_frame(place) {
        let late = Sleeper::new();
        // As at a prompt of its own, bash says the number of the job; nothing else is there.
        let job = regex::Regex::new("^(\\[1\\] [0-9]+)?$").unwrap();
        let status = place.run("(sleep 0.2; echo late) &").await?;
        assert!(status.is_ok() && job.is_match(&status.output), "{status:?}");
        place.writes(&[("echo now", "now\n", 0)]).await?;
        // A job may write while a command runs, and cannot be told from it; but no frame is harmed.
        let status = place.run("sleep 0.4; echo end").await?;
        assert!(status.bytes().ends_with(b"end\n"), "{status:?}");
        assert!(["end", "late\nend"].contains(&&*status.output), "{status:?}");
        place.writes(&[("wait; echo quiet", "quiet\n", 0)]).await?;
        place.run(format!("{} &", late.command())).await?.ok()?;
        late.runs().await;
        place.answers().await?;
        place.host().close().await?;
        late.is_gone().await;
    }

    /// 10 and 11, in this group because they are about what was written.
    async fn long_and_binary_output_is_exact(place) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("random");
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        }).take(1 << 20).collect();
        std::fs::write(&file, &bytes).unwrap();
        let cat = format!("cat {}", file.display());
        assert!(place.run(&*cat).await?.bytes() == bytes, "a session changes bytes");
        assert!(place.host().oneshot(&*cat).await?.bytes() == bytes, "a oneshot changes bytes");
        let asked = Instant::now();
        for length in [30_000, 3_000_000] {
            let status = place.run(format!("head -c {length} /dev/zero | tr '\\0' x; echo")).await?;
            assert!(status.output.len() == length && status.output.bytes().all(|byte| byte == b'x'));
        }
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }

    /// 12.
    async fn long_scripts(place) {
        let line = format!("echo {}", "x".repeat(5_000));
        let script = format!("# {}\n{}", "'long\" ".repeat(15_000), "n=$((n+1))\n".repeat(500));
        assert!(script.len() > 100_000);
        place.writes(&[
            (line.clone(), format!("{}\n", "x".repeat(5_000)), 0),
            (script, String::new(), 0),
            ("echo $n".to_owned(), "500\n".to_owned(), 0),
            (format!(": {}; echo end", "y".repeat(1_000_000)), "end\n".to_owned(), 0),
        ]).await?;
        let status = place.host().run(&*line).terminal().await?.only()?;
        assert_eq!(status.output.trim_end().len(), 5_000);
        let big = format!(": {}; echo end", "y".repeat(100_000));
        assert_eq!(place.host().oneshot(big).await?.output, "end");
    }

    async fn a_nul_in_a_script_is_refused(place) {
        place.run("x=kept").await?.ok()?;
        assert_eq!(place.run("echo a\0b").await.unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(place.host().oneshot("echo a\0b").await.unwrap_err().kind(), ErrorKind::Invalid);
        place.writes(&[("echo $x", "kept\n", 0)]).await?;
    }
}

everywhere! {
    async fn redirections_of_the_shell_itself(place) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out");
        let file = file.display();
        place.writes(&[
            // It holds to the end of the command: the next one's output is there whatever became of the shell's own.
            (&*format!("exec 3>&1 >{file}; echo first"), "", 0),
            ("echo second; echo error >&2", "second\nerror\n", 0),
            ("exec >&3 3>&-", "", 0),
            (&*format!("cat {file}"), "first\n", 0),
            ("exec 2>&-; exec 0<&-", "", 0),
            ("echo third; echo error >&2; cat", "third\nerror\n", 0),
            (&*format!("exec 5>{file}; echo fifth >&5"), "", 0),
            (&*format!("echo again >&5; exec 5>&-; cat {file}"), "fifth\nagain\n", 0),
            ("exec 1>&-; x=set; true", "", 0),
            ("echo $x >&2", "set\n", 0),
        ]).await?;
        let after_it_was_closed = place.run("echo all hear").await?;
        assert_eq!((&*after_it_was_closed.output, after_it_was_closed.retcode), ("all hear", Some(0)));
        // A shell that becomes another program is gone when that ends.
        let gone = place.run("exec true").await?;
        assert_eq!((gone.status, gone.retcode), (Status::Error, Some(0)), "{gone:?}");
        assert!(place.answers().await?.state_lost);
    }
}

// Not on telnet, which has one line for both streams.
everywhere! { [local sshd sim]
    /// 15.
    async fn the_two_streams_together_and_apart(place) {
        let script = "for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done";
        place.writes(&[(script, "o1\ne1\no2\ne2\no3\ne3\no4\ne4\no5\ne5\n", 0)]).await?;
        let apart = place.host().run(script).separate_stderr().await?.only()?;
        assert_eq!((&*apart.output, apart.stderr()), ("o1\no2\no3\no4\no5", "e1\ne2\ne3\ne4\ne5"));
        let one = place.host().oneshot(script).await?;
        assert_eq!(one.bytes(), b"o1\ne1\no2\ne2\no3\ne3\no4\ne4\no5\ne5\n");
        let one = place.host().oneshot(script).separate_stderr().await?;
        assert_eq!((&*one.output, one.stderr()), ("o1\no2\no3\no4\no5", "e1\ne2\ne3\ne4\ne5"));
    }
}
