//! From records back to the group: the only way in which its hard state changes.

use std::collections::{BTreeMap, BTreeSet};

use super::group::{ConsumerGroup, IllegalRecord};
use super::member::{ConsumerGroupMember, EpochAssignment, LEAVE_EPOCH, MemberState};
use super::regex::ResolvedRegex;
use crate::MemberId;
use crate::assignor::Assignment;
use crate::records::{
    ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataValue,
    ConsumerGroupTargetAssignmentMemberValue, GroupRecord, OwnedTopicPartitions,
};

/// What becomes of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Lives,
    /// That was its last tombstone.
    Removed,
}

impl ConsumerGroup {
    /// Applies one of this group's records; other groups' and other types' are not for here.
    ///
    /// The shard creates the group for a value and skips a tombstone of a group that it does not know.
    ///
    /// # Errors
    /// [`IllegalRecord`] if the record contradicts the state.
    pub fn replay(&mut self, record: &GroupRecord) -> Result<Fate, IllegalRecord> {
        match record {
            GroupRecord::ConsumerGroupMetadata(_, Some(value)) => {
                self.apply_epoch(value.epoch, value.metadata_hash);
            }
            GroupRecord::ConsumerGroupMetadata(_, None) => {
                return self.check_removable().map(|()| Fate::Removed);
            }
            GroupRecord::ConsumerGroupPartitionMetadata(_, value) => {
                self.apply_partition_metadata(value.is_some());
            }
            GroupRecord::ConsumerGroupMemberMetadata(key, Some(value)) => {
                self.apply_member(described(self.known(&key.member), value))?;
            }
            GroupRecord::ConsumerGroupMemberMetadata(key, None) => self.apply_member_removed(&key.member)?,
            GroupRecord::ConsumerGroupTargetAssignmentMetadata(_, Some(value)) => {
                self.apply_target_epoch(value.assignment_epoch, value.assignment_timestamp.get());
            }
            GroupRecord::ConsumerGroupTargetAssignmentMetadata(_, None) => {
                self.apply_target_epoch_removed()?;
            }
            GroupRecord::ConsumerGroupTargetAssignmentMember(key, Some(value)) => {
                self.apply_target(key.member.clone(), target_of(value));
            }
            GroupRecord::ConsumerGroupTargetAssignmentMember(key, None) => {
                self.apply_target_removed(&key.member);
            }
            GroupRecord::ConsumerGroupCurrentMemberAssignment(key, Some(value)) => {
                self.apply_member(assigned(self.known(&key.member), value))?;
            }
            GroupRecord::ConsumerGroupCurrentMemberAssignment(key, None) => {
                if self.members.contains_key(&key.member) {
                    self.apply_member(unassigned(self.known(&key.member)))?;
                }
            }
            GroupRecord::ConsumerGroupRegularExpression(key, Some(value)) => {
                let resolved = ResolvedRegex {
                    topics: value.topics.iter().cloned().collect(),
                    version: value.version,
                    timestamp_ms: value.timestamp.get(),
                };
                self.apply_regex(key.regex.clone(), resolved);
            }
            GroupRecord::ConsumerGroupRegularExpression(key, None) => self.apply_regex_removed(&key.regex),
            GroupRecord::OffsetCommit(..) | GroupRecord::GroupMetadata(..) | GroupRecord::Unknown { .. } => {}
        }
        Ok(Fate::Lives)
    }

    fn known(&self, member_id: &MemberId) -> ConsumerGroupMember {
        self.member(member_id).cloned().unwrap_or_else(|| ConsumerGroupMember::new(member_id.clone()))
    }
}

fn described(
    mut member: ConsumerGroupMember,
    value: &ConsumerGroupMemberMetadataValue,
) -> ConsumerGroupMember {
    member.instance_id.clone_from(&value.instance_id);
    member.rack_id.clone_from(&value.rack_id);
    member.client_id = value.client_id.clone();
    member.client_host = value.client_host.clone();
    member.subscribed_topic_names = value.subscribed_topic_names.iter().cloned().collect();
    member.subscribed_topic_regex.clone_from(&value.subscribed_topic_regex);
    member.rebalance_timeout_ms = value.rebalance_timeout_ms;
    member.server_assignor.clone_from(&value.server_assignor);
    member.classic.clone_from(&value.classic_member_metadata);
    member
}

fn assigned(
    mut member: ConsumerGroupMember,
    value: &ConsumerGroupCurrentMemberAssignmentValue,
) -> ConsumerGroupMember {
    member.member_epoch = value.member_epoch;
    member.previous_member_epoch = value.previous_member_epoch;
    member.state = MemberState::from_code(value.state);
    member.assigned = with_epochs(&value.assigned_partitions, value.member_epoch);
    member.pending_revocation = with_epochs(&value.partitions_pending_revocation, value.member_epoch);
    member
}

fn unassigned(mut member: ConsumerGroupMember) -> ConsumerGroupMember {
    member.member_epoch = LEAVE_EPOCH;
    member.previous_member_epoch = LEAVE_EPOCH;
    member.assigned.clear();
    member.pending_revocation.clear();
    member
}

/// Records of Kafka before 4.2 carry no assignment epochs: the member's epoch stands in.
fn with_epochs(topics: &[OwnedTopicPartitions], member_epoch: i32) -> EpochAssignment {
    let fallback = member_epoch.max(0);
    let epochs_of = |topic: &OwnedTopicPartitions| -> BTreeMap<i32, i32> {
        match &topic.assignment_epochs {
            Some(epochs) if epochs.len() == topic.partitions.len() => {
                topic.partitions.iter().copied().zip(epochs.iter().copied()).collect()
            }
            _ => topic.partitions.iter().map(|p| (*p, fallback)).collect(),
        }
    };
    topics.iter().map(|topic| (topic.topic_id, epochs_of(topic))).collect()
}

fn target_of(value: &ConsumerGroupTargetAssignmentMemberValue) -> Assignment {
    let partitions = |of: &Vec<i32>| of.iter().copied().collect::<BTreeSet<i32>>();
    value.topic_partitions.iter().map(|t| (t.topic_id, partitions(&t.partitions))).collect()
}
