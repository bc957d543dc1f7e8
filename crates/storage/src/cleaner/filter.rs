//! What compaction makes of one batch. Source: Kafka's `Cleaner.cleanInto` and `MemoryRecords.filterTo`.

use std::collections::BTreeMap;

use ottla_model::batch::{BatchBuilder, BatchError, BatchHeader, Record, Records, decompress};
use ottla_model::{Offset, ProducerEpoch, ProducerId, TimestampMs};

use super::offset_map::OffsetMap;
use super::transactions::Transactions;

/// A batch larger than this when decompressed is left as it is.
const DECOMPRESSED_BYTES_MAX: usize = 1 << 30;

/// The last thing on the disk that the log knows of a producer: what must survive so that its sequence goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastRecord {
    /// The batch with this last offset.
    Batch(Offset),
    /// No data batch is remembered, but a transaction marker of this epoch.
    Marker(ProducerEpoch),
    /// It is older than what is remembered: any batch may be it.
    Unknown,
}

/// What is left of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Whole,
    Nothing,
    Rewritten(Vec<u8>),
}

/// Where a map stopped taking a batch's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Indexed {
    Whole,
    /// Full: this is the first offset that is not in it.
    Until(Offset),
}

/// Adds the batch's keys from `from` on.
pub(super) fn index(
    map: &mut OffsetMap,
    transactions: &mut Transactions,
    header: &BatchHeader,
    bytes: &[u8],
    from: Offset,
) -> Result<Indexed, BatchError> {
    let is_aborted = !header.is_control() && transactions.is_aborted(header);
    let section = decompress(header, bytes, DECOMPRESSED_BYTES_MAX)?;
    if header.is_control() {
        transactions.may_drop_marker(header, &section);
        return Ok(Indexed::Whole);
    }
    // All or nothing: what a broken batch says must not remove anything.
    if let Some(error) = Records::new(header, &section).find_map(Result::err) {
        return Err(error);
    }
    if is_aborted {
        return Ok(Indexed::Whole);
    }
    for record in Records::new(header, &section).flatten().filter(|record| record.offset >= from) {
        if let Some(key) = record.key
            && map.put(key, record.offset).is_err()
        {
            return Ok(Indexed::Until(record.offset));
        }
    }
    Ok(Indexed::Whole)
}

/// What decides about a record.
#[derive(Debug)]
pub(super) struct Filter<'a> {
    pub(super) map: &'a OffsetMap,
    /// Records above it are not in the map.
    pub(super) latest: Offset,
    pub(super) now: TimestampMs,
    pub(super) delete_retention_ms: i64,
    pub(super) producers: &'a BTreeMap<ProducerId, LastRecord>,
}

impl Filter<'_> {
    /// `must_stay`: at least an empty batch is left in its place.
    pub(super) fn batch(
        &self,
        transactions: &mut Transactions,
        header: &BatchHeader,
        bytes: &[u8],
        must_stay: bool,
    ) -> Result<Left, BatchError> {
        let is_aborted = !header.is_control() && transactions.is_aborted(header);
        let section = decompress(header, bytes, DECOMPRESSED_BYTES_MAX)?;
        let is_spent = header.is_control() && transactions.may_drop_marker(header, &section);
        let (mut kept, mut has_tombstones) = (Vec::new(), false);
        for record in Records::new(header, &section) {
            let record = record?;
            if is_aborted || (is_spent && self.is_past_horizon(header)) || !self.keeps(header, &record) {
                continue;
            }
            has_tombstones |= record.value.is_none();
            kept.push(record);
        }
        if kept.is_empty() {
            return Ok(match (must_stay || self.is_last_of_producer(header), header.record_count) {
                (false, _) => Left::Nothing,
                (true, 0) => Left::Whole,
                (true, _) => Left::Rewritten(BatchBuilder::emptied(header)),
            });
        }
        let wants_horizon = (has_tombstones || is_spent) && header.delete_horizon().is_none();
        if !wants_horizon && usize::try_from(header.record_count) == Ok(kept.len()) {
            return Ok(Left::Whole);
        }
        let horizon = TimestampMs(self.now.get().saturating_add(self.delete_retention_ms));
        let horizon = header.delete_horizon().or(wants_horizon.then_some(horizon));
        rewritten(header, &kept, horizon).map(Left::Rewritten)
    }

    fn keeps(&self, header: &BatchHeader, record: &Record<'_>) -> bool {
        if header.is_control() || record.offset > self.latest {
            return true;
        }
        let Some(key) = record.key else { return false };
        let is_latest = self.map.get(key).is_none_or(|latest| record.offset >= latest);
        is_latest && (record.value.is_some() || !self.is_past_horizon(header))
    }

    fn is_past_horizon(&self, header: &BatchHeader) -> bool {
        header.delete_horizon().is_some_and(|horizon| horizon <= self.now)
    }

    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        let last = self.producers.get(&header.producer_id).filter(|_| header.has_producer_id());
        last.is_some_and(|last| match *last {
            LastRecord::Batch(offset) => header.last_offset() == offset,
            LastRecord::Marker(epoch) => header.is_control() && header.producer_epoch == epoch,
            LastRecord::Unknown => true,
        })
    }
}

fn rewritten(
    header: &BatchHeader,
    kept: &[Record<'_>],
    delete_horizon: Option<TimestampMs>,
) -> Result<Vec<u8>, BatchError> {
    let mut builder = BatchBuilder::like(header, delete_horizon)?;
    let mut headers: Vec<(&[u8], Option<&[u8]>)> = Vec::new();
    for record in kept {
        headers.clear();
        headers.extend(record.headers.clone().map(|header| (header.key, header.value)));
        builder.push_at(record.offset_delta, record.timestamp, record.key, record.value, &headers);
    }
    builder.build()
}
