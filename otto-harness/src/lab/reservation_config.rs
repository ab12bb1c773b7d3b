//! [`ReservationConfig`]: what `otto.toml` says under `[reservations]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;

use super::diagnose::Reader;
use super::fields::Fields;
use super::secret::Secret;
use super::tree::{Node, Value};
use crate::error::{Error, ErrorKind, Result};

/// Which reservations are asked, and where leases are had.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReservationConfig {
    /// The backend's name: `none` (the default), `json`, `sqlite`, `etcd`, or one that the user
    /// [registered](crate::reservation_backend).
    pub backend: String,
    /// The backend's file, or its folder.
    pub path: Option<PathBuf>,
    /// Whether `otto.toml` names the backend, or `none` is merely the default.
    pub chosen: bool,
    /// How leases are held, for the backends that hold: `sqlite` and `etcd`.
    pub leases: LeaseConfig,
    /// Where etcd is, for the backend `etcd`.
    pub etcd: EtcdOptions,
    /// What else stands there, for a backend of the user's own.
    pub settings: IndexMap<String, serde_json::Value>,
}

impl Default for ReservationConfig {
    fn default() -> Self {
        Self {
            backend: "none".to_owned(),
            path: None,
            chosen: false,
            leases: LeaseConfig::default(),
            etcd: EtcdOptions::default(),
            settings: IndexMap::new(),
        }
    }
}

/// How leases are held.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LeaseConfig {
    /// `ttl`, in seconds: how long a lease lasts that is not renewed; 30 s if not said.
    pub ttl: Option<Duration>,
    /// `maximum`, in seconds: how long it lasts however often it is renewed; 24 h if not said.
    pub maximum: Option<Duration>,
    /// `wait`, in seconds: how long a test waits for what it needs; 1 h if not said.
    pub wait: Option<Duration>,
}

/// Where an etcd cluster is, and who to be there.
///
/// ```
/// let mut options = otto::lab::EtcdOptions::new(["http://127.0.0.1:2379"]);
/// options.prefix = "/lab7/leases/".to_owned();
/// assert_eq!(options.endpoints, ["http://127.0.0.1:2379"]);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EtcdOptions {
    /// Its members: `http://host:port` or `https://host:port`.
    pub endpoints: Vec<String>,
    /// Before every key: those who exclude each other have the same. `/otto/leases/` if not said.
    pub prefix: String,
    /// Who to log in as, where etcd has authentication on.
    pub user: Option<String>,
    /// The password of `user`.
    pub password: Option<Secret>,
    /// The certificates (PEM) of the authorities that vouch for the members; the system's if not said.
    pub ca: Option<PathBuf>,
    /// The certificate (PEM) to show, with `key`.
    pub cert: Option<PathBuf>,
    /// The key (PEM) of `cert`.
    pub key: Option<PathBuf>,
    password_from: Option<From>,
}

/// Where a password is, which is looked up only when it is needed: listing tests needs none.
#[derive(Debug, Clone)]
enum From {
    Env(String),
    File(PathBuf),
}

impl Default for EtcdOptions {
    fn default() -> Self {
        Self::new([] as [&str; 0])
    }
}

impl EtcdOptions {
    /// A cluster with these members, without authentication.
    pub fn new<E: Into<String>>(endpoints: impl IntoIterator<Item = E>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            prefix: "/otto/leases/".to_owned(),
            user: None,
            password: None,
            ca: None,
            cert: None,
            key: None,
            password_from: None,
        }
    }

    /// The password, from wherever it is.
    #[cfg_attr(not(feature = "etcd"), expect(dead_code, reason = "only that engine logs in"))]
    pub(crate) fn find_password(&self) -> Result<Option<Secret>> {
        let refused = |message: String| Error::new(ErrorKind::ReservationBackend, message);
        match &self.password_from {
            None => Ok(self.password.clone()),
            Some(From::Env(name)) => std::env::var(name).map(|text| Some(Secret::new(text))).map_err(|_| {
                refused(format!("the password for etcd is in the environment variable {name}, which is not set"))
            }),
            Some(From::File(path)) => super::reference::secret_file(path).map(Some).map_err(refused),
        }
    }
}

