//! Keys and passwords, made anew for every lab.

use std::fmt::Write as _;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;

use crate::error::{Error, ErrorKind, Result};

/// Random bytes from the system.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::new(ErrorKind::Io, "the system gives no random bytes").caused_by(error))?;
    Ok(bytes)
}

pub(super) fn ed25519() -> Result<PrivateKey> {
    Ok(PrivateKey::from(Ed25519Keypair::from_seed(&random()?)))
}

pub(super) fn password() -> Result<String> {
    Ok(random::<12>()?.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
