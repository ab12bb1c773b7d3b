//! What a `put` or a `get` has to do: which folders to make, and which files go where.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::crowd::Crowd;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::BoxFuture;

use super::files::{Fault, FileType, Files, Metadata, Outcome, shown};
use super::glob;
use super::names::is_one_name;
use super::results::TransferResult;

/// No tree is deeper; a loop that hides from the look for loops is.
const DEEPEST: usize = 128;

/// One file, or one folder, and where it goes.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) source: PathBuf,
    pub(super) target: PathBuf,
    pub(super) about: Metadata,
}

/// All that there is to do, and what is known to fail already.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Each after the one that it is in; those of one depth together.
    pub(super) folders: Vec<Vec<Item>>,
    pub(super) files: Vec<Item>,
    pub(super) failed: Vec<TransferResult>,
}

/// Does all of it, so much at once, and gives the answers in order.
pub(super) async fn side_by_side<T>(width: usize, work: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let (mut work, mut crowd, mut answers) = (work.into_iter(), Crowd::new(), Vec::new());
    loop {
        while crowd.len() < width {
            let Some(one) = work.next() else { break };
            crowd.push(one);
            answers.push(None);
        }
        match crowd.next().await {
            Some((number, answer)) => answers[number] = Some(answer),
            None => return answers.into_iter().flatten().collect(),
        }
    }
}

/// Looks at all of them, side by side.
async fn look_at(from: &dyn Files, paths: Vec<PathBuf>) -> Vec<(PathBuf, Outcome<Metadata>)> {
    let found = from.metadata_of(&paths).await;
    paths.into_iter().zip(found).collect()
}

/// Fails for all if it is about the host; keeps a failure that is about the file.
fn of_the_file<T>(done: Outcome<T>, what: &str, path: &Path) -> Result<Result<T>> {
    match done {
        Ok(found) => Ok(Ok(found)),
        Err(fault @ Fault::File(..)) => Ok(Err(fault.at(what, path))),
        Err(fault) => Err(fault.at(what, path)),
    }
}

fn file_error(kind: io::ErrorKind, message: String) -> Error {
    Error::new(ErrorKind::File(kind), message)
}

/// Looks at the sources, the folders in them, and the place they go to. Fails if nothing at all can be done.
pub(super) async fn plan(from: &dyn Files, to: &dyn Files, sources: &[PathBuf], dest: &Path) -> Result<Plan> {
    let mut plan = Plan::default();
    let found = find(from, sources, &mut plan).await?;
    let into = is_folder(to, dest, found.len() + plan.failed.len() > 1).await?;
    let mut folders = Vec::new();
    let mut taken = HashSet::new();
    for (source, about) in found {
        let target = if into {
            let Some(name) = own_name(from, &source).await? else {
                let text = format!("cannot copy {}: it has no name of its own", shown(&source));
                let error = file_error(io::ErrorKind::InvalidInput, text).hint("name what is in it, as by `/*`");
                plan.failed.push(TransferResult::failed(source, dest, error));
                continue;
            };
            dest.join(name)
        } else {
            dest.to_owned()
        };
        if !taken.insert(target.clone()) {
            let text = format!("cannot copy {}: another source goes to {} too", shown(&source), shown(&target));
            plan.failed.push(TransferResult::failed(source, target, file_error(io::ErrorKind::AlreadyExists, text)));
            continue;
        }
        match about.file_type {
            FileType::Dir => folders.push(Folder { item: Item { source, target, about }, crossed: Vec::new() }),
            FileType::File => plan.files.push(Item { source, target, about }),
            _ => plan.failed.push(no_regular_file(source, target)),
        }
    }
    walk(from, folders, &mut plan).await?;
    Ok(plan)
}

fn no_regular_file(source: PathBuf, target: PathBuf) -> TransferResult {
    let text = format!("cannot copy {}: it is a device, a pipe or a socket, and no regular file", shown(&source));
    TransferResult::failed(source, target, file_error(io::ErrorKind::InvalidInput, text))
}

/// The sources that are there. Patterns become what they fit, unless a file has that very name.
async fn find(from: &dyn Files, sources: &[PathBuf], plan: &mut Plan) -> Result<Vec<(PathBuf, Metadata)>> {
    let mut all = Vec::new();
    for (path, found) in look_at(from, sources.to_vec()).await {
        if glob::is_pattern(&path) && found.as_ref().is_err_and(|fault| matches!(fault, Fault::File(..))) {
            let paths = of_the_file(glob::expand(from, &path).await, "look for", &path)?.unwrap_or_default();
            if paths.is_empty() {
                let error = file_error(io::ErrorKind::NotFound, format!("no file fits {}", shown(&path)));
                plan.failed.push(TransferResult::failed(path, "", error));
            } else {
                all.extend(look_at(from, paths).await);
            }
        } else {
            all.push((path, found));
        }
    }
    let mut there = Vec::new();
    for (path, found) in all {
        match of_the_file(found, "read", &path)? {
            Ok(about) => there.push((path, about)),
            Err(error) => plan.failed.push(TransferResult::failed(path, "", error)),
        }
    }
    Ok(there)
}

