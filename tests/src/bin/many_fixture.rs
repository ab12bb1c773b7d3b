//! A thousand tests that do nothing, on the lab `local`; `benches/harness.rs` runs them.

macro_rules! tests {
    ($($name:ident)*) => { $( #[otto::test(lab = "local")] async fn $name() {} )* };
}

macro_rules! tens {
    ($($name:ident)*) => { $( mod $name { tests! { a b c d e f g h i j } } )* };
}

macro_rules! hundreds {
    ($($name:ident)*) => { $( mod $name { tens! { a b c d e f g h i j } } )* };
}

hundreds! { a b c d e f g h i j }

otto::main!();
