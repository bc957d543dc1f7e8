//! What a leader checks before it appends: the headers of all batches, and all records of a client's. Source: Kafka's
//! `UnifiedLog.analyzeAndValidateRecords` and `LogValidator`.

mod recompress;
mod records;
#[cfg(test)]
mod tests;

use ottla_model::batch::{BatchError, BatchHeader, Compression};
use ottla_model::{Now, Offset, TimestampMs};

use crate::append::{AppendError, AppendOrigin, InvalidRecord};
use crate::config::LogConfig;

use records::Rules;

/// What [`batches`] found sound.
#[derive(Debug)]
pub(crate) struct Sound {
    pub(crate) first: BatchHeader,
    /// Bytes of the whole batches.
    pub(crate) len: usize,
    /// The largest timestamp of a client's records, where they were read: a header may say something else.
    pub(crate) max_timestamp: Option<TimestampMs>,
    /// A client's batch in the topic's own codec, where it came in another one.
    pub(crate) recompressed: Option<Vec<u8>>,
}

/// Checks all whole batches of `records`. What is left behind them and too short to be one is no part of them, as in
/// Kafka.
pub(crate) fn batches(
    records: &[u8],
    origin: AppendOrigin,
    config: &LogConfig,
    now: Now,
) -> Result<Sound, AppendError> {
    if origin == AppendOrigin::Client {
        return client_batch(one_batch(records)?, records, config, now);
    }
    let mut sound: Option<Sound> = None;
    let mut position = 0;
    while let Some(left) = records.get(position..).filter(|left| is_whole_batch(left)) {
        let header = read(left)?;
        batch(&header, left, config)?;
        counts(&header)?;
        position += header.size();
        let sound = sound.get_or_insert(Sound::new(header));
        sound.len = position;
    }
    sound.ok_or_else(|| InvalidRecord::NoBatch.into())
}

/// What Kafka asks of a client's records before it looks for their log: one batch, all there.
///
/// # Errors
/// [`AppendError::InvalidRecord`] or [`AppendError::Corrupt`].
pub fn one_batch(records: &[u8]) -> Result<BatchHeader, AppendError> {
    if !is_whole_batch(records) {
        return Err(InvalidRecord::NoBatch.into());
    }
    let header = read(records)?;
    match records.get(header.size()..) {
        Some(rest) if is_whole_batch(rest) => Err(InvalidRecord::SeveralBatches.into()),
        _ => Ok(header),
    }
}

impl Sound {
    fn new(first: BatchHeader) -> Self {
        Self { first, len: first.size(), max_timestamp: None, recompressed: None }
    }
}

/// Whether at least one batch starts `bytes` and is all there, or something that is no batch at all.
pub(crate) fn is_whole_batch(bytes: &[u8]) -> bool {
    match BatchHeader::read(bytes) {
        Ok(header) => header.size() <= bytes.len(),
        Err(BatchError::Short { .. }) => false,
        Err(_) => true,
    }
}

fn read(bytes: &[u8]) -> Result<BatchHeader, AppendError> {
    BatchHeader::read(bytes).map_err(|error| match error {
        BatchError::Magic(magic @ (0 | 1)) => InvalidRecord::Magic(magic).into(),
        other => AppendError::Corrupt(other),
    })
}

/// One client's one batch. The order of the checks is Kafka's: it decides which error a batch with several faults gets.
fn client_batch(
    header: BatchHeader,
    bytes: &[u8],
    config: &LogConfig,
    now: Now,
) -> Result<Sound, AppendError> {
    if header.base_offset != Offset::ZERO {
        return Err(InvalidRecord::BaseOffset(header.base_offset).into());
    }
    batch(&header, bytes, config)?;
    counts(&header)?;
    if header.is_control() {
        return Err(InvalidRecord::ControlBatch.into());
    }
    if header.has_producer_id() && header.base_sequence < 0 {
        return Err(InvalidRecord::Sequence(header.base_sequence).into());
    }
    if header.is_transactional() {
        return Err(AppendError::InvalidTxnState { producer_id: header.producer_id });
    }
    client_records(header, bytes, config, now)
}

fn client_records(
    header: BatchHeader,
    bytes: &[u8],
    config: &LogConfig,
    now: Now,
) -> Result<Sound, AppendError> {
    let mut sound = Sound::new(header);
    let rules = Rules::new(config, now);
    let codec = header.compression().map_err(AppendError::Corrupt)?;
    let section = rules.section(&header, bytes)?;
    let read = rules.check(&header, &section)?;
    sound.max_timestamp = Some(read.max_timestamp);
    let target = recompress::target(&header, config);
    // As Kafka, which looks at the offset deltas of compressed records only, and fails where it would have to mend them.
    if target.is_none() && codec != Compression::None && !read.are_consecutive {
        return Err(InvalidRecord::OffsetDeltas.into());
    }
    if let Some(target) = target {
        sound.recompressed = Some(recompress::recompress(&header, &section, target, config)?);
    }
    Ok(sound)
}

/// What any batch must keep: size, CRC, codec.
fn batch(header: &BatchHeader, bytes: &[u8], config: &LogConfig) -> Result<(), AppendError> {
    let (size, max) = (header.size(), config.max_message_bytes);
    if size > max as usize {
        return Err(AppendError::MessageTooLarge { size, max });
    }
    header.verify(bytes).map_err(AppendError::Corrupt)?;
    if let Err(BatchError::Codec(codec)) = header.compression() {
        return Err(AppendError::UnknownCompression(codec));
    }
    Ok(())
}

fn counts(header: &BatchHeader) -> Result<(), AppendError> {
    let (count, last_offset_delta) = (header.record_count, header.last_offset_delta);
    if count <= 0 || last_offset_delta < 0 || count - 1 != last_offset_delta {
        return Err(InvalidRecord::Count { count, last_offset_delta }.into());
    }
    Ok(())
}
