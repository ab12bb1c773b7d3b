//! Keeping secrets out of what people read: transcripts, logs, errors, reports. See `docs/design/output.md`.
//!
//! A [`Redactor`] knows the secrets of a host or a whole lab in every form in which they usually appear, and puts
//! [`REDACTED`] in their place. What a test itself receives (the `output` of a status, its `bytes()`, `on_output`) is
//! never changed: only what otto writes for somebody to read.

mod forms;
mod observer;
#[cfg(test)]
mod sinks;
mod stream;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use aho_corasick::AhoCorasick;

use crate::lab::{HostSpec, Secret};

pub(crate) use observer::Redacting;
pub(crate) use stream::Stream;

/// What stands where a secret was. It is the same for all, so that it says nothing of their lengths.
pub const REDACTED: &str = "[redacted]";

/// The shortest secret that is taken out of text, in bytes.
///
/// A shorter one appears everywhere by chance: text full of holes would be of no use, and the holes would tell it.
pub const SHORTEST: usize = 3;

/// Takes secrets out of text. Cheap to clone; the default knows none.
///
/// ```
/// use otto::redact::Redactor;
/// let redactor = Redactor::new(["it's hunter2".into()]);
/// assert_eq!(redactor.text("login with it's hunter2"), "login with [redacted]");
/// assert_eq!(redactor.text(r"echo 'it'\''s hunter2' | su"), "echo '[redacted]' | su");
/// assert_eq!(redactor.text("nothing here"), "nothing here");
/// ```
#[derive(Clone, Default)]
pub struct Redactor(Option<Arc<Known>>);

struct Known {
    /// All forms of all secrets, sorted; none is empty.
    forms: Vec<Vec<u8>>,
    longest: usize,
    search: AhoCorasick,
}

impl Redactor {
    /// One that knows these secrets. Those shorter than [`SHORTEST`] are left out.
    #[must_use]
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let mut forms: Vec<Vec<u8>> = secrets.into_iter().flat_map(|secret| forms::of(secret.expose())).collect();
        forms.sort_unstable();
        forms.dedup();
        let longest = forms.iter().map(Vec::len).max().unwrap_or(0);
        // It can only fail for more patterns than memory holds.
        let search = AhoCorasick::new(&forms).ok().filter(|_| longest > 0);
        Self(search.map(|search| Arc::new(Known { forms, longest, search })))
    }

    /// One that knows every password and passphrase of these hosts.
    ///
    /// ```
    /// use otto::{HostSpec, redact::Redactor};
    /// let hosts = [HostSpec::ssh("r1", "10.0.0.1").user("admin").password("hunter2")];
    /// assert_eq!(Redactor::of_hosts(&hosts).text("pw=hunter2"), "pw=[redacted]");
    /// ```
    #[must_use]
    pub fn of_hosts<'h>(hosts: impl IntoIterator<Item = &'h HostSpec>) -> Self {
        let of_host = |host: &'h HostSpec| secrets(host).map(|(_, secret)| secret.clone()).chain(host.kept_secrets());
        Self::new(hosts.into_iter().flat_map(of_host))
    }

    /// Names, in the log, the logins of these hosts whose secrets are too short to be taken out.
    pub(crate) fn warn_of_short<'h>(hosts: impl IntoIterator<Item = &'h HostSpec>) {
        for host in hosts {
            for (login, _) in
                secrets(host).filter(|(_, secret)| (1..SHORTEST).contains(&forms::trimmed(secret.expose()).len()))
            {
                tracing::warn!(
                    host = host.id,
                    login,
                    "a secret of less than {SHORTEST} bytes is not taken out of transcripts and logs"
                );
            }
        }
    }

    /// Whether it knows no secret, so that nothing is ever changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The length of the longest form of a secret, in bytes; 0 if there is none.
    pub(crate) fn longest(&self) -> usize {
        self.0.as_ref().map_or(0, |known| known.longest)
    }

    /// The text without secrets.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // Secrets are text, so what is left of text is text.
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// The bytes without secrets.
    #[must_use]
    pub fn bytes<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let Some(known) = &self.0 else { return Cow::Borrowed(bytes) };
        if !known.search.is_match(bytes) {
            return Cow::Borrowed(bytes);
        }
        let mut stream = Stream::new(self.clone());
        let mut kept = stream.feed(bytes).into_owned();
        kept.extend(stream.finish());
        Cow::Owned(kept)
    }
}

/// Without the secrets.
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("forms", &self.0.as_ref().map_or(0, |known| known.forms.len())).finish()
    }
}

/// The secrets of a host, each with its login.
fn secrets(host: &HostSpec) -> impl Iterator<Item = (&str, &Secret)> {
    host.creds
        .iter()
        .flat_map(|cred| cred.password.iter().chain(&cred.passphrase).map(move |secret| (&*cred.login, secret)))
}
