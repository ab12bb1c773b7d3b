//! Expansions beside what they shall be, in `tests/output`, without a compiler. `OTTO_BLESS=1` writes them anew.

use std::path::Path;
use std::{env, fs};

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;

use crate::expand::expand;

fn check(name: &str, options: TokenStream, item: TokenStream) -> TokenStream {
    let tokens = expand(options, item);
    let file: syn::File = syn::parse2(tokens.clone()).expect("the expansion should be items");
    let text = prettyplease::unparse(&file);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/output").join(name).with_extension("rs");
    if env::var_os("OTTO_BLESS").is_some() {
        fs::write(&path, &text).expect("the snapshot should be writable");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(text == expected, "{} differs; OTTO_BLESS=1 accepts this:\n{text}", path.display());
    tokens
}

#[test]
fn plain() {
    check(
        "plain",
        quote!(),
        quote!(
            async fn boots() {}
        ),
    );
}

#[test]
fn every_option_and_argument() {
    check(
        "full",
        quote!(labs = ["rack1", "rack1 + rack2"], timeout = "1m30s",),
        quote! {
            /// Converges.
            #[cfg(unix)]
            #[ignore = "slow"]
            #[should_panic(expected = "no route")]
            #[tracing::instrument]
            pub async fn r#match(first: OttoContext, second: &OttoContext) -> otto::Result<()> {
                first.get_host("router1")?.run(command).await?.ok()
            }
        },
    );
}

#[test]
fn attributes_under_a_condition() {
    check(
        "cfg_attr",
        quote!(lab = "bench"),
        quote! {
            #[cfg_attr(windows, ignore = "no pty", allow(dead_code))]
            #[cfg_attr(slow, ignore)]
            #[cfg_attr(debug, should_panic = "overflow")]
            #[cfg_attr(a, cfg(b))]
            async fn boots() {}
        },
    );
}

#[test]
fn another_path_of_otto_is_the_only_one_named() {
    let tokens = check(
        "crate_path",
        quote!(crate = crate::labs::harness, lab = "bench", timeout = "5s"),
        quote! {
            #[ignore]
            async fn boots(ctx: &OttoContext) -> Result<(), String> {}
        },
    );
    assert!(!names(tokens, "otto"), "the expansion names `otto`");
}

#[test]
fn hosts_tags_and_retries() {
    check(
        "hosts",
        quote!(
            lab = "bench",
            each_host = "router.*",
            hosts("switch1", r#type = "tag:arch=arm", gw = "gw1:shared"),
            shared("dns1",),
            tags("smoke", "bgp"),
            retries = 2,
        ),
        quote! {
            async fn forwards(ctx: OttoContext, host: Host) {}
        },
    );
}

#[test]
fn mistakes_leave_the_item_and_are_all_reported() {
    check(
        "options_at_fault",
        quote!(lab = 7, timeout = "soon", colour),
        quote!(
            async fn boots(ctx: OttoContext) {}
        ),
    );
    check(
        "function_at_fault",
        quote!(lab = ""),
        quote! {
            #[tokio::test]
            #[ignore]
            fn boots<T>(ctx: impl Lab) {}
        },
    );
    check(
        "no_function",
        quote!(),
        quote!(
            struct Bench;
        ),
    );
}

#[test]
fn a_half_typed_body_still_expands() {
    let tokens = expand(quote!(lab = "bench"), quote!(async fn boots(ctx: OttoContext) { let x = ctx. })).to_string();
    assert!(tokens.contains("let x = ctx .") && tokens.contains("TestCase"), "{tokens}");
    assert!(!tokens.contains("compile_error"), "{tokens}");
}

fn names(tokens: TokenStream, banned: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == banned,
        TokenTree::Group(group) => names(group.stream(), banned),
        _ => false,
    })
}
