//! [`Need`]: which hosts a test asks for.

use std::fmt;
use std::str::FromStr;

use regex::Regex;

use super::identity::name_fault;
use super::pattern::full_match;
use super::spec::HostSpec;
use crate::error::{Error, ErrorKind, Result};

/// How a test holds a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Mode {
    /// Alone.
    #[default]
    Exclusive,
    /// Together with others that share it.
    Shared,
}

impl Mode {
    /// As a need writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exclusive => "exclusive",
            Self::Shared => "shared",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a test says of the hosts that it needs: `"router1"`, `"switch.*"`, `"tag:arch=arm"`, `"tag:arch=arm & tag:poe"`.
///
/// * A text that is the id of a host means that host. Any other is a regex that has to match an id in full.
/// * `tag:` and a text means the hosts that have that very tag.
/// * ` & ` between such texts means the hosts that fit them all.
/// * `:shared` at the end, or `:exclusive`, says how they are held; without it, as the need's [`mode`](Self::mode) says.
///
/// Without a name a need means *every* host that fits. With a name ([`bound_to`](Self::bound_to)) it means *one* of them, which
/// no other name of the same test has.
///
/// ```
/// use otto::lab::{Mode, Need};
/// let need: Need = "tag:arch=arm & board.*:shared".parse()?;
/// assert_eq!(need.to_string(), "tag:arch=arm & board.*");
/// assert_eq!(need.held(), Mode::Shared);
/// assert!("switch(".parse::<Need>().is_err());
/// # Ok::<(), otto::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Need {
    pub(super) name: Option<String>,
    pub(super) parts: Vec<Part>,
    pub(super) mode: Option<Mode>,
}

/// One condition on a host.
#[derive(Debug, Clone)]
pub(super) enum Part {
    /// The id itself, or a regex for it.
    Id(String, Regex),
    Tag(String),
}

impl Part {
    fn parse(text: &str) -> Result<Self> {
        let refused = |why: &str| Err(Error::new(ErrorKind::Invalid, format!("{text:?} selects no host: {why}")));
        match text.strip_prefix("tag:").map(str::trim) {
            Some("") => refused("`tag:` is followed by the tag"),
            Some(tag) => Ok(Self::Tag(tag.to_owned())),
            None if text.is_empty() => refused("it is empty"),
            None => Ok(Self::Id(text.to_owned(), full_match(text)?)),
        }
    }

    pub(super) fn fits(&self, host: &HostSpec) -> bool {
        match self {
            Self::Id(_, regex) => regex.is_match(&host.id),
            Self::Tag(tag) => host.tags.contains(tag),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(text, _) => f.write_str(text),
            Self::Tag(tag) => write!(f, "tag:{tag}"),
        }
    }
}

impl Need {
    /// What `text` says.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is empty, or a part of it is no regex.
    pub fn new(text: &str) -> Result<Self> {
        let text = text.trim();
        let modes = [(":shared", Mode::Shared), (":exclusive", Mode::Exclusive)];
        let found = modes.into_iter().find_map(|(end, mode)| Some((text.strip_suffix(end)?, mode)));
        let (text, mode) = found.map_or((text, None), |(text, mode)| (text, Some(mode)));
        let parts = text.split(" & ").map(|part| Part::parse(part.trim())).collect::<Result<_>>()?;
        Ok(Self { name: None, parts, mode })
    }

    /// The same, for one host that is known by `name` in the test.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if nothing can have that name.
    pub fn bound_to(self, name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        match name_fault(&name) {
            Some(fault) => Err(Error::new(ErrorKind::Invalid, format!("the name {name:?} for a host {fault}"))),
            None => Ok(Self { name: Some(name), ..self }),
        }
    }

    /// The same, held in that mode, unless its text said how.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode.get_or_insert(mode);
        self
    }

    /// How its hosts are held; [`Mode::Exclusive`] if nothing said so.
    #[must_use]
    pub fn held(&self) -> Mode {
        self.mode.unwrap_or_default()
    }

    /// The name of the one host that is meant, if it is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether `host` fits. A text that is an id means that host, also where it is a regex for another: `a.c` is not `abc`
    /// when there is an `a.c`; [`Lab::choose`](super::Lab::choose) sees to that.
    #[must_use]
    pub fn fits(&self, host: &HostSpec) -> bool {
        self.parts.iter().all(|part| part.fits(host))
    }
}

impl FromStr for Need {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts.iter().enumerate() {
            let and = if index > 0 { " & " } else { "" };
            write!(f, "{and}{part}")?;
        }
        Ok(())
    }
}
