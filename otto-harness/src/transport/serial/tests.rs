//! What a device is set to, and what it refuses, on pseudo-terminals. Sessions over lines are in `tests/tests/serial.rs`.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::device::Device;
use super::{Flow, Pace, Parity, SerialConnector, SerialTarget};
use crate::error::{ErrorKind, Phase};
use crate::transport::login::LoginScript;
use crate::transport::{Connector, Exec};

/// A terminal: the side that stays with the test, a descriptor of the device, and its path.
fn line() -> (OwnedFd, OwnedFd, PathBuf) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let far = openpt(flags).unwrap();
    unlockpt(&far).unwrap();
    let device = ioctl_tiocgptpeer(&far, flags).unwrap();
    let path = ptsname(&far, Vec::new()).unwrap().into_string().unwrap();
    (far, device, path.into())
}

fn target(path: impl Into<PathBuf>) -> SerialTarget {
    SerialTarget::new("board", path, LoginScript::new(None, None))
}

#[test]
fn a_device_is_raw_while_it_is_ours_and_then_as_before() {
    let (_far, device, path) = line();
    let mut before = tcgetattr(&device).unwrap();
    before.set_speed(2400).unwrap();
    tcsetattr(&device, OptionalActions::Now, &before).unwrap();
    let mut wanted = target(path);
    // No standard speed.
    wanted.baud = 123_456;
    wanted.flow = Flow::XonXoff;
    wanted.stop_bits = 2;
    let open = Device::open(&wanted).unwrap();
    let now = tcgetattr(&device).unwrap();
    assert_eq!(now.output_speed(), 123_456);
    assert!(!now.local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
    drop(open);
    let after = tcgetattr(&device).unwrap();
    assert_eq!(format!("{after:?}"), format!("{before:?}"));
    drop(Device::open(&wanted).unwrap());
}

#[test]
fn what_a_device_does_not_take_is_an_error_and_leaves_it_as_it_was() {
    let (_far, device, path) = line();
    let before = tcgetattr(&device).unwrap();
    let mut wanted = target(path);
    // Pseudo-terminals have no parity, and drop the wish in silence.
    wanted.parity = Parity::Even;
    let error = Device::open(&wanted).unwrap_err();
    assert_eq!(error.phase(), Some(Phase::Device));
    assert!(error.to_string().contains("cannot be set to this parity"), "{error}");
    assert_eq!(format!("{:?}", tcgetattr(&device).unwrap()), format!("{before:?}"));
}

#[test]
fn devices_that_cannot_be_had_say_why() {
    let (_far, _device, path) = line();
    let _open = Device::open(&target(&path)).unwrap();
    let error = Device::open(&target(&path)).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("is in use by process {} (", std::process::id())), "{text}");

    let error = Device::open(&target("/dev/no-such-tty")).unwrap_err();
    assert!(error.to_string().contains("there is no device /dev/no-such-tty"), "{error}");
    for none in ["/dev/null", "/tmp", "/etc/passwd"] {
        let error = Device::open(&target(none)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect(Phase::Device));
    }
}

#[tokio::test]
async fn a_console_has_no_processes_of_their_own() {
    let (_far, _device, path) = line();
    let connector = SerialConnector::new(target(path));
    let error = connector.exec(Exec { command: "true".into(), stdin: Vec::new(), merge: true }).await.unwrap_err();
    assert!(error.to_string().contains("runs no process beside its shell"), "{error}");
    assert_eq!(error.host(), Some("board"));
    assert!(connector.close().await);
}

#[test]
fn time_on_the_wire() {
    let mut slow = target("/dev/null");
    slow.baud = 9600;
    assert_eq!(slow.time_of(960).as_millis(), 1000);
    slow.parity = Parity::Odd;
    slow.pace = Some(Pace { chunk: None, pause: std::time::Duration::ZERO });
    assert_eq!(slow.time_of(96).as_millis(), 110);
}
