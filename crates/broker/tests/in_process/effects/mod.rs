//! Settings that are changed while the broker runs change what it does, from then on.

mod at_start;
mod compaction;
mod node;
mod segments;
mod table;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ottla_client::{Client, ClientError, Produced};
use ottla_model::batch::{BatchBuilder, Compression};
use ottla_model::{Offset, TimestampMs};
use ottla_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use ottla_protocol::messages::{IncrementalAlterConfigsRequest, StrBytes};

use crate::support::{Broker, batch};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
pub(crate) const GROUP: i8 = 32;

/// Sets a config, or deletes it.
pub(crate) async fn alter(client: &Client, kind: i8, resource: &str, name: &str, value: Option<&str>) {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let config = AlterableConfig::default()
        .with_name(text(name))
        .with_config_operation(i8::from(value.is_none()))
        .with_value(value.map(text));
    let resource = AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(resource))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let answer = client.call(&request).await.unwrap().responses.remove(0);
    assert_eq!(answer.error_code, 0, "{name}: {:?}", answer.error_message);
}

/// A topic's setting, and the broker's that it inherits from: where each can be set, with the name that it has there.
fn places(of_topic: &'static str, of_broker: &'static str) -> [(i8, &'static str, &'static str); 3] {
    [(TOPIC, "t", of_topic), (BROKER, "", of_broker), (BROKER, "1", of_broker)]
}

/// Asks again until it is so; the broker does it in its own time.
async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asking).await.unwrap_or_else(|_| panic!("{what}"));
}

/// A batch of records of this time.
fn batch_at(time: TimestampMs, values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(Offset::ZERO);
    for value in values {
        builder.push(time, None, Some(value.as_bytes()), &[]);
    }
    Bytes::from(builder.build().unwrap())
}

fn wall_now() -> TimestampMs {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    TimestampMs(i64::try_from(now.as_millis()).unwrap())
}

/// The error code of a produce, 0 for none.
fn code(produced: &Result<Produced, ClientError>) -> i16 {
    match produced {
        Ok(_) => 0,
        Err(ClientError::Broker { code, .. }) => *code,
        Err(error) => panic!("{error}"),
    }
}

const MESSAGE_TOO_LARGE: i16 = 10;
const INVALID_TIMESTAMP: i16 = 32;
const INVALID_RECORD: i16 = 87;

