//! Why a [`PartitionMachine`](super::PartitionMachine) refuses.

use ottla_model::{BrokerId, LeaderEpoch, Offset};

/// A registration that cannot be true: the partition goes offline, and somebody must look.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    #[error("leader epoch {new} comes after {current}")]
    LeaderEpochWentBack { current: LeaderEpoch, new: LeaderEpoch },
    #[error("broker {0} is in the ISR but no replica")]
    IsrNotReplica(BrokerId),
    #[error("leader {0} is not in its ISR")]
    LeaderNotInIsr(BrokerId),
}

/// Why nothing may be appended now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    #[error("not the leader")]
    NotLeader,
    /// acks=all only; nothing was written.
    #[error("{isr} in-sync replicas, {min} wanted")]
    NotEnoughReplicas { isr: usize, min: usize },
}

/// How an acks=all produce that was appended failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcksError {
    #[error("not the leader any more")]
    NotLeader,
    /// The records are in the log, on fewer replicas than `min.insync.replicas` asks for.
    #[error("{isr} in-sync replicas after the append, {min} wanted")]
    NotEnoughReplicasAfterAppend { isr: usize, min: usize },
}

/// A request's `current_leader_epoch` is not this replica's (KIP-320).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EpochError {
    #[error("leader epoch {requested} is fenced by {current}")]
    Fenced { requested: LeaderEpoch, current: LeaderEpoch },
    #[error("leader epoch {requested} is not known yet, at {current}")]
    Unknown { requested: LeaderEpoch, current: LeaderEpoch },
    #[error("not the leader")]
    NotLeader,
}

/// Why a follower's fetch does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FollowerFetchError {
    #[error(transparent)]
    Epoch(#[from] EpochError),
    /// Kafka answers `UNKNOWN_LEADER_EPOCH` if the request had an epoch, else `NOT_LEADER_OR_FOLLOWER`.
    #[error("broker {broker} is no replica")]
    NotReplica { broker: BrokerId, epoch_given: bool },
    /// Kafka answers `NOT_LEADER_OR_FOLLOWER`.
    #[error("broker epoch {requested} is older than {registered}")]
    StaleBroker { requested: i64, registered: i64 },
    #[error("fetch offset {requested} is beyond the log end {leo}")]
    OutOfRange { requested: Offset, leo: Offset },
}

/// Only a follower truncates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a leader does not truncate its log")]
pub struct NotFollower;
