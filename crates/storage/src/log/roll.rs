//! Closing the active segment and starting the next.

use ottla_model::{Now, Offset, TimestampMs};

use crate::error::{StorageError, if_room};
use crate::segment::Segment;

use super::PartitionLog;

/// What is about to be appended, as far as rolling depends on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming {
    pub(super) bytes: u32,
    pub(super) first_offset: Offset,
    pub(super) last_offset: Offset,
    pub(super) max_timestamp: TimestampMs,
}

impl PartitionLog {
    /// Starts a new segment if the incoming batches do not belong into the active one, by Kafka's rules:
    /// `segment.bytes`, `segment.ms` less jitter, a full index, an offset that the index cannot express.
    pub(super) fn roll_for(&mut self, incoming: Incoming, now: Now) -> Result<(), StorageError> {
        let config = std::sync::Arc::clone(&self.config);
        let Incoming { bytes, first_offset, last_offset, max_timestamp } = incoming;
        let jitter_ms = self.jitter_ms();
        let active = self.active_mut();
        if active.must_roll(&config, bytes, max_timestamp, last_offset, jitter_ms, now)? {
            // Where a follower's offsets leave a gap the segments still meet, so that recovery can tell a lost tail
            // from a compacted one; unless the index cannot span the gap.
            let spans = i32::try_from(last_offset.get() - self.log_end_offset.get()).is_ok();
            self.roll_at(if spans { self.log_end_offset } else { first_offset }, now)?;
        }
        Ok(())
    }

    /// Closes the active segment and starts a new one at the log end offset. Nothing is synced here: the closed
    /// segment belongs to the next flush. An empty active segment stays. Without room for the new one nothing changes.
    pub fn roll(&mut self, now: Now) -> Result<(), StorageError> {
        self.guarded(|log| log.roll_at(log.log_end_offset, now))
    }

    pub(super) fn roll_at(&mut self, base_offset: Offset, now: Now) -> Result<(), StorageError> {
        let (empty, active_base) = (self.active().size() == 0, self.active().base_offset());
        if empty && active_base == base_offset {
            return Ok(());
        }
        self.sync_root()?;
        let next = Segment::create(&self.disk, &self.dir, base_offset, now)?;
        if empty {
            // An append that leaves a gap: the empty segment would end where the next one begins.
            self.segments.replace_active(next);
            self.remove_segment_files(active_base, "")?;
        } else {
            self.active_mut().seal()?;
            if_room(self.active_mut().release_reserved())?;
            self.segments.roll(next);
        }
        self.producers.set_end_offset(base_offset);
        self.flush.rolled();
        self.write_snapshot().map(|_| ())
    }

    /// `segment.jitter.ms` spreads the rolls of many partitions. Kafka draws it at random for each segment; here it
    /// is a hash of the partition and the segment, so that a run can be repeated.
    fn jitter_ms(&self) -> i64 {
        let bound = self.config.segment_jitter_ms.min(self.config.segment_ms);
        if bound <= 0 {
            return 0;
        }
        let seed = self.active().base_offset().get().unsigned_abs() ^ 0x9e37_79b9_7f4a_7c15;
        let name = self.topic_partition.topic.bytes().chain(self.topic_partition.partition.to_be_bytes());
        let hash = name.fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        i64::try_from(hash % bound.unsigned_abs()).unwrap_or(0)
    }
}
