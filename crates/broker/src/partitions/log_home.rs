//! The broker's log dirs: which log is where, found at the start and opened when it is its turn, made or removed afterwards.

mod found;
mod places;
mod removals;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ottla_metadata::DirectoryId;
use ottla_model::{Now, Offset, TopicId, TopicPartition};
use ottla_storage::{
    ClosingLog, DeletedPartition, LogConfig, LogDir, OffsetCheckpoint, PartitionLog, StorageError,
    partition_dir,
};
use parking_lot::Mutex;
use uuid::Uuid;

use super::{DirFailures, Partition, Partitions};
use found::FoundLogs;
use places::Places;
use removals::Removals;

/// A log, the high watermark it is known to have reached, and the dir it is in.
#[derive(Debug)]
pub(crate) struct HomedLog {
    pub log: PartitionLog,
    pub high_watermark: Offset,
    pub directory: DirectoryId,
}

/// A replica whose log is asked for.
#[derive(Debug)]
pub(crate) struct WantedLog<'a> {
    pub name: &'a TopicPartition,
    pub id: TopicId,
    /// Where the metadata says it is.
    pub directory: DirectoryId,
    pub config: Arc<LogConfig>,
}

/// The log dirs of `log.dirs`.
#[derive(Debug)]
pub(crate) struct LogHome {
    /// `log.dirs`.
    paths: Vec<PathBuf>,
    /// Those of `log.dirs` that could be opened, in that order.
    dirs: Arc<[LogDir]>,
    found: FoundLogs,
    /// Moves that a stop has interrupted: the partition, and the dir it was to go to.
    interrupted: Mutex<Vec<(TopicPartition, usize)>>,
    places: Mutex<Places>,
    removals: Mutex<Removals>,
    /// Whether what was found has its owners. Until then a replica without a log may have lost it with a dir.
    started: AtomicBool,
    pub(super) failures: Arc<DirFailures>,
    /// `num.recovery.threads.per.data.dir`.
    thread_count: usize,
    /// Held while checkpoints are written or partitions leave them; true once the logs are closed, when what they say
    /// is final.
    checkpoints_final: Mutex<bool>,
}

impl LogHome {
    pub(crate) fn new(paths: Vec<PathBuf>, dirs: Vec<LogDir>, thread_count: usize) -> Self {
        Self {
            paths,
            dirs: dirs.into(),
            found: FoundLogs::default(),
            interrupted: Mutex::default(),
            places: Mutex::default(),
            removals: Mutex::default(),
            started: AtomicBool::new(false),
            failures: Arc::default(),
            thread_count,
            checkpoints_final: Mutex::default(),
        }
    }

    /// Where failures of dirs are reported.
    pub(crate) fn failures(&self) -> Arc<DirFailures> {
        Arc::clone(&self.failures)
    }

    /// Those of `log.dirs` that could not be opened at the start.
    pub(crate) fn missing(&self) -> impl Iterator<Item = &Path> {
        self.in_order().filter(|(_, dir)| dir.is_none()).map(|(path, _)| path)
    }

