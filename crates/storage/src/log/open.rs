//! Opening a log: what is on disk, what a crash left half done, and the recovery of the unflushed tail.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_model::{Now, Offset, TopicPartition};
use parking_lot::Mutex;

use crate::atomic_file;
use crate::config::LogConfig;
use crate::disk::Disk;
use crate::error::{At, StorageError};
use crate::leader_epochs::{self, EpochStart, LeaderEpochs};
use crate::producer::ProducerState;
use crate::segment::{BatchAt, DELETED, SUFFIXES, Segment};

use super::flush::FlushState;
use super::segments::Segments;
use super::{PartitionLog, PositionCache, swap};

/// What a log dir knows about a partition before its files are opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStart {
    /// Everything below is known to be on disk (`recovery-point-offset-checkpoint`).
    pub recovery_point: Offset,
    /// Records below are deleted (`log-start-offset-checkpoint`).
    pub log_start_offset: Offset,
    /// The log dir was closed cleanly: nothing needs to be checked.
    pub clean: bool,
    /// Everything below is compacted (`cleaner-offset-checkpoint`).
    pub cleaned_to: Option<Offset>,
}

impl LogStart {
    /// For a log that does not exist yet.
    #[must_use]
    pub fn new_log() -> Self {
        Self { clean: true, ..Self::default() }
    }
}

/// The names in a partition's directory that matter.
#[derive(Debug, Default)]
struct Found {
    /// Base offsets, ascending.
    segments: Vec<Offset>,
    /// Those of them that lack an index.
    unindexed: Vec<Offset>,
    snapshots: Vec<Offset>,
    /// Base offsets of deleted segments whose files are still there.
    deleted: Vec<Offset>,
    /// Names of such files.
    deleted_files: Vec<String>,
}

