//! [`Files`] by scripts.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use crate::command::IntoLimit as _;
use crate::error::{Error, ErrorKind};
use crate::host::sh_quote;
use crate::result::Status;
use crate::session::SessionManager;
use crate::transfer::Transfer;
use crate::transfer::files::{Download, Fault, FileType, Files, Metadata, Outcome, Upload, Writing};
use crate::transport::BoxFuture;

use super::codec::writer_of;
use super::script::{fault, paths};
use super::tools::{PROBE, Stat, Tools};

/// How long one step may take: one piece of a file, or one call.
const STEP: &str = "60s";

/// Bytes of one step where processes have pipes.
const PIECE: usize = 4 << 20;

/// And over a line: in base64, and in octal, they still fit into one argument of a program.
const LINE_PIECE: usize = 48 << 10;
const OCTAL_PIECE: usize = 16 << 10;
const LINE_READ: usize = 128 << 10;

/// The files of a host that has a shell.
#[derive(Debug)]
pub(crate) struct ShellFiles {
    sessions: SessionManager,
    tools: OnceCell<Tools>,
    /// Processes have pipes, so that bytes arrive as they are.
    pipes: bool,
    /// Whole files go by `scp`.
    scp: bool,
}

impl ShellFiles {
    pub(crate) fn new(sessions: SessionManager) -> Self {
        let pipes = sessions.connector().has_exec();
        Self { sessions, tools: OnceCell::new(), pipes, scp: false }
    }

    /// With whole files going by the host's `scp`.
    pub(crate) fn with_scp(mut self) -> Self {
        self.scp = true;
        self
    }

    async fn tools(&self) -> Outcome<&Tools> {
        self.tools
            .get_or_try_init(|| async {
                let said = self.run(PROBE, Vec::new()).await?;
                Ok(Tools::of(&String::from_utf8_lossy(&said)))
            })
            .await
    }

    pub(crate) async fn has_scp(&self) -> Outcome<bool> {
        Ok(self.tools().await?.scp)
    }

    /// Runs a script; what it wrote, which is text.
    async fn run(&self, script: &str, stdin: Vec<u8>) -> Outcome<Vec<u8>> {
        // Whatever shell the account has, this is a plain one that speaks English.
        let text = format!("env LC_ALL=C sh -c {}", sh_quote(script));
        let status = self.sessions.script(text, stdin, STEP.into_limit()?).await?;
        if status.truncated {
            return Err(Fault::File(io::ErrorKind::FileTooLarge, "more came than is kept".to_owned()));
        }
        match status.status {
            Status::Success => Ok(status.bytes().to_vec()),
            Status::Failed => Err(fault(status.bytes())),
            _ if status.timed_out => {
                Err(Error::new(ErrorKind::Timeout, format!("the host's shell did not come to an end within {STEP}"))
                    .into())
            }
            _ => {
                let why = status.cause().unwrap_or("the host's shell did not come to an end").to_owned();
                Err(Error::new(ErrorKind::ConnectionLost, why).into())
            }
        }
    }

    /// Runs a script; what it wrote, which is any bytes.
    async fn bytes(&self, script: &str) -> Outcome<Vec<u8>> {
        if self.pipes {
            return self.run(script, Vec::new()).await;
        }
        let encoder = self.tools().await?.encoder;
        // How the script ended goes with its output, since a pipe tells of its last part only.
        let script = format!("{{ (\n{script}\n) 2>&1; printf '\\n%s' $?; }} | {}", encoder.command());
        let text = self.run(&script, Vec::new()).await?;
        let garbled = || Fault::File(io::ErrorKind::InvalidData, "what came over the line is garbled".to_owned());
        let mut bytes = encoder.decode(&text).ok_or_else(garbled)?;
        let end = bytes.iter().rposition(|byte| *byte == b'\n').ok_or_else(garbled)?;
        let code = bytes.split_off(end);
        if code == b"\n0" { Ok(bytes) } else { Err(fault(&bytes)) }
    }

    /// A script about paths, `$a` and `$b` in it.
    async fn about(&self, about: &[&Path], script: &str) -> Outcome<Vec<u8>> {
        self.run(&format!("{}{script}", paths(about)?), Vec::new()).await
    }

