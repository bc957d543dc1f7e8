//! The broker's log dirs: which log is where, opened at the start and made or removed afterwards.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ottla_model::{Now, Offset, TopicId, TopicPartition};
use ottla_storage::{
    ClosingLog, DeletedPartition, LogConfig, LogDir, OffsetCheckpoint, OpenedLog, PartitionLog, StorageError,
    partition_dir,
};
use parking_lot::Mutex;
use uuid::Uuid;

use super::Partition;

/// A log and the high watermark it is known to have reached.
#[derive(Debug)]
pub(crate) struct HomedLog {
    pub log: PartitionLog,
    pub high_watermark: Offset,
}

/// The log dirs of `log.dirs`.
#[derive(Debug)]
pub(crate) struct LogHome {
    dirs: Arc<[LogDir]>,
    /// Logs that were found at the start and that nobody has asked for yet.
    found: Mutex<HashMap<TopicPartition, OpenedLog>>,
    /// `num.recovery.threads.per.data.dir`.
    thread_count: usize,
    /// Held while checkpoints are written or partitions leave them; true once the logs are closed, when what they say
    /// is final.
    checkpoints_final: Mutex<bool>,
}

impl LogHome {
    pub(crate) fn new(dirs: Vec<LogDir>, thread_count: usize) -> Self {
        Self { dirs: dirs.into(), found: Mutex::default(), thread_count, checkpoints_final: Mutex::default() }
    }

    pub(crate) fn dirs(&self) -> &[LogDir] {
        &self.dirs
    }

    /// Opens every log that is there, recovering those that were not closed cleanly.
    pub(crate) fn open_all(
        &self,
        config: &(dyn Fn(&TopicPartition, Option<TopicId>) -> Arc<LogConfig> + Sync),
        now: Now,
    ) -> Result<(), StorageError> {
        for dir in self.dirs.iter() {
            let opened = dir.open_logs(self.thread_count, config, now)?;
            let by_name = opened.into_iter().map(|opened| (opened.log.topic_partition().clone(), opened));
            self.found.lock().extend(by_name);
        }
        Ok(())
    }

    /// The partition's log: the one found at the start if it is of this topic id, else a new one. A log of another
    /// incarnation of the topic is removed first.
    pub(crate) fn open(
        &self,
        name: &TopicPartition,
        id: TopicId,
        config: Arc<LogConfig>,
        now: Now,
    ) -> Result<HomedLog, StorageError> {
        if let Some(found) = self.found.lock().remove(name) {
            if found.topic_id.is_none_or(|found| found == id) {
                return Ok(HomedLog { log: found.log, high_watermark: found.high_watermark });
            }
            drop(found);
        }
        // What stands in the new log's place is another incarnation's: found so, or a removal of it has failed.
        let is_taken = |dir: &LogDir| dir.disk().modified_ms(&partition_dir(dir.path(), name)).is_ok();
        if self.dirs.iter().any(is_taken) {
            self.remove(std::slice::from_ref(name))?;
        }
        let log = self.roomiest()?.create_partition(name, id, config, now)?;
        let high_watermark = log.log_end_offset();
        Ok(HomedLog { log, high_watermark })
    }

    /// Sets the logs found at the start that no topic owns aside: their topics were deleted while this broker was down,
    /// or the metadata is not the one they were written under.
    pub(crate) fn set_strays_aside(&self) {
        let strays: Vec<TopicPartition> = self.found.lock().drain().map(|(name, _)| name).collect();
        for name in &strays {
            tracing::warn!(partition = %name, "a log that no topic owns: its directory is renamed to -stray, and kept");
        }
        if strays.is_empty() {
            return;
        }
        let _checkpoints = self.checkpoints_final.lock();
        for dir in self.dirs.iter().filter(|dir| !dir.is_offline()) {
            if let Err(error) = dir.set_aside(&strays, Uuid::new_v4) {
                tracing::error!(%error, partitions = strays.len(), "logs could not be set aside");
            }
        }
    }

    /// Renames the partitions' directories out of the way, which is what makes them gone; the files go in the background.
    pub(crate) fn remove(&self, names: &[TopicPartition]) -> Result<(), StorageError> {
        if names.is_empty() {
            return Ok(());
        }
        let _checkpoints = self.checkpoints_final.lock();
        for (number, dir) in self.dirs.iter().enumerate() {
            let deleted = dir.delete_partitions(names, Uuid::new_v4)?;
            if deleted.is_empty() {
                continue;
            }
            let dirs = Arc::clone(&self.dirs);
            let remove = move || remove_files(&dirs[number], &deleted);
            if let Err(error) = std::thread::Builder::new().name("remove-logs".to_owned()).spawn(remove) {
                tracing::error!(%error, "the files of removed logs stay until the next start");
            }
        }
        Ok(())
    }

