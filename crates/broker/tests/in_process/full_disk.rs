//! A broker whose disk is full: what writes is refused with an error on which clients try again, everything else goes on,
//! and it recovers by itself.

use std::sync::Arc;

use bytes::Bytes;
use ottla_client::Client;
use ottla_model::Offset;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use ottla_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use ottla_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::{
    ConsumerGroupHeartbeatRequest, DeleteRecordsRequest, GroupId, IncrementalAlterConfigsRequest,
    JoinGroupRequest, OffsetCommitRequest, StrBytes,
};
use ottla_storage::{FaultyDisk, RealDisk};

use crate::support::{Broker, batch, eventually, topic_name, values_from};

fn disk() -> FaultyDisk {
    FaultyDisk::new(Arc::new(RealDisk))
}

async fn produced(client: &Client, topic: &str, value: &str) -> Result<Offset, ErrorCode> {
    let produced = client.produce(topic, 0, batch(&[value]), -1).await;
    produced.map(|produced| produced.base_offset).map_err(|error| error.error_code().unwrap())
}

async fn delete_records(client: &Client, topic: &str, offset: i64) -> (i16, i64) {
    let partition = DeleteRecordsPartition::default().with_partition_index(0).with_offset(offset);
    let topic = DeleteRecordsTopic::default().with_name(topic_name(topic)).with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(9_000);
    let response = client.call(&request).await.unwrap();
    let partition = &response.topics[0].partitions[0];
    (partition.error_code, partition.low_watermark)
}

const NO_ROOM: Result<Offset, ErrorCode> = Err(ErrorCode::KafkaStorageError);

