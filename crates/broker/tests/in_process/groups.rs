//! What the settings of groups do, seen by a member or an administrator.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use ottla_client::Client;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, FindCoordinatorRequest, GroupId,
    JoinGroupRequest, OffsetCommitRequest, OffsetFetchRequest, StrBytes,
};

use crate::effects::{GROUP, alter};
use crate::support::{Broker, topic_name};

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A client for whose group the coordinator is there.
async fn member_of(broker: &Broker, group: &str) -> Client {
    let client = broker.client().await;
    let find = FindCoordinatorRequest::default().with_coordinator_keys(vec![text(group)]);
    let found = client.call(&find).await.unwrap().coordinators;
    assert_eq!(found[0].error_code, 0);
    client
}

/// What a new member of a classic group is answered; version 3 gives it an id at once.
async fn join(client: &Client, group: &str, session_timeout_ms: i32) -> i16 {
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(Bytes::new());
    let request = JoinGroupRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_session_timeout_ms(session_timeout_ms)
        .with_rebalance_timeout_ms(1_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    client.connection().call(&request, 3).await.unwrap().error_code
}

/// What a member of a consumer group is answered that joins, or joins again.
async fn beat(client: &Client, group: &str, member: &str) -> ConsumerGroupHeartbeatResponse {
    let request = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_member_id(text(member))
        .with_rebalance_timeout_ms(60_000)
        .with_subscribed_topic_names(Some(vec![topic_name("t")]))
        .with_topic_partitions(Some(Vec::new()));
    client.call(&request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn classic_members_are_bound_by_the_brokers_limits() {
    let broker = Broker::start_with(&[
        ("group.min.session.timeout.ms", "10000"),
        ("group.max.session.timeout.ms", "20000"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("group.max.size", "1"),
    ])
    .await;
    let client = member_of(&broker, "g").await;
    for refused in [9_999, 20_001] {
        assert_eq!(join(&client, "g", refused).await, ErrorCode::InvalidSessionTimeout.code());
    }
    assert_eq!(join(&client, "g", 10_000).await, 0, "and at once, without a delay");
    assert_eq!(join(&client, "g", 20_000).await, ErrorCode::GroupMaxSizeReached.code());
    assert_eq!(join(&client, "another", 20_000).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn consumer_members_are_bound_by_the_brokers_limits() {
    let broker = Broker::start_with(&[
        ("group.consumer.max.size", "1"),
        ("group.consumer.min.heartbeat.interval.ms", "500"),
        ("group.consumer.heartbeat.interval.ms", "700"),
        ("group.consumer.assignors", "range"),
    ])
    .await;
    let client = member_of(&broker, "g").await;
    let joined = beat(&client, "g", "first").await;
    assert_eq!((joined.error_code, joined.heartbeat_interval_ms), (0, 700));
    let refused = beat(&client, "g", "second").await;
    assert_eq!(refused.error_code, ErrorCode::GroupMaxSizeReached.code(), "{:?}", refused.error_message);
    let request = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(GroupId(text("other")))
        .with_member_id(text("m"))
        .with_rebalance_timeout_ms(60_000)
        .with_subscribed_topic_names(Some(Vec::new()))
        .with_topic_partitions(Some(Vec::new()))
        .with_server_assignor(Some(text("uniform")));
    let refused = client.call(&request).await.unwrap();
    assert_eq!(refused.error_code, ErrorCode::UnsupportedAssignor.code());
    assert_eq!(
        refused.error_message.as_deref(),
        Some("ServerAssignor uniform is not supported. Supported assignors: range.")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_own_settings_reach_its_members_and_no_others() {
    let broker = Broker::start().await;
    let client = member_of(&broker, "own").await;
    let interval = async |group: &str| beat(&client, group, "m").await.heartbeat_interval_ms;
    assert_eq!(interval("own").await, 5_000);
    alter(&client, GROUP, "own", "consumer.heartbeat.interval.ms", Some("12000")).await;
    // The coordinator hears of it a moment after the answer.
    let heard = async { while interval("own").await != 12_000 {} };
    tokio::time::timeout(Duration::from_secs(20), heard).await.expect("its own settings reach the group");
    assert_eq!(interval("another").await, 5_000);
    let broker = broker.restart().await;
    let client = member_of(&broker, "own").await;
    let interval = async |group: &str| beat(&client, group, "m").await.heartbeat_interval_ms;
    assert_eq!((interval("own").await, interval("another").await), (12_000, 5_000), "it was kept");
    alter(&client, GROUP, "own", "consumer.heartbeat.interval.ms", None).await;
    assert_eq!(interval("own").await, 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_looked_at_as_often_as_the_setting_says() {
    let broker = Broker::start_with(&[("offsets.retention.check.interval.ms", "50")]).await;
    broker.create("t", &[]).await;
    let client = member_of(&broker, "g").await;
    let commit = |retention_ms: i64| {
        let partition = OffsetCommitRequestPartition { committed_offset: 7, ..Default::default() };
        let topic = OffsetCommitRequestTopic {
            name: topic_name("t"),
            partitions: vec![partition],
            ..Default::default()
        };
        OffsetCommitRequest {
            group_id: GroupId(text("g")),
            retention_time_ms: retention_ms,
            topics: vec![topic],
            ..Default::default()
        }
    };
    let committed = async || {
        let request = OffsetFetchRequest { group_id: GroupId(text("g")), topics: None, ..Default::default() };
        let topics = client.connection().call(&request, 7).await.unwrap().topics;
        let offsets = topics.iter().flat_map(|topic| &topic.partitions);
        offsets.map(|at| (at.partition_index, at.committed_offset)).collect::<BTreeMap<i32, i64>>()
    };
    client.connection().call(&commit(3_600_000), 2).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(committed().await, BTreeMap::from([(0, 7)]));
    client.connection().call(&commit(1), 2).await.unwrap();
    tokio::time::timeout(Duration::from_secs(30), async {
        while !committed().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("it expires");
}
