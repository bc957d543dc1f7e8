//! Server-side assignors (KIP-848): who shall own which partition.
//!
//! Pure functions of a `GroupSpec`. Racks are no part of it: the assignors of Kafka 4.4 are offered them and never ask;
//! a change of racks moves the group's epoch (KIP-1101, `consumer::metadata_hash`) and no partition. Members and topics are visited in their sorted order, where Kafka visits them in
//! the order of a hash map: the same guarantees, and the same answer for the same input on every run.

mod balancer;
mod heterogeneous;
mod homogeneous;
mod range;

use std::collections::{BTreeMap, BTreeSet};

use crate::{InstanceId, MemberId};
use ottla_model::TopicId;

/// Partitions by topic: what one member owns or shall own. A topic without partitions has no entry.
pub type Assignment = BTreeMap<TopicId, BTreeSet<i32>>;

/// Target assignment by member id.
pub type GroupAssignment = BTreeMap<MemberId, Assignment>;

/// What an assignor may know of one member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberSpec {
    pub instance_id: Option<InstanceId>,
    /// Ids of the topics that the member subscribes to and that exist.
    pub subscribed: BTreeSet<TopicId>,
    /// The member's part of the last target assignment.
    pub assigned: Assignment,
}

/// Whether all members subscribe to the same topics; decides the algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionType {
    Homogeneous,
    Heterogeneous,
}

/// The input of an assignor.
#[derive(Clone, Debug)]
pub struct GroupSpec {
    pub members: BTreeMap<MemberId, MemberSpec>,
    pub subscription_type: SubscriptionType,
    /// Partition count of each topic that a member subscribes to.
    pub partition_counts: BTreeMap<TopicId, i32>,
}

impl GroupSpec {
    fn partition_count(&self, topic_id: TopicId) -> Result<i32, AssignError> {
        self.partition_counts.get(&topic_id).copied().ok_or(AssignError::UnknownTopic(topic_id))
    }
}

/// Why there is no assignment. A broken input, never a client's mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssignError {
    #[error("members are subscribed to topic {0} which doesn't exist in the topic metadata")]
    UnknownTopic(TopicId),
    #[error("partitions were left unassigned")]
    LeftOver,
}

/// The assignors of `group.consumer.assignors` that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assignor {
    /// Balanced and sticky; does not keep partitions of the same number together.
    Uniform,
    /// Contiguous ranges by member order; co-partitions topics of the same size.
    Range,
}

impl Assignor {
    /// Every assignor, in the order of the default of `group.consumer.assignors`; the first is the default.
    pub const ALL: [Self; 2] = [Self::Uniform, Self::Range];

    /// The name that clients and settings use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// The assignor of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name() == name)
    }

    /// Gives each partition of each subscribed topic to one of its subscribers.
    ///
    /// # Errors
    /// `AssignError` if the input names a topic without a partition count, or (never seen) a partition is left over.
    pub fn assign(self, spec: &GroupSpec) -> Result<GroupAssignment, AssignError> {
        if spec.members.is_empty() {
            return Ok(GroupAssignment::new());
        }
        match (self, spec.subscription_type) {
            (Self::Range, _) => range::assign(spec),
            (Self::Uniform, SubscriptionType::Homogeneous) => homogeneous::assign(spec),
            (Self::Uniform, SubscriptionType::Heterogeneous) => heterogeneous::assign(spec),
        }
    }
}

/// A count from the metadata (never negative) as a length.
fn length(count: i32) -> usize {
    usize::try_from(count).unwrap_or(0)
}

#[cfg(test)]
mod tests;