#[tokio::test(flavor = "multi_thread")]
async fn all_but_writing_goes_on_a_stop_and_a_start_included() {
    let disk = disk();
    let mut broker = Broker::start_on(Arc::new(disk.clone()), &[]).await;
    broker.create("t", &[]).await;
    broker.create("victim", &[]).await;
    let client = broker.client().await;
    for topic in ["t", "t", "victim"] {
        produced(&client, topic, "before").await.unwrap();
    }
    disk.fill();
    // The metadata log has what it reserved.
    broker.create("new", &[]).await;
    assert!(produced(&client, "new", "x").await.is_err());
    for round in 0..2_i64 {
        let client = broker.client().await;
        assert_eq!(produced(&client, "t", "refused").await, NO_ROOM);
        assert_eq!(values_from(&client, "t", Offset(round)).await.len(), 2 - usize::try_from(round).unwrap());
        assert_eq!(delete_records(&client, "t", round + 1).await, (0, round + 1));
        assert_eq!(broker.metric("ottla_log_dirs_full"), 1.0);
        assert_eq!(broker.metric("ottla_log_dirs_offline"), 0.0);
        // Without a byte of room.
        broker = broker.restart_on(Arc::new(disk.clone())).await;
    }
    let client = broker.client().await;
    broker.delete("victim").await;
    disk.heal();
    assert_eq!(produced(&client, "t", "after").await, Ok(Offset(2)));
    eventually("the log of the new topic is made", async || produced(&client, "new", "x").await.is_ok())
        .await;
    let broker = broker.restart_on(Arc::new(disk.clone())).await;
    assert_eq!(values_from(&broker.client().await, "t", Offset(2)).await, ["after"]);
    assert_eq!(values_from(&broker.client().await, "new", Offset(0)).await[0], "x");
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_makes_room_where_there_is_none() {
    let disk = disk();
    let settings = [("log.retention.check.interval.ms", "20"), ("log.initial.task.delay.ms", "10")];
    let broker = Broker::start_on(Arc::new(disk.clone()), &settings).await;
    broker.create("old", &[("retention.bytes", "1200000"), ("segment.bytes", "1048576")]).await;
    disk.fill();
    let client = broker.client().await;
    assert_eq!(produced(&client, "old", "refused").await, NO_ROOM);
    disk.heal();
    let large = "x".repeat(500_000);
    for _ in 0..6 {
        produced(&client, "old", &large).await.unwrap();
    }
    disk.fill();
    eventually("the oldest segments deleted", async || {
        client
            .fetch("old", 0, Offset::ZERO, 1, 0)
            .await
            .is_err_and(|error| error.error_code() == Some(ErrorCode::OffsetOutOfRange))
    })
    .await;
}

/// A setting of a topic that is as long as one likes.
async fn alter(client: &Client, len: usize) -> i16 {
    let value = vec!["0:1"; len / 4].join(",");
    let config = AlterableConfig::default()
        .with_name(StrBytes::from_static_str("leader.replication.throttled.replicas"))
        .with_value(Some(StrBytes::from_string(value)));
    let resource = AlterConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(StrBytes::from_static_str("t"))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    client.call(&request).await.unwrap().responses[0].error_code
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_metadata_log_refuses_administrators_and_ends_no_broker() {
    let disk = disk();
    let broker = Broker::start_on(Arc::new(disk.clone()), &[]).await;
    broker.create("t", &[]).await;
    broker.create("victim", &[]).await;
    let client = broker.client().await;
    disk.fill();
    let mut answered = 0;
    loop {
        match alter(&client, 30_000 + 4 * answered).await {
            0 => answered += 1,
            code => {
                assert_eq!(code, ErrorCode::KafkaStorageError.code(), "after {answered}");
                break;
            }
        }
        assert!(answered < 200, "nothing is refused");
    }
    assert!(answered > 5, "{answered}: what was reserved");
    // However little is asked for: the rest is for what makes room, and for a start.
    for len in [3_000, 300, 40] {
        let mut taken = 0;
        while alter(&client, len + 4 * taken).await == 0 {
            taken += 1;
            assert!(taken < 100, "{len} bytes are taken on and on");
        }
    }
    broker.delete("victim").await;
    assert_eq!(alter(&client, 30_000).await, ErrorCode::KafkaStorageError.code());
    let broker = broker.restart_on(Arc::new(disk.clone())).await;
    let client = broker.client().await;
    assert_eq!(alter(&client, 30_000).await, ErrorCode::KafkaStorageError.code(), "after a start, too");
    disk.heal();
    assert_eq!(alter(&client, 1_000).await, 0);
    assert_eq!(produced(&client, "t", "x").await, Ok(Offset(0)));
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

async fn commit(client: &Client, offset: i64) -> i16 {
    let partition = OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
    let topic =
        OffsetCommitRequestTopic { name: topic_name("t"), partitions: vec![partition], ..Default::default() };
    let request =
        OffsetCommitRequest { group_id: GroupId(text("simple")), topics: vec![topic], ..Default::default() };
    client.connection().call(&request, 7).await.unwrap().topics[0].partitions[0].error_code
}

async fn beat(client: &Client, member: &str, epoch: i32) -> (i16, i32) {
    let full = epoch == 0;
    let request = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_member_id(text(member))
        .with_member_epoch(epoch)
        .with_rebalance_timeout_ms(if full { 60_000 } else { -1 })
        .with_subscribed_topic_names(full.then(|| vec![topic_name("t")]))
        .with_topic_partitions(full.then(Vec::new));
    let response = client.call(&request).await.unwrap();
    (response.error_code, response.member_epoch)
}

async fn members(client: &Client) -> usize {
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![GroupId(text("g"))]);
    client.call(&request).await.unwrap().groups[0].members.len()
}

async fn join(client: &Client) -> i16 {
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(Bytes::new());
    let request = JoinGroupRequest::default()
        .with_group_id(GroupId(text("classic")))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(1_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    client.connection().call(&request, 3).await.unwrap().error_code
}

#[tokio::test(flavor = "multi_thread")]
async fn coordinators_without_room_are_not_available_and_members_expire_once_there_is_room() {
    let disk = disk();
    let settings = [
        ("offsets.topic.num.partitions", "1"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("group.consumer.min.session.timeout.ms", "300"),
        ("group.consumer.session.timeout.ms", "300"),
        ("group.consumer.min.heartbeat.interval.ms", "50"),
        ("group.consumer.heartbeat.interval.ms", "50"),
    ];
    let broker = Broker::start_on(Arc::new(disk.clone()), &settings).await;
    broker.create("t", &[]).await;
    broker.find_coordinator("g").await;
    let client = broker.client().await;
    assert_eq!(commit(&client, 1).await, 0);
    assert_eq!(beat(&client, "silent", 0).await.0, 0);
    disk.fill();
    let not_available = ErrorCode::CoordinatorNotAvailable.code();
    assert_eq!(commit(&client, 2).await, not_available);
    assert_eq!(beat(&client, "new", 0).await.0, not_available);
    let _ = join(&client).await;
    // The silent one's session ends, which cannot be written.
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert_eq!(members(&client).await, 1);
    disk.heal();
    eventually("the silent member gone", async || members(&client).await == 0).await;
    assert_eq!(commit(&client, 2).await, 0);
    assert_eq!(beat(&client, "new", 0).await.0, 0);
    assert_eq!(join(&client).await, 0);
}
