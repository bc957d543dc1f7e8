//! Makes v2 batches: what the coordinators, the controller's log, the client and the tests write.

use super::codec::compress;
use super::header::{
    BatchError, BatchHeader, Compression, DELETE_HORIZON_FLAG, HEADER_LEN, KIND_FLAGS, LOG_OVERHEAD,
    TimestampType, crc32c,
};
use crate::wire::Writer;
use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

/// The CRC covers everything from here on.
const CRC_START: usize = 21;
/// The length field of a batch without records.
const EMPTY_LENGTH: i32 = 49;

/// Collects records, then writes one batch.
///
/// ```
/// use ottla_model::batch::{BatchBuilder, BatchHeader};
/// use ottla_model::{Offset, TimestampMs};
/// let mut builder = BatchBuilder::new(Offset(40));
/// builder.push(TimestampMs(1_000), Some(b"key"), Some(b"value"), &[]);
/// let batch = builder.build()?;
/// assert_eq!(BatchHeader::read(&batch)?.next_offset(), Offset(41));
/// # Ok::<(), ottla_model::batch::BatchError>(())
/// ```
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
    compression: Compression,
    level: Option<i32>,
    append_time: Option<TimestampMs>,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    base_sequence: i32,
    flags: i16,
    records: Writer,
    count: i32,
    /// `None` until the first record gives it.
    base_timestamp: Option<TimestampMs>,
    max_timestamp: TimestampMs,
    /// `None`: that of the last record.
    last_offset_delta: Option<i32>,
}

impl BatchBuilder {
    /// A batch whose first record gets `base_offset`. A producer passes [`Offset::ZERO`]: the leader assigns.
    #[must_use]
    pub fn new(base_offset: Offset) -> Self {
        Self {
            base_offset,
            leader_epoch: LeaderEpoch::NONE,
            compression: Compression::None,
            level: None,
            append_time: None,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: -1,
            flags: 0,
            records: Writer::new(),
            count: 0,
            base_timestamp: None,
            max_timestamp: TimestampMs::NONE,
            last_offset_delta: None,
        }
    }

    /// For some of the records of the batch with this header: offsets, epoch, producer, kind, codec and timestamp type
    /// stay what they were. With `delete_horizon` that becomes the base timestamp (KIP-534). Source: Kafka's
    /// `MemoryRecords.buildRetainedRecordsInto`.
    pub fn like(header: &BatchHeader, delete_horizon: Option<TimestampMs>) -> Result<Self, BatchError> {
        let stamped = header.timestamp_type() == TimestampType::LogAppendTime;
        let horizon_flag = if delete_horizon.is_some() { DELETE_HORIZON_FLAG } else { 0 };
        Ok(Self {
            leader_epoch: header.partition_leader_epoch,
            compression: header.compression()?,
            append_time: stamped.then_some(header.max_timestamp),
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            flags: header.attributes & KIND_FLAGS | horizon_flag,
            base_timestamp: delete_horizon,
            last_offset_delta: Some(header.last_offset_delta),
            ..Self::new(header.base_offset)
        })
    }

    #[must_use]
    pub fn leader_epoch(mut self, epoch: LeaderEpoch) -> Self {
        self.leader_epoch = epoch;
        self
    }

    /// `level`: see [`compress`]; `None` is Kafka's default.
    #[must_use]
    pub fn compression(mut self, codec: Compression, level: Option<i32>) -> Self {
        self.compression = codec;
        self.level = level;
        self
    }

    /// Marks the batch `LogAppendTime`, stamped with `time`.
    #[must_use]
    pub fn log_append_time(mut self, time: TimestampMs) -> Self {
        self.append_time = Some(time);
        self
    }

