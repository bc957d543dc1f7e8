//! The group's records, as Kafka's `GroupCoordinatorRecordHelpers` fills them.

use std::sync::Arc;

use ottla_model::TimestampMs;

use super::group::ConsumerGroup;
use super::member::{ConsumerGroupMember, EpochAssignment};
use super::regex::ResolvedRegex;
use crate::assignor::Assignment;
use crate::records::{
    ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataValue,
    ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataValue, GroupRecord, MemberKey, OwnedTopicPartitions, RegexKey,
    TopicPartitions,
};
use crate::{GroupId, MemberId};

fn key(group: &GroupId, member: &MemberId) -> MemberKey {
    MemberKey { group: group.clone(), member: member.clone() }
}

pub(super) fn member(group: &GroupId, member: &ConsumerGroupMember) -> GroupRecord {
    let value = ConsumerGroupMemberMetadataValue {
        instance_id: member.instance_id.clone(),
        rack_id: member.rack_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        subscribed_topic_names: member.subscribed_topic_names.iter().cloned().collect(),
        subscribed_topic_regex: member.subscribed_topic_regex.clone(),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        server_assignor: member.server_assignor.clone(),
        classic_member_metadata: member.classic.clone(),
    };
    GroupRecord::ConsumerGroupMemberMetadata(key(group, &member.member_id), Some(value))
}

pub(super) fn epoch(group: &GroupId, epoch: i32, metadata_hash: i64) -> GroupRecord {
    let value = ConsumerGroupMetadataValue { epoch, metadata_hash };
    GroupRecord::ConsumerGroupMetadata(group.clone(), Some(value))
}

pub(super) fn partition_metadata_tombstone(group: &GroupId) -> GroupRecord {
    GroupRecord::ConsumerGroupPartitionMetadata(group.clone(), None)
}

pub(super) fn target(group: &GroupId, member: &MemberId, target: &Assignment) -> GroupRecord {
    let topic_partitions = target
        .iter()
        .map(|(topic_id, partitions)| TopicPartitions {
            topic_id: *topic_id,
            partitions: partitions.iter().copied().collect(),
        })
        .collect();
    let value = ConsumerGroupTargetAssignmentMemberValue { topic_partitions };
    GroupRecord::ConsumerGroupTargetAssignmentMember(key(group, member), Some(value))
}

pub(super) fn target_epoch(group: &GroupId, epoch: i32, computed_at: TimestampMs) -> GroupRecord {
    let value = ConsumerGroupTargetAssignmentMetadataValue {
        assignment_epoch: epoch,
        assignment_timestamp: computed_at,
    };
    GroupRecord::ConsumerGroupTargetAssignmentMetadata(group.clone(), Some(value))
}

pub(super) fn current(group: &GroupId, member: &ConsumerGroupMember) -> GroupRecord {
    let value = ConsumerGroupCurrentMemberAssignmentValue {
        member_epoch: member.member_epoch,
        previous_member_epoch: member.previous_member_epoch,
        state: member.state.code(),
        assigned_partitions: owned(&member.assigned),
        partitions_pending_revocation: owned(&member.pending_revocation),
    };
    GroupRecord::ConsumerGroupCurrentMemberAssignment(key(group, &member.member_id), Some(value))
}

fn owned(assignment: &EpochAssignment) -> Vec<OwnedTopicPartitions> {
    assignment
        .iter()
        .map(|(topic_id, partitions)| OwnedTopicPartitions {
            topic_id: *topic_id,
            partitions: partitions.keys().copied().collect(),
            assignment_epochs: Some(partitions.values().copied().collect()),
        })
        .collect()
}

pub(super) fn regex(group: &GroupId, regex: &Arc<str>, resolved: &ResolvedRegex) -> GroupRecord {
    let key = RegexKey { group: group.clone(), regex: regex.clone() };
    let value = ConsumerGroupRegularExpressionValue {
        topics: resolved.topics.iter().cloned().collect(),
        version: resolved.version,
        timestamp: TimestampMs(resolved.timestamp_ms),
    };
    GroupRecord::ConsumerGroupRegularExpression(key, Some(value))
}

pub(super) fn regex_tombstone(group: &GroupId, regex: &Arc<str>) -> GroupRecord {
    let key = RegexKey { group: group.clone(), regex: regex.clone() };
    GroupRecord::ConsumerGroupRegularExpression(key, None)
}

fn current_tombstone(group: &GroupId, member: &MemberId) -> GroupRecord {
    GroupRecord::ConsumerGroupCurrentMemberAssignment(key(group, member), None)
}

fn target_tombstone(group: &GroupId, member: &MemberId) -> GroupRecord {
    GroupRecord::ConsumerGroupTargetAssignmentMember(key(group, member), None)
}

fn member_tombstone(group: &GroupId, member: &MemberId) -> GroupRecord {
    GroupRecord::ConsumerGroupMemberMetadata(key(group, member), None)
}

/// The tombstones of one member, in the order that replay requires.
pub(super) fn member_tombstones(group: &GroupId, member: &MemberId) -> [GroupRecord; 3] {
    [current_tombstone(group, member), target_tombstone(group, member), member_tombstone(group, member)]
}

/// The tombstones of a whole group (DeleteGroups, or another type takes its place), in the order that replay requires.
#[must_use]
pub fn tombstones(group: &ConsumerGroup) -> Vec<GroupRecord> {
    tombstones_with(group, group.members.keys())
}

/// As [`tombstones`], after the records that put `joining` in the place of the static member with its instance id.
pub(crate) fn tombstones_after_replacing(
    group: &ConsumerGroup,
    joining: &ConsumerGroupMember,
) -> Vec<GroupRecord> {
    let replaced = joining.instance_id.as_ref().and_then(|instance| group.static_members.get(instance));
    let members = group.members.keys();
    tombstones_with(group, members.map(|m| if Some(m) == replaced { &joining.member_id } else { m }))
}

fn tombstones_with<'a>(
    group: &ConsumerGroup,
    members: impl Iterator<Item = &'a MemberId> + Clone,
) -> Vec<GroupRecord> {
    let id = &group.group_id;
    let mut out: Vec<GroupRecord> = Vec::new();
    out.extend(members.clone().map(|m| current_tombstone(id, m)));
    out.extend(members.clone().map(|m| target_tombstone(id, m)));
    out.push(GroupRecord::ConsumerGroupTargetAssignmentMetadata(id.clone(), None));
    out.extend(members.map(|m| member_tombstone(id, m)));
    out.extend(group.resolved_regexes.keys().map(|r| regex_tombstone(id, r)));
    out.push(partition_metadata_tombstone(id));
    out.push(GroupRecord::ConsumerGroupMetadata(id.clone(), None));
    out
}
