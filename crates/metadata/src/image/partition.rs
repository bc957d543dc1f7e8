//! One partition's place in the cluster.

use ottla_model::{BrokerId, LeaderEpoch, PartitionEpoch, TopicId};

use crate::record::{DirectoryId, PartitionChangeRecord, PartitionRecord};

/// Whether a leader that was elected uncleanly still recovers (KIP-704).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeaderRecoveryState {
    #[default]
    Recovered,
    Recovering,
}

impl LeaderRecoveryState {
    #[must_use]
    pub const fn id(self) -> i8 {
        match self {
            Self::Recovered => 0,
            Self::Recovering => 1,
        }
    }

    #[must_use]
    pub const fn from_id(id: i8) -> Option<Self> {
        match id {
            0 => Some(Self::Recovered),
            1 => Some(Self::Recovering),
            _ => None,
        }
    }
}

/// Replicas, leader and in-sync set of a partition. Lists of brokers keep the order they were given in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRegistration {
    /// The preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// The log directory of each replica, in the order of `replicas`.
    pub directories: Vec<DirectoryId>,
    pub isr: Vec<BrokerId>,
    pub removing_replicas: Vec<BrokerId>,
    pub adding_replicas: Vec<BrokerId>,
    /// Eligible leader replicas (KIP-966).
    pub elr: Vec<BrokerId>,
    pub last_known_elr: Vec<BrokerId>,
    /// [`BrokerId::NONE`] if there is none.
    pub leader: BrokerId,
    pub leader_recovery_state: LeaderRecoveryState,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
}

impl PartitionRegistration {
    #[must_use]
    pub const fn has_leader(&self) -> bool {
        self.leader.get() >= 0
    }

    /// Whether the partition moves to other brokers (KIP-455).
    #[must_use]
    pub const fn is_reassigning(&self) -> bool {
        !self.removing_replicas.is_empty() || !self.adding_replicas.is_empty()
    }

    /// The log directory a broker keeps its replica in; `None` if it has no replica.
    #[must_use]
    pub fn directory(&self, broker: BrokerId) -> Option<DirectoryId> {
        let index = self.replicas.iter().position(|replica| *replica == broker)?;
        Some(self.directories.get(index).copied().unwrap_or(DirectoryId::UNASSIGNED))
    }

    /// The record that registers the partition as it is.
    #[must_use]
    pub fn to_record(&self, topic_id: TopicId, partition_id: i32) -> PartitionRecord {
        PartitionRecord {
            partition_id,
            topic_id,
            replicas: self.replicas.clone(),
            isr: self.isr.clone(),
            removing_replicas: self.removing_replicas.clone(),
            adding_replicas: self.adding_replicas.clone(),
            leader: self.leader,
            leader_recovery_state: self.leader_recovery_state,
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            directories: self.directories.clone(),
            elr: self.elr.clone(),
            last_known_elr: self.last_known_elr.clone(),
        }
    }

    /// The partition as it is once the record is replayed.
    #[must_use]
    pub fn after(&self, change: &PartitionChangeRecord) -> Self {
        let mut after = self.clone();
        after.apply(change);
        after
    }

    pub(super) fn apply(&mut self, change: &PartitionChangeRecord) {
        assign(&mut self.isr, change.isr.as_ref());
        assign(&mut self.replicas, change.replicas.as_ref());
        assign(&mut self.removing_replicas, change.removing_replicas.as_ref());
        assign(&mut self.adding_replicas, change.adding_replicas.as_ref());
        assign(&mut self.directories, change.directories.as_ref());
        assign(&mut self.elr, change.elr.as_ref());
        assign(&mut self.last_known_elr, change.last_known_elr.as_ref());
        if let Some(state) = change.leader_recovery_state {
            self.leader_recovery_state = state;
        }
        if let Some(leader) = change.leader {
            self.leader = leader;
            self.leader_epoch = LeaderEpoch(self.leader_epoch.get().saturating_add(1));
        }
        self.partition_epoch = PartitionEpoch(self.partition_epoch.get().saturating_add(1));
    }
}

impl From<&PartitionRecord> for PartitionRegistration {
    fn from(record: &PartitionRecord) -> Self {
        Self {
            replicas: record.replicas.clone(),
            directories: record.directories.clone(),
            isr: record.isr.clone(),
            removing_replicas: record.removing_replicas.clone(),
            adding_replicas: record.adding_replicas.clone(),
            elr: record.elr.clone(),
            last_known_elr: record.last_known_elr.clone(),
            leader: record.leader,
            leader_recovery_state: record.leader_recovery_state,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
        }
    }
}

fn assign<T: Clone>(to: &mut Vec<T>, from: Option<&Vec<T>>) {
    if let Some(from) = from {
        to.clone_from(from);
    }
}
