//! Finding the logs of a log dir, and opening them: each when it is wanted, or all with several threads.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ottla_model::{Now, Offset, TopicId, TopicPartition};
use parking_lot::Mutex;

use crate::config::LogConfig;
use crate::error::{At, StorageError};
use crate::log::{LogStart, PartitionLog};

use super::threads::on_threads;
use super::unowned::Checkpointed;
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

/// What is in a log dir.
#[derive(Debug, Default)]
pub struct FoundLogs {
    /// By name.
    pub logs: Vec<TopicPartition>,
    /// What the last process renamed to be removed, and has not.
    pub deleted: Vec<DeletedPartition>,
    /// Directories that were set aside, and are kept until somebody removes them.
    pub strays: Vec<PathBuf>,
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

impl LogDir {
    /// Finds the logs and what the checkpoints say of them; no log is opened. On return the mark of the clean shutdown is
    /// gone, so that from now on a crash counts as one: what was closed cleanly costs it next to nothing.
    pub fn find_logs(&self) -> Result<FoundLogs, StorageError> {
        let in_dir = self.partitions()?;
        for path in &in_dir.strays {
            tracing::warn!(path = %path.display(), "a log that no topic owned was set aside: it stays until it is removed by hand");
        }
        let mut found: BTreeMap<TopicPartition, Checkpointed> =
            in_dir.logs.iter().map(|name| (name.clone(), Checkpointed::default())).collect();
        for which in OffsetCheckpoint::ALL {
            for (name, offset) in self.read_checkpoint(which)? {
                match found.get_mut(&name) {
                    Some(log) => log.set(which, offset),
                    // There was no room to forget it.
                    None => {
                        self.unforgotten.lock().insert(name);
                    }
                }
            }
        }
        self.unowned.found(found);
        self.forget_clean_shutdown()?;
        Ok(in_dir)
    }

    /// Opens a log that [`LogDir::find_logs`] has found. Until [`LogDir::owned`] the checkpoints go on saying of it what
    /// they said.
    pub fn open_found(
        &self,
        partition: &TopicPartition,
        config: &(dyn Fn(&TopicPartition, Option<TopicId>) -> Arc<LogConfig> + Sync),
        now: Now,
    ) -> Result<OpenedLog, StorageError> {
        self.check_online()?;
        let checkpointed = self.unowned.get(partition).unwrap_or_default();
        self.open_log(partition, &checkpointed, config, now).inspect_err(|_| self.unowned.failed(partition))
    }

    /// The log has an owner, who says from now on what the checkpoints hold of it.
    pub fn owned(&self, partition: &TopicPartition) {
        self.unowned.remove([partition]);
    }

    /// Bytes of the segments of a log that is not open.
    pub fn size_of(&self, partition: &TopicPartition) -> Result<u64, StorageError> {
        let dir = partition_dir(&self.path, partition);
        let mut size = 0;
        for entry in self.disk.list(&dir).at("list", &dir)? {
            if entry.name.ends_with(".log") {
                let path = dir.join(&entry.name);
                size += self.disk.file_len(&path).at("stat", &path)?.unwrap_or(0);
            }
        }
        Ok(size)
    }

    /// Finds and opens all partitions, with `threads` threads (at least one), for an owner that needs none before all are
    /// open; `config` says which settings a partition has. A log that is damaged concerns that log alone; a disk that
    /// fails ends it.
    pub fn open_logs(
        &self,
        threads: usize,
        config: &(dyn Fn(&TopicPartition, Option<TopicId>) -> Arc<LogConfig> + Sync),
        now: Now,
    ) -> Result<OpenedLogs, StorageError> {
        let FoundLogs { logs: partitions, deleted, .. } = self.find_logs()?;
        let next = AtomicUsize::new(0);
        let opened = Mutex::new(OpenedLogs::default());
        let work = || -> Result<(), StorageError> {
            while let Some(partition) = partitions.get(next.fetch_add(1, Ordering::Relaxed)) {
                match self.open_found(partition, config, now) {
                    Ok(log) => {
                        self.owned(partition);
                        opened.lock().logs.push(log);
                    }
                    Err(error) if !error.is_of_the_disk() => {
                        opened.lock().failed.push((partition.clone(), error));
                    }
                    Err(error) => {
                        // The others need not go on after a failure.
                        next.store(partitions.len(), Ordering::Relaxed);
                        return Err(error);
                    }
                }
            }
            Ok(())
        };
        on_threads(threads.min(partitions.len()), work)?;
        let mut opened = OpenedLogs { deleted, ..opened.into_inner() };
        opened.logs.sort_by(|a, b| a.log.topic_partition().cmp(b.log.topic_partition()));
        Ok(opened)
    }

    fn open_log(
        &self,
        partition: &TopicPartition,
        checkpointed: &Checkpointed,
        config: &(dyn Fn(&TopicPartition, Option<TopicId>) -> Arc<LogConfig> + Sync),
        now: Now,
    ) -> Result<OpenedLog, StorageError> {
        let dir = partition_dir(&self.path, partition);
        let topic_id = properties::read_topic_id(&*self.disk, &dir)?;
        let offset = |which| checkpointed.get(which).unwrap_or_default();
        let start = LogStart {
            recovery_point: offset(OffsetCheckpoint::RecoveryPoint),
            log_start_offset: offset(OffsetCheckpoint::LogStart),
            clean: self.clean_shutdown.is_some(),
            cleaned_to: checkpointed.get(OffsetCheckpoint::Cleaner),
        };
        let (disk, config) = (Arc::clone(&self.disk), config(partition, topic_id));
        let log = PartitionLog::open(disk, dir, partition.clone(), config, start, now)?;
        // Thousands of idle partitions hold no descriptor.
        log.close_files();
        let high_watermark = offset(OffsetCheckpoint::Replication);
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
