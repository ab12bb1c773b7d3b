//! Connections that are many, lost, frozen or refused: numbers are those of the list of behaviours.

use std::fs;
use std::time::{Duration, Instant};

use otto::prelude::*;
use otto::sim::{Fault, SimHost, SimLab};
use otto::{Phase, Result};
use otto_tests::everywhere;
use otto_tests::places::{Place, Server, Sleeper, within};
use otto_tests::sshd::Sshd;

const SECOND: Duration = Duration::from_secs(1);

fn cut(place: &Place) {
    match place.server() {
        Server::Local => {}
        Server::Sshd(server) => server.kill_children(),
        Server::Sim(lab) => lab.hosts()[0].drop_connections(),
        Server::Telnetd(server) => server.kill_servers(),
    }
}

everywhere! {
    /// 35.
    async fn forty_oneshots_at_once(place) {
        let all: Vec<_> = (0..40).map(|n| {
            let host = place.host().clone();
            tokio::spawn(async move { host.oneshot(format!("sleep 0.05; echo {n}")).await })
        }).collect();
        for (n, one) in all.into_iter().enumerate() {
            let status = one.await.unwrap()?;
            assert_eq!((status.status, status.output), (Status::Success, n.to_string()));
        }
    }
}

everywhere! { [local sshd telnet]
    async fn two_hundred_oneshots_at_once(place) {
        let all: Vec<_> = (0..200).map(|n| {
            let host = place.host().clone();
            tokio::spawn(async move { host.oneshot(format!("echo {n}; (exit {})", n % 7)).await })
        }).collect();
        for (n, one) in all.into_iter().enumerate() {
            let status = one.await.unwrap()?;
            let code = i32::try_from(n % 7).unwrap();
            assert_eq!((status.output.as_str(), status.retcode), (&*n.to_string(), Some(code)), "{status:?}");
        }
        assert!(!place.host().is_dirty());
    }
}

everywhere! { [sshd sim telnet]
    /// 38.
    async fn a_connection_that_is_cut_is_an_error_with_its_cause(place) {
        let session = place.host().open_session("named").await?;
        for _ in 0..2 {
            place.run("x=1").await?.ok()?;
            let sleeper = Sleeper::new();
            let host = place.host().clone();
            let script = format!("echo start; {}", sleeper.command());
            let busy = tokio::spawn(async move { host.run(script).await?.only() });
            sleeper.runs().await;
            let cutting = Instant::now();
            cut(place);
            let status = busy.await.unwrap()?;
            assert!(cutting.elapsed() < SECOND, "{:?}", cutting.elapsed());
            assert_eq!((status.status, &*status.output, status.timed_out), (Status::Error, "start", false));
            assert!(status.cause().is_some_and(|cause| cause.contains("connection")), "{status:?}");
            let next = place.run("echo [$x]").await?;
            assert_eq!((&*next.output, next.state_lost), ("[]", true));
            let next = session.run("echo named").await?.only()?;
            assert_eq!((&*next.output, next.state_lost), ("named", true));
            assert!(!place.answers().await?.state_lost);
        }
    }

    async fn a_connection_that_is_cut_while_idle_is_replaced(place) {
        place.run("x=1").await?.ok()?;
        cut(place);
        let next = within(3 * SECOND, "run after the cut", place.run("echo [$x]")).await?;
        // Before the loss is noticed, nobody can know whether the command still reached the host: it is not run twice.
        let noticed = next.output == "[]" && next.state_lost;
        let lost = next.status == Status::Error && next.cause().is_some_and(|cause| cause.contains("connection"));
        assert!(noticed || lost, "{next:?}");
        let next = place.answers().await?;
        assert!(noticed != next.state_lost, "{next:?}");
    }

    async fn a_oneshot_under_a_cut_names_the_cause(place) {
        let sleeper = Sleeper::new();
        let (host, script) = (place.host().clone(), sleeper.command().to_owned());
        let busy = tokio::spawn(async move { host.oneshot(script).await });
        sleeper.runs().await;
        let cutting = Instant::now();
        cut(place);
        let status = busy.await.unwrap()?;
        assert!(cutting.elapsed() < SECOND && status.status == Status::Error, "{status:?}");
        assert!(status.cause().is_some_and(|cause| cause.contains("connection")), "{status:?}");
    }

    /// 37: after the peer died.
    async fn closing_after_the_peer_died_is_fine(place) {
        place.answers().await?;
        let _named = place.host().open_session("named").await?;
        cut(place);
        within(5 * SECOND, "close", place.host().close()).await?;
        within(SECOND, "close again", place.host().close()).await?;
    }

    /// 38: frozen. The limit of the command bounds it.
    async fn a_frozen_host_does_not_outlast_the_limit(place) {
        place.answers().await?;
        let freeze = |on: bool| match place.server() {
            Server::Local => {}
            Server::Sshd(server) => if on { server.freeze() } else { server.thaw() },
            Server::Sim(lab) => if on { lab.hosts()[0].freeze() } else { lab.hosts()[0].thaw() },
            Server::Telnetd(server) => if on { server.freeze() } else { server.thaw() },
        };
        freeze(true);
        let asked = Instant::now();
        let status = place.host().run("echo frozen").timeout("500ms").await;
        let took = asked.elapsed();
        let asked = Instant::now();
        let one = place.host().oneshot("echo frozen").timeout("500ms").await;
        let alone = asked.elapsed();
        freeze(false);
        assert!(took < 3 * SECOND && alone < 3 * SECOND, "{took:?} {alone:?}");
        assert!(status?.only()?.timed_out);
        // Over telnet it has a server of its own, which is not frozen.
        assert!(one?.timed_out || matches!(place.server(), Server::Telnetd(_)));
        within(5 * SECOND, "run after the thaw", place.run("true")).await?;
        place.answers().await?;
    }
}

