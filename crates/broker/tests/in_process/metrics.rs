//! What a scrape says of single topics, partitions, groups and requests.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ottla_client::Client;
use ottla_model::batch::BatchBuilder;
use ottla_model::{Offset, TimestampMs};
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::{GroupId, OffsetCommitRequest, StrBytes};

use crate::support::{Broker, batch, topic_name, values_from};

/// Offsets are kept in one partition, so that its coordinator is there soon.
const SMALL: (&str, &str) = ("offsets.topic.num.partitions", "1");

async fn commit(broker: &Broker, topic: &str, offset: i64) {
    let partition = OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
    let topic = OffsetCommitRequestTopic {
        name: topic_name(topic),
        partitions: vec![partition],
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: GroupId(StrBytes::from_static_str("g")),
        generation_id_or_member_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    };
    let client = broker.client().await;
    let answer = client.connection().call(&request, 8).await.unwrap();
    assert_eq!(answer.topics[0].partitions[0].error_code, 0);
}

/// A batch of two records, written `age_s` ago.
fn batch_of_age(age_s: u64) -> Bytes {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let written = TimestampMs(i64::try_from(now).unwrap() - i64::try_from(age_s * 1_000).unwrap());
    let mut builder = BatchBuilder::new(Offset::ZERO);
    for _ in 0..2 {
        builder.push(written, None, Some(b"value"), &[]);
    }
    Bytes::from(builder.build().unwrap())
}

fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_lag_is_shown_in_records_and_seconds() {
    let broker = Broker::start_with(&[SMALL]).await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    for age_s in [7_200, 3_600] {
        client.produce("t", 0, batch_of_age(age_s), 1).await.unwrap();
    }
    broker.find_coordinator("g").await;
    for (committed, lag, seconds) in [(0, 4.0, 7_200.0), (2, 2.0, 3_600.0), (3, 1.0, 3_600.0), (4, 0.0, 0.0)]
    {
        commit(&broker, "t", committed).await;
        let text = broker.metrics().render();
        let of = |name: &str| value(&text, &format!("{name}{{group=\"g\",topic=\"t\",partition=\"0\"}}"));
        assert_eq!(of("ottla_group_committed_offset"), Some(committed as f64));
        assert_eq!(of("ottla_group_lag_records"), Some(lag));
        let behind = of("ottla_group_lag_seconds").unwrap();
        assert!((seconds..=seconds + 60.0).contains(&behind), "{behind} s at {committed}");
        let kafka = value(&text, "kafka_consumergroup_lag{consumergroup=\"g\",topic=\"t\",partition=\"0\"}");
        assert_eq!(kafka, Some(lag));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_and_partitions_have_their_traffic_and_offsets() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    let records = batch(&["a", "b", "c"]);
    client.produce("t", 0, records.clone(), 1).await.unwrap();
    let silent = Client::produce_request("t", 0, records.clone(), 0);
    client.connection().send_only(&silent, 9).await.unwrap();
    assert_eq!(values_from(&client, "t", Offset(0)).await.len(), 6);
    let text = broker.metrics().render();
    let twice = 2.0 * records.len() as f64;
    let expected = [
        ("ottla_topic_produce_bytes_total{topic=\"t\"}", twice),
        ("ottla_topic_produce_records_total{topic=\"t\"}", 6.0),
        ("ottla_topic_fetch_bytes_total{topic=\"t\"}", twice),
        ("ottla_topic_log_size_bytes{topic=\"t\"}", twice),
        ("kafka_server_brokertopicmetrics_messagesin_total{topic=\"t\"}", 6.0),
        ("kafka_server_brokertopicmetrics_messagesin_total", 6.0),
        ("ottla_partition_log_start_offset{topic=\"t\",partition=\"0\"}", 0.0),
        ("ottla_partition_log_end_offset{topic=\"t\",partition=\"0\"}", 6.0),
        ("ottla_partition_high_watermark_offset{topic=\"t\",partition=\"0\"}", 6.0),
        ("ottla_partition_log_size_bytes{topic=\"t\",partition=\"0\"}", twice),
        ("ottla_partition_log_segments{topic=\"t\",partition=\"0\"}", 1.0),
        ("kafka_log_log_logendoffset{topic=\"t\",partition=\"0\"}", 6.0),
        // One with acks=0 among them.
        ("ottla_requests_total{api=\"Produce\"}", 2.0),
    ];
    for (series, expected) in expected {
        assert_eq!(value(&text, series), Some(expected), "{series}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_largest_have_series_of_their_own() {
    for (max, shown) in [("0", ""), ("1", "b"), ("-1", "abc")] {
        let broker = Broker::start_with(&[("ottla.metrics.partitions.max", max)]).await;
        let client = broker.client().await;
        for (topic, count) in [("a", 1), ("b", 3), ("c", 2)] {
            broker.create(topic, &[]).await;
            for _ in 0..count {
                client.produce(topic, 0, batch(&["x"]), 1).await.unwrap();
            }
        }
        let text = broker.metrics().render();
        for topic in ["a", "b", "c"] {
            for name in ["ottla_topic_log_size_bytes", "ottla_partition_log_size_bytes"] {
                let has = text.contains(&format!("{name}{{topic=\"{topic}\""));
                assert_eq!(has, shown.contains(topic), "{name} of {topic} where {max} are shown");
            }
        }
        assert_eq!(value(&text, "ottla_produce_records_total"), Some(6.0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_requests_time_went_is_told() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    // Waits for 200 ms, as it was asked to.
    client.fetch("t", 0, Offset(0), 1, 200).await.unwrap();
    let text = broker.metrics().render();
    let phase = |phase: &str, what: &str| {
        let series = format!("ottla_request_phase_seconds_{what}{{api=\"Fetch\",phase=\"{phase}\"}}");
        value(&text, &series).unwrap()
    };
    for name in ["queue", "local", "remote", "send"] {
        assert_eq!(phase(name, "count"), 1.0, "{name}");
    }
    let remote = phase("remote", "sum");
    assert!(remote >= 0.19, "{remote} s");
    let total = value(&text, "ottla_request_duration_seconds_sum{api=\"Fetch\"}").unwrap();
    assert!((total - remote - phase("local", "sum")).abs() < 0.001, "{total} s in all");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_requests_are_counted() {
    for (limit, is_slow) in [("0", true), ("-1", false)] {
        let broker = Broker::start_with(&[("ottla.slow.request.ms", limit)]).await;
        broker.client().await;
        let slow = value(&broker.metrics().render(), "ottla_requests_slow_total").unwrap();
        assert_eq!(slow > 0.0, is_slow, "{slow} are over {limit} ms");
    }
}
