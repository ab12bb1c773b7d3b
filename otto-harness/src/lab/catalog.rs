//! [`LabCatalog`]: all labs that can be found, by name.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnose::{Problem, Reader, Source, cannot_read, illustrate, nearest, nearest_first, path_problem, report};
use super::link;
use super::merge::{Hosts, check_hops, join};
use super::model::{Lab, More};
use super::schema::{self, LabFile};
use super::selection::LabSelection;
use super::spec::HostSpec;
use super::tree::Node;
use super::{json, toml};
use crate::error::{Error, ErrorKind, Result};

/// A lab that needs no file: listing it starts nothing, loading it may.
#[derive(Debug, Clone, Copy)]
pub struct BuiltinLab {
    /// Its name.
    pub name: &'static str,
    /// The ids of its hosts, in order.
    pub hosts: &'static [&'static str],
    /// Makes it.
    pub load: fn() -> Result<Lab>,
}

/// The lab `local`: this machine as the host `local`.
const LOCAL: BuiltinLab = BuiltinLab {
    name: "local",
    hosts: &["local"],
    load: || Lab::builder("local").host(HostSpec::local("local")).build(),
};

/// The labs that are always there.
const BUILTIN: &[BuiltinLab] = &[
    LOCAL,
    #[cfg(feature = "sim")]
    BuiltinLab { name: "sim", hosts: crate::sim::HOSTS, load: crate::sim::builtin_lab },
];

/// Files of a folder of labs that are something else.
const NO_LABS: [&str; 3] = ["otto.toml", "Cargo.toml", "reservations.json"];

/// All labs that can be found: in files, in folders of them, and built in.
///
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # std::fs::write(folder.path().join("a.toml"), "lab = 'bench'\n[[hosts]]\nid = 'r1'\nip = '10.0.0.1'").unwrap();
/// let catalog = otto::lab::LabCatalog::open([folder.path()]);
/// assert!(catalog.names()?.contains(&"bench".to_owned()));
/// assert_eq!(catalog.host_ids("bench+local")?, ["r1", "local"]);
/// let error = catalog.load("bensh").unwrap_err();
/// assert!(error.to_string().contains("did you mean `bench`?"), "{error}");
/// # Ok::<(), otto::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct LabCatalog {
    builtin: Vec<BuiltinLab>,
    files: Arc<Vec<LabFile>>,
    /// The hosts of each lab of the files, as a file and a host of it, in lab order.
    index: Arc<BTreeMap<String, Vec<(usize, usize)>>>,
    /// The texts of the files, for the lines that a report of mistakes shows.
    sources: Arc<Vec<Arc<Source>>>,
    problems: Vec<Problem>,
}

