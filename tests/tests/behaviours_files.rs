//! Files, over every way there is to a host's files: what goes there and comes back is the same, and what cannot be done
//! is an error that names the file and the cause.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use otto::prelude::*;
use otto::{ErrorKind, HostFs, TransferRun};
use otto_tests::places::Place;

/// The files of the host, over what the place is about.
fn files(place: &Place) -> HostFs {
    place.host().fs().backend(place.transfer())
}

/// Puts, over what the place is about. The result says whether the host would have chosen the same.
fn put<'a>(place: &Place, source: impl AsRef<Path>, dest: impl AsRef<Path>) -> TransferRun<'a> {
    let run = place.host().put([source], dest);
    if place.name == "shell" { run.backend(place.transfer()) } else { run }
}

fn get<'a>(place: &Place, source: impl AsRef<Path>, dest: impl AsRef<Path>) -> TransferRun<'a> {
    let run = place.host().get([source], dest);
    if place.name == "shell" { run.backend(place.transfer()) } else { run }
}

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("otto-files-").tempdir().unwrap()
}

/// Bytes that no two places of a file share, so that what was moved or lost shows.
fn bytes(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes()[3]
        })
        .collect()
}

/// Everything below a folder: its path, its mode, and what it holds.
fn tree(root: &Path) -> Vec<(PathBuf, u32, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let about = fs::metadata(&path).unwrap();
            let inside = about.is_file().then(|| fs::read(&path).unwrap());
            if about.is_dir() {
                left.push(path.clone());
            }
            found.push((path.strip_prefix(root).unwrap().to_owned(), about.mode() & 0o7777, inside));
        }
    }
    found.sort();
    found
}

fn is_file_error(error: &otto::Error, kinds: &[io::ErrorKind]) -> bool {
    matches!(error.kind(), ErrorKind::File(kind) if kinds.contains(&kind))
}

