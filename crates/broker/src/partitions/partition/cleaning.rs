//! What compaction does under a replica's lock.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use ottla_model::{Now, Offset};
use ottla_storage::{CleanError, Cleanable, CleanerSettings, Cleaning, PartitionLog, StorageError};
use parking_lot::Mutex;

use super::Partition;

/// Keeps compaction away from a log that is being copied to another dir: a copy that has taken a record before its
/// tombstone must meet the tombstone.
#[derive(Debug, Default)]
pub(super) struct CleaningGate {
    is_shut: AtomicBool,
    /// Held while segments are replaced.
    swapping: Mutex<()>,
}

/// What a compacted log offers.
#[derive(Clone, Copy, Debug)]
pub(in crate::partitions) struct Dirt {
    pub cleanable: Cleanable,
    /// Whether it is to be compacted now.
    pub is_due: bool,
}

impl Partition {
    /// Gives up a cleaning under way and lets none begin, until [`Partition::resume_cleaning`]. Source: Kafka's
    /// `LogManager.abortAndPauseCleaning`.
    pub(in crate::partitions) fn pause_cleaning(&self) {
        self.cleaning.is_shut.store(true, Ordering::SeqCst);
    }

    pub(in crate::partitions) fn resume_cleaning(&self) {
        self.cleaning.is_shut.store(false, Ordering::SeqCst);
    }

    pub(in crate::partitions) fn is_cleaning_paused(&self) -> bool {
        self.cleaning.is_shut.load(Ordering::SeqCst)
    }

    /// Returns once no cleaning that was under way when it was paused can change the log any more: at most an fsync.
    pub(in crate::partitions) fn await_paused_cleaning(&self) {
        drop(self.cleaning.swapping.lock());
    }

    /// What there is to compact; `None` in a log that is not compacted, or not served.
    pub(in crate::partitions) fn dirt(&self, now: Now) -> Result<Option<Dirt>, StorageError> {
        if !self.is_compacted() {
            return Ok(None);
        }
        self.learn_sizes();
        let mut state = self.lock();
        if state.closed || state.log.is_offline() || !state.log.config().cleanup_policy.compact {
            return Ok(None);
        }
        let high_watermark = state.machine.high_watermark();
        let undecided = state.log.first_undecided_offset().unwrap_or(high_watermark);
        let cleanable = state.log.cleanable(high_watermark.min(undecided), now)?;
        let is_due = cleanable.is_due(state.log.config().min_cleanable_dirty_ratio);
        Ok(Some(Dirt { cleanable, is_due }))
    }

    pub(in crate::partitions) fn begin_cleaning(
        &self,
        cleanable: &Cleanable,
        settings: CleanerSettings,
        now: Now,
    ) -> Result<Cleaning, CleanError> {
        self.with_log(|log| Ok(log.begin_cleaning(cleanable, settings, now)?))
    }

    /// Makes the files that the next compacted segment is written to.
    pub(in crate::partitions) fn create_replacement(
        &self,
        cleaning: &mut Cleaning,
        now: Now,
    ) -> Result<(), CleanError> {
        self.with_log(|log| log.create_replacement(cleaning, now))
    }

    /// Puts a compacted segment in the place of those that it replaces. The directory is synced between two short locks,
    /// and after them.
    pub(in crate::partitions) fn swap(&self, cleaning: &mut Cleaning, now: Now) -> Result<(), CleanError> {
        let _swapping = self.cleaning.swapping.lock();
        if self.is_cleaning_paused() {
            return Err(CleanError::Aborted);
        }
        let Some(names) = self.with_log(|log| log.begin_swap(cleaning))? else { return Ok(()) };
        names.run()?;
        let Some(names) = self.with_log(|log| log.finish_swap(cleaning, now))? else { return Ok(()) };
        Ok(names.run()?)
    }

    /// Notes how far the log is compacted.
    pub(in crate::partitions) fn finish_cleaning(&self, cleaning: &Cleaning) -> Result<Offset, CleanError> {
        self.with_log(|log| log.finish_cleaning(cleaning))
    }

    /// Removes what a cleaning that ended early leaves behind; whether the log was to blame, which is no more what the
    /// cleaning took it for.
    pub(in crate::partitions) fn abandon_cleaning(&self, cleaning: &mut Cleaning) -> bool {
        let mut state = self.lock();
        if state.closed || state.log.is_void(cleaning) {
            let _ = state.log.abandon_cleaning(cleaning);
            return true;
        }
        if let Err(error) = state.log.abandon_cleaning(cleaning) {
            tracing::warn!(partition = %self.name, %error, "what a cleaning left behind stays until the next start");
        }
        false
    }

    /// The log's directory, and how far it is compacted.
    pub(in crate::partitions) fn cleaned_to(&self) -> Option<(PathBuf, Offset)> {
        let state = self.lock();
        let offset = state.log.cleaned_to().filter(|_| !state.closed)?;
        Some((state.log.dir().to_path_buf(), offset))
    }

    fn with_log<T>(
        &self,
        act: impl FnOnce(&mut PartitionLog) -> Result<T, CleanError>,
    ) -> Result<T, CleanError> {
        let mut state = self.lock();
        if state.closed || state.log.is_offline() {
            return Err(CleanError::Aborted);
        }
        let outcome = act(&mut state.log);
        if let (Err(CleanError::Storage(cause)), true) = (&outcome, state.log.is_offline()) {
            let woken = state.fail(&self.name, cause);
            drop(state);
            woken.wake();
        }
        outcome
    }
}
