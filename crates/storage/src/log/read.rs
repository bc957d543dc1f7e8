//! Reading: where the batch that contains an offset starts, and how far a slice may go.

use ottla_model::Offset;

use crate::error::StorageError;
use crate::file_slice::FileSlice;
use crate::read::{InMemory, LogRead, ReadError};
use crate::segment::{BatchAt, OffsetEntry, OrderLook, Reach, Segment, SegmentCheck};

use super::PartitionLog;

/// A batch's header: no batch fits into less.
const BATCH_SIZE_MIN: u32 = 61;

/// Where recent reads ended, so that a sequential reader needs no lookup.
#[derive(Debug, Default)]
pub(super) struct PositionCache {
    recent: [Option<Place>; 8],
    next: usize,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    offset: Offset,
    segment: Offset,
    position: u32,
    /// The batch there, where its header was read.
    batch: Option<BatchAt>,
}

impl PositionCache {
    fn get(&self, offset: Offset, segment: Offset) -> Option<Place> {
        let hit =
            self.recent.iter().flatten().find(|place| place.offset == offset && place.segment == segment);
        hit.copied()
    }

    fn put(&mut self, offset: Offset, segment: Offset, position: u32) {
        self.put_once(Place { offset, segment, position, batch: None });
    }

    fn put_once(&mut self, place: Place) {
        if self.get(place.offset, place.segment).is_none() {
            self.recent[self.next] = Some(place);
            self.next = (self.next + 1) % self.recent.len();
        }
    }

    pub(super) fn clear(&mut self) {
        self.recent = [None; 8];
    }
}

/// What a reader may have.
struct Found {
    slice: FileSlice,
    check: Option<SegmentCheck>,
    look: Option<OrderLook>,
}

/// The batch that a read starts with; its header is only read where it is needed.
#[derive(Clone, Copy)]
struct First {
    position: u32,
    batch: Option<BatchAt>,
}

impl PartitionLog {
    /// Reads from the batch that contains `from` on, below `upper` (exclusive: the high watermark, the last stable
    /// offset or the log end), at most `max_bytes` but never less than the first batch when `min_one`. Does not cross
    /// a segment.
    pub fn read(
        &self,
        from: Offset,
        max_bytes: u32,
        upper: Offset,
        min_one: bool,
    ) -> Result<LogRead, ReadError> {
        let mut read = self.find_slice(from, max_bytes, upper, min_one, Reach::Disk)?;
        if let (Some(look), Some(slice)) = (read.look.take(), &mut read.slice)
            && let InMemory::Found(length) = look.run(Reach::Disk)?
        {
            slice.length = length;
        }
        Ok(read)
    }

    /// As [`PartitionLog::read`], within `reach`, and without the look at what is in the slice.
    pub fn read_within(
        &self,
        from: Offset,
        max_bytes: u32,
        upper: Offset,
        min_one: bool,
        reach: Reach,
    ) -> Result<InMemory<LogRead>, ReadError> {
        let read = self.find_slice(from, max_bytes, upper, min_one, reach);
        InMemory::of(read, |error| match error {
            ReadError::Storage(error) => Ok(error),
            other => Err(other),
        })
    }

    fn find_slice(
        &self,
        from: Offset,
        max_bytes: u32,
        upper: Offset,
        min_one: bool,
        reach: Reach,
    ) -> Result<LogRead, ReadError> {
        self.check_online()?;
        let (start, end) = (self.log_start_offset, self.log_end_offset);
        if from < start || from > end {
            return Err(ReadError::OffsetOutOfRange { requested: from, start, end });
        }
        let upper = upper.min(end);
        let found = if from < upper { self.slice(from, max_bytes, upper, min_one, reach)? } else { None };
        let (slice, check, look) = match found {
            Some(Found { slice, check, look }) => (Some(slice), check, look),
            None => (None, None, None),
        };
        Ok(LogRead { slice, check, look, log_start_offset: start, log_end_offset: end })
    }

    /// The bytes that [`PartitionLog::read`] would give a slice of, at least one batch; empty at the log's end.
    pub fn read_bytes(&self, from: Offset, max_bytes: u32) -> Result<Vec<u8>, ReadError> {
        match self.read(from, max_bytes, self.log_end_offset, true)?.slice {
            Some(slice) => Ok(slice.to_vec().map_err(|error| StorageError::io("read", &self.dir, error))?),
            None => Ok(Vec::new()),
        }
    }

    fn slice(
        &self,
        from: Offset,
        max_bytes: u32,
        upper: Offset,
        min_one: bool,
        reach: Reach,
    ) -> Result<Option<Found>, StorageError> {
        for number in self.segments.number_for(from)..self.segments.len() {
            let Some(segment) = self.segments.get(number)? else { break };
            // A segment may end before the next one's base offset where compaction or truncation left a gap.
            let is_closed = number < self.segments.last();
            let Some(first) = self.find(segment, from, is_closed, reach)? else { continue };
            let next_base = self.segments.base(number + 1).unwrap_or(self.log_end_offset);
            if let Some(batch) = first.batch.filter(|batch| batch.header.next_offset() > next_base) {
                return Err(segment.out_of_order(&batch));
            }
            if first.batch.is_some_and(|batch| batch.header.base_offset >= upper) {
                return Ok(None);
            }
            let limit =
                if upper >= next_base { segment.size() } else { self.find_end(segment, upper, reach)? };
            if upper == self.log_end_offset && number == self.segments.last() {
                // Where a reader that has caught up will come back.
                self.positions.lock().put(upper, segment.base_offset(), limit);
            }
            let available = limit.saturating_sub(first.position);
            let length = if available <= max_bytes {
                available
            } else {
                self.cut(segment, first, max_bytes, min_one, reach)?
            };
            let length = length.min(available);
            if length == 0 {
                return Ok(None);
            }
            let mut slice = FileSlice { file: segment.file()?, position: u64::from(first.position), length };
            let (mut check, mut look) = (None, None);
            if is_closed {
                (slice.length, check) = segment.sound_part(first.position, length)?;
                look = segment.order_look(first.position, slice.length, from, next_base)?;
            }
            return Ok(Some(Found { slice, check, look }));
        }
        Ok(None)
    }

