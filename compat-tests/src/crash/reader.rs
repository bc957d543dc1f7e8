//! Whole topics, read back.

use std::time::{Duration, Instant};

use ottla_client::{Client, ClientError, ConsumedRecord};
use ottla_model::Offset;
use ottla_protocol::messages::ListOffsetsRequest;
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use tokio::time::sleep;

use super::session::topic_name;
use crate::admin::{leader_of, try_client};
use crate::ledger::records::{Entry, Read};

/// A broker that has just started may not lead a partition yet; retention may be faster than a reading.
const WITHIN: Duration = Duration::from_secs(60);
/// A broker that does not answer for so long is not asked.
const PATIENCE: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(10);
const EARLIEST: i64 = -2;

/// A partition from its log start to the high watermark that it had when the reading began.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) start: i64,
    pub(crate) records: Vec<ConsumedRecord>,
}

pub(crate) async fn read(addresses: &[String], topic: &str, partition: i32) -> Partition {
    let until = Instant::now() + WITHIN;
    loop {
        let error = match attempt(addresses, topic, partition).await {
            Ok(read) => return read,
            Err(error) => error,
        };
        assert!(Instant::now() < until, "{topic}-{partition} cannot be read: {error}");
        sleep(AGAIN).await;
    }
}

async fn attempt(addresses: &[String], topic: &str, partition: i32) -> Result<Partition, ClientError> {
    let client = leader(addresses, topic, partition).await?;
    let start = earliest(&client, topic, partition).await?;
    let mut records = Vec::new();
    let (mut at, mut end) = (Offset(start), None);
    loop {
        let fetched = client.fetch(topic, partition, at, 0, 0).await?;
        let end = *end.get_or_insert(fetched.high_watermark);
        records.extend(fetched.records_from(at).expect("sound batches"));
        let next = fetched.next_offset(at);
        if next >= end {
            return Ok(Partition { start, records });
        }
        // The last offsets of a compacted log may have no batch.
        assert!(next > at || fetched.records.is_empty(), "{topic}-{partition} stands still at {at}");
        if next == at {
            return Ok(Partition { start, records });
        }
        at = next;
    }
}

/// The leader as the first one says who knows.
async fn leader(addresses: &[String], topic: &str, partition: i32) -> Result<Client, ClientError> {
    for address in addresses {
        if let Ok(Some(leader)) = leader_of(address, topic, partition, PATIENCE).await {
            return try_client(&leader, PATIENCE).await;
        }
    }
    Err(ClientError::Closed)
}

async fn earliest(client: &Client, topic: &str, partition: i32) -> Result<i64, ClientError> {
    let partition = ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(EARLIEST);
    let topic = ListOffsetsTopic::default().with_name(topic_name(topic)).with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
    let answer = client.call(&request).await?;
    let found = answer.topics.iter().flat_map(|topic| &topic.partitions).next();
    let good = found.filter(|found| found.error_code == 0);
    good.map(|found| found.offset).ok_or(ClientError::Closed)
}

/// Partitions of a topic whose records are `<producer>:<sequence>:...`, or a bare sequence of producer 0.
pub async fn read_entries(addresses: &[String], topic: &str, partitions: std::ops::Range<i32>) -> Read {
    let mut all = Read::default();
    for partition in partitions {
        let read = read(addresses, topic, partition).await;
        all.starts.insert(partition, read.start);
        all.entries.extend(read.records.iter().map(|record| {
            let value = record.value.as_deref().unwrap_or_default();
            parse(partition, record.offset.get(), value)
                .unwrap_or_else(|| panic!("no record of ours in {topic}-{partition} at {}", record.offset))
        }));
    }
    all
}

pub(crate) fn parse(partition: i32, offset: i64, value: &[u8]) -> Option<Entry> {
    let text = std::str::from_utf8(value).ok()?;
    let mut fields = text.split(':');
    let first = fields.next()?;
    let (producer, sequence) = match fields.next() {
        Some(sequence) => (first.parse().ok()?, sequence.parse().ok()?),
        None => (0, first.parse().ok()?),
    };
    Some(Entry { partition, offset, producer, sequence })
}