    /// `log.dirs` in its order, each with the dir if it could be opened.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = (&Path, Option<&LogDir>)> {
        self.paths.iter().map(|path| (path.as_path(), self.dirs.iter().find(|dir| dir.path() == path)))
    }

    /// The ids of the dirs that work.
    pub(crate) fn online_ids(&self) -> Vec<DirectoryId> {
        self.online().map(|(_, dir)| DirectoryId(dir.directory_id())).collect()
    }

    /// The dirs that work, and their place in [`LogHome::dirs`].
    fn online(&self) -> impl Iterator<Item = (usize, &LogDir)> {
        self.dirs.iter().enumerate().filter(|(_, dir)| !dir.is_offline())
    }

    /// Whether a dir of `log.dirs` does not work.
    pub(super) fn has_offline(&self) -> bool {
        self.missing().next().is_some() || self.dirs.iter().any(LogDir::is_offline)
    }

    /// `cordoned.log.dirs`: they get no new replicas.
    pub(crate) fn cordon(&self, dirs: Vec<PathBuf>) {
        self.places.lock().cordon(dirs);
    }

    pub(crate) fn is_cordoned(&self, dir: &Path) -> bool {
        self.places.lock().is_cordoned(dir)
    }

    /// Has a replica that does not exist yet made in a certain dir.
    pub(super) fn prefer(&self, partition: TopicPartition, dir: usize) {
        self.places.lock().prefer(partition, dir);
    }

    /// Notes that a replica has moved; what the old dir's checkpoints say of it is no longer true.
    pub(super) fn moved(&self, partition: &TopicPartition, from: &LogDir, to: usize) {
        self.places.lock().set(partition.clone(), to);
        let _checkpoints = self.checkpoints_final.lock();
        if let Err(error) = from.forget_moved(partition) {
            tracing::warn!(%partition, %error, "the old dir's checkpoints still name a partition that has moved");
        }
    }

    /// The moves that the last stop has interrupted.
    pub(super) fn take_interrupted(&self) -> Vec<(TopicPartition, usize)> {
        std::mem::take(&mut *self.interrupted.lock())
    }

    pub(crate) fn dirs(&self) -> &[LogDir] {
        &self.dirs
    }

    /// `num.recovery.threads.per.data.dir`.
    pub(crate) fn thread_count(&self) -> usize {
        self.thread_count
    }

    /// The partition's log: the one found at the start if it is of this topic id, else a new one. A log of another
    /// incarnation of the topic is removed first.
    pub(crate) fn open(&self, wanted: &WantedLog<'_>, now: Now) -> Result<HomedLog, StorageError> {
        let name = wanted.name;
        if let Some(found) = self.take_found(wanted, now)? {
            if found.topic_id.is_none_or(|found| found == wanted.id) {
                if found.topic_id.is_none() {
                    self.adopt(&found.log, wanted);
                }
                let directory = self.directory_of(name);
                return Ok(HomedLog { log: found.log, high_watermark: found.high_watermark, directory });
            }
            // Of another incarnation of the topic, or of one whose id was damaged on the disk: nothing tells.
            tracing::warn!(partition = %name, "a log of another topic id: its directory is renamed to -stray, and kept");
            drop(found);
            let place = self.places.lock().of(name);
            if let Some(dir) = place.and_then(|place| self.dirs.get(place)) {
                dir.set_aside(std::slice::from_ref(name), Uuid::new_v4)?;
            }
        }
        self.check_not_offline(wanted)?;
        // What stands in the new log's place is another incarnation's: a removal of it has failed.
        let is_taken = |dir: &LogDir| dir.disk().modified_ms(&partition_dir(dir.path(), name)).is_ok();
        if self.online().any(|(_, dir)| is_taken(dir)) {
            self.remove(std::slice::from_ref(name), now)?;
        }
        let log = self.create(wanted, now)?;
        let high_watermark = log.log_end_offset();
        Ok(HomedLog { log, high_watermark, directory: self.directory_of(name) })
    }

    /// Gives a log that was found without a topic id the one that it must be of. It serves also without.
    fn adopt(&self, log: &PartitionLog, wanted: &WantedLog<'_>) {
        let place = self.places.lock().of(wanted.name);
        let Some(dir) = place.and_then(|place| self.dirs.get(place)) else { return };
        if let Err(error) = dir.adopt(log, wanted.id) {
            tracing::warn!(partition = %wanted.name, %error, "a log without a topic id stays so");
        }
    }

    /// A new log in the dir that is chosen, or in the next one if that fails.
    fn create(&self, wanted: &WantedLog<'_>, now: Now) -> Result<PartitionLog, StorageError> {
        let mut failed = Vec::new();
        loop {
            let number = self.choose(wanted, &failed)?;
            let dir = &self.dirs[number];
            match dir.create_partition(wanted.name, wanted.id, Arc::clone(&wanted.config), now) {
                Ok(log) => return Ok(log),
                Err(error) if error.is_for_lack_of_room() => {
                    self.places.lock().remove(wanted.name);
                    self.failures.report_of(&error, dir.path());
                    // Another dir may have some.
                    failed.push(number);
                    if failed.len() == self.online().count() {
                        return Err(error);
                    }
                }
                Err(error) if error.is_of_the_disk() => {
                    self.places.lock().remove(wanted.name);
                    tracing::error!(partition = %wanted.name, %error, "a log could not be made: its dir has failed");
                    self.failures.report_dir(dir.path());
                    failed.push(number);
                }
                Err(error) => {
                    self.places.lock().remove(wanted.name);
                    return Err(error);
                }
            }
        }
    }

    /// A log that is not here, but may be in a dir that does not work, must not be begun anew.
    fn check_not_offline(&self, wanted: &WantedLog<'_>) -> Result<(), StorageError> {
        let offline = |path: PathBuf| Err(StorageError::Offline { path });
        let place = self.places.lock().of(wanted.name);
        if let Some(dir) = place.and_then(|place| self.dirs.get(place)).filter(|dir| dir.is_offline()) {
            return offline(dir.path().to_path_buf());
        }
        let first_offline =
            self.missing().next().map(Path::to_path_buf).or_else(|| {
                self.dirs.iter().find(|dir| dir.is_offline()).map(|dir| dir.path().to_path_buf())
            });
        let Some(path) = first_offline else { return Ok(()) };
        let is_known = self.online().any(|(_, dir)| DirectoryId(dir.directory_id()) == wanted.directory);
        let is_new = wanted.directory.is_reserved() && self.started.load(Ordering::Acquire);
        if is_known || is_new { Ok(()) } else { offline(path) }
    }

    /// The dir of a new log: the one that an administrator asked for, the one that the metadata says, or the emptiest. It
    /// counts as the log's from now on, for others are made at the same time.
    fn choose(&self, wanted: &WantedLog<'_>, failed: &[usize]) -> Result<usize, StorageError> {
        let working = || self.online().filter(|(number, _)| !failed.contains(number));
        let mut places = self.places.lock();
        let preferred = places.take_preferred(wanted.name);
        let preferred = preferred.filter(|preferred| working().any(|(number, _)| number == *preferred));
        let is_assigned = |(_, dir): &(usize, &LogDir)| DirectoryId(dir.directory_id()) == wanted.directory;
        let assigned = || working().find(is_assigned).map(|(number, _)| number);
        let emptiest = || places.emptiest(working().map(|(number, dir)| (number, dir.path())));
        let offline = || StorageError::Offline {
            path: self.dirs.first().map(|dir| dir.path().into()).unwrap_or_default(),
        };
        let chosen = preferred.or_else(assigned).or_else(emptiest).ok_or_else(offline)?;
        places.set(wanted.name.clone(), chosen);
        Ok(chosen)
    }

    fn directory_of(&self, name: &TopicPartition) -> DirectoryId {
        let place = self.places.lock().of(name);
        let dir = place.and_then(|place| self.dirs.get(place));
        dir.map_or(DirectoryId::UNASSIGNED, |dir| DirectoryId(dir.directory_id()))
    }

    /// Renames the partitions' directories out of the way, which is what makes them gone; their files go later, see
    /// [`LogHome::remove_due`].
    pub(crate) fn remove(&self, names: &[TopicPartition], now: Now) -> Result<(), StorageError> {
        if names.is_empty() {
            return Ok(());
        }
        let _checkpoints = self.checkpoints_final.lock();
        let mut places = self.places.lock();
        for name in names {
            places.remove(name);
            self.found.forget(name);
        }
        drop(places);
        for (number, dir) in self.online() {
            let deleted = dir.delete_partitions(names, Uuid::new_v4)?;
            self.remove_files(number, deleted, now);
        }
        Ok(())
    }

    /// Has the files removed `log.segment.delete.delay.ms` after `now`.
    pub(super) fn remove_files(&self, number: usize, deleted: Vec<DeletedPartition>, now: Now) {
        self.removals.lock().add(number, deleted, now.mono);
    }

    /// Whether [`LogHome::remove_due`] has something to do.
    pub(super) fn has_removals_due(&self, delay_ms: u64, now: Now) -> bool {
        self.removals.lock().has_due(delay_ms, now.mono)
    }

    /// Removes the files of logs that are gone for `delay_ms`. Source: Kafka's `LogManager.deleteLogs`.
    pub(super) fn remove_due(&self, delay_ms: u64, now: Now) {
        loop {
            // Not held while files are removed.
            let Some((number, deleted)) = self.removals.lock().take_due(delay_ms, now.mono) else { return };
            let dir = &self.dirs[number];
            if dir.is_offline() {
                continue;
            }
            if let Err(error) = dir.remove_deleted(&deleted) {
                tracing::warn!(%error, "the files of a removed log stay until the next start");
            }
        }
    }

    /// Nobody writes checkpoints while this is held; to be taken before a partition's lock.
    pub(super) fn hold_checkpoints(&self) -> impl Drop + '_ {
        self.checkpoints_final.lock()
    }

    /// Writes the recovery points, log starts or high watermarks of all logs, those that are not open yet included.
    pub(crate) fn write_checkpoint(&self, which: OffsetCheckpoint, partitions: &Partitions) {
        let checkpoints_final = self.checkpoints_final.lock();
        if *checkpoints_final {
            return;
        }
        let online: Vec<&LogDir> = self.dirs.iter().filter(|dir| !dir.is_offline()).collect();
        // Before the open ones are listed, so that none falls between the two.
        let unowned: Vec<_> = online.iter().map(|dir| dir.unowned_offsets(which)).collect();
        let partitions = partitions.all();
        for (dir, mut offsets) in online.into_iter().zip(unowned) {
            let here = |partition: &Arc<Partition>| {
                let state = partition.lock();
                // One that was closed since the caller listed it has left the checkpoints, or is about to.
                if state.is_closed() || state.log.dir().parent() != Some(dir.path()) {
                    return None;
                }
                let offset = match which {
                    OffsetCheckpoint::RecoveryPoint => Some(state.log.recovery_point()),
                    OffsetCheckpoint::Replication => Some(state.machine.high_watermark()),
                    OffsetCheckpoint::LogStart => state.log.log_start_to_checkpoint(),
                    OffsetCheckpoint::Cleaner => None,
                };
                Some((partition.name.clone(), offset?))
            };
            offsets.extend(partitions.iter().filter_map(here));
            match dir.write_checkpoint(which, &offsets) {
                Ok(()) => self.failures.written(dir.path()),
                Err(error) => {
                    if !error.is_for_lack_of_room() {
                        let dir = dir.path().display();
                        tracing::error!(%dir, %error, "checkpoints could not be written");
                    }
                    self.failures.report_of(&error, dir.path());
                }
            }
        }
    }

    /// Writes how far the logs in the dir of `changed` are compacted.
    pub(crate) fn write_cleaner_checkpoint(
        &self,
        changed: &Partition,
        partitions: &Partitions,
    ) -> Result<(), StorageError> {
        let checkpoints_final = self.checkpoints_final.lock();
        let Some((path, _)) = changed.cleaned_to().filter(|_| !*checkpoints_final) else { return Ok(()) };
        let Some(dir) = self.dirs.iter().find(|dir| path.parent() == Some(dir.path())) else { return Ok(()) };
        let here = |partition: &Arc<Partition>| {
            let (path, offset) = partition.cleaned_to()?;
            (path.parent() == Some(dir.path())).then(|| (partition.name.clone(), offset))
        };
        let mut offsets = dir.unowned_offsets(OffsetCheckpoint::Cleaner);
        offsets.extend(partitions.all().iter().filter_map(here));
        dir.write_checkpoint(OffsetCheckpoint::Cleaner, &offsets)
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
            let closed = dir.close(closing.collect(), self.thread_count, broker_epoch, now);
            if let Err(error) = &closed
                && error.is_for_lack_of_room()
            {
                tracing::warn!(dir = %dir.path().display(), %error, "log dir is full: the next start checks its logs");
                continue;
            }
            outcome = outcome.and(closed);
        }
        // Whoever still runs finds a log that takes nothing more: the mark of the clean shutdown says so.
        for state in &mut states {
            state.log.set_offline();
        }
        outcome
    }
}
