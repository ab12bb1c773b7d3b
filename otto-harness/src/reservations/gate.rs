//! [`ReservationGate`]: the check as a run of tests makes it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::backend::{ReservationBackend, unknowable};
use super::check::{check_reservations, required_resources};
use super::json::JsonReservations;
use super::none::NoReservations;
use crate::error::{Error, ErrorKind, Result};
use crate::lab::diagnose::{did_you_mean, nearest_first};
use crate::lab::{Lab, ReservationConfig};
use crate::os_user::os_user;

/// The backends that `otto.toml` can name.
const BACKENDS: [&str; 2] = ["json", "none"];

/// The usual limit for a backend's answer.
const LIMIT: Duration = Duration::from_secs(30);

/// What stands between a run and its labs: who is asking, and whom to ask.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use otto::reservations::ReservationGate;
/// let config = otto::ProjectConfig::default();
/// let gate = ReservationGate::new(&config.reservations, Some("alice"), false);
/// let lab = otto::Lab::builder("bench").host(otto::HostSpec::local("here")).resource("rack3").build()?;
/// gate.check(&lab).await?; // the default backend is `none`
/// # Ok::<(), otto::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct ReservationGate {
    as_user: Option<String>,
    way: Way,
    /// How long the backend may take to answer.
    pub(super) limit: Duration,
}

#[derive(Clone)]
enum Way {
    /// Not even a backend is made: one that hangs or is broken must not be in the way of an emergency.
    Skip,
    Configured(ReservationConfig),
    Given(Arc<dyn ReservationBackend>),
}

impl ReservationGate {
    /// The gate that `otto.toml`, `--as-user` and `--skip-reservation-check` describe. Nothing is asked or read yet.
    #[must_use]
    pub fn new(config: &ReservationConfig, as_user: Option<&str>, skip: bool) -> Self {
        let way = if skip { Way::Skip } else { Way::Configured(config.clone()) };
        Self { as_user: as_user.map(str::to_owned), way, limit: LIMIT }
    }

    /// A gate that asks `backend`.
    #[must_use]
    pub fn with_backend(backend: Arc<dyn ReservationBackend>, as_user: Option<&str>) -> Self {
        Self { as_user: as_user.map(str::to_owned), way: Way::Given(backend), limit: LIMIT }
    }

    /// Who is asking: the one that `--as-user` names, else the [user of the operating system](os_user).
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if `--as-user` names nobody, [`ErrorKind::Reservation`] if the system knows no name.
    pub fn user(&self) -> Result<String> {
        match &self.as_user {
            Some(user) if user.trim().is_empty() => {
                Err(Error::new(ErrorKind::Invalid, "--as-user has to name a user, and this is empty"))
            }
            Some(user) => Ok(user.clone()),
            None => os_user(),
        }
    }

    /// That the user may use the lab. A gate that is to be skipped says so on stderr, and lets everything pass.
    ///
    /// # Errors
    /// [`ErrorKind::Reservation`] if something is not reserved, [`ErrorKind::ReservationBackend`] if nobody knows.
    pub async fn check(&self, lab: &Lab) -> Result<()> {
        let backend: Arc<dyn ReservationBackend> = match &self.way {
            Way::Skip => {
                warn(lab);
                return Ok(());
            }
            Way::Configured(config) if config.backend == "none" => {
                if !config.chosen {
                    warn_of_none(lab);
                }
                return Ok(());
            }
            Way::Configured(config) => configured(config)?,
            Way::Given(backend) => backend.clone(),
        };
        let user = self.user()?;
        tracing::info!(lab = lab.name(), user, backend = backend.name(), "checking reservations");
        tokio::time::timeout(self.limit, check_reservations(lab, &user, &*backend)).await.unwrap_or_else(|_| {
            let message =
                format!("the reservation backend `{}` did not answer within {:?}", backend.name(), self.limit);
            Err(unknowable(Error::new(ErrorKind::ReservationBackend, message)))
        })
    }
}

fn configured(config: &ReservationConfig) -> Result<Arc<dyn ReservationBackend>> {
    let refused = |message: String| Err(unknowable(Error::new(ErrorKind::ReservationBackend, message)));
    match (&*config.backend, &config.path) {
        ("none", _) => Ok(Arc::new(NoReservations)),
        ("json", Some(path)) => Ok(Arc::new(JsonReservations::open(path)?)),
        ("json", None) => refused("the reservation backend `json` needs the `path` of its file".to_owned()),
        (other, _) => {
            let near = did_you_mean(other, BACKENDS);
            let known = nearest_first(other, BACKENDS).join(", ");
            refused(format!("there is no reservation backend `{other}`; known ones: {known}{near}"))
        }
    }
}

/// Says that nobody was asked, and what may be somebody else's.
fn warn(lab: &Lab) {
    let required: Vec<String> = required_resources(lab).into_iter().collect();
    let what = if required.is_empty() {
        "it requires none".to_owned()
    } else {
        format!("somebody else may be using {}", required.join(", "))
    };
    eprintln!("WARNING: the reservations of lab {} are NOT checked (--skip-reservation-check): {what}", lab.name());
}

/// Says that a lab which names resources is used without asking, when nobody decided that.
fn warn_of_none(lab: &Lab) {
    let required: Vec<String> = required_resources(lab).into_iter().collect();
    if !required.is_empty() {
        eprintln!(
            "WARNING: lab {} requires {}, and nobody is asked who holds it: otto.toml has no [reservations]; \
             `backend = \"none\"` there says that this is meant",
            lab.name(),
            required.join(", ")
        );
    }
}

impl fmt::Debug for ReservationGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let backend = match &self.way {
            Way::Skip => "(skipped)",
            Way::Configured(config) => &config.backend,
            Way::Given(backend) => backend.name(),
        };
        f.debug_struct("ReservationGate")
            .field("as_user", &self.as_user)
            .field("backend", &backend)
            .finish_non_exhaustive()
    }
}
