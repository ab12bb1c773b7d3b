//! Hosts behind hosts, over real servers of OpenSSH, each with a port, a key and a host key of its own.

use std::time::{Duration, Instant};

use otto::prelude::*;
use otto::{ErrorKind, Lab, Phase, Result};
use otto_tests::leaks::Snapshot;
use otto_tests::places::{Sleeper, until};
use otto_tests::sshd::Sshd;
use otto_tests::telnetd::Telnetd;

fn server(id: &str) -> Sshd {
    Sshd::builder().id(id).start()
}

/// How often it was connected to. Once it was by the bed.
fn dials(server: &Sshd) -> usize {
    server.connection_count() - 1
}

/// `far` behind `near` behind `bastion`.
struct Chain {
    bastion: Sshd,
    near: Sshd,
    far: Sshd,
}

impl Chain {
    fn start() -> Self {
        Self { bastion: server("bastion"), near: server("near"), far: server("far") }
    }

    /// The one that needs the others first: the order in a file is no matter.
    fn lab(&self) -> Result<Lab> {
        let [far, near, bastion] = [&self.far, &self.near, &self.bastion].map(Sshd::host_toml);
        Lab::from_toml(&format!("lab = \"bed\"\n{far}hop = \"near\"\n{near}hop = \"bastion\"\n{bastion}"))
    }
}

#[tokio::test]
async fn commands_and_files_reach_a_host_behind_two_others() -> Result<()> {
    let chain = Chain::start();
    let leaks = Snapshot::take();
    otto::open_context(chain.lab()?)
        .with(async |ctx| {
            let far = ctx.get_host("far")?;
            let port = |text: &str| text.rsplit(' ').next().unwrap().parse::<u16>().unwrap();
            let seen = far.run("cd /tmp; echo $SSH_CONNECTION").await?;
            assert_eq!(port(&seen.only()?.ok()?.output), chain.far.port());
            assert_eq!(far.run("pwd").await?.only()?.output, "/tmp");
            // Bytes both ways, more than any window.
            let digest = far.oneshot("sha256sum").stdin(vec![7; 20 << 20]).await?;
            let sum = Host::local().oneshot("head -c 20971520 /dev/zero | tr '\\0' '\\7' | sha256sum").await?;
            assert_eq!(digest.ok()?.output, sum.ok()?.output);
            assert_eq!(far.oneshot("head -c 3000000 /dev/zero").await?.bytes().len(), 3_000_000);
            let folder = far.fs().temp_dir().await?;
            let path = folder.path().join("a file");
            far.fs().write(&path, "through two").await?;
            assert_eq!(far.fs().read_to_string(&path).await?, "through two");
            let near = ctx.get_host("near")?.run("echo $SSH_CONNECTION").await?;
            assert_eq!(port(&near.only()?.ok()?.output), chain.near.port());
            // One connection to each, however much goes through it.
            assert_eq!([&chain.bastion, &chain.near].map(dials), [1, 1]);
            folder.close().await
        })
        .await?;
    for server in [&chain.far, &chain.near, &chain.bastion] {
        until("no connection is left", Duration::from_secs(5), || server.connections().is_empty()).await;
    }
    leaks.assert_same_within(Duration::from_secs(5));
    Ok(())
}

