//! The 61-byte header of a record batch (v2), read from and patched in borrowed bytes.
//!
//! ```text
//!  0  base_offset            i64   patched by the leader, outside the CRC
//!  8  batch_length           i32   bytes after this field
//! 12  partition_leader_epoch i32   patched by the leader, outside the CRC
//! 16  magic                  i8    2
//! 17  crc                    u32   CRC32C of everything from 21 on
//! 21  attributes             i16   bits 0-2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon
//! 23  last_offset_delta      i32
//! 27  base_timestamp         i64
//! 35  max_timestamp          i64
//! 43  producer_id            i64
//! 51  producer_epoch         i16
//! 53  base_sequence          i32
//! 57  record_count           i32
//! 61  records
//! ```

use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

/// Bytes of a v2 batch header, up to the first record.
pub const HEADER_LEN: usize = 61;
/// Attributes bit 6: the base timestamp is the delete horizon.
pub(super) const DELETE_HORIZON_FLAG: i16 = 0x40;
/// Attributes bits 4 and 5: transactional, control.
pub(super) const KIND_FLAGS: i16 = 0x30;
/// Bytes of `base_offset` and `batch_length`, which `batch_length` does not count.
pub const LOG_OVERHEAD: usize = 12;

/// Why bytes are not a sound record batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    #[error("{left} bytes are left, a batch needs {wanted}")]
    Short { wanted: usize, left: usize },
    #[error("magic {0} is not 2")]
    Magic(i8),
    #[error("batch length {0} is not allowed")]
    Length(i32),
    #[error("CRC is {computed:#010x}, the batch says {stored:#010x}")]
    Crc { stored: u32, computed: u32 },
    #[error("compression codec {0} is unknown")]
    Codec(i16),
    #[error("record count {count} does not fit last offset delta {last_offset_delta}")]
    Count { count: i32, last_offset_delta: i32 },
    #[error("a record is malformed")]
    Record,
    #[error("its offsets do not follow those of the batch in front of it")]
    Order,
    #[error("decompression failed")]
    Decompress,
    #[error("decompressed it is larger than {0} bytes")]
    TooLarge(usize),
    #[error("compression failed")]
    Compress,
}

/// A batch's compression codec (attributes bits 0-2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Compression {
    /// The codec of Kafka's number, which attributes bits 0-2 have, too.
    #[must_use]
    pub const fn from_id(id: i16) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The codec as attributes bits 0-2.
    #[must_use]
    pub const fn attribute_bits(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }
}

/// What a batch's timestamps mean (attributes bit 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TimestampType {
    #[default]
    CreateTime,
    LogAppendTime,
}

