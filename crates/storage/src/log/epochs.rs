//! Whether the leader epochs that a checkpoint names are those of the log. Kafka believes the file; a batch's header says
//! the same.

use ottla_model::{LeaderEpoch, Offset};

use crate::error::StorageError;
use crate::leader_epochs::EpochStart;

use super::PartitionLog;

impl PartitionLog {
    /// Makes the epochs anew from the batches if the two do not agree where an epoch begins, or at the log's end.
    pub(super) fn check_epochs(&mut self) -> Result<(), StorageError> {
        if self.log_start_offset == self.log_end_offset || self.epochs_fit()? {
            return Ok(());
        }
        let dir = self.dir.display();
        tracing::warn!(%dir, "the leader epochs do not fit to the log: they are made anew");
        let mut starts = Vec::new();
        for segment in self.segments.starting_at(0) {
            let mut walk = segment?.walk(0)?;
            loop {
                let batch = match walk.next() {
                    Err(error) if error.is_of_the_disk() => return Err(error),
                    // What lies behind damage has no say.
                    Ok(None) | Err(_) => break,
                    Ok(Some(batch)) => batch,
                };
                let header = &batch.header;
                if header.next_offset() > self.log_start_offset {
                    let start_offset = header.base_offset.max(self.log_start_offset);
                    starts.push(EpochStart { epoch: header.partition_leader_epoch, start_offset });
                    starts.dedup_by_key(|start| start.epoch);
                }
            }
        }
        self.epochs.clear();
        for EpochStart { epoch, start_offset } in starts {
            self.epochs.assign(epoch, start_offset);
        }
        Ok(())
    }

    fn epochs_fit(&self) -> Result<bool, StorageError> {
        let latest = self.epochs.latest().map_or(LeaderEpoch::NONE, |entry| entry.epoch);
        if self.epoch_at(self.log_end_offset.plus(-1))?.is_some_and(|epoch| epoch > latest) {
            return Ok(false);
        }
        let first = self.epochs.entries().first().map(|entry| entry.start_offset);
        if first.is_some_and(|first| first > self.log_start_offset)
            && self.epoch_at(self.log_start_offset)?.is_some_and(|epoch| epoch >= LeaderEpoch(0))
        {
            return Ok(false);
        }
        for entry in self.epochs.entries() {
            if !self.begins(entry)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether what is at the entry's start is of its epoch, and what is before it of an earlier one. Of a compacted log
    /// an epoch's records may all be gone.
    fn begins(&self, entry: &EpochStart) -> Result<bool, StorageError> {
        let at = self.epoch_at(entry.start_offset)?;
        let is_gone = |epoch: LeaderEpoch| self.config.cleanup_policy.compact && epoch > entry.epoch;
        if at.is_some_and(|epoch| epoch != entry.epoch && !is_gone(epoch)) {
            return Ok(false);
        }
        if entry.start_offset <= self.log_start_offset {
            return Ok(true);
        }
        let before = self.epoch_at(entry.start_offset.plus(-1))?;
        Ok(before.is_none_or(|epoch| epoch < entry.epoch || at.is_some_and(|at| at > entry.epoch)))
    }

    /// Of the batch that holds the offset, or of the next one of its segment.
    fn epoch_at(&self, offset: Offset) -> Result<Option<LeaderEpoch>, StorageError> {
        let Some(number) = self.segments.count_while(|base| base <= offset).checked_sub(1) else {
            return Ok(None);
        };
        let Some(segment) = self.segments.get(number)? else { return Ok(None) };
        match segment.locate(offset) {
            Err(error) if error.is_of_the_disk() => Err(error),
            // A segment that is damaged there says nothing.
            found => Ok(found.ok().flatten().map(|batch| batch.header.partition_leader_epoch)),
        }
    }
}
