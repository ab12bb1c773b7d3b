//! The options that say which hosts a test uses: `hosts("router1", dut = "tag:arch=arm")`, `shared("dns1")` and
//! `each_host = "router.*"`.
//!
//! Whether a pattern is a regex, and whether anything matches it, is known only where the lab is: the harness says so.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Error, LitStr, Result, Type};

use crate::args::{Args, option, string};
use crate::errors::Errors;

/// At the end of a pattern in `hosts(…)` and `each_host`: others may use the host at the same time.
const SHARED: &str = ":shared";
const TAG: &str = "tag:";

/// Hosts that a test uses: those that match a pattern, or the one that a name is bound to.
pub(crate) struct HostUse {
    /// `dut` of `dut = "tag:arch=arm"`.
    name: Option<Ident>,
    /// Without `:shared`.
    pattern: LitStr,
    shared: bool,
}

impl HostUse {
    /// As a field of the registration.
    pub(crate) fn to_tokens(&self, otto: &TokenStream) -> TokenStream {
        let Self { name, pattern, shared } = self;
        let name = option(name.as_ref().map(|name| name.unraw().to_string().into_token_stream()));
        quote!(#otto::__private::HostUse { name: #name, pattern: #pattern, shared: #shared })
    }
}

/// `each_host = "router.*"`.
pub(crate) fn each_host(value: &TokenStream) -> Result<HostUse> {
    let Some(text) = string(value) else {
        let message = "expected a pattern of host ids in quotes: `each_host = \"router.*\"`";
        return Err(Error::new_spanned(value, message));
    };
    let (pattern, shared) = pattern(&text)?;
    Ok(HostUse { name: None, pattern, shared })
}

/// What stands in the parentheses of `hosts(…)`, or, if `all_shared`, of `shared(…)`.
pub(crate) fn host_list(option: &Ident, list: &Group, all_shared: bool) -> Result<Vec<HostUse>> {
    let mut errors = Errors::default();
    let mut uses: Vec<HostUse> = Vec::new();
    for element in errors.split_at_commas(list.stream()) {
        let Some(mut one) = errors.keep(host_use(&element)) else { continue };
        if all_shared && one.shared {
            errors.push(Error::new(one.pattern.span(), "`shared(…)` says it already: leave out `:shared`"));
            continue;
        }
        one.shared |= all_shared;
        let twice = if let Some(name) = &one.name {
            let again = uses.iter().any(|other| other.name.as_ref() == Some(name));
            again.then(|| Error::new(name.span(), format!("`{name}` is bound twice")))
        } else {
            let text = one.pattern.value();
            let again = uses.iter().any(|other| other.name.is_none() && other.pattern.value() == text);
            again.then(|| Error::new(one.pattern.span(), format!("`{text}` is listed twice")))
        };
        match twice {
            Some(error) => errors.push(error),
            None => uses.push(one),
        }
    }
    if list.stream().is_empty() {
        let message = format!("no host is listed; without `{option}` a test has the whole lab to itself");
        errors.push(Error::new(list.span(), message));
    }
    errors.into_result(uses)
}

/// One element: `"router.*"` or `dut = "tag:arch=arm"`.
fn host_use(element: &[TokenTree]) -> Result<HostUse> {
    let (name, value) = match element {
        [TokenTree::Ident(name), TokenTree::Punct(equals), value @ ..] if equals.as_char() == '=' => {
            if value.is_empty() {
                let message = format!("`{name}` wants a host: `{name} = \"router1\"`, or `{name} = \"tag:arch=arm\"`");
                return Err(Error::new(name.span(), message));
            }
            (Some(name.clone()), value)
        }
        value => (None, value),
    };
    let value: TokenStream = value.iter().cloned().collect();
    let Some(text) = string(&value) else {
        let message =
            "expected a pattern of host ids in quotes, or a name for one host: `\"router.*\"`, `dut = \"router1\"`";
        return Err(Error::new_spanned(value, message));
    };
    let (pattern, shared) = pattern(&text)?;
    Ok(HostUse { name, pattern, shared })
}

/// A pattern without its `:shared`, and whether it had one.
fn pattern(text: &LitStr) -> Result<(LitStr, bool)> {
    let value = text.value();
    let shared = value.ends_with(SHARED);
    let pattern = value.strip_suffix(SHARED).unwrap_or(&value);
    if pattern.trim().is_empty() {
        return Err(Error::new(text.span(), "the pattern is empty: it matches no host"));
    }
    if pattern.strip_prefix(TAG).is_some_and(|tag| tag.trim().is_empty()) {
        return Err(Error::new(text.span(), "no tag stands after `tag:`: `\"tag:arch=arm\"`"));
    }
    Ok((LitStr::new(pattern, text.span()), shared))
}

/// That no pattern is in both lists, which would say two things of the same hosts.
pub(crate) fn check_both(hosts: &[HostUse], shared: &[HostUse], errors: &mut Errors) {
    for one in shared {
        let text = one.pattern.value();
        if hosts.iter().any(|other| other.pattern.value() == text) {
            let message = format!("`{text}` is in `hosts` as well: a test has a host to itself, or shares it");
            errors.push(Error::new(one.pattern.span(), message));
        }
        if let Some(name) = one.name.as_ref().filter(|name| hosts.iter().any(|other| other.name.as_ref() == Some(name)))
        {
            errors.push(Error::new(name.span(), format!("`{name}` is bound twice")));
        }
    }
}

/// That no argument is a `Host` where nothing says which.
pub(crate) fn check_arguments<'a>(args: &Args, types: impl Iterator<Item = &'a Type>, errors: &mut Errors) {
    if args.has_each_host {
        return;
    }
    for ty in types {
        // Only as people write it: another type of that name has a path of its own.
        let written = ty.to_token_stream().to_string().replace(' ', "");
        if ["Host", "otto::Host", "::otto::Host"].contains(&written.as_str()) {
            let message = "which host? `each_host = \"router.*\"` makes a test for each; others come from the context";
            errors.push(Error::new(ty.span(), message));
        }
    }
}
