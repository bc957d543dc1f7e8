//! DescribeQuorum (KIP-595, KIP-836, KIP-853): the voters of the metadata log.

use std::sync::Arc;

use ottla_controller::{Controller, ControllerError, Peer, QuorumStatus, ReplicaStatus};
use ottla_metadata::{DirectoryId, KRAFT_VERSION, MetadataImage};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_quorum_request::TopicData as AskedTopic;
use ottla_protocol::messages::describe_quorum_response::{
    Listener, Node, PartitionData, ReplicaState, TopicData,
};
use ottla_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse, StrBytes};

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
    /// The controller listener's name; `None` of a node without one.
    pub listener: Option<String>,
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
        let (controller, view) = (self.controller.clone(), Arc::clone(&self.view));
        let listener = self.listener.clone();
        Reply::ordered(async move {
            match controller.describe_quorum().await {
                Ok(status) => described(&status, &view.image(), listener.as_deref(), version),
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
    listener: Option<&str>,
    version: i16,
) -> DescribeQuorumResponse {
    // Below kraft.version 1 (KIP-853) voters are known by their ids alone.
    let has_directories = image.features().level(KRAFT_VERSION) > 0;
    let directory = |voter: &ReplicaStatus| {
        if has_directories { voter.directory_id } else { DirectoryId::default() }
    };
    let voters = status.voters.iter().map(|voter| state(voter, directory(voter), version));
    let observers = status.observers.iter().map(|observer| state(observer, observer.directory_id, version));
    let partition = PartitionData::default()
        .with_leader_id(status.leader.get().into())
        .with_leader_epoch(status.leader_epoch)
        .with_high_watermark(status.high_watermark)
        .with_current_voters(voters.collect())
        .with_observers(observers.collect());
    let topic = TopicData::default()
        .with_topic_name(ottla_protocol::messages::TopicName(StrBytes::from_static_str(
            CLUSTER_METADATA_TOPIC,
        )))
        .with_partitions(vec![partition]);
    let nodes = if version < FIRST_WITH_NODES { Vec::new() } else { nodes(status, image, listener) };
    DescribeQuorumResponse::default().with_topics(vec![topic]).with_nodes(nodes)
}

fn state(replica: &ReplicaStatus, directory_id: DirectoryId, version: i16) -> ReplicaState {
    let mut state = ReplicaState::default()
        .with_replica_id(replica.id.get().into())
        .with_log_end_offset(replica.log_end_offset);
    if version >= FIRST_WITH_TIMES {
        state.last_fetch_timestamp = replica.last_fetch.get();
        state.last_caught_up_timestamp = replica.last_caught_up.get();
    }
    if version >= FIRST_WITH_NODES {
        state.replica_directory_id = directory_id.0;
    }
    state
}

/// Where the voters are reached. Of one without a listener for controllers, each listener takes requests to it.
fn nodes(status: &QuorumStatus, image: &MetadataImage, listener: Option<&str>) -> Vec<Node> {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let of_controller = |peer: &Peer| {
        let listener = Listener::default().with_name(text(listener?)).with_host(text(&peer.host));
        (peer.port != 0).then(|| vec![listener.with_port(peer.port)])
    };
    let of_broker = |peer: &Peer| {
        let endpoints = image.brokers().get(peer.id).into_iter().flat_map(|broker| &broker.endpoints);
        let listeners = endpoints.map(|endpoint| {
            Listener::default()
                .with_name(text(&endpoint.name))
                .with_host(text(&endpoint.host))
                .with_port(endpoint.port)
        });
        listeners.collect()
    };
    let nodes = status.nodes.iter().map(|peer| {
        let listeners = of_controller(peer).unwrap_or_else(|| of_broker(peer));
        Node::default().with_node_id(peer.id.get().into()).with_listeners(listeners)
    });
    nodes.collect()
}

fn failed(error: &ControllerError) -> DescribeQuorumResponse {
    DescribeQuorumResponse::default()
        .with_error_code(error_map::controller(error).code())
        .with_error_message(Some(StrBytes::from_string(error.to_string())))
}
