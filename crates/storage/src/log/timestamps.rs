//! Finding records by time (ListOffsets).

use ottla_model::batch::{BatchError, BatchHeader, Records, TimestampType, decompress};
use ottla_model::{Offset, TimestampMs};

use crate::error::StorageError;
use crate::read::TimestampOffset;
use crate::segment::{BatchAt, Segment};

use super::PartitionLog;

/// A batch larger than this when decompressed is not looked into.
const DECOMPRESSED_BYTES_MAX: usize = 1 << 30;

impl PartitionLog {
    /// The first record at or beyond the log start offset whose timestamp is at least `timestamp`.
    pub fn offset_for_timestamp(
        &mut self,
        timestamp: TimestampMs,
    ) -> Result<Option<TimestampOffset>, StorageError> {
        self.check_online()?;
        let start = self.log_start_offset;
        for segment in &mut self.segments {
            if segment.max_timestamp()?.is_none_or(|max| max.timestamp < timestamp) {
                continue;
            }
            if let Some(found) = find_in_segment(segment, timestamp, start)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The first record that has the largest timestamp of the log (KIP-734); where no record has one, the first record, at
    /// [`TimestampMs::NONE`]. `None` if the log is empty.
    pub fn max_timestamp(&mut self) -> Result<Option<TimestampOffset>, StorageError> {
        self.check_online()?;
        let mut largest: Option<(TimestampMs, usize, Offset)> = None;
        for (number, segment) in self.segments.iter_mut().enumerate() {
            let Some(max) = segment.max_timestamp()? else { continue };
            if largest.is_none_or(|(timestamp, ..)| max.timestamp > timestamp) {
                largest = Some((max.timestamp, number, max.offset));
            }
        }
        let first = || Some((TimestampMs::NONE, 0, self.segments.first()?.base_offset()));
        let Some((timestamp, number, offset)) = largest.or_else(first) else { return Ok(None) };
        let segment = &self.segments[number];
        let Some(batch) = segment.locate(offset)? else { return Ok(None) };
        find_in_batch(segment, &batch, timestamp, segment.base_offset())
    }
}

fn find_in_segment(
    segment: &Segment,
    timestamp: TimestampMs,
    start: Offset,
) -> Result<Option<TimestampOffset>, StorageError> {
    // No batch up to this entry's offset has a larger timestamp than the entry, which is below the wanted one.
    let before = segment.time_index().partition_point(|entry| entry.timestamp < timestamp.get())?;
    let known = match before.checked_sub(1) {
        Some(number) => segment.timed_batch(segment.time_index().get(number)?)?,
        None => None,
    };
    let from = known.map_or(segment.base_offset(), |batch| batch.header.last_offset());
    let Some(first) = segment.locate(from.max(start))? else { return Ok(None) };
    let mut walk = segment.walk(first.position)?;
    while let Some(batch) = walk.next()? {
        if batch.header.max_timestamp < timestamp {
            continue;
        }
        if let Some(found) = find_in_batch(segment, &batch, timestamp, start)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The first record of the batch with at least this timestamp and offset.
fn find_in_batch(
    segment: &Segment,
    batch: &BatchAt,
    timestamp: TimestampMs,
    start: Offset,
) -> Result<Option<TimestampOffset>, StorageError> {
    let header = &batch.header;
    let at = |timestamp, offset| TimestampOffset {
        timestamp,
        offset,
        leader_epoch: header.partition_leader_epoch,
    };
    if header.timestamp_type() == TimestampType::LogAppendTime {
        let offset = header.base_offset.max(start);
        return Ok((offset <= header.last_offset()).then(|| at(header.max_timestamp, offset)));
    }
    let bytes = segment.read_batch(batch)?;
    header.verify(&bytes).map_err(|error| segment.damaged(batch, error))?;
    match first_record(header, &bytes, timestamp, start) {
        Ok(found) => Ok(found.map(|(timestamp, offset)| at(timestamp, offset))),
        // A producer's broken records are its consumers' problem; the header alone answers.
        Err(_) => Ok(Some(at(header.max_timestamp, header.base_offset.max(start)))),
    }
}

fn first_record(
    header: &BatchHeader,
    bytes: &[u8],
    timestamp: TimestampMs,
    start: Offset,
) -> Result<Option<(TimestampMs, Offset)>, BatchError> {
    let section = decompress(header, bytes, DECOMPRESSED_BYTES_MAX)?;
    for record in Records::new(header, &section) {
        let record = record?;
        // Nobody checks the offsets of records that a producer did not compress; one outside its batch is none.
        if !(header.base_offset..=header.last_offset()).contains(&record.offset) {
            return Err(BatchError::Record);
        }
        if record.timestamp >= timestamp && record.offset >= start {
            return Ok(Some((record.timestamp, record.offset)));
        }
    }
    Ok(None)
}
