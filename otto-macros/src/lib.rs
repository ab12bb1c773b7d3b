//! The attribute of `otto-harness`; use it as `#[otto::test]`.
//!
//! Only declared here: its documentation stands at the re-export in `otto-harness`, where its examples compile. Parsing
//! is in `args` (the options) and `signature` (the function), and what comes of them in `expand`.

use proc_macro::TokenStream;

mod args;
mod errors;
mod expand;
mod hosts;
mod signature;
#[cfg(test)]
mod snapshots;

#[expect(missing_docs, reason = "documented at the re-export, where the examples can name otto")]
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(options.into(), item.into()).into()
}
