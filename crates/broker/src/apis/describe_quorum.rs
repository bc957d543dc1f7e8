//! DescribeQuorum (KIP-595, KIP-836, KIP-853): the voters of the metadata log.

use std::sync::Arc;

use ottla_controller::{Controller, ControllerError, QuorumStatus};
use ottla_metadata::MetadataImage;
use ottla_model::TimestampMs;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_quorum_request::TopicData as AskedTopic;
use ottla_protocol::messages::describe_quorum_response::{
    Listener, Node, PartitionData, ReplicaState, TopicData,
};
use ottla_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse, StrBytes};

use crate::clock::Clock;
use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;
use crate::metadata_view::MetadataView;

/// The only quorum there is: partition 0 of this.
const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

/// The first versions that say when a voter was seen (KIP-836), and where the voters are (KIP-853).
const FIRST_WITH_TIMES: i16 = 1;
const FIRST_WITH_NODES: i16 = 2;

/// Asks the controller.
#[derive(Debug)]
pub(crate) struct DescribeQuorum {
    pub controller: Controller,
    pub view: Arc<MetadataView>,
    pub clock: Clock,
}

impl Handler for DescribeQuorum {
    type Request = DescribeQuorumRequest;

    fn handle(
        &self,
        context: &RequestContext,
        request: DescribeQuorumRequest,
    ) -> Reply<DescribeQuorumResponse> {
        if !asks_for_the_quorum(&request.topics) {
            return Reply::Ready(unknown(&request.topics));
        }
        let version = context.version;
        let (controller, view, clock) = (self.controller.clone(), Arc::clone(&self.view), self.clock);
        Reply::ordered(async move {
            match controller.describe_quorum().await {
                Ok(status) => described(&status, &view.image(), clock.now().wall, version),
                Err(error) => failed(&error),
            }
        })
    }
}

fn asks_for_the_quorum(topics: &[AskedTopic]) -> bool {
    match topics {
        [topic] if topic.topic_name.as_str() == CLUSTER_METADATA_TOPIC => {
            matches!(topic.partitions.as_slice(), [partition] if partition.partition_index == 0)
        }
        _ => false,
    }
}

/// One wrong partition, and nothing is described.
fn unknown(asked: &[AskedTopic]) -> DescribeQuorumResponse {
    let topics = asked.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            PartitionData::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(ErrorCode::UnknownTopicOrPartition.code())
                .with_error_message(Some(StrBytes::from_static_str(
                    "This server does not host this topic-partition.",
                )))
                .with_leader_id(0.into())
        });
        TopicData::default().with_topic_name(topic.topic_name.clone()).with_partitions(partitions.collect())
    });
    DescribeQuorumResponse::default().with_topics(topics.collect())
}

fn described(
    status: &QuorumStatus,
    image: &MetadataImage,
    now: TimestampMs,
    version: i16,
) -> DescribeQuorumResponse {
    let voters = status.voters.iter().map(|voter| {
        let leads = voter.id == status.leader;
        // A leader has always just caught up with itself; of another voter only its offset is known.
        let seen_ms = if leads { now.get() } else { -1 };
        let state = ReplicaState::default()
            .with_replica_id(voter.id.get().into())
            .with_log_end_offset(voter.log_end_offset);
        if version < FIRST_WITH_TIMES {
            return state;
        }
        state.with_last_fetch_timestamp(seen_ms).with_last_caught_up_timestamp(seen_ms)
    });
    let partition = PartitionData::default()
        .with_leader_id(status.leader.get().into())
        .with_leader_epoch(status.leader_epoch)
        .with_high_watermark(status.high_watermark)
        .with_current_voters(voters.collect());
    let topic = TopicData::default()
        .with_topic_name(ottla_protocol::messages::TopicName(StrBytes::from_static_str(
            CLUSTER_METADATA_TOPIC,
        )))
        .with_partitions(vec![partition]);
    let nodes = if version < FIRST_WITH_NODES { Vec::new() } else { nodes(status, image) };
    DescribeQuorumResponse::default().with_topics(vec![topic]).with_nodes(nodes)
}

/// Where the voters are reached: there is no listener for controllers alone, each listener takes requests to them.
fn nodes(status: &QuorumStatus, image: &MetadataImage) -> Vec<Node> {
    let nodes = status.voters.iter().map(|voter| {
        let endpoints = image.brokers().get(voter.id).into_iter().flat_map(|broker| &broker.endpoints);
        let listeners = endpoints.map(|endpoint| {
            Listener::default()
                .with_name(StrBytes::from_string(endpoint.name.clone()))
                .with_host(StrBytes::from_string(endpoint.host.clone()))
                .with_port(endpoint.port)
        });
        Node::default().with_node_id(voter.id.get().into()).with_listeners(listeners.collect())
    });
    nodes.collect()
}

fn failed(error: &ControllerError) -> DescribeQuorumResponse {
    DescribeQuorumResponse::default()
        .with_error_code(error_map::controller(error).code())
        .with_error_message(Some(StrBytes::from_string(error.to_string())))
}
