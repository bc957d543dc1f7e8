//! Index files carry no checksum: an entry is believed only where the log bears it out. A damaged index makes a lookup
//! slower, never wrong, and is made anew at the next occasion.

use std::sync::atomic::Ordering;

use ottla_model::{Offset, TimestampMs};

use crate::error::{StorageError, if_room};

use super::chunks::Chunks;
use super::walk::Walk;
use super::{BatchAt, MaxTimestamp, OffsetEntry, Reach, Segment, TimeEntry, later};

/// The file is read in pieces of this many bytes, or of a batch if that is larger.
const CHUNK_BYTES: usize = 1 << 20;

impl Segment {
    /// The first batch whose last offset is at least `offset`; `None` if there is none in this segment.
    pub(crate) fn locate(&self, offset: Offset) -> Result<Option<BatchAt>, StorageError> {
        self.locate_within(offset, Reach::Disk)
    }

    /// As [`Segment::locate`], within `reach`.
    pub(crate) fn locate_within(
        &self,
        offset: Offset,
        reach: Reach,
    ) -> Result<Option<BatchAt>, StorageError> {
        let entry = self.index.floor(self.relative(offset.max(self.base_offset)), reach)?;
        let (mut batch, mut walk) = self.walk_from_entry(entry, reach)?;
        while let Some(found) = batch {
            if found.header.last_offset() >= offset {
                // It may have offsets that are not its own.
                walk.check_last(&found)?;
                return Ok(Some(found));
            }
            batch = walk.next()?;
        }
        Ok(None)
    }

    /// Begins a walk at what an index entry names, or at the segment's start where there is no entry or a wrong one.
    pub(super) fn walk_from_entry(
        &self,
        entry: Option<OffsetEntry>,
        reach: Reach,
    ) -> Result<(Option<BatchAt>, Walk<'_>), StorageError> {
        if let Some(entry) = entry {
            let mut walk = self.walk_within(entry.position, reach)?;
            match walk.next() {
                Ok(Some(batch)) if self.bears_out(entry, &batch, reach)? => return Ok((Some(batch), walk)),
                Err(error) if error.is_of_the_disk() => return Err(error),
                _ => self.doubt("an offset index"),
            }
        }
        let mut walk = self.walk_within(0, reach)?;
        Ok((walk.next()?, walk))
    }

    /// Ours name a batch by its last offset. A Kafka before 4.0 wrote the last offset of all that one append brought: its
    /// first batch must then be whole, or the position could be anywhere, and one behind it must have that offset.
    fn bears_out(&self, entry: OffsetEntry, batch: &BatchAt, reach: Reach) -> Result<bool, StorageError> {
        let header = &batch.header;
        let named = self.base_offset.plus(i64::from(entry.relative_offset));
        let last = header.last_offset();
        if last == named {
            return Ok(true);
        }
        let within = header.base_offset >= self.base_offset && last < named;
        if !within || batch.end() > u64::from(self.size) {
            return Ok(false);
        }
        let is_whole = header.verify(&self.read_batch_within(batch, reach)?).is_ok();
        Ok(is_whole && self.ends_a_batch(named, entry.position, reach)?)
    }

    /// Whether a batch at or behind `position` has this last offset.
    fn ends_a_batch(&self, last: Offset, position: u32, reach: Reach) -> Result<bool, StorageError> {
        let mut walk = self.walk_within(position, reach)?;
        loop {
            match walk.next() {
                Ok(Some(batch)) if batch.header.last_offset() < last => {}
                Ok(found) => return Ok(found.is_some_and(|batch| batch.header.last_offset() == last)),
                Err(error) if error.is_of_the_disk() => return Err(error),
                Err(_) => return Ok(false),
            }
        }
    }

    /// The batch that a time index entry is about; `None` if the log does not bear the entry out.
    pub(crate) fn timed_batch(
        &self,
        entry: TimeEntry,
        reach: Reach,
    ) -> Result<Option<BatchAt>, StorageError> {
        let offset = self.base_offset.plus(i64::from(entry.relative_offset));
        let found = match self.locate_within(offset, reach) {
            Err(error) if error.is_of_the_disk() => return Err(error),
            found => found.ok().flatten(),
        };
        let is_it = |batch: &BatchAt| {
            batch.header.base_offset <= offset && batch.header.max_timestamp.get() == entry.timestamp
        };
        let found = found.filter(is_it);
        if found.is_none() {
            self.doubt("a time index");
        }
        Ok(found)
    }

    /// `None` if the segment holds no timestamp, which is also so while it is empty.
    pub(crate) fn max_timestamp(&mut self) -> Result<Option<MaxTimestamp>, StorageError> {
        self.max_timestamp_within(Reach::Disk)
    }

    /// As [`Segment::max_timestamp`], within `reach`.
    pub(crate) fn max_timestamp_within(
        &mut self,
        reach: Reach,
    ) -> Result<Option<MaxTimestamp>, StorageError> {
        if let Some(known) = self.max_timestamp {
            return Ok(known);
        }
        let max = if self.size == 0 { None } else { self.find_max_timestamp(reach)? };
        self.max_timestamp = Some(max);
        Ok(max)
    }

    /// The last time index entry's, or a later one behind it: the index may have lost its end.
    fn find_max_timestamp(&self, reach: Reach) -> Result<Option<MaxTimestamp>, StorageError> {
        let entry = self.time_index.last_within(reach)?;
        let timed = match entry {
            Some(entry) => self.timed_batch(entry, reach)?.map(|batch| (entry, batch)),
            None => None,
        };
        let mut max = timed.map(|(entry, _)| MaxTimestamp {
            timestamp: TimestampMs(entry.timestamp),
            offset: self.base_offset.plus(i64::from(entry.relative_offset)),
        });
        let mut walk = self.walk_within(timed.map_or(0, |(_, batch)| batch.position), reach)?;
        loop {
            match walk.next() {
                Ok(Some(batch)) => max = later(max, &batch.header),
                Err(error) if error.is_of_the_disk() => return Err(error),
                // What lies behind damage has no say.
                Ok(None) | Err(_) => return Ok(max),
            }
        }
    }

    fn doubt(&self, what: &str) {
        if !self.doubted.swap(true, Ordering::Relaxed) {
            let path = self.log.path();
            tracing::warn!(path = %path.display(), "{what} does not fit to the log: it will be made anew");
        }
    }

    /// Whether an entry was found wrong since the indexes were made.
    pub(crate) fn is_doubted(&self) -> bool {
        self.doubted.load(Ordering::Relaxed)
    }

    /// Makes both indexes anew, up to the end or to the first thing that is no batch: what lies behind that stays as it
    /// is, without index. CRCs are not checked.
    pub(crate) fn reindex(&mut self, index_interval_bytes: u32) -> Result<(), StorageError> {
        let size = self.size;
        self.drop_index_entries()?;
        self.restart_counting(0);
        let mut reader = Chunks::new(self.log.get()?, size, CHUNK_BYTES);
        let mut end_offset = self.base_offset;
        while let Some(header) = self.sound_batch(&mut reader, end_offset, Offset(i64::MAX))? {
            end_offset = header.next_offset();
            self.count(&header, index_interval_bytes)?;
        }
        self.size = size;
        self.seal()?;
        // Where there is no room they stay in memory.
        if_room(self.write_indexes())?;
        self.doubted.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Goes back to `position`, from where batches are counted again.
    pub(super) fn restart_counting(&mut self, position: u32) {
        self.size = position;
        self.bytes_since_entry = 0;
        self.max_timestamp = None;
        self.first_timestamp = None;
    }
}
