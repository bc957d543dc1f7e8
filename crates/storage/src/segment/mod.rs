//! One segment: a `.log` of batches, and its two sparse indexes.

mod check;
mod chunks;
mod index;
mod lazy_file;
mod order;
mod reach;
mod recover;
mod stage;
mod trust;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use ottla_model::batch::BatchHeader;
use ottla_model::{Now, Offset, TimestampMs};

use crate::config::LogConfig;
use crate::disk::{Disk, DiskFile};
use crate::error::{At, StorageError, if_room};

use check::Checks;
pub use check::SegmentCheck;
pub(crate) use chunks::{BatchRead, Chunks};
pub(crate) use index::{IndexEntry, OffsetEntry, PendingEntries, SparseIndex, TimeEntry};
pub(crate) use lazy_file::LazyFile;
pub use order::OrderLook;
pub use reach::Reach;
pub(crate) use reach::lacked;
pub(crate) use stage::Stage;
pub(crate) use walk::BatchAt;

/// What a file of a deleted segment is called until it is removed.
pub(crate) const DELETED: &str = ".deleted";
/// The files of a segment.
pub(crate) const SUFFIXES: [&str; 4] = [".log", ".index", ".timeindex", ".txnindex"];
/// Space is reserved this far ahead of the appends.
const ALLOCATE_STEP: u32 = 8 << 20;
/// A segment that never grows beyond this does not reserve.
const ALLOCATE_FROM: u32 = 1 << 20;

/// The largest timestamp of a range of batches, and the last offset of the first batch that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MaxTimestamp {
    pub(crate) timestamp: TimestampMs,
    pub(crate) offset: Offset,
}

/// Owned handles of what a flush does for one segment.
#[derive(Debug)]
pub(crate) struct FlushParts {
    pub(crate) base_offset: Offset,
    pub(crate) log: Arc<dyn DiskFile>,
    /// Time index, then offset index.
    pub(crate) indexes: Option<[PendingEntries; 2]>,
}

/// Bytes of a closed segment's `.log`; none, if there is no such file.
pub(crate) fn segment_len(disk: &dyn Disk, dir: &Path, base_offset: Offset) -> Result<u32, StorageError> {
    let path = dir.join(format!("{:020}.log", base_offset.get()));
    let len = disk.file_len(&path).at("stat", &path)?.unwrap_or(0);
    u32::try_from(len).map_err(|_| too_long(&path))
}

fn too_long(path: &Path) -> StorageError {
    StorageError::corrupt(path, "longer than a segment can be")
}

/// Counts a batch; one without a timestamp (-1) changes nothing, and neither does one that compaction left empty: no
/// lookup by time may end at it.
fn later(max: Option<MaxTimestamp>, header: &BatchHeader) -> Option<MaxTimestamp> {
    let timestamp = header.max_timestamp;
    let is_later = header.record_count > 0 && timestamp > max.map_or(TimestampMs::NONE, |max| max.timestamp);
    if is_later { Some(MaxTimestamp { timestamp, offset: header.last_offset() }) } else { max }
}

fn make_empty(file: &LazyFile) -> Result<(), StorageError> {
    file.get()?.set_len(0).map_err(file.err("truncate"))
}

#[derive(Debug)]
pub(crate) struct Segment {
    base_offset: Offset,
    log: LazyFile,
    index: SparseIndex<OffsetEntry>,
    time_index: SparseIndex<TimeEntry>,
    size: u32,
    bytes_since_entry: u32,
    /// `None` until looked up; then `None` inside if no record has a timestamp.
    max_timestamp: Option<Option<MaxTimestamp>>,
    /// When the segment was made or opened; it decides about rolling when its records have no timestamps.
    created: TimestampMs,
    /// The first batch's timestamp, from which `segment.ms` counts; `None` until looked up.
    first_timestamp: Option<TimestampMs>,
    /// When the last append was, for retention when records have no timestamps.
    modified: TimestampMs,
    allocated: u32,
    /// An index entry was found wrong.
    doubted: AtomicBool,
    /// What was read of it once it was closed.
    checks: OnceLock<Arc<Checks>>,
}

