//! One partition's log.

mod append;
mod cleaning;
mod epochs;
mod flush;
mod open;
mod producers;
mod read;
mod retention;
mod roll;
mod segments;
mod swap;
#[cfg(test)]
mod tests;
mod timestamps;
mod truncate;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ottla_model::{LeaderEpoch, Now, Offset, ProducerId, TopicPartition};
use parking_lot::Mutex;

use crate::config::LogConfig;
use crate::disk::Disk;
use crate::error::StorageError;
use crate::leader_epochs::{EpochEnd, EpochStart, LeaderEpochs};
use crate::producer::{ActiveProducer, ProducerState};
use crate::segment::{Segment, segment_len};

use read::PositionCache;
use retention::DeletedFiles;
use segments::Segments;

pub use flush::{FlushDone, FlushTask, NamesSync, Writeback};
pub use open::LogStart;

pub use retention::RetentionRun;
pub use timestamps::TimedBatch;

/// The log of one partition: one owner appends, reads hand out slices of its files. Nothing here waits, except for
/// the disk.
///
/// ```text
///   log_start_offset <= recovery_point <= log_end_offset
///        |                   |                 |
///        first readable      all below is      offset of the
///        record              on disk           next record
/// ```
pub struct PartitionLog {
    disk: Arc<dyn Disk>,
    dir: Arc<Path>,
    topic_partition: TopicPartition,
    config: Arc<LogConfig>,
    segments: Segments,
    log_start_offset: Offset,
    log_end_offset: Offset,
    recovery_point: Offset,
    epochs: LeaderEpochs,
    producers: ProducerState,
    flush: flush::FlushState,
    deleted: Vec<DeletedFiles>,
    /// Everything below is compacted (`cleaner-offset-checkpoint`); `None` if it never was.
    cleaned_to: Option<Offset>,
    /// The base offset of a compacted segment whose files are called `.swap`.
    swap: Option<Offset>,
    /// Set by a failure of the disk: nothing is trusted, and nothing more is written.
    offline: bool,
    positions: Mutex<PositionCache>,
    /// Recovery has cut the log.
    was_cut: bool,
}

/// Looks at the files whose sizes a log does not know yet, without the log: afterwards asking them waits for no disk.
#[derive(Debug)]
#[must_use = "it does nothing until it runs"]
pub struct SizeLookup {
    disk: Arc<dyn Disk>,
    dir: Arc<Path>,
    bases: Vec<Offset>,
}

impl SizeLookup {
    /// Brings what the file system knows of the files into memory. What fails fails again where it is used.
    pub fn run(&self) {
        for base_offset in &self.bases {
            let _ = segment_len(&*self.disk, &self.dir, *base_offset);
        }
    }
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
    #[must_use]
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// The partition's directory.
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

    /// Everything below is on disk.
    #[must_use]
    pub fn recovery_point(&self) -> Offset {
        self.recovery_point
    }

    /// What `log-start-offset-checkpoint` must remember: `None` if the first segment's name says the same.
    #[must_use]
    pub fn log_start_to_checkpoint(&self) -> Option<Offset> {
        Some(self.log_start_offset).filter(|offset| *offset > self.segments.first_base())
    }

    /// Bytes of all segments' records. Of segments that were found at the start and not used since, the file is asked
    /// first ([`SizeLookup`]).
    pub fn size_bytes(&self) -> Result<u64, StorageError> {
        self.segments.sizes(0..self.segments.len())
    }

    /// What [`PartitionLog::size_bytes`] would have to ask the disk; `None` if all is known.
    #[must_use]
    pub fn size_lookup(&self) -> Option<SizeLookup> {
        let bases = self.segments.unsized_bases();
        let (disk, dir) = (Arc::clone(&self.disk), Arc::clone(&self.dir));
        (!bases.is_empty()).then_some(SizeLookup { disk, dir, bases })
    }

