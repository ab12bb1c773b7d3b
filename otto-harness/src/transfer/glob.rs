//! Patterns of file names, with the same meaning on this machine and on any host.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use super::files::{Fault, Files, Metadata, Outcome};
use super::names::is_one_name;

/// Whether there is anything in it that is not to be taken as it is.
pub(super) fn is_pattern(path: &Path) -> bool {
    path.as_os_str().as_bytes().iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// The paths that a pattern fits, in order. A name that begins with a dot is fitted only by a pattern that does.
pub(super) async fn expand(files: &dyn Files, pattern: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    let mut to_be_checked = false;
    for component in pattern.components() {
        let part = component.as_os_str();
        let plain = !matches!(component, Component::Normal(_)) || !is_pattern(Path::new(part));
        to_be_checked = plain;
        if plain {
            for path in &mut found {
                path.push(part);
            }
        } else if part == "**" {
            found = every_depth(files, found).await?;
        } else {
            let mut next = Vec::new();
            for folder in found {
                let names = names_in(files, &folder).await?.into_iter().map(|(name, _)| name);
                next.extend(names.filter(|name| fits(part, name)).map(|name| folder.join(name)));
            }
            found = next;
        }
    }
    if to_be_checked {
        let mut there = Vec::new();
        for path in found {
            match files.metadata(&path, false).await {
                Ok(_) => there.push(path),
                Err(Fault::File(..)) => {}
                Err(fault) => return Err(fault),
            }
        }
        found = there;
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// The names in a folder. What is no folder, or cannot be looked into, has none: as in a shell.
async fn names_in(files: &dyn Files, folder: &Path) -> Outcome<Vec<(OsString, Metadata)>> {
    match files.list(folder).await {
        Ok(names) => Ok(names.into_iter().filter(|(name, _)| is_one_name(name)).collect()),
        Err(Fault::File(..)) => Ok(Vec::new()),
        Err(fault) => Err(fault),
    }
}

/// These folders, and all below them. Links are not followed, so there is an end.
async fn every_depth(files: &dyn Files, mut left: Vec<PathBuf>) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    while let Some(folder) = left.pop() {
        for (name, about) in names_in(files, &folder).await? {
            if about.is_dir() && !name.as_bytes().starts_with(b".") {
                left.push(folder.join(name));
            }
        }
        found.push(folder);
    }
    Ok(found)
}

/// Whether a name fits a pattern: `*` any text, `?` any character, `[a-z]` and `[!a-z]` one of those, or none of them.
fn fits(pattern: &OsStr, name: &OsStr) -> bool {
    let (pattern, name) = (characters(pattern), characters(name));
    if name.first() == Some(&u32::from('.')) && pattern.first() != Some(&u32::from('.')) {
        return false;
    }
    let (mut p, mut n) = (0, 0);
    // Where to go on if it does not fit: behind the last star, with one character more for that.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&u32::from('*')) {
            star = Some((p + 1, n));
            p += 1;
        } else if let Some(next) = fits_one(&pattern, p, name[n]) {
            (p, n) = (next, n + 1);
        } else if let Some((after, from)) = star {
            star = Some((after, from + 1));
            (p, n) = (after, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == u32::from('*'))
}

/// Whether one character fits the pattern at `p`; where the pattern goes on then.
fn fits_one(pattern: &[u32], p: usize, c: u32) -> Option<usize> {
    let first = *pattern.get(p)?;
    if first == u32::from('?') {
        return Some(p + 1);
    }
    let class = (first == u32::from('[')).then(|| pattern[p + 1..].iter().skip(1).position(|c| *c == u32::from(']')));
    let Some(Some(end)) = class else { return (first == c).then_some(p + 1) };
    let end = p + 2 + end;
    let mut inside = &pattern[p + 1..end];
    let negated = matches!(inside.first(), Some(c) if *c == u32::from('!') || *c == u32::from('^')) && inside.len() > 1;
    if negated {
        inside = &inside[1..];
    }
    let mut within = false;
    while let [from, rest @ ..] = inside {
        if let [dash, to, rest @ ..] = rest
            && *dash == u32::from('-')
        {
            within |= (*from..=*to).contains(&c);
            inside = rest;
        } else {
            within |= *from == c;
            inside = rest;
        }
    }
    (within != negated).then_some(end + 1)
}

/// The characters of a name; of one that is no UTF-8, the bytes, as numbers that no character has.
fn characters(name: &OsStr) -> Vec<u32> {
    match name.to_str() {
        Some(text) => text.chars().map(u32::from).collect(),
        None => name
            .as_bytes()
            .iter()
            .map(|b| if b.is_ascii() { u32::from(*b) } else { 0x11_0000 + u32::from(*b) })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::local::LocalFiles;

    #[test]
    fn patterns_fit_as_in_a_shell() {
        let yes = [
            ("*", "a"),
            ("*.rs", "x.rs"),
            ("?", "é"),
            ("[a-c]x", "bx"),
            ("[!a]", "b"),
            (".*", ".x"),
            ("a*b*c", "axxbyyc"),
            ("[", "["),
            ("[]]", "]"),
            ("*", "a\nb"),
            ("[^a]", "b"),
            ("**", "x"),
        ];
        let no = [("*", ".x"), ("?", ""), ("*.rs", "x.rsx"), ("[a-c]", "d"), ("[!a]", "a"), ("a", "A"), ("?", ".")];
        for (pattern, name) in yes {
            assert!(fits(OsStr::new(pattern), OsStr::new(name)), "{pattern} {name}");
        }
        for (pattern, name) in no {
            assert!(!fits(OsStr::new(pattern), OsStr::new(name)), "{pattern} {name}");
        }
        assert!(fits(OsStr::new("a?"), OsStr::from_bytes(b"a\xff")));
        assert!(fits(OsStr::new(&"*a".repeat(30)), OsStr::new(&"a".repeat(100))));
    }

    #[tokio::test]
    async fn paths_are_found_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("b/deep")).unwrap();
        std::fs::create_dir(root.join("a")).unwrap();
        for name in ["a/1.txt", "b/2.txt", "b/deep/3.txt", "b/x"] {
            std::fs::write(root.join(name), name).unwrap();
        }
        let found = async |pattern: &str| {
            let found = expand(&LocalFiles, &root.join(pattern)).await.unwrap();
            found.iter().map(|path| path.strip_prefix(root).unwrap().display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(found("*/*.txt").await, ["a/1.txt", "b/2.txt"]);
        assert_eq!(found("**/*.txt").await, ["a/1.txt", "b/2.txt", "b/deep/3.txt"]);
        assert_eq!(found("*/x").await, ["b/x"]);
        assert!(found("*/nothing").await.is_empty() && found("a/1.txt/*").await.is_empty());
    }
}
