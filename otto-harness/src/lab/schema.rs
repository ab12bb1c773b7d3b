//! From what a lab file says, field by field, to hosts: names that are made, defaults that are filled in, what contradicts.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use indexmap::IndexMap;
use serde_json::Value as Data;

use super::de::{self, At, Field};
use super::diagnose::{Place, Problem, Reader};
use super::extra::Extra;
use super::file::{
    CredFields, ElementFields, FileFields, HostFields, Int, KEPT, KEPT_OF_CRED, KEPT_OF_SSH, OneOf, Rows, SecretField,
    SecretPlace, SshFields, Texts,
};
use super::identity::{address_fault, chained_host_id, host_id, login_fault, name_fault, slug};
use super::link::{self, LinkEntry};
use super::pattern::full_match;
use super::profile::{Profiles, check_shared};
use super::reference::{From, Part, Reference, To};
use super::secret::Secret;
use super::serial::SerialOptions;
use super::spec::{Cred, HostKeyCheck, HostSpec, SshOptions, Term};
use super::telnet::TelnetOptions;
use super::tree::{Node, Value};

/// What one file says.
#[derive(Debug)]
pub(crate) struct LabFile {
    /// The lab of the hosts that name none.
    pub(crate) lab: Option<String>,
    /// What any use of that lab requires; without it, of each lab that a host of the file names.
    pub(crate) resources: BTreeSet<String>,
    /// The labs that the file declares, as otto-sh does, with what they require and their data.
    pub(crate) declared: IndexMap<String, (BTreeSet<String>, serde_json::Map<String, Data>)>,
    pub(crate) hosts: Vec<HostEntry>,
    pub(crate) links: Vec<LinkEntry>,
    /// Where the first secret stands that is text in a file that is not simulated, and how many there are.
    pub(crate) plain_secrets: Option<(Place, usize)>,
}

impl LabFile {
    /// The labs that this file has to do with.
    pub(crate) fn labs(&self) -> impl Iterator<Item = &str> {
        let named = self.hosts.iter().flat_map(|entry| entry.spec.labs.iter());
        self.lab.iter().chain(self.declared.keys()).chain(named).map(String::as_str)
    }
}

/// A host as its file has it, before what it refers to has been looked at: that is done for the selected labs alone.
#[derive(Debug)]
pub(crate) struct HostEntry {
    pub(crate) spec: HostSpec,
    pub(super) references: Vec<Reference>,
}

impl HostEntry {
    /// The host with its secrets; what is missing is noted.
    pub(crate) fn resolved(&self, problems: &mut Vec<Problem>) -> HostSpec {
        let mut spec = self.spec.clone();
        problems.extend(self.references.iter().filter_map(|reference| reference.resolve(&mut spec).err()));
        spec
    }
}

/// What is known from all files together before hosts are read.
#[derive(Debug, Default)]
pub(super) struct Context {
    pub(super) profiles: Profiles,
    /// The names of labs that patterns may mean.
    pub(super) labs: BTreeSet<String>,
}

impl Context {
    /// From the trees of all files, and the table of profiles in `otto.toml`.
    pub(super) fn of<'t>(reader: &Reader<'_>, roots: &[&'t Node], profiles: Option<&'t Node>) -> Self {
        let tables = profiles.into_iter().chain(roots.iter().filter_map(|root| root.get("os_profiles")));
        let profiles = Profiles::collect(reader, tables);
        let lab = |root: &&'t Node| root.get("lab").and_then(Node::text);
        let declared = roots.iter().flat_map(|root| root.get("labs").map(Node::entries).unwrap_or_default());
        let named = roots.iter().filter_map(lab).chain(declared.map(|entry| &*entry.key));
        Self { profiles, labs: named.filter(|name| !name.starts_with('_')).map(str::to_owned).collect() }
    }
}

