//! ConsumerGroupDescribe: the group as admin clients see it.

use std::sync::Arc;

use ottla_model::TopicId;

use super::context::ConsumerGroupSettings;
use super::group::{ConsumerGroup, ConsumerGroupState};
use super::member::ConsumerGroupMember;
use super::target;
use super::topics::TopicDirectory;
use crate::assignor::Assignment;
use crate::{GroupId, InstanceId, MemberId};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedConsumerGroup {
    pub group_id: GroupId,
    pub state: ConsumerGroupState,
    pub group_epoch: i32,
    pub assignment_epoch: i32,
    pub assignor: &'static str,
    pub members: Vec<DescribedMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    pub rack_id: Option<Arc<str>>,
    pub member_epoch: i32,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub subscribed_topic_names: Vec<Arc<str>>,
    pub subscribed_topic_regex: Option<Arc<str>>,
    /// What the member owns, also what it is to give up.
    pub assignment: Vec<TopicPartitionsByName>,
    pub target_assignment: Vec<TopicPartitionsByName>,
    /// Speaks the classic protocol (`MemberType` 0, else 1).
    pub is_classic: bool,
}

/// Partitions of a topic that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPartitionsByName {
    pub topic_id: TopicId,
    pub topic: Arc<str>,
    pub partitions: Vec<i32>,
}

/// Describes a group; topics that no longer exist are left out.
#[must_use]
pub fn describe(
    group: &ConsumerGroup,
    topics: &dyn TopicDirectory,
    settings: &ConsumerGroupSettings,
) -> DescribedConsumerGroup {
    DescribedConsumerGroup {
        group_id: group.group_id.clone(),
        state: group.state(),
        group_epoch: group.epoch,
        assignment_epoch: group.target_epoch,
        assignor: target::preferred_assignor(group, None, settings).name(),
        members: group.members.values().map(|m| describe_member(group, m, topics)).collect(),
    }
}

fn describe_member(
    group: &ConsumerGroup,
    member: &ConsumerGroupMember,
    topics: &dyn TopicDirectory,
) -> DescribedMember {
    let mut owned = Assignment::new();
    for (topic_id, partitions) in member.assigned.iter().chain(&member.pending_revocation) {
        owned.entry(*topic_id).or_default().extend(partitions.keys());
    }
    let none = Assignment::new();
    DescribedMember {
        member_id: member.member_id.clone(),
        instance_id: member.instance_id.clone(),
        rack_id: member.rack_id.clone(),
        member_epoch: member.member_epoch,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        subscribed_topic_names: member.subscribed_topic_names.iter().cloned().collect(),
        subscribed_topic_regex: member.subscribed_topic_regex.clone(),
        assignment: by_name(&owned, topics),
        target_assignment: by_name(group.target(&member.member_id).unwrap_or(&none), topics),
        is_classic: member.uses_classic_protocol(),
    }
}

fn by_name(assignment: &Assignment, topics: &dyn TopicDirectory) -> Vec<TopicPartitionsByName> {
    let known = assignment.iter().filter_map(|(id, ps)| topics.topic_by_id(*id).map(|t| (t, ps)));
    known
        .map(|(topic, partitions)| TopicPartitionsByName {
            topic_id: topic.id,
            topic: topic.name,
            partitions: partitions.iter().copied().collect(),
        })
        .collect()
}
