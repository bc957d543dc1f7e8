//! Checkpoints while running, and the clean shutdown.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use ottla_model::{Now, Offset, TopicPartition};
use parking_lot::Mutex;

use crate::error::{At, StorageError};
use crate::log::PartitionLog;

use super::threads::on_threads;
use super::{LogDir, OffsetCheckpoint, properties};

/// With more logs than this a clean shutdown syncs the file system once instead of each file.
const SYNC_EACH_MAX: usize = 16;

/// A log that is to be closed, and the high watermark it had.
#[derive(Debug)]
pub struct ClosingLog<'a> {
    pub log: &'a mut PartitionLog,
    pub high_watermark: Offset,
}

impl LogDir {
    /// What a checkpoint must go on saying of the logs that have no owner yet. To be asked before the owned ones are
    /// listed, so that no log falls between the two.
    #[must_use]
    pub fn unowned_offsets(&self, which: OffsetCheckpoint) -> BTreeMap<TopicPartition, Offset> {
        self.unowned.offsets(which)
    }

    /// Replaces one of the checkpoint files, durably.
    pub fn write_checkpoint(
        &self,
        which: OffsetCheckpoint,
        offsets: &BTreeMap<TopicPartition, Offset>,
    ) -> Result<(), StorageError> {
        self.check_online()?;
        which.write(&*self.disk, &self.path, offsets)
    }

    /// Closes the log dir cleanly: writes what the logs still hold in memory with `threads` threads, makes it durable
    /// (one sync of the whole file system if there are many logs), writes the checkpoints, and then the mark that
    /// spares the next start the recovery. A log that is offline prevents the mark, and so does a lack of room: what there
    /// is room for is written nevertheless. Logs that were found and have no owner stay as they were; after a crash
    /// they prevent the mark.
    pub fn close(
        &self,
        logs: Vec<ClosingLog<'_>>,
        threads: usize,
        broker_epoch: i64,
        now: Now,
    ) -> Result<(), StorageError> {
        self.check_online()?;
        let sync_each = logs.len() <= SYNC_EACH_MAX;
        let offsets =
            logs.iter().map(|closing| (closing.log.topic_partition().clone(), closing.high_watermark));
        let mut high_watermarks = self.unowned_offsets(OffsetCheckpoint::Replication);
        high_watermarks.extend(offsets);
        let logs: Vec<Mutex<ClosingLog<'_>>> = logs.into_iter().map(Mutex::new).collect();
        let closed = if_room_last(close_each(&logs, threads, sync_each, now))?;
        if !sync_each {
            self.disk.sync_fs(&self.path).synced(&self.path)?;
        }
        let mut recovery_points = self.unowned_offsets(OffsetCheckpoint::RecoveryPoint);
        let mut log_starts = self.unowned_offsets(OffsetCheckpoint::LogStart);
        for closing in &logs {
            let log = &closing.lock().log;
            recovery_points.insert(log.topic_partition().clone(), log.recovery_point());
            if let Some(log_start_offset) = log.log_start_to_checkpoint() {
                log_starts.insert(log.topic_partition().clone(), log_start_offset);
            }
        }
        let mut lacking = closed;
        for (which, offsets) in [
            (OffsetCheckpoint::LogStart, &log_starts),
            (OffsetCheckpoint::Replication, &high_watermarks),
            (OffsetCheckpoint::RecoveryPoint, &recovery_points),
        ] {
            lacking = lacking.or(if_room_last(self.write_checkpoint(which, offsets))?);
        }
        match lacking {
            Some(error) => Err(error),
            None if self.clean_shutdown.is_none() && self.unowned.has_unopened() => {
                tracing::info!(dir = %self.path.display(), "closed before all logs were recovered");
                Ok(())
            }
            None => properties::write_clean_shutdown(&*self.disk, &self.path, broker_epoch),
        }
    }
}

/// A lack of room, which does not keep the rest from being done.
fn if_room_last(outcome: Result<(), StorageError>) -> Result<Option<StorageError>, StorageError> {
    match outcome {
        Err(error) if error.is_for_lack_of_room() => Ok(Some(error)),
        outcome => outcome.map(|()| None),
    }
}

fn close_each(
    logs: &[Mutex<ClosingLog<'_>>],
    threads: usize,
    sync_each: bool,
    now: Now,
) -> Result<(), StorageError> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), StorageError> {
        let mut outcome = Ok(());
        while let Some(closing) = logs.get(next.fetch_add(1, Ordering::Relaxed)) {
            outcome = worse(outcome, closing.lock().log.close(sync_each, now));
        }
        outcome
    };
    on_threads(threads.min(logs.len()), work)
}

/// A failure of the disk before a lack of room.
pub(super) fn worse(
    one: Result<(), StorageError>,
    other: Result<(), StorageError>,
) -> Result<(), StorageError> {
    match &one {
        Err(error) if error.is_for_lack_of_room() && other.is_err() => other,
        _ => one.and(other),
    }
}