    /// How much to give from `first` on, of which more is there than `max_bytes`; 0 for nothing.
    fn cut(
        &self,
        segment: &Segment,
        first: First,
        max_bytes: u32,
        min_one: bool,
        reach: Reach,
    ) -> Result<u32, StorageError> {
        if max_bytes < BATCH_SIZE_MIN && !min_one {
            return Ok(0);
        }
        let next = self.last_start(segment, first.position, max_bytes, reach)?;
        if let Some((length, place)) = next.and_then(|next| appended(segment, first.position, next)) {
            self.positions.lock().put_once(place);
            return Ok(length);
        }
        let batch = match first.batch {
            Some(batch) => Some(batch),
            None => segment.batch_at(first.position, reach)?,
        };
        let Some(batch) = batch else { return Ok(0) };
        let first_size = u32::try_from(batch.header.size()).unwrap_or(u32::MAX);
        if max_bytes.saturating_sub(first_size) < BATCH_SIZE_MIN {
            let next_position = first.position.saturating_add(first_size);
            self.positions.lock().put(batch.header.next_offset(), segment.base_offset(), next_position);
            return Ok(if min_one || first_size <= max_bytes { first_size } else { 0 });
        }
        // A damaged index may name a place within the batch.
        let Some(next) = next.filter(|next| next.position - first.position >= first_size) else {
            return Ok(max_bytes);
        };
        if let Some(batch) = segment.batch_at(next.position, reach)? {
            let (offset, position) = (batch.header.base_offset, batch.position);
            let place = Place { offset, segment: segment.base_offset(), position, batch: Some(batch) };
            self.positions.lock().put_once(place);
        }
        Ok(next.position - first.position)
    }

    /// The last batch that the index knows to start within `max_bytes` of `position`, if that is late enough: what a reader
    /// gets of a cut batch is of no use to it, and it would come back for an offset that needs a lookup.
    fn last_start(
        &self,
        segment: &Segment,
        position: u32,
        max_bytes: u32,
        reach: Reach,
    ) -> Result<Option<OffsetEntry>, StorageError> {
        let bound = position.saturating_add(max_bytes);
        let guess = guess(segment, bound);
        let next = segment.index().last_before(guess, reach, |entry| entry.position <= bound)?;
        let is_late = |next: &OffsetEntry| next.position.saturating_sub(position) >= (max_bytes / 2).max(1);
        Ok(next.filter(is_late))
    }

    fn find(
        &self,
        segment: &Segment,
        offset: Offset,
        is_closed: bool,
        reach: Reach,
    ) -> Result<Option<First>, StorageError> {
        let known = self.positions.lock().get(offset, segment.base_offset());
        if let Some(place) = known.filter(|place| place.position < segment.size()) {
            let batch = match place.batch {
                // The batch before it said that it is here; what says so itself was on the disk for longer.
                None if is_closed => segment.batch_at(place.position, reach)?,
                batch => batch,
            };
            if batch.is_none_or(|batch| batch.header.base_offset == offset) {
                return Ok(Some(First { position: place.position, batch }));
            }
        }
        let located = segment.locate_within(offset, reach)?;
        Ok(located.map(|batch| First { position: batch.position, batch: Some(batch) }))
    }

    /// The position of the first batch that does not lie below `upper`.
    fn find_end(&self, segment: &Segment, upper: Offset, reach: Reach) -> Result<u32, StorageError> {
        let known = self.positions.lock().get(upper, segment.base_offset());
        if let Some(place) = known {
            return Ok(place.position);
        }
        let Some(batch) = segment.locate_within(upper, reach)? else { return Ok(segment.size()) };
        self.positions.lock().put(upper, segment.base_offset(), batch.position);
        Ok(batch.position)
    }
}

/// The bytes before a batch that was appended since the log was opened, and where it is: known without reading anything.
fn appended(segment: &Segment, position: u32, next: OffsetEntry) -> Option<(u32, Place)> {
    let offset = segment.base_offset().plus(i64::from(next.relative_base()?));
    let place = Place { offset, segment: segment.base_offset(), position: next.position, batch: None };
    Some((next.position - position, place))
}

/// The number of the index entry at `position` if all are as far apart.
fn guess(segment: &Segment, position: u32) -> u32 {
    let entries = u64::from(segment.index().count());
    let guess = entries * u64::from(position) / u64::from(segment.size().max(1));
    u32::try_from(guess).unwrap_or(u32::MAX)
}
