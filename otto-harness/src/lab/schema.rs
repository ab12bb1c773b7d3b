//! What a lab file may say: one schema for TOML and JSON, otto-sh's field names plus otto's own.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::diagnose::{Place, Problem, Reader, Source, did_you_mean};
use super::fields::{At, Fields};
use super::identity::{address_fault, host_id, login_fault, name_fault, slug};
use super::secret::Secret;
use super::serial::SerialOptions;
use super::spec::{Cred, HostKeyCheck, HostSpec, SshOptions, Term};
use super::telnet::TelnetOptions;
use super::tree::{Node, Value};

/// otto-sh's fields of a host that otto does not use (yet): accepted, and kept as data.
const KEPT: &[&str] = &[
    "command_frame",
    "console_options",
    "debug_log_globs",
    "default_dest_dir",
    "docker_capable",
    "filesystem",
    "ftp_options",
    "has_bash",
    "hw_version",
    "impairer",
    "interfaces",
    "inventory",
    "is_virtual",
    "landing_frame",
    "loader",
    "log",
    "log_stdout",
    "max_filename_len",
    "metadata",
    "nc_options",
    "os_name",
    "os_type",
    "os_version",
    "power_control",
    "rack",
    "roles",
    "scp_options",
    "session_setup",
    "sftp_options",
    "shelf",
    "shell_history",
    "site",
    "snmp",
    "sw_version",
    "tftp_options",
    "toolchain",
    "transfer",
    "userland_options",
    "valid_impairers",
    "valid_terms",
    "valid_transfers",
];

/// What one file says.
#[derive(Debug, Clone)]
pub(crate) struct LabFile {
    /// The lab of the hosts that name none.
    pub(crate) lab: Option<String>,
    pub(crate) resources: BTreeSet<String>,
    pub(crate) hosts: Vec<HostEntry>,
}

impl LabFile {
    /// The labs that this file has to do with.
    pub(crate) fn labs(&self) -> impl Iterator<Item = &str> {
        let named = self.hosts.iter().flat_map(|entry| entry.spec.labs.iter());
        self.lab.iter().chain(named).map(String::as_str)
    }
}

/// A host as its file has it, before what it refers to has been looked at: that is done for the selected labs alone.
#[derive(Debug, Clone)]
pub(crate) struct HostEntry {
    pub(crate) spec: HostSpec,
    pub(crate) references: Vec<Reference>,
}

/// Something that stands elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    place: Place,
    to: To,
}

