//! From what a lab says about a host to what connects to it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use regex::bytes::Regex;

use crate::error::{Error, ErrorKind, Phase, Result};
use crate::lab::{Flow, HostKeyCheck, HostSpec, LoginOptions, Parity, Term};
use crate::os_user::os_user;
use crate::transport::local::LocalConnector;
use crate::transport::login::LoginScript;
use crate::transport::serial::{self, SerialConnector, SerialTarget};
use crate::transport::ssh::{Auth, HostKeyCheck as SshCheck, HostKeyPolicy, SshConnector, SshTarget};
use crate::transport::tcp::Keepalive;
use crate::transport::telnet::{TelnetConnector, TelnetTarget};
use crate::transport::{BoxFuture, Connector, Exec, Hop, Route, Transport};

/// What connects to this host. What cannot be reached is reported on first use, so that a lab with one such host serves
/// for all others.
pub(super) fn connector(spec: &HostSpec, hop: Option<Hop>) -> Arc<dyn Connector> {
    made(spec, hop).unwrap_or_else(|error| Arc::new(Unreachable(error.on_host(&*spec.id))))
}

fn made(spec: &HostSpec, hop: Option<Hop>) -> Result<Arc<dyn Connector>> {
    let wrong = |message: String| Error::new(ErrorKind::Connect(Phase::Resolve), message);
    let route = match (hop, &spec.hop, spec.term) {
        (_, Some(_), Term::Local | Term::Serial) => {
            return Err(wrong(format!("a {} host is on this machine, and has no hop", spec.term.as_str()))
                .hint("reach a console behind a hop over telnet: a console server has a port for each line"));
        }
        (Some(hop), ..) => Route::Over(hop),
        (None, Some(id), _) => {
            return Err(wrong(format!("it is reached over `{id}`, which is not known here"))
                .hint("open a context on its lab, or make it in code with `.hop(&host)`"));
        }
        (None, None, _) => Route::Direct,
    };
    Ok(match spec.term {
        Term::Local => Arc::new(LocalConnector::new()),
        Term::Ssh => Arc::new(SshConnector::new(SshTarget { route, ..ssh_target(spec)? })),
        Term::Telnet => Arc::new(TelnetConnector::new(TelnetTarget { route, ..telnet_target(spec)? })),
        Term::Serial => Arc::new(SerialConnector::new(serial_target(spec)?)),
        Term::Console => {
            return Err(wrong(
                "a console behind a terminal server (`term = \"console\"`) is not supported yet".to_owned(),
            )
            .hint("a terminal server has a port for each line: reach it as a telnet host"));
        }
    })
}

fn ssh_target(spec: &HostSpec) -> Result<SshTarget> {
    let Some(address) = &spec.ip else {
        return Err(Error::new(ErrorKind::Connect(Phase::Resolve), "the lab gives it no `ip`"));
    };
    let user = match spec.login() {
        Some(user) => user.to_owned(),
        None => os_user().map_err(|error| {
            Error::new(ErrorKind::Connect(Phase::Auth), "nobody to log in as")
                .hint("give it a `user` in the lab file")
                .caused_by(error)
        })?,
    };
    let mut target = SshTarget::new(&*spec.id, address, spec.port.or(spec.term.default_port()).unwrap_or(22), user);
    target.auth = proofs(spec);
    target.host_key = host_key(spec)?;
    let options = &spec.ssh_options;
    if let Some(limit) = options.connect_timeout {
        let limits = &mut target.limits;
        (limits.resolve, limits.tcp, limits.banner, limits.kex) = (limit, limit, limit, limit);
    }
    target.keepalive = keepalive(options.keepalive_interval, options.keepalive_count_max);
    Ok(target)
}

fn telnet_target(spec: &HostSpec) -> Result<TelnetTarget> {
    let Some(address) = &spec.ip else {
        return Err(Error::new(ErrorKind::Connect(Phase::Resolve), "the lab gives it no `ip`"));
    };
    let options = &spec.telnet_options;
    let mut script = login_script(spec, options.user.as_deref().or(spec.login()), &options.login)?;
    if options.no_login {
        (script.user, script.password) = (None, None);
    }
    if let Some(limit) = options.login.login_timeout {
        // A server that is there says something at once.
        script.limits.banner = script.limits.banner.min(limit);
        script.limits.shell = script.limits.shell.min(limit);
    }
    let port = spec.port.or(spec.term.default_port()).unwrap_or(23);
    let mut target = TelnetTarget::new(&*spec.id, address, port, script);
    if let Some(limit) = options.connect_timeout {
        (target.limits.resolve, target.limits.tcp) = (limit, limit);
    }
    target.keepalive = keepalive(options.keepalive_interval, options.keepalive_count_max);
    target.columns = options.cols.unwrap_or(target.columns);
    target.rows = options.rows.unwrap_or(target.rows);
    Ok(target)
}

