//! What a lab says about a serial line: [`SerialOptions`].

use std::path::PathBuf;
use std::time::Duration;

use super::de::At;
use super::diagnose::Reader;
use super::file::{Int, LoginFields, SerialFields, Word};
use super::login::LoginOptions;
use super::schema::resolve;

/// The parity bit of a serial line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Parity {
    /// There is none.
    #[default]
    None,
    /// The number of ones is even.
    Even,
    /// The number of ones is odd.
    Odd,
}

impl Word for Parity {
    const WORDS: &'static [&'static str] = &["none", "even", "odd"];

    fn of(word: &str) -> Option<Self> {
        [Self::None, Self::Even, Self::Odd]
            .into_iter()
            .zip(Self::WORDS)
            .find(|(_, known)| **known == word)
            .map(|(it, _)| it)
    }
}

/// How the far side of a serial line says that it cannot take more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Flow {
    /// It does not.
    #[default]
    None,
    /// By the wires RTS and CTS.
    RtsCts,
    /// By the bytes ^S and ^Q, which then cannot be data.
    XonXoff,
}

impl Word for Flow {
    const WORDS: &'static [&'static str] = &["none", "rtscts", "xonxoff"];

    fn of(word: &str) -> Option<Self> {
        let all = [Self::None, Self::RtsCts, Self::XonXoff];
        all.into_iter().zip(Self::WORDS).find(|(_, known)| **known == word).map(|(it, _)| it)
    }
}

/// What a host says about its serial line. What it leaves out is as consoles of Linux have it: 115200 8N1.
///
/// ```
/// let lab = otto::Lab::from_toml(r#"
///     lab = "bench"
///     [[hosts]]
///     id = "board1"
///     term = "serial"
///     creds = [{ login = "root", password = "pw" }]
///     [hosts.serial_options]
///     device = "/dev/serial/by-id/usb-FTDI_FT232R_A1-if00-port0"
///     baud = 57600
///     parity = "even"
///     write_pause = 0.02
/// "#)?;
/// let options = &lab.host("board1").unwrap().serial_options;
/// assert_eq!((options.baud, options.parity), (Some(57_600), otto::lab::Parity::Even));
/// # Ok::<(), otto::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct SerialOptions {
    /// The device, such as `/dev/ttyUSB0`.
    pub device: Option<PathBuf>,
    /// Bits in a second; 115200 if not said.
    pub baud: Option<u32>,
    /// From 5 to 8; 8 if not said.
    pub data_bits: Option<u8>,
    /// The parity bit.
    pub parity: Parity,
    /// 1 or 2; 1 if not said.
    pub stop_bits: Option<u8>,
    /// The flow control.
    pub flow: Flow,
    /// How many bytes are written at once to a console that loses some when they come faster than it reads.
    pub write_chunk: Option<usize>,
    /// How long the line rests after each of these writes; without `write_chunk`, after each line.
    pub write_pause: Option<Duration>,
    /// How its login looks.
    pub login: LoginOptions,
}

impl SerialOptions {
    /// What the fields of the table say.
    pub(super) fn read(reader: &Reader<'_>, table: At<SerialFields>) -> Self {
        let At { at, value: fields } = table;
        let device = fields.device.right().and_then(|path| {
            let named = !path.value.is_empty() && !path.value.contains('\0');
            if !named {
                reader.fault(path.at, "`device` has to be the path of a device");
            }
            named.then(|| resolve(reader, &path))
        });
        let write_chunk = fields.write_chunk.value().and_then(Int::to);
        if write_chunk.is_some() && !fields.write_pause.is_given() {
            reader.fault(at, "`write_chunk` means nothing without a `write_pause`");
        }
        Self {
            device,
            baud: fields.baud.value().and_then(Int::to),
            data_bits: fields.data_bits.value().and_then(Int::to),
            parity: fields.parity.value().map(|it| it.0).unwrap_or_default(),
            stop_bits: fields.stop_bits.value().and_then(Int::to),
            flow: fields.flow.value().map(|it| it.0).unwrap_or_default(),
            write_chunk,
            write_pause: fields.write_pause.value().map(|it| it.0),
            login: LoginOptions::read(LoginFields {
                login_prompt: fields.login_prompt,
                password_prompt: fields.password_prompt,
                shell_prompt: fields.shell_prompt,
                login_failed: fields.login_failed,
                login_timeout: fields.login_timeout,
            }),
        }
    }

    /// What no line can have, when it was said in code.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = self.login.faults();
        if self.data_bits.is_some_and(|bits| !(5..=8).contains(&bits)) {
            faults.push("a serial line has from 5 to 8 data bits".to_owned());
        }
        if self.stop_bits.is_some_and(|bits| !(1..=2).contains(&bits)) {
            faults.push("a serial line has 1 or 2 stop bits".to_owned());
        }
        if self.baud == Some(0) || self.write_chunk == Some(0) {
            faults.push("a serial line has no speed, and no piece to write, of 0".to_owned());
        }
        faults
    }
}
