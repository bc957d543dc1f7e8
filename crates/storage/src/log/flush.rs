//! Making appends durable, outside the lock: `take_flush`, run the task, `flushed`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_model::{MonoMs, Now, Offset};
use ottla_planted::planted;
use parking_lot::Mutex;

use crate::atomic_file;
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{At, StorageError, if_room};
use crate::leader_epochs;
use crate::segment::FlushParts;

use super::PartitionLog;
use super::producers::SnapshotWrite;

/// The active segment's indexes and the producers' state are written by a flush when it has grown by this much since:
/// behind them recovery reads every batch.
pub(super) const RECOVERY_STEP_BYTES: u32 = 1 << 20;
/// [`PartitionLog::take_writeback`] has something every so many bytes.
const WRITEBACK_EVERY_BYTES: u32 = 4 << 20;

/// What a log remembers between flushes.
#[derive(Debug)]
pub(super) struct FlushState {
    last_flush: MonoMs,
    /// Names were added to the directory since it was synced.
    new_names: bool,
    /// The directory itself is new.
    new_dir: bool,
    /// The first segment's name may not be on the disk.
    rootless: bool,
    rolled: bool,
    /// The next flush is the last one: the active segment's indexes belong to it.
    closing: bool,
    /// Small files that were written but not synced.
    new_files: Vec<PathBuf>,
    /// There was no room for a snapshot of the producers.
    owes_snapshot: bool,
    epochs_version: u64,
    fate: Arc<Mutex<Fate>>,
    index_written_at: u32,
    producers_written_at: u32,
    writeback_from: u32,
    /// Bytes behind the recovery point.
    unflushed_bytes: u64,
}

impl FlushState {
    pub(super) fn new(now: Now) -> Self {
        Self {
            last_flush: now.mono,
            new_names: true,
            new_dir: false,
            rootless: false,
            rolled: false,
            closing: false,
            new_files: Vec::new(),
            owes_snapshot: false,
            epochs_version: 0,
            fate: Arc::default(),
            index_written_at: 0,
            producers_written_at: 0,
            writeback_from: 0,
            unflushed_bytes: 0,
        }
    }

    pub(super) fn add_directory_entries(&mut self) {
        self.new_names = true;
    }

    pub(super) fn add_directory(&mut self) {
        self.new_dir = true;
        self.new_names = true;
        self.rootless = true;
    }

    /// All segments were replaced by a new one.
    pub(super) fn restarted(&mut self) {
        self.new_names = true;
        self.rootless = true;
    }

    pub(super) fn add_files(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        self.new_files.extend(files);
    }

    pub(super) fn owes_snapshot(&mut self, is_owed: bool) {
        self.owes_snapshot = is_owed;
    }

    pub(super) fn rolled(&mut self) {
        self.new_names = true;
        self.rolled = true;
        self.begin_anew();
    }

    /// The active segment is another one, or shorter.
    fn begin_anew(&mut self) {
        self.index_written_at = 0;
        self.producers_written_at = 0;
        self.writeback_from = 0;
    }

    /// What a flush was to do that did not come to its end.
    fn take_back(&mut self, task: &FlushTask) {
        self.new_names |= task.new_names;
        self.new_dir |= task.new_dir;
        self.new_files.extend(task.new_files.iter().cloned());
    }

    /// So many bytes are in the log that no flush has seen.
    pub(super) fn add_unflushed(&mut self, bytes: u64) {
        self.unflushed_bytes += bytes;
    }

    /// How often the log was truncated.
    pub(super) fn truncations(&self) -> u64 {
        self.fate.lock().truncations
    }

    /// Of a log that takes another one's place: what was begun on that one means nothing here.
    pub(super) fn succeed(&mut self, other: &Self) {
        self.fate.lock().truncations = other.fate.lock().truncations + 1;
    }

    pub(super) fn truncated(&mut self) {
        self.fate.lock().truncations += 1;
        self.new_names = true;
        self.begin_anew();
    }
}

/// What happened to a log since a flush task was made; the task holds it while it writes by name or into an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fate {
    /// A flush that began before a truncation says nothing about what was appended after it.
    truncations: u64,
    /// The partition is deleted: its directory's name may soon be another partition's.
    retired: bool,
}

