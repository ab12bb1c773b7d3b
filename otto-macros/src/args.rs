//! The options of the attribute: `#[otto::test(lab = "bench", timeout = "90s")]`.
//!
//! They are split at the commas before anything is parsed. A mistake in one option then costs that option only, and the
//! errors of the others are still found.

use std::time::Duration;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::quote;
use syn::parse::Parser;
use syn::{Error, LitStr, Path, Result};

use crate::errors::Errors;
use crate::hosts::{HostUse, check_both, each_host, host_list};

const KNOWN: [&str; 11] =
    ["crate", "each_host", "hosts", "lab", "labs", "retries", "setup", "shared", "tags", "teardown", "timeout"];

#[derive(Default)]
pub(crate) struct Args {
    /// Where otto is found, if not at `::otto`.
    pub(crate) krate: Option<Path>,
    pub(crate) labs: Vec<LitStr>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retries: Option<u32>,
    pub(crate) tags: Vec<LitStr>,
    /// Those that it has to itself, and bound names.
    pub(crate) hosts: Vec<HostUse>,
    /// Those that it shares.
    pub(crate) shared: Vec<HostUse>,
    pub(crate) each_host: Option<HostUse>,
    /// Whether `each_host` was given at all, understood or not.
    pub(crate) has_each_host: bool,
    pub(crate) setup: Option<Duration>,
    pub(crate) teardown: Option<Duration>,
}

