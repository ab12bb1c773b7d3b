//! What a lab says about a serial line: [`SerialOptions`].

use std::path::PathBuf;
use std::time::Duration;

use super::diagnose::Reader;
use super::fields::{At, Fields};
use super::login::LoginOptions;
use super::schema::{one_of, resolve};

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

impl Parity {
    const NAMES: [&'static str; 3] = ["none", "even", "odd"];

    fn parse(name: &str) -> Option<Self> {
        [Self::None, Self::Even, Self::Odd]
            .into_iter()
            .zip(Self::NAMES)
            .find(|(_, known)| *known == name)
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

impl Flow {
    const NAMES: [&'static str; 3] = ["none", "rtscts", "xonxoff"];

    fn parse(name: &str) -> Option<Self> {
        let all = [Self::None, Self::RtsCts, Self::XonXoff];
        all.into_iter().zip(Self::NAMES).find(|(_, known)| *known == name).map(|(it, _)| it)
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
    /// The fields of the table.
    pub(super) fn read(reader: &Reader<'_>, fields: &mut Fields<'_>) -> Self {
        let Some(mut table) = fields.table("serial_options", "`serial_options`") else { return Self::default() };
        let named = |what: Option<At<String>>| {
            what.filter(|path| {
                let named = !path.value.is_empty() && !path.value.contains('\0');
                if !named {
                    reader.fault(path.at, "`device` has to be the path of a device");
                }
                named
            })
        };
        let device = named(table.text("device")).map(|path| resolve(reader.source, &path.value));
        let baud = table.integer("baud", 1, 100_000_000).and_then(|baud| u32::try_from(baud).ok());
        let data_bits = table.integer("data_bits", 5, 8).and_then(|bits| u8::try_from(bits).ok());
        let parity = table.text("parity").and_then(|it| one_of(reader, "parity", &it, &Parity::NAMES, Parity::parse));
        let stop_bits = table.integer("stop_bits", 1, 2).and_then(|bits| u8::try_from(bits).ok());
        let flow = table.text("flow").and_then(|it| one_of(reader, "flow", &it, &Flow::NAMES, Flow::parse));
        let write_chunk = table.integer("write_chunk", 1, 4096).and_then(|bytes| usize::try_from(bytes).ok());
        let write_pause = table.seconds("write_pause");
        if write_chunk.is_some() && write_pause.is_none() {
            reader.fault(table.at(), "`write_chunk` means nothing without a `write_pause`");
        }
        let login = LoginOptions::read(reader, &mut table);
        table.end();
        let (parity, flow) = (parity.unwrap_or_default(), flow.unwrap_or_default());
        Self { device, baud, data_bits, parity, stop_bits, flow, write_chunk, write_pause, login }
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
