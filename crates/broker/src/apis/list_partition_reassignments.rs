//! ListPartitionReassignments (KIP-455): the moves that go on.

use std::sync::Arc;

use ottla_metadata::{PartitionRegistration, TopicImage};
use ottla_model::BrokerId;
use ottla_protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use ottla_protocol::messages::{
    BrokerId as WireBrokerId, ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
    StrBytes, TopicName,
};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::metadata_view::MetadataView;

/// Answers from the published image.
#[derive(Debug)]
pub(crate) struct ListPartitionReassignments {
    pub view: Arc<MetadataView>,
}

impl Handler for ListPartitionReassignments {
    type Request = ListPartitionReassignmentsRequest;

    fn handle(
        &self,
        _: &RequestContext,
        request: ListPartitionReassignmentsRequest,
    ) -> Reply<ListPartitionReassignmentsResponse> {
        let image = self.view.image();
        let topics: Vec<OngoingTopicReassignment> = match &request.topics {
            None => image.topics().iter().filter_map(|topic| ongoing(topic, topic.partitions())).collect(),
            Some(asked) => {
                let known = asked.iter().filter_map(|asked| Some((image.topic(&asked.name)?, asked)));
                let listed = known.filter_map(|(topic, asked)| {
                    let indexes = asked.partition_indexes.iter();
                    ongoing(topic, indexes.filter_map(|index| Some((*index, topic.partition(*index)?))))
                });
                listed.collect()
            }
        };
        let response = ListPartitionReassignmentsResponse::default().with_error_message(None);
        Reply::Ready(response.with_topics(topics))
    }
}

/// Those of a topic's partitions that move; `None` if none does.
fn ongoing<'a>(
    topic: &TopicImage,
    partitions: impl Iterator<Item = (i32, &'a Arc<PartitionRegistration>)>,
) -> Option<OngoingTopicReassignment> {
    let moving = partitions.filter(|(_, partition)| partition.is_reassigning());
    let partitions: Vec<_> = moving
        .map(|(index, partition)| {
            OngoingPartitionReassignment::default()
                .with_partition_index(index)
                .with_replicas(wire(&partition.replicas))
                .with_adding_replicas(wire(&partition.adding_replicas))
                .with_removing_replicas(wire(&partition.removing_replicas))
        })
        .collect();
    if partitions.is_empty() {
        return None;
    }
    let name = TopicName(StrBytes::from_string(topic.name.to_string()));
    Some(OngoingTopicReassignment::default().with_name(name).with_partitions(partitions))
}

fn wire(ids: &[BrokerId]) -> Vec<WireBrokerId> {
    ids.iter().map(|id| id.get().into()).collect()
}
