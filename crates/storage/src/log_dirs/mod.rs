//! A broker's log dirs: who they belong to, which partitions they hold, and how they are opened and closed.

mod close;
mod future;
mod names;
mod offsets;
mod open;
mod properties;
mod threads;
mod unowned;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ottla_model::{Now, Offset, TopicId, TopicPartition};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::config::LogConfig;
use crate::disk::{Disk, DiskLock, DiskSpace};
use crate::error::{At, StorageError, if_room};
use crate::log::{LogStart, PartitionLog};

pub use close::ClosingLog;
pub use future::{CopyRead, CopyStep, FuturePartition, MoveError, Moved, copy_step, future_dir_name};
pub use names::partition_dir;
pub use offsets::OffsetCheckpoint;
pub use open::{FoundLogs, OpenedLog, OpenedLogs};
pub use properties::MetaProperties;

use names::DirName;
use unowned::Unowned;

/// One directory of `log.dirs`, locked against other processes for as long as this lives.
#[derive(Debug)]
pub struct LogDir {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    directory_id: Uuid,
    /// How the last process left it: `None` after a crash, else the broker epoch it had.
    clean_shutdown: Option<i64>,
    offline: AtomicBool,
    /// Partitions that are gone, of which the checkpoints may still speak.
    unforgotten: Mutex<BTreeSet<TopicPartition>>,
    unowned: Unowned,
    _lock: Box<dyn DiskLock>,
}

/// A partition's directory that was renamed and waits for its files to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedPartition {
    pub path: PathBuf,
}

impl LogDir {
    /// Opens and locks a log dir, made and formatted if it is new. `identity` is what this node is; its directory id
    /// is used if the dir has none.
    pub fn open(disk: Arc<dyn Disk>, path: PathBuf, identity: &MetaProperties) -> Result<Self, StorageError> {
        make_durably(&*disk, &path)?;
        let lock = path.join(".lock");
        let lock = disk.lock(&lock).at("lock", &lock)?;
        let lock = lock.ok_or_else(|| StorageError::Locked { path: path.clone() })?;
        let mut found = MetaProperties::read(&*disk, &path)?;
        if found.is_none() {
            check_is_new(&*disk, &path)?;
        }
        if let Some(found) = &found {
            found.check(identity, &path)?;
        }
        let known = found.take().and_then(|found| found.directory_id);
        let directory_id = known.or(identity.directory_id).unwrap_or_default();
        if known.is_none() {
            let meta = MetaProperties { directory_id: Some(directory_id), ..identity.clone() };
            meta.write(&*disk, &path)?;
        }
        let clean_shutdown = properties::read_clean_shutdown(&*disk, &path)?;
        Ok(Self {
            disk,
            path,
            directory_id,
            clean_shutdown,
            offline: AtomicBool::new(false),
            unforgotten: Mutex::default(),
            unowned: Unowned::default(),
            _lock: lock,
        })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    #[must_use]
    pub fn directory_id(&self) -> Uuid {
        self.directory_id
    }

    /// The broker epoch of the last clean shutdown; `None` if the last process crashed.
    #[must_use]
    pub fn clean_shutdown(&self) -> Option<i64> {
        self.clean_shutdown
    }

    /// Total and free bytes of the file system.
    pub fn space(&self) -> Result<DiskSpace, StorageError> {
        self.disk.space(&self.path).at("statvfs", &self.path)
    }

    /// Whether a failure took the whole log dir offline.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.offline.load(Ordering::Acquire)
    }

    /// A failed fsync says that the disk is not to be trusted; answers whether the dir was online before.
    pub fn mark_offline(&self) -> bool {
        !self.offline.swap(true, Ordering::AcqRel)
    }

    fn check_online(&self) -> Result<(), StorageError> {
        if self.is_offline() { Err(StorageError::Offline { path: self.path.clone() }) } else { Ok(()) }
    }

    /// The partitions found, the leftovers of deleted ones, and what was set aside.
    pub fn partitions(&self) -> Result<FoundLogs, StorageError> {
        let mut found = FoundLogs::default();
        for entry in self.disk.list(&self.path).at("list", &self.path)? {
            match names::parse(&entry.name) {
                DirName::Partition(partition) if entry.is_dir => found.logs.push(partition),
                DirName::Deleted if entry.is_dir => {
                    found.deleted.push(DeletedPartition { path: self.path.join(&entry.name) });
                }
                DirName::Stray if entry.is_dir => found.strays.push(self.path.join(&entry.name)),
                _ => {}
            }
        }
        Ok(found)
    }