/// What the tree of `source` says, as far as it makes sense; all mistakes are noted.
pub(super) fn read(reader: &Reader<'_>, root: &Node, context: &Context) -> Option<LabFile> {
    if reader.source_at(root.at).text.trim().is_empty() {
        reader.fault(root.at, "the file is empty");
        return None;
    }
    if let Value::List(_) = root.value {
        // otto-sh's oldest files are a list of hosts.
        reader.fault(root.at, "a lab file has to be a table, and this is a list: write { \"hosts\": … } around it");
        return None;
    }
    let fields: FileFields = de::read(reader, root)?;
    let lab_given = fields.lab.is_given();
    let lab = fields.lab.right().and_then(|lab| named(reader, "lab", lab));
    let resources = labels(reader, "resource", fields.resources);
    let known_hosts = fields.known_hosts.right().map(|path| resolve(reader, &path));
    let mut declared = IndexMap::new();
    for (name, lab) in fields.labs.value().unwrap_or_default().0 {
        let Some((name, lab)) = named(reader, "lab", name).zip(lab.value()) else { continue };
        let resources = labels(reader, "resource", lab.resources).into_iter().collect();
        declared.insert(name, (resources, lab.metadata.value().unwrap_or_default()));
    }
    let defaults = root.get("defaults");
    if let Some(defaults) = defaults {
        check_shared(reader, defaults);
    }
    let simulated = fields.simulated.value() == Some(true) || reader.source_at(root.at).inline;
    let mut file = FileReader {
        reader,
        context,
        defaults,
        lab: lab.clone(),
        lab_at: root.get("lab").map(|lab| lab.at),
        lab_given,
        known_hosts,
        plain: (!simulated).then_some((None, 0)),
    };
    let mut hosts: Vec<HostEntry> = Vec::new();
    if let Some(list) = root.get("hosts").filter(|list| !matches!(list.value, Value::Null)) {
        if !matches!(list.value, Value::List(_)) {
            let what = list.value.what();
            reader.fault(list.at, format!("`hosts` has to be a list of tables, and this is {what}"));
        }
        hosts.reserve(list.items().len());
        hosts.extend(list.items().iter().filter_map(|node| file.host(node, None)));
    }
    elements(&mut file, root, fields.elements, &mut hosts);
    let plain_secrets = file.plain.and_then(|(first, count)| Some((first?, count)));
    let mut seen: HashMap<&str, &HostEntry> = HashMap::with_capacity(hosts.len());
    for entry in &hosts {
        if let Some(first) = seen.insert(&entry.spec.id, entry) {
            let place = entry.spec.place.clone();
            let at = first.spec.origin().unwrap_or_default();
            reader.note(Problem::new(place, format!("the host id `{}` stands twice: also at {at}", entry.spec.id)));
        }
    }
    let links = link::read(reader, fields.links);
    Some(LabFile { lab, resources: resources.into_iter().collect(), declared, hosts, links, plain_secrets })
}

/// The hosts of the file's elements.
fn elements(file: &mut FileReader<'_>, root: &Node, fields: Field<Rows<ElementFields>>, hosts: &mut Vec<HostEntry>) {
    let reader = file.reader;
    let nodes = root.get("elements").map(Node::items).unwrap_or_default();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (node, fields) in nodes.iter().zip(fields.value().unwrap_or_default().0) {
        let Some(At { at, value: fields }) = fields.right() else { continue };
        for (name, given) in [("name", fields.name.is_given()), ("labs", fields.labs.is_given())] {
            if !given {
                reader.fault(at, format!("the element has no `{name}`"));
            }
        }
        let Some(name) = fields.name.right() else { continue };
        if slug(&name.value).is_empty() {
            reader.fault(name.at, format!("{:?} has no letter or digit to make a host id of", name.value));
            continue;
        }
        if let Some(first) = seen.insert(slug(&name.value), name.at) {
            let first = reader.place(first);
            reader.fault(name.at, format!("the element `{}` stands twice: also at {first}", name.value));
        }
        let labs = member_of(reader, &name, fields.labs, &file.context.labs);
        let mut data = serde_json::Map::new();
        data.insert("name".to_owned(), name.value.as_str().into());
        data.extend(fields.id.value().map(|id| ("id".to_owned(), id.0.into())));
        data.extend(fields.metadata.value().map(|table| ("metadata".to_owned(), Data::Object(table))));
        let resources = labels(reader, "resource", fields.resources);
        let element = Element { name: name.value, labs, resources, data };
        match node.get("hosts").map(|list| (list, &list.value)) {
            Some((_, Value::List(members))) if !members.is_empty() => {
                hosts.extend(members.iter().filter_map(|member| file.host(member, Some(&element))));
            }
            Some((list, _)) => reader.fault(list.at, "`hosts` has to be a list of tables, at least one"),
            None => reader.fault(at, "the element has no `hosts`"),
        }
    }
}

