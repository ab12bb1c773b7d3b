//! The function under the attribute: its attributes told apart, its signature checked, its body left as it is.
//!
//! The body is never parsed. A half-typed one still expands, so that an editor keeps completing in it, and a long one
//! costs nothing.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, FnArg, GenericParam, LitStr, Meta, Path, Result, Safety, Signature, Token, Type, Visibility,
};

use crate::errors::Errors;

/// A function as it was written, whether or not it can be a test.
pub(crate) struct TestFn {
    /// `#[cfg]`: repeated on everything that is made of the function.
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) docs: Vec<Attribute>,
    pub(crate) ignore: Vec<Marker>,
    pub(crate) should_panic: Vec<Marker>,
    /// The others, which are the body's business.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: TokenStream,
}

/// `#[ignore]` or `#[should_panic]`.
pub(crate) struct Marker {
    /// The predicate of the `cfg_attr` it stood in.
    pub(crate) condition: Option<TokenStream>,
    /// The reason, or the expected part of the message.
    pub(crate) text: Option<LitStr>,
    /// As it was written.
    pub(crate) attr: Attribute,
}

impl TestFn {
    /// Takes the function apart. `None` when it is not one.
    pub(crate) fn parse(item: TokenStream, errors: &mut Errors) -> Option<Self> {
        let (attrs, mut function) = errors.keep(parse.parse2(item))?;
        for attr in attrs {
            function.sort(attr, errors);
        }
        Some(function)
    }

    fn sort(&mut self, attr: Attribute, errors: &mut Errors) {
        if !attr.path().is_ident("cfg_attr") {
            let meta = attr.meta.clone();
            return self.sort_one(attr, &meta, None, errors);
        }
        // The compiler has not looked at it yet, and below a test nobody would: an `ignore` in it would be lost.
        let conditional = attr.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
        let Ok(conditional) = conditional else { return self.attrs.push(attr) };
        let mut metas = conditional.into_iter();
        let Some(condition) = metas.next() else { return self.attrs.push(attr) };
        for meta in metas {
            let mut one = attr.clone();
            if let Meta::List(list) = &mut one.meta {
                list.tokens = quote!(#condition, #meta);
            }
            self.sort_one(one, &meta, Some(condition.to_token_stream()), errors);
        }
    }

    /// Puts an attribute where it belongs, by what it says itself or, in a `cfg_attr`, would say.
    fn sort_one(&mut self, attr: Attribute, meta: &Meta, condition: Option<TokenStream>, errors: &mut Errors) {
        let path = meta.path();
        if path.is_ident("cfg") {
            self.cfgs.push(attr);
        } else if path.is_ident("doc") {
            self.docs.push(attr);
        } else if path.is_ident("ignore") {
            let text = errors.keep(ignore_reason(meta)).flatten();
            self.ignore.push(Marker { condition, text, attr });
        } else if path.is_ident("should_panic") {
            let text = errors.keep(expected_panic(meta)).flatten();
            self.should_panic.push(Marker { condition, text, attr });
        } else if ends_in(path, "test") {
            let path = written(path);
            let message = format!("`#[{path}]` would make a second test of this function: `#[otto::test]` is enough");
            errors.push(Error::new_spanned(meta, message));
        } else if ends_in(path, "rstest") {
            let message = "`#[rstest]` makes the cases that `#[otto::test]` runs: put it above";
            errors.push(Error::new_spanned(meta, message));
        } else {
            self.attrs.push(attr);
        }
    }

    /// What keeps this function from being a test.
    pub(crate) fn check(&self) -> Result<()> {
        let mut errors = Errors::default();
        let sig = &self.sig;
        if sig.asyncness.is_none() {
            errors.push(Error::new(sig.fn_token.span, "an otto test waits for hosts: add `async` before `fn`"));
        }
        if let Some(token) = &sig.constness {
            errors.push(Error::new(token.span, "a test cannot be `const`"));
        }
        if let Safety::Unsafe(token) = &sig.safety {
            errors.push(Error::new(token.span, "a test cannot be `unsafe`: nobody promises to its caller"));
        }
        if let Some(abi) = &sig.abi {
            errors.push(Error::new_spanned(abi, "a test cannot be `extern`"));
        }
        if !sig.generics.params.is_empty() {
            let message = if sig.generics.params.iter().all(|param| matches!(param, GenericParam::Lifetime(_))) {
                "a test has no lifetime parameters: leave them out, `&OttoContext` needs none"
            } else {
                "a test cannot be generic: nothing would choose its types"
            };
            errors.push(Error::new_spanned(&sig.generics.params, message));
        }
        if let Some(clause) = &sig.generics.where_clause {
            errors.push(Error::new_spanned(clause, "a test cannot have a `where` clause"));
        }
        if let Some(variadic) = &sig.variadic {
            errors.push(Error::new_spanned(variadic, "a test cannot be variadic"));
        }
        for input in &sig.inputs {
            match input {
                FnArg::Receiver(receiver) => {
                    errors.push(Error::new_spanned(
                        receiver,
                        "a test is no method: make it a function outside the `impl`",
                    ));
                }
                FnArg::Typed(argument) => {
                    if let Type::ImplTrait(ty) = &*argument.ty {
                        errors.push(Error::new_spanned(
                            ty,
                            "an argument is chosen by its type: name one, such as `OttoContext`",
                        ));
                    }
                }
            }
        }
        errors.into_result(())
    }

    pub(crate) fn arguments(&self) -> impl Iterator<Item = Argument<'_>> {
        self.sig.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(argument) => Some(Argument::of(&argument.ty)),
            FnArg::Receiver(_) => None,
        })
    }
}

