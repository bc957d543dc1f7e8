//! A batch's records in the topic's own codec (`compression.type` other than `producer`).

use ottla_model::batch::{BatchBuilder, BatchHeader, Compression, Records};

use crate::append::{AppendError, InvalidRecord};
use crate::config::LogConfig;

use super::records::malformed;

/// The batch anew: the same records, headers and producer in `codec`, with offsets that run without a gap.
/// `max.message.bytes` bounds what comes out, too.
pub(super) fn recompress(
    header: &BatchHeader,
    section: &[u8],
    codec: Compression,
    config: &LogConfig,
) -> Result<Vec<u8>, AppendError> {
    let mut builder = BatchBuilder::new(header.base_offset).compression(codec, config.compression_level);
    if header.has_producer_id() {
        builder = builder.producer(header.producer_id, header.producer_epoch, header.base_sequence);
    }
    let mut headers: Vec<(&[u8], Option<&[u8]>)> = Vec::new();
    for record in Records::new(header, section) {
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

/// The codec into which a batch must be brought, if it is in another one.
pub(super) fn target(header: &BatchHeader, config: &LogConfig) -> Option<Compression> {
    config.compression.filter(|codec| header.compression() != Ok(*codec))
}
