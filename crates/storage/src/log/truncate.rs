//! Cutting a log at its end (a follower that diverged) and at its start (DeleteRecords, purging).

use ottla_model::{Now, Offset};
use ottla_planted::planted;

use crate::error::StorageError;

use super::PartitionLog;

impl PartitionLog {
    /// Removes every batch that has records at or beyond `offset`. Answers whether there was something to remove.
    /// The log then ends at `offset`, or earlier if `offset` lay inside a batch.
    pub fn truncate_to(&mut self, offset: Offset, now: Now) -> Result<bool, StorageError> {
        self.check_online()?;
        if offset >= self.log_end_offset {
            // An epoch may have been assigned of which no record was ever written.
            self.epochs.truncate_from_end(self.log_end_offset);
            return Ok(false);
        }
        if offset < self.segments.first_base() {
            self.truncate_fully(offset, now)?;
            return Ok(true);
        }
        self.guarded_to_the_end(|log| log.cut_end(offset, now))?;
        Ok(true)
    }

    fn cut_end(&mut self, offset: Offset, now: Now) -> Result<(), StorageError> {
        self.cancel_swap()?;
        self.flush.truncated();
        self.positions.lock().clear();
        let kept = self.segments.count_while(|base| base <= offset);
        self.remove_segments_from(kept)?;
        let interval = self.config.index_interval_bytes;
        self.log_end_offset = self.active_mut().truncate_to(offset, interval)?;
        self.log_start_offset = self.log_start_offset.min(self.log_end_offset);
        self.recovery_point = self.recovery_point.min(self.log_end_offset);
        self.cleaned_to = self.cleaned_to.map(|offset| offset.min(self.log_end_offset));
        self.epochs.truncate_from_end(self.log_end_offset);
        if planted!("producers_survive_truncation") {
            return Ok(());
        }
        self.load_producers(now)
    }

    /// Removes all records; the log goes on at `offset`.
    pub fn truncate_fully(&mut self, offset: Offset, now: Now) -> Result<(), StorageError> {
        self.guarded_to_the_end(|log| {
            log.cancel_swap()?;
            log.flush.truncated();
            log.restart_at(offset, now)?;
            log.epochs.clear();
            log.cleaned_to = None;
            log.log_start_offset = offset;
            log.log_end_offset = offset;
            log.recovery_point = offset;
            log.load_producers(now)
        })
    }

    /// Raises the log start offset; records below can no longer be read, and whole segments below go with the next
    /// [`PartitionLog::apply_retention`]. The caller keeps `offset` at or below the high watermark. Answers whether
    /// it moved.
    pub fn increment_log_start_offset(&mut self, offset: Offset) -> bool {
        let offset = offset.min(self.log_end_offset);
        if offset <= self.log_start_offset {
            return false;
        }
        self.log_start_offset = offset;
        self.epochs.truncate_from_start(offset);
        true
    }
}
