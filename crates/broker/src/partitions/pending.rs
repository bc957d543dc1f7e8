//! Methods that the storage crate is about to have; its own take precedence once they are there.

use ottla_model::{LeaderEpoch, Now, Offset, TimestampMs};
use ottla_storage::{PartitionLog, ReadError, StorageError, TimestampOffset};

pub(super) struct FlushTask(Offset);
impl FlushTask {
    pub(super) fn run(self) -> Result<Offset, StorageError> {
        Ok(self.0)
    }
}

pub(super) trait Pending {
    fn is_flush_due(&self, _now: Now) -> bool {
        false
    }
    fn begin_epoch(&mut self, _epoch: LeaderEpoch, _start: Offset) -> Result<(), StorageError> {
        Ok(())
    }
    fn delete_records_before(&mut self, _offset: Offset) -> Result<(), StorageError> {
        Ok(())
    }
    fn apply_retention(&mut self, _now: Now, _hw: Offset) -> Result<usize, StorageError> {
        Ok(0)
    }
    fn take_flush(&mut self) -> FlushTask {
        FlushTask(self.end())
    }
    fn end(&self) -> Offset;
    fn flushed_to(&mut self, _end: Offset, _now: Now) {}
    fn offset_for_timestamp(&self, _t: TimestampMs) -> Result<Option<TimestampOffset>, ReadError> {
        Ok(None)
    }
    fn max_timestamp(&self) -> Result<Option<TimestampOffset>, ReadError> {
        Ok(None)
    }
    fn end_offset_for_epoch(&self, _epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        None
    }
    fn epoch_at(&self, _offset: Offset) -> Option<LeaderEpoch> {
        None
    }
}

impl Pending for PartitionLog {
    fn end(&self) -> Offset {
        self.log_end_offset()
    }
}
