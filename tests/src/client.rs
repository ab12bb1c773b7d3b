//! The `ssh` program, as a second opinion on servers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};

use otto::sim::RunningHost;
use tempfile::TempDir;

/// Runs `ssh` against a simulated host, with nothing of the user's own configuration.
#[derive(Debug)]
pub struct SshClient {
    folder: TempDir,
    port: u16,
    user: String,
    first: Vec<String>,
    key_file: Option<String>,
    password: Option<String>,
}

impl SshClient {
    /// A client that knows the key of this host, and how to log in.
    ///
    /// # Panics
    ///
    /// When its files cannot be written.
    #[must_use]
    pub fn new(host: &RunningHost) -> Self {
        Self::with_options(host, &[])
    }

    /// A client for this host, with these options before all others: the first value of an option holds.
    ///
    /// # Panics
    ///
    /// When its files cannot be written.
    #[must_use]
    pub fn with_options(host: &RunningHost, first: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for ssh");
        let known_hosts = format!("[127.0.0.1]:{} {}\n", host.port(), host.host_key());
        fs::write(folder.path().join("known_hosts"), known_hosts).expect("known_hosts is written");
        let askpass = folder.path().join("askpass");
        fs::write(&askpass, "#!/bin/sh\nprintf '%s\\n' \"$OTTO_TEST_PASSWORD\"\n").expect("askpass is written");
        fs::set_permissions(&askpass, fs::Permissions::from_mode(0o700)).expect("askpass is ours");
        Self {
            folder,
            port: host.port(),
            user: host.user().to_owned(),
            first: first.iter().map(|option| (*option).to_owned()).collect(),
            key_file: host.key_file().map(|path| path.display().to_string()),
            password: host.password().map(str::to_owned),
        }
    }

    /// `ssh` with these options after those that find the host, to run this command there.
    #[must_use]
    pub fn command(&self, options: &[&str], command: &[&str]) -> Command {
        let path = |name: &str| self.folder.path().join(name);
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none"]).args(&self.first);
        ssh.args(["-p", &self.port.to_string(), "-l", &self.user])
            .args(["-o", "StrictHostKeyChecking=yes", "-o", "GlobalKnownHostsFile=none", "-o", "LogLevel=ERROR"])
            .args(["-o", "IdentityAgent=none", "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=10"])
            .args(["-o", &format!("UserKnownHostsFile={}", path("known_hosts").display())])
            .args(["-o", &format!("IdentityFile={}", self.key_file.as_deref().unwrap_or("none"))]);
        if let Some(password) = &self.password {
            ssh.env("SSH_ASKPASS", path("askpass")).env("SSH_ASKPASS_REQUIRE", "force");
            ssh.env("OTTO_TEST_PASSWORD", password);
        }
        ssh.args(options).arg("127.0.0.1").args(command);
        ssh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        ssh
    }

    /// What a command says, and how it ends, by the client's account.
    ///
    /// # Panics
    ///
    /// When `ssh` is not installed.
    #[must_use]
    pub fn run(&self, options: &[&str], command: &str) -> Output {
        let output = self.command(options, &[command]).output();
        output.unwrap_or_else(|error| panic!("ssh does not run ({error}): apt-get install openssh-client"))
    }

    /// The standard output of a command that has to succeed.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[must_use]
    #[track_caller]
    pub fn text(&self, options: &[&str], command: &str) -> String {
        let output = self.run(options, command);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {}: {error}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
