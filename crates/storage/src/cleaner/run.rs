//! One compaction of one log, in steps.

use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_model::batch::BatchHeader;
use ottla_model::{Now, Offset, ProducerId};

use crate::disk::{Disk, OpenMode};
use crate::error::{At, StorageError};
use crate::segment::{BatchRead, Chunks, Segment, Stage};

use super::copy::Copying;
use super::filter::{self, Indexed, LastRecord};
use super::offset_map::OffsetMap;
use super::plan::{SegmentLimits, Source, groups};
use super::transactions::{AbortedTxn, Transactions};

/// What a cleaning may use.
#[derive(Clone, Copy, Debug)]
pub struct CleanerSettings {
    /// Most bytes of the map of keys; less is taken where fewer records are dirty.
    pub dedupe_buffer_bytes: u64,
    /// Share of the map's slots that may be in use.
    pub dedupe_load_factor: f64,
    /// Bytes of a piece that is read or written at once; a larger batch takes what it needs.
    pub io_buffer_bytes: usize,
}

/// What a cleaning did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CleaningStats {
    /// Bytes of the dirty part that were read for the map.
    pub indexed_bytes: u64,
    pub read_bytes: u64,
    pub written_bytes: u64,
    pub segments_replaced: usize,
    /// Batches that were left as they are because they cannot be read.
    pub bad_batches: u64,
    /// Where the first of them is.
    pub first_bad_offset: Option<Offset>,
    /// Share of the map's slots in use.
    pub map_utilization: f64,
}

/// What the caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum CleaningStep {
    /// So many bytes were read and written; take the next step when it pleases.
    Worked { bytes: u64 },
    /// [`crate::PartitionLog::create_replacement`].
    WantsFiles,
    /// [`crate::PartitionLog::begin_swap`] and what follows.
    WantsSwap,
    /// [`crate::PartitionLog::finish_cleaning`].
    Done,
}

/// Why a cleaning ended early; the log is what it was, or some of its segments are already replaced.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CleanError {
    /// The log has changed under the cleaning, or is gone: begin anew.
    #[error("the log has changed meanwhile")]
    Aborted,
    /// A file cannot be read or written, or what is in it is no batch.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What is known when a cleaning begins.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: Arc<Path>,
    /// All closed segments below `end`, by base offset.
    pub(crate) sources: Vec<Source>,
    /// Base offsets of all segments: aborted transactions may be listed in later ones.
    pub(crate) all_bases: Vec<Offset>,
    /// Where the dirty part starts, and the position of the batch there.
    pub(crate) first_dirty_offset: Offset,
    pub(crate) first_dirty_position: u32,
    /// A segment's base offset.
    pub(crate) end: Offset,
    pub(crate) limits: SegmentLimits,
    pub(crate) index_interval_bytes: u32,
    pub(crate) delete_retention_ms: i64,
    pub(crate) producers: BTreeMap<ProducerId, LastRecord>,
    /// The log's count of truncations then.
    pub(crate) truncations: u64,
    pub(crate) now: Now,
}

/// A run of segments and what takes their place.
#[derive(Debug)]
pub(crate) struct Replacement {
    pub(crate) group: Range<usize>,
    pub(crate) segment: Segment,
    /// Whether it differs from the one segment that it replaces.
    pub(crate) has_changed: bool,
    pub(crate) has_txn_index: bool,
}

/// One compaction of one log. Owns what it needs, so that it goes on while the log is in use.
#[derive(Debug)]
pub struct Cleaning {
    pub(crate) plan: Plan,
    pub(super) settings: CleanerSettings,
    pub(crate) stats: CleaningStats,
    pub(super) map: OffsetMap,
    /// Keys up to here are in the map.
    pub(super) latest: Offset,
    pub(super) aborted: Option<Vec<AbortedTxn>>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Indexing(Indexing),
    Copying(Copying),
}

/// A walk over the dirty part.
struct Indexing {
    number: usize,
    position: u32,
    reader: Option<Chunks>,
    transactions: Option<Transactions>,
    end_offset: Offset,
}

impl std::fmt::Debug for Indexing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Indexing").field("number", &self.number).field("position", &self.position).finish()
    }
}

