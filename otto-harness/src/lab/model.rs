//! [`Lab`]: named hosts, and what has to be reserved to use them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::catalog::LabCatalog;
use super::diagnose::{Problem, report};
use super::identity::name_fault;
use super::link::Link;
use super::merge::{Hosts, check_hops};
use super::selection::LabSelection;
use super::spec::HostSpec;
use crate::error::{ErrorKind, Result};

/// A lab: hosts in order, each id once. Plain data that is cheap to clone; loading it contacts nothing.
///
/// ```
/// let lab = otto::Lab::from_toml(r#"
///     lab = "bench"
///     resources = ["rack3"]
///     [[hosts]]
///     id = "router1"
///     ip = "10.0.0.1"
///     user = "admin"
/// "#)?;
/// assert_eq!(lab.name(), "bench");
/// assert_eq!(lab.host("router1").unwrap().ip.as_deref(), Some("10.0.0.1"));
/// assert!(lab.resources().contains("rack3"));
/// # Ok::<(), otto::Error>(())
/// ```
#[derive(Clone)]
pub struct Lab(Arc<Inner>);

struct Inner {
    names: Vec<String>,
    name: String,
    hosts: Hosts,
    resources: BTreeSet<String>,
    more: More,
}

/// What a lab has besides hosts.
#[derive(Debug, Default)]
pub(super) struct More {
    pub(super) links: Vec<Link>,
    pub(super) metadata: BTreeMap<String, serde_json::Map<String, serde_json::Value>>,
    pub(super) warnings: Vec<String>,
}

impl Lab {
    /// The labs named, merged into one: from these files and folders of files, and the built-in ones.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # std::fs::write(folder.path().join("a.toml"), "lab = 'rack1'\n[[hosts]]\nid = 'r1'\nip = '10.0.0.1'").unwrap();
    /// # std::fs::write(folder.path().join("b.toml"), "lab = 'rack2'\n[[hosts]]\nid = 'r2'\nip = '10.0.0.2'").unwrap();
    /// let lab = otto::Lab::load("rack1+rack2", &[folder.path()])?;
    /// assert_eq!(lab.hosts().map(|host| &*host.id).collect::<Vec<_>>(), ["r1", "r2"]);
    /// # Ok::<(), otto::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Lab`] if there is no such lab, or for all mistakes in the files at once.
    pub fn load<P: AsRef<Path>>(which: impl Into<LabSelection>, paths: impl IntoIterator<Item = P>) -> Result<Self> {
        match which.into() {
            LabSelection::Lab(lab) => Ok(lab),
            names @ LabSelection::Names(_) => LabCatalog::open(paths).load(names),
        }
    }

    /// The one lab that this TOML text describes, as a lab file would. Relative paths in it are relative to the working
    /// directory.
    ///
    /// # Errors
    /// [`ErrorKind::Lab`] for all mistakes in the text at once.
    pub fn from_toml(text: &str) -> Result<Self> {
        LabCatalog::inline_toml(text).only()
    }

    /// The one lab that this JSON text describes, as otto-sh's `lab.json` does.
    ///
    /// ```
    /// let lab = otto::Lab::from_json(r#"{"hosts": [{
    ///     "ip": "10.10.200.11", "element": "orange", "board": "seed", "labs": ["fruits"],
    ///     "creds": [{"login": "vagrant", "password": "vagrant"}]
    /// }]}"#)?;
    /// assert_eq!(lab.name(), "fruits");
    /// assert_eq!(lab.host("orange_seed").unwrap().login(), Some("vagrant"));
    /// # Ok::<(), otto::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Lab`] for all mistakes in the text at once.
    pub fn from_json(text: &str) -> Result<Self> {
        LabCatalog::inline_json(text).only()
    }

    /// A lab made in code.
    ///
    /// ```
    /// use otto::lab::{HostSpec, Lab};
    /// let lab = Lab::builder("bench").host(HostSpec::ssh("router1", "10.0.0.1").user("admin")).resource("rack3").build()?;
    /// assert_eq!(lab.hosts().count(), 1);
    /// # Ok::<(), otto::Error>(())
    /// ```
    pub fn builder(name: impl Into<String>) -> LabBuilder {
        LabBuilder { name: name.into(), hosts: Vec::new(), resources: BTreeSet::new() }
    }

