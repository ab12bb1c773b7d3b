//! The test bed of otto: real servers on loopback, started and stopped by process id, and the proof that nothing leaks.

pub mod bench_lab;
pub mod client;
pub mod console;
pub mod leaks;
pub mod places;
pub mod processes;
pub mod sshd;
pub mod suite;
pub mod telnetd;