#[tokio::test]
async fn many_hosts_share_one_connection_to_their_hop() -> Result<()> {
    let (bastion, far) = (server("bastion"), server("far"));
    let mut text = format!("lab = \"bed\"\n{}", bastion.host_toml());
    for number in 0..12 {
        let host = far.host_toml().replace("\"far\"", &format!("\"far{number}\""));
        text.extend([&*host, "hop = \"bastion\"\n"]);
    }
    otto::open_context(Lab::from_toml(&text)?)
        .with(async |ctx| {
            let results = ctx.run_on_all_hosts("echo hi").pattern("far.*").await?;
            assert_eq!(results.ok()?.len(), 12);
            assert_eq!(dials(&bastion), 1);
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_hop_that_dies_is_the_one_cause_and_the_next_use_dials_again() -> Result<()> {
    let chain = Chain::start();
    otto::open_context(chain.lab()?)
        .with(async |ctx| {
            let far = ctx.get_host("far")?;
            far.run("here=1").await?.ok()?;
            let sleeper = Sleeper::new();
            let running = far.run(sleeper.command());
            let (status, ()) = tokio::join!(running.into_future(), async {
                sleeper.runs().await;
                chain.bastion.kill_children();
            });
            let status = status?.only()?.clone();
            assert_eq!(status.status, Status::Error);
            let text = status.ok().unwrap_err().to_string();
            assert!(text.contains("hop"), "{text}");
            assert!(status.duration < Duration::from_secs(5), "{text}");
            let again = far.run("echo ${here-anew}").await?.only()?.clone();
            assert_eq!((&*again.output, again.state_lost), ("anew", true));
            Ok(())
        })
        .await
}

#[tokio::test]
async fn what_is_wrong_on_the_way_is_told_with_the_chain() -> Result<()> {
    let (closed, far) = (Sshd::builder().id("closed").config("AllowTcpForwarding no").start(), server("far"));
    let bastion = server("bastion");
    let text = format!(
        "lab = \"bed\"\n{closed}{bastion}{refused}{nowhere}{unknown}{behind}",
        closed = closed.host_toml(),
        bastion = bastion.host_toml(),
        refused = format_args!("{}hop = \"closed\"\n", far.host_toml().replace("\"far\"", "\"refused\"")),
        nowhere = "[[hosts]]\nid = \"nowhere\"\nip = \"127.0.0.1\"\nport = 1\nuser = \"x\"\nhop = \"bastion\"\n",
        // A key that is not the one of the lab, at the hop and behind it.
        unknown = format_args!(
            "{}hop = \"bastion\"\n",
            far.host_toml().replace("\"far\"", "\"unknown\"").replace(far.host_key(), bastion.host_key())
        ),
        behind = format_args!("{}hop = \"unknown\"\n", far.host_toml().replace("\"far\"", "\"behind\"")),
    );
    otto::open_context(Lab::from_toml(&text)?)
        .with(async |ctx| {
            let began = Instant::now();
            for (id, phase, parts) in [
                ("refused", Phase::Tcp, &["over its hop `closed`: it refuses to forward", "AllowTcpForwarding"][..]),
                ("nowhere", Phase::Tcp, &["over its hop `bastion`: from there, 127.0.0.1:1 cannot be reached"]),
                ("unknown", Phase::HostKey, &[]),
                ("behind", Phase::HostKey, &["over its hop `unknown`: "]),
            ] {
                let error = ctx.get_host(id)?.oneshot("true").await.unwrap_err();
                let text = error.to_string();
                assert_eq!((error.phase(), error.host()), (Some(phase), Some(id)), "{text}");
                assert!(parts.iter().all(|part| text.contains(part)), "{text}");
            }
            assert!(began.elapsed() < Duration::from_secs(10));
            Ok(())
        })
        .await
}

#[tokio::test]
async fn telnet_behind_a_hop_and_hosts_made_in_code() -> Result<()> {
    let (bastion, telnetd) = (server("bastion"), Telnetd::inetutils());
    let over = |server: &Sshd| {
        let host = Host::ssh("127.0.0.1").port(server.port()).user(server.user()).key_file(server.key_file());
        host.host_key(server.host_key())
    };
    let hop = over(&bastion).id("bastion").build();
    let far = telnetd.host().id("far").hop(&hop).build();
    drop(hop);
    assert_eq!(far.run(["cd /var", "pwd"]).await?.statuses[1].output, "/var");
    let sleeper = Sleeper::new();
    let late = far.run(sleeper.command()).timeout("500ms").await?.only()?.clone();
    assert!(late.timed_out && !late.left_running(), "{late:?}");
    sleeper.is_gone().await;
    assert_eq!(far.run("pwd").await?.only()?.output, "/var");
    assert_eq!(dials(&bastion), 1);
    far.close().await?;
    drop(far);
    until("no connection is left", Duration::from_secs(5), || bastion.connections().is_empty()).await;
    Ok(())
}

#[tokio::test]
async fn a_frozen_hop_is_an_error_and_closing_is_bounded() -> Result<()> {
    let chain = Chain::start();
    let ctx = otto::open_context(chain.lab()?).open().await?;
    let far = ctx.get_host("far")?;
    far.run("true").await?.ok()?;
    chain.bastion.freeze();
    let late = far.run("echo x").timeout("500ms").await;
    let text = match late {
        Ok(result) => result.only()?.ok().unwrap_err().to_string(),
        Err(error) => {
            assert_ne!(error.kind(), ErrorKind::Invalid);
            error.to_string()
        }
    };
    assert!(!text.is_empty());
    let began = Instant::now();
    // What did not close is named; that is no reason to hang.
    let _ = ctx.close().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    chain.bastion.thaw();
    Ok(())
}

/// A server on this machine that says what it is told, in capitals, a line each.
async fn shouting() -> std::net::SocketAddr {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (from, mut to) = socket.into_split();
                let mut lines = BufReader::new(from).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    to.write_all(format!("{}\n", line.to_uppercase()).as_bytes()).await.unwrap();
                }
            });
        }
    });
    address
}

