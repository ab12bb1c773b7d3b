//! The same tests where `harness = false` was forgotten.

mod suite;
