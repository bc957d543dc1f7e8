//! The patch a leader makes under a batch's CRC. Source: Kafka's `LogValidator`.

use super::header::{BatchError, BatchHeader, HEADER_LEN, TimestampType, crc32c};
use crate::TimestampMs;

/// Sets the timestamp type and max timestamp of a whole batch and, if that changed anything, its CRC. A leader calls
/// it with `LogAppendTime` and its clock when `message.timestamp.type` says so, else with what the records say.
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
