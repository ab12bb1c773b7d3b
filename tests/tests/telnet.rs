//! Telnet to the real servers of inetutils and `BusyBox`.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use otto::lab::HostSpec;
use otto::prelude::*;
use otto::{Error, Lab, Phase, Result};
use otto_tests::places::{Sleeper, until, within};
use otto_tests::telnetd::{Kind, Telnetd};

const BOTH: [Kind; 2] = [Kind::Inetutils, Kind::Busybox];

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

async fn output(host: &Host, command: &str) -> Result<String> {
    Ok(host.run(command).await?.only()?.ok()?.output.clone())
}

/// What logging in there fails with, within this time; without the password in any form.
async fn refused(host: &Host, limit: Duration) -> Error {
    let error = within(limit, "the login fails", host.run("echo in")).await.expect_err("nobody gets in");
    assert!(!format!("{error} {error:?} {} {host:?}", error.chain()).contains(Telnetd::PASSWORD), "{error:?}");
    error
}

/// The server's host with a silent one noticed after a few seconds.
fn impatient(server: &Telnetd) -> Host {
    let mut spec = HostSpec::telnet("telnetd", "127.0.0.1").port(server.port());
    spec = spec.user(Telnetd::USER).password(Telnetd::PASSWORD);
    spec.telnet_options.keepalive_interval = Some(seconds(1));
    spec.telnet_options.keepalive_count_max = Some(2);
    Host::from_spec(&spec)
}