/// A topic's setting, the broker's that it inherits from, a value, and what a produce (acks=all) is answered under it.
const OF_PRODUCE: [(&str, &str, &str, i16); 3] = [
    ("max.message.bytes", "message.max.bytes", "10", MESSAGE_TOO_LARGE),
    ("message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms", "1", INVALID_TIMESTAMP),
    ("cleanup.policy", "log.cleanup.policy", "compact", INVALID_RECORD),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_a_produce_is_judged_by_changes_at_once() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    let produce = async || code(&client.produce("t", 0, batch(&["a record without a key"]), -1).await);
    assert_eq!(produce().await, 0);
    for (of_topic, of_broker, value, expected) in OF_PRODUCE {
        for (kind, resource, name) in places(of_topic, of_broker) {
            alter(&client, kind, resource, name, Some(value)).await;
            assert_eq!(produce().await, expected, "{name}={value} of {resource}");
            alter(&client, kind, resource, name, None).await;
            assert_eq!(produce().await, 0, "{name} of {resource} is gone");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topics_own_setting_beats_the_brokers_and_that_the_clusters() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    let produce = async || code(&client.produce("t", 0, batch(&["a"]), 1).await);
    alter(&client, BROKER, "", "message.max.bytes", Some("10")).await;
    assert_eq!(produce().await, MESSAGE_TOO_LARGE);
    alter(&client, BROKER, "1", "message.max.bytes", Some("1000")).await;
    assert_eq!(produce().await, 0);
    alter(&client, TOPIC, "t", "max.message.bytes", Some("10")).await;
    assert_eq!(produce().await, MESSAGE_TOO_LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_all_layers_survive_a_restart() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    alter(&client, BROKER, "", "message.max.bytes", Some("10")).await;
    alter(&client, BROKER, "1", "log.message.timestamp.type", Some("LogAppendTime")).await;
    let broker = broker.restart().await;
    let client = broker.client().await;
    assert_eq!(code(&client.produce("t", 0, batch(&["a"]), 1).await), MESSAGE_TOO_LARGE);
    alter(&client, BROKER, "", "message.max.bytes", None).await;
    let produced = client.produce("t", 0, batch(&["a"]), 1).await.unwrap();
    assert!(produced.log_append_time > TimestampMs(1_000), "{produced:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_compressed_as_the_setting_says_now() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    // Attributes stand at byte 21 of a batch; their low three bits are the codec.
    let codec = async |at: Offset| {
        let fetched = client.fetch("t", 0, at, 1, 0).await.unwrap();
        fetched.records[22] & 7
    };
    for (i, (value, expected)) in
        [("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4), ("uncompressed", 0)].into_iter().enumerate()
    {
        alter(&client, BROKER, "", "compression.type", Some(value)).await;
        let produced = client.produce("t", 0, batch(&["a", "b"]), 1).await.unwrap();
        assert_eq!(produced.base_offset, Offset(2 * i64::try_from(i).unwrap()));
        assert_eq!(codec(produced.base_offset).await, expected, "{value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_roll_and_expire_as_the_settings_say_now() {
    let often = [("log.retention.check.interval.ms", "20"), ("log.initial.task.delay.ms", "0")];
    let broker = Broker::start_with(&often).await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    let produce = async || client.produce("t", 0, batch(&[&"x".repeat(500)]), 1).await.unwrap();
    let segments = || {
        let files = std::fs::read_dir(broker.data_dir().join("t-0")).unwrap();
        files.filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().ends_with(".log")).count()
    };
    // The records' time is 1970: they would all be too old.
    alter(&client, BROKER, "", "log.retention.ms", Some("-1")).await;
    for _ in 0..4 {
        produce().await;
    }
    assert_eq!(segments(), 1);
    alter(&client, TOPIC, "t", "internal.segment.bytes", Some("600")).await;
    for _ in 0..4 {
        produce().await;
    }
    assert!(segments() >= 4, "{}", segments());
    alter(&client, BROKER, "", "log.retention.ms", Some("1000")).await;
    let until_gone = async {
        while client.fetch("t", 0, Offset::ZERO, 1, 0).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), until_gone).await.expect("old segments go");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_may_be_as_far_in_the_future_as_the_setting_says_now() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    let soon = TimestampMs(wall_now().0 + 600_000);
    let produce = async || code(&client.produce("t", 0, batch_at(soon, &["a"]), 1).await);
    assert_eq!(produce().await, 0);
    for (kind, resource, name) in
        places("message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms")
    {
        alter(&client, kind, resource, name, Some("1000")).await;
        assert_eq!(produce().await, INVALID_TIMESTAMP, "{name} of {resource}");
        alter(&client, kind, resource, name, None).await;
        assert_eq!(produce().await, 0, "{name} of {resource} is gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_may_unpack_to_what_the_setting_says_now() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    let mut packed = BatchBuilder::new(Offset::ZERO).compression(Compression::Gzip, None);
    packed.push(TimestampMs(1_000), None, Some(&[0; 10_000]), &[]);
    let packed = Bytes::from(packed.build().unwrap());
    let produce = async || code(&client.produce("t", 0, packed.clone(), 1).await);
    assert_eq!(produce().await, 0);
    let name = "max.decompressed.message.bytes";
    for (kind, resource, name) in places(name, name) {
        alter(&client, kind, resource, name, Some("5000")).await;
        assert_ne!(produce().await, 0, "{name} of {resource}");
        alter(&client, kind, resource, name, None).await;
        assert_eq!(produce().await, 0, "{name} of {resource} is gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_given_as_the_setting_says_now() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    let stamped = async || {
        let produced = client.produce("t", 0, batch(&["a"]), 1).await.unwrap();
        produced.log_append_time > TimestampMs(1_000)
    };
    assert!(!stamped().await);
    for (kind, resource, name) in places("message.timestamp.type", "log.message.timestamp.type") {
        alter(&client, kind, resource, name, Some("LogAppendTime")).await;
        assert!(stamped().await, "{name} of {resource}");
        alter(&client, kind, resource, name, None).await;
        assert!(!stamped().await, "{name} of {resource} is gone");
    }
}

/// A codec, the setting of its level, and levels that make more and less of it.
const LEVELS: [(&str, &str, &str, &str); 3] = [
    ("gzip", "compression.gzip.level", "1", "9"),
    ("lz4", "compression.lz4.level", "1", "17"),
    ("zstd", "compression.zstd.level", "-50", "19"),
];

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_compressed_as_hard_as_the_setting_says_now() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    let text: String = (0..3_000).map(|i: u32| format!("{} ", i.wrapping_mul(2_654_435_761) % 977)).collect();
    let size = async || {
        let produced = client.produce("t", 0, batch(&[&text]), 1).await.unwrap();
        client.fetch("t", 0, produced.base_offset, 1, 0).await.unwrap().records.len()
    };
    for (codec, name, lightly, hard) in LEVELS {
        alter(&client, TOPIC, "t", "compression.type", Some(codec)).await;
        for (kind, resource, name) in places(name, name) {
            alter(&client, kind, resource, name, Some(lightly)).await;
            let large = size().await;
            alter(&client, kind, resource, name, Some(hard)).await;
            let small = size().await;
            assert!(small < large, "{name} of {resource}: {small} bytes, {large} lightly");
            alter(&client, kind, resource, name, None).await;
        }
    }
}