/// A decoded copy of the header; the records stay where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: Offset,
    /// Bytes after the length field: whole batch = `batch_length + LOG_OVERHEAD`.
    pub batch_length: i32,
    pub partition_leader_epoch: LeaderEpoch,
    pub magic: i8,
    pub crc: u32,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp: TimestampMs,
    pub max_timestamp: TimestampMs,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: i32,
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the front of `bytes`, which may end inside the batch's records.
    /// Checks magic and the smallest possible length; the CRC is checked by [`BatchHeader::verify`].
    pub fn read(bytes: &[u8]) -> Result<Self, BatchError> {
        if bytes.len() < HEADER_LEN {
            return Err(BatchError::Short { wanted: HEADER_LEN, left: bytes.len() });
        }
        let header = Self {
            base_offset: Offset(i64::from_be_bytes(at(bytes, 0))),
            batch_length: i32::from_be_bytes(at(bytes, 8)),
            partition_leader_epoch: LeaderEpoch(i32::from_be_bytes(at(bytes, 12))),
            magic: i8::from_be_bytes(at(bytes, 16)),
            crc: u32::from_be_bytes(at(bytes, 17)),
            attributes: i16::from_be_bytes(at(bytes, 21)),
            last_offset_delta: i32::from_be_bytes(at(bytes, 23)),
            base_timestamp: TimestampMs(i64::from_be_bytes(at(bytes, 27))),
            max_timestamp: TimestampMs(i64::from_be_bytes(at(bytes, 35))),
            producer_id: ProducerId(i64::from_be_bytes(at(bytes, 43))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(at(bytes, 51))),
            base_sequence: i32::from_be_bytes(at(bytes, 53)),
            record_count: i32::from_be_bytes(at(bytes, 57)),
        };
        if header.magic != 2 {
            return Err(BatchError::Magic(header.magic));
        }
        match usize::try_from(header.batch_length) {
            Ok(len) if len >= HEADER_LEN - LOG_OVERHEAD => Ok(header),
            _ => Err(BatchError::Length(header.batch_length)),
        }
    }

    /// Bytes of the whole batch, header included.
    #[must_use]
    pub fn size(&self) -> usize {
        usize::try_from(self.batch_length).unwrap_or(0) + LOG_OVERHEAD
    }

    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.base_offset.plus(i64::from(self.last_offset_delta))
    }

    /// The offset after the last one.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.last_offset().plus(1)
    }

    pub fn compression(&self) -> Result<Compression, BatchError> {
        let bits = self.attributes & 0x07;
        Compression::from_id(bits).ok_or(BatchError::Codec(bits))
    }

    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & 0x08 == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime }
    }

    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes & 0x10 != 0
    }

    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & 0x20 != 0
    }

    /// When the batch's tombstones (or its transaction marker) may go: set by the first compaction that saw them, as the
    /// base timestamp (attributes bit 6, KIP-534).
    #[must_use]
    pub fn delete_horizon(&self) -> Option<TimestampMs> {
        (self.attributes & DELETE_HORIZON_FLAG != 0).then_some(self.base_timestamp)
    }

    #[must_use]
    pub fn has_producer_id(&self) -> bool {
        self.producer_id > ProducerId::NONE
    }

    /// The sequence of the last record (KIP-98: sequences wrap from `i32::MAX` to 0); -1 without a producer id.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return -1;
        }
        let last = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        i32::try_from(last % (i64::from(i32::MAX) + 1)).unwrap_or(-1)
    }

    /// Checks the CRC of the whole batch, which must start `bytes`.
    pub fn verify(&self, bytes: &[u8]) -> Result<(), BatchError> {
        let size = self.size();
        let batch = bytes.get(..size).ok_or(BatchError::Short { wanted: size, left: bytes.len() })?;
        let computed = crc32c(&batch[21..]);
        if computed == self.crc { Ok(()) } else { Err(BatchError::Crc { stored: self.crc, computed }) }
    }

    /// Patches what a leader assigns; neither field is under the CRC.
    pub fn assign(batch: &mut [u8], base_offset: Offset, leader_epoch: LeaderEpoch) {
        batch[0..8].copy_from_slice(&base_offset.get().to_be_bytes());
        batch[12..16].copy_from_slice(&leader_epoch.get().to_be_bytes());
    }
}

/// Walks the whole batches at the front of `bytes`: each item is a header and the batch's bytes. Ends after the first
/// error; a tail shorter than a batch is such an error.
pub fn batches(bytes: &[u8]) -> impl Iterator<Item = Result<(BatchHeader, &[u8]), BatchError>> {
    let mut left = bytes;
    std::iter::from_fn(move || {
        if left.is_empty() {
            return None;
        }
        let item = BatchHeader::read(left).and_then(|header| {
            let size = header.size();
            let batch = left.get(..size).ok_or(BatchError::Short { wanted: size, left: left.len() })?;
            Ok((header, batch))
        });
        left = match &item {
            Ok((_, batch)) => &left[batch.len()..],
            Err(_) => &[],
        };
        Some(item)
    })
}

/// CRC32C (Castagnoli), as batches and `.snapshot` files carry it.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes);
    u32::try_from(crc & 0xffff_ffff).unwrap_or(0)
}

fn at<const N: usize>(bytes: &[u8], from: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[from..from + N]);
    out
}
