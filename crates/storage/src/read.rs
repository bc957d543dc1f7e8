//! What reads answer.

use ottla_model::{LeaderEpoch, Offset, TimestampMs};

use crate::error::StorageError;
use crate::file_slice::FileSlice;
use crate::segment::SegmentCheck;

/// What a log has for a fetch.
#[derive(Debug)]
pub struct LogRead {
    /// Bytes that start at the batch that contains the wanted offset and end at `upper`, at the segment's end or near
    /// `max_bytes`, whichever is first; `None` if there is nothing below `upper`. The last batch may be cut.
    pub slice: Option<FileSlice>,
    /// What nobody has looked at since it was written, to be checked behind the reader.
    pub check: Option<SegmentCheck>,
    pub log_start_offset: Offset,
    pub log_end_offset: Offset,
}

/// Why nothing can be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// OFFSET_OUT_OF_RANGE: below the start of the log or above its end.
    #[error("offset {requested} is not within [{start}, {end}]")]
    OffsetOutOfRange { requested: Offset, start: Offset, end: Offset },
    /// KAFKA_STORAGE_ERROR.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A record found by its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    pub timestamp: TimestampMs,
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
}
