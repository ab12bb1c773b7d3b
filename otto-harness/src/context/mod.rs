//! A lab that is open: its hosts, and the scope that closes them. See `docs/design/context.md`.

mod active;
mod attach;
mod checks;
mod declared;
mod fixture;
mod open;
mod scope;
mod skip;
mod transcript;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;

pub(crate) use active::with_active;
pub use active::{
    ContextToken, all_hosts, do_for_all_hosts, get_context, get_host, reset_context, run_on_all_hosts, set_context,
    try_get_context,
};
pub(crate) use checks::listed as listed_checks;
pub(crate) use declared::Declared;
#[doc(hidden)]
pub use fixture::FixtureKind;
pub use fixture::FromContext;
pub(crate) use open::{OfTest, Watcher};
pub use open::{OpenContext, open_context};
pub use scope::HostScope;
pub(crate) use skip::Skipped;
pub(crate) use transcript::spell_out;

use crate::command::IntoCommands;
use crate::error::{Error, ErrorKind, Result};
use crate::fleet::{DoForAll, RunOnAll, Selection};
use crate::host::{Host, LOCAL};
use crate::lab::Lab;
use crate::redact::Redactor;
use crate::transport::BoxFuture;

/// A lab that is open: its hosts, each one handle that all clones of the context share.
///
/// Cheap to clone. Hosts connect on first use, and are closed with the context: by [`OpenContext::with`], by the harness
/// after the test, or by [`close`](Self::close).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> otto::Result<()> {
/// otto::open_context("local").with(async |ctx| {
///     let host = ctx.get_host("local")?;
///     assert_eq!(host.run("echo hi").await?.only()?.output, "hi");
///     Ok(())
/// }).await
/// # }
/// ```
#[derive(Clone)]
pub struct OttoContext(Arc<Inner>);

struct Inner {
    lab: Lab,
    hosts: IndexMap<String, Host>,
    /// The built-in host that is this machine, or the lab's own host of that id.
    local: Host,
    scope: HostScope,
    settings: open::Settings,
    /// Knows what no file and no error may show.
    secrets: Redactor,
    checks: checks::Checks,
    attachments: attach::Attachments,
    skip: skip::Skip,
}

impl OttoContext {
    fn new(lab: Lab, settings: open::Settings) -> Self {
        // Of all hosts, because one may be reached, or spoken of, from another.
        let secrets = Redactor::of_hosts(lab.hosts());
        Redactor::warn_of_short(lab.hosts());
        let make = |spec: &crate::lab::HostSpec| {
            Host::with(spec, settings.audience(spec, &secrets), &secrets, settings.dry_run)
        };
        let hosts: IndexMap<_, _> = lab.hosts().map(|spec| (spec.id.clone(), make(spec))).collect();
        let local = hosts.get(LOCAL).cloned().unwrap_or_else(|| make(&crate::lab::HostSpec::local(LOCAL)));
        let scope = HostScope::default();
        for host in hosts.values().chain([&local]) {
            scope.own(host.clone());
        }
        Self(Arc::new(Inner {
            lab,
            hosts,
            local,
            scope,
            settings,
            secrets,
            checks: checks::Checks::default(),
            attachments: attach::Attachments::default(),
            skip: skip::Skip::default(),
        }))
    }

    /// The host with that id, or the one that the test bound that name to: `hosts(dut = "tag:arch=arm")`. `local` is this
    /// machine in every lab.
    ///
    /// # Errors
    /// One of kind [`ErrorKind::Host`]: if there is none, with the ids, nearest first; if the test said which hosts it uses,
    /// and this is none of them.
    pub fn get_host(&self, id: impl AsRef<str>) -> Result<Host> {
        let mut id = id.as_ref();
        let declared = self.0.settings.declared.as_ref();
        if let Some(bound) = declared.and_then(|declared| declared.id_of(id)) {
            id = bound;
        }
        if let Some(host) = self.0.hosts.get(id) {
            if let Some(declared) = declared.filter(|_| id != LOCAL) {
                declared.check(id, self.0.lab.name())?;
            }
            return Ok(host.clone());
        }
        if id == LOCAL {
            return Ok(self.0.local.clone());
        }
        let message = format!("lab `{}` has no host `{id}`", self.0.lab.name());
        Err(Error::new(ErrorKind::Host, message).hint(self.ids_nearest_to(id)))
    }

    /// As [`get_host`](Self::get_host), for names that are bound: `ctx.host("dut")?`.
    ///
    /// # Errors
    /// As [`get_host`](Self::get_host).
    pub fn host(&self, name: impl AsRef<str>) -> Result<Host> {
        self.get_host(name)
    }

    /// All hosts of the lab, in its order; of a test that said which hosts it uses, those.
    #[must_use]
    pub fn all_hosts(&self) -> Vec<Host> {
        match &self.0.settings.declared {
            Some(declared) => declared.ids.iter().filter_map(|id| self.0.hosts.get(id)).cloned().collect(),
            None => self.0.hosts.values().cloned().collect(),
        }
    }