impl Args {
    /// As much of the options as was understood.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut args = Self::default();
        let mut seen: Vec<Ident> = Vec::new();
        for chunk in errors.split_at_commas(tokens) {
            let Some(Given { name, value }) = errors.keep(Given::new(chunk)) else { continue };
            if seen.contains(&name) {
                errors.push(Error::new(name.span(), format!("`{name}` is given twice")));
                continue;
            }
            if let Some(other) = seen.iter().find(|other| is_lab(other) && is_lab(&name)) {
                errors.push(Error::new(
                    name.span(),
                    format!("`{other}` and `{name}` exclude each other: `lab` is one lab, `labs` one run on each"),
                ));
                continue;
            }
            args.has_each_host |= name == "each_host";
            errors.keep(args.set(&name, value));
            seen.push(name);
        }
        check_both(&args.hosts, &args.shared, errors);
        args
    }

    fn set(&mut self, name: &Ident, value: Value) -> Result<()> {
        match name.to_string().as_str() {
            "crate" => self.krate = Some(path(&value.assigned(name, "otto_harness")?)?),
            "lab" => self.labs = vec![lab(&value.assigned(name, r#""bench""#)?)?],
            "labs" => self.labs = labs(&value.assigned(name, r#"["bench1", "bench2"]"#)?)?,
            "retries" => self.retries = Some(retries(&value.assigned(name, "1")?)?),
            "tags" => self.tags = tags(&value.listed(name, r#""smoke", "bgp""#)?)?,
            "hosts" => self.hosts = host_list(name, &value.listed(name, r#""router1", "switch.*""#)?, false)?,
            "shared" => self.shared = host_list(name, &value.listed(name, r#""dns1""#)?, true)?,
            "each_host" => self.each_host = Some(each_host(&value.assigned(name, r#""router.*""#)?)?),
            "timeout" => self.timeout = Some(limit(name, value)?),
            "setup" => self.setup = Some(limit(name, value)?),
            "teardown" => self.teardown = Some(limit(name, value)?),
            unknown => return Err(Error::new(name.span(), unknown_option(unknown))),
        }
        Ok(())
    }
}

fn is_lab(name: &Ident) -> bool {
    name == "lab" || name == "labs"
}

impl Errors {
    /// The tokens between top-level commas, a trailing one allowed.
    pub(crate) fn split_at_commas(&mut self, tokens: TokenStream) -> Vec<Vec<TokenTree>> {
        let mut chunks = Vec::new();
        let mut chunk = Vec::new();
        for token in tokens {
            match &token {
                TokenTree::Punct(punct) if punct.as_char() == ',' => {
                    if chunk.is_empty() {
                        self.push(Error::new(punct.span(), "nothing stands before this comma"));
                    } else {
                        chunks.push(std::mem::take(&mut chunk));
                    }
                }
                _ => chunk.push(token),
            }
        }
        if !chunk.is_empty() {
            chunks.push(chunk);
        }
        chunks
    }
}

/// An option as it stands there, before anybody looked at its value.
struct Given {
    name: Ident,
    value: Value,
}

enum Value {
    None,
    Assigned(Vec<TokenTree>),
    Other(Vec<TokenTree>),
}

impl Given {
    fn new(chunk: Vec<TokenTree>) -> Result<Self> {
        let mut tokens = chunk.into_iter();
        let name = match tokens.next() {
            Some(TokenTree::Ident(name)) => name,
            Some(TokenTree::Literal(literal)) => {
                return Err(Error::new(
                    literal.span(),
                    format!("which option is this? For a lab, write `lab = {literal}`"),
                ));
            }
            other => {
                let message = format!("expected an option: {}", list(&KNOWN));
                return Err(Error::new(other.map_or_else(Span::call_site, |token| token.span()), message));
            }
        };
        let value = match tokens.next() {
            None => Value::None,
            Some(TokenTree::Punct(punct)) if punct.as_char() == '=' => Value::Assigned(tokens.collect()),
            Some(other) => Value::Other(std::iter::once(other).chain(tokens).collect()),
        };
        Ok(Self { name, value })
    }
}

impl Value {
    /// The tokens after the `=`. `example` is what could have stood there.
    fn assigned(self, name: &Ident, example: &str) -> Result<TokenStream> {
        let usage = || format!("`{name}` wants a value: `{name} = {example}`");
        match self {
            Self::Assigned(tokens) if !tokens.is_empty() => Ok(tokens.into_iter().collect()),
            Self::Assigned(_) | Self::None => Err(Error::new(name.span(), usage())),
            Self::Other(tokens) => Err(Error::new(first_span(&tokens, name), usage())),
        }
    }

    /// What stands in the parentheses. `example` is what could have stood there.
    fn listed(self, name: &Ident, example: &str) -> Result<Group> {
        let usage = || format!("`{name}` wants a list in parentheses: `{name}({example})`");
        match self {
            Self::Other(tokens) => match &*tokens {
                [TokenTree::Group(list)] if list.delimiter() == Delimiter::Parenthesis => Ok(list.clone()),
                [TokenTree::Group(list), rest, ..] if list.delimiter() == Delimiter::Parenthesis => {
                    Err(Error::new(rest.span(), format!("expected a comma after `{name}(…)`")))
                }
                _ => Err(Error::new(first_span(&tokens, name), usage())),
            },
            Self::Assigned(tokens) => Err(Error::new(first_span(&tokens, name), usage())),
            Self::None => Err(Error::new(name.span(), usage())),
        }
    }
}

fn first_span(tokens: &[TokenTree], otherwise: &Ident) -> Span {
    tokens.first().map_or_else(|| otherwise.span(), TokenTree::span)
}

fn path(value: &TokenStream) -> Result<Path> {
    let parsed = match string(value) {
        Some(text) => text.parse_with(Path::parse_mod_style),
        None => Path::parse_mod_style.parse2(value.clone()),
    };
    parsed.map_err(|_| Error::new_spanned(value, "expected the path of otto: `crate = my_reexport::otto`"))
}

fn lab(value: &TokenStream) -> Result<LitStr> {
    let Some(text) = string(value) else {
        return Err(Error::new_spanned(value, "expected the name of one lab in quotes: `lab = \"bench\"`"));
    };
    lab_name(&text)
}

fn labs(value: &TokenStream) -> Result<Vec<LitStr>> {
    let Some(list) = array(value) else {
        return Err(Error::new_spanned(value, "expected an array of lab names: `labs = [\"bench1\", \"bench2\"]`"));
    };
    let mut errors = Errors::default();
    let mut labs: Vec<LitStr> = Vec::new();
    for element in errors.split_at_commas(list.stream()) {
        let element = element.into_iter().collect();
        let Some(lab) = errors.keep(match string(&element) {
            Some(text) => lab_name(&text),
            None => Err(Error::new_spanned(element, "expected the name of a lab in quotes")),
        }) else {
            continue;
        };
        if labs.iter().any(|other| other.value() == lab.value()) {
            errors.push(Error::new(lab.span(), format!("lab `{}` is listed twice", lab.value())));
        } else {
            labs.push(lab);
        }
    }
    if list.stream().is_empty() {
        let message = "no lab is listed; without `labs` a test runs on whichever is selected";
        errors.push(Error::new(list.span(), message));
    }
    errors.into_result(labs)
}

/// A name, or several merged with `+`, without the spaces around them.
fn lab_name(text: &LitStr) -> Result<LitStr> {
    let value = text.value();
    let parts: Vec<_> = value.split('+').map(str::trim).collect();
    if parts.iter().all(|part| part.is_empty()) {
        return Err(Error::new(text.span(), "the name of the lab is empty"));
    }
    if parts.iter().any(|part| part.is_empty()) {
        return Err(Error::new(text.span(), format!("a name is missing beside the `+` of `{value}`")));
    }
    Ok(LitStr::new(&parts.join("+"), text.span()))
}

fn tags(list: &Group) -> Result<Vec<LitStr>> {
    let mut errors = Errors::default();
    let mut tags: Vec<LitStr> = Vec::new();
    for element in errors.split_at_commas(list.stream()) {
        let element = element.into_iter().collect();
        let Some(tag) = string(&element) else {
            errors.push(Error::new_spanned(element, "expected a tag in quotes: `tags(\"smoke\")`"));
            continue;
        };
        let text = tag.value();
        if text.is_empty() {
            errors.push(Error::new(tag.span(), "the tag is empty"));
        } else if text.starts_with('!') || text.contains([',', ' ', '\t', '\n']) {
            let message = format!("`{text}` cannot be asked for: `--tag` splits at commas, and `!` means without");
            errors.push(Error::new(tag.span(), format!("{message}; a tag has no blanks")));
        } else if tags.iter().any(|other| other.value() == text) {
            errors.push(Error::new(tag.span(), format!("tag `{text}` is listed twice")));
        } else {
            tags.push(tag);
        }
    }
    if list.stream().is_empty() {
        errors.push(Error::new(list.span(), "no tag is listed"));
    }
    errors.into_result(tags)
}

fn retries(value: &TokenStream) -> Result<u32> {
    const MOST: u32 = 1000;
    const USAGE: &str = "expected how many more attempts a failed test has: `retries = 1`";
    let number: syn::LitInt = syn::parse2(value.clone()).map_err(|_| Error::new_spanned(value, USAGE))?;
    match number.base10_parse() {
        Ok(retries @ 0..=MOST) if number.suffix().is_empty() || number.suffix() == "u32" => Ok(retries),
        Ok(_) if number.suffix().is_empty() => {
            Err(Error::new(number.span(), format!("a test has {MOST} retries at most")))
        }
        _ => Err(Error::new(number.span(), USAGE)),
    }
}

fn limit(name: &Ident, value: Value) -> Result<Duration> {
    const USAGE: &str = "write it as \"90s\", \"1m30s\" or \"250ms\"";
    let value = &value.assigned(name, r#""90s""#)?;
    let Some(text) = string(value) else {
        return Err(Error::new_spanned(value, format!("expected a duration in quotes: {USAGE}")));
    };
    match duration(&text.value()) {
        Some(Duration::ZERO) => Err(Error::new(text.span(), format!("a {name} of zero leaves no time to run"))),
        Some(timeout) => Ok(timeout),
        None => Err(Error::new(text.span(), format!("`{}` is no duration: {USAGE}", text.value()))),
    }
}

/// Whole numbers with their units, the largest unit first and none twice.
fn duration(text: &str) -> Option<Duration> {
    let mut units = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)].into_iter();
    let mut rest = text.trim();
    let mut millis = 0_u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, after) = after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
        let (_, factor) = units.find(|(name, _)| *name == unit)?;
        millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(factor)?)?;
        rest = after;
    }
    Some(Duration::from_millis(millis))
}

/// A string literal and nothing beside it, also as a `macro_rules!` passes it on.
pub(crate) fn string(value: &TokenStream) -> Option<LitStr> {
    syn::parse2(value.clone()).ok()
}

fn array(value: &TokenStream) -> Option<Group> {
    let mut tokens = value.clone().into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Group(group)), None) => match group.delimiter() {
            Delimiter::Bracket => Some(group),
            Delimiter::None => array(&group.stream()),
            _ => None,
        },
        _ => None,
    }
}

/// `Some` or `None`, spelt so that nothing of the user's is meant.
pub(crate) fn option(value: Option<TokenStream>) -> TokenStream {
    value.map_or_else(|| quote!(::core::option::Option::None), |value| quote!(::core::option::Option::Some(#value)))
}

fn unknown_option(unknown: &str) -> String {
    let nearest = KNOWN.into_iter().map(|known| (distance(unknown, known), known)).min();
    match nearest {
        Some((steps, known)) if steps <= known.len() / 3 => {
            format!("unknown option `{unknown}`: did you mean `{known}`? The options are {}", list(&KNOWN))
        }
        _ => format!("unknown option `{unknown}`: the options are {}", list(&KNOWN)),
    }
}

fn list(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// How many letters are to be changed, added or left out to make one word the other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in to.bytes().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units_that_fall() {
        assert_eq!(duration("90s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("1h250ms"), Some(Duration::from_millis(3_600_250)));
        assert_eq!(duration("0s"), Some(Duration::ZERO));
        for bad in [
            "",
            " ",
            "90",
            "s",
            "1s1m",
            "1s1s",
            "1.5s",
            "-1s",
            "1 s",
            "1d",
            "99999999999999999999s",
            "9999999999999999h",
        ] {
            assert_eq!(duration(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_nearest_option_is_offered_only_when_it_is_near() {
        assert!(unknown_option("lbs").contains("did you mean `labs`?"));
        assert!(unknown_option("labz").contains("did you mean `lab`?"));
        assert!(unknown_option("timout").contains("did you mean `timeout`?"));
        assert!(!unknown_option("priority").contains("did you mean"));
    }
}
