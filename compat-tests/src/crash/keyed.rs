//! A producer of values and deletions of a few keys, one at a time, and of values of keys that never come again: what
//! compaction would lose of the others is written anew before anybody looks.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_client::{Client, ConsumedRecord};
use ottla_model::batch::BatchBuilder;
use ottla_model::{Offset, TimestampMs};
use tokio::time::sleep;

use super::session::{Interrupted, Site};
use super::{History, Rng};
use crate::ledger::compacted::Keyed;

pub(crate) const TOPIC: &str = "compacted";
const KEYS: u64 = 12;
const PAUSE: Duration = Duration::from_millis(8);
const VALUE_LEN: usize = 400;
/// A tombstone has no value to say which record it is: timestamps do, this far from one to the next. `segment.ms`
/// counts in them.
const STEP_MS: i64 = 10;

pub(crate) async fn run(site: Site, mut rng: Rng, history: Arc<History>, from_ms: i64) {
    let mut sequence = 0;
    while let Some(client) = site.leader(TOPIC, 0).await {
        while !site.stopped() {
            let comes_again = !rng.once_in(6);
            let key = if comes_again { rng.below(KEYS) } else { KEYS + sequence };
            let key = u32::try_from(key).unwrap_or(0);
            let record = Keyed { key, sequence, tombstone: comes_again && rng.once_in(6), offset: -1 };
            sequence += 1;
            history.keyed_sent(record);
            match send(&client, record, from_ms).await {
                Ok(offset) => history.keyed_acknowledged(Keyed { offset, ..record }),
                Err(_) => break,
            }
            sleep(PAUSE).await;
        }
    }
}

async fn send(client: &Client, record: Keyed, from_ms: i64) -> Result<i64, Interrupted> {
    let mut builder = BatchBuilder::new(Offset::ZERO);
    let key = record.key.to_string();
    let value = (!record.tombstone).then(|| "x".repeat(VALUE_LEN));
    let timestamp = from_ms + i64::try_from(record.sequence).unwrap_or(0) * STEP_MS;
    builder.push(TimestampMs(timestamp), Some(key.as_bytes()), value.as_deref().map(str::as_bytes), &[]);
    let batch = Bytes::from(builder.build().expect("a batch"));
    Ok(client.produce(TOPIC, 0, batch, -1).await?.base_offset.get())
}

/// What was sent, from what was read.
pub(crate) fn parse(record: &ConsumedRecord, from_ms: i64) -> Option<Keyed> {
    let key = std::str::from_utf8(record.key.as_deref()?).ok()?.parse().ok()?;
    let sequence = u64::try_from((record.timestamp.get() - from_ms) / STEP_MS).ok()?;
    Some(Keyed { key, sequence, tombstone: record.value.is_none(), offset: record.offset.get() })
}
