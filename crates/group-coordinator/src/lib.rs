//! Consumer groups and committed offsets: what lives in one partition of `__consumer_offsets`.
//!
//! Owns: the topic's record formats, classic groups, KIP-848 consumer groups, committed offsets and their expiry.
//! Never: sleeps, reads a clock, knows a request's version, touches a log or a socket.

pub mod assignor;
pub mod consumer;
mod ids;
pub mod records;

pub use ids::{GroupId, InstanceId, MemberId};