impl Cleaning {
    pub(crate) fn new(plan: Plan, settings: CleanerSettings) -> Self {
        let record_count = plan.end.get().saturating_sub(plan.first_dirty_offset.get());
        let record_count = u64::try_from(record_count).unwrap_or(0);
        let map = OffsetMap::new(settings.dedupe_buffer_bytes, settings.dedupe_load_factor, record_count);
        let first = plan.sources.partition_point(|source| source.base_offset <= plan.first_dirty_offset);
        let is_dirty = plan.first_dirty_offset < plan.end;
        let indexing = Indexing {
            number: if is_dirty { first.saturating_sub(1) } else { plan.sources.len() },
            position: plan.first_dirty_position,
            reader: None,
            transactions: None,
            end_offset: Offset(i64::MIN),
        };
        Self {
            latest: plan.first_dirty_offset.plus(-1),
            plan,
            settings,
            stats: CleaningStats::default(),
            map,
            aborted: None,
            phase: Phase::Indexing(indexing),
        }
    }

    #[must_use]
    pub fn stats(&self) -> &CleaningStats {
        &self.stats
    }

    /// The offset up to which the log is clean when this is done.
    #[must_use]
    pub fn cleaned_to(&self) -> Offset {
        self.latest.plus(1)
    }

    /// Reads and writes one piece.
    pub fn step(&mut self) -> Result<CleaningStep, CleanError> {
        if self.aborted.is_none() {
            self.aborted = Some(self.read_aborted()?);
        }
        match &mut self.phase {
            Phase::Indexing(indexing) => {
                let mut indexing = std::mem::replace(indexing, Indexing::done());
                let bytes = self.index_piece(&mut indexing)?;
                self.phase = match indexing.number >= self.plan.sources.len() {
                    false => Phase::Indexing(indexing),
                    true => Phase::Copying(Copying::new(self.groups(), self.aborted())),
                };
                Ok(CleaningStep::Worked { bytes })
            }
            Phase::Copying(copying) => {
                let mut copying = std::mem::take(copying);
                let step = self.copy_piece(&mut copying);
                self.phase = Phase::Copying(copying);
                step
            }
        }
    }

    pub(super) fn copying(&self) -> Option<&Copying> {
        if let Phase::Copying(copying) = &self.phase { Some(copying) } else { None }
    }

    pub(super) fn copying_mut(&mut self) -> Option<&mut Copying> {
        if let Phase::Copying(copying) = &mut self.phase { Some(copying) } else { None }
    }

    /// Whether a `.txnindex` may be needed.
    pub(crate) fn has_aborted(&self) -> bool {
        !self.aborted().is_empty()
    }

    fn read_aborted(&self) -> Result<Vec<AbortedTxn>, StorageError> {
        let mut aborted = Vec::new();
        for base_offset in &self.plan.all_bases {
            let path = self.plan.path(*base_offset, Stage::Live.txn_index());
            aborted.extend(AbortedTxn::read_all(&*self.plan.disk, &path)?);
        }
        Ok(aborted)
    }

    fn aborted(&self) -> &[AbortedTxn] {
        self.aborted.as_deref().unwrap_or_default()
    }

    fn groups(&mut self) -> VecDeque<Range<usize>> {
        self.stats.map_utilization = self.map.utilization();
        let reached = self.plan.sources.partition_point(|source| source.base_offset <= self.latest);
        groups(&self.plan.sources[..reached], self.plan.end, self.plan.limits).into()
    }

    /// Adds one piece of the dirty part to the map; at its end, or when the map is full, the walk is done.
    fn index_piece(&mut self, indexing: &mut Indexing) -> Result<u64, CleanError> {
        let Some(source) = self.plan.sources.get(indexing.number).copied() else { return Ok(0) };
        let from = self.plan.first_dirty_offset;
        let mut transactions = match indexing.transactions.take() {
            Some(transactions) => transactions,
            None => Transactions::new(self.aborted(), from),
        };
        let mut reader = match indexing.reader.take() {
            Some(reader) => reader,
            None => self.open(source)?,
        };
        let mut bytes = 0;
        while bytes < self.settings.io_buffer_bytes as u64 {
            let Some(batch) = self.next_batch(&mut reader, indexing.position, indexing.end_offset)? else {
                // Where the segment ends before the next one begins there is nothing.
                let next = self.plan.sources.get(indexing.number + 1);
                self.latest = next.map_or(self.plan.end, |next| next.base_offset).plus(-1).max(self.latest);
                indexing.next_segment(transactions);
                return Ok(self.indexed(bytes));
            };
            bytes += batch.size;
            indexing.advance(&batch);
            let BatchState::Sound(batch_bytes) = batch.state(&mut reader).at("read", &self.plan.dir)? else {
                self.note_bad(&batch.header);
                continue;
            };
            let indexed = filter::index(&mut self.map, &mut transactions, &batch.header, batch_bytes, from);
            match indexed {
                Ok(Indexed::Whole) => self.latest = self.latest.max(batch.header.last_offset()),
                Ok(Indexed::Until(offset)) => {
                    // The round ends here: with the batch before, or inside the first one.
                    if self.latest < from {
                        self.latest = offset.plus(-1);
                    }
                    indexing.number = self.plan.sources.len();
                    return Ok(self.indexed(bytes));
                }
                Err(_) => self.note_bad(&batch.header),
            }
        }
        indexing.reader = Some(reader);
        indexing.transactions = Some(transactions);
        Ok(self.indexed(bytes))
    }

