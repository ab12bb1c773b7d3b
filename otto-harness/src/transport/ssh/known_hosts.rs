//! Which key a host is known by: the `known_hosts` format of OpenSSH (see sshd(8)).

use std::fmt::Write as _;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use russh::keys::PublicKey;
use sha1::Sha1;

/// Where an entry stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: PathBuf,
    /// Counted from 1, comments included.
    pub(super) line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// What the files say about a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Known,
    /// No entry names the host.
    Unknown,
    /// The host is known, by other keys: the first of them is there.
    Changed(Place),
    /// The key is marked as one that must not be trusted.
    Revoked(Place),
    /// The host is known only by the authority that signs its certificates.
    AuthorityOnly(Place),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    None,
    Revoked,
    Authority,
}

#[derive(Debug)]
struct Entry {
    place: Place,
    marker: Marker,
    hosts: String,
    key: PublicKey,
}

/// The entries of some files, in order.
#[derive(Debug, Default)]
pub(super) struct KnownHosts(Vec<Entry>);

impl KnownHosts {
    /// Reads files. One that does not exist is empty; one that cannot be read is an error, because an entry in it may
    /// revoke a key.
    pub(super) fn load(files: &[PathBuf]) -> Result<Self, (PathBuf, io::Error)> {
        let mut all = Self::default();
        for file in files {
            match std::fs::read(file) {
                Ok(text) => all.parse(file, &String::from_utf8_lossy(&text)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err((file.clone(), error)),
            }
        }
        Ok(all)
    }

    fn parse(&mut self, file: &Path, text: &str) {
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = Place { file: file.to_owned(), line: index + 1 };
            let Some((marker, hosts, key)) = entry(line) else {
                // One line that is broken, or of a key type from the future, says nothing about the others.
                tracing::warn!("{place}: skipped, not an entry that can be read");
                continue;
            };
            self.0.push(Entry { place, marker, hosts: hosts.to_owned(), key });
        }
    }

    /// What they say about `key` for the host at `address` and `port`.
    pub(super) fn check(&self, address: &str, port: u16, key: &PublicKey) -> Verdict {
        let name = name(address, port);
        let plain = address.to_ascii_lowercase();
        let of_host = || self.0.iter().filter(|entry| names(&entry.hosts, &name));
        // As OpenSSH does: an entry without a port vouches for any port of the host, and denies none.
        let of_any_port = || of_host().chain(self.0.iter().filter(|entry| names(&entry.hosts, &plain)));
        let same =
            |marker| of_any_port().find(move |entry| entry.marker == marker && entry.key.key_data() == key.key_data());
        if let Some(entry) = same(Marker::Revoked) {
            return Verdict::Revoked(entry.place.clone());
        }
        if same(Marker::None).is_some() {
            return Verdict::Known;
        }
        let first = |marker| of_host().find(|entry| entry.marker == marker).map(|entry| entry.place.clone());
        if let Some(place) = first(Marker::None) {
            Verdict::Changed(place)
        } else if let Some(place) = first(Marker::Authority) {
            Verdict::AuthorityOnly(place)
        } else {
            Verdict::Unknown
        }
    }

    /// The keys the host is known by, so that the server can be asked for one of their types.
    pub(super) fn keys_of(&self, address: &str, port: u16) -> impl Iterator<Item = &PublicKey> {
        let (name, plain) = (name(address, port), address.to_ascii_lowercase());
        self.0
            .iter()
            .filter(move |entry| {
                entry.marker == Marker::None && (names(&entry.hosts, &name) || names(&entry.hosts, &plain))
            })
            .map(|entry| &entry.key)
    }
}

/// How a host is called in a file: `host`, or `[host]:port` when the port is not 22.
pub(super) fn name(address: &str, port: u16) -> String {
    let address = address.to_ascii_lowercase();
    if port == 22 { address } else { format!("[{address}]:{port}") }
}

/// The line of a file that makes `key` known for a host.
pub(super) fn line(address: &str, port: u16, key: &PublicKey) -> String {
    format!("{} {}", name(address, port), bare(key))
}

/// A key as `type base64`, without its comment.
pub(super) fn bare(key: &PublicKey) -> String {
    let mut bare = key.clone();
    bare.set_comment("");
    // A key that was parsed can be written; were it not so, the fingerprint still names it.
    bare.to_openssh().map_or_else(|_| fingerprint(key), |text| text.trim_end().to_owned())
}

pub(super) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(russh::keys::HashAlg::Sha256).to_string()
}

