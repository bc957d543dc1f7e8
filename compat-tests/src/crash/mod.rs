//! Everything at once, for a broker that is killed under it: producers of every kind, groups of both protocols, topics
//! that come and go, configs, retention and compaction. What is answered goes into the checkers of [`crate::ledger`].

mod admin;
mod classic_group;
mod consumer_group;
mod history;
mod ids;
mod keyed;
mod life;
mod producer;
mod reader;
mod session;

pub use crate::rng::Rng;
pub use history::{Counts, History};
pub use life::{Life, Report};
pub use reader::read_entries;
