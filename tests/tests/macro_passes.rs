//! What `#[otto::test]` accepts, in a binary with otto's own `main`.

#![forbid(unsafe_code)]

mod accepted;

otto::main!(otto_tests);
