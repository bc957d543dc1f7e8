//! What a leader checks in the records of a client's batch: that they can be read, keys on a compacted topic, and
//! timestamps. Source: Kafka's `LogValidator.validateRecord`.

use std::borrow::Cow;

use ottla_model::batch::{
    BatchError, BatchHeader, Compression, Glance, Record, Records, TimestampType, decompress,
};
use ottla_model::{Now, TimestampMs};

use crate::append::{AppendError, InvalidRecord, RecordErrors, RecordFault};
use crate::config::LogConfig;

/// A batch may decompress to this many times `max.message.bytes` before it is refused.
const DECOMPRESSED_FACTOR: usize = 128;

/// The rules that a topic's records keep, at one moment.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    config: &'a LogConfig,
    is_create_time: bool,
    now: TimestampMs,
}

/// What the records of a batch say.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadRecords {
    /// -1 if none has one.
    pub(super) max_timestamp: TimestampMs,
    /// Whether their offset deltas are 0, 1, 2 and so on.
    pub(super) are_consecutive: bool,
}

impl<'a> Rules<'a> {
    pub(super) fn new(config: &'a LogConfig, now: Now) -> Self {
        let is_create_time = config.message_timestamp_type == TimestampType::CreateTime;
        Self { config, is_create_time, now: now.wall }
    }

    /// The records section, decompressed if it has to be.
    pub(super) fn section<'b>(
        &self,
        header: &BatchHeader,
        bytes: &'b [u8],
    ) -> Result<Cow<'b, [u8]>, AppendError> {
        let limit = DECOMPRESSED_FACTOR.saturating_mul(self.config.max_message_bytes as usize);
        decompress(header, bytes, limit).map_err(malformed)
    }

    /// Reads all records.
    pub(super) fn check(&self, header: &BatchHeader, section: &[u8]) -> Result<ReadRecords, AppendError> {
        let is_compressed = header.compression().is_ok_and(|codec| codec != Compression::None);
        let stamped_by_producer = header.timestamp_type() == TimestampType::LogAppendTime;
        if let Some(glance) = Glance::of(header, section)
            && !self.may_fault(&glance, stamped_by_producer, is_compressed)
        {
            let Glance { max_timestamp, are_consecutive, .. } = glance;
            return Ok(ReadRecords { max_timestamp, are_consecutive });
        }
        let mut read = ReadRecords { max_timestamp: TimestampMs::NONE, are_consecutive: true };
        let mut errors = RecordErrors::default();
        for (index, record) in Records::new(header, section).enumerate() {
            let record = record.map_err(malformed)?;
            read.max_timestamp = read.max_timestamp.max(record.timestamp);
            read.are_consecutive &= usize::try_from(record.offset_delta) == Ok(index);
            if is_compressed && record.body_len > self.config.max_decompressed_message_bytes as usize {
                return Err(InvalidRecord::DecompressedTooLarge.into());
            }
            let fault = self.fault(&record, stamped_by_producer, is_compressed);
            if let Some(fault) = fault {
                errors.add(index, fault);
            }
        }
        if errors.total > 0 { Err(AppendError::InvalidRecords(errors)) } else { Ok(read) }
    }

    /// Whether one record or another may break a rule; which one, and how, a closer look tells.
    fn may_fault(&self, glance: &Glance, stamped_by_producer: bool, is_compressed: bool) -> bool {
        let Glance { min_timestamp, max_timestamp, .. } = *glance;
        (self.config.cleanup_policy.compact && !glance.all_have_keys)
            || (is_compressed && glance.max_body_len > self.config.max_decompressed_message_bytes as usize)
            || stamped_by_producer
            // Below zero are those that have none, and the differences may wrap.
            || min_timestamp < TimestampMs(0)
            || (self.is_create_time && (self.out_of_range(min_timestamp) || self.out_of_range(max_timestamp)))
    }

    fn fault(
        &self,
        record: &Record<'_>,
        stamped_by_producer: bool,
        is_compressed: bool,
    ) -> Option<RecordFault> {
        let Record { offset, timestamp, .. } = *record;
        if self.config.cleanup_policy.compact && record.key.is_none() {
            return Some(RecordFault::NoKey);
        }
        if self.is_create_time && timestamp != TimestampMs::NONE {
            return self.out_of_range(timestamp).then(|| RecordFault::Timestamp {
                timestamp,
                offset,
                min: TimestampMs(self.now.get().wrapping_sub(self.config.message_timestamp_before_max_ms)),
                max: TimestampMs(self.now.get().wrapping_add(self.config.message_timestamp_after_max_ms)),
            });
        }
        stamped_by_producer.then(|| RecordFault::LogAppendTime {
            is_compressed,
            offset,
            timestamp,
            key_len: record.key.map(<[u8]>::len),
            value_len: record.value.map(<[u8]>::len),
        })
    }

    /// As Kafka computes it, wrapping included.
    fn out_of_range(&self, timestamp: TimestampMs) -> bool {
        let ago = self.now.get().wrapping_sub(timestamp.get());
        ago > self.config.message_timestamp_before_max_ms
            || ago.wrapping_neg() > self.config.message_timestamp_after_max_ms
    }
}

pub(super) fn malformed(error: BatchError) -> AppendError {
    InvalidRecord::Malformed(error).into()
}