    /// An idempotent producer's identity and the first record's sequence (KIP-98); control batches carry sequence -1.
    #[must_use]
    pub fn producer(mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: i32) -> Self {
        self.producer_id = id;
        self.producer_epoch = epoch;
        self.base_sequence = base_sequence;
        self
    }

    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.flags |= 0x10;
        self
    }

    /// Marks a control batch (transaction markers, leader change, snapshot header and footer).
    #[must_use]
    pub fn control(mut self) -> Self {
        self.flags |= 0x20;
        self
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Records pushed so far.
    #[must_use]
    pub fn record_count(&self) -> usize {
        usize::try_from(self.count).unwrap_or(0)
    }

    /// Bytes of the batch if it were built now without compression.
    #[must_use]
    pub fn size(&self) -> usize {
        HEADER_LEN + self.records.len()
    }

    /// Adds a record at the next offset. `headers` are (key, value) in order; duplicates are kept.
    pub fn push(
        &mut self,
        timestamp: TimestampMs,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[HeaderSlice<'_>],
    ) {
        self.push_at(self.count, timestamp, key, value, headers);
    }

    /// Adds a record at `offset_delta` from the base offset, which must be greater than that of the last one.
    pub fn push_at(
        &mut self,
        offset_delta: i32,
        timestamp: TimestampMs,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[HeaderSlice<'_>],
    ) {
        let base_timestamp = *self.base_timestamp.get_or_insert(timestamp);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let timestamp_delta = timestamp.get().wrapping_sub(base_timestamp.get());
        let len = body_len(timestamp_delta, offset_delta, key, value, headers);
        let out = &mut self.records;
        out.varint(len_of(len));
        out.i8(0);
        out.varlong(timestamp_delta);
        out.varint(offset_delta);
        put_bytes(out, key);
        put_bytes(out, value);
        out.varint(len_of(headers.len()));
        for (key, value) in headers {
            put_bytes(out, Some(key));
            put_bytes(out, *value);
        }
        self.count = self.count.saturating_add(1);
    }

    /// The batch's bytes, CRC included. A batch without records is [`BatchError::Count`]; one of more than
    /// 2 GiB (compressed or not) is [`BatchError::Length`].
    pub fn build(self) -> Result<Vec<u8>, BatchError> {
        let last_offset_delta = self.last_offset_delta.unwrap_or(self.count - 1);
        if self.count == 0 {
            return Err(BatchError::Count { count: 0, last_offset_delta });
        }
        let attributes = self.attributes();
        let records = self.records.into_vec();
        // Also before compression: a record's own length is an INT32, too.
        i32::try_from(records.len()).map_err(|_| BatchError::Length(i32::MAX))?;
        let section = match self.compression {
            Compression::None => records,
            codec => compress(codec, self.level, &records)?,
        };
        let length = i32::try_from(section.len() + HEADER_LEN - LOG_OVERHEAD);
        let mut out = Writer::with_capacity(HEADER_LEN + section.len());
        out.i64(self.base_offset.get());
        out.i32(length.map_err(|_| BatchError::Length(i32::MAX))?);
        out.i32(self.leader_epoch.get());
        out.i8(2);
        out.u32(0);
        out.i16(attributes);
        out.i32(last_offset_delta);
        out.i64(self.base_timestamp.unwrap_or(TimestampMs::NONE).get());
        out.i64(self.append_time.unwrap_or(self.max_timestamp).get());
        out.i64(self.producer_id.get());
        out.i16(self.producer_epoch.get());
        out.i32(self.base_sequence);
        out.i32(self.count);
        out.raw(&section);
        Ok(sealed(out))
    }

    /// A batch without records that keeps the place, the producer's fields and the largest timestamp of the one with
    /// this header. Source: Kafka's `DefaultRecordBatch.writeEmptyHeader`.
    #[must_use]
    pub fn emptied(header: &BatchHeader) -> Vec<u8> {
        let stamped = if header.timestamp_type() == TimestampType::LogAppendTime { 0x08 } else { 0 };
        let mut out = Writer::with_capacity(HEADER_LEN);
        out.i64(header.base_offset.get());
        out.i32(EMPTY_LENGTH);
        out.i32(header.partition_leader_epoch.get());
        out.i8(2);
        out.u32(0);
        out.i16(header.attributes & KIND_FLAGS | stamped);
        out.i32(header.last_offset_delta);
        out.i64(TimestampMs::NONE.get());
        out.i64(header.max_timestamp.get());
        out.i64(header.producer_id.get());
        out.i16(header.producer_epoch.get());
        out.i32(header.base_sequence);
        out.i32(0);
        sealed(out)
    }

    fn attributes(&self) -> i16 {
        let timestamp_type = if self.append_time.is_some() { 0x08 } else { 0 };
        self.flags | timestamp_type | self.compression.attribute_bits()
    }
}

/// Fills in the CRC.
fn sealed(batch: Writer) -> Vec<u8> {
    let mut batch = batch.into_vec();
    let crc = crc32c(&batch[CRC_START..]);
    batch[17..CRC_START].copy_from_slice(&crc.to_be_bytes());
    batch
}

/// A header's key and value.
type HeaderSlice<'a> = (&'a [u8], Option<&'a [u8]>);

fn put_bytes(out: &mut Writer, bytes: Option<&[u8]>) {
    match bytes {
        None => out.varint(-1),
        Some(bytes) => {
            out.varint(len_of(bytes.len()));
            out.raw(bytes);
        }
    }
}

/// Bytes of a record after its length, which comes first and is itself a varint.
fn body_len(
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[HeaderSlice<'_>],
) -> usize {
    let headers_len: usize =
        headers.iter().map(|(key, value)| bytes_len(Some(key)) + bytes_len(*value)).sum();
    1 + varlong_len(timestamp_delta)
        + varlong_len(i64::from(offset_delta))
        + bytes_len(key)
        + bytes_len(value)
        + varlong_len(i64::from(len_of(headers.len())))
        + headers_len
}

fn bytes_len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varlong_len(i64::from(len_of(bytes.len()))) + bytes.len())
}

/// Bytes of a zig-zag varint; the same for both widths.
fn varlong_len(value: i64) -> usize {
    let raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    let bits = 64 - (raw | 1).leading_zeros();
    usize::try_from(bits.div_ceil(7)).unwrap_or(10)
}

fn len_of(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(i32::MAX)
}