/// 38: frozen in the middle of a command whose own limit is far off. The questions of the connection find it.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_freezes_in_mid_command_is_found_by_keepalive() -> Result<()> {
    let server = Sshd::start();
    let options = "[hosts.ssh_options]\nkeepalive_interval = 1\nkeepalive_count_max = 2\n";
    let lab = otto::Lab::from_toml(&format!("{}{options}", server.lab_toml()))?;
    let ctx = otto::open_context(lab).open().await?;
    let host = ctx.get_host("server")?;
    host.run("true").await?.ok()?;
    let (one, two) = (Sleeper::new(), Sleeper::new());
    let (run, alone) = (host.run(one.command()).timeout("120s"), host.oneshot(two.command()));
    let (run, alone) = (tokio::spawn(run.into_future()), tokio::spawn(alone.into_future()));
    one.runs().await;
    two.runs().await;
    server.freeze();
    let frozen = Instant::now();
    let (run, alone) = (run.await.unwrap()?.only()?, alone.await.unwrap()?);
    let took = frozen.elapsed();
    server.thaw();
    assert!(took < 12 * SECOND, "{took:?}");
    for status in [run, alone] {
        assert!(status.status == Status::Error && !status.timed_out && status.left_running(), "{status:?}");
        let error = status.ok().unwrap_err().to_string();
        assert!(error.contains("connection was lost") && error.contains("does not answer"), "{error}");
    }
    assert_eq!(host.dirt().len(), 2, "{:?}", host.dirt());
    assert!(host.run("echo back").await?.only()?.state_lost);
    ctx.close().await
}

/// 39: what accepts and says nothing has the limit of its phase, without any limit of the command's own.
#[tokio::test(flavor = "multi_thread")]
async fn a_banner_that_never_comes_has_a_limit_of_its_own() -> Result<()> {
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let lab = otto::Lab::from_toml(&format!(
        "lab = 'x'\n[[hosts]]\nid = 'one'\nip = '127.0.0.1'\nport = {port}\nhost_key_check = 'insecure'\n\
         creds = [{{ login = 'x', password = 'yyyy' }}]\nssh_options = {{ connect_timeout = 1 }}\n"
    ))?;
    let ctx = otto::open_context(lab).open().await?;
    let asked = Instant::now();
    let error = ctx.get_host("one")?.run("true").await.unwrap_err();
    assert_eq!(error.phase(), Some(Phase::Banner), "{error:?}");
    assert!(asked.elapsed() < 5 * SECOND && error.to_string().contains("said nothing within 1s"), "{error}");
    ctx.close().await
}