/// The rest of `[reservations]` in the `otto.toml` in `folder`, mistakes noted.
pub(super) fn read(reader: &Reader<'_>, mut fields: Fields<'_>, folder: &Path) -> ReservationConfig {
    let mut config = ReservationConfig::default();
    let at = fields.at();
    let backend = fields.text("backend");
    let path = fields.text("path");
    let name = backend.as_ref().map_or("none", |backend| backend.value.as_str());
    match (&backend, &path) {
        (None, Some(path)) => {
            reader.fault(path.at, "`path` names reservations, and no `backend` reads them: say `backend = \"json\"`");
        }
        (Some(_), Some(path)) if matches!(name, "none" | "etcd") => {
            reader.fault(path.at, format!("`path` names reservations, and the backend \"{name}\" reads none"));
        }
        (Some(_), None) if name == "json" => reader.fault(at, "the backend \"json\" needs the `path` of its file"),
        _ => {}
    }
    if matches!(name, "sqlite" | "etcd") {
        config.leases = leases(&mut fields);
    }
    match name {
        "etcd" => {
            config.etcd = etcd(reader, &mut fields, folder);
            fields.end();
        }
        "none" | "json" | "sqlite" => fields.end(),
        _ => config.settings = fields.rest(),
    }
    config.path = path.map(|path| folder.join(path.value));
    if let Some(backend) = backend {
        config.backend = backend.value;
        config.chosen = true;
    }
    config
}

fn leases(fields: &mut Fields<'_>) -> LeaseConfig {
    LeaseConfig { ttl: fields.seconds("ttl"), maximum: fields.seconds("maximum"), wait: fields.seconds("wait") }
}

fn etcd(reader: &Reader<'_>, fields: &mut Fields<'_>, folder: &Path) -> EtcdOptions {
    let mut options = EtcdOptions::default();
    let at = fields.at();
    if !fields.has("endpoints") {
        reader.fault(at, "the backend \"etcd\" needs `endpoints`, such as [\"https://etcd1:2379\"]");
    }
    for endpoint in fields.texts("endpoints").unwrap_or_default() {
        if !endpoint.value.starts_with("http://") && !endpoint.value.starts_with("https://") {
            let message = format!("{:?} is no endpoint: it has to begin with http:// or https://", endpoint.value);
            reader.fault(endpoint.at, message);
        }
        options.endpoints.push(endpoint.value);
    }
    if let Some(prefix) = fields.text("prefix") {
        if prefix.value.is_empty() {
            reader.fault(prefix.at, "an empty `prefix` would mix leases with all else in etcd");
        }
        options.prefix = prefix.value;
    }
    options.user = fields.text("user").map(|user| user.value);
    options.password_from = fields.take("password").and_then(|node| password(reader, node, folder));
    let mut path = |name| fields.text(name).map(|path| folder.join(path.value));
    options.ca = path("ca");
    options.cert = path("cert");
    options.key = path("key");
    if options.cert.is_some() != options.key.is_some() {
        reader.fault(at, "a certificate needs its key: `cert` and `key` belong together");
    }
    if options.user.is_none() && options.password_from.is_some() {
        reader.fault(at, "`password` is nobody's without `user`");
    }
    options
}

/// A password is never in the file itself, which is in the project's repository.
fn password(reader: &Reader<'_>, node: Node, folder: &Path) -> Option<From> {
    let at = node.at;
    if matches!(node.value, Value::Table(_)) {
        let mut table = Fields::of(reader, "a secret", node)?;
        let (env, file) = (table.text("env"), table.text("file"));
        table.end();
        match (env, file) {
            (Some(env), None) => return Some(From::Env(env.value)),
            (None, Some(file)) => return Some(From::File(folder.join(file.value))),
            _ => {}
        }
    }
    reader.fault(at, "a password does not stand in otto.toml: say { env = \"NAME\" } or { file = \"path\" }");
    None
}
