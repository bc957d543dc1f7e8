//! What the shell tells a [`PartitionMachine`](super::PartitionMachine).

use ottla_model::{BrokerId, LeaderEpoch, Offset, PartitionEpoch};

/// Which local end offset counts for the high watermark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A record counts once it is in the page cache: Kafka's default promise.
    #[default]
    Appended,
    /// A record counts once it is on the disk (`flush.messages=1`). A follower under this policy flushes before it
    /// fetches on, because its fetch offset is its acknowledgement.
    Flushed,
}

/// The settings that decide; all of them dynamic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionConfig {
    /// `min.insync.replicas`; never asks for more than the partition has replicas.
    pub min_insync_replicas: usize,
    /// `replica.lag.time.max.ms`.
    pub replica_lag_time_max_ms: u64,
    pub durability: Durability,
}

impl Default for PartitionConfig {
    fn default() -> Self {
        Self { min_insync_replicas: 1, replica_lag_time_max_ms: 30_000, durability: Durability::Appended }
    }
}

/// The local log's offsets: `log_start <= high_watermark <= leo`, `flushed <= leo`.
///
/// ```text
/// log_start ........ high_watermark ........ leo
///                         flushed anywhere up to leo
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogOffsets {
    pub log_start: Offset,
    /// As checkpointed; the first record not known to be on the whole ISR.
    pub high_watermark: Offset,
    /// End offset of what has reached the disk.
    pub flushed: Offset,
    /// End offset of what has been appended.
    pub leo: Offset,
}

impl LogOffsets {
    /// A log that holds nothing and starts at `offset`.
    #[must_use]
    pub const fn empty_at(offset: Offset) -> Self {
        Self { log_start: offset, high_watermark: offset, flushed: offset, leo: offset }
    }
}

/// What the metadata image says of a partition (`PartitionRegistration`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// `None` while the partition has no leader.
    pub leader: Option<BrokerId>,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
    pub replicas: Vec<BrokerId>,
    pub isr: Vec<BrokerId>,
}

/// What the metadata image says of a follower's broker, at the time of its fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerStanding {
    /// The epoch of its registration; `None` if it is not registered.
    pub epoch: Option<i64>,
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
}

/// A follower's Fetch of this partition, which acknowledges everything below its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerFetch {
    pub broker: BrokerId,
    /// The broker epoch that the request carries (KIP-903); `None` where it sends -1.
    pub broker_epoch: Option<i64>,
    pub standing: BrokerStanding,
    /// `current_leader_epoch` of the request; `None` where it sends -1.
    pub leader_epoch: Option<LeaderEpoch>,
    pub fetch_offset: Offset,
    pub log_start: Offset,
}

/// The controller's answer to an [`IsrProposal`](super::IsrProposal).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlterPartitionAnswer {
    Committed {
        leader_epoch: LeaderEpoch,
        partition_epoch: PartitionEpoch,
        isr: Vec<BrokerId>,
    },
    /// Certainly not applied (`INELIGIBLE_REPLICA`, `OPERATION_NOT_ATTEMPTED`): back to the committed ISR.
    Rejected,
    /// The controller knows better (`FENCED_LEADER_EPOCH`, `INVALID_UPDATE_VERSION`, `NEW_LEADER_ELECTED`, unknown
    /// topic ...): stay pending until the metadata says more, because the change may have been applied.
    Stale,
    /// Anything else: propose again, after the caller's back-off.
    Retry,
}