impl Segment {
    /// A segment without records; its files are made, or emptied.
    pub(crate) fn create(
        disk: &Arc<dyn Disk>,
        dir: &Arc<Path>,
        base_offset: Offset,
        now: Now,
    ) -> Result<Self, StorageError> {
        Self::create_at(disk, dir, base_offset, Stage::Live, now)
    }

    /// As [`Segment::create`], under the names of a replacement that is being made.
    pub(crate) fn create_at(
        disk: &Arc<dyn Disk>,
        dir: &Arc<Path>,
        base_offset: Offset,
        stage: Stage,
        now: Now,
    ) -> Result<Self, StorageError> {
        let file = |suffix| LazyFile::new(Arc::clone(disk), Arc::clone(dir), base_offset.get(), suffix);
        let [log, index, time_index] = stage.suffixes().map(file);
        let files = [&log, &index, &time_index];
        if let Err(error) = files.into_iter().try_for_each(make_empty) {
            for file in files {
                let _ = disk.remove_file(&file.path());
            }
            return Err(error);
        }
        // A flush opens them one by one: of segments that fill quickly each holds one descriptor, and not three.
        index.close();
        time_index.close();
        Ok(Self {
            base_offset,
            log,
            index: SparseIndex::empty(index),
            time_index: SparseIndex::empty(time_index),
            size: 0,
            bytes_since_entry: 0,
            max_timestamp: None,
            created: now.wall,
            first_timestamp: None,
            modified: now.wall,
            allocated: 0,
            doubted: AtomicBool::new(false),
            checks: OnceLock::new(),
        })
    }

