//! Hosts on serial lines: login, commands, ^C, a line that is pulled out, locks, settings, and slow writing.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use otto::prelude::*;
use otto::{ErrorKind, Phase, SerialHost};
use otto_tests::console::{Console, PASSWORD, USER};

fn over(console: &Console) -> SerialHost {
    Host::serial(&console.device).id("board").user(USER).password(PASSWORD)
}

#[tokio::test]
async fn a_console_is_logged_in_to_used_and_left_as_it_was() -> otto::Result<()> {
    let console = Console::start();
    let before = format!("{:?}", console.settings());
    let host = over(&console).build();
    assert_eq!(host.run("cd /tmp; kept=yes; echo hello").await?.only()?.output, "hello");
    assert_eq!(host.run("echo $kept; pwd; (exit 3)").await?.only()?.retcode, Some(3));
    assert_eq!(host.run("pwd").await?.only()?.output, "/tmp");
    let shell: u32 = host.run("echo $$").await?.only()?.output.parse().expect("a number");
    assert_ne!(format!("{:?}", console.settings()), before);
    host.close().await?;
    assert_eq!(format!("{:?}", console.settings()), before);
    gone(shell);
    // The next use logs in once more.
    assert_eq!(host.run("echo $kept.").await?.only()?.output, ".");
    host.close().await?;
    assert!(!console.home().join(".bash_history").exists());
    Ok(())
}

#[tokio::test]
async fn a_command_at_its_limit_gets_a_ctrl_c() -> otto::Result<()> {
    let console = Console::start();
    let host = over(&console).build();
    host.run("mark=here").await?.ok()?;
    let start = Instant::now();
    let status = host.run("echo start; sleep 30; echo end").timeout(Duration::from_secs(1)).await?.only()?;
    assert!(status.timed_out && status.output.contains("start") && !status.output.contains("end"), "{status:?}");
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    assert_eq!(host.run("echo $mark").await?.only()?.output, "here");
    host.close().await
}

#[tokio::test]
async fn a_command_that_heeds_no_ctrl_c_costs_the_shell() -> otto::Result<()> {
    let console = Console::start();
    let host = over(&console).build();
    host.run("true").await?.ok()?;
    let status = host.run("trap '' INT; sleep 60; echo on").timeout(Duration::from_secs(1)).await?.only()?;
    assert!(status.timed_out && !status.is_ok(), "{status:?}");
    let next = host.run("echo fresh").await?.only()?;
    assert_eq!((&*next.output, next.state_lost), ("fresh", true));
    host.close().await
}

#[tokio::test]
async fn a_line_that_is_pulled_out_is_lost_and_found_again() -> otto::Result<()> {
    let mut console = Console::start();
    let host = over(&console).build();
    let running = host.run("echo on; sleep 60").timeout(Duration::from_secs(30));
    let pull = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        console.unplug();
        Instant::now()
    };
    let (status, pulled) = tokio::join!(async { (running.await, Instant::now()) }, pull);
    let (status, ended) = status;
    let status = status?.only()?;
    let text = format!("{status:?}");
    assert!(!status.is_ok() && !status.timed_out, "{text}");
    assert!(ended.saturating_duration_since(pulled) < Duration::from_secs(3));
    let error = status.ok().unwrap_err();
    assert!(error.to_string().contains("went away"), "{error}");

    let error = host.run("true").await.unwrap_err();
    assert_eq!(error.phase(), Some(Phase::Device));
    assert!(error.to_string().contains("there is no device"), "{error}");

    console.plug_in();
    // What we left running there is stopped before the login: nobody waits for it.
    let start = Instant::now();
    let status = host.run("echo back").await?.only()?;
    assert_eq!(status.output, "back");
    assert!(status.state_lost);
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
    host.close().await
}

#[tokio::test]
async fn two_processes_never_share_a_console() -> otto::Result<()> {
    let console = Console::start();
    let host = over(&console).build();
    host.run("true").await?.ok()?;
    let locked = |then: &str| {
        let mut command = Command::new("python3");
        let text = format!(
            "import fcntl, os, sys, time\nline = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)\n\
             fcntl.flock(line, fcntl.LOCK_EX | fcntl.LOCK_NB)\nprint('held', flush=True)\n{then}"
        );
        command.arg("-c").arg(text).arg(&console.device).stdin(Stdio::null());
        command
    };
    let refused = locked("").output().expect("`apt-get install python3` has python3");
    assert!(
        !refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("BlockingIOError"),
        "{refused:?}"
    );
    host.close().await?;

    let mut other = locked("time.sleep(60)").stdout(Stdio::piped()).spawn().expect("python3");
    let mut said = [0; 4];
    std::io::Read::read_exact(other.stdout.as_mut().expect("a pipe"), &mut said).expect("it holds the lock");
    let error = host.run("true").await.unwrap_err();
    other.kill().expect("it runs");
    other.wait().expect("it ends");
    assert_eq!(error.phase(), Some(Phase::Device));
    let text = error.to_string();
    assert!(text.contains(&format!("in use by process {} (python3)", other.id())), "{text}");
    assert_eq!(host.run("echo free").await?.only()?.output, "free");
    host.close().await
}

