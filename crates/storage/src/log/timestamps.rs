//! Finding records by time (ListOffsets). The log finds the batch; who asks looks into it, without the log: its records
//! may have to be unpacked.

use std::path::PathBuf;

use ottla_model::batch::{BatchError, BatchHeader, Skim, TimestampType};
use ottla_model::{Offset, TimestampMs};

use crate::error::{At, StorageError};
use crate::file_slice::FileSlice;
use crate::read::{InMemory, TimestampOffset};
use crate::segment::{BatchAt, Reach, Segment};

use super::PartitionLog;

/// A batch in which a lookup by time may end.
#[derive(Clone, Debug)]
pub struct TimedBatch {
    header: BatchHeader,
    slice: FileSlice,
    path: PathBuf,
    timestamp: TimestampMs,
    /// Records before it do not count.
    start: Offset,
}

impl TimedBatch {
    /// The first record of the batch that is late enough; `None` if there is none. Reads and unpacks, in bounded memory.
    ///
    /// # Errors
    /// The disk's.
    pub fn find(&self) -> Result<Option<TimestampOffset>, StorageError> {
        let header = &self.header;
        let at = |timestamp, offset| TimestampOffset {
            timestamp,
            offset,
            leader_epoch: header.partition_leader_epoch,
        };
        if header.timestamp_type() == TimestampType::LogAppendTime {
            let offset = header.base_offset.max(self.start);
            return Ok((offset <= header.last_offset()).then(|| at(header.max_timestamp, offset)));
        }
        let bytes = self.slice.to_vec().at("read", &self.path)?;
        header.verify(&bytes).map_err(|error| StorageError::Damaged {
            path: self.path.clone(),
            position: u32::try_from(self.slice.position).unwrap_or(u32::MAX),
            what: error.to_string(),
        })?;
        match first_record(header, &bytes, self.timestamp, self.start) {
            Ok(found) => Ok(found.map(|(timestamp, offset)| at(timestamp, offset))),
            // A producer's broken records are its consumers' problem; the header alone answers.
            Err(_) => Ok(Some(at(header.max_timestamp, header.base_offset.max(self.start)))),
        }
    }

    /// Where to go on if [`TimedBatch::find`] finds nothing.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.header.next_offset()
    }
}

impl PartitionLog {
    /// The first record at or beyond the log start offset whose timestamp is at least `timestamp`.
    pub fn offset_for_timestamp(
        &mut self,
        timestamp: TimestampMs,
    ) -> Result<Option<TimestampOffset>, StorageError> {
        let mut from = Offset::ZERO;
        while let Some(batch) = self.timed_batch(timestamp, from, Reach::Disk)? {
            if let Some(found) = batch.find()? {
                return Ok(Some(found));
            }
            from = batch.next_offset();
        }
        Ok(None)
    }

    /// The first record that has the largest timestamp of the log (KIP-734); where no record has one, the first record, at
    /// [`TimestampMs::NONE`]. `None` if the log is empty.
    pub fn max_timestamp(&mut self) -> Result<Option<TimestampOffset>, StorageError> {
        match self.latest_batch(Reach::Disk)? {
            Some(batch) => batch.find(),
            None => Ok(None),
        }
    }

    /// The first batch at or beyond `from` that may hold what [`PartitionLog::offset_for_timestamp`] looks for; its last
    /// offset is not below the log start offset.
    pub fn batch_for_timestamp(
        &mut self,
        timestamp: TimestampMs,
        from: Offset,
        reach: Reach,
    ) -> Result<InMemory<Option<TimedBatch>>, StorageError> {
        InMemory::of(self.timed_batch(timestamp, from, reach), Ok)
    }

    /// The batch that holds what [`PartitionLog::max_timestamp`] looks for.
    pub fn batch_of_max_timestamp(
        &mut self,
        reach: Reach,
    ) -> Result<InMemory<Option<TimedBatch>>, StorageError> {
        InMemory::of(self.latest_batch(reach), Ok)
    }

    fn timed_batch(
        &mut self,
        timestamp: TimestampMs,
        from: Offset,
        reach: Reach,
    ) -> Result<Option<TimedBatch>, StorageError> {
        self.check_online()?;
        let start = self.log_start_offset;
        for number in self.segments.number_for(from)..self.segments.len() {
            let Some(segment) = self.segments.get_mut(number)? else { break };
            if segment.max_timestamp_within(reach)?.is_none_or(|max| max.timestamp < timestamp) {
                continue;
            }
            if let Some(batch) = batch_in_segment(segment, timestamp, from.max(start), reach)? {
                return timed(segment, &batch, timestamp, start).map(Some);
            }
        }
        Ok(None)
    }

    fn latest_batch(&mut self, reach: Reach) -> Result<Option<TimedBatch>, StorageError> {
        self.check_online()?;
        let mut largest: Option<(TimestampMs, usize, Offset)> = None;
        for number in 0..self.segments.len() {
            let Some(segment) = self.segments.get_mut(number)? else { break };
            let Some(max) = segment.max_timestamp_within(reach)? else { continue };
            if largest.is_none_or(|(timestamp, ..)| max.timestamp > timestamp) {
                largest = Some((max.timestamp, number, max.offset));
            }
        }
        let first = || Some((TimestampMs::NONE, 0, self.segments.base(0)?));
        let Some((timestamp, number, offset)) = largest.or_else(first) else { return Ok(None) };
        let Some(segment) = self.segments.get(number)? else { return Ok(None) };
        let Some(batch) = segment.locate_within(offset, reach)? else { return Ok(None) };
        timed(segment, &batch, timestamp, segment.base_offset()).map(Some)
    }
}

fn timed(
    segment: &Segment,
    batch: &BatchAt,
    timestamp: TimestampMs,
    start: Offset,
) -> Result<TimedBatch, StorageError> {
    Ok(TimedBatch {
        header: batch.header,
        slice: segment.slice_of(batch)?,
        path: segment.path(),
        timestamp,
        start,
    })
}

/// The first batch from `from` on whose largest timestamp is late enough.
fn batch_in_segment(
    segment: &Segment,
    timestamp: TimestampMs,
    from: Offset,
    reach: Reach,
) -> Result<Option<BatchAt>, StorageError> {
    // No batch up to this entry's offset has a larger timestamp than the entry, which is below the wanted one.
    let index = segment.time_index();
    let before = index.partition_point_within(reach, |entry| entry.timestamp < timestamp.get())?;
    let known = match before.checked_sub(1) {
        Some(number) => segment.timed_batch(index.get(number, reach)?, reach)?,
        None => None,
    };
    let known = known.map_or(segment.base_offset(), |batch| batch.header.last_offset());
    let Some(first) = segment.locate_within(known.max(from), reach)? else { return Ok(None) };
    let mut walk = segment.walk_within(first.position, reach)?;
    while let Some(batch) = walk.next()? {
        if batch.header.max_timestamp >= timestamp {
            return Ok(Some(batch));
        }
    }
    Ok(None)
}

fn first_record(
    header: &BatchHeader,
    bytes: &[u8],
    timestamp: TimestampMs,
    start: Offset,
) -> Result<Option<(TimestampMs, Offset)>, BatchError> {
    for record in Skim::new(header, bytes)? {
        let record = record?;
        // Nobody checks the offsets of records that a producer did not compress; one outside its batch is none.
        if !(header.base_offset..=header.last_offset()).contains(&record.offset) {
            return Err(BatchError::Record);
        }
        if record.timestamp >= timestamp && record.offset >= start {
            return Ok(Some((record.timestamp, record.offset)));
        }
    }
    Ok(None)
}
