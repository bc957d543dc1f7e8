//! What an administrator asks a cluster, any of its brokers: topics to be made, who leads, who is in sync.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ottla_client::{Client, ClientError, ConnectionConfig};
use ottla_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::{
    CreateTopicsRequest, DescribeQuorumRequest, MetadataRequest, StrBytes, TopicName, describe_quorum_request,
};

/// What a busy machine may take; figures are printed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Leader and in-sync replicas, these in order, of each partition.
pub type Partitions = BTreeMap<i32, (i32, Vec<i32>)>;

pub async fn try_client(address: &str, patience: Duration) -> Result<Client, ClientError> {
    let config = ConnectionConfig { timeout: patience, ..ConnectionConfig::default() };
    Client::connect(address, config).await
}

pub async fn client(address: &str) -> Client {
    try_client(address, Duration::from_secs(20)).await.expect("connects")
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A topic that is to be made with replicas on three brokers.
pub fn of_three(name: &str, partitions: i32, configs: &[(&str, &str)]) -> CreatableTopic {
    let configs = configs.iter().map(|(name, value)| {
        CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
    });
    CreatableTopic::default()
        .with_name(TopicName(text(name)))
        .with_num_partitions(partitions)
        .with_replication_factor(3)
        .with_configs(configs.collect())
}

/// A topic of one partition with replicas on these nodes, the first of which is to lead.
pub fn placed(name: &str, replicas: &[i32], configs: &[(&str, &str)]) -> CreatableTopic {
    let assignment = CreatableReplicaAssignment::default()
        .with_partition_index(0)
        .with_broker_ids(replicas.iter().map(|id| (*id).into()).collect());
    of_three(name, -1, configs).with_replication_factor(-1).with_assignments(vec![assignment])
}

/// Has topics made, which must succeed.
pub async fn create(address: &str, topics: Vec<CreatableTopic>) {
    let request = CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(20_000);
    let answer = client(address).await.call(&request).await.expect("is answered");
    for topic in &answer.topics {
        assert_eq!(topic.error_code, 0, "{:?}", topic.error_message);
    }
}

/// A topic's partitions as the broker behind this connection tells; `None` while it cannot say.
pub async fn try_partitions(client: &Client, topic: &str) -> Result<Option<Partitions>, ClientError> {
    let asked = MetadataRequestTopic::default().with_name(Some(TopicName(text(topic))));
    let request =
        MetadataRequest::default().with_topics(Some(vec![asked])).with_allow_auto_topic_creation(false);
    let answer = client.call(&request).await?;
    let topic = answer.topics.first().filter(|topic| topic.error_code == 0);
    Ok(topic.map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let mut isr: Vec<i32> = partition.isr_nodes.iter().map(|id| id.0).collect();
            isr.sort_unstable();
            (partition.partition_index, (partition.leader_id.0, isr))
        });
        partitions.collect()
    }))
}

/// A topic's partitions as one broker tells; none where it knows no such topic.
pub async fn partitions(address: &str, topic: &str) -> Partitions {
    let seen = try_partitions(&client(address).await, topic).await.expect("is answered");
    seen.unwrap_or_default()
}

/// `host:port` of a partition's leader as one broker tells, `None` where it knows of none.
pub async fn leader_of(
    address: &str,
    topic: &str,
    partition: i32,
    patience: Duration,
) -> Result<Option<String>, ClientError> {
    let asked = MetadataRequestTopic::default().with_name(Some(TopicName(text(topic))));
    let request = MetadataRequest::default().with_topics(Some(vec![asked]));
    let answer = try_client(address, patience).await?.call(&request).await?;
    let mut partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    let leader = partitions.find(|found| found.partition_index == partition).map(|found| found.leader_id);
    let broker = answer.brokers.iter().find(|broker| Some(broker.node_id) == leader);
    Ok(broker.map(|broker| format!("{}:{}", broker.host, broker.port)))
}

/// Waits until the in-sync replicas of partition 0 are these.
pub async fn await_isr(address: &str, topic: &str, wanted: &[i32]) -> Duration {
    let began = Instant::now();
    loop {
        let seen = partitions(address, topic).await;
        if seen.get(&0).is_some_and(|(_, isr)| isr == wanted) {
            return began.elapsed();
        }
        assert!(began.elapsed() < PATIENCE, "wanted {wanted:?}, are {seen:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The node that leads the quorum of controllers, as one broker tells.
pub async fn active_controller(address: &str) -> usize {
    try_active_controller(&client(address).await).await.expect("answers").expect("somebody leads")
}

/// `None` while nobody leads the quorum.
pub async fn try_active_controller(client: &Client) -> Result<Option<usize>, ClientError> {
    let partition = describe_quorum_request::PartitionData::default().with_partition_index(0);
    let topic = describe_quorum_request::TopicData::default()
        .with_topic_name(TopicName(StrBytes::from_static_str("__cluster_metadata")))
        .with_partitions(vec![partition]);
    let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
    let answer = client.call(&request).await?;
    let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
    Ok(partition.and_then(|partition| usize::try_from(partition.leader_id.0).ok()))
}