    async fn done(&self, about: &[&Path], script: &str) -> Outcome<()> {
        self.about(about, script).await.map(drop)
    }

    async fn size(&self, path: &Path) -> Outcome<u64> {
        let said = self.about(&[path], "wc -c <\"$a\"").await?;
        String::from_utf8_lossy(&said).trim().parse().map_err(|_| odd("wc", &said))
    }

    /// Puts bytes at the end of a file.
    async fn append(&self, path: &Path, data: Vec<u8>) -> Outcome<()> {
        if self.pipes {
            return self.run(&format!("{}cat >>\"$a\"", paths(&[path])?), data).await.map(drop);
        }
        let base64 = self.tools().await?.base64;
        let script = format!("{}{{\n{}}} >>\"$a\"", paths(&[path])?, writer_of(&data, base64));
        self.run(&script, Vec::new()).await.map(drop)
    }

    async fn piece(&self) -> Outcome<usize> {
        Ok(match (self.pipes, self.pipes || self.tools().await?.base64) {
            (true, _) => PIECE,
            (_, true) => LINE_PIECE,
            _ => OCTAL_PIECE,
        })
    }

    /// A piece of a file.
    async fn part(&self, path: &Path, at: u64, length: usize) -> Outcome<Vec<u8>> {
        // `dd` counts in blocks, and what is fetched begins at one.
        let (skip, count) = (at / length as u64, 1);
        let script = format!(
            "{}[ -d \"$a\" ] && echo Is a directory && exit 1\n: <\"$a\" || exit 1\n\
             dd if=\"$a\" bs={length} skip={skip} count={count} 2>/dev/null",
            paths(&[path])?
        );
        self.bytes(&script).await
    }

    fn read_piece(&self) -> usize {
        if self.pipes { PIECE } else { LINE_READ }
    }
}

fn odd(tool: &str, said: &[u8]) -> Fault {
    let said: String = String::from_utf8_lossy(said).chars().filter(|c| !c.is_control()).take(80).collect();
    Fault::File(io::ErrorKind::InvalidData, format!("the host's `{tool}` says `{said}`, which is not understood"))
}

/// What the function `s` of [`Tools::stat_function`] says.
fn metadata(line: &str) -> Option<Metadata> {
    let mut words = line.split_ascii_whitespace();
    let mode = words.next()?;
    let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
    let (len, time, user, group) = (number(), number(), number(), number());
    let owner = (u32::try_from(user?).ok()?, u32::try_from(group?).ok()?);
    if let Some(letters) = mode.strip_prefix('l') {
        let mut found = Metadata::of_stat(mode_of_letters(letters), len?, 0, owner);
        found.modified = None;
        return Some(found);
    }
    let mode = match mode.strip_prefix('o') {
        Some(octal) => u32::from_str_radix(octal, 8),
        None => u32::from_str_radix(mode, 16),
    };
    Some(Metadata::of_stat(mode.ok()?, len?, time?, owner))
}

/// The bits that `ls` shows as `drwxr-xr-x`.
fn mode_of_letters(letters: &str) -> u32 {
    let mut letters = letters.chars();
    let kind = match letters.next() {
        Some('-') => 0o100_000,
        Some('d') => 0o040_000,
        Some('l') => 0o120_000,
        _ => 0,
    };
    letters.take(9).enumerate().fold(kind, |mode, (at, letter)| {
        let bit = 0o400 >> at;
        let special = [0o4000, 0o2000, 0o1000][at / 3];
        match letter {
            's' | 't' => mode | bit | special,
            'S' | 'T' => mode | special,
            '-' => mode,
            _ => mode | bit,
        }
    })
}

/// `touch -t` takes it, with `TZ=UTC0`.
pub(in crate::transfer) fn stamp(time: SystemTime) -> Option<String> {
    let time = jiff::Timestamp::try_from(time).ok()?.to_zoned(jiff::tz::TimeZone::UTC);
    Some(time.strftime("%Y%m%d%H%M.%S").to_string())
}

impl Files for ShellFiles {
    fn transfer(&self) -> Transfer {
        if self.scp { Transfer::Scp } else { Transfer::Shell }
    }

