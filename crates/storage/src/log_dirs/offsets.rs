//! The offset checkpoints of a log dir: one offset for each partition. Layout: `docs/formats/checkpoints.md`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ottla_model::{Offset, TopicPartition};

use crate::atomic_file;
use crate::checkpoint;
use crate::disk::Disk;
use crate::error::StorageError;

/// Which of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetCheckpoint {
    /// Everything below is on disk.
    RecoveryPoint,
    /// High watermarks.
    Replication,
    /// Log start offsets that lie above the first segment's base offset.
    LogStart,
    /// How far compaction came.
    Cleaner,
}

impl OffsetCheckpoint {
    pub(super) const ALL: [Self; 4] = [Self::RecoveryPoint, Self::Replication, Self::LogStart, Self::Cleaner];

    /// In [`OffsetCheckpoint::ALL`].
    pub(super) fn place(self) -> usize {
        match self {
            Self::RecoveryPoint => 0,
            Self::Replication => 1,
            Self::LogStart => 2,
            Self::Cleaner => 3,
        }
    }

    fn file_name(self) -> &'static str {
        match self {
            Self::RecoveryPoint => "recovery-point-offset-checkpoint",
            Self::Replication => "replication-offset-checkpoint",
            Self::LogStart => "log-start-offset-checkpoint",
            Self::Cleaner => "cleaner-offset-checkpoint",
        }
    }

    /// No entries if the file does not exist or is empty.
    pub fn read(
        self,
        disk: &dyn Disk,
        log_dir: &Path,
    ) -> Result<BTreeMap<TopicPartition, Offset>, StorageError> {
        let path = log_dir.join(self.file_name());
        let bytes = atomic_file::read_if_exists(disk, &path)?.unwrap_or_default();
        if bytes.is_empty() {
            return Ok(BTreeMap::new());
        }
        checkpoint::decode(&path, &bytes, entry).map(|entries| entries.into_iter().collect())
    }

    /// Replaces the file durably.
    pub fn write(
        self,
        disk: &dyn Disk,
        log_dir: &Path,
        offsets: &BTreeMap<TopicPartition, Offset>,
    ) -> Result<(), StorageError> {
        let lines = offsets.iter().map(|(tp, offset)| format!("{} {} {offset}", tp.topic, tp.partition));
        atomic_file::replace(disk, log_dir, self.file_name(), &checkpoint::encode(lines))
    }
}

fn entry(line: &str) -> Option<(TopicPartition, Offset)> {
    let mut words = line.split_whitespace();
    let (topic, partition, offset) =
        (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((TopicPartition { topic: Arc::from(topic), partition }, Offset(offset)))
}
