//! Deleting whole segments: below the log start offset, too old, or too many bytes.

use ottla_model::{MonoMs, Now, Offset};

use crate::error::{At, StorageError, if_room};
use crate::segment::{DELETED, SUFFIXES};

use super::PartitionLog;
use super::open::remove_if_exists;

/// Files of a segment that were renamed and are removed when `file.delete.delay.ms` has passed.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeletedFiles {
    pub(super) base_offset: Offset,
    pub(super) at: MonoMs,
}

/// What a retention run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionRun {
    pub segments_deleted: usize,
    pub bytes_deleted: u64,
}

impl PartitionLog {
    /// Deletes segments that lie wholly below the log start offset, and, under `cleanup.policy=delete`, those beyond
    /// `retention.bytes` and `retention.ms`; never one that reaches the high watermark. Their files are renamed to
    /// `.deleted` at once.
    pub fn apply_retention(
        &mut self,
        now: Now,
        high_watermark: Offset,
    ) -> Result<RetentionRun, StorageError> {
        self.guarded(|log| {
            log.remake_doubted_indexes()?;
            let mut doomed = log.below_start();
            if log.config.cleanup_policy.delete {
                doomed = doomed.max(log.beyond_bytes(doomed, high_watermark)?);
                doomed = doomed.max(log.beyond_ms(doomed, now, high_watermark)?);
            }
            log.delete_first(doomed, now)
        })
    }

    fn remake_doubted_indexes(&mut self) -> Result<(), StorageError> {
        let interval = self.config.index_interval_bytes;
        for segment in self.segments.opened_mut().filter(|segment| segment.is_doubted()) {
            // A flush that is under way must not write old entries into the new index.
            self.flush.truncated();
            segment.reindex(interval)?;
        }
        Ok(())
    }

    fn below_start(&self) -> usize {
        let start = self.log_start_offset;
        self.segments.number_for(start)
    }

    /// The offset after segment `number`.
    fn end_of(&self, number: usize) -> Offset {
        self.segments.base(number + 1).unwrap_or(self.log_end_offset)
    }

    /// An empty active segment is never deleted, and nothing at or beyond the high watermark is.
    fn may_delete(&self, number: usize, high_watermark: Offset) -> bool {
        let is_empty_active = number == self.segments.last() && self.active().size() == 0;
        !is_empty_active && self.end_of(number) <= high_watermark
    }

    fn beyond_bytes(&self, from: usize, high_watermark: Offset) -> Result<usize, StorageError> {
        let Ok(retained) = u64::try_from(self.config.retention_bytes) else { return Ok(from) };
        let left = self.segments.sizes(from..self.segments.len())?;
        let mut surplus = left.saturating_sub(retained);
        let mut doomed = from;
        for number in from..self.segments.len() {
            let size = self.segments.size(number)?;
            if left < retained || size > surplus || !self.may_delete(number, high_watermark) {
                break;
            }
            surplus -= size;
            doomed = number + 1;
        }
        Ok(doomed)
    }

    fn beyond_ms(&mut self, from: usize, now: Now, high_watermark: Offset) -> Result<usize, StorageError> {
        let retained = self.config.retention_ms;
        let mut doomed = from;
        for number in from..self.segments.len() {
            if retained < 0 || !self.may_delete(number, high_watermark) {
                break;
            }
            let Some(segment) = self.segments.get_mut(number)? else { break };
            let newest = segment.retention_timestamp()?;
            if now.wall.get().saturating_sub(newest.get()) <= retained {
                break;
            }
            doomed = number + 1;
        }
        Ok(doomed)
    }

