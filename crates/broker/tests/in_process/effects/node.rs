//! Connections, producers and groups by settings that change while the broker runs.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_client::{Client, ConnectionConfig, RawConnection};
use ottla_model::batch::BatchBuilder;
use ottla_model::{Offset, ProducerEpoch, ProducerId};
use ottla_protocol::messages::describe_producers_request::TopicRequest;
use ottla_protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, DescribeProducersRequest, GroupId,
    StrBytes, TopicName,
};

use super::{BROKER, alter, eventually, wall_now};
use crate::support::{Broker, topic_name};

const GROUP: i8 = 32;

#[tokio::test(flavor = "multi_thread")]
async fn as_many_connections_are_served_as_the_setting_says_now() {
    for (resource, name) in [
        ("", "max.connections"),
        ("1", "max.connections"),
        ("", "listener.name.plaintext.max.connections"),
        ("1", "listener.name.plaintext.max.connections"),
    ] {
        let broker = Broker::start().await;
        let client = broker.client().await;
        alter(&client, BROKER, resource, name, Some("1")).await;
        let connect = || Client::connect(broker.address(), ConnectionConfig::default());
        // The one that waits is served once there is room.
        let mut waiting = Box::pin(connect());
        eventually("one waits", async || {
            let waits = tokio::time::timeout(Duration::from_millis(300), &mut waiting).await.is_err();
            if !waits {
                waiting = Box::pin(connect());
            }
            waits
        })
        .await;
        alter(&client, BROKER, resource, name, None).await;
        tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("is served").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_come_as_fast_as_the_setting_says_now() {
    for (resource, name) in
        [("", "max.connection.creation.rate"), ("1", "listener.name.plaintext.max.connection.creation.rate")]
    {
        let broker = Broker::start().await;
        let client = broker.client().await;
        let connect = async |count: usize| {
            let begun = Instant::now();
            for _ in 0..count {
                broker.client().await;
            }
            begun.elapsed()
        };
        // Ten are the share of the seconds before; the next waits for its own.
        alter(&client, BROKER, resource, name, Some("1")).await;
        eventually(name, async || connect(11).await >= Duration::from_millis(900)).await;
        alter(&client, BROKER, resource, name, None).await;
        eventually("without a limit nobody waits", async || connect(2).await < Duration::from_millis(900))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_as_many_connections_as_the_settings_say_now() {
    let broker = Broker::start().await;
    let client = broker.client().await;
    let is_sent_away = async || {
        let raw = RawConnection::connect(broker.address(), Duration::from_millis(200)).await;
        raw.unwrap().is_closed_by_peer().await
    };
    assert!(!is_sent_away().await);
    for (name, value) in
        [("max.connections.per.ip", "1"), ("max.connections.per.ip.overrides", "127.0.0.1:1")]
    {
        for resource in ["", "1"] {
            alter(&client, BROKER, resource, name, Some(value)).await;
            eventually(name, async || is_sent_away().await).await;
            alter(&client, BROKER, resource, name, None).await;
            eventually(name, async || !is_sent_away().await).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn producers_are_forgotten_as_soon_as_the_setting_says_now() {
    let often = [("producer.id.expiration.check.interval.ms", "20"), ("log.initial.task.delay.ms", "0")];
    let broker = Broker::start_with(&often).await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    let producers = async || {
        let topic = TopicRequest::default().with_name(topic_name("t")).with_partition_indexes(vec![0]);
        let request = DescribeProducersRequest::default().with_topics(vec![topic]);
        let answer = client.call(&request).await.unwrap();
        answer.topics[0].partitions[0].active_producers.len()
    };
    for (i, resource) in [(1_i64, ""), (2, "1")] {
        let mut batch = BatchBuilder::new(Offset::ZERO).producer(ProducerId(i), ProducerEpoch(0), 0);
        batch.push(wall_now(), None, Some(b"a"), &[]);
        client.produce("t", 0, Bytes::from(batch.build().unwrap()), 1).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(producers().await, 1, "remembered for a day");
        alter(&client, BROKER, resource, "producer.id.expiration.ms", Some("1")).await;
        eventually("forgotten", async || producers().await == 0).await;
        alter(&client, BROKER, resource, "producer.id.expiration.ms", None).await;
    }
}

/// A member's heartbeat, once the coordinator is there.
pub(super) async fn heartbeat(client: &Client, group: &str, epoch: i32) -> ConsumerGroupHeartbeatResponse {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let request = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_member_id(text("AAAAAAAAAAAAAAAAAAAAAA"))
        .with_member_epoch(epoch)
        .with_rebalance_timeout_ms(if epoch == 0 { 10_000 } else { -1 })
        .with_subscribed_topic_names((epoch == 0).then(|| vec![TopicName(text("t"))]))
        .with_topic_partitions((epoch == 0).then(Vec::new));
    loop {
        let answer = client.call(&request).await.unwrap();
        if !(14..=16).contains(&answer.error_code) {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_members_beat_and_are_missed_as_its_settings_say_now() {
    let bounds = [
        ("offsets.topic.num.partitions", "1"),
        ("group.consumer.min.session.timeout.ms", "100"),
        ("group.consumer.min.heartbeat.interval.ms", "10"),
    ];
    let broker = Broker::start_with(&bounds).await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    broker.find_coordinator("g").await;
    let joined = heartbeat(&client, "g", 0).await;
    assert_eq!((joined.error_code, joined.heartbeat_interval_ms), (0, 5_000));
    alter(&client, GROUP, "g", "consumer.heartbeat.interval.ms", Some("50")).await;
    eventually("it beats faster", async || {
        heartbeat(&client, "g", joined.member_epoch).await.heartbeat_interval_ms == 50
    })
    .await;
    alter(&client, GROUP, "g", "consumer.session.timeout.ms", Some("200")).await;
    // The next beat begins a session of the new length, after which the member is not known any more.
    const UNKNOWN_MEMBER_ID: i16 = 25;
    eventually("it is missed", async || {
        let answer = heartbeat(&client, "g", joined.member_epoch).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        answer.error_code == UNKNOWN_MEMBER_ID
    })
    .await;
}
