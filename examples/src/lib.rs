//! Small complete lab suites. Each is a file in `tests/`; their labs are in `labs/`, and `otto.toml` names them.
//!
//! * `first_test`: ten lines on the built-in simulated lab.
//! * `two_labs`: one suite on two labs of its own, one of which has to be reserved.
//! * `parametrised`: one test for many values, by rstest.
