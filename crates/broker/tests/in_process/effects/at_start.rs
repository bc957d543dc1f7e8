//! Settings that are read when the broker starts.

use std::path::Path;
use std::time::{Duration, Instant};

use ottla_client::{Client, RawConnection};
use ottla_model::Offset;
use ottla_protocol::messages::create_topics_request::CreatableTopic;
use ottla_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::{
    CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest, GroupId, JoinGroupRequest,
    MetadataRequest, OffsetCommitRequest, StrBytes,
};

use super::eventually;
use super::node::heartbeat;
use crate::support::{Broker, batch, topic_name};

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// The answer to CreateTopics for a topic that leaves everything to the broker: error code, partitions.
async fn created_by_default(broker: &Broker) -> (i16, i32) {
    let topic = CreatableTopic::default()
        .with_name(topic_name("d"))
        .with_num_partitions(-1)
        .with_replication_factor(-1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    let answer = broker.client().await.call(&request).await.unwrap();
    (answer.topics[0].error_code, answer.topics[0].num_partitions)
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_made_and_deleted_as_the_file_says() {
    let broker = Broker::start_with(&[("num.partitions", "3")]).await;
    assert_eq!(created_by_default(&broker).await, (0, 3));
    let broker = Broker::start_with(&[("default.replication.factor", "2")]).await;
    const INVALID_REPLICATION_FACTOR: i16 = 38;
    assert_eq!(created_by_default(&broker).await.0, INVALID_REPLICATION_FACTOR);
    let broker =
        Broker::start_with(&[("auto.create.topics.enable", "false"), ("delete.topic.enable", "false")]).await;
    let client = broker.client().await;
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name("auto")));
    let request =
        MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(true);
    const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    assert_eq!(client.call(&request).await.unwrap().topics[0].error_code, UNKNOWN_TOPIC_OR_PARTITION);
    broker.create("t", &[]).await;
    let request =
        DeleteTopicsRequest::default().with_topic_names(vec![topic_name("t")]).with_timeout_ms(10_000);
    const TOPIC_DELETION_DISABLED: i16 = 73;
    let answer = client.connection().call(&request, 5).await.unwrap();
    assert_eq!(answer.responses[0].error_code, TOPIC_DELETION_DISABLED);
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_answers_and_silence_are_as_long_as_the_file_says() {
    let settings = [
        ("socket.request.max.bytes", "3000"),
        ("fetch.max.bytes", "1024"),
        ("connections.max.idle.ms", "700"),
        ("connection.failed.authentication.delay.ms", "100"),
    ];
    let broker = Broker::start_with(&settings).await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    for _ in 0..3 {
        client.produce("t", 0, batch(&[&"x".repeat(800)]), 1).await.unwrap();
    }
    let fetched = client.fetch("t", 0, Offset::ZERO, 1, 0).await.unwrap();
    assert_eq!(fetched.records_from(Offset::ZERO).unwrap().len(), 1, "a second one would be too much");
    assert!(
        client.produce("t", 0, batch(&[&"x".repeat(4_000)]), 1).await.is_err(),
        "the connection is closed"
    );
    let begun = Instant::now();
    let mut raw = RawConnection::connect(broker.address(), Duration::from_secs(20)).await.unwrap();
    assert!(raw.is_closed_by_peer().await);
    assert!(begun.elapsed() >= Duration::from_millis(600), "{:?}", begun.elapsed());
}

/// Waits until a checkpoint of the broker's first log dir has this line.
async fn is_noted(broker: &Broker, file: &str, line: &str) {
    let path = broker.data_dir().join(file);
    eventually(file, async || {
        std::fs::read_to_string(&path).is_ok_and(|text| text.lines().any(|found| found == line))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_written_as_often_as_the_file_says() {
    let often = |name| [(name, "20"), ("log.initial.task.delay.ms", "0")];
    let broker = Broker::start_with(&often("replica.high.watermark.checkpoint.interval.ms")).await;
    let recovery_points = broker.data_dir().join("recovery-point-offset-checkpoint");
    eventually("written at the start", async || recovery_points.exists()).await;
    broker.create("t", &[]).await;
    broker.client().await.produce("t", 0, batch(&["a"]), 1).await.unwrap();
    is_noted(&broker, "replication-offset-checkpoint", "t 0 1").await;
    let recovery_points = std::fs::read_to_string(recovery_points).unwrap();
    assert!(!recovery_points.contains("t 0 1"), "that one is due in a minute");

    let broker = Broker::start_with(&often("log.flush.offset.checkpoint.interval.ms")).await;
    broker.create("t", &[("flush.messages", "1")]).await;
    broker.client().await.produce("t", 0, batch(&["a"]), -1).await.unwrap();
    is_noted(&broker, "recovery-point-offset-checkpoint", "t 0 1").await;

    let broker = Broker::start_with(&often("log.flush.start.offset.checkpoint.interval.ms")).await;
    // Retention runs at the start too, and these records are old.
    broker.create("t", &[("retention.ms", "-1")]).await;
    let client = broker.client().await;
    client.produce("t", 0, batch(&["a", "b"]), 1).await.unwrap();
    let partition = DeleteRecordsPartition::default().with_offset(1);
    let topic = DeleteRecordsTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(1_000);
    assert_eq!(client.call(&request).await.unwrap().topics[0].partitions[0].error_code, 0);
    is_noted(&broker, "log-start-offset-checkpoint", "t 0 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_of_the_metadata_are_taken_as_often_as_the_file_says() {
    for setting in [
        ("metadata.log.max.snapshot.interval.ms", "20"),
        ("metadata.log.max.record.bytes.between.snapshots", "1"),
    ] {
        let broker = Broker::start_with(&[setting]).await;
        broker.create("t", &[]).await;
        let dir = broker.data_dir().join("__cluster_metadata-0");
        eventually(setting.0, async || has_snapshot(&dir)).await;
    }
}

fn has_snapshot(dir: &Path) -> bool {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    names.into_iter().any(|name| name.to_string_lossy().ends_with(".checkpoint"))
}

/// Offsets are kept in one partition, so that its coordinator is there soon.
const SMALL: (&str, &str) = ("offsets.topic.num.partitions", "1");

async fn commit(client: &Client, group: &str, metadata: &str) -> i16 {
    let partition = OffsetCommitRequestPartition {
        committed_offset: 5,
        committed_metadata: Some(text(metadata)),
        ..OffsetCommitRequestPartition::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: topic_name("t"),
        partitions: vec![partition],
        ..OffsetCommitRequestTopic::default()
    };
    let request = OffsetCommitRequest {
        group_id: GroupId(text(group)),
        generation_id_or_member_epoch: -1,
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    };
    client.connection().call(&request, 8).await.unwrap().topics[0].partitions[0].error_code
}

#[tokio::test(flavor = "multi_thread")]
async fn committed_offsets_are_compressed_and_bounded_as_the_file_says() {
    let settings = [("offsets.topic.compression.codec", "1"), ("offset.metadata.max.bytes", "4"), SMALL];
    let broker = Broker::start_with(&settings).await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    broker.find_coordinator("g").await;
    const OFFSET_METADATA_TOO_LARGE: i16 = 12;
    assert_eq!(commit(&client, "g", "12345").await, OFFSET_METADATA_TOO_LARGE);
    assert_eq!(commit(&client, "g", "1234").await, 0);
    let log = broker.data_dir().join("__consumer_offsets-0/00000000000000000000.log");
    assert_eq!(std::fs::read(log).unwrap()[22] & 7, 1, "gzip");
    // What is compressed is read again.
    let broker = broker.restart().await;
    broker.find_coordinator("g").await;
    assert_eq!(commit(&broker.client().await, "g", "1234").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protocol_that_the_file_leaves_out_is_not_served() {
    let broker = Broker::start_with(&[("group.coordinator.rebalance.protocols", "classic"), SMALL]).await;
    let client = broker.client().await;
    const UNSUPPORTED_VERSION: i16 = 35;
    assert_eq!(heartbeat(&client, "g", 0).await.error_code, UNSUPPORTED_VERSION);
}

async fn join(client: &Client, group: &str, session_timeout_ms: i32) -> (i16, Duration) {
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range"));
    let request = JoinGroupRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_session_timeout_ms(session_timeout_ms)
        .with_rebalance_timeout_ms(10_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    let begun = Instant::now();
    // Version 3: a member is let in without coming twice.
    let answer = client.connection().call(&request, 3).await.unwrap();
    (answer.error_code, begun.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn classic_groups_are_bounded_as_the_file_says() {
    let settings = [
        ("group.min.session.timeout.ms", "1000"),
        ("group.max.session.timeout.ms", "2000"),
        ("group.max.size", "1"),
        ("group.initial.rebalance.delay.ms", "0"),
        SMALL,
    ];
    let broker = Broker::start_with(&settings).await;
    let client = broker.client().await;
    broker.find_coordinator("g").await;
    const INVALID_SESSION_TIMEOUT: i16 = 26;
    const GROUP_MAX_SIZE_REACHED: i16 = 81;
    assert_eq!(join(&client, "g", 999).await.0, INVALID_SESSION_TIMEOUT);
    assert_eq!(join(&client, "g", 2_001).await.0, INVALID_SESSION_TIMEOUT);
    let (code, took) = join(&client, "g", 1_500).await;
    assert_eq!(code, 0);
    assert!(took < Duration::from_millis(2_500), "{took:?}");
    assert_eq!(join(&client, "g", 1_500).await.0, GROUP_MAX_SIZE_REACHED);
    assert_eq!(join(&client, "other", 1_500).await.0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn consumer_groups_beat_as_the_file_says() {
    let settings = [("group.consumer.heartbeat.interval.ms", "6000"), SMALL];
    let broker = Broker::start_with(&settings).await;
    broker.create("t", &[]).await;
    broker.find_coordinator("g").await;
    assert_eq!(heartbeat(&broker.client().await, "g", 0).await.heartbeat_interval_ms, 6_000);
}
