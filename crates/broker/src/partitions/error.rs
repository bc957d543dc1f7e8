//! Why a partition refuses; `error_map` says which of Kafka's codes each is.

use ottla_model::LeaderEpoch;
use ottla_replication::{AcksError, EpochError, FollowerFetchError, RegistrationError};
use ottla_storage::{FileSlice, ReadError, StorageError};

/// Why nothing was appended, or was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    #[error("not the leader")]
    NotLeader,
    #[error("{isr} in-sync replicas, {min} wanted")]
    NotEnoughReplicas { isr: usize, min: usize },
    #[error("{isr} in-sync replicas after the append, {min} wanted")]
    NotEnoughReplicasAfterAppend { isr: usize, min: usize },
    /// The memory for idempotent producers is full, and this one is new.
    #[error("as many idempotent producers are remembered as there is memory for; try again later")]
    TooManyProducers,
    #[error(transparent)]
    Log(#[from] ottla_storage::AppendError),
}

impl From<ottla_replication::AppendError> for AppendError {
    fn from(error: ottla_replication::AppendError) -> Self {
        match error {
            ottla_replication::AppendError::NotLeader => Self::NotLeader,
            ottla_replication::AppendError::NotEnoughReplicas { isr, min } => {
                Self::NotEnoughReplicas { isr, min }
            }
        }
    }
}

impl From<AcksError> for AppendError {
    fn from(error: AcksError) -> Self {
        match error {
            AcksError::NotLeader => Self::NotLeader,
            AcksError::NotEnoughReplicasAfterAppend { isr, min } => {
                Self::NotEnoughReplicasAfterAppend { isr, min }
            }
        }
    }
}

/// Why anything else on a partition was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PartitionError {
    #[error("not the leader")]
    NotLeader,
    #[error("the offset is out of range")]
    OffsetOutOfRange,
    #[error("cleanup.policy does not let records be deleted")]
    PolicyViolation,
    #[error("leader epoch {requested} is fenced by {current}")]
    FencedLeaderEpoch { requested: LeaderEpoch, current: LeaderEpoch },
    #[error("leader epoch {requested} is not known yet")]
    UnknownLeaderEpoch { requested: LeaderEpoch, current: LeaderEpoch },
    /// A follower of another epoch, as far as it says one, that the assignment does not name.
    #[error("a replica that is not known")]
    UnknownReplica { epoch_given: bool },
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// For who must not wait for the disk: these bytes are there only.
    #[error("not in memory")]
    OnDisk(FileSlice),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<EpochError> for PartitionError {
    fn from(error: EpochError) -> Self {
        match error {
            EpochError::Fenced { requested, current } => Self::FencedLeaderEpoch { requested, current },
            EpochError::Unknown { requested, current } => Self::UnknownLeaderEpoch { requested, current },
            EpochError::NotLeader => Self::NotLeader,
        }
    }
}

impl From<FollowerFetchError> for PartitionError {
    fn from(error: FollowerFetchError) -> Self {
        match error {
            FollowerFetchError::Epoch(error) => error.into(),
            FollowerFetchError::NotReplica { epoch_given, .. } => Self::UnknownReplica { epoch_given },
            FollowerFetchError::StaleBroker { .. } => Self::NotLeader,
            FollowerFetchError::OutOfRange { .. } => Self::OffsetOutOfRange,
        }
    }
}

impl From<ReadError> for PartitionError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::OffsetOutOfRange { .. } => Self::OffsetOutOfRange,
            ReadError::Storage(error) => Self::Storage(error),
        }
    }
}
