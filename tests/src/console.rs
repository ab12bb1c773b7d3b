//! Consoles on serial lines: two pseudo-terminals and a cable between them. Otto opens one; a program of the far side, which
//! asks like a getty and a login, has the other for its terminal.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tempfile::TempDir;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::oneshot;

/// The user that consoles let in, and the password.
pub const USER: &str = "admin";
/// See [`USER`].
pub const PASSWORD: &str = "c0ns0le-pw";

/// What asks for a user and a password again and again, and then starts this shell.
fn getty(shell: &str) -> String {
    format!(
        // The signal is caught and not ignored, so that it counts in the shell.
        "trap : INT; while :; do printf '\\r\\nbox login: '; read -r user || sleep 0.2; \
         [ \"$user\" ] || continue; \
         stty -echo; printf 'Password: '; read -r word; stty sane; echo; \
         if [ \"$user:$word\" = '{USER}:{PASSWORD}' ]; then echo 'Last login: never'; {shell}; \
         else sleep 0.5; echo 'Login incorrect'; fi; done"
    )
}

/// A console, plugged in.
#[derive(Debug)]
pub struct Console {
    /// Where the device is, whatever number it has when it is plugged in again.
    pub device: PathBuf,
    home: TempDir,
    /// What runs on the far side.
    program: Child,
    far: OwnedFd,
    cable: Option<Cable>,
}

/// What came over the line from otto's side, piece by piece.
type Log = Vec<(Instant, Vec<u8>)>;

#[derive(Debug)]
struct Cable {
    /// Our end's device, as a program of the test sees it.
    near: OwnedFd,
    written: Arc<Mutex<Log>>,
    unplug: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Console {
    /// A console that asks for a login and then starts bash.
    #[must_use]
    pub fn start() -> Self {
        Self::with(&getty("bash --norc -i"))
    }

    /// A console with this script of `/bin/sh` on it.
    ///
    /// # Panics
    /// When this machine has no pseudo-terminal left, or no `setsid`.
    #[must_use]
    pub fn with(script: &str) -> Self {
        let home = tempfile::tempdir().expect("a folder for the console");
        let (far, terminal) = terminal();
        let program = Command::new("setsid")
            .args(["-c", "env", "--default-signal=INT,QUIT,HUP,TERM", "/bin/sh", "-c", script])
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("TERM", "vt100")
            .env("HOME", home.path())
            .current_dir(home.path())
            .stdin(Stdio::from(terminal.try_clone().expect("a descriptor")))
            .stdout(Stdio::from(terminal.try_clone().expect("a descriptor")))
            .stderr(Stdio::from(terminal))
            .spawn()
            .expect("`apt-get install util-linux coreutils` has setsid and env");
        let device = home.path().join("ttyTEST");
        let mut console = Self { device, home, program, far, cable: None };
        console.plug_in();
        console
    }

    /// The process that leads the session on the console.
    #[must_use]
    pub fn leader(&self) -> u32 {
        self.program.id()
    }

    /// The home of who is logged in there.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Plugs the line in, as a device with a number of its own.
    ///
    /// # Panics
    /// When it is in already, or cannot be made.
    pub fn plug_in(&mut self) {
        assert!(self.cable.is_none(), "it is plugged in");
        let (near, device) = terminal();
        let name = ptsname(&near, Vec::new()).expect("its name").into_string().expect("a path of ASCII");
        let _ = std::fs::remove_file(&self.device);
        std::os::unix::fs::symlink(name, &self.device).expect("a link to the device");
        // As a serial line is before anybody sets it: the far side must not be answered by an echo.
        let mut settings = tcgetattr(&device).expect("settings");
        settings.make_raw();
        settings.set_speed(2400).expect("a speed");
        tcsetattr(&device, OptionalActions::Now, &settings).expect("settings");
        let written = Arc::<Mutex<Log>>::default();
        let (unplug, unplugged) = oneshot::channel();
        let (log, far) = (written.clone(), self.far.try_clone().expect("a descriptor"));
        let thread = std::thread::spawn(move || carry(near, far, &log, unplugged));
        self.cable = Some(Cable { near: device, written, unplug, thread });
    }

    /// Pulls the line out: the device is hung up, and its path leads nowhere.
    ///
    /// # Panics
    /// When it is out already.
    pub fn unplug(&mut self) {
        let Cable { near, unplug, thread, .. } = self.cable.take().expect("it is plugged in");
        let _ = unplug.send(());
        thread.join().expect("the cable");
        drop(near);
        let _ = std::fs::remove_file(&self.device);
    }

    /// What the device is set to.
    ///
    /// # Panics
    /// When it is not plugged in.
    #[must_use]
    pub fn settings(&self) -> Termios {
        tcgetattr(&self.cable.as_ref().expect("it is plugged in").near).expect("settings")
    }

    /// What came over the line from otto's side, and when.
    #[must_use]
    pub fn written(&self) -> Vec<(Instant, Vec<u8>)> {
        let cable = self.cable.as_ref();
        cable.map(|cable| cable.written.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if self.cable.is_some() {
            self.unplug();
        }
        // The group of the leader, and then whatever has the terminal, which hangs up when its last side closes.
        if let Some(group) = Pid::from_raw(self.program.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.program.wait();
    }
}

/// A pseudo-terminal: its controlling side and its device.
fn terminal() -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).expect("a pseudo-terminal");
    unlockpt(&master).expect("a pseudo-terminal");
    let device = ioctl_tiocgptpeer(&master, flags).expect("a pseudo-terminal");
    (master, device)
}

/// Carries bytes both ways until it is pulled out.
fn carry(near: OwnedFd, far: OwnedFd, log: &Mutex<Log>, unplugged: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (near_out, near_in) = ends(near);
        let (far_out, far_in) = ends(far);
        let note = |bytes: &[u8]| {
            log.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), bytes.to_vec()));
        };
        tokio::select! {
            _ = unplugged => {}
            () = one_way(near_out, far_in, note) => {}
            () = one_way(far_out, near_in, |_| {}) => {}
        }
    });
}

fn ends(fd: OwnedFd) -> (Receiver, Sender) {
    let flags = fcntl_getfl(&fd).expect("flags");
    fcntl_setfl(&fd, flags | OFlags::NONBLOCK).expect("flags");
    let copy = fd.try_clone().expect("a descriptor");
    let reader = Receiver::from_file_unchecked(File::from(fd)).expect("a runtime that watches");
    (reader, Sender::from_file_unchecked(File::from(copy)).expect("a runtime that watches"))
}

async fn one_way(from: Receiver, to: Sender, note: impl Fn(&[u8])) {
    let mut buffer = [0; 4096];
    loop {
        if from.readable().await.is_err() {
            return;
        }
        let count = match from.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => return,
        };
        note(&buffer[..count]);
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            if to.writable().await.is_err() {
                return;
            }
            match to.try_write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}