    pub(crate) fn new(names: Vec<String>, hosts: Hosts, resources: BTreeSet<String>) -> Self {
        Self::with_more(names, hosts, resources, More::default())
    }

    pub(super) fn with_more(names: Vec<String>, hosts: Hosts, resources: BTreeSet<String>, more: More) -> Self {
        let name = names.join("+");
        Self(Arc::new(Inner { names, name, hosts, resources, more }))
    }

    /// Its name; `a+b` if it was merged of several.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The names of the labs it was merged of.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.names.iter().map(String::as_str)
    }

    /// Its hosts, in lab order.
    #[must_use]
    pub fn hosts(&self) -> impl ExactSizeIterator<Item = &HostSpec> {
        self.0.hosts.values()
    }

    /// The host with that id.
    #[must_use]
    pub fn host(&self, id: &str) -> Option<&HostSpec> {
        self.0.hosts.get(id)
    }

    /// The place of a host in lab order.
    pub(crate) fn position(&self, id: &str) -> Option<usize> {
        self.0.hosts.get_index_of(id)
    }

    pub(crate) fn at(&self, index: usize) -> Option<&HostSpec> {
        self.0.hosts.get_index(index).map(|(_, host)| host)
    }

    /// What the lab as a whole requires to be reserved; its hosts may require more, see
    /// [`required_resources`](crate::reservations::required_resources).
    #[must_use]
    pub fn resources(&self) -> &BTreeSet<String> {
        &self.0.resources
    }

    /// The declared routes between its hosts.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.0.more.links
    }

    /// The user's own data about the lab of that name, one of [`names`](Self::names): `labs.NAME.metadata`.
    #[must_use]
    pub fn metadata(&self, name: &str) -> Option<&serde_json::Map<String, serde_json::Value>> {
        self.0.more.metadata.get(name)
    }

    /// What is not wrong and should not be so: passwords that stand as text in a file whose lab is not `simulated`. Each says
    /// where. A run shows them on stderr.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.0.more.warnings
    }
}

impl fmt::Debug for Lab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lab")
            .field("name", &self.name())
            .field("hosts", &self.hosts().map(|host| &host.id).collect::<Vec<_>>())
            .field("resources", self.resources())
            .finish()
    }
}

/// Makes a [`Lab`] in code.
#[derive(Debug, Clone)]
#[must_use]
pub struct LabBuilder {
    name: String,
    hosts: Vec<HostSpec>,
    resources: BTreeSet<String>,
}

impl LabBuilder {
    /// With one more host.
    pub fn host(mut self, host: HostSpec) -> Self {
        self.hosts.push(host);
        self
    }

    /// With one more resource that has to be reserved for any use of the lab.
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resources.insert(resource.into());
        self
    }

    /// The lab.
    ///
    /// # Errors
    /// [`ErrorKind::Lab`] for all that a lab file would be refused for: names and addresses that cannot be, an id that stands
    /// twice, hops that lead nowhere.
    pub fn build(self) -> Result<Lab> {
        let mut problems = Vec::new();
        let mut fault = |message: String| problems.push(Problem::new(None, message));
        if let Some(wrong) = name_fault(&self.name) {
            fault(format!("the lab name {:?} {wrong}", self.name));
        }
        if self.hosts.is_empty() {
            fault(format!("lab `{}` has no host", self.name));
        }
        let mut hosts = Hosts::new();
        for mut host in self.hosts {
            host.faults().into_iter().for_each(&mut fault);
            if hosts.contains_key(&host.id) {
                fault(format!("host `{}` stands twice in lab `{}`", host.id, self.name));
                continue;
            }
            if !host.labs.contains(&self.name) {
                host.labs.push(self.name.clone());
            }
            hosts.insert(host.id.clone(), host);
        }
        check_hops(&hosts, |_| None, &mut problems);
        report(ErrorKind::Lab, problems)?;
        Ok(Lab::new(vec![self.name], hosts, self.resources))
    }
}