#[tokio::test]
async fn one_shell_is_all_that_a_console_has() -> otto::Result<()> {
    let console = Console::start();
    let host = over(&console).build();
    host.run("true").await?.ok()?;
    let start = Instant::now();
    let error = host.open_session("second").await.unwrap_err();
    assert!(error.to_string().contains("another session of the host has the console"), "{error}");
    assert!(error.to_string().contains("a serial line carries one shell"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(1));
    host.close().await?;
    let session = host.open_session("second").await?;
    assert_eq!(session.run("echo two").await?.only()?.output, "two");
    host.close().await
}

#[tokio::test]
async fn a_wrong_password_is_no_shell() {
    let console = Console::start();
    let host = over(&console).password("not it").build();
    let error = host.run("true").await.unwrap_err();
    assert_eq!(error.phase(), Some(Phase::Login));
    let text = error.chain();
    assert!(text.contains("did not let `admin` in") && !text.contains("not it"), "{text}");
    assert_eq!(error.host(), Some("board"));
    // Nothing of it is left in the way of the right one.
    let host = over(&console).build();
    assert!(host.run("true").await.unwrap().is_ok());
    host.close().await.unwrap();
}

#[tokio::test]
async fn a_login_that_is_given_up_leaves_no_shell_behind() -> otto::Result<()> {
    let console = Console::start();
    let host = over(&console).build();
    // In the middle of the questions, between them and the shell, and while the shell starts.
    for wait in [900, 1300, 1500, 1700, 2000] {
        let dropped = tokio::time::timeout(Duration::from_millis(wait), host.run("true")).await;
        assert!(dropped.is_err() || wait > 1300, "a login of {wait} ms");
        assert_eq!(host.run("echo right").await?.only()?.output, "right", "after {wait} ms");
        host.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_slow_console_is_written_to_slowly() -> otto::Result<()> {
    let console = Console::start();
    let host = over(&console).paced(32, Duration::from_millis(5)).build();
    assert_eq!(host.run("echo slow").await?.only()?.output, "slow");
    let written = console.written();
    assert!(written.iter().all(|(_, bytes)| bytes.len() <= 32), "a piece was too long");
    let whole: Vec<_> = written.windows(2).filter(|pair| pair[0].1.len() == 32).collect();
    assert!(whole.len() > 10, "{}", whole.len());
    // A cable that looks late sees two pieces close together, but not on the whole.
    let (first, last) = (whole[0][0].0, whole[whole.len() - 1][1].0);
    let rests = Duration::from_millis(5) * u32::try_from(whole.len() - 1).expect("few");
    assert!(last - first >= rests, "{} pieces in {:?}", whole.len(), last - first);
    host.close().await?;

    let host = over(&console).line_pause(Duration::from_millis(150)).build();
    host.run("true").await?.ok()?;
    let before = console.written().len();
    host.run("echo one").await?.ok()?;
    let lines = console.written().split_off(before);
    assert_eq!(lines.iter().filter(|(_, bytes)| bytes.ends_with(b"\n")).count(), 1, "{lines:?}");
    host.close().await
}

#[tokio::test]
async fn a_console_of_a_lab_file_that_somebody_left_logged_in() -> otto::Result<()> {
    // No questions, a prompt of its own kind, and half a command on the line.
    let console = Console::with("trap : INT; while :; do bash --rcfile /dev/null -i; done");
    let lab = otto::Lab::from_toml(&format!(
        "lab = 'bench'\n[[hosts]]\nid = 'board1'\nterm = 'serial'\n[hosts.serial_options]\ndevice = '{}'\n\
         baud = 57600\nlogin_timeout = 45\n",
        console.device.display()
    ))?;
    let mut lines = std::fs::OpenOptions::new().write(true).open(&console.device).expect("the device");
    std::io::Write::write_all(&mut lines, b"PS1='what now, '\ntouch oh-no; echo oh-").expect("the line");
    drop(lines);
    let text = otto::open_context(lab)
        .with(async |ctx| {
            let host = ctx.get_host("board1")?;
            host.run("echo in; ls").await?.only()
        })
        .await?;
    assert_eq!(text.output, "in\nttyTEST");
    assert_eq!(console.settings().output_speed(), 2400);
    Ok(())
}

#[tokio::test]
async fn a_kernel_that_writes_over_a_prompt_is_borne() -> otto::Result<()> {
    let console = Console::with(
        "trap : INT; late='[   12.3] usb 1-1: new device'; while :; do \
         printf '\\r\\nbox login: '; sleep 0.5; printf '%s\\r\\n' \"$late\"; late=; \
         read -r user; [ \"$user\" = admin ] && bash --norc -i; done",
    );
    let host = over(&console).build();
    assert_eq!(host.run("echo in").await?.only()?.output, "in");
    host.close().await
}

#[tokio::test]
async fn a_device_that_is_none_says_so() {
    for (device, what) in [("/dev/null", "is no serial line"), ("/dev/otto-none", "there is no device /dev/otto-none")]
    {
        let error = Host::serial(device).build().run("true").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect(Phase::Device));
        assert!(error.to_string().contains(what), "{error}");
    }
}

/// That the process is not there any more, or is on its way.
fn gone(pid: u32) {
    let end = Instant::now() + Duration::from_secs(5);
    while std::path::Path::new(&format!("/proc/{pid}")).exists() {
        assert!(Instant::now() < end, "process {pid} is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}
