//! Copying runs of segments into one each, without the records that may go.

use std::collections::VecDeque;
use std::ops::Range;

use ottla_model::Offset;

use crate::error::{At, StorageError};
use crate::segment::{Chunks, Segment, Stage};

use super::filter::{Filter, Left};
use super::run::{BatchState, CleanError, Cleaning, CleaningStep, Replacement};
use super::transactions::{AbortedTxn, Transactions};

/// Where the copying is.
#[derive(Debug, Default)]
pub(super) struct Copying {
    groups: VecDeque<Range<usize>>,
    transactions: Transactions,
    target: Option<Box<Target>>,
}

/// A segment that is being written.
struct Target {
    replacement: Replacement,
    /// The source that is being read, and where.
    number: usize,
    position: u32,
    reader: Option<Chunks>,
    end_offset: Offset,
    is_written: bool,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("replacement", &self.replacement).finish_non_exhaustive()
    }
}

impl Copying {
    pub(super) fn new(groups: VecDeque<Range<usize>>, aborted: &[AbortedTxn]) -> Self {
        Self { groups, transactions: Transactions::new(aborted, Offset::ZERO), target: None }
    }
}

impl Cleaning {
    /// The run of segments that is to be copied next.
    pub(crate) fn next_group(&self) -> Option<Range<usize>> {
        self.copying().and_then(|copying| copying.groups.front().cloned())
    }

    /// Where to write the next run to.
    pub(crate) fn set_replacement(&mut self, group: Range<usize>, segment: Segment) {
        let Some(copying) = self.copying_mut() else { return };
        copying.groups.pop_front();
        copying.target = Some(Box::new(Target {
            number: group.start,
            replacement: Replacement { group, segment, has_changed: false, has_txn_index: false },
            position: 0,
            reader: None,
            end_offset: Offset(i64::MIN),
            is_written: false,
        }));
    }

    /// The segment that is being made, or is made.
    pub(crate) fn replacement_mut(&mut self) -> Option<&mut Replacement> {
        Some(&mut self.copying_mut()?.target.as_mut()?.replacement)
    }

    /// Takes the segment that was made, once it is in its place or of no use.
    pub(crate) fn take_replacement(&mut self) -> Option<Replacement> {
        Some(self.copying_mut()?.target.take()?.replacement)
    }

    pub(super) fn copy_piece(&mut self, copying: &mut Copying) -> Result<CleaningStep, CleanError> {
        let Some(target) = &mut copying.target else {
            return Ok(if copying.groups.is_empty() { CleaningStep::Done } else { CleaningStep::WantsFiles });
        };
        if target.is_written {
            return Ok(CleaningStep::WantsSwap);
        }
        if target.number >= target.replacement.group.end {
            self.finish_target(target, &mut copying.transactions)?;
            return Ok(CleaningStep::Worked { bytes: 0 });
        }
        let bytes = self.copy_from_source(target, &mut copying.transactions)?;
        Ok(CleaningStep::Worked { bytes })
    }

    /// Copies one piece; at the end of a source the next one is at hand.
    fn copy_from_source(
        &mut self,
        target: &mut Target,
        transactions: &mut Transactions,
    ) -> Result<u64, CleanError> {
        let source = self.plan.sources[target.number];
        let mut reader = match target.reader.take() {
            Some(reader) => reader,
            None => self.open(source)?,
        };
        let group_end = target.replacement.group.end;
        let is_last_source =
            self.plan.sources[target.number + 1..group_end].iter().all(|later| later.size == 0);
        let mut out = Vec::new();
        let mut bytes = 0;
        let mut at_end = false;
        while bytes < self.settings.io_buffer_bytes as u64 {
            let Some(batch) = self.next_batch(&mut reader, target.position, target.end_offset)? else {
                at_end = true;
                break;
            };
            bytes += batch.size;
            target.position = batch.end();
            target.end_offset = batch.header.next_offset();
            // The last batch of the segment stays, if only as an empty one, so that the segment still ends where the next
            // one begins: a recovery can tell a compacted log from one that has lost a tail.
            let must_stay = is_last_source && target.position >= source.size;
            let filter = self.filter();
            let (batch_bytes, left) = match batch.state(&mut reader).at("read", &self.plan.dir)? {
                BatchState::Bad(bytes) => (bytes, None),
                BatchState::Sound(bytes) => {
                    (bytes, filter.batch(transactions, &batch.header, bytes, must_stay).ok())
                }
            };
            match &left {
                // What cannot be read is not ours to remove.
                Some(Left::Whole) | None => out.extend_from_slice(batch_bytes),
                Some(Left::Rewritten(rewritten)) => out.extend_from_slice(rewritten),
                Some(Left::Nothing) => {}
            }
            target.replacement.has_changed |= matches!(left, Some(Left::Nothing | Left::Rewritten(_)));
            if left.is_none() {
                self.note_bad(&batch.header);
            }
        }
        self.write(&mut target.replacement.segment, &out)?;
        self.stats.read_bytes += bytes;
        if at_end {
            target.number += 1;
            target.position = 0;
        } else {
            target.reader = Some(reader);
        }
        Ok(bytes + out.len() as u64)
    }

    fn filter(&self) -> Filter<'_> {
        Filter {
            map: &self.map,
            latest: self.latest,
            now: self.plan.now.wall,
            delete_retention_ms: self.plan.delete_retention_ms,
            producers: &self.plan.producers,
        }
    }

    fn write(&mut self, segment: &mut Segment, bytes: &[u8]) -> Result<(), StorageError> {
        if bytes.is_empty() {
            return Ok(());
        }
        segment.write(bytes, self.plan.now)?;
        for batch in ottla_model::batch::batches(bytes) {
            let (header, _) =
                batch.map_err(|error| StorageError::corrupt(&self.plan.dir, error.to_string()))?;
            segment.count(&header, self.plan.index_interval_bytes)?;
        }
        self.stats.written_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Makes the new segment durable, but for its names.
    fn finish_target(
        &self,
        target: &mut Target,
        transactions: &mut Transactions,
    ) -> Result<(), StorageError> {
        let replacement = &mut target.replacement;
        let sources = &self.plan.sources[replacement.group.clone()];
        let kept = transactions.take_kept();
        if let (Some(first), false) = (sources.first(), kept.is_empty()) {
            let path = self.plan.path(first.base_offset, Stage::Cleaned.txn_index());
            let mut bytes = Vec::new();
            kept.iter().for_each(|txn| txn.encode(&mut bytes));
            let file = self.plan.disk.open(&path, crate::disk::OpenMode::Write).at("open", &path)?;
            file.write_all_at(&bytes, 0).at("write", &path)?;
            file.sync_data().synced(&path)?;
            replacement.has_txn_index = true;
        }
        if let Some(last) = sources.last() {
            replacement.segment.finish(last.modified)?;
        }
        target.is_written = true;
        Ok(())
    }
}