/// What a test asks for, and how it wants to have it.
pub(crate) struct Argument<'t> {
    pub(crate) fixture: &'t Type,
    pub(crate) by: By,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Value,
    Ref,
    Mut,
}

impl<'t> Argument<'t> {
    fn of(ty: &'t Type) -> Self {
        match ty {
            Type::Reference(reference) if reference.mutability.is_some() => {
                Self { fixture: &reference.elem, by: By::Mut }
            }
            Type::Reference(reference) => Self { fixture: &reference.elem, by: By::Ref },
            // As a `macro_rules!` passes a type on.
            Type::Group(group) => Self::of(&group.elem),
            Type::Paren(paren) => Self::of(&paren.elem),
            fixture => Self { fixture, by: By::Value },
        }
    }
}

/// As it was written, less what only a test may have: what is left of a function that cannot be one.
impl ToTokens for TestFn {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { cfgs, docs, attrs, vis, sig, body, .. } = self;
        tokens.extend(quote!(#(#cfgs)* #(#docs)* #(#attrs)* #vis #sig #body));
    }
}

fn parse(input: ParseStream) -> Result<(Vec<Attribute>, TestFn)> {
    let attrs = input.call(Attribute::parse_outer)?;
    let vis = input.parse()?;
    let sig = match input.fork().call(Signature::parse) {
        Ok(_) => input.parse()?,
        // Of a `struct` or a `mod` this is the better answer; of a function, the parser's own.
        Err(error) if looks_like_fn(&input.fork()) => return Err(error),
        Err(_) => return Err(input.error("`#[otto::test]` belongs on an `async fn`")),
    };
    if !input.peek(syn::token::Brace) {
        return Err(input.error("a test needs a body: `{ … }`"));
    }
    let body = input.parse()?;
    let function = TestFn {
        cfgs: Vec::new(),
        docs: Vec::new(),
        ignore: Vec::new(),
        should_panic: Vec::new(),
        attrs: Vec::new(),
        vis,
        sig,
        body,
    };
    Ok((attrs, function))
}

fn looks_like_fn(input: ParseStream) -> bool {
    while input.peek(Token![const]) || input.peek(Token![async]) || input.peek(Token![unsafe]) {
        if input.parse::<proc_macro2::Ident>().is_err() {
            break;
        }
    }
    input.peek(Token![fn]) || input.peek(Token![extern])
}

fn ignore_reason(meta: &Meta) -> Result<Option<LitStr>> {
    match meta {
        Meta::Path(_) => Ok(None),
        Meta::NameValue(pair) => reason(&pair.value, r#"`#[ignore = "why"]`"#).map(Some),
        Meta::List(_) => Err(Error::new_spanned(meta, r#"write `#[ignore]` or `#[ignore = "why"]`"#)),
    }
}

fn expected_panic(meta: &Meta) -> Result<Option<LitStr>> {
    const USAGE: &str = r#"`#[should_panic(expected = "part of its message")]`"#;
    match meta {
        Meta::Path(_) => Ok(None),
        Meta::NameValue(pair) => reason(&pair.value, USAGE).map(Some),
        Meta::List(list) => match list.parse_args::<syn::MetaNameValue>() {
            Ok(pair) if pair.path.is_ident("expected") => reason(&pair.value, USAGE).map(Some),
            _ => Err(Error::new_spanned(&list.tokens, format!("write {USAGE}"))),
        },
    }
}

fn reason(value: &syn::Expr, usage: &str) -> Result<LitStr> {
    syn::parse2(value.to_token_stream())
        .map_err(|_| Error::new(value.span(), format!("expected text in quotes: {usage}")))
}

fn ends_in(path: &Path, name: &str) -> bool {
    path.segments.last().is_some_and(|last| last.ident == name)
}

fn written(path: &Path) -> String {
    let names: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    names.join("::")
}