    fn delete_first(&mut self, count: usize, now: Now) -> Result<RetentionRun, StorageError> {
        let mut run = RetentionRun::default();
        if count == 0 {
            return Ok(run);
        }
        let mut count = count;
        // The log keeps an active segment, at the offset where it goes on; without room for it, the one that it has.
        if count == self.segments.len() && !if_room(self.roll_at(self.log_end_offset, now))? {
            count -= 1;
        }
        self.cancel_swap()?;
        let sync = |log: &Self| log.disk.sync_dir(&log.dir).synced(&log.dir);
        // What stays must be there whatever a power cut leaves of the following, or the log would begin anew at 0.
        sync(self)?;
        run.bytes_deleted = self.segments.sizes(0..count)?;
        for (number, base_offset) in self.segments.take_first(count).into_iter().rev().enumerate() {
            self.mark_deleted(base_offset)?;
            run.segments_deleted += 1;
            self.deleted.push(DeletedFiles { base_offset, at: now.mono });
            if number == 0 && count > 1 {
                // From now on it says that those in front of it go, too: any of their names may outlive a power cut.
                sync(self)?;
            }
        }
        sync(self)?;
        let start = self.segments.first_base();
        self.increment_log_start_offset(start);
        self.producers.delete_snapshots(&*self.disk, &self.dir, |offset| offset < start)?;
        self.recovery_point = self.recovery_point.max(start);
        self.positions.lock().clear();
        Ok(run)
    }

    /// Renames the segment's files, for them to be removed later; at once, if there is no room for a longer name.
    pub(super) fn mark_deleted(&self, base_offset: Offset) -> Result<(), StorageError> {
        for suffix in SUFFIXES {
            let from = self.dir.join(format!("{:020}{suffix}", base_offset.get()));
            let to = self.dir.join(format!("{:020}{suffix}{DELETED}", base_offset.get()));
            match self.disk.rename(&from, &to).at("rename", &from) {
                Err(StorageError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) if error.is_for_lack_of_room() => remove_if_exists(&*self.disk, &from)?,
                renamed => renamed?,
            }
        }
        Ok(())
    }

    /// Goes on with a [`Self::delete_first`] that a power cut has interrupted: a segment in front of a deleted one must
    /// not stay, or the log would have a hole. `deleted` are base offsets of segments whose files were renamed. Compaction
    /// renames, too, what its segment replaces: that one reaches beyond, or (a Kafka's) leaves a gap below `gaps_below`.
    pub(super) fn finish_deletion(
        &mut self,
        deleted: &[Offset],
        gaps_below: Offset,
    ) -> Result<(), StorageError> {
        for newest in deleted {
            let count = self.segments.count_while(|base| base < *newest);
            // One of the same base has been put in its place, by compaction.
            let is_compacted = self.config.cleanup_policy.compact;
            let is_gap = |next: Offset| next > *newest && (next > gaps_below || !is_compacted);
            if count == 0 || !self.segments.base(count).is_some_and(is_gap) {
                continue;
            }
            let Some(last) = self.segments.get_mut(count - 1)? else { continue };
            match last.load_tail(self.config.index_interval_bytes) {
                Ok(end) if end <= *newest => {}
                Err(error) if error.is_of_the_disk() => return Err(error),
                // Where it is torn the log will end: what was flushed behind it would have made it whole.
                Ok(_) | Err(_) => continue,
            }
            for base_offset in self.segments.take_first(count) {
                self.remove_segment_files(base_offset, "")?;
            }
            self.disk.sync_dir(&self.dir).synced(&self.dir)?;
        }
        Ok(())
    }

    fn files_due(&self) -> Option<MonoMs> {
        self.deleted.iter().map(|files| files.at.plus_ms(self.config.file_delete_delay_ms)).min()
    }

    /// Whether [`PartitionLog::remove_deleted_files`] has something to do.
    #[must_use]
    pub fn has_deleted_files_due(&self, now: Now) -> bool {
        !self.offline && self.files_due().is_some_and(|due| due <= now.mono)
    }

    /// Removes the `.deleted` files whose `file.delete.delay.ms` has passed.
    pub fn remove_deleted_files(&mut self, now: Now) -> Result<(), StorageError> {
        let delay_ms = self.config.file_delete_delay_ms;
        self.guarded(|log| {
            let (due, later) = log.deleted.iter().partition(|files| files.at.plus_ms(delay_ms) <= now.mono);
            log.deleted = later;
            let due: Vec<DeletedFiles> = due;
            for files in due {
                log.remove_segment_files(files.base_offset, DELETED)?;
            }
            Ok(())
        })
    }
}
