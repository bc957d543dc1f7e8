//! Everything at once, for a broker that is killed under it: producers of every kind, groups of both protocols, topics
//! that come and go, configs, retention and compaction. What is answered goes into the checkers of [`crate::ledger`].

mod admin;
pub(crate) mod classic_group;
pub(crate) mod consumer_group;
mod history;
pub(crate) mod ids;
pub(crate) mod keyed;
pub(crate) mod life;
pub(crate) mod producer;
pub(crate) mod reader;
pub(crate) mod session;

pub use crate::rng::Rng;
pub(crate) use history::Progress;
pub use history::{Counts, History};
pub use life::{Life, Report};
pub use reader::read_entries;
