//! Programs on a terminal of their own, as the far side of a wire, for tests.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::task::{Context, Poll, ready};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use tokio::net::unix::pipe::{Receiver, Sender};

use crate::transport::{BoxFuture, Ending, Incoming, Inlet, Interrupt, Outlet, Transport, Wiring};

/// Our side of a terminal on which a program runs that leads its session.
#[derive(Debug)]
pub(crate) struct Terminal {
    reader: Receiver,
    writer: Sender,
    child: Child,
    /// All that was typed.
    pub(crate) typed: Vec<u8>,
}

impl Terminal {
    /// Starts `program` with `arguments`; the environment is only what is given.
    pub(crate) fn start(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        unlockpt(&master).unwrap();
        let slave = ioctl_tiocgptpeer(&master, flags).unwrap();
        // A session of its own with this terminal for its own, and ^C that counts however the tests were started.
        let child = Command::new("setsid")
            .args(["-c", "env", "--default-signal=INT,QUIT,HUP,TERM", program])
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("TERM", "xterm")
            .envs(environment.iter().copied())
            .stdin(Stdio::from(slave.try_clone().unwrap()))
            .stdout(Stdio::from(slave.try_clone().unwrap()))
            .stderr(Stdio::from(slave))
            .spawn()
            .expect("`apt-get install util-linux coreutils` has setsid and env");
        Self {
            reader: Receiver::from_file_unchecked(non_blocking(master.try_clone().unwrap())).unwrap(),
            writer: Sender::from_file_unchecked(non_blocking(master)).unwrap(),
            child,
            typed: Vec::new(),
        }
    }

    /// A script for `/bin/sh`.
    pub(crate) fn script(text: &str) -> Self {
        Self::start("/bin/sh", &["-c", text], &[])
    }

    /// Types a line.
    pub(crate) async fn type_line(&mut self, line: &str) {
        let bytes = format!("{line}\n");
        let mut rest = bytes.as_bytes();
        while !rest.is_empty() {
            let count = std::future::poll_fn(|cx| self.poll_write(cx, Inlet::Commands, rest)).await.unwrap();
            rest = &rest[count..];
        }
    }

    /// Reads until the text has come.
    ///
    /// # Panics
    /// When it does not within 20 s.
    pub(crate) async fn reads(&mut self, text: &str) -> String {
        let mut read = Vec::new();
        let found = tokio::time::timeout(std::time::Duration::from_secs(20), async {
            while !String::from_utf8_lossy(&read).contains(text) {
                let incoming = std::future::poll_fn(|cx| self.poll_read(cx, &mut read)).await.unwrap();
                assert!(
                    matches!(incoming, Incoming::Data(_)),
                    "{incoming:?} after {:?}",
                    String::from_utf8_lossy(&read)
                );
            }
        });
        let found = found.await.is_ok();
        let read = String::from_utf8_lossy(&read).into_owned();
        assert!(found, "no {text:?} in {read:?}");
        read
    }
}

fn non_blocking(fd: OwnedFd) -> File {
    fcntl_setfl(&fd, fcntl_getfl(&fd).unwrap() | OFlags::NONBLOCK).unwrap();
    File::from(fd)
}

impl Transport for Terminal {
    fn wiring(&self) -> Wiring {
        Wiring::Line
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<Incoming>> {
        loop {
            ready!(self.reader.poll_read_ready(cx))?;
            match self.reader.try_read_buf(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(count) if count > 0 => return Poll::Ready(Ok(Incoming::Data(Outlet::Out))),
                _ => {
                    let lost = Some("the terminal was hung up".to_owned());
                    return Poll::Ready(Ok(Incoming::Ended(Ending { lost, ..Ending::default() })));
                }
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, _: Inlet, data: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.writer.poll_write_ready(cx))?;
            match self.writer.try_write(data) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(count) => {
                    self.typed.extend_from_slice(&data[..count]);
                    return Poll::Ready(Ok(count));
                }
                error => return Poll::Ready(error),
            }
        }
    }

    fn interrupt(&mut self, _: Interrupt) -> BoxFuture<'_, bool> {
        Box::pin(async { false })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move { drop(self) })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(group) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::HUP);
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}
