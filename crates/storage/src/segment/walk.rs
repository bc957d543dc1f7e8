//! Reading a segment's batch headers, from a position or an offset.

use std::sync::Arc;

use ottla_model::Offset;
use ottla_model::batch::{BatchError, BatchHeader, HEADER_LEN};

use crate::disk::DiskFile;
use crate::error::StorageError;
use crate::file_slice::FileSlice;

use super::check::damaged;
use super::{Reach, Segment};

/// Bytes of one look at the file.
const WINDOW_BYTES: usize = 4096;

/// A batch's place in a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchAt {
    pub(crate) header: BatchHeader,
    pub(crate) position: u32,
}

impl BatchAt {
    pub(crate) fn end(&self) -> u64 {
        u64::from(self.position) + self.header.size() as u64
    }
}

/// Reads batch headers one after the other, several with one read where batches are small.
pub(crate) struct Walk<'a> {
    segment: &'a Segment,
    file: Arc<dyn DiskFile>,
    reach: Reach,
    position: u32,
    /// Where the next batch's offsets begin, or behind it where compaction left a gap. No CRC covers them.
    after: Offset,
    window: [u8; WINDOW_BYTES],
    /// Where the window starts in the file, and how much of it is filled.
    window_pos: u32,
    filled: usize,
}

impl Segment {
    /// Walks from the batch boundary `position` to the end.
    pub(crate) fn walk(&self, position: u32) -> Result<Walk<'_>, StorageError> {
        self.walk_within(position, Reach::Disk)
    }

    /// As [`Segment::walk`], within `reach`.
    pub(crate) fn walk_within(&self, position: u32, reach: Reach) -> Result<Walk<'_>, StorageError> {
        let after = if position == 0 { self.base_offset } else { Offset(i64::MIN) };
        let window = [0; WINDOW_BYTES];
        let file = self.log.get()?;
        Ok(Walk { segment: self, file, reach, position, after, window, window_pos: 0, filled: 0 })
    }

    /// The batch at the batch boundary `position`; `None` at the segment's end.
    pub(crate) fn batch_at(&self, position: u32, reach: Reach) -> Result<Option<BatchAt>, StorageError> {
        if position >= self.size {
            return Ok(None);
        }
        let mut header = [0; HEADER_LEN];
        let read = reach
            .read_at(&self.log.get()?, &mut header, u64::from(position))
            .map_err(self.log.err("read"))?;
        let header = BatchHeader::read(&header[..read]).map_err(|error| self.no_batch(position, error))?;
        Ok(Some(BatchAt { header, position }))
    }

    /// The whole bytes of a batch found here.
    pub(crate) fn read_batch(&self, batch: &BatchAt) -> Result<Vec<u8>, StorageError> {
        self.read_batch_within(batch, Reach::Disk)
    }

    /// As [`Segment::read_batch`], within `reach`.
    pub(super) fn read_batch_within(&self, batch: &BatchAt, reach: Reach) -> Result<Vec<u8>, StorageError> {
        let size = batch.header.size();
        if batch.end() > u64::from(self.size) {
            return Err(self.no_batch(batch.position, BatchError::Length(batch.header.batch_length)));
        }
        let mut bytes = vec![0; size];
        reach
            .read_exact_at(&self.log.get()?, &mut bytes, u64::from(batch.position))
            .map_err(self.log.err("read"))?;
        Ok(bytes)
    }

    /// Where a batch found here is.
    pub(crate) fn slice_of(&self, batch: &BatchAt) -> Result<FileSlice, StorageError> {
        if batch.end() > u64::from(self.size) {
            return Err(self.no_batch(batch.position, BatchError::Length(batch.header.batch_length)));
        }
        let length = u32::try_from(batch.header.size()).unwrap_or(u32::MAX);
        Ok(FileSlice { file: self.log.get()?, position: batch.position.into(), length })
    }

    /// A batch whose offsets are not those of its place.
    pub(crate) fn out_of_order(&self, batch: &BatchAt) -> StorageError {
        self.no_batch(batch.position, BatchError::Order)
    }

    fn no_batch(&self, position: u32, error: BatchError) -> StorageError {
        damaged(&self.log.path(), position, error)
    }
}

impl Walk<'_> {
    pub(crate) fn next(&mut self) -> Result<Option<BatchAt>, StorageError> {
        let Some(header) = self.header()? else { return Ok(None) };
        let batch = BatchAt { header, position: self.position };
        let end = u32::try_from(batch.end()).ok().filter(|end| *end <= self.segment.size);
        let too_long = || self.segment.no_batch(self.position, BatchError::Length(header.batch_length));
        let end = end.ok_or_else(too_long)?;
        if header.base_offset < self.after || header.last_offset_delta < 0 {
            return Err(self.segment.no_batch(self.position, BatchError::Order));
        }
        (self.position, self.after) = (end, header.next_offset());
        Ok(Some(batch))
    }

    /// Refuses the batch that was given last if its offsets reach beyond where the next one's begin.
    pub(super) fn check_last(&mut self, last: &BatchAt) -> Result<(), StorageError> {
        match self.header() {
            Ok(Some(next)) if next.base_offset < self.after => Err(self.segment.out_of_order(last)),
            Err(error) if error.is_of_the_disk() => Err(error),
            _ => Ok(()),
        }
    }

    /// Of the batch at the position; `None` at the segment's end.
    fn header(&mut self) -> Result<Option<BatchHeader>, StorageError> {
        if self.position >= self.segment.size {
            return Ok(None);
        }
        let in_window = self.position.checked_sub(self.window_pos).map_or(usize::MAX, |at| at as usize);
        let whole = in_window.checked_add(HEADER_LEN).is_some_and(|end| end <= self.filled);
        let in_window = if whole { in_window } else { self.fill()? };
        let bytes = self.window.get(in_window..self.filled).unwrap_or(&[]);
        let header = BatchHeader::read(bytes).map_err(|error| self.segment.no_batch(self.position, error))?;
        Ok(Some(header))
    }

    /// Moves the window to the position; answers where the position is in it.
    fn fill(&mut self) -> Result<usize, StorageError> {
        let pos = u64::from(self.position);
        self.filled =
            self.reach.read_at(&self.file, &mut self.window, pos).map_err(self.segment.log.err("read"))?;
        self.window_pos = self.position;
        Ok(0)
    }
}
