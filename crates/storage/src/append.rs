//! What an append is given and what it answers.

use ottla_model::batch::BatchError;
use ottla_model::{Offset, ProducerEpoch, ProducerId, TimestampMs};

use crate::error::StorageError;

/// Who appends, which decides how much is validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A Produce request: everything is checked.
    Client,
    /// A coordinator, or the controller's log: control batches and several batches are allowed, sequences are not
    /// checked.
    Coordinator,
    /// A copy of what a leader has validated.
    Replication,
}

/// What an append did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendInfo {
    pub first_offset: Offset,
    pub last_offset: Offset,
    /// The broker's time if the topic has LogAppendTime, else -1; for a duplicate, the batch's largest timestamp.
    pub log_append_time: TimestampMs,
    pub log_start_offset: Offset,
    /// The batch was already in the log: nothing was written, the offsets are those of the first time.
    pub duplicate: bool,
    /// Bytes written.
    pub bytes: u32,
    /// The log end offset after the append.
    pub log_end_offset: Offset,
}

/// Why nothing was appended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// CORRUPT_MESSAGE.
    #[error("corrupt batch: {0}")]
    Corrupt(BatchError),
    /// INVALID_RECORD.
    #[error(transparent)]
    InvalidRecord(#[from] InvalidRecord),
    /// MESSAGE_TOO_LARGE: one batch above `max.message.bytes`.
    #[error("a batch of {size} bytes exceeds max.message.bytes {max}")]
    MessageTooLarge { size: usize, max: u32 },
    /// RECORD_LIST_TOO_LARGE: the append does not fit into one segment.
    #[error("{size} bytes of records exceed segment.bytes {max}")]
    RecordListTooLarge { size: usize, max: u32 },
    /// UNKNOWN_SERVER_ERROR, which is what Kafka makes of a codec that does not exist.
    #[error("compression codec {0} is unknown")]
    UnknownCompression(i16),
    /// INVALID_TIMESTAMP if a timestamp is among the reasons, else INVALID_RECORD.
    #[error("{} records of the batch are refused", .0.total)]
    InvalidRecords(RecordErrors),
    /// OUT_OF_ORDER_SEQUENCE_NUMBER.
    #[error("producer {producer_id} epoch {epoch} sent sequence {sequence} after {last_sequence}")]
    OutOfOrderSequence { producer_id: ProducerId, epoch: ProducerEpoch, sequence: i32, last_sequence: i32 },
    /// INVALID_PRODUCER_EPOCH.
    #[error("producer {producer_id} sent epoch {epoch}, the log has seen {current}")]
    InvalidProducerEpoch { producer_id: ProducerId, epoch: ProducerEpoch, current: ProducerEpoch },
    /// INVALID_TXN_STATE: transactions are not served yet.
    #[error("producer {producer_id} sent a transactional batch")]
    InvalidTxnState { producer_id: ProducerId },
    /// A follower's append does not start at the log end offset, or goes backwards inside.
    #[error("batch at offset {offset} does not follow log end offset {log_end_offset}")]
    OffsetsOutOfOrder { offset: Offset, log_end_offset: Offset },
    /// KAFKA_STORAGE_ERROR; the log is offline.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What INVALID_RECORD means in a given case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecord {
    #[error("magic {0} is not 2")]
    Magic(i8),
    #[error("there is no batch")]
    NoBatch,
    #[error("a client sends exactly one batch for a partition")]
    SeveralBatches,
    #[error("the base offset of a client's batch is 0, not {0}")]
    BaseOffset(Offset),
    #[error("record count {count} does not fit last offset delta {last_offset_delta}")]
    Count { count: i32, last_offset_delta: i32 },
    #[error("clients may not write control batches")]
    ControlBatch,
    #[error("sequence {0} is negative")]
    Sequence(i32),
    #[error("a record exceeds max.decompressed.message.bytes")]
    DecompressedTooLarge,
    #[error("the records of the batch cannot be read: {0}")]
    Malformed(BatchError),
    /// UNKNOWN_SERVER_ERROR.
    #[error("the offset deltas of the batch's compressed records are not 0, 1, 2 and so on")]
    OffsetDeltas,
    #[error("the batch could not be compressed anew: {0}")]
    Recompress(BatchError),
}

/// The records of a batch that break the topic's rules (KIP-467): all are counted, the first are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordErrors {
    pub total: usize,
    /// Index in the batch, and what is wrong; ascending.
    pub first: Vec<(i32, RecordFault)>,
    /// Whether a timestamp is among them all.
    pub has_timestamp: bool,
}

/// What is wrong with one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFault {
    /// A compacted topic needs a key.
    NoKey,
    /// Not within `[min, max]`.
    Timestamp { timestamp: TimestampMs, offset: Offset, min: TimestampMs, max: TimestampMs },
    /// Only the broker sets the timestamp type LogAppendTime. Lengths are `None` for null.
    LogAppendTime {
        is_compressed: bool,
        offset: Offset,
        timestamp: TimestampMs,
        key_len: Option<usize>,
        value_len: Option<usize>,
    },
}

impl RecordErrors {
    /// A batch of a few bytes may hold millions of bad records; an answer names at most so many.
    const KEPT_MAX: usize = 1_000;

    pub(crate) fn add(&mut self, index: usize, fault: RecordFault) {
        self.total += 1;
        self.has_timestamp |= fault != RecordFault::NoKey;
        if self.first.len() < Self::KEPT_MAX {
            self.first.push((i32::try_from(index).unwrap_or(i32::MAX), fault));
        }
    }
}