    fn indexed(&mut self, bytes: u64) -> u64 {
        self.stats.indexed_bytes += bytes;
        bytes
    }

    pub(super) fn note_bad(&mut self, header: &BatchHeader) {
        // Seen while indexing and again while copying: the second time counts.
        if matches!(self.phase, Phase::Copying(_)) {
            self.stats.bad_batches += 1;
        }
        self.stats.first_bad_offset.get_or_insert(header.base_offset);
    }

    /// A segment's file, which retention may have renamed meanwhile.
    pub(super) fn open(&self, source: Source) -> Result<Chunks, CleanError> {
        let path = self.plan.path(source.base_offset, Stage::Live.suffixes()[0]);
        match self.plan.disk.open(&path, OpenMode::Read) {
            Ok(file) => Ok(Chunks::new(file, source.size, self.settings.io_buffer_bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(CleanError::Aborted),
            Err(error) => Err(StorageError::io("open", &path, error).into()),
        }
    }

    /// The batch at `position`, which must follow `end_offset`; `None` at the segment's end.
    pub(super) fn next_batch(
        &self,
        reader: &mut Chunks,
        position: u32,
        end_offset: Offset,
    ) -> Result<Option<BatchPlace>, StorageError> {
        let broken = |what: String| {
            StorageError::corrupt(
                &self.plan.dir,
                format!("no batch at position {position} of a segment: {what}"),
            )
        };
        match reader.batch(position).at("read", &self.plan.dir)? {
            BatchRead::End => Ok(None),
            BatchRead::Broken(error) => Err(broken(error.to_string())),
            BatchRead::Whole(header, bytes) => {
                let follows = header.base_offset >= end_offset && header.last_offset_delta >= 0;
                if !follows || header.next_offset() > self.plan.end {
                    return Err(broken(format!("offset {} is out of order", header.base_offset)));
                }
                Ok(Some(BatchPlace { header, position, size: bytes.len() as u64 }))
            }
        }
    }
}

impl Indexing {
    fn done() -> Self {
        Self {
            number: usize::MAX,
            position: 0,
            reader: None,
            transactions: None,
            end_offset: Offset(i64::MIN),
        }
    }

    fn advance(&mut self, batch: &BatchPlace) {
        self.position = batch.end();
        self.end_offset = batch.header.next_offset();
    }

    fn next_segment(&mut self, transactions: Transactions) {
        self.number += 1;
        self.position = 0;
        self.transactions = Some(transactions);
    }
}

/// A batch of the file that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchPlace {
    pub(super) header: BatchHeader,
    position: u32,
    pub(super) size: u64,
}

pub(super) enum BatchState<'a> {
    Sound(&'a [u8]),
    /// The CRC does not fit.
    Bad(&'a [u8]),
}

impl BatchPlace {
    pub(super) fn end(&self) -> u32 {
        self.position.saturating_add(u32::try_from(self.size).unwrap_or(u32::MAX))
    }

    /// The batch's bytes, and what they are worth. A CRC that does not fit is looked at twice: only what is on the disk
    /// counts.
    pub(super) fn state<'a>(&self, reader: &'a mut Chunks) -> std::io::Result<BatchState<'a>> {
        let len = usize::try_from(self.size).unwrap_or(usize::MAX);
        if self.header.verify(reader.read(self.position, len)?).is_err() {
            reader.forget();
        }
        let bytes = reader.read(self.position, len)?;
        let is_sound = self.header.verify(bytes).is_ok();
        Ok(if is_sound { BatchState::Sound(bytes) } else { BatchState::Bad(bytes) })
    }
}

impl Plan {
    pub(crate) fn path(&self, base_offset: Offset, suffix: &str) -> PathBuf {
        self.dir.join(format!("{:020}{suffix}", base_offset.get()))
    }
}