impl PartitionLog {
    /// Opens the log in `dir`; makes the directory and its first segment if they do not exist. After an unclean stop
    /// this checks what lies beyond the recovery point and cuts it at the first bad batch; the recovery point stays.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        topic_partition: TopicPartition,
        config: Arc<LogConfig>,
        start: LogStart,
        now: Now,
    ) -> Result<Self, StorageError> {
        disk.create_dir(&dir).at("mkdir", &dir)?;
        let dir: Arc<Path> = dir.into();
        let mut names = names_in(&*disk, &dir)?;
        if swap::finish_interrupted(&*disk, &dir, &names)? {
            names = names_in(&*disk, &dir)?;
        }
        let found = look(&*disk, &dir, &names)?;
        let (active, closed) = match found.segments.split_last() {
            Some((last, closed)) => (Segment::open(&disk, &dir, *last, now)?, closed),
            None => (Segment::create(&disk, &dir, start.log_start_offset, now)?, &[][..]),
        };
        if found.segments.is_empty() && start.log_start_offset > Offset(0) {
            // As where all segments are replaced: from now on nothing but this name says where the log goes on.
            disk.sync_dir(&dir).synced(&dir)?;
        }
        let is_new = found.segments.is_empty();
        let segments = Segments::new(&disk, &dir, closed, active, now);
        let epochs = read_epochs(&*disk, &dir)?;
        let mut log = Self {
            disk,
            dir,
            topic_partition,
            config,
            log_start_offset: start.log_start_offset.max(segments.first_base()),
            log_end_offset: start.log_start_offset,
            recovery_point: start.recovery_point,
            segments,
            epochs,
            producers: ProducerState::default(),
            flush: FlushState::new(now),
            deleted: Vec::new(),
            cleaned_to: start.cleaned_to,
            swap: None,
            offline: false,
            positions: Mutex::new(PositionCache::default()),
            was_cut: false,
        };
        for offset in found.snapshots {
            log.producers.found_snapshot(offset);
        }
        if !start.clean {
            let gaps_below = log.gaps_below(start.recovery_point);
            log.finish_deletion(&found.deleted, gaps_below)?;
            log.log_start_offset = log.log_start_offset.max(log.segments.first_base());
        }
        for name in &found.deleted_files {
            remove_if_exists(&*log.disk, &log.dir.join(name))?;
        }
        if is_new {
            log.flush.add_directory();
        }
        log.load(start, is_new, &found.unindexed, now)?;
        // A log that nobody uses holds no descriptor.
        log.close_files();
        Ok(log)
    }

    fn load(
        &mut self,
        start: LogStart,
        is_new: bool,
        unindexed: &[Offset],
        now: Now,
    ) -> Result<(), StorageError> {
        let interval = self.config.index_interval_bytes;
        for number in unindexed.iter().filter_map(|base| self.segments.number_of(*base)).collect::<Vec<_>>() {
            if let Some(segment) = self.segments.get_mut(number)?.filter(|segment| segment.lacks_index()) {
                segment.reindex(interval)?;
            }
        }
        let checked = !start.clean && !is_new;
        self.log_end_offset = if checked {
            self.recover(start.recovery_point, now)?
        } else {
            self.active_mut().load_tail(interval)?
        };
        if self.log_end_offset < start.recovery_point {
            let (dir, end) = (self.dir.display(), self.log_end_offset);
            tracing::error!(
                %dir, log_end_offset = %end, recovery_point = %start.recovery_point,
                "records that were on the disk are gone: bring the last segment back from a backup before more is written"
            );
        }
        self.log_start_offset = self.log_start_offset.min(self.log_end_offset);
        self.epochs.truncate_from_end(self.log_end_offset);
        if checked {
            self.learn_earlier_epochs()?;
        }
        self.epochs.truncate_from_start(self.log_start_offset);
        self.check_epochs()?;
        self.load_producers(now)?;
        self.recovery_point = if start.clean { self.log_end_offset } else { self.segments.first_base() };
        if !start.clean {
            // A killed process may have made the directory, and nobody have synced its name.
            self.flush.add_directory();
            self.recovery_point = self.recovery_point.max(start.recovery_point.min(self.log_end_offset));
        }
        if start.clean {
            return Ok(());
        }
        if self.was_cut {
            // What was cut off must not come back between what is appended next.
            return self.flush_now(now);
        }
        // What was found is flushed as appends are, and until then checked again by every recovery: an fsync of each log
        // costs more than all the rest of a start. Not even the first segment's name need be on the disk.
        Ok(())
    }

    /// Checks the segments from the one on that holds the recovery point; answers the log end offset.
    fn recover(&mut self, recovery_point: Offset, now: Now) -> Result<Offset, StorageError> {
        self.recovery_point = recovery_point;
        let first = self.first_unflushed();
        let interval = self.config.index_interval_bytes;
        let mut end_offset = self.segments.first_base();
        let mut number = first;
        let gaps_below = self.gaps_below(recovery_point);
        let count = self.segments.len();
        while let Some(segment) = self.segments.get_mut(number)? {
            let is_gap = number > first && segment.base_offset() != end_offset;
            if is_gap && segment.base_offset() > gaps_below {
                tracing::warn!(dir = %self.dir.display(), log_end_offset = %end_offset, "a lost tail: log was cut");
                break;
            }
            let recovered = segment.recover(recovery_point, interval)?;
            end_offset = recovered.end_offset;
            self.flush.add_unflushed(recovered.checked_bytes);
            for (epoch, start_offset) in recovered.epochs {
                if self.epochs.latest().is_none_or(|latest| epoch > latest.epoch) {
                    self.epochs.assign(epoch, start_offset);
                }
            }
            number += 1;
            if recovered.cut_bytes > 0 {
                self.was_cut = true;
                let dir = self.dir.display();
                tracing::warn!(%dir, cut_bytes = recovered.cut_bytes, log_end_offset = %end_offset, "log was cut");
                break;
            }
            if number < count {
                segment.seal()?;
            }
        }
        // Nothing beyond a cut can be joined to what is in front of it.
        self.was_cut |= number < count;
        self.remove_segments_from(number)?;
        if end_offset < self.log_start_offset {
            self.restart_at(self.log_start_offset, now)?;
            end_offset = self.log_start_offset;
        }
        Ok(end_offset)
    }

    /// Where a gap between two segments may be: our segments end where the next one begins also after compaction, but
    /// Kafka's need not.
    fn gaps_below(&self, recovery_point: Offset) -> Offset {
        let compacted_to = self.cleaned_to.filter(|_| self.config.cleanup_policy.compact);
        compacted_to.unwrap_or_default().max(recovery_point)
    }

    /// After a crash records may be back that were deleted from the front of the log; their epochs are not.
    fn learn_earlier_epochs(&mut self) -> Result<(), StorageError> {
        let known_from =
            self.epochs.entries().first().map_or(self.log_end_offset, |entry| entry.start_offset);
        let mut earlier: Vec<EpochStart> = Vec::new();
        for segment in self.segments.starting_at(self.segments.number_for(self.log_start_offset)) {
            let segment = segment?;
            if self.log_start_offset >= known_from || segment.base_offset() >= known_from {
                break;
            }
            let mut walk = segment.walk(0)?;
            loop {
                let BatchAt { header, .. } = match walk.next() {
                    Ok(Some(batch)) => batch,
                    Err(error) if error.is_of_the_disk() => return Err(error),
                    // What lies behind damage has no say.
                    Ok(None) | Err(_) => break,
                };
                let epoch = header.partition_leader_epoch;
                if header.base_offset < known_from && earlier.last().is_none_or(|last| epoch > last.epoch) {
                    earlier.push(EpochStart { epoch, start_offset: header.base_offset });
                }
            }
        }
        self.epochs.learn_earlier(&earlier);
        Ok(())
    }

    /// Removes the segments from `number` on, but not the first one.
    pub(super) fn remove_segments_from(&mut self, number: usize) -> Result<(), StorageError> {
        let removed = self.segments.take_from(number)?;
        self.remove_durably(&removed)
    }

    /// Removes the files of segments, the last one first and durably: one that came back after a crash would not fit to
    /// what is appended next.
    fn remove_durably(&self, removed: &[Offset]) -> Result<(), StorageError> {
        for base_offset in removed.iter().rev() {
            self.remove_segment_files(*base_offset, "")?;
        }
        if removed.is_empty() { Ok(()) } else { self.disk.sync_dir(&self.dir).synced(&self.dir) }
    }

    /// Replaces all segments by an empty one. Its name is on the disk then: no batch says where such a log goes on, and the
    /// checkpoint of log starts says it no longer when the first segment does.
    pub(super) fn restart_at(&mut self, offset: Offset, now: Now) -> Result<(), StorageError> {
        let gone: Vec<Offset> = self.segments.bases().collect();
        self.remove_durably(&gone)?;
        self.segments.replace_all(Segment::create(&self.disk, &self.dir, offset, now)?);
        self.disk.sync_dir(&self.dir).synced(&self.dir)?;
        self.flush.restarted();
        self.positions.lock().clear();
        Ok(())
    }

    pub(super) fn remove_segment_files(&self, base_offset: Offset, extra: &str) -> Result<(), StorageError> {
        for suffix in SUFFIXES {
            let path = self.dir.join(format!("{:020}{suffix}{extra}", base_offset.get()));
            remove_if_exists(&*self.disk, &path)?;
        }
        Ok(())
    }
}

