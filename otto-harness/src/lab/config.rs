//! [`ProjectConfig`]: what `otto.toml` says.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::catalog::LabCatalog;
use super::diagnose::{Reader, Source, report};
use super::fields::Fields;
use super::identity::name_fault;
use super::reservation_config::{self, ReservationConfig};
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
        LabCatalog::with_profiles(self.profiles.as_ref(), &self.lab_paths)
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
    if let Some(reservations) = fields.table("reservations", "`[reservations]`") {
        config.reservations = reservation_config::read(reader, reservations, folder);
    }
    fields.end();
    Some(config)
}
