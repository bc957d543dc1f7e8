//! Moving a log to another log dir (AlterReplicaLogDirs, KIP-113): a future log is filled beside the current one, then
//! takes its place.
//!
//! ```text
//!   from/t-0                          from/t-0                          from/t-0.<uuid>-delete
//!   to/t-0.<uuid>-future   copied ->  to/t-0   (durable, complete)  ->  to/t-0
//! ```
//!
//! After a crash in between both dirs hold the partition, and both copies are complete: the one that goes further is it.
//! A future log that a crash left behind is dropped; the move begins anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_model::{Now, Offset, TopicId, TopicPartition};
use uuid::Uuid;

use crate::append::AppendError;
use crate::error::{At, StorageError};
use crate::log::{LogStart, PartitionLog};
use crate::read::ReadError;

use super::names::{self, DirName};
use super::{DeletedPartition, LogDir, partition_dir};

/// A future log's directory that was found at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FuturePartition {
    pub topic_partition: TopicPartition,
    pub path: PathBuf,
}

/// What one step of the copy did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyStep {
    Copied {
        bytes: u64,
    },
    /// The future log ends where the current one does.
    CaughtUp,
}

/// Why a copy cannot go on: which of the two dirs is to blame.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MoveError {
    #[error("the current log: {0}")]
    From(StorageError),
    #[error("the future log: {0}")]
    To(StorageError),
    /// What was read is refused by the future log.
    #[error("the copy was refused: {0}")]
    Refused(AppendError),
}

/// A log that has taken its predecessor's place.
#[derive(Debug)]
pub struct Moved {
    /// The predecessor's directory; an error of its dir does not undo the move.
    pub old: Result<DeletedPartition, StorageError>,
}

impl LogDir {
    /// The future logs that a crash or a stop left.
    pub fn futures(&self) -> Result<Vec<FuturePartition>, StorageError> {
        let entries = self.disk.list(&self.path).at("list", &self.path)?.into_iter();
        let futures = entries.filter_map(|entry| match names::parse(&entry.name) {
            DirName::Future(topic_partition) if entry.is_dir => {
                Some(FuturePartition { topic_partition, path: self.path.join(&entry.name) })
            }
            _ => None,
        });
        Ok(futures.collect())
    }

    /// Makes an empty future log for `current`, at the batch that its log starts in. From now on until the move is over
    /// `current` is not compacted: a copy that has a record must get the tombstone behind it, too.
    pub fn create_future(
        &self,
        current: &PartitionLog,
        topic_id: TopicId,
        unique: Uuid,
        now: Now,
    ) -> Result<PartitionLog, MoveError> {
        let start = current.first_batch_offset().map_err(MoveError::From)?;
        let dir = self.path.join(future_dir_name(current.topic_partition(), unique));
        let start =
            LogStart { log_start_offset: start, recovery_point: start, clean: true, cleaned_to: None };
        let config = Arc::clone(current.config());
        // What this dir's checkpoints still say of the partition is of a log that was here before.
        let created = self
            .check_online()
            .and_then(|()| self.forget_the_unforgotten(current.topic_partition()))
            .and_then(|()| self.create_log(&dir, current.topic_partition(), topic_id, config, start, now));
        created.map_err(MoveError::To)
    }

    /// Renames a directory of the partition in this dir to `-delete`, durably: a future log that is given up, or the old
    /// one after a move. Its files are removed by [`LogDir::remove_deleted`].
    pub fn discard(
        &self,
        dir: &Path,
        topic_partition: &TopicPartition,
        unique: Uuid,
    ) -> Result<DeletedPartition, StorageError> {
        let path = self.path.join(names::renamed(topic_partition, unique, names::DELETE_SUFFIX));
        self.disk.rename(dir, &path).at("rename", dir)?;
        self.disk.sync_dir(&self.path).synced(&self.path)?;
        Ok(DeletedPartition { path })
    }