    fn width(&self) -> usize {
        4
    }

    fn metadata<'a>(&'a self, path: &'a Path, follow: bool) -> BoxFuture<'a, Outcome<Metadata>> {
        Box::pin(async move {
            let script = format!("{}s \"$a\"", self.tools().await?.stat_function(follow));
            let said = self.about(&[path], &script).await?;
            metadata(&String::from_utf8_lossy(&said)).ok_or_else(|| odd("stat", &said))
        })
    }

    fn list<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Outcome<Vec<(OsString, Metadata)>>> {
        Box::pin(async move {
            let tools = self.tools().await?;
            let mut script = paths(&[path])?;
            script.push_str(
                "[ -d \"$a\" ] || { ls -d \"$a\" >/dev/null && echo Not a directory; exit 1; }\n\
                 [ -r \"$a\" ] && [ -x \"$a\" ] || { echo Permission denied; exit 1; }\n",
            );
            if tools.find && tools.stat == Stat::Gnu {
                script.push_str("find \"$a/\" -mindepth 1 -maxdepth 1 -printf '%y%m %s %T@ %U %G\\0%f\\0'");
            } else {
                script.push_str(&tools.stat_function(false));
                script.push_str(
                    "cd \"$a\" || exit 1\nfor f in * .[!.]* ..?*; do [ -e \"$f\" ] || [ -L \"$f\" ] || continue\n\
                     f=./$f; x=`s \"$f\"` && printf '%s\\0%s\\0' \"$x\" \"${f#./}\"; done; :",
                );
            }
            let said = self.bytes(&script).await?;
            let mut parts = said.split(|byte| *byte == 0);
            let mut names = Vec::new();
            while let (Some(about), Some(name)) = (parts.next(), parts.next()) {
                let line = String::from_utf8_lossy(about);
                let found = if tools.find && tools.stat == Stat::Gnu { of_find(&line) } else { metadata(&line) };
                names.push((OsString::from_vec(name.to_vec()), found.ok_or_else(|| odd("ls", about))?));
            }
            Ok(names)
        })
    }

    fn real_path<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Outcome<PathBuf>> {
        Box::pin(async move {
            let script = "if [ -d \"$a\" ]; then cd \"$a\" && pwd -P; else\n\
                          ls -d \"$a\" >/dev/null || exit 1; case $a in */*) b=${a%/*}/;; *) b=.;; esac\n\
                          cd \"$b\" && p=`pwd -P` && printf '%s/%s\\n' \"${p%/}\" \"${a##*/}\"; fi";
            let script = format!("{}{script}", paths(&[path])?);
            let mut said = self.bytes(&script).await?;
            said.pop();
            Ok(PathBuf::from(OsString::from_vec(said)))
        })
    }

    fn create_dir<'a>(&'a self, path: &'a Path, mode: u32) -> BoxFuture<'a, Outcome<()>> {
        // `mkdir -m` would not heed the umask, which the system's own call does.
        let script = format!("umask $(printf %03o $((0$(umask) | 0{:o})))\nmkdir \"$a\"", !mode & 0o777);
        Box::pin(async move { self.done(&[path], &script).await })
    }

    fn remove_file<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Outcome<()>> {
        Box::pin(self.done_on(path, "rm \"$a\" </dev/null"))
    }

    fn remove_dir<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Outcome<()>> {
        Box::pin(self.done_on(path, "rmdir \"$a\""))
    }

    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Outcome<()>> {
        Box::pin(async move {
            let script = "if [ -d \"$b\" ] && ! [ -L \"$b\" ]; then\n\
                          if [ -d \"$a\" ] && ! [ -L \"$a\" ]; then rmdir \"$b\" || exit 1\n\
                          else ls -d \"$a\" >/dev/null && echo Is a directory; exit 1; fi\n\
                          elif [ -d \"$a\" ] && ! [ -L \"$a\" ] && { [ -e \"$b\" ] || [ -L \"$b\" ]; }; then echo Not a directory; exit 1\n\
                          elif [ -L \"$b\" ]; then ls -d \"$a\" >/dev/null && rm -f \"$b\" || exit 1; fi\n\
                          mv -f \"$a\" \"$b\"";
            self.done(&[from, to], script).await
        })
    }

