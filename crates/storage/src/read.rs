//! What reads answer.

use ottla_model::{LeaderEpoch, Offset, TimestampMs};

use crate::error::StorageError;
use crate::file_slice::FileSlice;
use crate::segment::{OrderLook, SegmentCheck, lacked};

/// What a log has for a fetch.
#[derive(Debug)]
pub struct LogRead {
    /// Bytes that start at the batch that contains the wanted offset and end at `upper`, at the segment's end or near
    /// `max_bytes`, whichever is first; `None` if there is nothing below `upper`. The last batch may be cut.
    pub slice: Option<FileSlice>,
    /// What nobody has looked at since it was written, to be checked behind the reader.
    pub check: Option<SegmentCheck>,
    /// A shorter look at the same that the slice needs before it is given away: it says how much of it may be.
    pub look: Option<OrderLook>,
    pub log_start_offset: Offset,
    pub log_end_offset: Offset,
}

/// What a log answers to who must not wait for the disk.
#[derive(Clone, Debug)]
pub enum InMemory<T> {
    Found(T),
    /// These bytes are on the disk only. Once they are in memory ([`FileSlice::warm`]), the same question gets further.
    Lacks(FileSlice),
}

impl<T> InMemory<T> {
    /// An answer within the reach of memory.
    pub(crate) fn of<E: From<StorageError>>(
        answer: Result<T, E>,
        storage: impl FnOnce(E) -> Result<StorageError, E>,
    ) -> Result<Self, E> {
        match answer {
            Ok(found) => Ok(Self::Found(found)),
            Err(error) => {
                let error = storage(error)?;
                lacked(&error).map(Self::Lacks).ok_or_else(|| error.into())
            }
        }
    }
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
