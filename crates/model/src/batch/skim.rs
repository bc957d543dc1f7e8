//! When and where a batch's records are, without their keys and values: unpacked piece by piece, so that a batch that
//! claims gigabytes costs what its decoder needs, not what comes out of it.

use std::io::{self, BufRead, BufReader, Read};

use super::codec::reader;
use super::header::{BatchError, BatchHeader, HEADER_LEN, TimestampType};
use crate::{Offset, TimestampMs};

/// What is unpacked at once.
const PIECE_LEN: usize = 16 * 1024;

/// One record's place in time and in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkimmedRecord {
    pub offset: Offset,
    /// The batch's max timestamp under `LogAppendTime`, else the record's own.
    pub timestamp: TimestampMs,
}

/// Iterates over a batch's records, of which only the fronts are looked at. Ends after the first error; fewer records than
/// the header says are one.
pub struct Skim<'a> {
    left: BufReader<Box<dyn Read + 'a>>,
    header: BatchHeader,
    read_count: i32,
    ended: bool,
}

impl<'a> Skim<'a> {
    /// `batch` is the whole batch, as it is stored.
    ///
    /// # Errors
    /// A batch that is cut short, or of an unknown codec.
    pub fn new(header: &BatchHeader, batch: &'a [u8]) -> Result<Self, BatchError> {
        let size = header.size();
        let section =
            batch.get(HEADER_LEN..size).ok_or(BatchError::Short { wanted: size, left: batch.len() })?;
        let left = BufReader::with_capacity(PIECE_LEN, reader(header.compression()?, section)?);
        Ok(Self { left, header: *header, read_count: 0, ended: false })
    }

    /// `length VARINT | attributes INT8 | timestamp_delta VARLONG | offset_delta VARINT | the rest`
    fn read(&mut self) -> io::Result<SkimmedRecord> {
        let len = u64::try_from(self.varlong()?.0).map_err(|_| io::ErrorKind::InvalidData)?;
        let mut front_len = 1;
        self.byte()?;
        let (timestamp_delta, read) = self.varlong()?;
        front_len += read;
        let (offset_delta, read) = self.varlong()?;
        front_len += read;
        self.skip(len.checked_sub(front_len).ok_or(io::ErrorKind::InvalidData)?)?;
        let own_time = TimestampMs(self.header.base_timestamp.get().wrapping_add(timestamp_delta));
        let timestamp = match self.header.timestamp_type() {
            TimestampType::LogAppendTime => self.header.max_timestamp,
            TimestampType::CreateTime => own_time,
        };
        Ok(SkimmedRecord {
            offset: Offset(self.header.base_offset.get().wrapping_add(offset_delta)),
            timestamp,
        })
    }

    fn byte(&mut self) -> io::Result<u8> {
        let byte = *self.left.fill_buf()?.first().ok_or(io::ErrorKind::UnexpectedEof)?;
        self.left.consume(1);
        Ok(byte)
    }

    /// A zigzag varint, and how many bytes it took.
    fn varlong(&mut self) -> io::Result<(i64, u64)> {
        let mut value = 0_u64;
        for at in 0..10 {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                let sign = (value & 1).wrapping_neg();
                return Ok((((value >> 1) ^ sign).cast_signed(), at + 1));
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    fn skip(&mut self, mut len: u64) -> io::Result<()> {
        while len > 0 {
            let there = self.left.fill_buf()?.len();
            if there == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let step = usize::try_from(len).unwrap_or(usize::MAX).min(there);
            self.left.consume(step);
            len -= step as u64;
        }
        Ok(())
    }
}

impl Iterator for Skim<'_> {
    type Item = Result<SkimmedRecord, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended || self.read_count >= self.header.record_count {
            return None;
        }
        self.read_count += 1;
        let record = self.read().map_err(|_| BatchError::Record);
        self.ended = record.is_err();
        Some(record)
    }
}

impl std::fmt::Debug for Skim<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Skim").field("header", &self.header).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{BatchBuilder, Compression, Records, decompress};
    use super::*;

    const CODECS: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    proptest! {
        #[test]
        fn a_skim_sees_what_a_reading_sees(
            records in proptest::collection::vec((any::<u32>(), proptest::option::of(0_usize..40_000)), 1..20),
            codec in 0_usize..5,
        ) {
            let mut builder = BatchBuilder::new(Offset(7)).compression(CODECS[codec], None);
            for (time, len) in &records {
                let value = len.map(|len| vec![b'v'; len]);
                builder.push(TimestampMs(i64::from(*time)), None, value.as_deref(), &[]);
            }
            let batch = builder.build().unwrap();
            let header = BatchHeader::read(&batch).unwrap();
            let section = decompress(&header, &batch, 1 << 30).unwrap();
            let read: Vec<_> = Records::new(&header, &section)
                .map(|record| record.map(|record| (record.offset, record.timestamp)))
                .collect();
            let skim = Skim::new(&header, &batch).unwrap();
            let skimmed: Vec<_> =
                skim.map(|record| record.map(|record| (record.offset, record.timestamp))).collect();
            prop_assert_eq!(skimmed, read);
        }

        #[test]
        fn nothing_makes_a_skim_fail_otherwise_than_with_an_error(
            mut batch in proptest::collection::vec(any::<u8>(), 61..400),
            codec in 0_u8..8,
        ) {
            let len = i32::try_from(batch.len() - 12).unwrap();
            batch[8..12].copy_from_slice(&len.to_be_bytes());
            batch[16] = 2;
            batch[21..23].copy_from_slice(&[0, codec]);
            let header = BatchHeader::read(&batch).unwrap();
            if let Ok(skim) = Skim::new(&header, &batch) {
                prop_assert!(skim.take(1_000).filter(Result::is_err).count() <= 1);
            }
        }
    }
}
