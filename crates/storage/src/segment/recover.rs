//! Checking a segment after an unclean stop, and rebuilding its indexes.

use std::sync::atomic::Ordering;

use ottla_model::batch::{BatchHeader, HEADER_LEN};
use ottla_model::{LeaderEpoch, Offset, TimestampMs};
use ottla_planted::planted;

use crate::error::{StorageError, if_room};

use super::chunks::Chunks;
use super::{MaxTimestamp, OffsetEntry, Reach, Segment};

/// The file is read in pieces of this many bytes, or of a batch if that is larger.
const CHUNK_BYTES: usize = 1 << 20;

/// What a recovery found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// The offset after the last sound batch.
    pub(crate) end_offset: Offset,
    /// Bytes cut off because they were no sound batch.
    pub(crate) cut_bytes: u32,
    /// Bytes of the batches that had to be checked.
    pub(crate) checked_bytes: u64,
    /// Where a batch with a new leader epoch was seen.
    pub(crate) epochs: Vec<(LeaderEpoch, Offset)>,
}

impl Segment {
    /// Checks every batch that has records at or beyond `trusted_below`, cuts the segment in front of the first bad
    /// one, and rebuilds the indexes from the last entry that can be trusted.
    pub(crate) fn recover(
        &mut self,
        trusted_below: Offset,
        index_interval_bytes: u32,
    ) -> Result<Recovered, StorageError> {
        let file_size = self.size;
        // Counting goes on with the batch of the last trusted entry, which will not be indexed again: nothing lies
        // between it and its entry.
        let position = self.drop_untrusted_entries(trusted_below)?;
        let max_timestamp = self.indexed_max_timestamp()?;
        self.restart_counting(position);
        self.max_timestamp = max_timestamp;
        let mut recovered = Recovered { end_offset: self.base_offset, ..Recovered::default() };
        let file = self.log.get()?;
        let mut reader = Chunks::new(file, file_size, CHUNK_BYTES);
        while let Some(header) = self.sound_batch(&mut reader, recovered.end_offset, trusted_below)? {
            if recovered.epochs.last().is_none_or(|(epoch, _)| header.partition_leader_epoch > *epoch) {
                recovered.epochs.push((header.partition_leader_epoch, header.base_offset));
            }
            recovered.end_offset = header.next_offset();
            if header.last_offset() >= trusted_below {
                recovered.checked_bytes += header.size() as u64;
            }
            self.count(&header, index_interval_bytes)?;
        }
        if self.size < file_size {
            recovered.cut_bytes = file_size - self.size;
            self.log.get()?.set_len(u64::from(self.size)).map_err(self.log.err("truncate"))?;
        }
        self.allocated = self.size;
        if position == 0 {
            // Made anew. Where there is no room they stay in memory, where a few wait for the next flush.
            if_room(self.write_indexes())?;
        }
        self.doubted.store(false, Ordering::Relaxed);
        Ok(recovered)
    }

    /// The header of the batch at the current end, if it is sound and follows `end_offset`.
    pub(super) fn sound_batch(
        &self,
        reader: &mut Chunks,
        end_offset: Offset,
        trusted_below: Offset,
    ) -> Result<Option<BatchHeader>, StorageError> {
        let bytes = reader.read(self.size, HEADER_LEN).map_err(self.log.err("read"))?;
        let Ok(header) = BatchHeader::read(bytes) else { return Ok(None) };
        let follows = header.base_offset >= end_offset && header.last_offset_delta >= 0;
        let in_range =
            i32::try_from(header.last_offset().get().saturating_sub(self.base_offset.get())).is_ok();
        if !follows
            || !in_range
            || u64::from(self.size) + header.size() as u64 > u64::from(reader.file_size())
        {
            return Ok(None);
        }
        if header.last_offset() >= trusted_below {
            let bytes = reader.read(self.size, header.size()).map_err(self.log.err("read"))?;
            if header.verify(bytes).is_err() && !planted!("torn_tail_trusted") {
                return Ok(None);
            }
        }
        Ok(Some(header))
    }

    /// Keeps the index entries below `trusted_below` if both indexes ascend and the last of these entries names a
    /// batch that is there; drops all otherwise. Answers the position to go on from.
    fn drop_untrusted_entries(&mut self, trusted_below: Offset) -> Result<u32, StorageError> {
        let bound = self.relative(trusted_below);
        let offsets = self.index.entries()?;
        let times = self.time_index.entries()?;
        let sound = ascends(&offsets, |entry| (entry.relative_offset, entry.position))
            && ascends(&times, |entry| (entry.relative_offset, entry.timestamp));
        let kept = offsets.partition_point(|entry| entry.relative_offset < bound);
        let last = kept.checked_sub(1).and_then(|number| offsets.get(number));
        let Some(last) = last.filter(|entry| sound && self.names_a_batch(**entry)) else {
            self.drop_index_entries()?;
            return Ok(0);
        };
        self.index.truncate(u32::try_from(kept).unwrap_or(0))?;
        let kept = times.partition_point(|entry| entry.relative_offset <= last.relative_offset);
        self.time_index.truncate(u32::try_from(kept).unwrap_or(0))?;
        Ok(last.position)
    }

    /// The largest timestamp up to the batch of the last index entry, which the last time entry has: it spares a walk from
    /// the segment's start. `None` where the log does not bear it out.
    fn indexed_max_timestamp(&self) -> Result<Option<Option<MaxTimestamp>>, StorageError> {
        let (Some(_), Some(entry)) = (self.index.last()?, self.time_index.last()?) else { return Ok(None) };
        let offset = self.base_offset.plus(i64::from(entry.relative_offset));
        let max = MaxTimestamp { timestamp: TimestampMs(entry.timestamp), offset };
        Ok(self.timed_batch(entry, Reach::Disk)?.map(|_| Some(max)))
    }

    /// Empties both indexes, for [`Segment::recover`] to fill them anew.
    pub(crate) fn drop_index_entries(&mut self) -> Result<(), StorageError> {
        self.index.truncate(0)?;
        self.time_index.truncate(0)
    }

    fn names_a_batch(&self, entry: OffsetEntry) -> bool {
        let found = self.batch_at(entry.position, Reach::Disk).ok().flatten();
        found.is_some_and(|batch| self.relative(batch.header.last_offset()) == entry.relative_offset)
    }
}

/// Whether both fields grow strictly from entry to entry.
fn ascends<E, K: PartialOrd, L: PartialOrd>(entries: &[E], fields: impl Fn(&E) -> (K, L)) -> bool {
    entries.windows(2).all(|pair| match pair {
        [a, b] => fields(a).0 < fields(b).0 && fields(a).1 < fields(b).1,
        _ => true,
    })
}
