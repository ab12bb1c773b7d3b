//! [`ProjectConfig`]: what `otto.toml` says.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::catalog::LabCatalog;
use super::diagnose::{Reader, Source, report};
use super::fields::Fields;
use super::identity::name_fault;
use super::toml;
use super::tree::Node;
use crate::error::{ErrorKind, Result};

/// The file's name.
const NAME: &str = "otto.toml";

/// What `otto.toml` says about labs and reservations; without such a file, nothing.
///
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # std::fs::write(folder.path().join("otto.toml"), "[lab]\ndefault = ['bench']\npaths = ['labs']").unwrap();
/// let config = otto::lab::ProjectConfig::above(folder.path())?;
/// assert_eq!(config.default_labs, ["bench"]);
/// assert_eq!(config.lab_paths, [folder.path().join("labs")]);
/// assert_eq!(config.reservations.backend, "none");
/// # Ok::<(), otto::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ProjectConfig {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// `lab.default`: the labs that are selected when nothing else selects any.
    pub default_labs: Vec<String>,
    /// `lab.paths`: lab files and folders of them.
    pub lab_paths: Vec<PathBuf>,
    /// `[reservations]`.
    pub reservations: ReservationConfig,
    /// `[os_profiles]`, and the file that it stands in.
    pub(super) profiles: Option<(Arc<Source>, Node)>,
}

/// Which reservations are asked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReservationConfig {
    /// The backend's name: `none` (the default), `json`.
    pub backend: String,
    /// The backend's file.
    pub path: Option<PathBuf>,
    /// Whether `otto.toml` names the backend, or `none` is merely the default.
    pub chosen: bool,
}

impl Default for ReservationConfig {
    fn default() -> Self {
        Self { backend: "none".to_owned(), path: None, chosen: false }
    }
}

impl ProjectConfig {
    /// The `otto.toml` at or above the package under test (`CARGO_MANIFEST_DIR` as it is now), else at or above the working
    /// directory.
    ///
    /// # Errors
    /// [`ErrorKind::Lab`] for all mistakes in the file at once.
    pub fn find() -> Result<Self> {
        let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).filter(|folder| folder.is_dir());
        match package.or_else(|| std::env::current_dir().ok()) {
            Some(folder) => Self::above(folder),
            None => Ok(Self::default()),
        }
    }

    /// The `otto.toml` at or above `folder`.
    ///
    /// # Errors
    /// [`ErrorKind::Lab`] for all mistakes in the file at once.
    pub fn above(folder: impl AsRef<Path>) -> Result<Self> {
        match folder.as_ref().ancestors().map(|folder| folder.join(NAME)).find(|file| file.symlink_metadata().is_ok()) {
            Some(file) => Self::read(file),
            None => Ok(Self::default()),
        }
    }

    /// The file at `path`.
    ///
    /// # Errors
    /// [`ErrorKind::Lab`] if it cannot be read, or for all mistakes in it at once.
    pub fn read(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let source = match Source::read(&path) {
            Ok(source) => source,
            Err(problem) => return report(ErrorKind::Lab, vec![problem]).map(|()| Self::default()),
        };
        let reader = Reader::new(&source);
        let mut profiles = None;
        let config = toml::parse(&reader).and_then(|root| {
            profiles = root.get("os_profiles").cloned();
            config(&reader, root)
        });
        report(ErrorKind::Lab, reader.into_problems())?;
        let source = Arc::new(source);
        let profiles = profiles.map(|profiles| (source, profiles));
        Ok(Self { file: Some(path), profiles, ..config.unwrap_or_default() })
    }

    /// The labs that it leads to.
    #[must_use]
    pub fn catalog(&self) -> LabCatalog {
        LabCatalog::with_profiles(self.profiles.clone(), &self.lab_paths)
    }
}

fn config(reader: &Reader<'_>, root: Node) -> Option<ProjectConfig> {
    let folder = &reader.source.folder;
    let mut config = ProjectConfig::default();
    let mut fields = Fields::of(reader, "otto.toml", root)?;
    // Those are read with the lab files.
    fields.take("os_profiles");
    if let Some(mut lab) = fields.table("lab", "`[lab]`") {
        for name in lab.texts("default").unwrap_or_default() {
            // Each may be `a+b`.
            if let Some(fault) = name.value.split('+').find_map(|part| name_fault(part.trim())) {
                reader.fault(name.at, format!("the lab name {:?} {fault}", name.value));
            }
            config.default_labs.push(name.value);
        }
        let paths = lab.texts("paths").unwrap_or_default();
        config.lab_paths = paths.into_iter().map(|path| folder.join(path.value)).collect();
        lab.end();
    }
    if let Some(mut reservations) = fields.table("reservations", "`[reservations]`") {
        let at = reservations.at();
        let backend = reservations.text("backend");
        let path = reservations.text("path");
        match (&backend, &path) {
            (None, Some(path)) => {
                reader
                    .fault(path.at, "`path` names reservations, and no `backend` reads them: say `backend = \"json\"`");
            }
            (Some(backend), Some(path)) if backend.value == "none" => {
                reader.fault(path.at, "`path` names reservations, and the backend \"none\" reads none");
            }
            (Some(backend), None) if backend.value == "json" => {
                reader.fault(at, "the backend \"json\" needs the `path` of its file");
            }
            _ => {}
        }
        if let Some(backend) = backend {
            config.reservations.backend = backend.value;
            config.reservations.chosen = true;
        }
        config.reservations.path = path.map(|path| folder.join(path.value));
        reservations.end();
    }
    fields.end();
    Some(config)
}