fn entry(line: &str) -> Option<(Marker, &str, PublicKey)> {
    let mut words = line.split_ascii_whitespace();
    let mut hosts = words.next()?;
    let marker = match hosts {
        "@revoked" => Marker::Revoked,
        "@cert-authority" => Marker::Authority,
        other if other.starts_with('@') => return None,
        _ => Marker::None,
    };
    if marker != Marker::None {
        hosts = words.next()?;
    }
    let (kind, key) = (words.next()?, words.next()?);
    Some((marker, hosts, PublicKey::from_openssh(&format!("{kind} {key}")).ok()?))
}

/// Whether the first field of an entry names a host: one hash, or patterns of which one fits and none that denies fits.
fn names(field: &str, name: &str) -> bool {
    if let Some(hashed) = field.strip_prefix("|1|") {
        return hash_fits(hashed, name);
    }
    let mut fits = false;
    for pattern in field.split(',') {
        let pattern = pattern.to_ascii_lowercase();
        match pattern.strip_prefix('!') {
            Some(denied) if wildcard_fits(denied.as_bytes(), name.as_bytes()) => return false,
            Some(_) => {}
            None => fits |= wildcard_fits(pattern.as_bytes(), name.as_bytes()),
        }
    }
    fits
}

/// `salt|hash`, both in Base64; the hash is HMAC-SHA1 of the name with the salt as the key.
fn hash_fits(hashed: &str, name: &str) -> bool {
    let decoded =
        hashed.split_once('|').and_then(|(salt, hash)| Some((BASE64.decode(salt).ok()?, BASE64.decode(hash).ok()?)));
    let Some((salt, hash)) = decoded else { return false };
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&salt) else { return false };
    mac.update(name.as_bytes());
    mac.verify_slice(&hash).is_ok()
}

