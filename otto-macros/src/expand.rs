//! What becomes of a test: a registration that the harness finds, and a twin for everybody else.
//!
//! With `harness = false` the compiler deletes every `#[test]`, so the registration is all there is. Without it libtest
//! runs the twin, which hands over to otto: tests of a file whose `harness = false` was forgotten run, where they would
//! vanish behind a green "running 0 tests". The twin is also what an editor hangs its Run button on.

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{LitStr, Path, ReturnType};

use crate::args::{Args, option};
use crate::errors::Errors;
use crate::hosts::{HostUse, check_arguments};
use crate::signature::{Argument, By, Marker, TestFn};

/// The whole macro, free of `proc_macro`, so that tests can call it.
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = Args::parse(options, &mut errors);
    let Some(function) = TestFn::parse(item.clone(), &mut errors) else {
        // Never without the item: an editor would have nothing to complete in, and each use of it would be an error more.
        return item.into_iter().chain(errors.to_tokens()).collect();
    };
    check_arguments(&args, function.arguments().map(|argument| argument.fixture), &mut errors);
    let expanded = match function.check() {
        Ok(()) => test(&args, &function),
        Err(error) => {
            errors.push(error);
            function.into_token_stream()
        }
    };
    expanded.into_iter().chain(errors.to_tokens()).collect()
}

fn test(args: &Args, function: &TestFn) -> TokenStream {
    let twin = twin(args, function);
    let registration = registration(args, function);
    quote!(#twin #registration)
}

fn twin(args: &Args, function: &TestFn) -> TokenStream {
    let TestFn { cfgs, docs, ignore, vis, sig, .. } = function;
    let otto = otto(args.krate.as_ref());
    let (name, text) = (&sig.ident, name_of(function));
    let ignore = ignore.iter().map(|marker| &marker.attr);
    quote! {
        #(#cfgs)*
        #(#docs)*
        #[::core::prelude::v1::test]
        #(#ignore)*
        #vis fn #name() {
            #otto::__private::run_under_libtest(::core::module_path!(), #text)
        }
    }
}

fn registration(args: &Args, function: &TestFn) -> TokenStream {
    let TestFn { cfgs, docs, attrs, sig, body, .. } = function;
    let otto = otto(args.krate.as_ref());
    let name = name_of(function);
    let line = quote_spanned!(sig.ident.span()=> ::core::line!());
    let labs = &args.labs;
    let retries = option(args.retries.map(|retries| quote!(#retries)));
    let tags = &args.tags;
    let hosts = args.hosts.iter().chain(&args.shared).map(|one| one.to_tokens(&otto));
    let each_host = option(args.each_host.as_ref().map(|one: &HostUse| one.to_tokens(&otto)));
    let [timeout, setup, teardown] = [args.timeout, args.setup, args.teardown].map(duration);
    let fixtures = function.arguments().map(|Argument { fixture, .. }| {
        // Types are named rather than inferred, at their own place, so that the compiler complains about `u32` and not
        // about the attribute.
        quote_spanned!(at(fixture)=> #otto::__private::Fixture::of::<#fixture>())
    });
    let ignore = marked(&function.ignore);
    let should_panic = marked(&function.should_panic);
    let run = run(&otto, function);
    // A test without an `await` is `async` because it has to be, not by mistake.
    quote! {
        #(#cfgs)*
        #[doc(hidden)]
        const _: () = {
            #(#docs)*
            #(#attrs)*
            #[allow(clippy::unused_async)]
            #sig #body

            #otto::__private::inventory::submit! {
                #otto::__private::TestCase {
                    module: ::core::module_path!(),
                    name: #name,
                    file: ::core::file!(),
                    line: #line,
                    package: ::core::env!("CARGO_PKG_NAME"),
                    labs: &[#(#labs),*],
                    hosts: &[#(#hosts),*],
                    each_host: #each_host,
                    tags: &[#(#tags),*],
                    timeout: #timeout,
                    retries: #retries,
                    setup: #setup,
                    teardown: #teardown,
                    ignore: #ignore,
                    should_panic: #should_panic,
                    fixtures: const { &[#(#fixtures),*] },
                    run: #run,
                }
            }
        };
    }
}

/// The closure that makes the future.
fn run(otto: &TokenStream, function: &TestFn) -> TokenStream {
    let name = &function.sig.ident;
    let (made, result) = (hidden("made"), hidden("result"));
    let arguments = function.arguments().map(|Argument { fixture, by }| {
        let by = match by {
            By::Value => quote!(by_value),
            By::Ref => quote!(by_ref),
            By::Mut => quote!(by_mut),
        };
        quote_spanned!(at(fixture)=> #otto::__private::#by::<#fixture>(::core::iter::Iterator::next(&mut #made)))
    });
    // Without arguments it is not changed.
    let iterator = if function.sig.inputs.is_empty() { quote!(_) } else { quote!(mut #made) };
    let ty = match &function.sig.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => ty.to_token_stream(),
    };
    // A type with `impl` in it can be returned but not named, and the compiler has to find it out.
    let named = if mentions_impl(ty.clone()) { quote!(_) } else { ty.clone() };
    let outcome = quote_spanned! {at(&ty)=>
        <#named as #otto::__private::TestResult>::check(&#result);
        {
            use #otto::__private::returned::*;
            (&&&&&&&&Returned(&#result)).outcome()
        }
    };
    quote! {
        |#made| ::std::boxed::Box::pin(async move {
            let #iterator = ::core::iter::IntoIterator::into_iter(#made);
            let #result = #name(#(#arguments),*).await;
            #outcome
        })
    }
}

fn mentions_impl(ty: TokenStream) -> bool {
    ty.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "impl",
        TokenTree::Group(group) => mentions_impl(group.stream()),
        _ => false,
    })
}

/// The value of a field for `#[ignore]` or `#[should_panic]`; the first that applies decides.
fn marked(markers: &[Marker]) -> TokenStream {
    markers.iter().rev().fold(option(None), |otherwise, Marker { condition, text, .. }| {
        let given = option(Some(option(text.as_ref().map(LitStr::to_token_stream))));
        match condition {
            Some(condition) => quote!(if ::core::cfg!(#condition) { #given } else { #otherwise }),
            None => given,
        }
    })
}

fn duration(limit: Option<Duration>) -> TokenStream {
    option(limit.map(|limit| {
        let millis = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        quote!(::core::time::Duration::from_millis(#millis))
    }))
}

fn otto(path: Option<&Path>) -> TokenStream {
    path.map_or_else(|| quote!(::otto), Path::to_token_stream)
}

/// `match` of `r#match`: what people type after `--exact`.
fn name_of(function: &TestFn) -> String {
    function.sig.ident.unraw().to_string()
}

/// A name that the user's code cannot see.
fn hidden(name: &str) -> Ident {
    format_ident!("{name}", span = Span::mixed_site())
}

/// The place of user's tokens for code that is ours: errors point there, and lints take it for a macro's.
fn at(tokens: &impl ToTokens) -> Span {
    tokens.span().resolved_at(Span::mixed_site())
}
