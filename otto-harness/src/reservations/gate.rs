//! [`ReservationGate`]: the check as a run of tests makes it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::backend::{ReservationBackend, unknowable};
use super::check::{check_reservations, required_resources, shown};
use super::json::JsonReservations;
use super::lease::Leases;
use super::registered;
use super::window::ends_within;
use crate::error::{Error, ErrorKind, Result};
use crate::lab::{Lab, ReservationConfig};
use crate::os_user::os_user;

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
    /// How long the run may take.
    lasting: Option<Duration>,
}

#[derive(Clone)]
enum Way {
    /// Not even a backend is made: one that hangs or is broken must not be in the way of an emergency.
    Skip,
    Configured(Box<ReservationConfig>),
    Given(Arc<dyn ReservationBackend>),
}

impl ReservationGate {
    /// The gate that `otto.toml`, `--as-user` and `--skip-reservation-check` describe. Nothing is asked or read yet.
    #[must_use]
    pub fn new(config: &ReservationConfig, as_user: Option<&str>, skip: bool) -> Self {
        let way = if skip { Way::Skip } else { Way::Configured(Box::new(config.clone())) };
        Self { as_user: as_user.map(str::to_owned), way, limit: LIMIT, lasting: None }
    }

    /// A gate that asks `backend`.
    #[must_use]
    pub fn with_backend(backend: Arc<dyn ReservationBackend>, as_user: Option<&str>) -> Self {
        Self { as_user: as_user.map(str::to_owned), way: Way::Given(backend), limit: LIMIT, lasting: None }
    }

    /// With how long the run may take: a reservation that ends before that is warned of on stderr.
    #[must_use]
    pub fn lasting(mut self, time: Duration) -> Self {
        self.lasting = Some(time);
        self
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
            // Nothing is reserved beforehand there: each test holds what it uses while it runs. That this will be possible is
            // known before anything is connected.
            Way::Configured(config) if matches!(&*config.backend, "sqlite" | "etcd") => {
                let Some(leases) = Leases::configured(config)? else { return Ok(()) };
                return leases.check().await.map_err(unknowable);
            }
            Way::Configured(config) => configured(config)?,
            Way::Given(backend) => backend.clone(),
        };
        let user = self.user()?;
        tracing::info!(lab = lab.name(), user, backend = backend.name(), "checking reservations");
        let checking = async {
            check_reservations(lab, &user, &*backend).await?;
            if let Some(warning) = self.ending(lab, &user, &*backend).await? {
                eprintln!("{warning}");
            }
            Ok(())
        };
        tokio::time::timeout(self.limit, checking).await.unwrap_or_else(|_| {
            let message =
                format!("the reservation backend `{}` did not answer within {:?}", backend.name(), self.limit);
            Err(unknowable(Error::new(ErrorKind::ReservationBackend, message)))
        })
    }

    /// What to warn of: reservations that end while the run may still go on.
    pub(super) async fn ending(
        &self,
        lab: &Lab,
        user: &str,
        backend: &dyn ReservationBackend,
    ) -> Result<Option<String>> {
        let required = required_resources(lab);
        let (Some(lasting), false) = (self.lasting, required.is_empty()) else { return Ok(None) };
        let all = backend.reservations().await.map_err(unknowable)?;
        let ends = ends_within(&required, user, &all, SystemTime::now(), lasting);
        let named: Vec<_> = ends.iter().map(|(name, end)| format!("{name} at {}", shown(*end))).collect();
        Ok((!named.is_empty()).then(|| {
            format!(
                "WARNING: {user}'s reservations end before the tests on lab {} have to, which may take {} s: {}",
                lab.name(),
                lasting.as_secs(),
                named.join(", ")
            )
        }))
    }
}

fn configured(config: &ReservationConfig) -> Result<Arc<dyn ReservationBackend>> {
    registered::check_names()?;
    match (&*config.backend, &config.path) {
        ("json", Some(path)) => Ok(Arc::new(JsonReservations::open(path)?)),
        ("json", None) => Err(unknowable(Error::new(
            ErrorKind::ReservationBackend,
            "the reservation backend `json` needs the `path` of its file",
        ))),
        _ => registered::make(config),
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
