//! Logging in: the methods of the target in their order, each once.

use std::path::Path;
use std::sync::Arc;

use russh::MethodKind;
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg};

use crate::error::Phase;

use super::target::{Auth, Hidden, SshTarget};
use super::watcher::{Table, Watcher};
use crate::transport::fault::Fault;

/// Servers close the connection after six failures by default, and a method after the agent's keys wants its turn.
const AGENT_KEYS: usize = 4;
/// A server that asks more often than this does not want to know.
const ROUNDS: usize = 10;

/// One login. It is over at the first success: to authenticate again on the same handle would hang for ever.
struct Login<'a> {
    handle: &'a mut Handle<Watcher>,
    target: &'a SshTarget,
    table: &'a Table,
    /// What was tried and what became of it, for the error.
    tried: Vec<String>,
    /// What the server said that it takes; nothing as long as it was not asked.
    offered: Option<Vec<MethodKind>>,
}

/// What came of one method.
enum Outcome {
    In,
    /// The server took it and wants another one on top.
    Partial,
    No,
}

pub(super) async fn authenticate(handle: &mut Handle<Watcher>, target: &SshTarget, table: &Table) -> Result<(), Fault> {
    Login { handle, target, table, tried: Vec::new(), offered: None }.run().await
}

impl Login<'_> {
    async fn run(mut self) -> Result<(), Fault> {
        let mut left: Vec<&Auth> = self.target.auth.iter().collect();
        if left.is_empty() || matches!(left.first(), Some(Auth::Password(_))) {
            // Tells us what the server takes, and does not count as a failure. A key does not need to know.
            let result = self.handle.authenticate_none(&self.target.user).await;
            if matches!(self.note("no proof at all", result)?, Outcome::In) {
                return Ok(());
            }
            self.tried.clear();
        }
        // After a partial success, one that was passed over may be what the server wants now.
        while let Some(at) = left.iter().position(|auth| self.is_offered(auth)) {
            let outcome = match left.remove(at) {
                Auth::Agent => self.agent().await?,
                Auth::KeyFile { path, passphrase } => self.key_file(path, passphrase.as_ref()).await?,
                Auth::Password(password) => self.password(password).await?,
            };
            if matches!(outcome, Outcome::In) {
                return Ok(());
            }
        }
        for auth in left {
            self.tried.push(format!("not {}, which the server does not take", describe(auth)));
        }
        Err(self.failure())
    }

    fn is_offered(&self, auth: &Auth) -> bool {
        let Some(offered) = &self.offered else { return true };
        match auth {
            Auth::Agent | Auth::KeyFile { .. } => offered.contains(&MethodKind::PublicKey),
            Auth::Password(_) => {
                offered.contains(&MethodKind::Password) || offered.contains(&MethodKind::KeyboardInteractive)
            }
        }
    }

    fn failure(&self) -> Fault {
        let tried = if self.tried.is_empty() { "nothing".to_owned() } else { self.tried.join(", ") };
        let offered = self.offered.as_deref().map_or_else(String::new, |offered| {
            let names: Vec<&str> = offered.iter().map(<&str>::from).collect();
            format!("; the server takes {}", if names.is_empty() { "nothing".to_owned() } else { names.join(", ") })
        });
        let hint = if self.target.auth.is_empty() {
            "give the host a password or a key_file in `creds`"
        } else {
            "check the user and its password or key; the server's log says why it refused"
        };
        Fault::at(Phase::Auth, format!("`{}` was not let in: tried {tried}{offered}", self.target.user)).hint(hint)
    }

    /// Notes the server's answer to one attempt.
    fn note(&mut self, what: &str, result: Result<AuthResult, russh::Error>) -> Result<Outcome, Fault> {
        match result {
            Ok(AuthResult::Success) => Ok(Outcome::In),
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                self.tried.push(format!("{what} ({})", if partial_success { "taken" } else { "refused" }));
                if remaining_methods.is_empty() && self.table.lost().is_some() {
                    return Err(self.gone());
                }
                self.offered = Some(remaining_methods.to_vec());
                Ok(if partial_success { Outcome::Partial } else { Outcome::No })
            }
            Err(_) => {
                self.tried.push(what.to_owned());
                Err(self.gone())
            }
        }
    }

    /// The server ended the connection.
    fn gone(&self) -> Fault {
        let reason = self.table.lost();
        let reason = reason.as_deref().unwrap_or("the host closed the connection");
        Fault::at(
            Phase::Auth,
            format!("`{}` was not let in: tried {}; then {reason}", self.target.user, self.tried.join(", ")),
        )
        .hint("too many wrong attempts in a row end a login; name only the method that the host takes")
    }

    async fn key_file(&mut self, path: &Path, passphrase: Option<&Hidden>) -> Result<Outcome, Fault> {
        let shown = format!("key {}", path.display());
        let key = match load_key(path, passphrase).await {
            Ok(key) => Arc::new(key),
            Err(reason) => {
                self.tried.push(format!("{shown} ({reason})"));
                return Ok(Outcome::No);
            }
        };
        let hash = if key.algorithm().is_rsa() { self.rsa_hash().await? } else { None };
        let key = PrivateKeyWithHashAlg::new(key, hash);
        let result = self.handle.authenticate_publickey(&self.target.user, key).await;
        self.note(&shown, result)
    }

    /// How to sign with an RSA key; SHA-1 is not among the answers.
    async fn rsa_hash(&mut self) -> Result<Option<HashAlg>, Fault> {
        match self.handle.best_supported_rsa_hash().await {
            Ok(best) => Ok(Some(best.flatten().unwrap_or(HashAlg::Sha256))),
            Err(_) => Err(self.gone()),
        }
    }

    async fn agent(&mut self) -> Result<Outcome, Fault> {
        let identities = async {
            let mut agent = AgentClient::connect_env().await?;
            if let Some(binding) = self.handle.agent_session_binding() {
                // Agents that cannot do it show the keys that are not bound to a host, which is what we want of them.
                let _ = agent.bind_session(binding, false).await;
            }
            let identities = agent.request_identities().await?;
            Ok::<_, russh::keys::Error>((agent, identities))
        };
        let (mut agent, identities) = match identities.await {
            Ok(found) => found,
            Err(error) => {
                self.tried.push(format!("the agent ({error})"));
                return Ok(Outcome::No);
            }
        };
        let keys: Vec<_> = identities
            .into_iter()
            .filter_map(|identity| match identity {
                AgentIdentity::PublicKey { key, comment } => Some((key, comment)),
                AgentIdentity::Certificate { .. } => None,
            })
            .take(AGENT_KEYS)
            .collect();
        if keys.is_empty() {
            self.tried.push("the agent (it has no keys)".to_owned());
        }
        for (key, comment) in keys {
            let shown = format!("key `{comment}` of the agent");
            let hash = if key.algorithm().is_rsa() { self.rsa_hash().await? } else { None };
            let result = self.handle.authenticate_publickey_with(&self.target.user, key, hash, &mut agent).await;
            let outcome = match result {
                Ok(result) => self.note(&shown, Ok(result))?,
                Err(error) => {
                    self.tried.push(format!("{shown} ({error})"));
                    continue;
                }
            };
            if !matches!(outcome, Outcome::No) {
                return Ok(outcome);
            }
        }
        Ok(Outcome::No)
    }

    async fn password(&mut self, password: &Hidden) -> Result<Outcome, Fault> {
        let asks = |offered: &Option<Vec<MethodKind>>, kind| offered.as_ref().is_none_or(|kinds| kinds.contains(&kind));
        if asks(&self.offered, MethodKind::Password) {
            let result = self.handle.authenticate_password(&self.target.user, password.expose()).await;
            // The same password by another method is the same answer, and a second failure.
            return self.note("password", result);
        }
        self.keyboard_interactive(password).await
    }

    /// Answers a server that asks for the password, and for nothing else, in this roundabout way.
    async fn keyboard_interactive(&mut self, password: &Hidden) -> Result<Outcome, Fault> {
        const WHAT: &str = "password by keyboard-interactive";
        let user = self.target.user.as_str();
        let mut reply = self.handle.authenticate_keyboard_interactive_start(user, None::<String>).await;
        let mut answered = false;
        for _ in 0..ROUNDS {
            let prompts = match reply {
                Ok(KeyboardInteractiveAuthResponse::Success) => return Ok(Outcome::In),
                Ok(KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success }) => {
                    return self.note(WHAT, Ok(AuthResult::Failure { remaining_methods, partial_success }));
                }
                Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. }) => prompts,
                Err(error) => return self.note(WHAT, Err(error)),
            };
            let answers = match &*prompts {
                [] => Vec::new(),
                [only] if !only.echo && !answered => {
                    answered = true;
                    vec![password.expose().to_owned()]
                }
                [first, ..] => {
                    let asked: String = first.prompt.chars().filter(|c| !c.is_control()).take(80).collect();
                    self.tried.push(WHAT.to_owned());
                    return Err(Fault::at(
                        Phase::Auth,
                        format!(
                            "`{user}` was not let in: the server asks for more than a password: `{}`",
                            asked.trim()
                        ),
                    )
                    .hint("use an account or a method that needs no second factor"));
                }
            };
            reply = self.handle.authenticate_keyboard_interactive_respond(answers).await;
        }
        Err(Fault::at(
            Phase::Auth,
            format!("`{user}` was not let in: the server went on asking after {ROUNDS} answers"),
        ))
    }
}

fn describe(auth: &Auth) -> String {
    match auth {
        Auth::Agent => "the agent's keys".to_owned(),
        Auth::KeyFile { path, .. } => format!("key {}", path.display()),
        Auth::Password(_) => "the password".to_owned(),
    }
}

/// Reads a key; if it cannot be read, says why. An encrypted one takes a good part of a second, so it is off the runtime.
async fn load_key(path: &Path, passphrase: Option<&Hidden>) -> Result<PrivateKey, String> {
    use russh::keys::Error;
    let (path, passphrase) = (path.to_owned(), passphrase.cloned());
    let has_passphrase = passphrase.is_some();
    let loaded = tokio::task::spawn_blocking(move || {
        russh::keys::load_secret_key(path, passphrase.as_ref().map(Hidden::expose))
    })
    .await;
    match loaded {
        Ok(Ok(key)) => Ok(key),
        Ok(Err(Error::KeyIsEncrypted)) => Err("it is encrypted, and no passphrase is given".to_owned()),
        Ok(Err(Error::IO(error))) => Err(error.to_string()),
        Ok(Err(Error::SshKey(russh::keys::ssh_key::Error::Crypto))) if has_passphrase => {
            Err("the passphrase is wrong".to_owned())
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
