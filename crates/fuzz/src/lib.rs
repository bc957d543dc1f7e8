//! Hostile bytes, a function each: what every input must satisfy is asserted inside, so that whatever calls it with
//! bytes (libFuzzer, the seeded run of the test command, a saved input) finds the same faults.
//!
//! A target's `run` is deterministic in its bytes: no randomness, files or sockets. Its seeds are read from the other crates'
//! vectors.

mod corpus;
mod mutate;
mod targets;

pub use corpus::{from_hex, keep, saved};
pub use mutate::Mutator;
pub use targets::{TARGETS, Target, target};
