//! One member of a consumer group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_model::TopicId;

use crate::records::{ClassicMemberMetadata, ClassicProtocol};
use crate::{InstanceId, MemberId};

/// The epoch that a member sends to join.
pub const JOIN_EPOCH: i32 = 0;
/// The epoch that a member sends to leave.
pub const LEAVE_EPOCH: i32 = -1;
/// The epoch that a static member sends to leave for a while; its instance id then waits under this epoch.
pub const STATIC_LEAVE_EPOCH: i32 = -2;

/// Partitions by topic, with the member epoch at which each was assigned.
pub type EpochAssignment = BTreeMap<TopicId, BTreeMap<i32, i32>>;

/// Where a member stands on its way to its target assignment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberState {
    /// Has all of its target assignment at its epoch.
    #[default]
    Stable,
    /// Must give up partitions first; stays in its epoch until it has said so.
    UnrevokedPartitions,
    /// Waits for partitions that others have not given up yet.
    UnreleasedPartitions,
    /// Written by a newer version.
    Unknown,
}

impl MemberState {
    /// The number in `ConsumerGroupCurrentMemberAssignmentValue.State`.
    #[must_use]
    pub const fn code(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::UnrevokedPartitions => 1,
            Self::UnreleasedPartitions => 2,
            Self::Unknown => 127,
        }
    }

    /// The state of this number; `Unknown` for one that we do not know.
    #[must_use]
    pub const fn from_code(code: i8) -> Self {
        match code {
            0 => Self::Stable,
            1 => Self::UnrevokedPartitions,
            2 => Self::UnreleasedPartitions,
            _ => Self::Unknown,
        }
    }
}

/// A member as the records tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroupMember {
    pub member_id: MemberId,
    pub member_epoch: i32,
    /// The epoch before, which a member may still send if it missed the last answer.
    pub previous_member_epoch: i32,
    pub state: MemberState,
    pub instance_id: Option<InstanceId>,
    pub rack_id: Option<Arc<str>>,
    /// -1 until the member has said.
    pub rebalance_timeout_ms: i32,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub subscribed_topic_names: BTreeSet<Arc<str>>,
    /// Empty or `None`: no regular expression.
    pub subscribed_topic_regex: Option<Arc<str>>,
    pub server_assignor: Option<Arc<str>>,
    pub assigned: EpochAssignment,
    pub pending_revocation: EpochAssignment,
    /// Set for a member that speaks the classic protocol (online migration).
    pub classic: Option<ClassicMemberMetadata>,
}

impl ConsumerGroupMember {
    /// A member of which only the id is known yet.
    #[must_use]
    pub fn new(member_id: MemberId) -> Self {
        Self {
            member_id,
            member_epoch: 0,
            previous_member_epoch: -1,
            state: MemberState::Stable,
            instance_id: None,
            rack_id: None,
            rebalance_timeout_ms: -1,
            client_id: Arc::from(""),
            client_host: Arc::from(""),
            subscribed_topic_names: BTreeSet::new(),
            subscribed_topic_regex: Some(Arc::from("")),
            server_assignor: None,
            assigned: EpochAssignment::new(),
            pending_revocation: EpochAssignment::new(),
            classic: None,
        }
    }

    /// The regular expression, if there is one.
    #[must_use]
    pub fn regex(&self) -> Option<&Arc<str>> {
        self.subscribed_topic_regex.as_ref().filter(|r| !r.is_empty())
    }

    /// Whether the member has reached this target assignment and needs nothing more.
    #[must_use]
    pub fn is_reconciled_to(&self, target_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.member_epoch == target_epoch
    }

    #[must_use]
    pub const fn uses_classic_protocol(&self) -> bool {
        self.classic.is_some()
    }

    /// The protocol that a classic member is told in the answer to its join.
    #[must_use]
    pub fn first_classic_protocol(&self) -> Option<&ClassicProtocol> {
        self.classic.as_ref().and_then(|classic| classic.supported_protocols.first())
    }

    /// The epoch at which the partition was assigned, also while it is being revoked.
    #[must_use]
    pub fn assignment_epoch(&self, topic_id: TopicId, partition: i32) -> Option<i32> {
        let of = |a: &EpochAssignment| a.get(&topic_id).and_then(|ps| ps.get(&partition)).copied();
        of(&self.assigned).or_else(|| of(&self.pending_revocation))
    }

    /// The same member in a new epoch, remembering the old one.
    pub(crate) fn advance_to(&mut self, epoch: i32) {
        self.previous_member_epoch = self.member_epoch;
        self.member_epoch = epoch;
    }
}