    /// Makes a partition's directory with its topic id and an empty log; nothing, if there is no room for all of that. The
    /// directory is durable with the log's first flush: before that it holds nothing that a crash may not take.
    pub fn create_partition(
        &self,
        topic_partition: &TopicPartition,
        topic_id: TopicId,
        config: Arc<LogConfig>,
        now: Now,
    ) -> Result<PartitionLog, StorageError> {
        self.check_online()?;
        self.forget_the_unforgotten(topic_partition)?;
        let dir = partition_dir(&self.path, topic_partition);
        self.create_log(&dir, topic_partition, topic_id, config, LogStart::new_log(), now)
    }

    /// A directory with a topic id and an empty log.
    fn create_log(
        &self,
        dir: &Path,
        topic_partition: &TopicPartition,
        topic_id: TopicId,
        config: Arc<LogConfig>,
        start: LogStart,
        now: Now,
    ) -> Result<PartitionLog, StorageError> {
        let is_new = self.disk.list(dir).is_err();
        self.disk.create_dir(dir).at("mkdir", dir)?;
        let (disk, partition) = (Arc::clone(&self.disk), topic_partition.clone());
        let created = PartitionLog::open(disk, dir.to_path_buf(), partition, config, start, now);
        let created = created.and_then(|mut log| {
            log.sync_with_next_flush(properties::write_topic_id(&*self.disk, dir, topic_id)?);
            Ok(log)
        });
        created.inspect_err(|error| {
            if is_new && error.is_for_lack_of_room() {
                // Nothing was ever written to it.
                let _ = self.remove_deleted(&DeletedPartition { path: dir.to_path_buf() });
            }
        })
    }

    /// Gives a log that was found without a topic id its id, durably: a power cut has taken it, or a Kafka before topic
    /// ids has made the log. Without it the log would pass for that of a later topic of the name.
    pub fn adopt(&self, log: &PartitionLog, topic_id: TopicId) -> Result<(), StorageError> {
        self.check_online()?;
        properties::replace_topic_id(&*self.disk, log.dir(), topic_id)
    }

    /// Renames the directories of those of the partitions that are in this dir, durably and with one sync, so that they
    /// are gone for good; their files are removed by [`LogDir::remove_deleted`]. `unique` gives random ids. Readers may go
    /// on with the slices they hold; the owners of the logs append and flush no more, and write no checkpoint of them.
    pub fn delete_partitions(
        &self,
        partitions: &[TopicPartition],
        unique: impl FnMut() -> Uuid,
    ) -> Result<Vec<DeletedPartition>, StorageError> {
        self.rename_partitions(partitions, names::DELETE_SUFFIX, unique)
    }

    /// Renames the directories of partitions that no metadata knows to `<topic>-<partition>.<uuid>-stray`, as Kafka does:
    /// nothing opens them again, and nothing removes them but their owner.
    pub fn set_aside(
        &self,
        partitions: &[TopicPartition],
        unique: impl FnMut() -> Uuid,
    ) -> Result<(), StorageError> {
        self.rename_partitions(partitions, names::STRAY_SUFFIX, unique).map(|_| ())
    }