/// A host at this port of this machine, with this key of this user.
fn at(port: u16, of: &Sshd) -> otto::SshHost {
    Host::ssh("127.0.0.1").id("one").port(port).user(of.user()).key_file(of.key_file()).host_key(of.host_key())
}

async fn refused(what: &str, host: Host, phase: Phase) {
    let asked = Instant::now();
    let error = within(30 * SECOND, what, host.run("true")).await.unwrap_err();
    assert_eq!(error.phase(), Some(phase), "{what}: {error:?}");
    assert_eq!(error.host(), Some("one"), "{what}: {error:?}");
    let again = host.oneshot("true").await.unwrap_err();
    assert_eq!(again.phase(), Some(phase), "{what}: {again:?}");
    assert!(asked.elapsed() < 30 * SECOND, "{what}");
    within(SECOND, "close what never connected", host.close()).await.unwrap();
}

/// 39.
#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_be_refused_is_its_own_phase() {
    let server = Sshd::start();
    let sim = |host: SimHost| SimLab::builder().host(host).start().unwrap();
    let (other, password) = (Sshd::start(), sim(SimHost::new("pw").password().user(server.user())));
    let pw = &password.hosts()[0];
    refused("a wrong key", at(server.port(), &server).key_file(other.key_file()).build(), Phase::Auth).await;
    refused("a changed host key", at(server.port(), &server).host_key(other.host_key()).build(), Phase::HostKey).await;
    let unknown = Host::ssh("127.0.0.1").id("one").port(server.port()).user(server.user()).key_file(server.key_file());
    refused("an unknown host key", unknown.build(), Phase::HostKey).await;
    let wrong =
        Host::ssh("127.0.0.1").id("one").port(pw.port()).user(pw.user()).password("wrong").host_key(pw.host_key());
    refused("a wrong password", wrong.build(), Phase::Auth).await;
    let name = Host::ssh("no-such-host.invalid").id("one").user("x").password("y").insecure();
    refused("a name that is none", name.build(), Phase::Resolve).await;
    for (what, fault, phase) in [
        ("a refused port", Fault::Refuse, Phase::Tcp),
        ("no banner of SSH", Fault::Garbage(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), Phase::Banner),
        ("a wrong host key", Fault::WrongHostKey, Phase::HostKey),
    ] {
        let lab = sim(SimHost::new("faulty").fault(fault));
        refused(what, at(lab.hosts()[0].port(), &server).build(), phase).await;
    }
    let old = Sshd::builder().config("KexAlgorithms diffie-hellman-group1-sha1").start();
    refused("no algorithm in common", at(old.port(), &old).build(), Phase::Kex).await;
}

/// 42. A home of its own, whose rc file does what rc files should not.
async fn with_rc(rc: &str, lines: &[&str]) -> Result<()> {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join(".bashrc"), rc).unwrap();
    let mut server = Sshd::builder().config(format!("SetEnv HOME={}", home.path().display()));
    for line in lines {
        server = server.config(*line);
    }
    let place = Place::over(server.start());
    place.writes(&[("echo a", "a\n", 0), ("printf b; exit_code() { return 4; }; exit_code", "b", 4)]).await?;
    assert_eq!(place.host().oneshot("echo c; echo d >&2").await?.bytes(), b"c\nd\n", "after {rc}");
    place.host().close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn rc_files_do_not_show() -> Result<()> {
    with_rc("echo noise; echo more >&2", &[]).await?;
    with_rc("sleep 0.5; echo slow", &[]).await?;
    with_rc("PS1='weird> '; PROMPT_COMMAND='echo x'; set -u; alias printf=false exec=false", &[]).await?;
    with_rc("export TMOUT=2 HISTFILE=/tmp/x ENV=/nowhere BASH_ENV=/nowhere", &[]).await?;
    let banner = tempfile::NamedTempFile::new().unwrap();
    fs::write(banner.path(), "*** authorised use only ***\n").unwrap();
    with_rc("", &[&format!("Banner {}", banner.path().display()), "PrintMotd yes"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_time_of_the_shell_does_not_end_a_session() -> Result<()> {
    let place = Place::sshd();
    place.run("x=kept; TMOUT=1").await?.ok()?;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let next = place.run("echo [$x]").await?;
    assert!(next.is_ok() && (next.output == "[kept]" || next.state_lost), "{next:?}");
    place.host().close().await
}