    #[must_use]
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// The leader epoch of the latest record, or the latest one assigned.
    #[must_use]
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.latest().map(|entry| entry.epoch)
    }

    /// All known leader epochs, ascending.
    #[must_use]
    pub fn epochs(&self) -> &[EpochStart] {
        self.epochs.entries()
    }

    /// Notes that a new leader's epoch starts at the log end offset: done when this replica becomes the leader.
    pub fn assign_epoch(&mut self, epoch: LeaderEpoch) {
        self.epochs.assign(epoch, self.log_end_offset);
    }

    /// End offset of the largest epoch <= `epoch` (KIP-279), exclusive; `None` if the log cannot tell.
    #[must_use]
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        self.epochs.end_offset_for(epoch, self.log_end_offset)
    }

    /// The leader epoch of the record at `offset`.
    #[must_use]
    pub fn epoch_of(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.epochs.epoch_of(offset)
    }

    /// The producers that the log remembers (DescribeProducers), by id.
    pub fn active_producers(&self) -> impl ExactSizeIterator<Item = ActiveProducer> {
        self.producers.active()
    }

    /// First offset of the oldest transaction without a marker: a bound of the last stable offset.
    #[must_use]
    pub fn first_undecided_offset(&self) -> Option<Offset> {
        self.producers.first_undecided_offset()
    }

    /// Where the batch begins that the log starts in; the log's end if it holds none.
    pub(crate) fn first_batch_offset(&self) -> Result<Offset, StorageError> {
        for segment in self.segments.starting_at(self.segments.number_for(self.log_start_offset)) {
            if let Some(batch) = segment?.locate(self.log_start_offset)? {
                return Ok(batch.header.base_offset.min(self.log_start_offset));
            }
        }
        Ok(self.log_end_offset)
    }

    /// Takes over what a copy of the batches does not carry: the start, and the epochs.
    pub(crate) fn continue_from(&mut self, current: &Self) {
        self.increment_log_start_offset(current.log_start_offset);
        self.epochs.adopt(&current.epochs);
        self.flush.succeed(&current.flush);
    }

    /// How many producers the log remembers.
    pub fn producer_count(&self) -> usize {
        self.producers.len()
    }

    /// Whether the log remembers this producer.
    pub fn knows_producer(&self, producer_id: ProducerId) -> bool {
        self.producers.knows(producer_id)
    }

    /// Forgets producers that wrote nothing for `silent_ms`, though `producer.id.expiration.ms` may be longer.
    pub fn forget_silent_producers(&mut self, now: Now, silent_ms: i64) {
        self.producers.expire(now.wall, silent_ms.min(self.config.producer_id_expiration_ms));
    }

    /// Forgets producers that wrote nothing for `producer.id.expiration.ms`.
    pub fn expire_producers(&mut self, now: Now) {
        self.producers.expire(now.wall, self.config.producer_id_expiration_ms);
    }

    /// Whether an earlier failure of the disk took the log offline.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// Takes the log offline: every later append, read and flush is refused.
    pub fn set_offline(&mut self) {
        self.offline = true;
    }

    /// Closes all files; they are opened again when needed.
    pub fn close_files(&self) {
        self.segments.opened().for_each(Segment::close_files);
    }

    /// Closes the files that nobody used since the last call; they are opened again when needed.
    pub fn close_idle_files(&self) {
        self.segments.opened().for_each(Segment::close_idle_files);
    }

    fn active(&self) -> &Segment {
        self.segments.active()
    }

    fn active_mut(&mut self) -> &mut Segment {
        self.segments.active_mut()
    }

    /// The segment from which on something may not be on disk. One that ends at the recovery point is included: its
    /// indexes are written after its records.
    fn first_unflushed(&self) -> usize {
        self.segments.count_while(|base| base < self.recovery_point).saturating_sub(1)
    }

    fn check_online(&self) -> Result<(), StorageError> {
        if self.offline { Err(StorageError::Offline { path: self.dir.to_path_buf() }) } else { Ok(()) }
    }

    /// Runs what touches the disk; a failure takes the log offline, unless it is for lack of room: then `act` has left
    /// log and disk as they were.
    fn guarded<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        self.check_online()?;
        act(self).inspect_err(|error| self.offline |= !error.is_for_lack_of_room())
    }

    /// Runs what must not end half way: any failure takes the log offline.
    fn guarded_to_the_end<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        self.check_online()?;
        act(self).inspect_err(|_| self.offline = true)
    }
}