    fn chmod<'a>(&'a self, path: &'a Path, mode: u32) -> BoxFuture<'a, Outcome<()>> {
        Box::pin(async move { self.done(&[path], &format!("chmod {mode:04o} \"$a\"")).await })
    }

    fn set_modified<'a>(&'a self, path: &'a Path, time: SystemTime) -> BoxFuture<'a, Outcome<()>> {
        Box::pin(async move {
            let stamp = stamp(time).ok_or_else(|| Fault::new(io::ErrorKind::InvalidInput))?;
            self.done(&[path], &format!("TZ=UTC0 touch -c -t {stamp} \"$a\"")).await
        })
    }

    fn read<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Outcome<Vec<u8>>> {
        Box::pin(async move {
            let (piece, mut bytes) = (self.read_piece(), Vec::new());
            loop {
                let part = self.part(path, bytes.len() as u64, piece).await?;
                let last = part.len() < piece;
                bytes.extend_from_slice(&part);
                if last {
                    return Ok(bytes);
                }
            }
        })
    }

    fn write<'a>(&'a self, path: &'a Path, data: &'a [u8], how: Writing) -> BoxFuture<'a, Outcome<()>> {
        Box::pin(async move {
            if how == Writing::Whole {
                self.done(&[path], ": >\"$a\"").await?;
            } else if data.is_empty() {
                self.done(&[path], ": >>\"$a\"").await?;
            }
            for part in data.chunks(self.piece().await?) {
                self.append(path, part.to_vec()).await?;
            }
            Ok(())
        })
    }

    fn copy<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Outcome<u64>> {
        Box::pin(async move {
            let script =
                "[ -d \"$a\" ] || [ -d \"$b\" ] && echo Is a directory && exit 1\ncp \"$a\" \"$b\" && wc -c <\"$b\"";
            let said = self.about(&[from, to], script).await?;
            String::from_utf8_lossy(&said).trim().parse().map_err(|_| odd("wc", &said))
        })
    }

    fn upload<'a>(&'a self, upload: Upload<'a>) -> BoxFuture<'a, Outcome<()>> {
        Box::pin(async move {
            if self.scp && upload.from == 0 {
                return self.by_scp(upload).await;
            }
            let Upload { local, remote, from, mode, modified, moved, .. } = upload;
            if from == 0 {
                self.done(&[remote], "umask 077; : >\"$a\"").await?;
            }
            let path = local.to_owned();
            let file = std::sync::Arc::new(spawn_blocking(move || File::open(path)).await.map_err(|_| gone())??);
            let (piece, mut at) = (self.piece().await?, from);
            loop {
                let file = std::sync::Arc::clone(&file);
                let data = spawn_blocking(move || read_piece(&file, at, piece)).await.map_err(|_| gone())??;
                if data.is_empty() {
                    break;
                }
                let length = data.len() as u64;
                self.append(remote, data).await?;
                at += length;
                moved(length);
            }
            let there = self.size(remote).await?;
            if there != at {
                return Err(Fault::File(io::ErrorKind::UnexpectedEof, format!("{there} bytes arrived of {at}")));
            }
            let touch = modified.and_then(stamp).map(|stamp| format!("TZ=UTC0 touch -c -t {stamp} \"$a\" && "));
            self.done(&[remote], &format!("{}chmod {mode:04o} \"$a\"", touch.unwrap_or_default())).await
        })
    }

    fn download<'a>(&'a self, download: Download<'a>) -> BoxFuture<'a, Outcome<u64>> {
        Box::pin(async move {
            // Files without a size are those of the kernel, of which scp sends as many bytes.
            if self.scp && download.from == 0 && download.len > 0 {
                return crate::transfer::scp::download(&self.sessions, download).await;
            }
            let Download { remote, local, from, len, moved } = download;
            let piece = self.read_piece();
            // From the beginning of a block on.
            let mut at = from / piece as u64 * piece as u64;
            let local = std::sync::Arc::new(local);
            loop {
                let data = self.part(remote, at, piece).await?;
                let length = data.len() as u64;
                if length > 0 {
                    let local = std::sync::Arc::clone(&local);
                    spawn_blocking(move || local.write_all_at(&data, at)).await.map_err(|_| gone())??;
                }
                at += length;
                moved(length);
                if length < piece as u64 {
                    break;
                }
            }
            if at < len {
                let now = self.size(remote).await?;
                // Files of the kernel (`/sys`) say that they are longer than they are.
                if now != len || len != 4096 {
                    let text = format!("only {at} of {len} bytes came");
                    return Err(Fault::File(io::ErrorKind::UnexpectedEof, text));
                }
            }
            Ok(at)
        })
    }

    fn sha256<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Option<Outcome<String>>> {
        Box::pin(async move {
            match self.tools().await {
                Ok(tools) if !tools.sha256 => return None,
                Ok(_) => {}
                Err(fault) => return Some(Err(fault)),
            }
            Some(
                self.about(&[path], "sha256sum <\"$a\"").await.map(|said| {
                    String::from_utf8_lossy(&said).split_whitespace().next().unwrap_or_default().to_owned()
                }),
            )
        })
    }

    fn remove_tree<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Option<Outcome<()>>> {
        Box::pin(async move {
            let script = "[ -L \"$a\" ] && echo Not a directory && exit 1\n[ -d \"$a\" ] || { ls -d \"$a\" >/dev/null \
                          && echo Not a directory; exit 1; }\nrm -rf \"$a\" </dev/null";
            Some(self.done(&[path], script).await)
        })
    }
}

