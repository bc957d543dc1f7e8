//! Consumer groups and committed offsets: what lives in one partition of `__consumer_offsets`.
//!
//! Owns: the topic's record formats, classic groups, KIP-848 consumer groups, committed offsets and their expiry.
//! Never: sleeps, reads a clock, knows a request's version, touches a log or a socket.

pub mod assignor;
pub mod classic;
mod config;
pub mod consumer;
mod embedded;
mod error;
mod ids;
pub mod manage;
mod memory;
pub mod offsets;
pub mod records;
mod response;
mod shard;
mod shard_classic;
mod shard_consumer;
mod shard_migration;

pub use config::GroupConfig;
pub use error::{GroupError, write_error_code};
pub use ids::{GroupId, InstanceId, MemberId};
pub use response::{ConsumerHeartbeatError, GroupResponse};
pub use shard::{Completion, Group, GroupShard, TimerKey};

#[cfg(test)]
mod tests;
