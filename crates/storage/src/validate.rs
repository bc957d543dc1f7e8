//! What a leader checks before it appends, from batch headers alone where that is enough. Source: Kafka's
//! `UnifiedLog.analyzeAndValidateRecords` and `LogValidator`.

use ottla_model::batch::{
    BatchBuilder, BatchError, BatchHeader, Compression, Records, TimestampType, decompress, walk_records,
};
use ottla_model::{Now, Offset, TimestampMs};

use crate::append::{AppendError, AppendOrigin, InvalidRecord};
use crate::config::LogConfig;

/// A batch may decompress to this many times `max.message.bytes` before it is refused.
const DECOMPRESSED_FACTOR: usize = 128;

/// What [`batches`] found sound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sound {
    pub(crate) first: BatchHeader,
    /// Bytes of the whole batches.
    pub(crate) len: usize,
}

/// Checks all whole batches of `records`. What is left behind them and too short to be one is no part of them, as in
/// Kafka.
pub(crate) fn batches(
    records: &[u8],
    origin: AppendOrigin,
    config: &LogConfig,
    now: Now,
) -> Result<Sound, AppendError> {
    let mut sound: Option<Sound> = None;
    let mut position = 0;
    while let Some(left) = records.get(position..).filter(|left| is_whole_batch(left)) {
        let header = batch(left, origin, config, now)?;
        if sound.is_some() && origin == AppendOrigin::Client {
            return Err(InvalidRecord::SeveralBatches.into());
        }
        position += header.size();
        sound = Some(Sound { first: sound.map_or(header, |sound| sound.first), len: position });
    }
    sound.ok_or_else(|| InvalidRecord::NoBatch.into())
}

/// Whether at least one batch starts `bytes` and is all there, or something that is no batch at all.
pub(crate) fn is_whole_batch(bytes: &[u8]) -> bool {
    match BatchHeader::read(bytes) {
        Ok(header) => header.size() <= bytes.len(),
        Err(BatchError::Short { .. }) => false,
        Err(_) => true,
    }
}

fn batch(
    bytes: &[u8],
    origin: AppendOrigin,
    config: &LogConfig,
    now: Now,
) -> Result<BatchHeader, AppendError> {
    let header = BatchHeader::read(bytes).map_err(|error| match error {
        BatchError::Magic(magic @ (0 | 1)) => InvalidRecord::Magic(magic).into(),
        other => AppendError::Corrupt(other),
    })?;
    if origin == AppendOrigin::Client && header.base_offset != Offset::ZERO {
        return Err(InvalidRecord::BaseOffset(header.base_offset).into());
    }
    let (size, max) = (header.size(), config.max_message_bytes);
    if size > max as usize {
        return Err(AppendError::MessageTooLarge { size, max });
    }
    header.verify(bytes).map_err(AppendError::Corrupt)?;
    if let Err(BatchError::Codec(codec)) = header.compression() {
        return Err(AppendError::UnsupportedCompression(codec));
    }
    let (count, last_offset_delta) = (header.record_count, header.last_offset_delta);
    if count <= 0 || last_offset_delta < 0 || count - 1 != last_offset_delta {
        return Err(InvalidRecord::Count { count, last_offset_delta }.into());
    }
    if origin == AppendOrigin::Client {
        client_batch(&header)?;
        timestamps(&header, bytes, config, now)?;
    }
    Ok(header)
}

fn client_batch(header: &BatchHeader) -> Result<(), AppendError> {
    if header.is_control() {
        return Err(InvalidRecord::ControlBatch.into());
    }
    if header.has_producer_id() && header.base_sequence < 0 {
        return Err(InvalidRecord::Sequence(header.base_sequence).into());
    }
    if header.is_transactional() {
        return Err(AppendError::InvalidTxnState { producer_id: header.producer_id });
    }
    Ok(())
}

/// Timestamp bounds, and keys on a compacted topic. Only a lower bound on timestamps and the keys make it necessary to
/// look at records.
fn timestamps(header: &BatchHeader, bytes: &[u8], config: &LogConfig, now: Now) -> Result<(), AppendError> {
    let is_create_time = config.message_timestamp_type == TimestampType::CreateTime;
    if is_create_time && header.timestamp_type() == TimestampType::LogAppendTime {
        return Err(AppendError::ProducerSetLogAppendTime);
    }
    let max = TimestampMs(now.wall.get().saturating_add(config.message_timestamp_after_max_ms));
    let min = TimestampMs(now.wall.get().saturating_sub(config.message_timestamp_before_max_ms));
    let in_range = |timestamp: TimestampMs| {
        if !is_create_time || timestamp == TimestampMs::NONE || (min <= timestamp && timestamp <= max) {
            Ok(())
        } else {
            Err(AppendError::InvalidTimestamp { timestamp, min, max })
        }
    };
    in_range(header.max_timestamp)?;
    let bounds_below = is_create_time && config.message_timestamp_before_max_ms < now.wall.get();
    if !bounds_below && !config.cleanup_policy.compact {
        return Ok(());
    }
    let limit = DECOMPRESSED_FACTOR.saturating_mul(config.max_message_bytes as usize);
    let malformed = |error| AppendError::from(InvalidRecord::Malformed(error));
    let section = decompress(header, bytes, limit).map_err(malformed)?;
    let walk = walk_records(header, &section).map_err(malformed)?;
    if let (true, Some(record_index)) = (config.cleanup_policy.compact, walk.first_keyless) {
        return Err(InvalidRecord::NoKey { record_index }.into());
    }
    in_range(walk.min_timestamp)
}

/// The batch's records in another codec, for topics whose `compression.type` is not `producer`.
pub(crate) fn recompress(
    bytes: &[u8],
    header: &BatchHeader,
    codec: Compression,
    config: &LogConfig,
) -> Result<Vec<u8>, AppendError> {
    let malformed = |error| AppendError::from(InvalidRecord::Malformed(error));
    let limit = DECOMPRESSED_FACTOR.saturating_mul(config.max_message_bytes as usize);
    let section = decompress(header, bytes, limit).map_err(malformed)?;
    let mut builder = BatchBuilder::new(header.base_offset).compression(codec, config.compression_level);
    if header.has_producer_id() {
        builder = builder.producer(header.producer_id, header.producer_epoch, header.base_sequence);
    }
    let mut headers: Vec<(&[u8], Option<&[u8]>)> = Vec::new();
    for record in Records::new(header, &section) {
        let record = record.map_err(malformed)?;
        headers.clear();
        headers.extend(record.headers.map(|header| (header.key, header.value)));
        builder.push(record.timestamp, record.key, record.value, &headers);
    }
    let batch = builder.build().map_err(|error| AppendError::from(InvalidRecord::Recompress(error)))?;
    let max = config.max_message_bytes;
    if batch.len() > max as usize {
        return Err(AppendError::MessageTooLarge { size: batch.len(), max });
    }
    Ok(batch)
}