    /// Writes the recovery points, log starts and high watermarks of all logs.
    pub(crate) fn write_checkpoints(&self, partitions: &[Arc<Partition>]) -> Result<(), StorageError> {
        let checkpoints_final = self.checkpoints_final.lock();
        if *checkpoints_final {
            return Ok(());
        }
        for dir in self.dirs.iter().filter(|dir| !dir.is_offline()) {
            let mut recovery_points = BTreeMap::new();
            let mut log_starts = BTreeMap::new();
            let mut high_watermarks = BTreeMap::new();
            for partition in partitions {
                let state = partition.lock();
                // One that was closed since the caller listed it has left the checkpoints, or is about to.
                if state.is_closed() || state.log.dir().parent() != Some(dir.path()) {
                    continue;
                }
                recovery_points.insert(partition.name.clone(), state.log.recovery_point());
                high_watermarks.insert(partition.name.clone(), state.machine.high_watermark());
                log_starts
                    .extend(state.log.log_start_to_checkpoint().map(|start| (partition.name.clone(), start)));
            }
            dir.write_checkpoint(OffsetCheckpoint::RecoveryPoint, &recovery_points)?;
            dir.write_checkpoint(OffsetCheckpoint::LogStart, &log_starts)?;
            dir.write_checkpoint(OffsetCheckpoint::Replication, &high_watermarks)?;
        }
        Ok(())
    }

    /// Writes how far the logs in the dir of `changed` are compacted.
    pub(crate) fn write_cleaner_checkpoint(
        &self,
        changed: &Partition,
        partitions: &[Arc<Partition>],
    ) -> Result<(), StorageError> {
        let checkpoints_final = self.checkpoints_final.lock();
        let Some((path, _)) = changed.cleaned_to().filter(|_| !*checkpoints_final) else { return Ok(()) };
        let Some(dir) = self.dirs.iter().find(|dir| path.parent() == Some(dir.path())) else { return Ok(()) };
        let here = |partition: &Arc<Partition>| {
            let (path, offset) = partition.cleaned_to()?;
            (path.parent() == Some(dir.path())).then(|| (partition.name.clone(), offset))
        };
        dir.write_checkpoint(OffsetCheckpoint::Cleaner, &partitions.iter().filter_map(here).collect())
    }

    /// Closes all logs and marks the dirs as cleanly shut down; gives the first error of a dir that could not be.
    pub(crate) fn close(
        &self,
        partitions: &[Arc<Partition>],
        broker_epoch: i64,
        now: Now,
    ) -> Result<(), StorageError> {
        let mut checkpoints_final = self.checkpoints_final.lock();
        *checkpoints_final = true;
        let mut outcome = Ok(());
        let mut states: Vec<_> = partitions.iter().map(|partition| partition.lock()).collect();
        for dir in self.dirs.iter().filter(|dir| !dir.is_offline()) {
            let here = states
                .iter_mut()
                .filter(|state| !state.is_closed() && state.log.dir().parent() == Some(dir.path()));
            let closing = here.map(|state| {
                let high_watermark = state.machine.high_watermark();
                ClosingLog { log: &mut state.log, high_watermark }
            });
            outcome = outcome.and(dir.close(closing.collect(), self.thread_count, broker_epoch, now));
        }
        // Whoever still runs finds a log that takes nothing more: the mark of the clean shutdown says so.
        for state in &mut states {
            state.log.set_offline();
        }
        outcome
    }

    /// The online dir with the most room.
    fn roomiest(&self) -> Result<&LogDir, StorageError> {
        let online = self.dirs.iter().filter(|dir| !dir.is_offline());
        let roomiest = online.max_by_key(|dir| dir.space().map_or(0, |space| space.usable_bytes));
        let offline = || StorageError::Offline {
            path: self.dirs.first().map(|dir| dir.path().into()).unwrap_or_default(),
        };
        roomiest.ok_or_else(offline)
    }
}

fn remove_files(dir: &LogDir, deleted: &[DeletedPartition]) {
    for partition in deleted {
        if let Err(error) = dir.remove_deleted(partition) {
            tracing::warn!(%error, "the files of a removed log stay until the next start");
        }
    }
}