/// The labs that match one of the patterns of an element.
fn member_of(reader: &Reader<'_>, name: &At<String>, patterns: Field<Texts>, known: &BTreeSet<String>) -> Vec<String> {
    let Field::Right(patterns) = patterns else { return Vec::new() };
    let (at, mut labs, mut wrong) = (patterns.at, Vec::new(), false);
    for pattern in patterns.value.right() {
        if known.contains(&pattern.value) {
            labs.push(pattern.value);
            continue;
        }
        match full_match(&pattern.value) {
            Ok(regex) => labs.extend(known.iter().filter(|lab| regex.is_match(lab)).cloned()),
            Err(error) => {
                wrong = true;
                reader.fault(pattern.at, error.to_string());
            }
        }
    }
    if labs.is_empty() && !wrong {
        let known = if known.is_empty() { "none is declared".to_owned() } else { joined(known) };
        reader.fault(at, format!("the element `{}` is in no lab: its patterns match none of {known}", name.value));
    }
    labs.sort();
    labs.dedup();
    labs
}

fn joined(names: &BTreeSet<String>) -> String {
    let some: Vec<&str> = names.iter().take(12).map(String::as_str).collect();
    let more = if names.len() > some.len() { ", …" } else { "" };
    some.join(", ") + more
}

fn named(reader: &Reader<'_>, what: &str, name: At<String>) -> Option<String> {
    checked(reader, &format!("{what} name"), name, name_fault)
}

/// Texts of which each is a label: not empty, nothing that cannot be shown. Those that repeat count once.
fn labels(reader: &Reader<'_>, what: &str, texts: Field<Texts>) -> Vec<String> {
    let mut labels = Vec::new();
    for text in texts.value().unwrap_or_default().right() {
        if text.value.trim().is_empty() || text.value.contains(char::is_control) {
            let shown = super::diagnose::quoted(&text.value);
            reader.fault(text.at, format!("the {what} {shown} is empty or has a control character"));
        } else if !labels.contains(&text.value) {
            labels.push(text.value);
        }
    }
    labels
}

/// A path as the file means it that it stands in: `~` is home, and what is relative is relative to the file.
pub(super) fn resolve(reader: &Reader<'_>, path: &At<String>) -> PathBuf {
    match (path.value.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => reader.source_at(path.at).folder.join(&path.value),
    }
}

/// Those of the fields of a table that are kept as data.
pub(super) fn kept(node: &Node, names: &[&str]) -> Extra {
    let kept = node.entries().iter().filter(|entry| names.contains(&&*entry.key));
    let some = kept.filter(|entry| !matches!(entry.node.value, Value::Null));
    some.map(|entry| (entry.key.clone(), entry.node.data())).collect()
}

/// otto-sh's element, which hosts are part of.
struct Element {
    name: String,
    labs: Vec<String>,
    resources: Vec<String>,
    data: serde_json::Map<String, Data>,
}

/// What a file says for all of its hosts, while they are read.
struct FileReader<'r> {
    reader: &'r Reader<'r>,
    context: &'r Context,
    defaults: Option<&'r Node>,
    lab: Option<String>,
    lab_at: Option<usize>,
    /// Whether it names a lab at all, be it badly.
    lab_given: bool,
    known_hosts: Option<PathBuf>,
    /// Secrets that stand in the file as text: where the first does, and how many; unless they may.
    plain: Option<(Option<Place>, usize)>,
}