    /// Puts `future`, which lies in this dir and ends where `current` does, in the place of `current`, which lies in
    /// `from`. The owner holds the partition's lock: nothing is appended meanwhile, and what the future log holds is
    /// durable afterwards. An error leaves `current` as it was. The checkpoints of `from` are the caller's to mend
    /// ([`LogDir::forget_moved`]), who lets nobody write those of this dir meanwhile.
    pub fn replace_by_future(
        &self,
        from: &LogDir,
        current: &mut PartitionLog,
        mut future: PartitionLog,
        mut unique: impl FnMut() -> Uuid,
        now: Now,
    ) -> Result<Moved, StorageError> {
        self.check_online()?;
        let topic_partition = current.topic_partition().clone();
        future.set_config(Arc::clone(current.config()));
        future.continue_from(current);
        future.close(true, now)?;
        let start = LogStart {
            recovery_point: future.log_end_offset(),
            log_start_offset: future.log_start_offset(),
            clean: true,
            cleaned_to: current.cleaned_to(),
        };
        self.expect_log_start(&topic_partition, future.log_start_to_checkpoint())?;
        let (filling, taken) = (future.dir().to_path_buf(), partition_dir(&self.path, &topic_partition));
        drop(future);
        self.disk.rename(&filling, &taken).at("rename", &filling)?;
        let opened = self.disk.sync_dir(&self.path).synced(&self.path).and_then(|()| {
            let (disk, config) = (Arc::clone(&self.disk), Arc::clone(current.config()));
            PartitionLog::open(disk, taken.clone(), topic_partition.clone(), config, start, now)
        });
        let opened = match opened {
            Ok(mut opened) => {
                // Opening drops an epoch of which there is no record yet.
                opened.continue_from(current);
                opened
            }
            Err(error) => {
                // Two complete copies are no harm, but this one would be out of date soon.
                let _ = self.discard(&taken, &topic_partition, unique());
                return Err(error);
            }
        };
        let mut old = std::mem::replace(current, opened);
        // A flush under way must not write into the directory by its name any more.
        old.retire();
        Ok(Moved { old: from.discard(old.dir(), &topic_partition, unique()) })
    }

    /// Takes a partition that was moved away out of the checkpoints.
    pub fn forget_moved(&self, topic_partition: &TopicPartition) -> Result<(), StorageError> {
        self.forget_checkpoints(std::slice::from_ref(topic_partition))
    }
}

/// `<topic>-<partition>.<uuid without dashes>-future`. Kafka refuses to move a partition whose name does not fit.
#[must_use]
pub fn future_dir_name(topic_partition: &TopicPartition, unique: Uuid) -> String {
    format!(
        "{}-{}.{}{}",
        topic_partition.topic,
        topic_partition.partition,
        unique.simple(),
        names::FUTURE_SUFFIX
    )
}

/// Copies at most about `max_bytes` of what `current` has and `future` lacks. `read` reads from an offset of the current
/// log, under its lock; the rest works without it.
pub fn copy_step(
    future: &mut PartitionLog,
    read: impl FnOnce(Offset) -> Result<CopyRead, StorageError>,
    now: Now,
) -> Result<CopyStep, MoveError> {
    let bytes = match read(future.log_end_offset()) {
        Ok(CopyRead::Batches(slice)) => slice.to_vec().map_err(|error| {
            MoveError::From(StorageError::io("read", Path::new("the current log"), error))
        })?,
        Ok(CopyRead::End) => return Ok(CopyStep::CaughtUp),
        Ok(CopyRead::Restart(offset)) => {
            future.truncate_fully(offset, now).map_err(MoveError::To)?;
            return Ok(CopyStep::Copied { bytes: 0 });
        }
        Err(error) => return Err(MoveError::From(error)),
    };
    match future.append_as_follower(&bytes, now) {
        Ok(info) => Ok(CopyStep::Copied { bytes: u64::from(info.bytes) }),
        Err(AppendError::Storage(error)) => Err(MoveError::To(error)),
        Err(refused) => Err(MoveError::Refused(refused)),
    }
}

/// What [`copy_step`] read.
#[derive(Debug)]
pub enum CopyRead {
    Batches(crate::FileSlice),
    End,
    /// Retention or DeleteRecords went past what was copied: the copy begins anew at this batch.
    Restart(Offset),
}

impl PartitionLog {
    /// For [`copy_step`]: whole batches from `from` on, up to the log's end.
    pub fn read_to_copy(&self, from: Offset, max_bytes: u32) -> Result<CopyRead, StorageError> {
        let at = if from < self.log_start_offset() {
            // The copy may stand at the batch that the log starts in.
            let first = self.first_batch_offset()?;
            if from != first {
                return Ok(CopyRead::Restart(first));
            }
            self.log_start_offset()
        } else {
            from
        };
        match self.read(at, max_bytes, self.log_end_offset(), true) {
            Ok(read) => Ok(read.slice.map_or(CopyRead::End, CopyRead::Batches)),
            Err(ReadError::OffsetOutOfRange { .. }) => Ok(CopyRead::Restart(self.first_batch_offset()?)),
            Err(ReadError::Storage(error)) => Err(error),
        }
    }
}