    /// The host that `each_host` made the running test for.
    pub(crate) fn each_host(&self) -> Option<Host> {
        let id = self.0.settings.declared.as_ref()?.each.as_ref()?;
        self.0.hosts.get(id).cloned()
    }

    /// The hosts of the lab whose id the regex matches in full, in lab order.
    ///
    /// # Errors
    /// If the pattern is no regex, or matches no host.
    pub fn hosts_matching(&self, pattern: impl AsRef<str>) -> Result<Vec<Host>> {
        Selection::matching(pattern.as_ref()).of(self)
    }

    /// Runs the same commands on all hosts of the lab, side by side. See [`RunOnAll`].
    pub fn run_on_all_hosts(&self, commands: impl IntoCommands) -> RunOnAll {
        RunOnAll::new(Ok(self.clone()), commands.into_commands())
    }

    /// Calls an async closure for all hosts of the lab, side by side. See [`DoForAll`].
    pub fn do_for_all_hosts<'a, T, F, Fut>(&self, call: F) -> DoForAll<'a, T>
    where
        T: Send + 'a,
        F: FnMut(Host) -> Fut + Send + 'a,
        Fut: Future<Output = Result<T>> + Send + 'a,
    {
        DoForAll::new(Ok(self.clone()), call)
    }

    /// What closes the hosts. It also takes hosts made by hand.
    #[must_use]
    pub fn scope(&self) -> &HostScope {
        &self.0.scope
    }

    /// The lab.
    #[must_use]
    pub fn lab(&self) -> &Lab {
        &self.0.lab
    }

    /// Whether nothing is contacted, and every command answers [`NotRun`](crate::Status::NotRun).
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.0.settings.dry_run
    }

    /// Where transcripts are written, if anywhere.
    #[must_use]
    pub fn output_dir(&self) -> Option<&Path> {
        self.0.settings.output_dir.as_deref()
    }

    /// Closes all hosts, for all clones of this context; what is asked of its hosts after that is an error. See
    /// [`HostScope::close`]. Closing twice does no harm.
    ///
    /// # Errors
    /// If hosts did not close in time; it names them. Else, if [checks](Self::expect_that) had failed; it lists them.
    #[must_use = "nothing is closed until it is awaited"]
    pub fn close(&self) -> BoxFuture<'static, Result<()>> {
        let (closed, ctx) = (self.0.scope.close(), self.clone());
        Box::pin(async move { closed.await.and_then(|()| ctx.check_checks()) })
    }

    /// Another context for the same lab, with hosts of its own, which belongs to no test but is made for the harness.
    pub(crate) fn sibling(&self, folder: std::path::PathBuf) -> Self {
        let mut settings = self.0.settings.clone().without_test();
        settings.output_dir = settings.output_dir.map(|_| folder.clone());
        settings.of_test = Some(OfTest { folder });
        Self::new(self.0.lab.clone(), settings)
    }

    /// The folder of the test that it was made for, whether or not there is one yet; `None` for one opened by hand.
    pub(crate) fn folder_of_test(&self) -> Option<&Path> {
        let of_test = self.0.settings.of_test.as_ref()?;
        Some(self.output_dir().unwrap_or(&of_test.folder))
    }

    /// Closes all hosts in that time; says also what may still run on its hosts after that, a line for each.
    pub(crate) async fn close_and_look(&self, limit: std::time::Duration) -> (Result<()>, Vec<String>) {
        let hosts = self.0.scope.hosts();
        let closed = self.0.scope.close_within(limit).await;
        let dirt =
            |host: &Host| host.dirt().into_iter().map(|dirt| format!("{}: {dirt}", host.id())).collect::<Vec<_>>();
        (closed, hosts.iter().flat_map(dirt).collect())
    }

    /// The built-in host that is this machine.
    pub(crate) fn local(&self) -> &Host {
        &self.0.local
    }

    /// The ids of the lab as a hint, those most like `id` first.
    fn ids_nearest_to(&self, id: &str) -> String {
        let mut ids: Vec<&str> = self.0.hosts.keys().map(String::as_str).collect();
        if ids.is_empty() {
            return "the lab has no hosts".to_owned();
        }
        ids.sort_by_cached_key(|known| strsim::damerau_levenshtein(&known.to_lowercase(), &id.to_lowercase()));
        format!("its hosts, nearest first: {}", listed(&ids))
    }
}

/// As many as fit on a line or two.
pub(crate) fn listed(ids: &[&str]) -> String {
    const SHOWN: usize = 20;
    match ids.split_at_checked(SHOWN) {
        Some((shown, more)) if !more.is_empty() => format!("{}, and {} more", shown.join(", "), more.len()),
        _ => ids.join(", "),
    }
}

impl fmt::Debug for OttoContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OttoContext")
            .field("lab", &self.0.lab.name())
            .field("hosts", &self.0.hosts.keys())
            .field("dry_run", &self.is_dry_run())
            .finish_non_exhaustive()
    }
}