impl FileReader<'_> {
    /// The host with all that it is given by its profile and its file.
    fn filled<'n>(&self, node: &'n Node) -> Cow<'n, Node> {
        let names_profile = |node: &Node| node.get("os_type").is_some();
        if self.defaults.is_none() && !names_profile(node) {
            return Cow::Borrowed(node);
        }
        let mut host = node.clone();
        // The file may say which profile it is for all of them; what the profile says is nearer to the host all the same.
        if let (None, Some(entry)) = (
            host.get("os_type"),
            self.defaults.and_then(|all| all.entries().iter().find(|entry| entry.key == "os_type")),
        ) && let Value::Table(entries) = &mut host.value
        {
            entries.push(entry.clone());
        }
        self.context.profiles.fill(self.reader, &mut host);
        if let Some(defaults) = self.defaults {
            host.fill(defaults);
        }
        Cow::Owned(host)
    }

    fn host(&mut self, node: &Node, element: Option<&Element>) -> Option<HostEntry> {
        let mut node = self.filled(node);
        let entry = self.filled_host(&node, element);
        if let Cow::Owned(node) = &mut node {
            node.wipe();
        }
        entry
    }

    fn filled_host(&mut self, node: &Node, element: Option<&Element>) -> Option<HostEntry> {
        let reader = self.reader;
        let mut fields: HostFields = de::read(reader, node)?;
        let at = node.at;
        let mut references = Vec::new();

        let id = identity(reader, at, &mut fields, element);
        let has_ip = fields.ip.is_given();
        let ip = fields.ip.right().and_then(|ip| checked(reader, "address", ip, address_fault));
        let mut extra = kept(node, KEPT);
        let term = self.term(fields.term, &extra);
        if let (Some(term @ (Term::Ssh | Term::Telnet)), false) = (term, has_ip) {
            let message = match extra.get("inventory").and_then(Data::as_str) {
                None => format!("the host has no `ip`, and {} needs one", term.as_str()),
                Some(key) => {
                    format!("the host has no `ip`, and the inventory that has it as {key:?} is not read by otto")
                }
            };
            reader.fault(at, message);
        }
        let telnet_node = node.get("telnet_options");
        let telnet = fields.telnet_options.right().zip(telnet_node);
        let (telnet_options, telnet_port) =
            telnet.map(|(fields, node)| TelnetOptions::read(fields.value, node)).unwrap_or_default();
        let serial_options = fields.serial_options.right().map(|table| SerialOptions::read(reader, table));
        let serial_options = serial_options.unwrap_or_default();
        if term == Some(Term::Serial) && node.get("serial_options").and_then(|table| table.get("device")).is_none() {
            reader.fault(at, "the host has no `device` in its `serial_options`, and serial needs one");
        }
        let (ssh_options, ssh_port, ssh_known_hosts) = match fields.ssh_options.right().zip(node.get("ssh_options")) {
            Some((fields, node)) => ssh_options(reader, fields.value, node, &mut references),
            None => Default::default(),
        };
        let creds = self.creds(fields.creds, node, &mut references);
        let (check, known_hosts) = self.host_keys(
            at,
            &fields.host_key,
            fields.host_key_check,
            fields.known_hosts.right().map(|path| resolve(reader, &path)).or(ssh_known_hosts),
        );
        let (labs_given, labs) = (fields.labs.is_given(), fields.labs.value());
        let labs: Vec<String> = match (labs, element) {
            (Some(labs), _) => labs.right().filter_map(|lab| named(reader, "lab", lab)).collect(),
            (None, Some(element)) => element.labs.clone(),
            (None, None) => self.lab.iter().cloned().collect(),
        };
        let labs = labs.into_iter().collect::<indexmap::IndexSet<_>>().into_iter().collect::<Vec<_>>();
        if labs.is_empty() && !labs_given && !self.lab_given && element.is_none() {
            let help = "say `lab = \"…\"` for all hosts of the file, or `labs = […]` here";
            reader.fault(at, format!("the host is in no lab: {help}"));
        } else if labs_given
            && labs.is_empty()
            && matches!(node.get("labs"), Some(Node { value: Value::List(all), .. }) if all.is_empty())
        {
            reader.fault(at, "the host is in no lab: its `labs` name none");
        }
        let mut resources = labels(reader, "resource", fields.resources);
        if let Some(element) = element {
            resources
                .extend(element.resources.iter().filter(|it| !resources.contains(it)).cloned().collect::<Vec<_>>());
            extra.insert("element".to_owned(), Data::Object(element.data.clone()));
        }
        let term = term.unwrap_or_default();
        let usual_port = match term {
            Term::Ssh => ssh_port,
            Term::Telnet => telnet_port,
            Term::Serial | Term::Local | Term::Console => None,
        };
        let spec = HostSpec {
            id: id?,
            name: fields.name.value(),
            ip,
            port: fields.port.value().and_then(Int::to).or(usual_port),
            term,
            user: fields.user.right().and_then(|user| checked(reader, "user", user, login_fault)),
            creds,
            host_key: fields.host_key.right().and_then(|key| checked(reader, "host key", key, host_key_fault)),
            host_key_check: check,
            known_hosts,
            hop: fields.hop.value(),
            resources,
            tags: labels(reader, "tag", fields.tags),
            labs,
            ssh_options,
            telnet_options,
            serial_options,
            extra,
            place: Some(reader.place(at)),
            origins: self.origins(node),
        };
        Some(HostEntry { spec, references })
    }

    /// Where each field of a host is said.
    fn origins(&self, node: &Node) -> Vec<(Box<str>, Place)> {
        let mut origins = Vec::with_capacity(node.entries().len() + 1);
        for entry in node.entries().iter().filter(|entry| !entry.key.starts_with('_')) {
            if entry.key.ends_with("_options") {
                let place = |of: &super::tree::Entry| self.reader.place(of.node.at);
                let parts = entry.node.entries().iter();
                origins.extend(parts.map(|part| (format!("{}.{}", entry.key, part.key).into(), place(part))));
            }
            origins.push((entry.key.as_str().into(), self.reader.place(entry.node.at)));
        }
        if let (Some(at), None) = (self.lab_at, node.get("labs")) {
            origins.push(("labs".into(), self.reader.place(at)));
        }
        origins
    }

    /// The term: what the host says, or the first of its menu, as in otto-sh; a firmware's console is on telnet.
    fn term(&self, term: Field<OneOf<Term>>, extra: &Extra) -> Option<Term> {
        match term {
            Field::Right(term) => Some(term.value.0),
            Field::Wrong => None,
            Field::Absent => {
                let menu = extra.get("valid_terms");
                let all = menu.and_then(Data::as_array).into_iter().flatten().chain(menu);
                let known = all.filter_map(Data::as_str).find_map(Term::parse);
                let os_type = extra.get("os_type").and_then(Data::as_str);
                let firmware = os_type.is_some_and(|os| self.context.profiles.is_firmware(os));
                Some(known.unwrap_or(if firmware { Term::Telnet } else { Term::Ssh }))
            }
        }
    }

    /// How host keys are checked, and by which file.
    fn host_keys(
        &self,
        host_at: usize,
        key: &Field<String>,
        check: Field<OneOf<HostKeyCheck>>,
        own: Option<PathBuf>,
    ) -> (HostKeyCheck, Option<PathBuf>) {
        let (check_at, check) =
            check.right().map_or((host_at, HostKeyCheck::Strict), |check| (check.at, check.value.0));
        if key.is_given() && check != HostKeyCheck::Strict {
            let check = check.as_str();
            self.reader.fault(
                check_at,
                format!("`host_key` names the one right key, and host_key_check \"{check}\" takes others"),
            );
        }
        // A key that is taken on trust is written to a file of the project, never to the user's own.
        let folder = &self.reader.source_at(host_at).folder;
        let beside = || (check == HostKeyCheck::AcceptNew).then(|| folder.join("known_hosts"));
        (check, own.or_else(|| self.known_hosts.clone()).or_else(beside))
    }

    fn creds(&mut self, fields: Field<Rows<CredFields>>, host: &Node, references: &mut Vec<Reference>) -> Vec<Cred> {
        let reader = self.reader;
        let nodes = host.get("creds").map(Node::items).unwrap_or_default();
        let mut creds: Vec<Cred> = Vec::with_capacity(nodes.len());
        for (node, fields) in nodes.iter().zip(fields.value().unwrap_or_default().0) {
            let Some(At { at, value: fields }) = fields.right() else { continue };
            if !fields.login.is_given() {
                reader.fault(at, "the entry of `creds` has no `login`");
            }
            let login = fields.login.right().and_then(|login| checked(reader, "login", login, login_fault));
            let mut cred = Cred::new(login.unwrap_or_default());
            let index = creds.len();
            let mut secret = |name: &str, part: Part, field: Field<SecretField>| {
                let field = field.right()?;
                match field.value {
                    SecretField::Text(text) => {
                        if let Some((first, count)) = &mut self.plain {
                            first.get_or_insert_with(|| reader.place(field.at));
                            *count += 1;
                        }
                        return Some(Secret::new(text));
                    }
                    SecretField::Table(place) => {
                        let from = secret_place(reader, name, field.at, place)?;
                        let place = reader.place(field.at);
                        references.push(Reference { place, to: To::Secret { cred: index, part, from } });
                    }
                }
                None
            };
            cred.password = secret("password", Part::Password, fields.password);
            cred.passphrase = secret("passphrase", Part::Passphrase, fields.passphrase);
            if let Some(key) = fields.key_file.right() {
                let path = resolve(reader, &key);
                let to = To::File { field: "key_file", path: path.clone() };
                references.push(Reference { place: reader.place(key.at), to });
                cred.key_file = Some(path);
            }
            cred.extra = kept(node, KEPT_OF_CRED);
            creds.push(cred);
        }
        creds
    }
}

