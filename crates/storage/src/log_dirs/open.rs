//! Opening all logs of a log dir, with several threads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ottla_model::{Now, Offset, TopicId, TopicPartition};
use parking_lot::Mutex;

use crate::config::LogConfig;
use crate::error::{At, StorageError};
use crate::log::{LogStart, PartitionLog};

use super::threads::on_threads;
use super::{DeletedPartition, LogDir, OffsetCheckpoint, partition_dir, properties};

/// A log as it was found on disk.
#[derive(Debug)]
pub struct OpenedLog {
    pub log: PartitionLog,
    /// `None` in a directory that was made before topic ids.
    pub topic_id: Option<TopicId>,
    /// The high watermark at its last checkpoint; never above the log end offset.
    pub high_watermark: Offset,
}

/// All logs of a log dir, by name.
#[derive(Debug, Default)]
pub struct OpenedLogs {
    pub logs: Vec<OpenedLog>,
    /// Those that hold what no log of ours can: they stay as they are.
    pub failed: Vec<(TopicPartition, StorageError)>,
    /// What the last process renamed to be removed, and has not.
    pub deleted: Vec<DeletedPartition>,
}

/// The checkpoints that say how to open the logs.
struct Checkpoints {
    recovery_points: BTreeMap<TopicPartition, Offset>,
    log_starts: BTreeMap<TopicPartition, Offset>,
    high_watermarks: BTreeMap<TopicPartition, Offset>,
    cleaned_to: BTreeMap<TopicPartition, Offset>,
}

impl Checkpoints {
    /// Those that are spoken of and not there: there was no room to forget them.
    fn strangers(&self, partitions: &[TopicPartition]) -> BTreeSet<TopicPartition> {
        let there: BTreeSet<&TopicPartition> = partitions.iter().collect();
        let all = [&self.recovery_points, &self.log_starts, &self.high_watermarks, &self.cleaned_to];
        let named = all.into_iter().flat_map(BTreeMap::keys);
        named.filter(|name| !there.contains(name)).cloned().collect()
    }
}

impl LogDir {
    /// Opens all partitions with `threads` threads (at least one); `config` says which settings a partition has. On
    /// return the mark of the clean shutdown is gone, so that from now on a crash counts as one. A log that is damaged
    /// concerns that log alone; a disk that fails ends it.
    pub fn open_logs(
        &self,
        threads: usize,
        config: &(dyn Fn(&TopicPartition, Option<TopicId>) -> Arc<LogConfig> + Sync),
        now: Now,
    ) -> Result<OpenedLogs, StorageError> {
        let (partitions, deleted) = self.partitions()?;
        let checkpoints = Checkpoints {
            recovery_points: self.read_checkpoint(OffsetCheckpoint::RecoveryPoint)?,
            log_starts: self.read_checkpoint(OffsetCheckpoint::LogStart)?,
            high_watermarks: self.read_checkpoint(OffsetCheckpoint::Replication)?,
            cleaned_to: self.read_checkpoint(OffsetCheckpoint::Cleaner)?,
        };
        self.unforgotten.lock().extend(checkpoints.strangers(&partitions));
        self.found.store(partitions.len(), Ordering::Relaxed);
        let next = AtomicUsize::new(0);
        let opened = Mutex::new(OpenedLogs::default());
        let work = || -> Result<(), StorageError> {
            while let Some(partition) = partitions.get(next.fetch_add(1, Ordering::Relaxed)) {
                match self.open_log(partition, &checkpoints, config, now) {
                    Ok(log) => opened.lock().logs.push(log),
                    Err(error) if !error.is_of_the_disk() => {
                        opened.lock().failed.push((partition.clone(), error));
                    }
                    Err(error) => {
                        // The others need not go on after a failure.
                        next.store(partitions.len(), Ordering::Relaxed);
                        return Err(error);
                    }
                }
                self.opened.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        on_threads(threads.min(partitions.len()), work)?;
        self.forget_clean_shutdown()?;
        let mut opened = OpenedLogs { deleted, ..opened.into_inner() };
        opened.logs.sort_by(|a, b| a.log.topic_partition().cmp(b.log.topic_partition()));
        Ok(opened)
    }

    fn open_log(
        &self,
        partition: &TopicPartition,
        checkpoints: &Checkpoints,
        config: &(dyn Fn(&TopicPartition, Option<TopicId>) -> Arc<LogConfig> + Sync),
        now: Now,
    ) -> Result<OpenedLog, StorageError> {
        let dir = partition_dir(&self.path, partition);
        let topic_id = properties::read_topic_id(&*self.disk, &dir)?;
        let offset =
            |offsets: &BTreeMap<TopicPartition, Offset>| offsets.get(partition).copied().unwrap_or_default();
        let start = LogStart {
            recovery_point: offset(&checkpoints.recovery_points),
            log_start_offset: offset(&checkpoints.log_starts),
            clean: self.clean_shutdown.is_some(),
            cleaned_to: checkpoints.cleaned_to.get(partition).copied(),
        };
        let (disk, config) = (Arc::clone(&self.disk), config(partition, topic_id));
        let log = PartitionLog::open(disk, dir, partition.clone(), config, start, now)?;
        // Thousands of idle partitions hold no descriptor.
        log.close_files();
        let high_watermark = offset(&checkpoints.high_watermarks);
        let high_watermark = high_watermark.max(log.log_start_offset()).min(log.log_end_offset());
        Ok(OpenedLog { log, topic_id, high_watermark })
    }

    fn forget_clean_shutdown(&self) -> Result<(), StorageError> {
        if self.clean_shutdown.is_none() {
            return Ok(());
        }
        let path = self.path.join(properties::CLEAN_SHUTDOWN);
        self.disk.remove_file(&path).at("remove", &path)?;
        self.disk.sync_dir(&self.path).synced(&self.path)
    }
}
