//! The folder of leases: that it is on this machine, and who may use it.

use std::fs::{self, DirBuilder, Metadata};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::faults::{at, io};
use crate::error::Result;

/// Where leases are if nobody says: one place for the whole machine, so that no two users can hold the same without
/// knowing of each other. It belongs to the first who uses it, until an administrator opens it to a group.
pub(in super::super) const DEFAULT: &str = "/var/tmp/otto-leases";

/// Filesystems whose locks do not reach, or may not reach, all who can open a file. By `statfs(2)`.
const NETWORK: [(u32, &str); 15] = [
    (0x0000_6969, "NFS"),
    (0x0000_517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x6573_5546, "FUSE (sshfs and others)"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x4750_4653, "GPFS"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x786f_4256, "a folder that VirtualBox shares"),
];

/// The folder, and how its files are to be.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    /// The mode of its files: whoever may write to the folder may write to them.
    pub(super) file_mode: u32,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self> {
        // A link that leads nowhere, a file in its place, no permission: said below, or by this.
        if let Err(error) = DirBuilder::new().mode(0o700).recursive(true).create(path)
            && !path.exists()
        {
            return Err(io(path, "cannot make the folder of leases", error));
        }
        let shown = path;
        let path = path.canonicalize().map_err(|error| io(path, "cannot find the folder of leases", error))?;
        let found = path.metadata().map_err(|error| io(&path, "cannot look at the folder of leases", error))?;
        if !found.is_dir() {
            return Err(at(&path, "leases are kept in a folder, and this is something else"));
        }
        if shown == Path::new(DEFAULT) && path != shown {
            return Err(at(
                shown,
                "the folder of leases is a link that anybody could have laid: set `path` in [reservations]",
            ));
        }
        let kind =
            rustix::fs::statfs(&path).map_err(|error| io(&path, "cannot ask for the filesystem", error.into()))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the numbers have 32 bits")]
        refuse_network(&path, kind.f_type as u32)?;
        let folder = Self { file_mode: file_mode(&found), path };
        folder.check_writable(&found)?;
        let alive = folder.alive();
        match DirBuilder::new().mode(0o700).create(&alive) {
            Ok(()) => {
                // The modes and group of the folder itself, whatever the umask of this process is.
                let mode = fs::Permissions::from_mode(found.mode() & 0o2777);
                fs::set_permissions(&alive, mode).map_err(|error| io(&alive, "cannot share the folder", error))?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io(&alive, "cannot make the folder", error)),
        }
        Ok(folder)
    }

    /// Where each lease has the file that its holder locks.
    pub(super) fn alive(&self) -> PathBuf {
        self.path.join("alive")
    }

    /// The database of one start of the machine.
    pub(super) fn database(&self, boot: &str) -> PathBuf {
        let boot: String = boot.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
        self.path.join(format!("leases-{boot}.sqlite"))
    }

    /// Who took whose lease: one line of JSON each.
    pub(super) fn thefts(&self) -> PathBuf {
        self.path.join("thefts.jsonl")
    }

    fn check_writable(&self, found: &Metadata) -> Result<()> {
        use rustix::fs::{Access, AtFlags, CWD, accessat};
        let access = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
        accessat(CWD, &self.path, access, AtFlags::EACCESS).map_err(|error| {
            let what = match error {
                rustix::io::Errno::ROFS => "the folder of leases is on a filesystem that is read-only".to_owned(),
                _ => format!(
                    "the folder of leases belongs to the user {} and is closed to you. To share it, an administrator makes \
                     one for a group (`install -d -m 2770 -g GROUP /var/lib/otto-leases`), and otto.toml names it as the \
                     `path` of [reservations]",
                    found.uid()
                ),
            };
            io(&self.path, &what, error.into())
        })
    }
}

fn file_mode(folder: &Metadata) -> u32 {
    0o600 | (if folder.mode() & 0o020 == 0 { 0 } else { 0o060 }) | (if folder.mode() & 0o002 == 0 { 0 } else { 0o006 })
}

fn refuse_network(path: &Path, kind: u32) -> Result<()> {
    match NETWORK.iter().find(|(number, _)| *number == kind) {
        None => Ok(()),
        Some((_, name)) => Err(at(
            path,
            &format!(
                "the folder of leases is on {name}, where a lock need not be seen by all machines: keep it on a disk of this \
                 machine, and use the backend \"etcd\" for several machines"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_filesystems_are_refused() {
        for (kind, _) in NETWORK {
            let error = refuse_network(Path::new("/leases"), kind).unwrap_err().to_string();
            assert!(error.contains("/leases") && error.contains("\"etcd\""), "{error}");
        }
        // ext4, tmpfs, overlayfs, btrfs, xfs.
        for kind in [0xef53, 0x0102_1994, 0x794c_7630, 0x9123_683e, 0x5846_5342] {
            refuse_network(Path::new("/leases"), kind).unwrap();
        }
    }

    #[test]
    fn the_folder_is_made_for_this_user_alone_and_one_that_is_shared_stays_so() {
        let place = tempfile::tempdir().unwrap();
        let own = Folder::open(&place.path().join("a/b")).unwrap();
        assert_eq!(own.file_mode, 0o600);
        assert_eq!(own.path.metadata().unwrap().mode() & 0o7777, 0o700);
        let shared = place.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o2770)).unwrap();
        let folder = Folder::open(&shared).unwrap();
        assert_eq!(folder.file_mode, 0o660);
        assert_eq!(folder.alive().metadata().unwrap().mode() & 0o7777, 0o2770);

        let file = place.path().join("file");
        fs::write(&file, "").unwrap();
        for (path, part) in [(file.clone(), "this is something else"), (file.join("x"), "cannot make the folder")] {
            let error = Folder::open(&path).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("file"), "{error}");
        }
    }
}
