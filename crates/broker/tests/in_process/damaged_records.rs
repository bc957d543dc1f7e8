//! A flipped byte in the middle of a closed segment: whoever reads there is told, once known also by the broker; it is
//! counted; everything else lives.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use bytes::Bytes;
use ottla_client::Client;
use ottla_model::batch::BatchBuilder;
use ottla_model::{Offset, TimestampMs};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::{BrokerId, ListOffsetsRequest};

use crate::support::{Broker, batch, eventually, topic_name, values_from};

const SEGMENTS: &[(&str, &str)] = &[("segment.bytes", "1048576")];
const BATCHES: i64 = 12;

/// A batch of 300 kB: three make a segment.
fn large(number: i64) -> Bytes {
    let mut builder = BatchBuilder::new(Offset::ZERO);
    builder.push(TimestampMs(1_000 + number), None, Some(&vec![b'v'; 300_000]), &[]);
    builder.build().unwrap().into()
}

async fn filled() -> Broker {
    let broker = Broker::start().await;
    for topic in ["t", "other"] {
        broker.create(topic, SEGMENTS).await;
    }
    let client = broker.client().await;
    for number in 0..BATCHES {
        client.produce("t", 0, large(number), -1).await.unwrap();
    }
    client.produce("other", 0, batch(&["x"]), -1).await.unwrap();
    broker
}

/// The first segment's batches are as long as each other.
fn batch_len(segment: &Path) -> u64 {
    std::fs::metadata(segment).unwrap().len() / 3
}

fn flip(file: &Path, at: u64) {
    let mut file = std::fs::File::options().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[byte[0] ^ 1]).unwrap();
}

/// Of each offset whether it can be read.
async fn readable(client: &Client) -> Vec<bool> {
    let mut found = Vec::new();
    for offset in (0..BATCHES).map(Offset) {
        let fetched = client.fetch("t", 0, offset, 1, 0).await;
        let first = fetched.ok().and_then(|fetched| fetched.records_from(offset).ok()?.into_iter().next());
        found.push(first.is_some_and(|record| record.offset == offset));
    }
    found
}

async fn refused(client: &Client, offset: i64) -> bool {
    let fetched = client.fetch("t", 0, Offset(offset), 1, 0).await;
    fetched.is_err_and(|error| error.error_code() == Some(ErrorCode::CorruptMessage))
}

async fn lives(broker: &Broker, client: &Client, damaged: i64) {
    let readable = readable(client).await;
    let expected: Vec<bool> = (0..BATCHES).map(|offset| offset != damaged).collect();
    assert_eq!(readable, expected, "byte by byte what was written, but for {damaged}");
    assert_eq!(broker.metric("ottla_log_damaged_places"), 1.0);
    assert_eq!(broker.metric("ottla_log_dirs_offline"), 0.0);
    assert_eq!(values_from(client, "other", Offset::ZERO).await, ["x"]);
    let produced = client.produce("t", 0, large(BATCHES), -1).await.unwrap();
    assert_eq!(produced.base_offset, Offset(BATCHES));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_of_a_record_is_found_behind_its_first_reader_and_refused_to_the_next() {
    let broker = filled().await;
    let segment = broker.data_dir().join("t-0").join(format!("{:020}.log", 0));
    flip(&segment, batch_len(&segment) + 1_000);
    let client = broker.client().await;
    assert_eq!(broker.metric("ottla_log_damaged_places"), 0.0, "nobody has read it");
    let first = client.fetch("t", 0, Offset(1), 1, 0).await.unwrap();
    assert!(first.records_from(Offset(1)).is_err(), "its CRC tells the first reader");
    eventually("known to the broker", async || refused(&client, 1).await).await;
    let before = client.fetch("t", 0, Offset::ZERO, 1, 0).await.unwrap();
    assert_eq!(before.records_from(Offset::ZERO).unwrap().len(), 1, "up to the damage");
    lives(&broker, &client, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_of_a_batchs_length_is_refused_at_once() {
    let broker = filled().await;
    // As after a start: the index knows no position, and nobody remembers one.
    let broker = broker
        .restart_after(|dir| {
            let segment = dir.join("t-0").join(format!("{:020}.log", 0));
            flip(&segment, batch_len(&segment) + 8);
        })
        .await;
    let client = broker.client().await;
    assert!(refused(&client, 1).await);
    // Who reads in front of it gets it too, the first time.
    eventually("known to the broker", async || {
        let before = client.fetch("t", 0, Offset::ZERO, 1, 0).await.unwrap();
        before.records_from(Offset::ZERO).is_ok_and(|records| records.len() == 1)
    })
    .await;
    lives(&broker, &client, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_by_time_says_so_rather_than_what_a_damaged_batch_says() {
    let broker = filled().await;
    let segment = broker.data_dir().join("t-0").join(format!("{:020}.log", 0));
    flip(&segment, batch_len(&segment) + 1_000);
    let client = broker.client().await;
    let lookup = async |timestamp: i64| {
        let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
        let topic = ListOffsetsTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]);
        let response = client.call(&request).await.unwrap();
        let partition = &response.topics[0].partitions[0];
        (partition.error_code, partition.offset)
    };
    assert_eq!(lookup(1_001).await.0, ErrorCode::CorruptMessage.code());
    for (timestamp, offset) in [(1_000, 0), (1_002, 2), (1_011, 11)] {
        assert_eq!(lookup(timestamp).await, (0, offset));
    }
    assert_eq!(broker.metric("ottla_log_damaged_places"), 1.0);
}
