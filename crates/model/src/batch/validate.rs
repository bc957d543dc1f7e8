//! What a leader checks in a producer's batch, and the patches it makes under the CRC. Source: Kafka's `LogValidator`.

use super::header::{BatchError, BatchHeader, HEADER_LEN, TimestampType, crc32c};
use super::records::Records;
use crate::{Offset, TimestampMs};

/// What one walk over a batch's records found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordWalk {
    pub record_count: i32,
    /// The greatest record timestamp, and the offset of the first record that has it (KIP-734).
    pub max_timestamp: TimestampMs,
    pub offset_of_max_timestamp: Offset,
    pub min_timestamp: TimestampMs,
    /// Index in the batch of the first record without a key: a compacted topic refuses it.
    pub first_keyless: Option<i32>,
}

/// Reads every record of `section` (decompressed): sizes, counts, and offset deltas that run 0, 1, 2 ... without a gap.
pub fn walk_records(header: &BatchHeader, section: &[u8]) -> Result<RecordWalk, BatchError> {
    check_counts(header)?;
    let mut walk = RecordWalk {
        record_count: 0,
        max_timestamp: TimestampMs(i64::MIN),
        offset_of_max_timestamp: header.base_offset,
        min_timestamp: TimestampMs(i64::MAX),
        first_keyless: None,
    };
    for record in Records::new(header, section) {
        let record = record?;
        if record.offset_delta != walk.record_count {
            return Err(BatchError::OffsetDelta { expected: walk.record_count, found: record.offset_delta });
        }
        if record.timestamp > walk.max_timestamp {
            walk.max_timestamp = record.timestamp;
            walk.offset_of_max_timestamp = record.offset;
        }
        walk.min_timestamp = walk.min_timestamp.min(record.timestamp);
        if record.key.is_none() && walk.first_keyless.is_none() {
            walk.first_keyless = Some(walk.record_count);
        }
        walk.record_count += 1;
    }
    Ok(walk)
}

/// A producer's batch holds at least one record, and its offsets run without a gap.
pub fn check_counts(header: &BatchHeader) -> Result<(), BatchError> {
    let (count, last_offset_delta) = (header.record_count, header.last_offset_delta);
    if count <= 0 || last_offset_delta < 0 || count - 1 != last_offset_delta {
        return Err(BatchError::Count { count, last_offset_delta });
    }
    Ok(())
}

/// Sets the timestamp type and max timestamp of a whole batch and, if that changed anything, its CRC. A leader calls
/// it with `LogAppendTime` and its clock when `message.timestamp.type` says so.
pub fn stamp(batch: &mut [u8], kind: TimestampType, max_timestamp: TimestampMs) -> Result<(), BatchError> {
    let header = BatchHeader::read(batch)?;
    let size = header.size();
    let left = batch.len();
    let batch = batch.get_mut(..size).ok_or(BatchError::Short { wanted: size.max(HEADER_LEN), left })?;
    if header.timestamp_type() == kind && header.max_timestamp == max_timestamp {
        return Ok(());
    }
    let attributes = match kind {
        TimestampType::CreateTime => header.attributes & !0x08,
        TimestampType::LogAppendTime => header.attributes | 0x08,
    };
    batch[21..23].copy_from_slice(&attributes.to_be_bytes());
    batch[35..43].copy_from_slice(&max_timestamp.get().to_be_bytes());
    let crc = crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    Ok(())
}
