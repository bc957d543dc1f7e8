//! The metadata quorum: openraft over our own log. No openraft type leaves this module.

mod attending;
#[cfg(test)]
mod cluster_tests;
mod codec;
mod damage;
#[cfg(test)]
mod damage_tests;
mod door;
mod entry_batch;
mod flusher;
mod followers;
mod forming;
pub mod fuzzing;
mod log_store;
mod meta_copy;
mod meta_pair;
mod meta_store;
mod naming;
#[cfg(test)]
mod naming_tests;
mod network;
mod observer;
mod observers;
mod opening;
mod peer_codec;
#[cfg(test)]
mod peer_codec_tests;
#[cfg(test)]
mod power_tests;
mod pull;
mod quorum;
mod replayed;
mod runtime;
mod segmented_log;
#[cfg(test)]
mod segmented_log_tests;
mod serving;
pub mod simulated;
#[cfg(test)]
mod sled_power;
mod sled_store;
mod snapshot;
mod snapshot_clock;
mod standing;
mod state_machine;
mod twin_store;
mod types;
mod voters;
#[cfg(test)]
mod voters_tests;
mod watch;

pub(crate) use door::PeerDoor;
pub(crate) use observer::Observer;
pub(crate) use quorum::{ProposeError, Quorum, QuorumConfig};
pub use quorum::{QuorumStatus, ReplicaStatus};
pub(crate) use snapshot_clock::SnapshotLimits;

#[cfg(test)]
mod tests;