    fn rename_partitions(
        &self,
        partitions: &[TopicPartition],
        suffix: &str,
        mut unique: impl FnMut() -> Uuid,
    ) -> Result<Vec<DeletedPartition>, StorageError> {
        self.check_online()?;
        if !if_room(self.forget_checkpoints(partitions))? {
            self.unforgotten.lock().extend(partitions.iter().cloned());
        }
        let mut renamed = Vec::new();
        for topic_partition in partitions {
            let from = partition_dir(&self.path, topic_partition);
            let path = self.path.join(names::renamed(topic_partition, unique(), suffix));
            match self.disk.rename(&from, &path) {
                Ok(()) => renamed.push(DeletedPartition { path }),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    let error = StorageError::io("rename", &from, error);
                    if !error.is_for_lack_of_room() || suffix != names::DELETE_SUFFIX {
                        return Err(error);
                    }
                    // There is none for a longer name.
                    self.remove_deleted(&DeletedPartition { path: from })?;
                }
            }
        }
        if !renamed.is_empty() {
            self.disk.sync_dir(&self.path).synced(&self.path)?;
        }
        Ok(renamed)
    }

    /// What the checkpoints still say of a partition's predecessor goes before the partition comes.
    fn forget_the_unforgotten(&self, partition: &TopicPartition) -> Result<(), StorageError> {
        let mut unforgotten = self.unforgotten.lock();
        if unforgotten.contains(partition) {
            self.forget_checkpoints(&unforgotten.iter().cloned().collect::<Vec<_>>())?;
            unforgotten.clear();
        }
        Ok(())
    }

    /// What a checkpoint says; nothing, if it is damaged: as in Kafka, the logs are then checked from their start, and
    /// begin with their first segment.
    fn read_checkpoint(
        &self,
        which: OffsetCheckpoint,
    ) -> Result<BTreeMap<TopicPartition, Offset>, StorageError> {
        match which.read(&*self.disk, &self.path) {
            Err(error @ StorageError::Corrupt { .. }) => {
                tracing::error!(%error, "a damaged checkpoint is left out of account");
                Ok(BTreeMap::new())
            }
            read => read,
        }
    }

    /// Takes partitions out of the checkpoints: what they say of a deleted log is not true of the next one of its name,
    /// whose records a recovery would take for deleted ones below the log start.
    fn forget_checkpoints(&self, partitions: &[TopicPartition]) -> Result<(), StorageError> {
        self.unowned.remove(partitions);
        for which in OffsetCheckpoint::ALL {
            let mut offsets = self.read_checkpoint(which)?;
            let count = offsets.len();
            for partition in partitions {
                offsets.remove(partition);
            }
            if offsets.len() < count {
                which.write(&*self.disk, &self.path, &offsets)?;
            }
        }
        Ok(())
    }

    /// Says where a log starts before it is put here: whoever finds it after a kill must not find what was deleted of it.
    fn expect_log_start(
        &self,
        partition: &TopicPartition,
        log_start: Option<Offset>,
    ) -> Result<(), StorageError> {
        let Some(log_start) = log_start else { return Ok(()) };
        let mut offsets = self.read_checkpoint(OffsetCheckpoint::LogStart)?;
        offsets.insert(partition.clone(), log_start);
        OffsetCheckpoint::LogStart.write(&*self.disk, &self.path, &offsets)
    }

    /// Removes the files of a deleted partition.
    pub fn remove_deleted(&self, deleted: &DeletedPartition) -> Result<(), StorageError> {
        for entry in self.disk.list(&deleted.path).at("list", &deleted.path)? {
            let path = deleted.path.join(&entry.name);
            self.disk.remove_file(&path).at("remove", &path)?;
        }
        self.disk.remove_dir(&deleted.path).at("remove", &deleted.path)
    }
}

/// Makes a directory and its missing parents, so that no power cut takes them.
fn make_durably(disk: &dyn Disk, path: &Path) -> Result<(), StorageError> {
    let is_missing =
        |dir: &&Path| disk.list(dir).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    disk.create_dir(path).at("mkdir", path)?;
    // A dir without files may be one whose name was not made durable before the power failed.
    let is_new = disk.list(path).at("list", path)?.is_empty();
    let made = if is_new && missing.is_empty() { &[path][..] } else { &missing[..] };
    for parent in made.iter().filter_map(|dir| holder(dir)) {
        disk.sync_dir(parent).synced(parent)?;
    }
    Ok(())
}

/// The directory that a path's last name is in: the working directory, if the path is that name alone.
fn holder(path: &Path) -> Option<&Path> {
    path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

/// Partitions without a `meta.properties` beside them have lost it: another identity would not be theirs.
fn check_is_new(disk: &dyn Disk, path: &Path) -> Result<(), StorageError> {
    let mut entries = disk.list(path).at("list", path)?.into_iter();
    let is_partition =
        |name: &str| name == names::METADATA_LOG || matches!(names::parse(name), DirName::Partition(_));
    match entries.find(|entry| entry.is_dir && is_partition(&entry.name)) {
        None => Ok(()),
        Some(entry) => Err(StorageError::corrupt(
            &path.join(properties::META_PROPERTIES),
            format!(
                "missing, though {} is there: bring the file back, or move the directory away to begin anew",
                entry.name
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone_is_in_the_working_directory() {
        let held = |path| holder(Path::new(path)).and_then(Path::to_str);
        assert_eq!([held("data"), held("./data"), held("a/data")], [Some("."), Some("."), Some("a")]);
        assert_eq!([held("/data"), held("/")], [Some("/"), None]);
    }
}
