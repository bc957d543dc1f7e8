//! The records in a fetch's answer, as a consumer sees them.

use bytes::Bytes;
use ottla_model::batch::{BatchError, Records, batches, decompress};
use ottla_model::{Offset, TimestampMs};

/// What a fetch was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    pub log_start: Offset,
    /// Batches, the last of which may be cut off.
    pub records: Bytes,
}

/// One record, copied out of its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumedRecord {
    pub offset: Offset,
    pub timestamp: TimestampMs,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
}

impl Fetched {
    /// Bytes that one batch may decompress to.
    const BATCH_MAX: usize = 256 << 20;

    /// The records from `from` on, each batch's CRC checked. What a consumer does not see is left out: control batches,
    /// records before `from` (a fetch begins with the whole batch), a batch that is cut off at the end.
    pub fn records_from(&self, from: Offset) -> Result<Vec<ConsumedRecord>, BatchError> {
        let mut consumed = Vec::new();
        for batch in batches(&self.records) {
            let (header, bytes) = match batch {
                Ok(whole) => whole,
                Err(BatchError::Short { .. }) => break,
                Err(error) => return Err(error),
            };
            header.verify(bytes)?;
            if header.is_control() {
                continue;
            }
            let section = decompress(&header, bytes, Self::BATCH_MAX)?;
            for record in Records::new(&header, &section) {
                let record = record?;
                if record.offset < from {
                    continue;
                }
                consumed.push(ConsumedRecord {
                    offset: record.offset,
                    timestamp: record.timestamp,
                    key: record.key.map(Bytes::copy_from_slice),
                    value: record.value.map(Bytes::copy_from_slice),
                });
            }
        }
        Ok(consumed)
    }

    /// Where the next fetch begins, given that this one began at `from`: behind the last whole batch.
    #[must_use]
    pub fn next_offset(&self, from: Offset) -> Offset {
        let whole = batches(&self.records).map_while(Result::ok);
        whole.last().map_or(from, |(header, _)| header.next_offset().max(from))
    }
}

#[cfg(test)]
mod tests {
    use ottla_model::batch::{BatchBuilder, Compression};

    use super::*;

    fn batch(base_offset: i64, values: &[&str], control: bool) -> Vec<u8> {
        let mut builder = BatchBuilder::new(Offset(base_offset)).compression(Compression::Lz4, None);
        if control {
            builder = builder.control();
        }
        for value in values {
            builder.push(TimestampMs(1), None, Some(value.as_bytes()), &[]);
        }
        builder.build().unwrap()
    }

    fn fetched(batches: &[Vec<u8>], cut: usize) -> Fetched {
        let mut records = batches.concat();
        records.truncate(records.len() - cut);
        let (high_watermark, last_stable_offset, log_start) = (Offset(9), Offset(9), Offset(0));
        Fetched { high_watermark, last_stable_offset, log_start, records: Bytes::from(records) }
    }

    #[test]
    fn a_consumer_sees_whole_data_batches_from_its_offset() {
        let batches =
            [batch(5, &["a", "b", "c"], false), batch(8, &["x"], true), batch(9, &["d", "e"], false)];
        let all = fetched(&batches, 0);
        let seen: Vec<_> = all.records_from(Offset(6)).unwrap();
        let seen: Vec<_> = seen.iter().map(|r| (r.offset.get(), r.value.as_deref().unwrap())).collect();
        assert_eq!(seen, [(6, &b"b"[..]), (7, b"c"), (9, b"d"), (10, b"e")]);
        assert_eq!(all.next_offset(Offset(6)), Offset(11));
        let cut = fetched(&batches, 1);
        assert_eq!(cut.records_from(Offset(6)).unwrap().len(), 2);
        assert_eq!(cut.next_offset(Offset(6)), Offset(9));
        assert_eq!(fetched(&[], 0).next_offset(Offset(6)), Offset(6));
    }

    #[test]
    fn a_broken_batch_is_an_error() {
        let mut broken = batch(0, &["a"], false);
        *broken.last_mut().unwrap() ^= 1;
        assert!(matches!(fetched(&[broken], 0).records_from(Offset(0)), Err(BatchError::Crc { .. })));
    }
}
