//! What a simulated host can do wrong.

use std::time::Duration;

/// One way in which a simulated host misbehaves. A host can have several.
///
/// ```
/// use otto::sim::{Fault, SimHost, SimLab};
///
/// let lab = SimLab::builder().host(SimHost::new("mute").fault(Fault::Silent)).start()?;
/// let mute = lab.host("mute").unwrap();
/// assert!(std::net::TcpStream::connect(("127.0.0.1", mute.port())).is_ok());
/// # Ok::<(), otto::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Refuses TCP connections; the port stays taken, so that nobody else answers on it.
    Refuse,
    /// Accepts connections and never says a word.
    Silent,
    /// Says these bytes where the SSH identification is due, then closes.
    Garbage(Vec<u8>),
    /// Closes the connection after it has sent this many bytes on it.
    DropAfter(u64),
    /// Stops reading and writing after it has sent this many bytes on the connection, and keeps it open.
    FreezeAfter(u64),
    /// Waits this long before each write to the network.
    Slow(Duration),
    /// Presents another host key than the one that the lab names.
    WrongHostKey,
    /// Ends commands without telling their exit status or signal.
    NoExitStatus,
}

/// The faults of one host, sorted out.
#[expect(clippy::struct_excessive_bools, reason = "faults are independent of each other")]
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    pub(super) refuse: bool,
    pub(super) silent: bool,
    pub(super) garbage: Option<Vec<u8>>,
    pub(super) wrong_host_key: bool,
    pub(super) no_exit_status: bool,
    pub(super) wire: WireFaults,
}

/// The faults that the byte stream of a connection has.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WireFaults {
    pub(super) drop_after: Option<u64>,
    pub(super) freeze_after: Option<u64>,
    pub(super) slow: Option<Duration>,
}

impl Faults {
    pub(super) fn of(list: &[Fault]) -> Self {
        let mut faults = Self::default();
        for fault in list {
            match fault {
                Fault::Refuse => faults.refuse = true,
                Fault::Silent => faults.silent = true,
                Fault::Garbage(bytes) => faults.garbage = Some(bytes.clone()),
                Fault::DropAfter(bytes) => faults.wire.drop_after = Some(*bytes),
                Fault::FreezeAfter(bytes) => faults.wire.freeze_after = Some(*bytes),
                Fault::Slow(delay) => faults.wire.slow = Some(*delay),
                Fault::WrongHostKey => faults.wrong_host_key = true,
                Fault::NoExitStatus => faults.no_exit_status = true,
            }
        }
        faults
    }
}
