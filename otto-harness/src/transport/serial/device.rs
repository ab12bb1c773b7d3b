//! A tty device that is ours alone, set to raw bytes, and put back as it was afterwards.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::termios::{
    ControlModes, InputModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, ioctl_tiocexcl,
    ioctl_tiocnxcl, isatty, tcflush, tcgetattr, tcsetattr,
};

use super::busy;
use super::settings::{Flow, Parity, SerialTarget};
use crate::error::{Error, ErrorKind, Phase, Result};

/// How much the speed that a device makes may differ from the one asked for: beyond it bytes are misread.
const TOLERANCE: f64 = 0.03;

/// The device, and what it was set to before.
#[derive(Debug)]
pub(super) struct Device {
    file: File,
    before: Termios,
}

impl Device {
    pub(super) fn open(target: &SerialTarget) -> Result<Self> {
        let path = &target.device;
        let shown = path.display();
        let fault = |message: String| Error::new(ErrorKind::Connect(Phase::Device), message);
        // Without O_NONBLOCK it would wait for a carrier; with O_NOCTTY it does not become the terminal that ^C comes from.
        let opened =
            OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK).open(path);
        let file = opened.map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::NOENT) => fault(format!("there is no device {shown}")).hint(
                "is the adapter plugged in? a path in /dev/serial/by-id stays the same when it is plugged in again",
            ),
            Some(Errno::ACCESS) => fault(format!("no permission to open {shown}")).hint(
                "the user has to be in the group of the device: `sudo usermod -aG dialout $USER`, then log in again",
            ),
            Some(Errno::BUSY) => busy::error(path, busy::user_of(path)),
            Some(Errno::NXIO | Errno::NODEV | Errno::IO) => {
                fault(format!("{shown} has no hardware behind it")).hint("is the adapter plugged in?").caused_by(error)
            }
            _ => fault(format!("cannot open {shown}")).caused_by(error),
        })?;
        if !isatty(&file) {
            return Err(fault(format!("{shown} is no serial line, and no terminal of any kind")));
        }
        // The lock keeps out other processes of otto, whoever runs them; it goes with the process, however that ends.
        if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            return Err(match error {
                Errno::WOULDBLOCK => busy::error(path, busy::lock_holder(&file).or_else(|| busy::user_of(path))),
                _ => fault(format!("cannot lock {shown}")).caused_by(io::Error::from(error)),
            });
        }
        // Programs that do not lock: a terminal program that is open, or a getty of this machine.
        if let Some(user) = busy::lock_file(path).or_else(|| busy::user_of(path)) {
            return Err(busy::error(path, Some(user)));
        }
        let usable = |error: Errno| fault(format!("{shown} cannot be set up")).caused_by(io::Error::from(error));
        let before = tcgetattr(&file).map_err(usable)?;
        let device = Self { file, before };
        // Keeps out the rest, root aside.
        ioctl_tiocexcl(&device.file).map_err(usable)?;
        let mut wanted = device.before.clone();
        raw(&mut wanted, target).map_err(usable)?;
        tcsetattr(&device.file, OptionalActions::Now, &wanted).map_err(usable)?;
        // A device may take some of it and say nothing.
        let got = tcgetattr(&device.file).map_err(usable)?;
        if let Some(what) = difference(&wanted, &got) {
            return Err(fault(format!("{shown} cannot be set to {what}")));
        }
        // What came before belongs to nobody, and what others left unsent is not ours.
        tcflush(&device.file, QueueSelector::IOFlush).map_err(usable)?;
        Ok(device)
    }

    /// One more descriptor of it.
    pub(super) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // Output that flow control holds up would keep the last close waiting for half a minute.
        let _ = tcflush(&self.file, QueueSelector::OFlush);
        // A device that was unplugged has no settings any more.
        let _ = tcsetattr(&self.file, OptionalActions::Now, &self.before);
        let _ = ioctl_tiocnxcl(&self.file);
    }
}

/// Bytes as they are, at this speed and in this format.
fn raw(termios: &mut Termios, target: &SerialTarget) -> rustix::io::Result<()> {
    termios.make_raw();
    let size = match target.data_bits {
        5 => ControlModes::CS5,
        6 => ControlModes::CS6,
        7 => ControlModes::CS7,
        _ => ControlModes::CS8,
    };
    let modes = &mut termios.control_modes;
    modes.remove(ControlModes::CSIZE);
    modes.insert(size | ControlModes::CREAD | ControlModes::CLOCAL);
    modes.set(ControlModes::PARENB, target.parity != Parity::None);
    modes.set(ControlModes::PARODD, target.parity == Parity::Odd);
    modes.set(ControlModes::CSTOPB, target.stop_bits == 2);
    modes.set(ControlModes::CRTSCTS, target.flow == Flow::RtsCts);
    let input = &mut termios.input_modes;
    input.set(InputModes::INPCK, target.parity != Parity::None);
    input.set(InputModes::IXON | InputModes::IXOFF, target.flow == Flow::XonXoff);
    termios.special_codes[SpecialCodeIndex::VMIN] = 1;
    termios.special_codes[SpecialCodeIndex::VTIME] = 0;
    termios.set_speed(target.baud)
}

/// What the device did not take, if anything.
fn difference(wanted: &Termios, got: &Termios) -> Option<String> {
    let flag = |flag: ControlModes| (wanted.control_modes ^ got.control_modes).intersects(flag);
    let (asked, made) = (f64::from(wanted.output_speed()), f64::from(got.output_speed()));
    if (made - asked).abs() > asked * TOLERANCE {
        Some(format!("{asked} baud; the nearest that it does is {made}"))
    } else if flag(ControlModes::CSIZE) {
        Some("this number of data bits".to_owned())
    } else if flag(ControlModes::PARENB | ControlModes::PARODD) {
        Some("this parity".to_owned())
    } else if flag(ControlModes::CSTOPB) {
        Some("this number of stop bits".to_owned())
    } else if flag(ControlModes::CRTSCTS) {
        Some("flow control by RTS and CTS".to_owned())
    } else {
        None
    }
}
