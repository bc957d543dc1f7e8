//! Whole clusters of the production machines in one thread, in simulated time, with a network, disks and processes that fail
//! as a seed says; a seed gives the same run, byte for byte.
//!
//! Owns: the world, its faults, the checks. Never: threads, clocks, sockets.

#![allow(clippy::expect_used, reason = "a test: a panic is its failure")]

mod admin;
mod ambush;
mod client;
mod command;
mod controller;
mod counts;
mod detour;
mod ending;
mod faults;
mod groups;
mod in_sync;
mod ledger;
mod message;
mod mover;
mod network;
mod node;
mod plan;
mod quorum;
mod run;
mod setup;
mod telling;
mod topic_config;
mod world;

pub use counts::Counts;
pub use ledger::Violation;
pub use run::{KEPT, Outcome, repeats, run, run_twice, shrink, tell};