/// None, if the file is missing or damaged: the log has them, too.
fn read_epochs(disk: &dyn Disk, dir: &Path) -> Result<LeaderEpochs, StorageError> {
    let path = dir.join(leader_epochs::FILE_NAME);
    let read = atomic_file::read_if_exists(disk, &path)?.map(|bytes| LeaderEpochs::decode(&path, &bytes));
    match read {
        Some(Err(error)) => {
            tracing::warn!(%error, "leader epochs are made anew");
            Ok(LeaderEpochs::default())
        }
        read => read.unwrap_or_else(|| Ok(LeaderEpochs::default())),
    }
}

fn names_in(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>, StorageError> {
    Ok(disk.list(dir).at("list", dir)?.into_iter().map(|entry| entry.name).collect())
}

/// Says what the directory's names mean, and removes what a crash has left half done.
fn look(disk: &dyn Disk, dir: &Path, names: &[String]) -> Result<Found, StorageError> {
    let mut found = Found::default();
    let logs: BTreeSet<&str> = names.iter().filter_map(|name| name.strip_suffix(".log")).collect();
    for name in names {
        let is_leftover = name.ends_with(".cleaned") || name.ends_with(".tmp");
        let is_orphan = name
            .strip_suffix(".index")
            .or_else(|| name.strip_suffix(".timeindex"))
            .or_else(|| name.strip_suffix(".txnindex"))
            .is_some_and(|base| !logs.contains(base));
        if is_leftover || is_orphan {
            remove_if_exists(disk, &dir.join(name))?;
        } else if let Some(was) = name.strip_suffix(DELETED) {
            found.deleted.extend(offset_of(was, ".log"));
            found.deleted_files.push(name.clone());
        } else if let Some(base_offset) = offset_of(name, ".log") {
            found.segments.push(base_offset);
        } else if let Some(offset) = offset_of(name, ".snapshot") {
            found.snapshots.push(offset);
        }
    }
    found.segments.sort_unstable();
    found.unindexed = unindexed(names);
    Ok(found)
}

fn unindexed(names: &[String]) -> Vec<Offset> {
    let bases = |suffix| names.iter().filter_map(|name| offset_of(name, suffix)).collect::<BTreeSet<_>>();
    let [logs, offsets, times] = [".log", ".index", ".timeindex"].map(bases);
    logs.into_iter().filter(|base| !offsets.contains(base) || !times.contains(base)).collect()
}

/// The offset in `<20 digits><suffix>`.
pub(super) fn offset_of(name: &str, suffix: &str) -> Option<Offset> {
    let digits = name.strip_suffix(suffix)?;
    let is_offset = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_offset { digits.parse().ok().map(Offset) } else { None }
}

pub(super) fn remove_if_exists(disk: &dyn Disk, path: &Path) -> Result<(), StorageError> {
    match disk.remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StorageError::io("remove", path, error))
        }
        _ => Ok(()),
    }
}