fn serial_target(spec: &HostSpec) -> Result<SerialTarget> {
    let options = &spec.serial_options;
    let wrong = |message: String| Error::new(ErrorKind::Connect(Phase::Device), message);
    let device = options.device.as_ref().ok_or_else(|| wrong("no device is named".to_owned()))?;
    if let Some(fault) = options.faults().into_iter().next() {
        return Err(wrong(fault));
    }
    let mut target = SerialTarget::new(&*spec.id, device, login_script(spec, spec.login(), &options.login)?);
    target.baud = options.baud.unwrap_or(target.baud);
    target.data_bits = options.data_bits.unwrap_or(target.data_bits);
    target.stop_bits = options.stop_bits.unwrap_or(target.stop_bits);
    target.parity = match options.parity {
        Parity::None => serial::Parity::None,
        Parity::Even => serial::Parity::Even,
        Parity::Odd => serial::Parity::Odd,
    };
    target.flow = match options.flow {
        Flow::None => serial::Flow::None,
        Flow::RtsCts => serial::Flow::RtsCts,
        Flow::XonXoff => serial::Flow::XonXoff,
    };
    target.pace = options.write_pause.map(|pause| serial::Pace { chunk: options.write_chunk, pause });
    Ok(target)
}

/// How to log in by prompts: as this user, with the first password that the lab has for it.
fn login_script(spec: &HostSpec, user: Option<&str>, options: &LoginOptions) -> Result<LoginScript> {
    let mut creds = spec.creds.iter().filter(|cred| Some(&*cred.login) == user);
    let password = creds.find_map(|cred| cred.password.as_ref()).map(|secret| secret.expose().into());
    let mut script = LoginScript::new(user.filter(|user| !user.is_empty()).map(str::to_owned), password);
    let patterns = [
        (&mut script.login_prompt, &options.login_prompt),
        (&mut script.password_prompt, &options.password_prompt),
        (&mut script.shell_prompt, &options.shell_prompt),
        (&mut script.failure, &options.login_failed),
    ];
    for (pattern, text) in patterns {
        if let Some(text) = text {
            *pattern = Regex::new(text).map_err(|error| {
                Error::new(ErrorKind::Connect(Phase::Login), "a prompt of the login is no regular expression")
                    .caused_by(error)
            })?;
        }
    }
    if let Some(limit) = options.login_timeout {
        script.limits.login = limit;
    }
    Ok(script)
}

fn keepalive(interval: Option<Duration>, misses: Option<u32>) -> Keepalive {
    let usual = Keepalive::default();
    Keepalive {
        interval: interval.unwrap_or(usual.interval),
        misses: misses.map_or(usual.misses, |count| count as usize),
    }
}

/// What the lab names for this login, in its order; then what any user has: the agent and the usual key files.
fn proofs(spec: &HostSpec) -> Vec<Auth> {
    let mut proofs = Vec::new();
    for cred in spec.login_creds() {
        if let Some(path) = &cred.key_file {
            let passphrase = cred.passphrase.as_ref().map(|secret| secret.expose().into());
            proofs.push(Auth::KeyFile { path: path.clone(), passphrase });
        }
        if let Some(password) = &cred.password {
            proofs.push(Auth::Password(password.expose().into()));
        }
    }
    let keys = spec.ssh_options.client_keys.iter().cloned();
    proofs.extend(keys.map(|path| Auth::KeyFile { path, passphrase: None }));
    if proofs.is_empty() {
        proofs.push(Auth::Agent);
        let usual = ["id_ed25519", "id_ecdsa", "id_rsa"].into_iter().filter_map(|name| Some(dot_ssh()?.join(name)));
        proofs.extend(usual.filter(|path| path.is_file()).map(|path| Auth::KeyFile { path, passphrase: None }));
    }
    proofs
}

