//! Tests that end in every way, with otto's own `main`. `tests/ways_agree.rs` has the table of how each is to end.

mod suite;

otto::main!();
