//! What a lab file refers to and does not contain: secrets and files. It is looked at for the selected labs alone.

use std::path::{Path, PathBuf};

use super::diagnose::{Place, Problem};
use super::secret::Secret;
use super::spec::HostSpec;

/// Something that stands elsewhere.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    pub(super) place: Place,
    pub(super) to: To,
}

#[derive(Debug, Clone)]
pub(super) enum To {
    /// The secret of a login.
    Secret { cred: usize, part: Part, from: From },
    /// A file that has to be there.
    File { field: &'static str, path: PathBuf },
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Password,
    Passphrase,
}

/// Where a secret is.
#[derive(Debug, Clone)]
pub(super) enum From {
    Env(String),
    File(PathBuf),
}

impl Reference {
    /// Puts into `spec` what this refers to.
    pub(super) fn resolve(&self, spec: &mut HostSpec) -> Result<(), Problem> {
        let problem = |fault: String| Problem::at(self.place.clone(), fault);
        match &self.to {
            To::File { path, .. } if path.is_file() => {}
            To::File { field, path } => {
                return Err(problem(format!("`{field}`: there is no file {}", path.display())));
            }
            To::Secret { cred, part, from } => {
                let secret = from.read().map_err(problem)?;
                if let Some(cred) = spec.creds.get_mut(*cred) {
                    match part {
                        Part::Password => cred.password = Some(secret),
                        Part::Passphrase => cred.passphrase = Some(secret),
                    }
                }
            }
        }
        Ok(())
    }
}

impl From {
    fn read(&self) -> Result<Secret, String> {
        match self {
            Self::Env(name) => std::env::var(name).map(Secret::new).map_err(|error| match error {
                std::env::VarError::NotPresent => format!("the environment variable {name} is not set"),
                std::env::VarError::NotUnicode(_) => format!("the environment variable {name} is not UTF-8"),
            }),
            Self::File(path) => secret_file(path),
        }
    }
}

/// The longest secret file that is read: an RSA key of 16,384 bits has less.
const LONGEST_SECRET: u64 = 1 << 16;

/// The text of a file that only its owner can read, less one final line ending.
pub(super) fn secret_file(path: &Path) -> Result<Secret, String> {
    use std::io::Read;
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

    use zeroize::Zeroizing;

    let shown = path.display();
    let cannot = |error: std::io::Error| format!("cannot read the secret in {shown}: {error}");
    // What is asked of the open file is true of what is read; a pipe does not block.
    let mut options = std::fs::OpenOptions::new();
    let file = options.read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if !metadata.is_file() {
        return Err(format!("cannot read the secret in {shown}: it is not a regular file"));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let plain = |c: char| c.is_alphanumeric() || "/._-+@%:,".contains(c);
        let path = path.to_string_lossy();
        let word = if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")).into() };
        return Err(format!("the secret in {shown} can be read by others (mode {mode:04o}): `chmod 600 {word}`"));
    }
    if metadata.len() > LONGEST_SECRET {
        return Err(format!("the secret in {shown} has {} bytes, and {LONGEST_SECRET} is the most", metadata.len()));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(LONGEST_SECRET).unwrap_or_default()));
    file.take(LONGEST_SECRET).read_to_end(&mut bytes).map_err(cannot)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| format!("the secret in {shown} is not UTF-8"))?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    match line.strip_suffix('\r').unwrap_or(line) {
        "" => Err(format!("the secret in {shown} is empty")),
        secret => Ok(Secret::new(secret)),
    }
}
