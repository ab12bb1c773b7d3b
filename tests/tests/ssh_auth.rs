//! Logging in to the real OpenSSH server by each means that there is.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use otto::sim::{SimHost, SimLab};
use otto::{Host, Phase, Result};
use otto_tests::sshd::Sshd;

/// An `ssh-agent` that ends with the test.
struct Agent {
    child: Child,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

impl Agent {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent");
        let child = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .expect("ssh-agent starts: apt-get install openssh-client");
        let start = Instant::now();
        while !socket.exists() {
            assert!(start.elapsed() < Duration::from_secs(5), "ssh-agent did not come up");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { child, socket, _folder: folder }
    }

    fn add(&self, key: &std::path::Path) {
        let added = Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.socket).status().unwrap();
        assert!(added.success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The test below in a process of its own, because the agent's socket is known by a variable.
fn as_child_of_agent(server: &Sshd, socket: &std::path::Path) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_of_an_agent", "--ignored", "--nocapture"])
        .env("SSH_AUTH_SOCK", socket)
        .env("HOME", "/nonexistent")
        .env("OTTO_TEST_PORT", server.port().to_string())
        .env("OTTO_TEST_USER", server.user())
        .env("OTTO_TEST_HOST_KEY", server.host_key())
        .output()
        .unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
#[ignore = "the part of `by_agent` that runs in a process of its own"]
async fn child_of_an_agent() -> Result<()> {
    let of = |name: &str| std::env::var(name).unwrap();
    let host = Host::ssh("127.0.0.1")
        .port(of("OTTO_TEST_PORT").parse().unwrap())
        .user(of("OTTO_TEST_USER"))
        .host_key(of("OTTO_TEST_HOST_KEY"))
        .build();
    eprintln!("answered: {:?}", host.run("echo by agent").await.map(|all| all.statuses[0].output.clone()));
    host.close().await
}

#[test]
fn by_agent() {
    let server = Sshd::start();
    let agent = Agent::start();
    let refused = as_child_of_agent(&server, &agent.socket);
    assert!(refused.contains("Connect(Auth)") && refused.contains("agent"), "{refused}");
    agent.add(&server.key_file());
    let answered = as_child_of_agent(&server, &agent.socket);
    assert!(answered.contains("answered: Ok(\"by agent\")"), "{answered}");
}

#[tokio::test]
async fn by_encrypted_key() -> Result<()> {
    let server = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::copy(server.key_file(), &key).unwrap();
    let changed = Command::new("ssh-keygen").args(["-q", "-p", "-P", "", "-N", "open sesame", "-f"]).arg(&key).status();
    assert!(changed.unwrap().success());
    let lab = |passphrase: &str| {
        otto::Lab::from_toml(&format!(
            "lab = 'bed'\n[[hosts]]\nid = 'server'\nip = '127.0.0.1'\nport = {}\nhost_key = '{}'\n\
             creds = [{{ login = '{}', key_file = '{}'{passphrase} }}]\n",
            server.port(),
            server.host_key(),
            server.user(),
            key.display()
        ))
    };
    for (passphrase, right) in [(", passphrase = 'open sesame'", true), (", passphrase = 'guess'", false), ("", false)]
    {
        let ctx = otto::open_context(lab(passphrase)?).open().await?;
        let answered = ctx.get_host("server")?.run("echo in").await;
        match answered {
            Ok(all) => assert!(right && all.statuses[0].output == "in"),
            Err(error) => {
                assert!(!right, "{error}");
                assert_eq!(error.phase(), Some(Phase::Auth));
                assert!(!format!("{error:?}").contains("guess"), "{error:?}");
            }
        }
        ctx.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn by_password() -> Result<()> {
    let sim = SimLab::builder().host(SimHost::new("pw").password()).start()?;
    let host = sim.host("pw").unwrap();
    let by = |password: &str| {
        let password = password.to_owned();
        Host::ssh("127.0.0.1").port(host.port()).user(host.user()).host_key(host.host_key()).password(password).build()
    };
    let right = by(host.password().unwrap());
    assert_eq!(right.run("echo in").await?.only()?.output, "in");
    right.close().await?;
    let wrong = by("not this one");
    let error = wrong.run("echo in").await.unwrap_err();
    assert_eq!(error.phase(), Some(Phase::Auth));
    assert!(!format!("{error:?} {wrong:?}").contains("not this one"));
    wrong.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_oneshots_share_one_server() -> Result<()> {
    let server = Sshd::start();
    let host = Host::ssh("127.0.0.1")
        .port(server.port())
        .user(server.user())
        .host_key(server.host_key())
        .key_file(server.key_file())
        .build();
    host.oneshot("true").await?.ok()?;
    let all: Vec<_> = (0..200)
        .map(|number| {
            let host = host.clone();
            tokio::spawn(async move { host.oneshot(format!("echo {number}; cd /tmp; umask 077; x=1")).await })
        })
        .collect();
    for (number, one) in all.into_iter().enumerate() {
        let one = one.await.unwrap()?;
        assert_eq!((one.output.as_str(), one.retcode), (number.to_string().as_str(), Some(0)), "{one:?}");
    }
    assert!(server.connections().len() <= 2, "{:?}", server.connections());
    host.close().await
}
