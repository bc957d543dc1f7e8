//! The metadata quorum: openraft over our own log. No openraft type leaves this module.

#[cfg(test)]
mod cluster_tests;
mod codec;
mod damage;
#[cfg(test)]
mod damage_tests;
mod door;
mod entry_batch;
mod flusher;
mod forming;
pub mod fuzzing;
mod log_store;
mod meta_copy;
mod meta_pair;
mod meta_store;
mod network;
mod peer_codec;
#[cfg(test)]
mod power_tests;
mod quorum;
mod segmented_log;
#[cfg(test)]
mod segmented_log_tests;
#[cfg(test)]
mod sled_power;
mod sled_store;
mod snapshot;
mod snapshot_clock;
mod standing;
mod state_machine;
#[cfg(test)]
mod twin_store;
mod types;

pub(crate) use door::PeerDoor;
pub(crate) use quorum::{ProposeError, Quorum, QuorumConfig};
pub use quorum::{QuorumStatus, VoterStatus};
pub(crate) use snapshot_clock::SnapshotLimits;

#[cfg(test)]
mod tests;
