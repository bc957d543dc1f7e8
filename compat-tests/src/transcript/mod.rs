//! The official tools' part of the difference: scripts of tool runs with what Apache Kafka 4.4.0 answered.
//!
//! A script (`compat-tests/differential/tools/*.txt`) is a conversation and its recording in one file: [`Script`] reads and
//! writes it, [`Run`] has it with a broker, [`Normal`] replaces what differs between any two runs, and
//! [`Difference`] is what differs between the brokers; [`crate::listed`] reads the list of what may.

mod differences;
mod normal;
mod run;
mod script;
pub mod tool_table;

pub use differences::{Difference, between};
pub use normal::Normal;
pub use run::Run;
pub use script::{Answer, Item, Script, Step};