type Parse = fn(&Reader<'_>) -> Option<Node>;

impl LabCatalog {
    /// Reads the lab files at `paths`: files that end in `.toml` or `.json`, and folders of them (not of folders).
    ///
    /// Mistakes are kept, and reported together by whatever needs the files.
    pub fn open<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Self {
        Self::with_profiles(None, paths)
    }

    /// The same, with the OS profiles of `otto.toml`, and where they stand.
    pub(super) fn with_profiles<P: AsRef<Path>>(
        profiles: Option<&(Arc<Source>, Node)>,
        paths: impl IntoIterator<Item = P>,
    ) -> Self {
        let mut problems = Vec::new();
        let mut sources: Vec<(Arc<Source>, Parse)> = Vec::new();
        let mut seen = HashSet::new();
        let mut base = profiles.map_or(0, |(source, _)| source.end());
        for path in paths {
            for file in lab_files(path.as_ref(), &mut problems) {
                // A file that is named and lies in a folder that is named is one file.
                if !seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())) {
                    continue;
                }
                match Source::read(&file) {
                    Ok(source) => {
                        let source = source.based(base);
                        base = source.end();
                        let is_json = file.extension().is_some_and(|end| end == "json");
                        sources.push((Arc::new(source), if is_json { json::parse } else { toml::parse }));
                    }
                    Err(problem) => problems.push(problem),
                }
            }
        }
        Self::of(BUILTIN.to_vec(), profiles, sources, problems)
    }

    pub(crate) fn inline_toml(text: &str) -> Self {
        Self::of(Vec::new(), None, vec![(Arc::new(Source::inline("<toml>", text)), toml::parse)], Vec::new())
    }

    pub(crate) fn inline_json(text: &str) -> Self {
        Self::of(Vec::new(), None, vec![(Arc::new(Source::inline("<json>", text)), json::parse)], Vec::new())
    }

    fn of(
        builtin: Vec<BuiltinLab>,
        profiles: Option<&(Arc<Source>, Node)>,
        parsed: Vec<(Arc<Source>, Parse)>,
        mut problems: Vec<Problem>,
    ) -> Self {
        let mut sources: Vec<Arc<Source>> = profiles.iter().map(|(source, _)| source.clone()).collect();
        let mut roots = Vec::with_capacity(parsed.len());
        for (source, parse) in parsed {
            let reader = Reader::new(&source);
            roots.extend(parse(&reader));
            problems.extend(reader.into_problems());
            sources.push(source);
        }
        let mut files: Vec<LabFile> = Vec::with_capacity(roots.len());
        if let Some(first) = sources.first() {
            let reader = Reader::among(first, &sources);
            let all: Vec<&Node> = roots.iter().collect();
            let context = schema::Context::of(&reader, &all, profiles.map(|(_, table)| table));
            for root in &roots {
                let Some(file) = schema::read(&reader, root, &context) else { continue };
                let taken = file.labs().find(|lab| builtin.iter().any(|builtin| builtin.name == *lab));
                if let Some(taken) = taken {
                    reader.fault(root.at, format!("`{taken}` is the name of a built-in lab: choose another"));
                }
                files.push(file);
            }
            problems.extend(reader.into_problems());
        }
        let mut declared: HashMap<&str, usize> = HashMap::new();
        for (index, file) in files.iter().enumerate() {
            for name in file.declared.keys() {
                if let Some(first) = declared.insert(name, index) {
                    let at =
                        |index: usize| roots.get(index).and_then(|root: &Node| root.get("labs")).map(|labs| labs.at);
                    let place = |index| {
                        let at = at(index)?;
                        sources.iter().find(|source| (source.base..source.end()).contains(&at)).map(|it| it.place(at))
                    };
                    let there = place(first).map(|place| format!(": also at {place}")).unwrap_or_default();
                    problems.push(Problem::new(place(index), format!("the lab `{name}` is declared twice{there}")));
                }
            }
        }
        roots.iter_mut().for_each(Node::wipe);
        let index = Arc::new(index(&files));
        Self { builtin, files: Arc::new(files), index, sources: Arc::new(sources), problems }
    }

    /// With one more built-in lab.
    #[must_use]
    pub fn with_builtin(mut self, lab: BuiltinLab) -> Self {
        self.builtin.push(lab);
        self
    }

    /// The mistakes in the files, if there are any.
    ///
    /// # Errors
    /// [`ErrorKind::Lab`] for all of them at once.
    pub fn check(&self) -> Result<()> {
        report(ErrorKind::Lab, self.problems.clone())
    }

    /// The names of all labs, sorted.
    ///
    /// # Errors
    /// If the files have mistakes.
    pub fn names(&self) -> Result<Vec<String>> {
        self.check()?;
        Ok(self.known().into_iter().map(str::to_owned).collect())
    }

    fn known(&self) -> BTreeSet<&str> {
        self.index.keys().map(String::as_str).chain(self.builtin.iter().map(|lab| lab.name)).collect()
    }

    /// The ids of the hosts of a lab, in lab order. No secret is read and nothing is started for it.
    ///
    /// # Errors
    /// If there is no such lab, or the files have mistakes.
    pub fn host_ids(&self, which: impl Into<LabSelection>) -> Result<Vec<String>> {
        let names = match which.into() {
            LabSelection::Lab(lab) => return Ok(lab.hosts().map(|host| host.id.clone()).collect()),
            LabSelection::Names(names) => names,
        };
        self.find(&names)?;
        let mut ids = indexmap::IndexSet::new();
        for name in &names {
            let builtin = self.builtin(name).map_or(&[][..], |lab| lab.hosts);
            ids.extend(builtin.iter().map(|id| (*id).to_owned()));
            ids.extend(self.entries(name).map(|entry| entry.spec.id.clone()));
        }
        Ok(ids.into_iter().collect())
    }

    /// The lab as far as hosts are chosen by it: their ids and tags. No secret is read and nothing is started for it.
    ///
    /// # Errors
    /// As [`host_ids`](Self::host_ids).
    pub(crate) fn outline(&self, lab: &str) -> Result<Lab> {
        let names: Vec<String> = lab.split('+').map(|name| name.trim().to_owned()).collect();
        let ids = self.host_ids(LabSelection::Names(names.clone()))?;
        let mut hosts: Hosts = ids.into_iter().map(|id| (id.clone(), HostSpec::ssh(id, ""))).collect();
        for entry in names.iter().flat_map(|name| self.entries(name)) {
            if let Some(host) = hosts.get_mut(&entry.spec.id) {
                let new: Vec<_> = entry.spec.tags.iter().filter(|tag| !host.tags.contains(tag)).cloned().collect();
                host.tags.extend(new);
            }
        }
        Ok(Lab::new(names, hosts, BTreeSet::new()))
    }

    /// The hosts that stand in more labs than one: id and address.
    pub(crate) fn in_several_labs(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let mut labs: HashMap<(&str, Option<&str>), BTreeSet<&str>> = HashMap::new();
        for entry in self.files.iter().flat_map(|file| &file.hosts) {
            let key = (&*entry.spec.id, entry.spec.ip.as_deref());
            labs.entry(key).or_default().extend(entry.spec.labs.iter().map(String::as_str));
        }
        labs.into_iter().filter(|(_, labs)| labs.len() > 1).map(|(key, _)| key)
    }

    /// The lab, or the labs merged into one.
    ///
    /// # Errors
    /// [`ErrorKind::Lab`] if there is no such lab, or for all mistakes in the files, and all secrets that are missing for it,
    /// at once.
    pub fn load(&self, which: impl Into<LabSelection>) -> Result<Lab> {
        match which.into() {
            LabSelection::Lab(lab) => Ok(lab),
            LabSelection::Names(names) => self.merge(names),
        }
    }

    /// The one lab there is.
    pub(crate) fn only(&self) -> Result<Lab> {
        let named: Vec<&str> = self.files.iter().filter_map(|file| file.lab.as_deref()).collect();
        let all: Vec<&str> = self.known().into_iter().collect();
        match (&*named, &*all) {
            ([name], _) | ([], [name]) => self.merge(vec![(*name).to_owned()]),
            _ => {
                self.check()?;
                let what = if all.is_empty() { "names no lab" } else { "describes several labs" };
                Err(Error::new(ErrorKind::Lab, format!("the text {what}: {}", all.join(", ")))
                    .hint("say `lab = \"…\"` at its top"))
            }
        }
    }

    fn builtin(&self, name: &str) -> Option<&BuiltinLab> {
        self.builtin.iter().find(|lab| lab.name == name)
    }

    fn entries(&self, lab: &str) -> impl Iterator<Item = &schema::HostEntry> {
        let hosts = self.index.get(lab).map(Vec::as_slice).unwrap_or_default();
        hosts.iter().filter_map(|(file, host)| self.files.get(*file)?.hosts.get(*host))
    }

    /// That all of `names` are labs. Mistakes in the files come first: they may be why one is not.
    fn find(&self, names: &[String]) -> Result<()> {
        if names.iter().all(|name| self.builtin(name).is_some()) {
            return Ok(());
        }
        let known = self.known();
        for name in names {
            if name.is_empty() {
                return Err(Error::new(ErrorKind::Lab, "a lab has to be named, and here is an empty name")
                    .hint("name one lab, or several as `a+b`"));
            }
            if !known.contains(&**name) {
                self.check()?;
                let all = nearest_first(name, known.iter().copied()).join(", ");
                let error = Error::new(ErrorKind::Lab, format!("there is no lab `{name}`; known labs: {all}"));
                return Err(match nearest(name, known.iter().copied()) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => {
                        error.hint("lab files are found by `paths` under `[lab]` in otto.toml, or by the search path")
                    }
                });
            }
        }
        Ok(())
    }

    fn merge(&self, names: Vec<String>) -> Result<Lab> {
        self.find(&names)?;
        let (mut hosts, mut resources, mut metadata) = (Hosts::new(), BTreeSet::new(), BTreeMap::new());
        let needs_files = names.iter().any(|name| self.builtin(name).is_none());
        let mut problems = if needs_files { self.problems.clone() } else { Vec::new() };
        for name in &names {
            if let Some(builtin) = self.builtin(name) {
                let lab = (builtin.load)()?;
                resources.extend(lab.resources().iter().cloned());
                lab.hosts().for_each(|host| join(&mut hosts, host.clone(), &mut problems));
                continue;
            }
            let mut empty = true;
            for entry in self.entries(name) {
                join(&mut hosts, entry.resolved(&mut problems), &mut problems);
                empty = false;
            }
            if empty && problems.is_empty() {
                problems.push(Problem::new(None, format!("lab `{name}` has no host")));
            }
            // Those of a file belong to the lab that it names, or else to each lab that its hosts name.
            let of = |file: &&LabFile| {
                file.lab.as_deref().map_or_else(|| file.labs().any(|lab| lab == name), |lab| lab == name)
            };
            resources.extend(self.files.iter().filter(of).flat_map(|file| file.resources.iter().cloned()));
            for (required, data) in self.files.iter().filter_map(|file| file.declared.get(name)) {
                resources.extend(required.iter().cloned());
                metadata.insert(name.clone(), data.clone());
            }
        }
        let elsewhere = |id: &str| {
            let entries = self.files.iter().flat_map(|file| &file.hosts);
            entries.filter(|entry| entry.spec.id == id).find_map(|entry| entry.spec.labs.first().cloned())
        };
        check_hops(&hosts, elsewhere, &mut problems);
        let all_ids = || self.files.iter().flat_map(|file| &file.hosts).map(|entry| &*entry.spec.id).collect();
        let links = self.files.iter().flat_map(|file| &file.links);
        let links = link::of_lab(&hosts, links, all_ids, &mut problems);
        illustrate(&mut problems, &self.sources);
        report(ErrorKind::Lab, problems)?;
        let warnings = self.warnings(&names);
        Ok(Lab::with_more(names, hosts, resources, More { links, metadata, warnings }))
    }
}

