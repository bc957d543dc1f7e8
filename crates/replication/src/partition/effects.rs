//! What a [`PartitionMachine`](super::PartitionMachine) asks of the shell.

use ottla_model::{BrokerId, LeaderEpoch, Offset, PartitionEpoch};

/// What follows from one step. The default is "nothing", and costs no allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Effects {
    /// The high watermark has moved to here: complete parked produces, wake consumers' fetches.
    pub high_watermark: Option<Offset>,
    /// The LEO has moved to here: wake followers' fetches.
    pub log_end: Option<Offset>,
    pub role: Option<RoleChange>,
    /// Send AlterPartition (KIP-497) and report the answer.
    pub alter_partition: Option<Box<IsrProposal>>,
    /// This member of the ISR fetched from below the HW: it has lost committed records (or an old request of it came
    /// late). A fact to log.
    pub lost_committed: Option<BrokerId>,
}

impl Effects {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.high_watermark.is_none()
            && self.log_end.is_none()
            && self.role.is_none()
            && self.alter_partition.is_none()
            && self.lost_committed.is_none()
    }
}

/// A new leader, or a new epoch of the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleChange {
    /// Write (`leader_epoch`, `epoch_start`) to the log's epoch cache before the first append: a follower with records
    /// of a later epoch than any in this log must find out where to truncate (KIP-101).
    Leader { leader_epoch: LeaderEpoch, epoch_start: Offset },
    /// Fail parked operations, stop fetching from the old leader, truncate, fetch from `leader`.
    Follower { leader_epoch: LeaderEpoch, leader: Option<BrokerId> },
    /// Fail parked operations; this replica is gone until the next machine.
    Offline,
}

/// An ISR that the leader asks the controller to commit (AlterPartition).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrProposal {
    pub leader_epoch: LeaderEpoch,
    /// The registration that this changes; comes back with the answer.
    pub partition_epoch: PartitionEpoch,
    /// In the order of the replicas.
    pub isr: Vec<IsrMember>,
    /// Flush the log up to here before sending: the ISR shrinks to this broker, whose page cache would else be the only
    /// place of acknowledged records.
    pub flush_first: Option<Offset>,
}

/// A proposed member and the broker epoch it was seen with (KIP-903); `None` for the leader itself, and where the
/// follower sent none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsrMember {
    pub broker: BrokerId,
    pub broker_epoch: Option<i64>,
}
