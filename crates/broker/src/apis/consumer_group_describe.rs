//! ConsumerGroupDescribe (KIP-848): consumer groups with their members and assignments.

use std::sync::Arc;

use ottla_group_coordinator::consumer::{DescribedConsumerGroup, DescribedMember, TopicPartitionsByName};
use ottla_group_coordinator::{GroupError, GroupId};
use ottla_metadata::GROUP_VERSION;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::consumer_group_describe_response::{
    Assignment, DescribedGroup, Member, TopicPartitions,
};
use ottla_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, GroupId as WireGroupId, StrBytes, TopicName,
};

use crate::authorized_operations as operations;
use crate::dispatch::{AnswerLimit, Handler, Reply, RequestContext};
use crate::groups::{Groups, wire};
use crate::metadata_view::MetadataView;

/// Answers from the committed state.
#[derive(Debug)]
pub(crate) struct ConsumerGroupDescribe {
    pub groups: Arc<Groups>,
    pub view: Arc<MetadataView>,
    /// `group.coordinator.rebalance.protocols` has them.
    pub enabled: bool,
}

impl Handler for ConsumerGroupDescribe {
    type Request = ConsumerGroupDescribeRequest;

    fn handle(
        &self,
        _: &RequestContext,
        request: ConsumerGroupDescribeRequest,
    ) -> Reply<ConsumerGroupDescribeResponse> {
        let asked = request.include_authorized_operations;
        let is_off = !self.enabled || self.view.image().features().level(GROUP_VERSION) == 0;
        let mut limit = AnswerLimit::new();
        let groups = request.group_ids.iter().map(|id| {
            if limit.is_reached() {
                // The rest is to be asked for anew.
                return refuse(id, GroupError::OutOfMemory.code(), None);
            }
            if is_off {
                return refuse(id, ErrorCode::UnsupportedVersion, None);
            }
            if id.is_empty() {
                return refuse(id, ErrorCode::InvalidGroupId, None);
            }
            let described =
                self.groups.read(id, |shard| shard.describe_consumer_group(&GroupId::from(id.as_str())));
            match described {
                Ok(Ok(group)) => found(id, &group, &mut limit)
                    .with_authorized_operations(operations::if_asked(asked, operations::GROUP)),
                Ok(Err(error)) => refuse(id, error.code(), Some(error.to_string())),
                Err(error) => refuse(id, error.code(), None),
            }
        });
        Reply::Ready(ConsumerGroupDescribeResponse::default().with_groups(groups.collect()))
    }
}

fn refuse(id: &WireGroupId, error: ErrorCode, message: Option<String>) -> DescribedGroup {
    DescribedGroup::default()
        .with_group_id(id.clone())
        .with_error_code(error.code())
        .with_error_message(message.map(StrBytes::from_string))
        .with_authorized_operations(operations::NOT_ASKED)
}

/// A member, a topic of a subscription or an assignment, and a partition in the answer, as they are in memory.
const MEMBER_LEN: usize = 768;
const TOPIC_LEN: usize = 160;
const PARTITION_LEN: usize = 4;

fn found(id: &WireGroupId, group: &DescribedConsumerGroup, limit: &mut AnswerLimit) -> DescribedGroup {
    for member in &group.members {
        let topics = member.assignment.iter().chain(&member.target_assignment);
        let partitions = topics.map(|topic| TOPIC_LEN + topic.partitions.len() * PARTITION_LEN);
        let topics = member.subscribed_topic_names.len() * TOPIC_LEN;
        limit.take(1, MEMBER_LEN + topics + partitions.sum::<usize>());
    }
    DescribedGroup::default()
        .with_group_id(id.clone())
        .with_group_state(StrBytes::from_static_str(group.state.name()))
        .with_group_epoch(group.group_epoch)
        .with_assignment_epoch(group.assignment_epoch)
        .with_assignor_name(StrBytes::from_static_str(group.assignor))
        .with_members(group.members.iter().map(member).collect())
}

fn member(member: &DescribedMember) -> Member {
    let names = member.subscribed_topic_names.iter().map(|name| TopicName(wire(name)));
    // KIP-1099: 0 is a classic member, 1 one of this protocol.
    let member_type = i8::from(!member.is_classic);
    Member::default()
        .with_member_id(wire(&member.member_id))
        .with_instance_id(member.instance_id.as_deref().map(wire))
        .with_rack_id(member.rack_id.as_deref().map(wire))
        .with_member_epoch(member.member_epoch)
        .with_client_id(wire(&member.client_id))
        .with_client_host(wire(&member.client_host))
        .with_subscribed_topic_names(names.collect())
        .with_subscribed_topic_regex(member.subscribed_topic_regex.as_deref().map(wire))
        .with_assignment(assignment(&member.assignment))
        .with_target_assignment(assignment(&member.target_assignment))
        .with_member_type(member_type)
}

fn assignment(topics: &[TopicPartitionsByName]) -> Assignment {
    let topics = topics.iter().map(|topic| {
        TopicPartitions::default()
            .with_topic_id(topic.topic_id.0)
            .with_topic_name(TopicName(wire(&topic.topic)))
            .with_partitions(topic.partitions.clone())
    });
    Assignment::default().with_topic_partitions(topics.collect())
}