/// Where the hosts of each lab are. A lab that is named and has no host is in it too.
fn index(files: &[LabFile]) -> BTreeMap<String, Vec<(usize, usize)>> {
    let mut index: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
    for (number, file) in files.iter().enumerate() {
        for name in file.lab.iter().chain(file.declared.keys()) {
            index.entry(name.clone()).or_default();
        }
        for (host, entry) in file.hosts.iter().enumerate() {
            for lab in &entry.spec.labs {
                match index.get_mut(lab) {
                    Some(hosts) => hosts.push((number, host)),
                    None => drop(index.insert(lab.clone(), vec![(number, host)])),
                }
            }
        }
    }
    index
}

/// What should not be so in the files of these labs, and is no mistake.
impl LabCatalog {
    fn warnings(&self, names: &[String]) -> Vec<String> {
        let concerned = |file: &&LabFile| file.labs().any(|lab| names.iter().any(|name| name == lab));
        let plain = self.files.iter().filter(concerned).filter_map(|file| file.plain_secrets.as_ref());
        let warning = |(place, count): &(super::diagnose::Place, usize)| {
            let (what, first) = match count {
                1 => ("a password stands".to_owned(), ""),
                count => (format!("{count} passwords stand"), ", this the first"),
            };
            format!(
                "{place}: {what} in the file as text{first}: say where as {{ env = \"…\" }} or {{ file = \"…\" }}, \
                 or `simulated = true` at the top of the file if the lab is not real"
            )
        };
        plain.map(warning).collect()
    }
}

/// The lab files that `path` stands for, in the order of their names.
fn lab_files(path: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => {
            problems.push(path_problem(path, cannot_read(&error)));
            return Vec::new();
        }
    };
    let is_lab = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let ends = path.extension().is_some_and(|end| end == "toml" || end == "json");
        ends && !name.starts_with('.') && !NO_LABS.contains(&name) && !path.is_dir()
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_lab).collect();
    files.sort();
    files
}
