//! Prompts, `send` and `expect`, on every transport: numbers are those of the list of behaviours.

use std::time::{Duration, Instant};

use otto::ErrorKind;
use otto_tests::everywhere;
use otto_tests::places::{Sleeper, within};
use regex::{Regex, RegexBuilder};

everywhere! {
    /// 28.
    async fn a_prompt_is_answered(place) {
        let status = place.host().run("read -p 'name? ' n; echo hi $n").expects([("name\\? ", "bob\n")]).await?.only()?;
        assert!(status.is_ok() && status.output.ends_with("hi bob"), "{status:?}");
        // In the shell itself, so that its state is that of the next command.
        assert_eq!(place.run("echo $n").await?.output, "bob");
        let two = "read -p 'user: ' u; read -s -p 'password: ' p; echo; echo $u/$p";
        let status = place.host().run(two).expects([("user: ", "ann\n"), ("password: ", "secret\n")]).await?.only()?;
        assert!(status.output.ends_with("ann/secret"), "{status:?}");
        let flags = RegexBuilder::new("^ready.now\\? $").case_insensitive(true).dot_matches_new_line(true).build().unwrap();
        let status = place.host().run("read -p $'READY\\nNOW? ' a; echo [$a]").expects([(flags, "y\n")]).await?.only()?;
        assert!(status.output.ends_with("[y]"), "{status:?}");
        let never = place.host().run("echo fine").expects([("never", "x\n")]).await?.only()?;
        assert!(never.is_ok() && never.output == "fine", "{never:?}");
        // What asks on its terminal and not on its input, as sudo does.
        let script = "sh -c 'printf \"pw: \" >/dev/tty; read -r x </dev/tty; echo got $x' </dev/null";
        let status = place.host().run(script).expects([("pw: ", "s3\n")]).await?.only()?;
        assert!(status.output.ends_with("got s3"), "{status:?}");
    }

    /// 29.
    async fn a_prompt_that_comes_again_is_answered_again(place) {
        let script = "for i in 1 2 3; do read -p 'more? ' a; n=$n$a; done; echo $n";
        let status = place.host().run(script).expects([("more\\? ", "y\n")]).await?.only()?;
        assert!(status.output.ends_with("yyy"), "{status:?}");
        let script = "read -p 'which? ' a; echo [$a]";
        let status = place.host().run(script).expects([("which\\? ", "first\n"), ("which\\? ", "second\n")]).await?.only()?;
        assert!(status.output.ends_with("[first]"), "{status:?}");
        let status = place.host().run(script).expects([("h\\w+\\? ", "wide\n"), ("which\\? ", "second\n")]).await?.only()?;
        assert!(status.output.ends_with("[wide]"), "{status:?}");
    }

    async fn a_prompt_that_nobody_answers_ends_at_the_limit(place) {
        place.run("x=kept").await?.ok()?;
        let asked = Instant::now();
        let status = place.host().run("read -p 'name? ' n; echo end").expects([("never", "x\n")]).timeout("500ms").await?.only()?;
        assert!(status.timed_out && status.output.starts_with("name? "), "{status:?}");
        assert!(asked.elapsed() < Duration::from_millis(2500), "{:?}", asked.elapsed());
        assert_eq!(place.answers().await?.output, "ok");
        assert_eq!(place.run("echo $x").await?.output, "kept");
    }

    async fn a_command_with_a_terminal_has_all_of_one(place) {
        let script = "test -t 0 && test -t 1 && test -t 2 && : </dev/tty && echo all; stty size >/dev/null && echo size";
        let status = place.host().run(script).terminal().await?.only()?;
        assert_eq!(status.output, "all\nsize");
        let status = place.host().run("printf 'a\\nb'; exit_code() { return 4; }; exit_code").terminal().await?.only()?;
        assert_eq!((status.bytes(), status.retcode), (&b"a\nb"[..], Some(4)));
        place.answers().await?;
    }

    /// 30.
    async fn expect_finds_what_is_spread_over_lines_and_reads(place) {
        let (host, limit) = (place.host(), "5s");
        host.send("echo one; sleep 0.1; printf tw; sleep 0.1; echo o; echo three\n").await?;
        assert!(host.expect("one\\s+two").timeout(limit).await?.ends_with("two"));
        assert!(host.expect("three").timeout(limit).await?.ends_with("three"));
        let error = host.expect("nothing such").timeout("300ms").await.unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        host.send("echo alpha; echo beta\n").await?;
        let error = host.expect("gamma").timeout("500ms").await.unwrap_err();
        assert!(error.is_timeout() && error.to_string().contains("beta"), "{error}");
        // All of it is still there.
        assert!(host.expect("alpha").timeout(limit).await?.ends_with("alpha"));
        assert!(host.expect("beta").timeout(limit).await?.ends_with("beta"));
        let both = RegexBuilder::new("DELTA.*epsilon").case_insensitive(true).dot_matches_new_line(true).build().unwrap();
        host.send("echo delta; echo epsilon\n").await?;
        assert!(host.expect(both).timeout(limit).await?.ends_with("epsilon"));
        place.answers().await?;
    }

    async fn expect_is_linear_in_what_comes_before_the_match(place) {
        let host = place.host();
        host.send("head -c 5000000 /dev/zero | tr '\\0' x; echo; echo needle\n").await?;
        let asked = Instant::now();
        host.expect("n[e]+dle").timeout("10s").await?;
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        place.answers().await?;
    }

    /// 31.
    async fn what_is_no_regex_is_refused_before_anything_is_written(place) {
        place.run("n=0").await?.ok()?;
        for pattern in ["(", "[", "a{2,1}", "*"] {
            assert_eq!(place.host().run("n=1").expects([(pattern, "x\n")]).await.unwrap_err().kind(), ErrorKind::Invalid);
            assert_eq!(place.host().expect(pattern).await.unwrap_err().kind(), ErrorKind::Invalid);
        }
        assert_eq!(place.host().run("n=1").expects([("", "x\n")]).await.unwrap_err().kind(), ErrorKind::Invalid);
        place.writes(&[("echo $n", "0\n", 0)]).await?;
        place.host().expect(Regex::new("x").unwrap()).timeout("100ms").await.unwrap_err();
        place.answers().await?;
    }

    /// 27, without a program that may not be installed.
    async fn a_program_that_send_left_never_sees_a_frame(place) {
        let host = place.host();
        host.send("x=kept; PS1=; cat\n").await?;
        host.send("hello\n").await?;
        host.expect("hello").timeout("5s").await?;
        let asked = Instant::now();
        let error = host.run("echo hi").timeout("500ms").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(asked.elapsed() < Duration::from_millis(2500), "{:?}", asked.elapsed());
        assert!(host.expect("printf").timeout("200ms").await.is_err(), "the program got a frame");
        host.send("\u{4}").await?;
        assert_eq!(place.run("echo $x").await?.output, "kept");
    }

    async fn an_interrupt_that_is_typed_ends_the_program_and_not_the_session(place) {
        let (host, sleeper) = (place.host(), Sleeper::new());
        host.send(format!("x=kept; {}\n", sleeper.command())).await?;
        sleeper.runs().await;
        host.send("\u{3}").await?;
        sleeper.is_gone().await;
        assert_eq!(within(Duration::from_secs(5), "run after ^C", place.run("echo $x")).await?.output, "kept");
    }

    async fn send_to_a_dead_shell_is_an_error_and_run_opens_another(place) {
        let host = place.host();
        host.send("exit 3\n").await?;
        let error = host.expect("never").timeout("5s").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ShellExited, "{error:?}");
        assert!(host.send("echo x\n").await.unwrap_err().is_closed());
        assert!(host.expect("never").await.unwrap_err().is_closed());
        assert!(place.answers().await?.state_lost);
        host.send("echo back\n").await?;
        host.expect("back").timeout("5s").await?;
    }

    async fn a_dropped_expect_loses_nothing(place) {
        let host = place.host();
        host.send("echo early; sleep 0.3; echo late\n").await?;
        assert!(otto_tests::places::dropped_after(Duration::from_millis(100), host.expect("late").into_future()).await);
        assert!(host.expect("early\\s+late").timeout("5s").await?.ends_with("late"));
        place.answers().await?;
    }
}