#[derive(Debug, Clone)]
enum To {
    /// The secret of a login.
    Secret { cred: usize, part: Part, from: From },
    /// A file that has to be there.
    File { field: &'static str, path: PathBuf },
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Password,
    Passphrase,
}

#[derive(Debug, Clone)]
enum From {
    Env(String),
    File(PathBuf),
}

impl HostEntry {
    /// The host with its secrets; what is missing is noted.
    pub(crate) fn resolved(&self, problems: &mut Vec<Problem>) -> HostSpec {
        let mut spec = self.spec.clone();
        for reference in &self.references {
            let fault = match &reference.to {
                To::File { field, path } if !path.is_file() => {
                    Some(format!("`{field}`: there is no file {}", path.display()))
                }
                To::File { .. } => None,
                To::Secret { cred, part, from } => match from.read() {
                    Ok(secret) => {
                        let cred = &mut spec.creds[*cred];
                        match part {
                            Part::Password => cred.password = Some(secret),
                            Part::Passphrase => cred.passphrase = Some(secret),
                        }
                        None
                    }
                    Err(fault) => Some(fault),
                },
            };
            problems.extend(fault.map(|fault| Problem::at(reference.place.clone(), fault)));
        }
        spec
    }
}

impl From {
    fn read(&self) -> Result<Secret, String> {
        match self {
            Self::Env(name) => std::env::var(name).map(Secret::new).map_err(|error| match error {
                std::env::VarError::NotPresent => format!("the environment variable {name} is not set"),
                std::env::VarError::NotUnicode(_) => format!("the environment variable {name} is not UTF-8"),
            }),
            Self::File(path) => secret_file(path),
        }
    }
}

/// The text of a file that only its owner can read, less one final line ending.
pub(super) fn secret_file(path: &Path) -> Result<Secret, String> {
    use std::os::unix::fs::PermissionsExt;

    let shown = path.display();
    let metadata = std::fs::metadata(path).map_err(|error| format!("cannot read the secret in {shown}: {error}"))?;
    if !metadata.is_file() {
        return Err(format!("cannot read the secret in {shown}: it is not a regular file"));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!("the secret in {shown} can be read by others (mode {mode:04o}): `chmod 600 {shown}`"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read the secret in {shown}: {error}"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Secret::new(line.strip_suffix('\r').unwrap_or(line)))
}

/// What the tree of `source` says, as far as it makes sense; all mistakes are noted.
pub(crate) fn read(reader: &Reader<'_>, root: Node) -> Option<LabFile> {
    if reader.source.text.trim().is_empty() {
        reader.fault(0, "the file is empty");
        return None;
    }
    let mut fields = Fields::of(reader, "a lab file", root)?;
    fields.take("$schema");
    let lab_given = fields.has("lab");
    let lab = fields.text("lab").and_then(|lab| named(reader, "lab", lab));
    let resources = labels(reader, "resource", fields.texts("resources"));
    let known_hosts = fields.text("known_hosts").map(|path| resolve(reader.source, &path.value));
    let hosts = fields.list("hosts", "a list of tables").unwrap_or_default();
    fields.end();

    let defaults = Defaults { lab, lab_given, known_hosts };
    let hosts: Vec<HostEntry> = hosts.into_iter().filter_map(|node| host(reader, node, &defaults)).collect();
    let mut seen: HashMap<&str, &HostEntry> = HashMap::new();
    for entry in &hosts {
        if let Some(first) = seen.insert(&entry.spec.id, entry) {
            let place = entry.spec.place.clone();
            let at = first.spec.origin().unwrap_or_default();
            reader.note(Problem::new(place, format!("the host id `{}` stands twice: also at {at}", entry.spec.id)));
        }
    }
    Some(LabFile { lab: defaults.lab, resources: resources.into_iter().collect(), hosts })
}

fn named(reader: &Reader<'_>, what: &str, name: At<String>) -> Option<String> {
    match name_fault(&name.value) {
        None => Some(name.value),
        Some(fault) => {
            reader.fault(name.at, format!("the {what} name {:?} {fault}", name.value));
            None
        }
    }
}

/// Texts of which each is a label: not empty, nothing that cannot be shown. Those that repeat count once.
fn labels(reader: &Reader<'_>, what: &str, texts: Option<Vec<At<String>>>) -> Vec<String> {
    let mut labels = Vec::new();
    for text in texts.into_iter().flatten() {
        if text.value.trim().is_empty() || text.value.contains(char::is_control) {
            reader.fault(text.at, format!("the {what} {:?} is empty or has a control character", text.value));
        } else if !labels.contains(&text.value) {
            labels.push(text.value);
        }
    }
    labels
}

/// A path as the file means it: `~` is home, and what is relative is relative to the file.
pub(super) fn resolve(source: &Source, path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => source.folder.join(path),
    }
}

/// What a file says for all of its hosts.
struct Defaults {
    lab: Option<String>,
    /// Whether it names a lab at all, be it badly.
    lab_given: bool,
    known_hosts: Option<PathBuf>,
}

fn host(reader: &Reader<'_>, node: Node, defaults: &Defaults) -> Option<HostEntry> {
    let mut fields = Fields::of(reader, "a host", node)?;
    let at = fields.at();
    let mut references = Vec::new();

    let id = identity(reader, &mut fields);
    let has_ip = fields.has("ip");
    let ip = fields.text("ip").and_then(|ip| checked(reader, "address", ip, address_fault));
    let port = port(&mut fields);
    let (telnet_options, telnet_port) = TelnetOptions::read(reader, &mut fields);
    let serial_options = SerialOptions::read(reader, &mut fields);
    let (ssh_options, ssh_port, ssh_known_hosts) = ssh_options(reader, &mut fields, &mut references);
    let term = fields.text("term");
    let name = fields.text("name").map(|name| name.value);
    let creds = creds(reader, &mut fields, &mut references);
    let user = fields.text("user").and_then(|user| checked(reader, "user", user, login_fault));
    let host_key = fields.text("host_key");
    let check = fields.text("host_key_check");
    let known_hosts = fields.text("known_hosts").map(|path| resolve(reader.source, &path.value));
    let hop = fields.text("hop");
    let resources = labels(reader, "resource", fields.texts("resources"));
    let tags = labels(reader, "tag", fields.texts("tags"));
    let has_labs = fields.has("labs");
    let labs = fields.texts("labs");
    let extra = fields.data(KEPT);
    fields.end();

    let term = match term {
        Some(term) => one_of(reader, "term", &term, &Term::NAMES, Term::parse),
        None => Some(usual_term(&extra)),
    };
    if let (Some(term @ (Term::Ssh | Term::Telnet)), false) = (term, has_ip) {
        reader.fault(at, format!("the host has no `ip`, and {} needs one", term.as_str()));
    }
    if term == Some(Term::Serial) && serial_options.device.is_none() {
        reader.fault(at, "the host has no `device` in its `serial_options`, and serial needs one");
    }
    let check_at = check.as_ref().map_or(at, |check| check.at);
    let check =
        check.and_then(|check| one_of(reader, "host_key_check", &check, &HostKeyCheck::NAMES, HostKeyCheck::parse));
    let check = check.unwrap_or_default();
    if host_key.is_some() && check != HostKeyCheck::Strict {
        let check = check.as_str();
        reader.fault(
            check_at,
            format!("`host_key` names the one right key, and host_key_check \"{check}\" takes others"),
        );
    }
    // A key that is taken on trust is written to a file of the project, never to the user's own.
    let beside = || (check == HostKeyCheck::AcceptNew).then(|| reader.source.folder.join("known_hosts"));
    let known_hosts = known_hosts.or(ssh_known_hosts).or_else(|| defaults.known_hosts.clone()).or_else(beside);
    let labs: Vec<String> = match labs {
        Some(labs) => labs.into_iter().filter_map(|lab| named(reader, "lab", lab)).collect(),
        None => defaults.lab.iter().cloned().collect(),
    };
    if labs.is_empty() && !has_labs && !defaults.lab_given {
        reader.fault(at, "the host is in no lab: say `lab = \"…\"` for all hosts of the file, or `labs = […]` here");
    }
    let term = term.unwrap_or_default();
    let usual_port = match term {
        Term::Ssh => ssh_port,
        Term::Telnet => telnet_port,
        Term::Serial | Term::Local => None,
    };
    let spec = HostSpec {
        id: id?,
        name,
        ip,
        port: port.or(usual_port),
        term,
        user,
        creds,
        host_key: host_key.and_then(|key| checked(reader, "host key", key, host_key_fault)),
        host_key_check: check,
        known_hosts,
        hop_place: hop.as_ref().map(|hop| reader.source.place(hop.at)),
        hop: hop.map(|hop| hop.value),
        resources,
        tags,
        labs,
        ssh_options,
        telnet_options,
        serial_options,
        extra,
        place: Some(reader.source.place(at)),
    };
    Some(HostEntry { spec, references })
}

/// The host's id; see [`identity`](super::identity).
fn identity(reader: &Reader<'_>, fields: &mut Fields<'_>) -> Option<String> {
    let given = fields.has("id") || fields.has("element");
    let id = fields.text("id");
    let element = fields.text("element");
    let element_id = fields.integer("element_id", 0, i64::MAX);
    let board = fields.text("board");
    let slot = fields.integer("slot", 0, i64::MAX);
    if let Some(id) = id {
        return named(reader, "host", id);
    }
    if !given {
        reader.fault(fields.at(), "the host has neither `id` nor `element`");
    }
    let element = element?;
    for part in std::iter::once(&element).chain(&board) {
        if slug(&part.value).is_empty() {
            reader.fault(part.at, format!("{:?} has no letter or digit to make a host id of", part.value));
            return None;
        }
    }
    Some(host_id(&element.value, element_id, board.as_ref().map(|board| &*board.value), slot))
}

/// A text that `fault` finds nothing wrong with.
fn checked(
    reader: &Reader<'_>,
    what: &str,
    text: At<String>,
    fault: fn(&str) -> Option<&'static str>,
) -> Option<String> {
    match fault(&text.value) {
        None => Some(text.value),
        Some(fault) => {
            reader.fault(text.at, format!("the {what} {:?} {fault}", text.value));
            None
        }
    }
}

fn host_key_fault(key: &str) -> Option<&'static str> {
    let mut words = key.split_whitespace();
    let algorithm = words.next().unwrap_or_default();
    let full = ["ssh-", "ecdsa-", "sk-"].iter().any(|kind| algorithm.starts_with(kind)) && words.next().is_some();
    let print = algorithm.starts_with("SHA256:") && words.next().is_none();
    (!full && !print).then_some("is neither `<algorithm> <base64>`, as in known_hosts, nor `SHA256:<base64>`")
}

/// One of the values that a field can have.
pub(super) fn one_of<T>(
    reader: &Reader<'_>,
    field: &str,
    text: &At<String>,
    names: &[&'static str],
    parse: fn(&str) -> Option<T>,
) -> Option<T> {
    let value = parse(&text.value);
    if value.is_none() {
        let (given, all) = (&text.value, names.join(", "));
        let near = did_you_mean(given, names.iter().copied());
        reader.fault(text.at, format!("`{field}` cannot be {given:?}; it is one of {all}{near}"));
    }
    value
}

/// The term of a host that names none: the first of its menu, as in otto-sh; a firmware's console is on telnet.
fn usual_term(extra: &IndexMap<String, serde_json::Value>) -> Term {
    let menu = extra.get("valid_terms").and_then(|menu| menu.as_str().or_else(|| menu.get(0)?.as_str()));
    let firmware = matches!(extra.get("os_type").and_then(|os| os.as_str()), Some("embedded" | "zephyr"));
    menu.and_then(Term::parse).unwrap_or(if firmware { Term::Telnet } else { Term::Ssh })
}

fn port(fields: &mut Fields<'_>) -> Option<u16> {
    fields.integer("port", 1, 65_535).and_then(|port| u16::try_from(port).ok())
}

/// The options, and the port and the file of host keys among them.
fn ssh_options(
    reader: &Reader<'_>,
    fields: &mut Fields<'_>,
    references: &mut Vec<Reference>,
) -> (SshOptions, Option<u16>, Option<PathBuf>) {
    let Some(mut table) = fields.table("ssh_options", "`ssh_options`") else { return Default::default() };
    let port = port(&mut table);
    let connect_timeout = table.seconds("connect_timeout");
    let keepalive_interval = table.seconds("keepalive_interval");
    let keepalive_count_max =
        table.integer("keepalive_count_max", 1, i64::from(u32::MAX)).and_then(|count| u32::try_from(count).ok());
    let known_hosts = table.text("known_hosts").map(|path| resolve(reader.source, &path.value));
    let mut client_keys = Vec::new();
    for key in table.texts("client_keys").unwrap_or_default() {
        let path = resolve(reader.source, &key.value);
        let to = To::File { field: "client_keys", path: path.clone() };
        references.push(Reference { place: reader.source.place(key.at), to });
        client_keys.push(path);
    }
    let extra = table.rest();
    (SshOptions { connect_timeout, keepalive_interval, keepalive_count_max, client_keys, extra }, port, known_hosts)
}

fn creds(reader: &Reader<'_>, fields: &mut Fields<'_>, references: &mut Vec<Reference>) -> Vec<Cred> {
    let mut creds = Vec::new();
    for node in fields.list("creds", "a list of tables such as { login = \"admin\" }").unwrap_or_default() {
        let Some(mut table) = Fields::of(reader, "a login in `creds`", node) else { continue };
        if !table.has("login") {
            reader.fault(table.at(), "the entry of `creds` has no `login`");
        }
        let login = table.text("login").and_then(|login| checked(reader, "login", login, login_fault));
        let mut cred = Cred::new(login.unwrap_or_default());
        let index = creds.len();
        let mut secret = |name: &'static str, part: Part| {
            let node = table.take(name)?;
            let place = reader.source.place(node.at);
            match secret(reader, name, node)? {
                Known::Text(secret) => return Some(secret),
                Known::From(from) => references.push(Reference { place, to: To::Secret { cred: index, part, from } }),
            }
            None
        };
        cred.password = secret("password", Part::Password);
        cred.passphrase = secret("passphrase", Part::Passphrase);
        if let Some(key) = table.text("key_file") {
            let path = resolve(reader.source, &key.value);
            let to = To::File { field: "key_file", path: path.clone() };
            references.push(Reference { place: reader.source.place(key.at), to });
            cred.key_file = Some(path);
        }
        cred.extra = table.data(&["proxy", "via", "params", "protocols"]);
        table.end();
        creds.push(cred);
    }
    creds
}

/// A secret that stands in the file, or where it stands.
enum Known {
    Text(Secret),
    From(From),
}

fn secret(reader: &Reader<'_>, name: &'static str, node: Node) -> Option<Known> {
    let at = node.at;
    if let Value::Text(text) = node.value {
        return Some(Known::Text(Secret::new(text)));
    }
    if !matches!(node.value, Value::Table(_)) {
        let what = node.value.what();
        reader
            .fault(at, format!("`{name}` has to be text, {{ env = \"…\" }} or {{ file = \"…\" }}, and this is {what}"));
        return None;
    }
    let mut table = Fields::of(reader, "a secret", node)?;
    let both = (table.has("env"), table.has("file"));
    let env = table.text("env");
    let file = table.text("file");
    table.end();
    match (env, file) {
        (Some(env), None) if env.value.is_empty() || env.value.contains(['=', '\0']) => {
            reader.fault(env.at, format!("{:?} is no name of an environment variable", env.value));
            None
        }
        (Some(env), None) => Some(Known::From(From::Env(env.value))),
        (None, Some(file)) => Some(Known::From(From::File(resolve(reader.source, &file.value)))),
        _ => {
            if both.0 == both.1 {
                reader.fault(at, format!("`{name}` names its secret by one of `env` and `file`"));
            }
            None
        }
    }
}