#[tokio::test]
async fn commands_run_and_state_stays() -> Result<()> {
    for kind in BOTH {
        let server = Telnetd::builder(kind).start();
        let host = server.host().build();
        assert_eq!(output(&host, "echo hi").await?, "hi", "{kind:?}");
        let statuses = host.run(["cd /tmp; x=5", "false", "echo $PWD $x"]).await?.statuses;
        assert_eq!((statuses[1].retcode, &*statuses[2].output), (Some(1), "/tmp 5"), "{kind:?}");
        let (one, two) = tokio::try_join!(host.open_session("one"), host.open_session("two"))?;
        one.run("cd /var").await?.ok()?;
        assert_eq!(two.run("pwd; echo $x").await?.only()?.output.lines().nth(1).unwrap_or_default(), "", "{kind:?}");
        assert_eq!(one.run("pwd").await?.only()?.output, "/var", "{kind:?}");
        host.close().await?;
        until("nothing runs there", seconds(5), || server.sessions().is_empty()).await;
        assert_eq!(output(&host, "echo again").await?, "again", "{kind:?}");
        host.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn text_of_any_language_goes_both_ways() -> Result<()> {
    for kind in BOTH {
        let server = Telnetd::builder(kind).start();
        let host = server.host().build();
        let said = output(&host, "printf 'h\\303\\251llo'; echo ' w\u{f6}rld \u{4e16}\u{754c} \u{1f40c}'").await?;
        assert_eq!(said, "h\u{e9}llo w\u{f6}rld \u{4e16}\u{754c} \u{1f40c}", "{kind:?}");
        host.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_terminal_is_what_it_was_said_to_be() -> Result<()> {
    for (kind, size, term) in [(Kind::Inetutils, "50 255", "dumb"), (Kind::Busybox, "50 254", "")] {
        let server = Telnetd::builder(kind).start();
        let host = server.host().build();
        assert_eq!(output(&host, "stty size </dev/tty").await?, size, "{kind:?}");
        // BusyBox does not ask for the type, and hands its own on.
        if !term.is_empty() {
            assert_eq!(output(&host, "echo $TERM").await?, term, "{kind:?}");
        }
        host.close().await?;
    }
    let server = Telnetd::inetutils();
    let lab = format!("lab = 'l'\n{}[hosts.telnet_options]\ncols = 80\nrows = 511\n", server.host_toml());
    let host = Host::from_spec(Lab::from_toml(&lab)?.host("telnetd").unwrap());
    assert_eq!(output(&host, "stty size </dev/tty").await?, "511 80");
    host.close().await
}

#[tokio::test]
async fn bytes_that_telnet_has_a_meaning_for_arrive() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let (down, up) = (folder.path().join("down"), folder.path().join("up"));
    // Carriage returns before everything that could be taken for a part of them, and all of telnet's own bytes.
    let mut odd: Vec<u8> = vec![255; 100_000];
    odd.extend((240..=255).flat_map(|byte| [255, byte, b'\r', 0, b'\r', byte, b'\r', b'\r', b'x']));
    std::fs::write(&down, &odd).unwrap();
    for kind in BOTH {
        let server = Telnetd::builder(kind).start();
        let host = server.host().build();
        let got = host.run(format!("cat {}", down.display())).await?.only()?;
        assert!(got.bytes() == odd, "{kind:?}: {} bytes", got.bytes().len());

        let count = odd.len();
        host.send(format!(
            "stty raw -echo; printf 're''ady'; head -c {count} >{}; stty sane; printf 'do''ne'\n",
            up.display()
        ))
        .await?;
        host.expect("ready").await?;
        host.send(&odd).await?;
        host.expect("done").timeout(seconds(20)).await?;
        let there = std::fs::read(&up).unwrap();
        let at = there.iter().zip(&odd).position(|(one, other)| one != other);
        assert!(there == odd, "{kind:?}: {} bytes, the first other at {at:?}", there.len());
        host.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_costs_no_delayed_acknowledgement() -> Result<()> {
    for kind in BOTH {
        let server = Telnetd::builder(kind).start();
        let host = server.host().build();
        output(&host, "true").await?;
        let began = Instant::now();
        for round in 0..100 {
            assert_eq!(output(&host, &format!("echo {round}")).await?, round.to_string());
        }
        // With the acknowledgements delayed it is 4 s and more.
        assert!(began.elapsed() < seconds(3), "{kind:?}: {:?}", began.elapsed());
        host.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_login_that_takes_its_time() -> Result<()> {
    for kind in BOTH {
        let banner = "Unit 7. Password: ask the lab. Last login: yesterday\n";
        let server = Telnetd::builder(kind).delay(seconds(2)).banner(banner).start();
        let host = server.host().build();
        assert_eq!(output(&host, "echo in").await?, "in", "{kind:?}");
        host.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_is_said_at_once_and_not_shown() {
    for kind in BOTH {
        let server = Telnetd::builder(kind).start();
        for (user, password) in [(Telnetd::USER, "not-this-one"), ("nobody-here", Telnetd::PASSWORD)] {
            let host = server.host().user(user).password(password).build();
            let error = refused(&host, seconds(5)).await;
            assert_eq!(error.phase(), Some(Phase::Login), "{error}");
            assert!(error.to_string().contains(user) && !error.to_string().contains(password), "{error}");
            host.close().await.unwrap();
        }
        until("nothing runs there", seconds(5), || server.sessions().is_empty()).await;
    }
}

#[tokio::test]
async fn a_port_where_nothing_listens_and_a_name_without_an_address() {
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let host = Host::telnet("127.0.0.1").port(port).user("nobody").build();
    let error = refused(&host, seconds(5)).await;
    assert_eq!(error.phase(), Some(Phase::Tcp), "{error}");
    assert!(error.to_string().contains("is telnetd running"), "{error}");
    let error = refused(&Host::telnet("no-such-host.invalid").build(), seconds(20)).await;
    assert_eq!(error.phase(), Some(Phase::Resolve), "{error}");
}

#[tokio::test]
async fn a_prompt_that_never_comes() {
    for kind in BOTH {
        let server = Telnetd::builder(kind).login("exec sleep 600").start();
        let host = server.host().login_timeout(seconds(1)).build();
        let error = refused(&host, seconds(8)).await;
        // Some write an empty line of their own before.
        assert!(matches!(error.phase(), Some(Phase::Banner | Phase::Login)), "{error}");
        until("nothing runs there", seconds(5), || server.sessions().is_empty()).await;

        let server = Telnetd::builder(kind).login("echo Welcome to the maze; exec sleep 600").start();
        let host = server.host().login_timeout(seconds(1)).build();
        let error = refused(&host, seconds(8)).await;
        assert_eq!(error.phase(), Some(Phase::Login), "{error}");
        assert!(error.to_string().contains("Welcome to the maze"), "{error}");
    }
}

#[tokio::test]
async fn prompts_of_ones_own() -> Result<()> {
    let login = "printf 'Board 7 operator> '; read -r user; stty -echo; printf 'PIN? '; read -r pin; stty echo; echo; \
                 [ \"$user $pin\" = 'op 1234' ] || { echo 'no such operator'; exec sleep 600; }; exec sh -i";
    let server = Telnetd::builder(Kind::Inetutils).login(login).start();
    let options = "login_prompt = 'operator>'\npassword_prompt = 'PIN\\?'\nlogin_failed = 'no such operator'\n";
    for (pin, right) in [("1234", true), ("4321", false)] {
        let lab = format!(
            "lab = 'l'\n[[hosts]]\nid = 'board'\nip = '127.0.0.1'\nport = {}\nterm = 'telnet'\n\
             creds = [{{ login = 'op', password = '{pin}' }}]\n[hosts.telnet_options]\n{options}",
            server.port()
        );
        let ctx = otto::open_context(Lab::from_toml(&lab)?).open().await?;
        let host = ctx.get_host("board")?;
        if right {
            assert_eq!(output(&host, "echo in").await?, "in");
        } else {
            assert_eq!(refused(&host, seconds(8)).await.phase(), Some(Phase::Login));
        }
        ctx.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_connection_that_is_cut_during_the_login() {
    for kind in BOTH {
        let server = Telnetd::builder(kind).delay(seconds(20)).banner("wait\n").start();
        let host = server.host().build();
        let task = {
            let host = host.clone();
            tokio::spawn(async move { host.run("echo in").await })
        };
        until("somebody logs in", seconds(5), || !server.sessions().is_empty()).await;
        tokio::time::sleep(millis(200)).await;
        server.kill_servers();
        let error = within(seconds(3), "the cut is seen", task).await.unwrap().unwrap_err();
        assert!(error.is_infrastructure() && error.to_string().contains("the host closed the connection"), "{error}");
        host.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_during_a_command_and_the_next_use() -> Result<()> {
    let server = Telnetd::inetutils();
    let host = server.host().build();
    output(&host, "x=5").await?;
    let sleeper = Sleeper::new();
    let task = {
        let (host, command) = (host.clone(), format!("echo begun; {}", sleeper.command()));
        tokio::spawn(async move { host.run(command).await?.only() })
    };
    sleeper.runs().await;
    server.kill_servers();
    let status = within(seconds(3), "the cut is seen", task).await.unwrap()?;
    assert_eq!((status.status, status.retcode, status.output.trim()), (Status::Error, None, "begun"));
    assert!(status.cause().unwrap_or_default().contains("the connection was lost"), "{status:?}");
    // The terminal is gone, and what ran in it with it.
    sleeper.is_gone().await;
    let next = host.run("echo again $x").await?.only()?;
    assert_eq!((next.output.trim(), next.state_lost), ("again", true));
    host.close().await
}

#[tokio::test]
async fn a_server_that_freezes_is_an_error() -> Result<()> {
    let server = Telnetd::inetutils();
    let host = impatient(&server);
    output(&host, "true").await?;
    let task = {
        let host = host.clone();
        tokio::spawn(async move { host.run("sleep 1000").timeout(seconds(60)).await?.only() })
    };
    // What is silent and answers is left alone.
    tokio::time::sleep(seconds(5)).await;
    assert!(!task.is_finished());
    server.freeze();
    let status = within(seconds(15), "the freeze is seen", task).await.unwrap()?;
    assert!(status.cause().unwrap_or_default().contains("frozen or unreachable"), "{status:?}");
    server.thaw();
    assert_eq!(output(&host, "echo again").await?, "again");
    host.close().await
}

#[tokio::test]
async fn what_outlasts_its_limit_is_stopped_and_seen_to_be_gone() -> Result<()> {
    for kind in BOTH {
        let server = Telnetd::builder(kind).start();
        let host = server.host().build();
        let sleeper = Sleeper::new();
        let status = host.run(sleeper.command()).timeout(seconds(1)).await?.only()?;
        assert!(status.timed_out, "{kind:?}: {status:?}");
        sleeper.is_gone().await;
        let next = host.run("echo next").await?.only()?;
        assert_eq!((&*next.output, next.state_lost), ("next", false), "{kind:?}: ^C was enough");

        let stubborn = format!("trap '' INT HUP TERM; {}; echo not reached", sleeper.command());
        let status = host.run(stubborn).timeout(seconds(1)).await?.only()?;
        assert!(status.timed_out && !status.output.contains("not reached"), "{kind:?}: {status:?}");
        sleeper.is_gone().await;
        let next = host.run("echo next").await?.only()?;
        assert_eq!((&*next.output, next.state_lost), ("next", true), "{kind:?}");
        host.close().await?;
        until("nothing runs there", seconds(5), || server.sessions().is_empty()).await;
    }
    Ok(())
}

#[tokio::test]
async fn what_is_dropped_leaves_nothing() -> Result<()> {
    for kind in BOTH {
        let server = Telnetd::builder(kind).delay(millis(300)).start();
        // In the middle of the connection, of the login, of the handshake, of the command.
        for after in [0, 50, 200, 500, 800, 1_100] {
            let host = server.host().build();
            let sleeper = Sleeper::new();
            drop(tokio::time::timeout(millis(after), host.run(sleeper.command())).await);
            host.close().await?;
            until(&format!("{kind:?}: nothing runs there"), seconds(10), || server.sessions().is_empty()).await;
            sleeper.is_gone().await;
        }
    }
    Ok(())
}

#[tokio::test]
async fn closing_ends_what_runs() -> Result<()> {
    for kind in BOTH {
        let server = Telnetd::builder(kind).start();
        let host = server.host().build();
        let sleeper = Sleeper::new();
        let task = {
            let (host, command) = (host.clone(), sleeper.command().to_owned());
            tokio::spawn(async move { host.run(command).timeout(seconds(100)).await })
        };
        sleeper.runs().await;
        let (one, two) =
            within(seconds(9), "both are closed", async { tokio::join!(host.close(), host.close()) }).await;
        one.and(two)?;
        sleeper.is_gone().await;
        assert!(task.await.unwrap().is_err());
        host.close().await?;
    }
    Ok(())
}

/// 36.
#[tokio::test]
async fn two_hundred_oneshots_share_a_few_logins() -> Result<()> {
    let server = Telnetd::inetutils();
    let host = server.host().build();
    let all: Vec<_> = (0..200)
        .map(|number| {
            let host = host.clone();
            tokio::spawn(async move { host.oneshot(format!("echo {number} $x; cd /tmp; x=1; umask 0")).await })
        })
        .collect();
    for (number, one) in all.into_iter().enumerate() {
        let one = one.await.unwrap()?;
        assert_eq!((one.output.trim(), one.retcode), (number.to_string().as_str(), Some(0)), "{one:?}");
    }
    assert!(server.connection_count().is_some_and(|count| count <= 16), "{:?}", server.connection_count());
    host.close().await?;
    until("nothing runs there", seconds(5), || server.sessions().is_empty()).await;
    Ok(())
}

#[tokio::test]
async fn the_systems_own_login() -> Result<()> {
    assert!(rustix::process::geteuid().is_root(), "only root can give a server accounts of its own: run this as root");
    let server = Telnetd::builder(Kind::Inetutils).with_accounts().start();
    let host = server.host().build();
    assert_eq!(output(&host, "id -un; pwd; stty size </dev/tty; echo $TERM").await?, "tester\n/\n50 255\ndumb");
    let sleeper = Sleeper::new();
    let stubborn = format!("trap '' INT HUP TERM; {}", sleeper.command());
    assert!(host.run(stubborn).timeout(seconds(1)).await?.only()?.timed_out);
    sleeper.is_gone().await;
    assert_eq!(output(&host, "echo again").await?, "again");
    host.close().await?;
    until("nothing runs there", seconds(5), || server.sessions().is_empty()).await;

    let host = server.host().password("not-this-one").build();
    let error = refused(&host, seconds(15)).await;
    assert_eq!(error.phase(), Some(Phase::Login), "{error}");
    assert!(error.to_string().contains("Login incorrect") && !error.to_string().contains("not-this-one"), "{error}");
    Ok(())
}

/// A server that refuses every option, with a login without a password and a shell on pipes behind it. In pieces, every
/// byte of it travels alone.
fn refuses_everything(opening: &'static [u8], in_pieces: bool) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let say = move |mut stream: &TcpStream, bytes: &[u8]| {
        for piece in bytes.chunks(if in_pieces { 1 } else { 4096 }) {
            // The other end may have gone.
            let _ = stream.write_all(piece);
        }
    };
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        say(&stream, opening);
        say(&stream, b"login: ");
        let mut shell: Option<Child> = None;
        let mut typed = Vec::new();
        let mut bytes = BufReader::new(&stream).bytes().map_while(std::result::Result::ok);
        while let Some(byte) = bytes.next() {
            match byte {
                255 => match (bytes.next(), bytes.next()) {
                    (Some(251), Some(option)) => say(&stream, &[255, 254, option]),
                    (Some(253), Some(option)) => say(&stream, &[255, 252, option]),
                    (Some(252 | 254), Some(_)) => {}
                    other => panic!("the client said {other:?}"),
                },
                0 => assert_eq!(typed.last(), None, "a NUL is part of the Enter key"),
                b'\r' | b'\n' => {
                    typed.push(b'\n');
                    if let Some(shell) = &mut shell {
                        shell.stdin.as_mut().unwrap().write_all(&typed).unwrap();
                    } else {
                        assert_eq!(typed, b"op\n");
                        say(&stream, b"\r\nwelcome\r\n$ ");
                        let mut started = Command::new("sh");
                        started.arg("-i").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
                        let started = shell.insert(started.spawn().unwrap());
                        let (mut output, back) = (started.stdout.take().unwrap(), stream.try_clone().unwrap());
                        thread::spawn(move || {
                            let mut piece = [0; 4096];
                            while let Ok(count @ 1..) = output.read(&mut piece) {
                                let doubled = piece[..count].iter().flat_map(|byte| match byte {
                                    255 => vec![255, 255],
                                    byte => vec![*byte],
                                });
                                say(&back, &doubled.collect::<Vec<u8>>());
                            }
                        });
                    }
                    typed.clear();
                }
                byte => typed.push(byte),
            }
        }
        if let Some(mut shell) = shell {
            let _ = shell.kill();
            let _ = shell.wait();
        }
    });
    port
}

#[tokio::test]
async fn a_server_that_refuses_everything_and_one_that_speaks_in_single_bytes() -> Result<()> {
    // Options that nobody has heard of, a subnegotiation without end and one that was never agreed, commands, and again.
    let opening: &[u8] = &[
        255, 253, 24, 255, 251, 1, 255, 251, 99, 255, 253, 98, 255, 250, 24, 1, 255, 253, 39, 255, 250, 99, 255, 255,
        1, 255, 240, 255, 241, 255, 242, 255, 253, 24, 255, 251, 1, 255, 254, 97, b'h', b'o', 255, 249, b'!', b'\r',
        b'\n',
    ];
    for in_pieces in [false, true] {
        let host = Host::telnet("127.0.0.1").port(refuses_everything(opening, in_pieces)).user("op").build();
        assert_eq!(output(&host, "echo in; printf 'a\\377b'").await?, "in\na\u{fffd}b", "in pieces: {in_pieces}");
        assert_eq!(output(&host, "printf '%s' \"$((6 * 7))\"").await?, "42");
        host.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_flood_of_options_and_a_peer_that_ends_in_the_middle_of_one() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // Each of them wants an answer, and none is read.
        for _ in 0..200_000 {
            if stream.write_all(&[255, 253, 99, 255, 251, 99, 255, 253, 6]).is_err() {
                return;
            }
        }
        let _ = stream.write_all(&[255, 250, 24]);
    });
    let host = Host::telnet("127.0.0.1").port(port).user("op").login_timeout(seconds(3)).build();
    let error = refused(&host, seconds(10)).await;
    assert!(matches!(error.phase(), Some(Phase::Banner | Phase::Login)), "{error}");
    host.close().await.unwrap();
    server.join().unwrap();
}
