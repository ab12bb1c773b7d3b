//! Accounts that are not root's, with each shell as their own, and start-up files that do what they should not.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use otto::{Phase, Result};
use otto_tests::places::{Place, Sleeper, within};
use otto_tests::sshd::{Sshd, UID};

const SECOND: Duration = Duration::from_secs(1);

/// A server whose account has this shell and these files in its home.
fn account(shell: &str, files: &[(&str, &str)]) -> Place {
    assert!(Path::new(shell).exists(), "{shell} is missing: apt-get install dash zsh ksh busybox-static");
    let server = Sshd::builder().account(shell).start();
    for (name, text) in files {
        fs::write(server.home().join(name), text).unwrap();
    }
    Place::over(server)
}

/// What has to work for whoever logs in.
async fn smoke(place: &Place) -> Result<()> {
    let host = place.host();
    place
        .writes(&[
            ("id -u", format!("{UID}\n"), 0),
            ("printf 'a\\nb'; exit_with() { return 3; }; exit_with", "a\nb".into(), 3),
        ])
        .await?;
    place.run("cd /; x='kept for later'").await?.ok()?;
    place.writes(&[("pwd; echo \"$x\"", "/\nkept for later\n", 0)]).await?;
    let one = host.oneshot("id -u; echo err >&2; (exit 4)").await?;
    assert_eq!((one.bytes(), one.retcode), (format!("{UID}\nerr\n").as_bytes(), Some(4)), "{one:?}");
    let asked =
        host.run("printf 'name? '; read -r n </dev/tty; echo \"hi $n\"").expects([("name\\? ", "bob\n")]).await?;
    assert!(asked.only()?.output.ends_with("hi bob"), "{asked:?}");
    for stubborn in ["", "trap '' INT; "] {
        let sleeper = Sleeper::new();
        let status = host.run(format!("{stubborn}{}; true", sleeper.command())).timeout("500ms").await?.only()?;
        assert!(status.timed_out && !status.left_running(), "{status:?}");
        let one = host.oneshot(format!("{stubborn}{}; true", sleeper.command())).timeout("500ms").await?;
        assert!(one.timed_out && !one.left_running(), "{one:?}");
        sleeper.is_gone().await;
    }
    place.answers().await?;
    assert!(!host.is_dirty(), "{:?}", host.dirt());
    within(5 * SECOND, "close", host.close()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn bash_of_a_user() -> Result<()> {
    smoke(&account("/bin/bash", &[(".bashrc", "echo noise; TMOUT=2; alias echo=false"), (".bash_logout", "echo bye")]))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn dash_of_a_user() -> Result<()> {
    smoke(&account("/bin/dash", &[(".profile", "echo noise")])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn zsh_of_a_user() -> Result<()> {
    smoke(&account("/bin/zsh", &[(".zshenv", "echo noise; setopt no_unset"), (".zshrc", "PROMPT='%% '")])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ksh_of_a_user() -> Result<()> {
    smoke(&account("/bin/ksh", &[(".kshrc", "echo noise")])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ash_of_a_user() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let ash = folder.path().join("ash");
    symlink("/bin/busybox", &ash).unwrap();
    smoke(&account(ash.to_str().unwrap(), &[])).await
}

/// A user who prefers another shell changes to it where there is somebody to type.
#[tokio::test(flavor = "multi_thread")]
async fn an_rc_file_that_changes_the_shell_for_people_does_not_matter() -> Result<()> {
    smoke(&account("/bin/bash", &[(".bashrc", "[[ $- == *i* ]] && exec zsh\n")])).await
}

/// Where it does so for everybody, no command that sshd is given is ever run: that has to be said, and never be a success.
#[tokio::test(flavor = "multi_thread")]
async fn an_rc_file_that_changes_the_shell_for_all_is_a_clear_error() -> Result<()> {
    let place = account("/bin/bash", &[(".bashrc", "exec zsh\n")]);
    let asked = Instant::now();
    match place.host().run("echo hi").await {
        Ok(result) => assert_eq!(result.only()?.output, "hi"),
        Err(error) => {
            assert_eq!(error.phase(), Some(Phase::Shell), "{error:?}");
            assert!(format!("{error:?}").contains("rc files"), "{error:?}");
        }
    }
    match place.host().oneshot("echo hi").timeout("10s").await {
        Ok(one) => assert!(!one.is_ok() || one.output == "hi", "said to have succeeded, and was not run: {one:?}"),
        Err(error) => assert!(format!("{error:?}").contains("rc files"), "{error:?}"),
    }
    assert!(asked.elapsed() < 45 * SECOND, "{:?}", asked.elapsed());
    let _ = within(6 * SECOND, "close", place.host().close()).await;
    Ok(())
}

/// An account that may not log in says so itself.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_a_shell_says_what_it_said() -> Result<()> {
    let place = account("/bin/false", &[]);
    let error = within(20 * SECOND, "run", place.host().run("echo hi")).await.unwrap_err();
    assert_eq!(error.phase(), Some(Phase::Shell), "{error:?}");
    let one = within(20 * SECOND, "oneshot", place.host().oneshot("echo hi")).await;
    assert!(!one.is_ok_and(|one| one.is_ok()));
    within(6 * SECOND, "close", place.host().close()).await
}
