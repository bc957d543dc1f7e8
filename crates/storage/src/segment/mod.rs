//! One segment: a `.log` of batches, and its two sparse indexes.

mod index;
mod lazy_file;

use std::path::Path;
use std::sync::Arc;

use ottla_model::Offset;
use ottla_model::batch::{BatchError, BatchHeader, HEADER_LEN};

use crate::disk::{Disk, DiskFile};
use crate::error::StorageError;

pub(crate) use index::{OffsetEntry, SparseIndex, TimeEntry};
pub(crate) use lazy_file::LazyFile;

/// Bytes of one look at the file while walking headers.
const WALK_BYTES: usize = 4096;

/// The largest timestamp of a range of batches, and the last offset of the first batch that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MaxTimestamp {
    pub(crate) timestamp: i64,
    pub(crate) offset: i64,
}

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

#[derive(Debug)]
pub(crate) struct Segment {
    base_offset: Offset,
    log: LazyFile,
    pub(crate) index: SparseIndex<OffsetEntry>,
    pub(crate) time_index: SparseIndex<TimeEntry>,
    size: u32,
    bytes_since_entry: u32,
    max_timestamp: Option<MaxTimestamp>,
}

impl Segment {
    /// A segment without records; its files are made.
    pub(crate) fn create(
        disk: &Arc<dyn Disk>,
        dir: &Arc<Path>,
        base_offset: Offset,
    ) -> Result<Self, StorageError> {
        let file = |suffix| LazyFile::new(Arc::clone(disk), Arc::clone(dir), base_offset.get(), suffix);
        let log = file(".log");
        let opened = log.get()?;
        if !opened.is_empty().map_err(|error| log.error("stat", error))? {
            opened.set_len(0).map_err(|error| log.error("truncate", error))?;
        }
        Ok(Self {
            base_offset,
            log,
            index: SparseIndex::empty(file(".index")),
            time_index: SparseIndex::empty(file(".timeindex")),
            size: 0,
            bytes_since_entry: 0,
            max_timestamp: None,
        })
    }