/// Where a secret is, if it is in one place.
fn secret_place(reader: &Reader<'_>, name: &str, at: usize, place: SecretPlace) -> Option<From> {
    if place.env.is_given() == place.file.is_given() {
        reader.fault(at, format!("`{name}` names its secret by one of `env` and `file`"));
        return None;
    }
    if let Some(env) = place.env.right() {
        if env.value.is_empty() || env.value.contains(['=', '\0']) {
            reader.fault(env.at, format!("{:?} is no name of an environment variable", env.value));
            return None;
        }
        return Some(From::Env(env.value));
    }
    Some(From::File(resolve(reader, &place.file.right()?)))
}

/// The host's id; see [`identity`](super::identity).
fn identity(reader: &Reader<'_>, at: usize, fields: &mut HostFields, element: Option<&Element>) -> Option<String> {
    let take = |field: &mut Field<String>| std::mem::take(field);
    let (id, own_element, board) = (take(&mut fields.id), take(&mut fields.element), take(&mut fields.board));
    let element_id = std::mem::take(&mut fields.element_id);
    let slot = std::mem::take(&mut fields.slot).value().map(|slot| slot.0);
    if element.is_some() {
        let above = [
            ("element", own_element.is_given()),
            ("element_id", element_id.is_given()),
            ("labs", fields.labs.is_given()),
        ];
        for (name, _) in above.iter().filter(|(_, given)| *given) {
            reader.fault(at, format!("`{name}` is said by the element, and not by its hosts"));
        }
    }
    if let Field::Right(id) = id {
        return named(reader, "host", id);
    }
    if !id.is_given() && !own_element.is_given() && element.is_none() {
        reader.fault(at, "the host has neither `id` nor `element`");
    }
    let board = match board {
        Field::Wrong => return None,
        board => board.right(),
    };
    let own_element = own_element.right();
    for part in own_element.iter().chain(&board) {
        if slug(&part.value).is_empty() {
            reader.fault(part.at, format!("{:?} has no letter or digit to make a host id of", part.value));
            return None;
        }
    }
    let board = board.as_ref().map(|board| &*board.value);
    let made = match element {
        Some(element) => chained_host_id(&element.name, board, slot),
        None => host_id(&own_element?.value, element_id.value().map(|id| id.0), board, slot),
    };
    named(reader, "host", At { at, value: made })
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
            reader.fault(text.at, format!("the {what} {} {fault}", super::diagnose::quoted(&text.value)));
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

/// The options, and the port and the file of host keys among them.
fn ssh_options(
    reader: &Reader<'_>,
    fields: SshFields,
    node: &Node,
    references: &mut Vec<Reference>,
) -> (SshOptions, Option<u16>, Option<PathBuf>) {
    let mut client_keys = Vec::new();
    for key in fields.client_keys.value().unwrap_or_default().right() {
        let path = resolve(reader, &key);
        let to = To::File { field: "client_keys", path: path.clone() };
        references.push(Reference { place: reader.place(key.at), to });
        client_keys.push(path);
    }
    let options = SshOptions {
        connect_timeout: fields.connect_timeout.value().map(|it| it.0),
        keepalive_interval: fields.keepalive_interval.value().map(|it| it.0),
        keepalive_count_max: fields.keepalive_count_max.value().and_then(Int::to),
        client_keys,
        extra: kept(node, KEPT_OF_SSH),
    };
    let known_hosts = fields.known_hosts.right().map(|path| resolve(reader, &path));
    (options, fields.port.value().and_then(Int::to), known_hosts)
}
