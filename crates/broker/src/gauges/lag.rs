//! How far groups are behind, in records and in seconds: read off the coordinators and the logs of this broker.

use std::sync::Arc;

use ottla_group_coordinator::offsets::CommittedOffset;
use ottla_model::{Offset, TimestampMs};

use super::partitions::largest;
use crate::groups::Groups;
use crate::partitions::{Partition, Partitions};
use crate::telemetry::{PerObject, Row};

/// A partition that a group has committed an offset of.
struct Lag {
    committed: CommittedOffset,
    partition: Arc<Partition>,
    records: u64,
}

/// Adds the rows of the `max` largest lags; those of coordinators that still load are not known.
pub(super) fn append(
    out: &mut PerObject,
    groups: &Groups,
    partitions: &Partitions,
    max: usize,
    now: TimestampMs,
) {
    if max == 0 {
        return;
    }
    let committed = groups.read_all(|shard| shard.committed_offsets()).unwrap_or_default();
    let mut lags: Vec<Lag> =
        committed.into_iter().flatten().filter_map(|committed| lag(committed, partitions)).collect();
    largest(&mut lags, max, |lag| (lag.records, (lag.committed.group.clone(), lag.committed.at.clone())));
    out.group_lags(lags.into_iter().map(|lag| row(&lag, now)).collect());
}

/// `None` where the partition is not on this broker.
fn lag(committed: CommittedOffset, partitions: &Partitions) -> Option<Lag> {
    let partition = partitions.by_name(&committed.at.topic, committed.at.partition).ok()?;
    let behind = partition.high_watermark().get().saturating_sub(committed.offset.get());
    Some(Lag { committed, partition, records: u64::try_from(behind).unwrap_or(0) })
}

fn row(lag: &Lag, now: TimestampMs) -> Row<3> {
    let at = &lag.committed.at;
    let index = at.partition.to_string();
    let labels = [("group", lag.committed.group.as_str()), ("topic", &at.topic), ("partition", &index)];
    let seconds = if lag.records == 0 { 0.0 } else { seconds_behind(lag, now) };
    Row::new(&labels, [lag.committed.offset.get() as f64, super::wide(lag.records), seconds])
}

/// The age of the first batch that is not committed, by its producer's clock; records may have been deleted since.
fn seconds_behind(lag: &Lag, now: TimestampMs) -> f64 {
    let from = lag.committed.offset.max(lag.partition.log_start()).max(Offset::ZERO);
    let written = lag.partition.batch_timestamp(from).filter(|written| *written != TimestampMs::NONE);
    let age_ms = written.map_or(0, |written| now.0.saturating_sub(written.0).max(0));
    age_ms as f64 / 1_000.0
}
