//! The numbers of RFC 854 and of the options.

pub(super) const IAC: u8 = 255;
pub(super) const DONT: u8 = 254;
pub(super) const DO: u8 = 253;
pub(super) const WONT: u8 = 252;
pub(super) const WILL: u8 = 251;
pub(super) const SB: u8 = 250;
pub(super) const SE: u8 = 240;

pub(super) const BINARY: u8 = 0;
pub(super) const ECHO: u8 = 1;
pub(super) const SUPPRESS_GO_AHEAD: u8 = 3;
pub(super) const TIMING_MARK: u8 = 6;
pub(super) const TERMINAL_TYPE: u8 = 24;
pub(super) const WINDOW_SIZE: u8 = 31;

/// `TERMINAL_TYPE` subnegotiation: "say yours", and "mine is".
pub(super) const SEND: u8 = 1;
pub(super) const IS: u8 = 0;

pub(super) const CR: u8 = b'\r';