/// Whether sources go into `dest`, and do not become it. Makes the folder if it has to be one.
async fn is_folder(to: &dyn Files, dest: &Path, several: bool) -> Result<bool> {
    use std::os::unix::ffi::OsStrExt as _;
    let wanted = several || dest.as_os_str().as_bytes().ends_with(b"/");
    match to.metadata(dest, true).await {
        Ok(found) if found.is_dir() => Ok(true),
        Ok(_) if wanted => Err(Fault::new(io::ErrorKind::NotADirectory).at("write into", dest)),
        Err(Fault::File(io::ErrorKind::NotFound, _)) if wanted => {
            create_all(to, dest).await.map_err(|fault| fault.at("make the folder", dest))?;
            Ok(true)
        }
        Ok(_) | Err(Fault::File(..)) => Ok(false),
        Err(fault) => Err(fault.at("look at", dest)),
    }
}

/// Makes a folder, and those that it is in.
pub(super) async fn create_all(files: &dyn Files, path: &Path) -> Outcome<()> {
    let mut missing = vec![path.to_owned()];
    while let Some(folder) = missing.last() {
        match files.create_dir(folder, 0o777).await {
            Ok(()) => {}
            Err(Fault::File(io::ErrorKind::NotFound, text)) => {
                let Some(above) = folder.parent().filter(|above| !above.as_os_str().is_empty()) else {
                    return Err(Fault::File(io::ErrorKind::NotFound, text));
                };
                missing.push(above.to_owned());
                if missing.len() > DEEPEST * 8 {
                    return Err(Fault::File(io::ErrorKind::NotFound, text));
                }
                continue;
            }
            // Also what says that it may not be made there, although it is: the root of a read-only disk.
            Err(fault @ Fault::File(..)) => match files.metadata(folder, true).await {
                Ok(found) if found.is_dir() => {}
                Ok(_) => return Err(Fault::new(io::ErrorKind::NotADirectory)),
                Err(_) => return Err(fault),
            },
            Err(fault) => return Err(fault),
        }
        missing.pop();
    }
    Ok(())
}

/// The last name of a path; of `.` and `..` the one that they stand for.
async fn own_name(from: &dyn Files, source: &Path) -> Result<Option<OsString>> {
    if let Some(name) = source.file_name() {
        return Ok(Some(name.to_owned()));
    }
    let real = of_the_file(from.real_path(source).await, "look at", source)?;
    Ok(real.ok().and_then(|path| path.file_name().map(OsString::from)))
}

/// A folder whose names are to be looked at.
struct Folder {
    item: Item,
    /// The real paths of the folders in which a link was followed to get here.
    crossed: Vec<PathBuf>,
}

/// Goes through folders, and those in them, level by level.
async fn walk(from: &dyn Files, mut level: Vec<Folder>, plan: &mut Plan) -> Result<()> {
    for _ in 0..DEEPEST {
        if level.is_empty() {
            return Ok(());
        }
        let lists =
            side_by_side(from.width(), level.iter().map(|folder| from.list(&folder.item.source)).collect()).await;
        let (mut next, mut items) = (Vec::new(), Vec::new());
        for (folder, names) in level.into_iter().zip(lists) {
            match of_the_file(names, "list", &folder.item.source)? {
                Ok(mut names) => {
                    names.sort_by(|(one, _), (other, _)| one.cmp(other));
                    for (name, about) in names {
                        enter(from, &folder, &name, about, &mut next, plan).await?;
                    }
                    items.push(folder.item);
                }
                Err(error) => {
                    plan.failed.push(TransferResult::failed(folder.item.source, folder.item.target, error));
                }
            }
        }
        plan.folders.push(items);
        level = next;
    }
    for folder in level {
        let text = format!("cannot copy {}: it is too deep", shown(&folder.item.source));
        let error = file_error(io::ErrorKind::InvalidInput, text);
        plan.failed.push(TransferResult::failed(folder.item.source, folder.item.target, error));
    }
    Ok(())
}

/// Sorts in one name of a folder.
async fn enter(
    from: &dyn Files,
    folder: &Folder,
    name: &std::ffi::OsStr,
    about: Metadata,
    next: &mut Vec<Folder>,
    plan: &mut Plan,
) -> Result<()> {
    if !is_one_name(name) {
        let (source, target) = (folder.item.source.clone(), folder.item.target.clone());
        let (name, folder) = (shown(Path::new(name)), shown(&folder.item.source));
        let text = format!("the host names {name} as a file in {folder}, which is no name");
        let error = file_error(io::ErrorKind::InvalidFilename, text);
        plan.failed.push(TransferResult::failed(source, target, error));
        return Ok(());
    }
    let (source, target) = (folder.item.source.join(name), folder.item.target.join(name));
    let mut crossed = folder.crossed.clone();
    let mut item = Item { source, target, about };
    if item.about.is_symlink() {
        match of_the_file(from.metadata(&item.source, true).await, "follow the link", &item.source)? {
            Ok(about) => item.about = about,
            Err(error) => {
                plan.failed.push(TransferResult::failed(item.source, item.target, error));
                return Ok(());
            }
        }
        if item.about.is_dir() {
            let here =
                from.real_path(&folder.item.source).await.map_err(|fault| fault.at("look at", &folder.item.source))?;
            let there = from.real_path(&item.source).await.map_err(|fault| fault.at("look at", &item.source))?;
            crossed.push(here);
            if crossed.iter().any(|path| path.starts_with(&there)) {
                let text = format!("cannot copy {}: this link leads back to where it is in", shown(&item.source));
                let error = file_error(io::ErrorKind::InvalidInput, text);
                plan.failed.push(TransferResult::failed(item.source, item.target, error));
                return Ok(());
            }
        }
    }
    match item.about.file_type {
        FileType::Dir => next.push(Folder { item, crossed }),
        FileType::File => plan.files.push(item),
        _ => plan.failed.push(no_regular_file(item.source, item.target)),
    }
    Ok(())
}
