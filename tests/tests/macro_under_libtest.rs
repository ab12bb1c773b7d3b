//! The same tests where `harness = false` was forgotten: they run all the same.

#![forbid(unsafe_code)]

mod accepted;