    /// A segment found on disk, taken as it is.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        dir: &Arc<Path>,
        base_offset: Offset,
    ) -> Result<Self, StorageError> {
        let file = |suffix| LazyFile::new(Arc::clone(disk), Arc::clone(dir), base_offset.get(), suffix);
        let log = file(".log");
        let size = u32::try_from(log.len()?)
            .map_err(|_| StorageError::corrupt(&log.path(), "longer than a segment can be"))?;
        Ok(Self {
            base_offset,
            log,
            index: SparseIndex::open(file(".index"))?,
            time_index: SparseIndex::open(file(".timeindex"))?,
            size,
            bytes_since_entry: 0,
            max_timestamp: None,
        })
    }

    pub(crate) fn base_offset(&self) -> Offset {
        self.base_offset
    }

    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    pub(crate) fn file(&self) -> Result<Arc<dyn DiskFile>, StorageError> {
        self.log.get()
    }

    pub(crate) fn log(&self) -> &LazyFile {
        &self.log
    }

    /// Whether the indexes can express `offset` here.
    pub(crate) fn can_hold(&self, offset: Offset) -> bool {
        let relative = offset.get().saturating_sub(self.base_offset.get());
        i32::try_from(relative).is_ok_and(|relative| relative >= 0)
    }

    /// Writes `bytes` (whole batches) at the end in one call. The batches count only once [`Segment::appended`] was
    /// told of each.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), StorageError> {
        let file = self.log.get()?;
        let pos = u64::from(self.size);
        file.write_all_at(bytes, pos).map_err(|error| {
            // Whatever was written is no part of the log; the next open would cut it off, too.
            let _ = file.set_len(pos);
            self.log.error("write", error)
        })
    }

    /// Counts a batch that stands at the end of what is counted, and indexes it when it is time.
    pub(crate) fn appended(
        &mut self,
        header: &BatchHeader,
        index_interval_bytes: u32,
    ) -> Result<(), StorageError> {
        let last_offset = header.last_offset().get();
        let size = u32::try_from(header.size()).unwrap_or(u32::MAX);
        let largest = self.max_timestamp()?;
        if largest.is_none_or(|max| header.max_timestamp.get() > max.timestamp) {
            self.max_timestamp =
                Some(MaxTimestamp { timestamp: header.max_timestamp.get(), offset: last_offset });
        }
        if self.bytes_since_entry > index_interval_bytes {
            let relative_offset = self.relative(header.last_offset());
            self.index.append(OffsetEntry { relative_offset, position: self.size });
            self.index_timestamp()?;
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry = self.bytes_since_entry.saturating_add(size);
        self.size = self.size.saturating_add(size);
        Ok(())
    }

    /// Adds the largest timestamp to the time index unless it is there.
    fn index_timestamp(&mut self) -> Result<(), StorageError> {
        let Some(max) = self.max_timestamp else { return Ok(()) };
        if self.time_index.last()?.is_none_or(|last| max.timestamp > last.timestamp) {
            let relative_offset = self.relative(Offset(max.offset));
            self.time_index.append(TimeEntry { timestamp: max.timestamp, relative_offset });
        }
        Ok(())
    }

    fn max_timestamp(&mut self) -> Result<Option<MaxTimestamp>, StorageError> {
        if self.max_timestamp.is_none() {
            self.max_timestamp = self.time_index.last()?.map(|last| MaxTimestamp {
                timestamp: last.timestamp,
                offset: self.base_offset.get() + i64::from(last.relative_offset),
            });
        }
        Ok(self.max_timestamp)
    }

    fn relative(&self, offset: Offset) -> u32 {
        u32::try_from(offset.get().saturating_sub(self.base_offset.get())).unwrap_or(u32::MAX)
    }

    /// The first batch whose last offset is at least `offset`; `None` if there is none in this segment.
    pub(crate) fn locate(&self, offset: Offset) -> Result<Option<BatchAt>, StorageError> {
        let entry = self.index.floor(self.relative(offset.max(self.base_offset)))?;
        let mut walk = self.walk(entry.map_or(0, |entry| entry.position))?;
        while let Some(batch) = walk.next()? {
            if batch.header.last_offset() >= offset {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// Reads the headers from the batch boundary `position` on.
    pub(crate) fn walk(&self, position: u32) -> Result<Walk<'_>, StorageError> {
        Ok(Walk {
            segment: self,
            file: self.log.get()?,
            position,
            window: [0; WALK_BYTES],
            from: 0,
            filled: 0,
        })
    }
}

/// Reads batch headers one after the other, several with one read where batches are small.
pub(crate) struct Walk<'a> {
    segment: &'a Segment,
    file: Arc<dyn DiskFile>,
    position: u32,
    window: [u8; WALK_BYTES],
    /// Position in the file of the window's first byte, and how many are filled.
    from: u32,
    filled: usize,
}

impl Walk<'_> {
    pub(crate) fn next(&mut self) -> Result<Option<BatchAt>, StorageError> {
        if self.position >= self.segment.size {
            return Ok(None);
        }
        let corrupt = |error: BatchError| {
            let what = format!("no batch at position {}: {error}", self.position);
            StorageError::corrupt(&self.segment.log.path(), what)
        };
        let in_window = self.position.wrapping_sub(self.from) as usize;
        if self.position < self.from || in_window + HEADER_LEN > self.filled {
            let error = |error| self.segment.log.error("read", error);
            self.filled = self.file.read_at(&mut self.window, u64::from(self.position)).map_err(error)?;
            self.from = self.position;
        }
        let in_window = (self.position - self.from) as usize;
        let header = BatchHeader::read(&self.window[in_window..self.filled]).map_err(corrupt)?;
        let batch = BatchAt { header, position: self.position };
        self.position =
            u32::try_from(batch.end()).map_err(|_| corrupt(BatchError::Length(header.batch_length)))?;
        Ok(Some(batch))
    }
}
