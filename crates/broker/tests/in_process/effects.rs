//! Settings that are changed while the broker runs change what it does, from then on.

use std::time::Duration;

use ottla_client::{Client, ClientError, Produced};
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
        for (kind, resource, name) in
            [(TOPIC, "t", of_topic), (BROKER, "", of_broker), (BROKER, "1", of_broker)]
        {
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