/// `*` is any text, `?` any one character. Linear in practice: on a mismatch only the last `*` takes one more.
fn wildcard_fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut of) = (0, 0);
    let mut retry = None;
    while of < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at, of));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[of] => {
                at += 1;
                of += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    at = star + 1;
                    of = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// One at a time in this process, so that two connections do not learn one key twice.
static LEARNING: Mutex<()> = Mutex::new(());

/// Appends a host's key to a file, which is made if need be, unless it is there by now.
pub(super) fn learn(file: &Path, address: &str, port: u16, key: &PublicKey) -> io::Result<()> {
    let _one = LEARNING.lock().unwrap_or_else(PoisonError::into_inner);
    let known = KnownHosts::load(&[file.to_owned()]).map_err(|(_, error)| error)?;
    match known.check(address, port, key) {
        Verdict::Known => return Ok(()),
        Verdict::Unknown => {}
        // Somebody else learnt another key in the meantime.
        _ => return Err(io::Error::other("another key of the host was learnt at the same time")),
    }
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut out = std::fs::OpenOptions::new().read(true).append(true).create(true).mode(0o644).open(file)?;
    let mut text = String::new();
    if out.metadata()?.len() > 0 {
        let mut last = [0];
        out.seek(SeekFrom::End(-1))?;
        out.read_exact(&mut last)?;
        if last != *b"\n" {
            text.push('\n');
        }
    }
    let _ = writeln!(text, "{}", line(address, port, key));
    out.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIITmeAcKV9X3s1FowhraoRQyPBYpYgk9wABEgFLaDhL2";
    const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDO2q5uXcE/jwyVe+i2Fr/MO8/avWnzzDMhTd+yEznl7L4YQoH0DtwuMnAtB+ledSn7WeSPrd15ccvEd+ew7m9DbgD5K7yQR1vgTYNUyVEdSOZd02BBAe/ARC9Ubll9EqY2vkN+R2uPau4HmOwN5t892nNFo+Vo58BFUqvaNROjEQ==";

    fn key(text: &str) -> PublicKey {
        PublicKey::from_openssh(text).unwrap()
    }

    fn check(text: &str, address: &str, port: u16, presented: &str) -> Verdict {
        let mut known = KnownHosts::default();
        known.parse(Path::new("kh"), text);
        known.check(address, port, &key(presented))
    }

    fn at(line: usize) -> Place {
        Place { file: "kh".into(), line }
    }

    #[test]
    fn a_listed_key_is_known_and_another_has_changed() {
        assert_eq!(check(&format!("h {A}"), "h", 22, A), Verdict::Known);
        assert_eq!(check(&format!("# one\n\nh {B}"), "h", 22, A), Verdict::Changed(at(3)));
        assert_eq!(check(&format!("h {A}"), "other", 22, A), Verdict::Unknown);
        assert_eq!(check("", "h", 22, A), Verdict::Unknown);
    }

    #[test]
    fn a_host_may_have_several_keys() {
        let two = format!("h {A}\nh {B} a comment");
        assert_eq!(check(&two, "h", 22, A), Verdict::Known);
        assert_eq!(check(&two, "h", 22, B), Verdict::Known);
    }

    #[test]
    fn known_by_another_type_only_is_changed() {
        assert_eq!(check(&format!("h {RSA}"), "h", 22, A), Verdict::Changed(at(1)));
    }

    #[test]
    fn tabs_case_and_lists() {
        assert_eq!(check(&format!("h,10.0.0.1\t{}", A.replace(' ', "\t")), "10.0.0.1", 22, A), Verdict::Known);
        assert_eq!(check(&format!("Host.Org {A}"), "hOST.oRG", 22, A), Verdict::Known);
    }

    #[test]
    fn patterns() {
        assert_eq!(check(&format!("*.x.org {A}"), "a.x.org", 22, A), Verdict::Known);
        assert_eq!(check(&format!("*.x.org,!b.x.org {A}"), "b.x.org", 22, A), Verdict::Unknown);
        assert_eq!(check(&format!("!b.x.org,*.x.org {A}"), "b.x.org", 22, A), Verdict::Unknown);
        assert_eq!(check(&format!("h? {A}"), "h1", 22, A), Verdict::Known);
        assert_eq!(check(&format!("h? {A}"), "h", 22, A), Verdict::Unknown);
        assert!(wildcard_fits(b"a*b*c", b"a-b-b-c") && !wildcard_fits(b"a*b*c", b"a-c-b"));
    }

    #[test]
    fn ports() {
        assert_eq!(check(&format!("[h]:2222 {A}"), "h", 2222, A), Verdict::Known);
        assert_eq!(check(&format!("[h]:2222 {A}"), "h", 22, A), Verdict::Unknown);
        assert_eq!(check(&format!("[h]:2222 {B}"), "h", 2222, A), Verdict::Changed(at(1)));
        // Without a port: vouches for the key, does not deny another.
        assert_eq!(check(&format!("h {A}"), "h", 2222, A), Verdict::Known);
        assert_eq!(check(&format!("h {B}"), "h", 2222, A), Verdict::Unknown);
        assert_eq!(check(&format!("h {A}\n[h]:2222 {B}"), "h", 2222, A), Verdict::Known);
    }

    #[test]
    fn hashed_names() {
        let mut mac = Hmac::<Sha1>::new_from_slice(b"0123456789abcdefghij").unwrap();
        mac.update(b"[h]:2222");
        let field =
            format!("|1|{}|{}", BASE64.encode(b"0123456789abcdefghij"), BASE64.encode(mac.finalize().into_bytes()));
        assert_eq!(check(&format!("{field} {A}"), "H", 2222, A), Verdict::Known);
        assert_eq!(check(&format!("{field} {A}"), "h", 22, A), Verdict::Unknown);
        assert_eq!(check(&format!("|1|nonsense {A}"), "h", 22, A), Verdict::Unknown);
    }

    #[test]
    fn markers() {
        assert_eq!(check(&format!("h {A}\n@revoked * {A}"), "h", 22, A), Verdict::Revoked(at(2)));
        assert_eq!(check(&format!("@revoked h {A}"), "h", 2222, A), Verdict::Revoked(at(1)));
        assert_eq!(check(&format!("@revoked * {B}\nh {A}"), "h", 22, A), Verdict::Known);
        assert_eq!(check(&format!("@cert-authority *.org {A}"), "h.org", 22, A), Verdict::AuthorityOnly(at(1)));
        assert_eq!(check(&format!("@cert-authority *.org {B}\nh.org {A}"), "h.org", 22, A), Verdict::Known);
    }

    #[test]
    fn a_broken_line_breaks_no_other() {
        assert_eq!(check(&format!("h ssh-ed25519 AAAA\nh sk-x@y AAAA\nh {A}"), "h", 22, A), Verdict::Known);
        assert_eq!(check(&format!("h ssh-ed25519 !!\n@what h {A}\nh {B}"), "h", 22, A), Verdict::Changed(at(3)));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_and_a_missing_one_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        assert!(KnownHosts::load(&[folder.path().to_owned()]).is_err());
        assert!(KnownHosts::load(&[folder.path().join("none")]).unwrap().0.is_empty());
    }

    #[test]
    fn learning_appends_a_line_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sub/known_hosts");
        learn(&file, "h", 2222, &key(A)).unwrap();
        std::fs::write(&file, std::fs::read_to_string(&file).unwrap().trim_end()).unwrap();
        learn(&file, "h", 2222, &key(A)).unwrap();
        learn(&file, "g", 22, &key(B)).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("[h]:2222 {A}\ng {B}\n"));
        assert!(learn(&file, "g", 22, &key(A)).is_err());
    }
}
