//! Who runs this process.

use crate::error::{Error, ErrorKind, Result};

/// The name of the user that this process runs as: by its uid in `/etc/passwd`; only for a uid that is not there (users of a
/// directory service), by `$USER` or `$LOGNAME`.
///
/// # Errors
/// [`ErrorKind::Reservation`] if there is no name to be found.
pub fn os_user() -> Result<String> {
    let uid = rustix::process::getuid().as_raw();
    let passwd = std::fs::read("/etc/passwd").unwrap_or_default();
    let from_environment =
        || ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).filter(|name| !name.is_empty());
    user_of(uid, &String::from_utf8_lossy(&passwd)).or_else(from_environment).ok_or_else(|| {
        Error::new(ErrorKind::Reservation, format!("the user with the uid {uid} has no name"))
            .hint("say who is asking with --as-user")
    })
}

/// The first name that `passwd` has for `uid`.
pub(crate) fn user_of(uid: u32, passwd: &str) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with(['#', '+', '-']))?;
        let listed: u32 = fields.nth(1)?.parse().ok()?;
        (listed == uid).then(|| name.to_owned())
    })
}
