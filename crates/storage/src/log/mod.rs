//! One partition's log.

mod append;
mod read;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_model::{Now, Offset, TopicPartition};
use parking_lot::Mutex;

use crate::config::LogConfig;
use crate::disk::Disk;
use crate::error::{At, StorageError};
use crate::segment::Segment;

use read::PositionCache;

/// What a log dir knows about a partition before its files are opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStart {
    /// Everything below is known to be on disk (`recovery-point-offset-checkpoint`).
    pub recovery_point: Offset,
    /// Records below are deleted (`log-start-offset-checkpoint`).
    pub log_start_offset: Offset,
    /// The log dir was closed cleanly: nothing needs to be checked.
    pub clean: bool,
}

/// The log of one partition: one owner appends, reads hand out slices of its files. Nothing here waits, except for
/// the disk.
pub struct PartitionLog {
    disk: Arc<dyn Disk>,
    dir: Arc<Path>,
    topic_partition: TopicPartition,
    config: Arc<LogConfig>,
    /// By base offset; never empty; the last one takes the appends.
    segments: Vec<Segment>,
    log_start_offset: Offset,
    log_end_offset: Offset,
    offline: bool,
    positions: Mutex<PositionCache>,
}

impl fmt::Debug for PartitionLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionLog")
            .field("dir", &self.dir)
            .field("log_start_offset", &self.log_start_offset)
            .field("log_end_offset", &self.log_end_offset)
            .field("segments", &self.segments.len())
            .finish_non_exhaustive()
    }
}

impl PartitionLog {
    /// Opens the log in `dir`, which is made if it does not exist.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        topic_partition: TopicPartition,
        config: Arc<LogConfig>,
        start: LogStart,
        _now: Now,
    ) -> Result<Self, StorageError> {
        disk.create_dir(&dir).at("mkdir", &dir)?;
        let dir: Arc<Path> = dir.into();
        let mut segments = Vec::new();
        for entry in disk.list(&dir).at("list", &dir)? {
            if let Some(base_offset) = entry.name.strip_suffix(".log").and_then(|name| name.parse().ok()) {
                segments.push(Segment::open(&disk, &dir, Offset(base_offset))?);
            }
        }
        if segments.is_empty() {
            segments.push(Segment::create(&disk, &dir, start.log_start_offset)?);
        }
        let mut log = Self {
            disk,
            dir,
            topic_partition,
            config,
            log_start_offset: start.log_start_offset.max(segments[0].base_offset()),
            log_end_offset: Offset::ZERO,
            segments,
            offline: false,
            positions: Mutex::default(),
        };
        log.log_end_offset = log.find_log_end()?;
        Ok(log)
    }

    fn find_log_end(&self) -> Result<Offset, StorageError> {
        let active = self.active();
        let mut walk = active.walk(active.index.last()?.map_or(0, |entry| entry.position))?;
        let mut end = active.base_offset();
        while let Some(batch) = walk.next()? {
            end = batch.header.next_offset();
        }
        Ok(end)
    }

    #[must_use]
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    #[must_use]
    pub fn config(&self) -> &Arc<LogConfig> {
        &self.config
    }

    /// Takes effect with the next append, roll or retention.
    pub fn set_config(&mut self, config: Arc<LogConfig>) {
        self.config = config;
    }

    /// The first offset that can be read.
    #[must_use]
    pub fn log_start_offset(&self) -> Offset {
        self.log_start_offset
    }

    /// The offset of the next record.
    #[must_use]
    pub fn log_end_offset(&self) -> Offset {
        self.log_end_offset
    }

    /// Bytes of all segments' records.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.size())).sum()
    }

    fn active(&self) -> &Segment {
        &self.segments[self.segments.len() - 1]
    }

    fn check_online(&self) -> Result<(), StorageError> {
        if self.offline { Err(StorageError::Offline { path: self.dir.to_path_buf() }) } else { Ok(()) }
    }
}
