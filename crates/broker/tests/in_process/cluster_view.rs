//! What clients learn of the cluster: Metadata, DescribeCluster, and offsets at both ends.

use ottla_client::Client;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::{
    DescribeClusterRequest, ListOffsetsRequest, MetadataRequest, MetadataResponse,
};

use crate::support::{Broker, topic_name};

async fn metadata(client: &Client, version: i16, names: Option<&[&str]>) -> MetadataResponse {
    let topic = |name: &&str| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
    let topics = names.map(|names| names.iter().map(topic).collect());
    let request = MetadataRequest::default().with_topics(topics);
    let request = if version < 4 { request } else { request.with_allow_auto_topic_creation(false) };
    client.connection().call(&request, version).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_controller_and_cluster_are_what_clients_need() {
    let broker = Broker::start().await;
    let client = broker.client().await;
    let mut cluster_ids = Vec::new();
    for version in 1..=13 {
        let answer = metadata(&client, version, None).await;
        let [node] = answer.brokers.as_slice() else { panic!("{answer:?}") };
        assert_eq!(answer.controller_id, node.node_id, "v{version}");
        assert_eq!(format!("{}:{}", node.host, node.port), broker.address());
        assert_eq!(answer.error_code, 0);
        cluster_ids.extend(answer.cluster_id.filter(|_| version >= 2));
    }
    let describe = |endpoint| DescribeClusterRequest::default().with_endpoint_type(endpoint);
    let here = client.connection().call(&describe(1), 2).await.unwrap();
    assert!(cluster_ids.iter().all(|id| *id == here.cluster_id), "{cluster_ids:?}");
    assert_eq!((here.brokers.len(), here.controller_id), (1, here.brokers[0].broker_id));
    for (endpoint, code) in [(2, 114), (0, 115), (3, 115)] {
        let wrong = client.connection().call(&describe(endpoint), 2).await.unwrap();
        assert_eq!((wrong.error_code, wrong.controller_id.0), (code, -1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_answers_all_none_unknown_and_bad_names() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    let codes =
        |answer: &MetadataResponse| answer.topics.iter().map(|topic| topic.error_code).collect::<Vec<_>>();
    assert_eq!(codes(&metadata(&client, 0, Some(&[])).await), [0], "in version 0 none is all");
    for version in 4..=13 {
        assert_eq!(codes(&metadata(&client, version, None).await), [0]);
        assert!(metadata(&client, version, Some(&[])).await.topics.is_empty());
        let mixed = metadata(&client, version, Some(&["t", "nope", "a b"])).await;
        let unknown = ErrorCode::UnknownTopicOrPartition.code();
        assert_eq!(codes(&mixed), [0, unknown, ErrorCode::InvalidTopicException.code()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn authorized_operations_are_told_to_who_asks() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    let topics = ["t", "__consumer_offsets"]
        .map(|name| MetadataRequestTopic::default().with_name(Some(topic_name(name))))
        .to_vec();
    for (asked, cluster, topic) in [(false, i32::MIN, i32::MIN), (true, 8_096, 3_576)] {
        let request = MetadataRequest::default()
            .with_topics(Some(topics.clone()))
            .with_allow_auto_topic_creation(true)
            .with_include_cluster_authorized_operations(asked)
            .with_include_topic_authorized_operations(asked);
        let answer = client.connection().call(&request, 10).await.unwrap();
        assert_eq!(answer.cluster_authorized_operations, cluster);
        let told: Vec<_> = answer
            .topics
            .iter()
            .map(|found| (found.error_code, found.is_internal, found.topic_authorized_operations))
            .collect();
        assert_eq!(told, [(0, false, topic), (0, true, topic)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_asked_for_twice_is_refused_once() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    let asked = |index: i32, epoch: i32| {
        ListOffsetsPartition::default()
            .with_partition_index(index)
            .with_timestamp(-1)
            .with_current_leader_epoch(epoch)
    };
    let list = async |isolation: i8, partitions: Vec<ListOffsetsPartition>| {
        let topic = ListOffsetsTopic::default().with_name(topic_name("t")).with_partitions(partitions);
        let request = ListOffsetsRequest::default()
            .with_replica_id((-1).into())
            .with_isolation_level(isolation)
            .with_topics(vec![topic]);
        let answer = client.connection().call(&request, 11).await.unwrap();
        let found = answer.topics.iter().flat_map(|topic| &topic.partitions);
        found.map(|found| (found.partition_index, found.error_code)).collect::<Vec<_>>()
    };
    assert_eq!(list(0, vec![asked(0, -1), asked(0, -1), asked(9, -1)]).await, [(0, 42), (9, 3)]);
    assert_eq!(list(1, vec![asked(0, 0)]).await, [(0, 0)]);
    assert_eq!(list(0, vec![asked(0, -2)]).await, [(0, ErrorCode::FencedLeaderEpoch.code())]);
    assert_eq!(list(0, vec![asked(0, 5)]).await, [(0, ErrorCode::UnknownLeaderEpoch.code())]);
    assert_eq!(list(2, vec![asked(0, -1)]).await, [(0, ErrorCode::UnknownServerError.code())]);
}