/// What makes everything below [`FlushTask::up_to`] durable; owns its handles, so that it runs while the log is in
/// use.
#[derive(Debug)]
#[must_use = "nothing is flushed until it runs"]
pub struct FlushTask {
    disk: Arc<dyn Disk>,
    dir: Arc<Path>,
    up_to: Offset,
    bytes: u64,
    fate: Arc<Mutex<Fate>>,
    /// What `fate` was when this was made.
    fate_before: Fate,
    parts: Vec<FlushParts>,
    /// Bytes of the active segment when this was made.
    active_size: u32,
    new_names: bool,
    new_dir: bool,
    /// Small files that were written but not synced.
    new_files: Vec<PathBuf>,
    epochs: Option<(u64, Vec<u8>)>,
    producers: Option<SnapshotWrite>,
}

/// What a flush task did: the records and the names are on the disk, and with room for them the files beside them.
#[derive(Clone, Copy, Debug)]
#[must_use = "the log must be told"]
pub struct FlushDone {
    has_indexes: bool,
    has_epochs: bool,
    has_producers: bool,
}

impl FlushTask {
    /// The log end offset when the task was made.
    #[must_use]
    pub fn up_to(&self) -> Offset {
        self.up_to
    }

    /// Bytes that had to be flushed when the task was made.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Segments that had to be flushed and take no more appends.
    #[must_use]
    pub fn closed_segments(&self) -> usize {
        self.parts.len().saturating_sub(1)
    }

    /// Writes and syncs; give the result to [`PartitionLog::flushed`]. A failure is final: the kernel may have
    /// dropped the dirty pages, so a second try would succeed without having written them. What there is no room for
    /// the next flush tries again.
    pub fn run(&self) -> Result<FlushDone, StorageError> {
        let closed = self.closed_segments();
        for (number, parts) in self.parts.iter().enumerate() {
            if number < closed && planted!("closed_segment_not_synced") {
                continue;
            }
            parts.log.sync_data().synced(&self.dir)?;
        }
        let fate = self.fate.lock();
        if fate.retired {
            return Ok(FlushDone { has_indexes: false, has_epochs: false, has_producers: false });
        }
        let is_same = *fate == self.fate_before;
        let has_indexes = is_same && if_room(self.write_indexes())?;
        let producers = self.producers.as_ref().filter(|_| is_same);
        let has_producers = producers.is_some_and(|producers| producers.run(&*self.disk, &self.dir));
        let has_epochs = if_room(self.write_epochs())?;
        self.sync_names()?;
        Ok(FlushDone { has_indexes, has_epochs, has_producers })
    }

    fn write_indexes(&self) -> Result<(), StorageError> {
        // Time entries first: an offset entry on disk vouches for the time entries up to it.
        for pending in self.parts.iter().filter_map(|parts| parts.indexes.as_ref()).flatten() {
            pending.flush()?;
        }
        Ok(())
    }

    fn write_epochs(&self) -> Result<(), StorageError> {
        match &self.epochs {
            Some((_, contents)) => {
                atomic_file::replace(&*self.disk, &self.dir, leader_epochs::FILE_NAME, contents)
            }
            None => Ok(()),
        }
    }

    fn sync_names(&self) -> Result<(), StorageError> {
        for path in &self.new_files {
            match self.disk.open(path, OpenMode::Write) {
                Ok(file) => file.sync_data().synced(path)?,
                // Retention was faster.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(StorageError::io("open", path, error)),
            }
        }
        if self.new_names && !planted!("names_not_synced") {
            self.disk.sync_dir(&self.dir).synced(&self.dir)?;
        }
        match self.dir.parent() {
            Some(parent) if self.new_dir => self.disk.sync_dir(parent).synced(parent),
            _ => Ok(()),
        }
    }
}

/// Makes the names in a partition's directory durable, while the log is in use.
#[derive(Debug)]
#[must_use = "it does nothing until it runs"]
pub struct NamesSync {
    disk: Arc<dyn Disk>,
    dir: Arc<Path>,
    fate: Arc<Mutex<Fate>>,
}

impl NamesSync {
    pub fn run(&self) -> Result<(), StorageError> {
        let fate = self.fate.lock();
        if fate.retired { Ok(()) } else { self.disk.sync_dir(&self.dir).synced(&self.dir) }
    }
}

/// A range of the active segment whose write-back should begin now, so that no later append stalls behind it.
#[derive(Debug)]
#[must_use = "it does nothing until it runs"]
pub struct Writeback {
    file: Arc<dyn DiskFile>,
    from: u32,
    to: u32,
}

impl Writeback {
    /// Asks the kernel; a failure is of no consequence.
    pub fn start(&self) {
        let _ = self.file.start_writeback(u64::from(self.from), u64::from(self.to - self.from));
    }
}

