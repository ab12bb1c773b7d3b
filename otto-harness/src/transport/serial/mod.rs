//! Serial lines: a tty device of this machine, with a console at its other end.
//!
//! A console is one shell: there is no second channel on the wire, so one session at a time has it. See
//! `docs/design/serial.md`.

mod busy;
mod console;
mod device;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

pub(crate) use settings::{Flow, Pace, Parity, SerialTarget};

use super::login::login;
use super::{BoxFuture, Connector, Exec, Transport};
use crate::error::{Error, ErrorKind, Phase, Result};
use console::Console;
use device::Device;

/// How long to wait for a session that is just being closed to let the console go.
const HANDING_OVER: Duration = Duration::from_secs(5);

/// Makes the one shell that a console has.
#[derive(Debug)]
pub(crate) struct SerialConnector {
    target: Arc<SerialTarget>,
    seat: Arc<Seat>,
}

/// Who has the console.
#[derive(Debug)]
struct Seat {
    permit: Arc<Semaphore>,
    /// Whether the one that has it is about to let it go.
    leaving: AtomicBool,
    /// Whether the line went away under a shell of ours, in which something may run on.
    unfinished: AtomicBool,
}

/// The right to use the console, until it is dropped.
#[derive(Debug)]
struct Seated {
    seat: Arc<Seat>,
    _permit: OwnedSemaphorePermit,
}

impl Seated {
    fn leaves(&self) {
        self.seat.leaving.store(true, Ordering::Release);
    }

    fn leaves_a_shell_behind(&self) {
        self.seat.unfinished.store(true, Ordering::Release);
    }
}

impl SerialConnector {
    /// A connector that has not opened the device yet.
    pub(crate) fn new(target: SerialTarget) -> Self {
        let seat = Seat {
            permit: Arc::new(Semaphore::new(1)),
            leaving: AtomicBool::new(false),
            unfinished: AtomicBool::new(false),
        };
        Self { target: Arc::new(target), seat: Arc::new(seat) }
    }

    async fn sit_down(&self) -> Result<Seated> {
        let permit = self.seat.permit.clone();
        let permit = if let Ok(permit) = permit.clone().try_acquire_owned() {
            Some(permit)
        } else if self.seat.leaving.load(Ordering::Acquire) {
            timeout(HANDING_OVER, permit.acquire_owned()).await.ok().and_then(Result::ok)
        } else {
            None
        };
        let Some(permit) = permit else {
            let message = format!("another session of the host has the console {}", self.target.device.display());
            return Err(self.at_host(Error::new(ErrorKind::Connect(Phase::Shell), message).hint(
                "a serial line carries one shell: use the session that is open (`host.run`), or close it before opening another",
            )));
        };
        self.seat.leaving.store(false, Ordering::Release);
        Ok(Seated { seat: self.seat.clone(), _permit: permit })
    }

    fn at_host(&self, error: Error) -> Error {
        error.on_host(&*self.target.host)
    }
}

impl Connector for SerialConnector {
    fn open_shell(&self) -> BoxFuture<'_, Result<Box<dyn Transport>>> {
        Box::pin(async {
            let seated = self.sit_down().await?;
            let target = self.target.clone();
            // In a thread of its own, because opening a device can take its time: a driver may wait for the last close.
            let device = tokio::task::spawn_blocking(move || Device::open(&target)).await;
            let device = device.map_err(|error| {
                self.at_host(
                    Error::new(ErrorKind::Connect(Phase::Device), "opening the device failed").caused_by(error),
                )
            })?;
            let device = device.map_err(|error| self.at_host(error))?;
            let mut console = Console::new(device, &self.target, seated).map_err(|error| {
                let message = format!("cannot watch {}", self.target.device.display());
                self.at_host(Error::new(ErrorKind::Connect(Phase::Device), message).caused_by(error))
            })?;
            let unfinished = self.seat.unfinished.swap(false, Ordering::AcqRel);
            if unfinished {
                console.stop_what_runs().await;
            }
            let mut arrived = login(&mut console, &self.target.login).await;
            // A login that was given up half-way may have left the host waiting for a password, which then took what was
            // meant for another question. It asks from the start now.
            if unfinished && arrived.as_ref().is_err_and(|error| error.phase() == Some(Phase::Login)) {
                arrived = login(&mut console, &self.target.login).await;
            }
            let arrived = arrived.map_err(|error| self.at_host(error))?;
            tracing::debug!(host = %self.target.host, ?arrived, "a shell greeted on the console");
            console.arrived();
            Ok(Box::new(console) as Box<dyn Transport>)
        })
    }

    fn exec(&self, _: Exec) -> BoxFuture<'_, Result<Box<dyn Transport>>> {
        Box::pin(async {
            // A subshell of the one shell would see what the session has set, and that is no fresh process.
            let message = "a serial console runs no process beside its shell";
            Err(self.at_host(Error::new(ErrorKind::Connect(Phase::Channel), message).hint("use `run` instead")))
        })
    }

    fn close(&self) -> BoxFuture<'_, bool> {
        Box::pin(async {
            // Sessions are closed before their host is; what is left of one has a moment to let go.
            timeout(HANDING_OVER, self.seat.permit.clone().acquire_owned()).await.is_ok()
        })
    }
}