fn host_key(spec: &HostSpec) -> Result<HostKeyPolicy> {
    let check = match spec.host_key_check {
        HostKeyCheck::Insecure => SshCheck::Insecure,
        HostKeyCheck::AcceptNew => match &spec.known_hosts {
            Some(file) => SshCheck::AcceptNew(file.clone()),
            // Keys that a lab accepts unseen are the lab's affair: they do not go to the user's own file.
            None => {
                return Err(Error::new(
                    ErrorKind::Connect(Phase::HostKey),
                    "`accept-new` needs a file of the project to keep the keys in",
                )
                .hint("give it a `known_hosts` in the lab file"));
            }
        },
        _ => SshCheck::Strict,
    };
    let users = dot_ssh().map(|folder| folder.join("known_hosts"));
    let known_hosts = spec.known_hosts.iter().cloned().chain(users).collect();
    Ok(HostKeyPolicy { pinned: spec.host_key.iter().cloned().collect(), known_hosts, check })
}

fn dot_ssh() -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(".ssh"))
}

/// A host that there is no way to, and why.
#[derive(Debug)]
struct Unreachable(Error);

impl Connector for Unreachable {
    fn open_shell(&self) -> BoxFuture<'_, Result<Box<dyn Transport>>> {
        Box::pin(async { Err(self.0.clone()) })
    }

    fn exec(&self, _: Exec) -> BoxFuture<'_, Result<Box<dyn Transport>>> {
        Box::pin(async { Err(self.0.clone()) })
    }

    fn close(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Cred;

    #[test]
    fn what_the_lab_names_is_all_that_is_tried() {
        let spec = HostSpec::ssh("r1", "10.0.0.1").user("admin").password("pw").key_file("keys/r1").port(2222);
        let target = ssh_target(&spec).unwrap();
        assert_eq!((&*target.address, target.port, &*target.user), ("10.0.0.1", 2222, "admin"));
        assert!(matches!(&target.auth[..], [Auth::KeyFile { .. }, Auth::Password(_)]), "{:?}", target.auth);
    }

    #[test]
    fn accepting_new_keys_wants_a_file_of_the_project() {
        let spec = HostSpec::ssh("r1", "10.0.0.1").user("u").host_key_check(HostKeyCheck::AcceptNew);
        assert_eq!(ssh_target(&spec).unwrap_err().phase(), Some(Phase::HostKey));
        let spec = spec.known_hosts("labs/known_hosts");
        assert_eq!(ssh_target(&spec).unwrap().host_key.check, SshCheck::AcceptNew("labs/known_hosts".into()));
    }

    #[tokio::test]
    async fn a_hop_that_is_not_known_is_an_error_of_the_first_use() {
        for spec in [HostSpec::telnet("t1", "10.0.0.1").hop("near"), HostSpec::ssh("far", "10.0.0.2").hop("near")] {
            let error = connector(&spec, None).open_shell().await.unwrap_err();
            assert!(error.to_string().contains("it is reached over `near`, which is not known here"), "{error}");
            assert_eq!(error.host(), Some(&*spec.id));
        }
        let error = connector(&HostSpec::local("here").hop("near"), None).open_shell().await.unwrap_err();
        assert!(error.to_string().contains("a local host is on this machine"), "{error}");
    }

    #[test]
    fn a_login_over_telnet_is_the_hosts_unless_its_options_say_more() {
        let mut spec =
            HostSpec::telnet("t1", "10.0.0.1").user("admin").password("pw").cred(Cred::new("root").password("toor"));
        let target = telnet_target(&spec).unwrap();
        assert_eq!((&*target.address, target.port, target.columns), ("10.0.0.1", 23, 255));
        let login =
            |script: &LoginScript| (script.user.clone(), script.password.as_ref().map(|pw| pw.expose().to_owned()));
        assert_eq!(login(&target.script), (Some("admin".into()), Some("pw".into())));
        assert!(!format!("{target:?}").contains("pw\""), "{target:?}");
        spec.telnet_options.user = Some("root".into());
        assert_eq!(login(&telnet_target(&spec).unwrap().script), (Some("root".into()), Some("toor".into())));
        spec.telnet_options.no_login = true;
        assert_eq!(login(&telnet_target(&spec).unwrap().script), (None, None));
        spec.telnet_options.login.login_prompt = Some("(".into());
        let error = telnet_target(&spec).unwrap_err();
        assert_eq!(error.phase(), Some(Phase::Login));
    }
}
