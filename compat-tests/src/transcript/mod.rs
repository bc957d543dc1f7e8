//! The official tools' part of the difference: scripts of tool runs with what Apache Kafka 4.4.0 answered.
//!
//! A script (`compat-tests/differential/tools/*.txt`) is a conversation and its recording in one file: [`Script`] reads and
//! writes it, [`Run`] has it with a broker, [`Normal`] replaces what differs between any two runs, and
//! [`Differences`] holds what may differ between the brokers, each with its reason.

mod differences;
mod normal;
mod run;
mod script;

pub use differences::{Difference, Differences};
pub use normal::Normal;
pub use run::Run;
pub use script::{Answer, Item, Script, Step};