impl PartitionLog {
    /// Records that a crash of the machine would lose.
    #[must_use]
    pub fn unflushed_count(&self) -> i64 {
        self.log_end_offset.get() - self.recovery_point.get()
    }

    /// Milliseconds since the last flush, if there is something to flush.
    #[must_use]
    pub fn unflushed_ms(&self, now: Now) -> Option<u64> {
        (self.unflushed_count() > 0).then(|| now.mono.since_ms(self.flush.last_flush))
    }

    /// Whether `flush.messages`, `flush.ms` or a roll ask for a flush now.
    #[must_use]
    pub fn flush_due(&self, now: Now) -> bool {
        let unflushed = self.unflushed_count();
        let waited = i64::try_from(now.mono.since_ms(self.flush.last_flush)).unwrap_or(i64::MAX);
        self.flush.rolled
            || (unflushed > 0 && (unflushed >= self.config.flush_messages || waited >= self.config.flush_ms))
    }

    /// Whether a flush or [`PartitionLog::remove_deleted_files`] will be due, sooner or later.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.flush.rolled || self.unflushed_count() > 0 || !self.deleted.is_empty()
    }

    /// A task that makes everything appended so far durable; `None` if it is. Run it outside the lock, then call
    /// [`PartitionLog::flushed`].
    pub fn take_flush(&mut self) -> Result<Option<FlushTask>, StorageError> {
        let FlushState { new_names, rolled, closing, .. } = self.flush;
        if self.unflushed_count() <= 0 && !new_names && !rolled && !closing {
            return Ok(None);
        }
        self.guarded(Self::flush_task).map(Some)
    }

    fn flush_task(&mut self) -> Result<FlushTask, StorageError> {
        if self.flush.owes_snapshot {
            self.write_snapshot()?;
        }
        let first = self.first_unflushed();
        let active_size = self.active().size();
        let producers = self.snapshot_due(active_size.saturating_sub(self.flush.producers_written_at));
        let mut parts = Vec::with_capacity(1);
        for number in first..self.segments.len() {
            let Some(segment) = self.segments.get(number)? else { break };
            let is_closed = number < self.segments.last();
            let grown = segment.size().saturating_sub(self.flush.index_written_at);
            parts.push(segment.flush_parts(is_closed || self.flush.closing || grown >= RECOVERY_STEP_BYTES)?);
        }
        let version = self.epochs.version();
        let epochs = (version != self.flush.epochs_version).then(|| (version, self.epochs.encode()));
        self.flush.rolled = false;
        Ok(FlushTask {
            disk: Arc::clone(&self.disk),
            dir: Arc::clone(&self.dir),
            up_to: self.log_end_offset,
            bytes: self.flush.unflushed_bytes,
            fate: Arc::clone(&self.flush.fate),
            fate_before: *self.flush.fate.lock(),
            parts,
            active_size,
            new_names: std::mem::take(&mut self.flush.new_names),
            new_dir: std::mem::take(&mut self.flush.new_dir),
            new_files: std::mem::take(&mut self.flush.new_files),
            epochs,
            producers,
        })
    }

    /// Takes the outcome of a flush into account: the recovery point moves, unless there was no room for what spares
    /// work after a crash; or the log goes offline.
    pub fn flushed(
        &mut self,
        task: &FlushTask,
        outcome: Result<FlushDone, StorageError>,
        now: Now,
    ) -> Result<(), StorageError> {
        if !Arc::ptr_eq(&task.fate, &self.flush.fate) {
            // It was made for the log that this one has replaced.
            return Ok(());
        }
        let done = match outcome {
            // No descriptor was left: what was taken up is for the next flush.
            Err(error) if error.is_for_lack_of_room() => {
                self.flush.take_back(task);
                return Err(error);
            }
            outcome => outcome.inspect_err(|_| self.offline = !planted!("fsync_tried_again"))?,
        };
        if let (Some((version, _)), true) = (&task.epochs, done.has_epochs) {
            self.flush.epochs_version = *version;
        }
        self.flush.last_flush = now.mono;
        if task.fate_before != *self.flush.fate.lock() || !done.has_indexes {
            return Ok(());
        }
        self.flush.rootless &= !task.new_names;
        if done.has_epochs {
            self.recovery_point = self.recovery_point.max(task.up_to);
            self.flush.unflushed_bytes = self.flush.unflushed_bytes.saturating_sub(task.bytes);
        }
        let active = self.active().base_offset();
        if let Some(written) = task.producers.as_ref().filter(|_| done.has_producers) {
            self.wrote_snapshot(written);
            if task.parts.last().is_some_and(|parts| parts.base_offset == active) {
                self.flush.producers_written_at = task.active_size;
            }
        }
        for parts in &task.parts {
            let Some(number) = self.segments.number_of(parts.base_offset) else { continue };
            let Some(segment) = self.segments.get_mut(number)? else { continue };
            segment.flushed(parts);
            if parts.base_offset != active {
                segment.forget_written();
                // Whoever reads it opens it again; segments that fill quickly must not take all descriptors.
                segment.close_files();
            } else if parts.indexes.is_some() {
                self.flush.index_written_at = task.active_size;
            }
        }
        Ok(())
    }

    /// Flushes at once, in the caller's thread.
    pub fn flush_now(&mut self, now: Now) -> Result<(), StorageError> {
        let Some(task) = self.take_flush()? else { return Ok(()) };
        let outcome = task.run();
        self.flushed(&task, outcome, now)
    }

    /// A range that is worth handing to the kernel early, every few megabytes appended.
    pub fn take_writeback(&mut self) -> Option<Writeback> {
        let (from, to) = (self.flush.writeback_from, self.active().size());
        if self.offline || to.saturating_sub(from) < WRITEBACK_EVERY_BYTES {
            return None;
        }
        let file = self.active().file().ok()?;
        self.flush.writeback_from = to;
        Some(Writeback { file, from, to })
    }

    /// Makes the first segment's name durable before there is a second one: if only that outlived a power cut, the log
    /// would pass for one whose front was deleted.
    pub(super) fn sync_root(&mut self) -> Result<(), StorageError> {
        if std::mem::take(&mut self.flush.rootless) {
            self.disk.sync_dir(&self.dir).synced(&self.dir)?;
        }
        Ok(())
    }

    pub(super) fn names_sync(&self) -> NamesSync {
        NamesSync {
            disk: Arc::clone(&self.disk),
            dir: Arc::clone(&self.dir),
            fate: Arc::clone(&self.flush.fate),
        }
    }

    /// Makes a file of the partition durable with the next flush.
    pub(crate) fn sync_with_next_flush(&mut self, path: PathBuf) {
        self.flush.new_files.push(path);
    }

    /// The partition is about to be deleted ([`crate::LogDir::delete_partitions`]): from here on nothing is appended, and
    /// flushes under way leave the directory's name alone, which may soon be another partition's. Waits for one that is
    /// just using it.
    pub fn retire(&mut self) {
        self.offline = true;
        self.flush.fate.lock().retired = true;
    }

    /// Closes the log cleanly: indexes and producer snapshot are written and everything is flushed, or only written
    /// when `sync` is off because the caller syncs the whole file system afterwards. Without room for all of that the
    /// records are flushed nevertheless, and the error says that the close was not clean.
    pub fn close(&mut self, sync: bool, now: Now) -> Result<(), StorageError> {
        let written = self.guarded(Self::write_all);
        if matches!(&written, Err(error) if !error.is_for_lack_of_room()) {
            return written;
        }
        if sync {
            self.flush.closing = true;
            self.flush_now(now)?;
        } else if written.is_ok() {
            self.recovery_point = self.log_end_offset;
        }
        // Of many logs that are closed together each would keep its indexes' descriptors, until there are none.
        self.close_files();
        written
    }

    /// Writes everything that is in memory only, as far as there is room.
    fn write_all(&mut self) -> Result<(), StorageError> {
        let mut lacking = Ok(());
        let mut note = |outcome: Result<(), StorageError>| match outcome {
            Err(error) if error.is_for_lack_of_room() => {
                lacking = Err(error);
                Ok(())
            }
            outcome => outcome,
        };
        let snapshot = self.producers.write_snapshot(&*self.disk, &self.dir);
        note(snapshot.map(|path| self.flush.add_files(path)))?;
        self.active_mut().seal()?;
        for segment in self.segments.opened_mut().filter(|segment| segment.unwritten_entries() > 0) {
            note(segment.write_indexes())?;
        }
        note(self.active_mut().write_indexes())?;
        note(self.active_mut().release_reserved())?;
        if self.epochs.version() != self.flush.epochs_version {
            let contents = self.epochs.encode();
            let (disk, name) = (&*self.disk, leader_epochs::FILE_NAME);
            note(atomic_file::write_and_rename(disk, &self.dir, name, &contents, false))?;
        }
        lacking
    }
}
