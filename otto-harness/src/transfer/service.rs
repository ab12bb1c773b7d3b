//! Which way to the files of a host there is, found out once: [`FileService`].

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::session::SessionManager;
use crate::transport::Service;

use super::files::Files;
use super::local::LocalFiles;
use super::sftp::Sftp;
use super::shell::ShellFiles;
use super::{Transfer, files::Fault};

/// The ways to the files of one host. Nothing is contacted before first use.
#[derive(Debug)]
pub(crate) struct FileService {
    sessions: SessionManager,
    found: Mutex<Found>,
    /// Held while SFTP is being started, so that it is started once.
    starting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Found {
    sftp: Option<Arc<Sftp>>,
    shell: Option<Arc<ShellFiles>>,
    scp: Option<Arc<ShellFiles>>,
    /// Why there is no SFTP.
    no_sftp: Option<String>,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found")
            .field("sftp", &self.sftp.is_some())
            .field("no_sftp", &self.no_sftp)
            .finish_non_exhaustive()
    }
}

impl FileService {
    pub(crate) fn new(sessions: SessionManager) -> Self {
        Self { sessions, found: Mutex::default(), starting: tokio::sync::Mutex::default() }
    }

    pub(crate) fn sessions(&self) -> &SessionManager {
        &self.sessions
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way that was asked for, else the best that the host has.
    pub(crate) async fn files(&self, wanted: Option<Transfer>) -> Result<Arc<dyn Files>> {
        let host = self.sessions.host();
        let lacks = |what: String| Err(Error::new(ErrorKind::Invalid, what).on_host(host));
        let here = self.sessions.connector().is_this_machine();
        match wanted {
            None | Some(Transfer::Local) if here => Ok(Arc::new(LocalFiles)),
            Some(Transfer::Local) => {
                lacks("it is not this machine, so files cannot go there by plain copying".to_owned())
            }
            Some(Transfer::Sftp) => match self.sftp().await? {
                Ok(sftp) => Ok(sftp),
                Err(why) => lacks(format!("files cannot go there by SFTP: {why}")),
            },
            Some(Transfer::Shell) => Ok(self.shell()),
            Some(Transfer::Scp) => match self.scp().await? {
                Some(scp) => Ok(scp),
                None => {
                    lacks("files cannot go there by SCP: it has no program `scp`, or no way to talk to it".to_owned())
                }
            },
            None => match self.sftp().await? {
                Ok(sftp) => Ok(sftp),
                Err(_) => match self.scp().await? {
                    Some(scp) => Ok(scp),
                    None => Ok(self.shell()),
                },
            },
        }
    }

    fn shell(&self) -> Arc<ShellFiles> {
        let sessions = self.sessions.clone();
        Arc::clone(self.found().shell.get_or_insert_with(|| Arc::new(ShellFiles::new(sessions))))
    }

    async fn scp(&self) -> Result<Option<Arc<ShellFiles>>> {
        let connector = self.sessions.connector();
        if connector.is_this_machine() || !connector.has_exec() {
            return Ok(None);
        }
        if let Some(scp) = &self.found().scp {
            return Ok(Some(Arc::clone(scp)));
        }
        let scp = ShellFiles::new(self.sessions.clone()).with_scp();
        match scp.has_scp().await {
            Ok(true) => Ok(Some(Arc::clone(self.found().scp.get_or_insert(Arc::new(scp))))),
            Ok(false) => Ok(None),
            Err(Fault::Host(error)) => Err(error),
            Err(Fault::File(_, why)) => {
                Err(Error::new(ErrorKind::Command, format!("cannot look for its tools: {why}")))
            }
        }
    }

    /// The SFTP server on its one channel, which stays open; or why there is none.
    async fn sftp(&self) -> Result<Result<Arc<Sftp>, String>> {
        let known = || {
            let mut found = self.found();
            found.sftp = found.sftp.take().filter(|sftp| sftp.is_alive());
            let why = found.no_sftp.clone().map(Err);
            found.sftp.clone().map(Ok).or(why)
        };
        if let Some(known) = known() {
            return Ok(known);
        }
        let _one_at_a_time = self.starting.lock().await;
        if let Some(known) = known() {
            return Ok(known);
        }
        let stream = self.sessions.connector().open_stream(Service::Subsystem("sftp")).await?;
        let why = match stream {
            None => "the host, or this kind of connection, has no subsystem for it".to_owned(),
            Some(stream) => match Sftp::start(stream, &self.sessions).await {
                Ok(sftp) => {
                    let sftp = Arc::new(sftp);
                    self.found().sftp = Some(Arc::clone(&sftp));
                    return Ok(Ok(sftp));
                }
                Err(Ok(why)) => why,
                Err(Err(error)) => return Err(error),
            },
        };
        tracing::info!(host = self.sessions.host(), "no SFTP here: {why}");
        self.found().no_sftp = Some(why.clone());
        Ok(Err(why))
    }
}