/// What a host hears at an address when it says `hello`.
fn ask(address: std::net::SocketAddr) -> String {
    format!("(exec 3<>/dev/tcp/{}/{} && echo hello >&3 && head -n 1 <&3)", address.ip(), address.port())
}

#[tokio::test]
async fn ports_are_forwarded_both_ways_until_they_are_closed() -> Result<()> {
    let (bastion, far) = (server("bastion"), server("far"));
    let text = format!("lab = \"bed\"\n{}{}hop = \"bastion\"\n", bastion.host_toml(), far.host_toml());
    let target = shouting().await;
    let leaks = Snapshot::take();
    otto::open_context(Lab::from_toml(&text)?)
        .with(async |ctx| {
            let (here, far) = (Host::local(), ctx.get_host("far")?);
            let local = far.forward_local(target.to_string()).await?;
            let remote = far.forward_remote(0, target.to_string()).await?;
            for _ in 0..3 {
                assert_eq!(here.run(ask(local.address())).await?.only()?.ok()?.output, "HELLO");
                assert_eq!(far.run(ask(remote.address())).await?.only()?.ok()?.output, "HELLO");
            }
            let (was, there) = (local.address(), remote.address());
            local.close().await?;
            assert!(!here.run(ask(was)).await?.is_ok());
            drop(remote);
            until("the far port is closed", Duration::from_secs(5), || std::net::TcpStream::connect(there).is_err())
                .await;
            here.close().await?;

            let refused = far.forward_local("127.0.0.1:1").await.unwrap_err();
            assert!(refused.to_string().contains("127.0.0.1:1 cannot be reached"), "{refused}");
            for wrong in ["nothing", "host:", ":80", "host:0", "host:x"] {
                assert_eq!(far.forward_local(wrong).await.unwrap_err().kind(), ErrorKind::Invalid, "{wrong}");
            }
            let taken = far.forward_remote(target.port(), target.to_string()).await.unwrap_err();
            assert!(taken.to_string().contains("does not listen on"), "{taken}");
            let none = Host::local().forward_local(target.to_string()).await.unwrap_err();
            assert!(none.to_string().contains("only"), "{none}");
            // Left open: it ends with the scope.
            std::mem::forget(far.forward_local(target.to_string()).await?);
            Ok(())
        })
        .await?;
    for server in [&far, &bastion] {
        until("no connection is left", Duration::from_secs(5), || server.connections().is_empty()).await;
    }
    leaks.assert_same_within(Duration::from_secs(5));
    Ok(())
}