    /// A segment found on disk, taken as it is.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        dir: &Arc<Path>,
        base_offset: Offset,
        now: Now,
    ) -> Result<Self, StorageError> {
        let file = |suffix| LazyFile::new(Arc::clone(disk), Arc::clone(dir), base_offset.get(), suffix);
        let log = file(".log");
        let size = segment_len(&**disk, dir, base_offset)?;
        let modified = disk.modified_ms(&log.path()).at("stat", &log.path())?.map_or(now.wall, TimestampMs);
        Ok(Self {
            base_offset,
            log,
            index: SparseIndex::open(file(".index"))?,
            time_index: SparseIndex::open(file(".timeindex"))?,
            size,
            bytes_since_entry: 0,
            max_timestamp: None,
            created: now.wall,
            first_timestamp: None,
            modified,
            allocated: size,
            doubted: AtomicBool::new(false),
            checks: OnceLock::new(),
        })
    }

    pub(crate) fn base_offset(&self) -> Offset {
        self.base_offset
    }

    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.log.path()
    }

    pub(crate) fn file(&self) -> Result<Arc<dyn DiskFile>, StorageError> {
        self.log.get()
    }

    /// What a reader of a closed segment may have from `position` on: up to the next batch that is known to be damaged, and
    /// what is to be checked behind the reader.
    pub(crate) fn sound_part(
        &self,
        position: u32,
        length: u32,
    ) -> Result<(u32, Option<SegmentCheck>), StorageError> {
        let checks = self.checks.get_or_init(Arc::default);
        let length = match checks.first_bad(position) {
            Some(bad) if bad == position => {
                return Err(check::damaged(&self.log.path(), bad, "it cannot be read"));
            }
            Some(bad) => length.min(bad - position),
            None => length,
        };
        if !checks.want(position..position.saturating_add(length)) {
            return Ok((length, None));
        }
        let (checks, file, path) = (Arc::clone(checks), self.log.get()?, self.log.path());
        Ok((length, Some(SegmentCheck { checks, file, path, size: self.size })))
    }

    /// The look that a part of a closed segment needs before a reader gets it; `None` if it has been checked: what was found
    /// damaged is known to [`Segment::sound_part`].
    pub(crate) fn order_look(
        &self,
        position: u32,
        length: u32,
        from: Offset,
        next_base: Offset,
    ) -> Result<Option<OrderLook>, StorageError> {
        let part = position..position.saturating_add(length);
        if self.checks.get().is_some_and(|checks| checks.covers(&part)) {
            return Ok(None);
        }
        let (file, path, size) = (self.log.get()?, self.log.path(), self.size);
        Ok(Some(OrderLook { file, path, size, position, length, from, next_base }))
    }

    pub(crate) fn index(&self) -> &SparseIndex<OffsetEntry> {
        &self.index
    }

    pub(crate) fn time_index(&self) -> &SparseIndex<TimeEntry> {
        &self.time_index
    }

    /// Whether an index of records must be made anew.
    pub(crate) fn lacks_index(&self) -> bool {
        self.size > 0 && (self.index.was_missing() || self.time_index.was_missing())
    }

    pub(crate) fn close_files(&self) {
        self.log.close();
        self.index.file().close();
        self.time_index.file().close();
    }

    pub(crate) fn close_idle_files(&self) {
        self.log.close_if_idle();
        self.index.file().close_if_idle();
        self.time_index.file().close_if_idle();
    }

    /// Writes `bytes` (whole batches) at the end in one call. They count only once [`Segment::count`] was told of each
    /// batch. Without room for all there is nothing of them.
    pub(crate) fn write(&mut self, bytes: &[u8], now: Now) -> Result<(), StorageError> {
        let file = self.log.get()?;
        let pos = u64::from(self.size);
        let end = pos + bytes.len() as u64;
        if end > u64::from(self.allocated) && end > u64::from(ALLOCATE_FROM) {
            self.allocate(&*file, end);
        }
        if let Err(error) = file.write_all_at(bytes, pos) {
            // Whatever was written is no part of the log.
            file.set_len(pos).map_err(self.log.err("truncate"))?;
            return Err(self.log.err("write")(error));
        }
        self.modified = now.wall;
        Ok(())
    }

    /// Blocks reserved ahead make the appends cheaper; the file's length stays. Where that fails (a disk that is nearly
    /// full) the write itself tells.
    fn allocate(&mut self, file: &dyn DiskFile, end: u64) {
        let upto = end.next_multiple_of(u64::from(ALLOCATE_STEP));
        let from = u64::from(self.allocated.max(self.size));
        if file.allocate(from, upto - from).is_err() {
            // A part may have been reserved, which others may need.
            let _ = file.set_len(u64::from(self.size));
        }
        self.allocated = u32::try_from(upto).unwrap_or(u32::MAX);
    }

    /// Reserves the blocks of a whole segment (`preallocate`); what is not used is freed when the segment is closed. A
    /// disk that has no room for all of it may have room for what is appended.
    pub(crate) fn preallocate(&mut self, bytes: u32) -> Result<(), StorageError> {
        let file = self.log.get()?;
        if !if_room(file.allocate(0, u64::from(bytes)).map_err(self.log.err("allocate")))? {
            let _ = file.set_len(u64::from(self.size));
        }
        self.allocated = self.allocated.max(bytes);
        Ok(())
    }

    /// Counts a batch that stands at the end of what is counted, and indexes it when it is time.
    pub(crate) fn count(
        &mut self,
        header: &BatchHeader,
        index_interval_bytes: u32,
    ) -> Result<(), StorageError> {
        let last_offset = header.last_offset();
        let size = u32::try_from(header.size()).unwrap_or(u32::MAX);
        if self.size == 0 {
            self.first_timestamp = Some(header.max_timestamp);
        }
        self.max_timestamp = Some(later(self.max_timestamp()?, header));
        if self.bytes_since_entry > index_interval_bytes {
            let (base, last) = (self.relative(header.base_offset), self.relative(last_offset));
            self.index.append(OffsetEntry::new(base, last, self.size));
            self.index_timestamp()?;
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry = self.bytes_since_entry.saturating_add(size);
        self.size = self.size.saturating_add(size);
        Ok(())
    }

    /// Adds the largest timestamp to the time index unless it is there.
    fn index_timestamp(&mut self) -> Result<(), StorageError> {
        let Some(max) = self.max_timestamp()? else { return Ok(()) };
        if self.time_index.last()?.is_none_or(|last| max.timestamp.get() > last.timestamp) {
            let relative_offset = self.relative(max.offset);
            self.time_index.append(TimeEntry { timestamp: max.timestamp.get(), relative_offset });
        }
        Ok(())
    }

    /// Bytes appended since the last index entry, and the end: for a segment that was opened, not appended to from its
    /// start. An index whose last entry is wrong is made anew.
    pub(crate) fn load_tail(&mut self, index_interval_bytes: u32) -> Result<Offset, StorageError> {
        if self.size == 0 {
            return Ok(self.base_offset);
        }
        let mut entry = self.index.last()?;
        let mut end_offset = self.walk_to_end(entry)?;
        if self.is_doubted() {
            self.reindex(index_interval_bytes)?;
            entry = self.index.last()?;
            end_offset = self.walk_to_end(entry)?;
        }
        self.bytes_since_entry = self.size.saturating_sub(entry.map_or(0, |entry| entry.position));
        Ok(end_offset)
    }

    fn walk_to_end(&self, entry: Option<OffsetEntry>) -> Result<Offset, StorageError> {
        let (mut batch, mut walk) = self.walk_from_entry(entry, Reach::Disk)?;
        let mut end_offset = self.base_offset;
        while let Some(found) = batch {
            end_offset = found.header.next_offset();
            batch = walk.next()?;
        }
        Ok(end_offset)
    }

    /// When retention by time measures from: the largest timestamp, or the last append where records have none.
    pub(crate) fn retention_timestamp(&mut self) -> Result<TimestampMs, StorageError> {
        let max = self.max_timestamp()?.map(|max| max.timestamp);
        Ok(max.filter(|timestamp| *timestamp >= TimestampMs(0)).unwrap_or(self.modified))
    }

    /// The offset as the indexes have it; what lies outside the segment goes to its nearest end.
    pub(crate) fn relative(&self, offset: Offset) -> u32 {
        let relative = offset.get().saturating_sub(self.base_offset.get());
        u32::try_from(relative.max(0)).unwrap_or(u32::MAX)
    }

    /// Whether the segment must be closed before `bytes` more that end at `last_offset` are appended.
    pub(crate) fn must_roll(
        &mut self,
        config: &LogConfig,
        bytes: u32,
        max_timestamp: TimestampMs,
        last_offset: Offset,
        jitter_ms: i64,
        now: Now,
    ) -> Result<bool, StorageError> {
        let index_full = u64::from(self.index.count() + 1) * OffsetEntry::LEN as u64
            > u64::from(config.segment_index_bytes)
            || u64::from(self.time_index.count() + 2) * TimeEntry::LEN as u64
                > u64::from(config.segment_index_bytes);
        let offset_too_far = i32::try_from(last_offset.get().saturating_sub(self.base_offset.get())).is_err();
        if index_full || offset_too_far || self.size > config.segment_bytes.saturating_sub(bytes) {
            return Ok(true);
        }
        let waited = self.waited_ms(max_timestamp, now)?;
        Ok(self.size > 0 && waited > config.segment_ms_max().saturating_sub(jitter_ms))
    }

    /// The largest timestamp of the first batch; `None` while there is none.
    pub(crate) fn first_timestamp(&mut self) -> Result<Option<TimestampMs>, StorageError> {
        if self.first_timestamp.is_none() && self.size > 0 {
            self.first_timestamp = self.walk(0)?.next()?.map(|batch| batch.header.max_timestamp);
        }
        Ok(self.first_timestamp)
    }

    /// `segment.ms` counts in record time from the first batch, or in wall time if that has no timestamp.
    fn waited_ms(&mut self, max_timestamp: TimestampMs, now: Now) -> Result<i64, StorageError> {
        Ok(match self.first_timestamp()? {
            Some(first) if first >= TimestampMs(0) => max_timestamp.get().saturating_sub(first.get()),
            _ => now.wall.get().saturating_sub(self.created.get()),
        })
    }

    /// For a segment that takes no more appends: its last timestamp is indexed.
    pub(crate) fn seal(&mut self) -> Result<(), StorageError> {
        self.index_timestamp()
    }

    /// Index entries that are in memory only.
    pub(crate) fn unwritten_entries(&self) -> u32 {
        self.index.unwritten() + self.time_index.unwritten()
    }

    /// Writes the index entries that are in memory only, and trims the files. Syncing is the caller's.
    pub(crate) fn write_indexes(&mut self) -> Result<(), StorageError> {
        // A time entry is on disk before the offset entry that was made with it: recovery relies on that.
        self.time_index.write_out()?;
        self.index.write_out()
    }

    /// What a flush must write and sync for this segment to be durable.
    pub(crate) fn flush_parts(&self, with_indexes: bool) -> Result<FlushParts, StorageError> {
        let log = self.log.get()?;
        // A recovery that had no room has made none of the files: without them nothing is written, and nothing is to be taken for
        // written.
        let make = || {
            [self.time_index.file(), self.index.file()].into_iter().try_for_each(LazyFile::make_if_missing)
        };
        if !with_indexes || !if_room(make())? {
            return Ok(FlushParts { base_offset: self.base_offset, log, indexes: None });
        }
        let indexes = Some([self.time_index.pending(), self.index.pending()]);
        Ok(FlushParts { base_offset: self.base_offset, log, indexes })
    }

    /// A flush has written what [`Segment::flush_parts`] said.
    pub(crate) fn flushed(&mut self, parts: &FlushParts) {
        if let Some([times, offsets]) = &parts.indexes {
            self.time_index.mark_written(times.count);
            self.index.mark_written(offsets.count);
        }
    }

    /// Frees the memory that a segment without further appends does not need.
    pub(crate) fn forget_written(&mut self) {
        self.time_index.forget_written();
        self.index.forget_written();
    }

    /// Frees the blocks reserved beyond the end.
    pub(crate) fn release_reserved(&mut self) -> Result<(), StorageError> {
        if self.allocated > self.size {
            self.log.get()?.set_len(u64::from(self.size)).map_err(self.log.err("truncate"))?;
            self.allocated = self.size;
        }
        Ok(())
    }

    /// Cuts the segment in front of the batch that contains `offset` (or follows it); answers the new end.
    pub(crate) fn truncate_to(
        &mut self,
        offset: Offset,
        index_interval_bytes: u32,
    ) -> Result<Offset, StorageError> {
        let Some(batch) = self.locate(offset)? else { return self.load_tail(index_interval_bytes) };
        // Entries carry last offsets: those of a batch that is kept lie below its successor's base offset.
        let kept_below = self.relative(batch.header.base_offset);
        let kept = self.index.partition_point(|entry| entry.relative_offset < kept_below)?;
        self.index.truncate(kept)?;
        let kept = self.time_index.partition_point(|entry| entry.relative_offset < kept_below)?;
        self.time_index.truncate(kept)?;
        let file = self.log.get()?;
        file.set_len(u64::from(batch.position)).map_err(self.log.err("truncate"))?;
        // What is cut must not come back below a segment that is made after this one: below the recovery point nobody would
        // look for it.
        file.sync_data().map_err(self.log.err("sync"))?;
        self.size = batch.position;
        self.checks = OnceLock::new();
        self.allocated = batch.position;
        self.max_timestamp = None;
        if self.size == 0 {
            self.first_timestamp = None;
            self.bytes_since_entry = 0;
        }
        self.load_tail(index_interval_bytes)
    }
}