impl ShellFiles {
    async fn by_scp(&self, upload: Upload<'_>) -> Outcome<()> {
        let (path, len) = (upload.remote, upload.len);
        crate::transfer::scp::upload(&self.sessions, upload).await?;
        let there = self.size(path).await?;
        if there == len {
            return Ok(());
        }
        Err(Fault::File(io::ErrorKind::UnexpectedEof, format!("{there} bytes arrived of {len}")))
    }

    async fn done_on(&self, path: &Path, script: &'static str) -> Outcome<()> {
        self.done(&[path], script).await
    }
}

/// What `find -printf '%y%m %s %T@ %U %G'` says.
fn of_find(line: &str) -> Option<Metadata> {
    let (kind, rest) = line.split_at_checked(1)?;
    let mut words = rest.split(' ');
    let mode = u32::from_str_radix(words.next()?, 8).ok()?;
    let len = words.next()?.parse().ok()?;
    let time: u64 = words.next()?.split('.').next()?.parse().unwrap_or(0);
    let owner = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let mut found = Metadata::of_stat(mode, len, time, owner);
    found.file_type = match kind {
        "f" => FileType::File,
        "d" => FileType::Dir,
        "l" => FileType::Symlink,
        _ => FileType::Other,
    };
    Some(found)
}

pub(in crate::transfer) fn read_piece(file: &File, at: u64, piece: usize) -> io::Result<Vec<u8>> {
    let mut data = vec![0; piece];
    let mut filled = 0;
    while filled < piece {
        match file.read_at(&mut data[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    data.truncate(filled);
    Ok(data)
}

pub(in crate::transfer) fn gone() -> Fault {
    Fault::File(io::ErrorKind::Interrupted, "the runtime ended meanwhile".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tools_say_is_read() {
        let gnu = metadata("81a4 12 1700000000 0 5").unwrap();
        assert!(gnu.is_file() && gnu.mode() == 0o644 && gnu.len() == 12 && gnu.owner() == Some((0, 5)));
        assert!(metadata("o40755 12 1700000000 0 5").unwrap().is_dir());
        let ls = metadata("l-rwsr-x--T 7 0 1 2").unwrap();
        assert!(ls.is_file() && ls.mode() == 0o5750 && ls.modified().is_none());
        assert!(of_find("l777 3 1.5 0 0").unwrap().is_symlink());
        assert!(metadata("").is_none() && of_find("").is_none() && of_find("\u{e9}").is_none());
    }

    #[test]
    fn times_are_those_of_touch() {
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        assert_eq!(stamp(time).unwrap(), "202311142213.20");
    }
}