otto_tests::everywhere! { [local sshd sim telnet scp shell]
    /// Behaviour 57.
    async fn what_is_put_and_got_is_the_same(place) {
        let (here, there, back) = (folder(), folder(), folder());
        let names: [&[u8]; 8] =
            [b"plain", b"two words", b"it's \"quoted\"", b"new\nline\n", b"-rf", b"\xff\xfenot utf-8", b"$HOME `x`", b"..."];
        for (number, name) in names.iter().enumerate() {
            let path = here.path().join(OsStr::from_bytes(name));
            fs::write(&path, bytes(number * 1000)).unwrap();
            let mode = [0o644, 0o600, 0o755, 0o444][number % 4];
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::write(here.path().join("one"), b"x").unwrap();
        fs::create_dir_all(here.path().join("a folder/deep/er")).unwrap();
        fs::create_dir(here.path().join("empty")).unwrap();
        fs::set_permissions(here.path().join("empty"), fs::Permissions::from_mode(0o555)).unwrap();
        fs::write(here.path().join("a folder/deep/er/file"), bytes(3000)).unwrap();
        let large = if place.name == "telnet" { 300_000 } else { 20_000_000 };
        fs::write(here.path().join("large"), bytes(large)).unwrap();

        let target = there.path().join("copy of it");
        let results = put(place, here.path(), &target).await?.ok()?;
        assert_eq!(results.transfer, place.transfer());
        assert_eq!(results.files.len(), 11, "{results:?}");
        assert!(tree(here.path()) == tree(&target), "{:?}", fs::read_dir(&target).unwrap().collect::<Vec<_>>());
        // Into a folder that is there.
        let results = get(place, &target, back.path()).await?.ok()?;
        assert_eq!(results.bytes(), large as u64 + 3000 + 1 + 28 * 1000);
        assert!(tree(here.path()) == tree(&back.path().join("copy of it")));
        // Nothing is left of the temporary names.
        assert_eq!(fs::read_dir(there.path()).unwrap().count(), 1);
    }

    async fn sources_are_files_folders_and_patterns(place) {
        let (here, there) = (folder(), folder());
        for name in ["1.txt", "2.txt", "3.bin", ".hidden.txt", "[x].txt"] {
            fs::write(here.path().join(name), name).unwrap();
        }
        let sources = [here.path().join("*.txt"), here.path().join("3.bin"), here.path().join("none*"), here.path().join("no")];
        let run = place.host().put(sources, there.path().join("new/folder")).backend(place.transfer());
        let results = run.await?;
        let failed: Vec<_> = results.failed().map(|file| file.error.as_ref().unwrap().to_string()).collect();
        assert_eq!(failed.len(), 2, "{failed:?}");
        assert!(failed[0].contains("no file fits") && failed[0].contains("none*"), "{failed:?}");
        assert!(results.ok().unwrap_err().is_not_found());
        let mut names: Vec<_> = fs::read_dir(there.path().join("new/folder")).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["1.txt", "2.txt", "3.bin", "[x].txt"]);
        // A name that looks like a pattern is that name.
        put(place, here.path().join("[x].txt"), there.path().join("it")).await?.ok()?;
        assert_eq!(fs::read_to_string(there.path().join("it")).unwrap(), "[x].txt");
        // Back, by a pattern of the host; into a folder that is made because of the slash.
        let back = folder();
        get(place, there.path().join("new/*/[12].txt"), back.path().join("x/")).await?.ok()?;
        assert_eq!(fs::read_dir(back.path().join("x")).unwrap().count(), 2);
        // Two that would become one.
        fs::create_dir(here.path().join("other")).unwrap();
        fs::write(here.path().join("other/1.txt"), "another").unwrap();
        let results = place.host().put([here.path().join("1.txt"), here.path().join("other/1.txt")], there.path()).await?;
        assert_eq!(results.failed().count(), 1);
        assert_eq!(fs::read_to_string(there.path().join("1.txt")).unwrap(), "1.txt");
    }

    async fn modes_and_times_as_asked(place) {
        let (here, there) = (folder(), folder());
        let source = here.path().join("file");
        fs::write(&source, "x").unwrap();
        fs::set_permissions(&source, fs::Permissions::from_mode(0o640)).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_234_567_890);
        fs::File::open(&source).unwrap().set_modified(time).unwrap();
        put(place, &source, there.path().join("kept")).preserve_times(true).await?.ok()?;
        put(place, &source, there.path().join("set")).mode(0o4751).await?.ok()?;
        let (kept, set) = (there.path().join("kept").metadata().unwrap(), there.path().join("set").metadata().unwrap());
        assert_eq!((kept.mode() & 0o7777, kept.modified().unwrap()), (0o640, time));
        assert_eq!(set.mode() & 0o7777, 0o4751);
        assert!(set.modified().unwrap() > time);
        get(place, there.path().join("kept"), here.path().join("back")).preserve_times(true).mode(0o600).await?.ok()?;
        let back = here.path().join("back").metadata().unwrap();
        assert_eq!((back.mode() & 0o7777, back.modified().unwrap()), (0o600, time));
        assert_eq!(place.host().put(&source, "/tmp/x").mode(0o10_000).await.unwrap_err().kind(), ErrorKind::Invalid);
    }

    /// Behaviour 58, as far as it can be had everywhere.
    async fn what_cannot_be_done_is_told_of_the_file(place) {
        let (here, there) = (folder(), folder());
        let source = here.path().join("file");
        fs::write(&source, bytes(5000)).unwrap();
        fs::create_dir_all(there.path().join("taken/inside")).unwrap();
        fs::write(there.path().join("a file"), "old").unwrap();

        // The target is a folder.
        fs::create_dir(there.path().join("taken/file")).unwrap();
        let error = put(place, &source, there.path().join("taken")).await?.ok().unwrap_err();
        assert!(is_file_error(&error, &[io::ErrorKind::IsADirectory]), "{error:?}");
        assert!(error.to_string().contains("taken/file") && error.to_string().contains("directory"), "{error}");
        // Below a file there are no others.
        let error = put(place, &source, there.path().join("a file/x")).await?.ok().unwrap_err();
        assert!(is_file_error(&error, &[io::ErrorKind::NotADirectory, io::ErrorKind::NotFound]), "{error:?}");
        // Its folder does not exist.
        let error = put(place, &source, there.path().join("no/such/folder")).await?.ok().unwrap_err();
        assert!(error.is_not_found(), "{error:?}");
        // Nothing there to get; and what is got is no file.
        let error = get(place, there.path().join("nothing"), here.path()).await?.ok().unwrap_err();
        assert!(error.is_not_found() && error.to_string().contains("nothing"), "{error:?}");
        let error = get(place, "/dev/null", here.path()).await?.ok().unwrap_err();
        assert!(error.to_string().contains("no regular file"), "{error}");
        // A disk that is full, as far as one can be had: nothing can be made in /proc.
        let error = put(place, &source, "/proc/otto").await?.ok().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::File(_)) && error.to_string().contains("/proc/otto"), "{error:?}");
        assert_eq!(fs::read_to_string(there.path().join("a file")).unwrap(), "old");
        assert_eq!(fs::read_dir(there.path()).unwrap().count(), 2, "something temporary was left");
        assert_eq!(fs::read_dir(there.path().join("taken")).unwrap().count(), 2);
    }

    async fn links_are_followed_and_loops_are_found(place) {
        let (here, there) = (folder(), folder());
        let root = here.path().join("root");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::create_dir(here.path().join("elsewhere")).unwrap();
        fs::write(here.path().join("elsewhere/file"), "through a link").unwrap();
        symlink("../../elsewhere", root.join("sub/away")).unwrap();
        symlink("..", root.join("sub/loop")).unwrap();
        symlink("self", root.join("self")).unwrap();
        symlink("nowhere", root.join("dangling")).unwrap();
        symlink("../root", here.path().join("elsewhere/back")).unwrap();
        for to_host in [true, false] {
            let target = there.path().join(if to_host { "put" } else { "got" });
            let run = if to_host { put(place, &root, &target) } else { get(place, &root, &target) };
            let results = run.await?;
            assert_eq!(fs::read_to_string(target.join("sub/away/file")).unwrap(), "through a link");
            let failed: Vec<_> = results.failed().map(|file| file.error.as_ref().unwrap().to_string()).collect();
            assert_eq!(failed.len(), 4, "{failed:?}");
            assert_eq!(failed.iter().filter(|text| text.contains("leads back")).count(), 2, "{failed:?}");
        }
    }

    /// Behaviour 60, on one connection where there is one.
    async fn a_thousand_reads_at_once(place) {
        let there = folder();
        let count = if place.transfer() == otto::Transfer::Shell || place.name == "scp" { 100 } else { 1000 };
        for number in 0..count {
            fs::write(there.path().join(number.to_string()), format!("file {number}\n")).unwrap();
        }
        fs::remove_file(there.path().join("77")).unwrap();
        let fs = Arc::new(files(place));
        let mut reads = tokio::task::JoinSet::new();
        for number in 0..count {
            let (fs, path) = (fs.clone(), there.path().join(number.to_string()));
            reads.spawn(async move { (number, fs.read_to_string(path).await) });
        }
        while let Some(read) = reads.join_next().await {
            match read.unwrap() {
                (77, read) => {
                    let error = read.unwrap_err();
                    assert!(error.is_not_found() && error.to_string().contains("/77"), "{error}");
                }
                (number, read) => assert_eq!(read?, format!("file {number}\n")),
            }
        }
    }

    async fn calls_mean_the_same(place) {
        let (fs, root) = (files(place), folder());
        let root = root.path();
        let path = |name: &str| root.join(name);
        fs.write(path("it's one"), b"\0\xff\r\n").await?;
        assert_eq!(fs.read(path("it's one")).await?, b"\0\xff\r\n");
        fs.append(path("it's one"), "more").await?;
        assert_eq!(fs.read(path("it's one")).await?, b"\0\xff\r\nmore");
        fs.write(path("it's one"), "").await?;
        assert_eq!(fs.read(path("it's one")).await?, b"");
        fs.append(path("new"), "made").await?;
        assert_eq!(fs.read_to_string(path("new")).await?, "made");
        assert!(is_file_error(&fs.read_to_string("/proc/self/auxv").await.unwrap_err(), &[io::ErrorKind::InvalidData]));
        assert!(fs.read_to_string("/proc/version").await?.starts_with("Linux"));


        fs.create_dir_all(path("a/b/c")).await?;
        fs.create_dir_all(path("a/b/c")).await?;
        let error = fs.create_dir_all(path("new/x")).await.unwrap_err();
        assert!(is_file_error(&error, &[io::ErrorKind::NotADirectory, io::ErrorKind::NotFound]), "{error:?}");
        let error = fs.create_dir_all(path("new")).await.unwrap_err();
        assert!(is_file_error(&error, &[io::ErrorKind::NotADirectory]), "{error:?}");

        assert!(fs.exists(path("new")).await? && !fs.exists(path("none")).await? && !fs.exists(path("new/x")).await?);
        fs.chmod(path("new"), 0o640).await?;
        let about = fs.metadata(path("new")).await?;
        assert!(about.is_file() && about.len() == 4 && about.mode() == 0o640 && about.modified().is_some(), "{about:?}");
        symlink("new", path("link")).unwrap();
        symlink("none", path("dangling")).unwrap();
        assert!(fs.metadata(path("link")).await?.is_file() && fs.symlink_metadata(path("link")).await?.is_symlink());
        assert!(!fs.exists(path("dangling")).await? && fs.metadata(path("dangling")).await.unwrap_err().is_not_found());
        for result in [
            fs.metadata(path("none")).await.map(drop), fs.read(path("none")).await.map(drop), fs.list(path("none")).await.map(drop),
            fs.remove(path("none")).await, fs.remove_dir_all(path("none")).await, fs.chmod(path("none"), 0o600).await,
            fs.rename(path("none"), path("x")).await, fs.copy(path("none"), path("x")).await.map(drop),
            fs.write(path("no/x"), "").await, fs.append(path("no/x"), "").await,
        ] {
            let error = result.unwrap_err();
            assert!(error.is_not_found() && error.to_string().contains(root.to_str().unwrap()), "{error:?}");
        }
        let folders = [fs.read(path("a")).await.map(drop), fs.write(path("a"), "").await, fs.remove(path("a")).await,
            fs.rename(path("new"), path("a")).await, fs.copy(path("a"), path("x")).await.map(drop)];
        for (number, result) in folders.into_iter().enumerate() {
            assert!(is_file_error(&result.unwrap_err(), &[io::ErrorKind::IsADirectory]), "{number}");
        }
        for result in [fs.list(path("new")).await.map(drop), fs.remove_dir_all(path("new")).await] {
            let error = result.unwrap_err();
            assert!(is_file_error(&error, &[io::ErrorKind::NotADirectory]), "{error:?}");
        }

        std::fs::write(root.join(OsStr::from_bytes(b"\xff\n")), "").unwrap();
        std::fs::write(root.join(".dot"), "").unwrap();
        let names: Vec<_> = fs.list(root).await?.into_iter().map(|entry| entry.name().to_owned()).collect();
        let expected = [&b".dot"[..], b"a", b"dangling", b"it's one", b"link", b"new", b"\xff\n"].map(OsStr::from_bytes);
        assert_eq!(names, expected);
        assert!(fs.list(path("a/b/c")).await?.is_empty());
        assert_eq!(fs.glob(path("?e*")).await?, [path("new")]);
        assert_eq!(fs.glob(path("**/c")).await?, [path("a/b/c")]);

        assert_eq!(fs.copy(path("new"), path("it's one")).await?, 4);
        fs.rename(path("it's one"), path("a/b/moved")).await?;
        assert_eq!(fs.read_to_string(path("a/b/moved")).await?, "made");
        fs.rename(path("new"), path("a/b/moved")).await?;
        fs.rename(path("a"), path("z")).await?;
        assert!(fs.exists(path("z/b/moved")).await? && !fs.exists(path("new")).await?);
        fs.create_dir_all(path("y")).await?;
        assert!(fs.rename(path("z"), path("y")).await.is_err());
        symlink("/etc", path("z/etc")).unwrap();
        fs.remove_dir_all(path("z")).await?;
        assert!(!path("z").exists() && Path::new("/etc/passwd").exists());
        for refused in ["/", "", ".", "..", "/tmp/.."] {
            assert!(fs.remove_dir_all(refused).await.is_err());
        }
        fs.remove(path("dangling")).await?;
        assert!(fs.symlink_metadata(path("dangling")).await.unwrap_err().is_not_found());
    }

    async fn a_temporary_folder_goes_when_it_is_dropped(place) {
        let fs = files(place);
        let one = fs.temp_dir().await?;
        let path = one.path().to_owned();
        fs.write(path.join("file"), "x").await?;
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        one.close().await?;
        assert!(!path.exists());
        let two = fs.temp_dir().await?;
        let path = two.path().to_owned();
        drop(two);
        // Closing waits for it.
        place.host().close().await?;
        assert!(!path.exists());
    }

    async fn nothing_is_contacted_in_a_dry_run(place) {
        let _ = place;
        let ctx = otto::open_context("local").dry_run(true).open().await?;
        let host = ctx.get_host("local")?;
        let there = folder();
        let results = host.put("/etc/hostname", there.path()).await?;
        assert_eq!(results.files[0].status, Status::NotRun);
        host.fs().write(there.path().join("x"), "x").await?;
        let temporary = host.fs().temp_dir().await?;
        assert!(!temporary.path().exists() && host.fs().metadata("/").await.is_err());
        assert_eq!(fs::read_dir(there.path()).unwrap().count(), 0);
        ctx.close().await?;
    }
}
