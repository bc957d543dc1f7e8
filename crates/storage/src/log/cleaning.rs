//! What compaction asks of a log, shortly and under its lock: how dirty it is, and to put compacted segments in the
//! place of others. The work between is [`Cleaning`]'s.

use std::sync::Arc;

use ottla_model::{Now, Offset};

use crate::cleaner::{
    CleanError, Cleanable, CleanerSettings, Cleaning, Plan, Replacement, SegmentLimits, Source,
};
use crate::disk::OpenMode;
use crate::error::{At, StorageError, if_room};
use crate::segment::{DELETED, Segment, Stage};

use super::PartitionLog;
use super::flush::NamesSync;
use super::open::remove_if_exists;
use super::retention::DeletedFiles;

impl PartitionLog {
    /// Everything below is compacted; `None` if it never was.
    #[must_use]
    pub fn cleaned_to(&self) -> Option<Offset> {
        self.cleaned_to
    }

    /// What there is to compact. Never the active segment, nothing from `last_stable_offset` on (undecided or not
    /// committed), nothing that is younger than `min.compaction.lag.ms`, and nothing that is not yet on the disk: of two
    /// records of a key a power cut could otherwise take both.
    pub fn cleanable(&mut self, last_stable_offset: Offset, now: Now) -> Result<Cleanable, StorageError> {
        self.check_online()?;
        let valid = self.log_start_offset..=self.log_end_offset;
        let known = self.cleaned_to.filter(|offset| valid.contains(offset));
        let first_dirty = known.unwrap_or(self.log_start_offset);
        let end = last_stable_offset
            .min(self.recovery_point)
            .min(self.active().base_offset())
            .min(self.first_too_young(first_dirty, now)?);
        let segment_start = |offset| self.segments.base(self.segments.number_for(offset)).unwrap_or(offset);
        let end = segment_start(end.max(first_dirty));
        let dirty_from = segment_start(first_dirty.min(end));
        let bytes = |from: Offset, below: Offset| {
            let upto = |offset| self.segments.count_while(|base| base < offset);
            self.segments.sizes(upto(from)..upto(below))
        };
        Ok(Cleanable {
            first_dirty_offset: first_dirty,
            first_uncleanable_offset: end,
            clean_bytes: bytes(Offset::ZERO, first_dirty)?,
            cleanable_bytes: bytes(dirty_from, end)?,
            compaction_delay_ms: self.compaction_delay_ms(first_dirty, now)?,
        })
    }

    /// Base offset of the first dirty segment that has a record younger than `min.compaction.lag.ms`.
    fn first_too_young(&mut self, first_dirty: Offset, now: Now) -> Result<Offset, StorageError> {
        let lag_ms = self.config.min_compaction_lag_ms;
        if lag_ms > 0 {
            let border = now.wall.get().saturating_sub(lag_ms);
            for number in self.segments.number_for(first_dirty)..self.segments.last() {
                let Some(segment) = self.segments.get_mut(number)? else { break };
                if segment.retention_timestamp()?.get() > border {
                    return Ok(segment.base_offset());
                }
            }
        }
        Ok(self.active().base_offset())
    }

    fn compaction_delay_ms(&mut self, first_dirty: Offset, now: Now) -> Result<i64, StorageError> {
        let lag_ms = self.config.max_compaction_lag_ms;
        if lag_ms == i64::MAX {
            return Ok(0);
        }
        let mut earliest = i64::MAX;
        for number in self.segments.number_for(first_dirty)..self.segments.last() {
            let Some(segment) = self.segments.get_mut(number)? else { break };
            let timestamp = segment.first_timestamp()?.map(|timestamp| timestamp.get());
            earliest = earliest.min(timestamp.filter(|ms| *ms > 0).unwrap_or(i64::MAX));
        }
        Ok(now.wall.get().saturating_sub(lag_ms.max(0)).saturating_sub(earliest).max(0))
    }

    /// Starts to compact what `cleanable` says.
    pub fn begin_cleaning(
        &mut self,
        cleanable: &Cleanable,
        settings: CleanerSettings,
        now: Now,
    ) -> Result<Cleaning, StorageError> {
        self.check_online()?;
        let (first_dirty, end) = (cleanable.first_dirty_offset, cleanable.first_uncleanable_offset);
        // What a cleaning has seen was on the disk, also where an older recovery point was found after a crash.
        let on_disk = self.recovery_point.max(first_dirty);
        let first_dirty_position = match self.segments.get(self.segments.number_for(first_dirty))? {
            Some(dirty) => dirty.locate(first_dirty)?.map_or(dirty.size(), |batch| batch.position),
            None => 0,
        };
        let sources = self.segments.starting_at(0).take(self.segments.count_while(|base| base < end));
        let sources = sources.map(|segment| segment.map(source)).collect::<Result<_, _>>()?;
        let plan = Plan {
            disk: Arc::clone(&self.disk),
            dir: Arc::clone(&self.dir),
            sources,
            all_bases: self.segments.bases().collect(),
            first_dirty_offset: first_dirty,
            first_dirty_position,
            end,
            limits: SegmentLimits {
                bytes: u64::from(self.config.segment_bytes),
                index_bytes: u64::from(self.config.segment_index_bytes),
            },
            index_interval_bytes: self.config.index_interval_bytes,
            delete_retention_ms: self.config.delete_retention_ms,
            producers: self.producers.last_records(on_disk),
            truncations: self.flush.truncations(),
            now,
        };
        Ok(Cleaning::new(plan, settings))
    }

    /// Makes the files of the next compacted segment.
    pub fn create_replacement(&mut self, cleaning: &mut Cleaning, now: Now) -> Result<(), CleanError> {
        let Some(group) = cleaning.next_group() else { return Ok(()) };
        let (_, base_offset) = self.find_sources(cleaning, &group)?;
        let segment = Segment::create_at(&self.disk, &self.dir, base_offset, Stage::Cleaned, now)?;
        if cleaning.has_aborted() {
            let path = cleaning.plan.path(base_offset, Stage::Cleaned.txn_index());
            self.disk.open(&path, OpenMode::Truncate).at("create", &path)?;
        }
        cleaning.set_replacement(group, segment);
        Ok(())
    }

    /// Declares the compacted segment complete: from now on a crash leaves it, not what it replaces. When the names are
    /// durable ([`NamesSync::run`], outside the lock) comes [`PartitionLog::finish_swap`]. `None` if nothing would
    /// change.
    pub fn begin_swap(&mut self, cleaning: &mut Cleaning) -> Result<Option<NamesSync>, CleanError> {
        let Some(group) = cleaning.replacement_mut().map(|replacement| replacement.group.clone()) else {
            return Ok(None);
        };
        let (_, base_offset) = self.find_sources(cleaning, &group)?;
        let Some(replacement) = cleaning.replacement_mut() else { return Ok(None) };
        if group.len() == 1 && !replacement.has_changed {
            cleaning.take_replacement();
            self.remove_stage(Stage::Cleaned, base_offset)?;
            return Ok(None);
        }
        let [from, to] = [Stage::Cleaned, Stage::Swap].map(|stage| self.path(base_offset, stage.txn_index()));
        if replacement.has_txn_index {
            self.disk.rename(&from, &to).at("rename", &from)?;
        } else {
            remove_if_exists(&*self.disk, &from)?;
        }
        self.swap = Some(base_offset);
        replacement.segment.rename(Stage::Swap)?;
        Ok(Some(self.names_sync()))
    }

    /// Puts the compacted segment in its place. Readers go on with the slices that they hold; the files of the segments
    /// that it replaces are removed after `file.delete.delay.ms`. The names must be durable ([`NamesSync::run`], outside
    /// the lock) before the next replacement is begun: what is left of that after a power cut would undo this one.
    pub fn finish_swap(
        &mut self,
        cleaning: &mut Cleaning,
        now: Now,
    ) -> Result<Option<NamesSync>, CleanError> {
        let Some(Replacement { group, .. }) = cleaning.replacement_mut() else { return Ok(None) };
        let group = group.clone();
        let (first, base_offset) = self.find_sources(cleaning, &group)?;
        if self.swap != Some(base_offset) {
            return Err(CleanError::Aborted);
        }
        let Some(replacement) = cleaning.take_replacement() else { return Ok(None) };
        self.guarded_to_the_end(|log| log.put_in_place(first, replacement, now))?;
        cleaning.stats.segments_replaced += group.len();
        Ok(Some(self.names_sync()))
    }

    fn put_in_place(
        &mut self,
        first: usize,
        mut replacement: Replacement,
        now: Now,
    ) -> Result<(), StorageError> {
        let base_offset = replacement.segment.base_offset();
        let after = first + replacement.group.len();
        // The order is what `swap::finish_interrupted` relies on: what goes, then what comes, the `.log` before the
        // `.txnindex`.
        let gone: Vec<Offset> = self.segments.bases().take(after).skip(first).collect();
        for base_offset in gone.iter().rev() {
            self.mark_deleted(*base_offset)?;
            self.deleted.push(DeletedFiles { base_offset: *base_offset, at: now.mono });
        }
        if !if_room(replacement.segment.rename(Stage::Live))? {
            // There is no way back; but room, once what was replaced is gone.
            for base_offset in &gone {
                self.remove_segment_files(*base_offset, DELETED)?;
            }
            replacement.segment.rename(Stage::Live)?;
        }
        if replacement.has_txn_index {
            let [from, to] =
                [Stage::Swap, Stage::Live].map(|stage| self.path(base_offset, stage.txn_index()));
            self.disk.rename(&from, &to).at("rename", &from)?;
        }
        self.swap = None;
        self.segments.replace(first..after, replacement.segment);
        self.positions.lock().clear();
        self.producers.delete_snapshots(&*self.disk, &self.dir, |offset| gone[1..].contains(&offset))?;
        self.flush.add_directory_entries();
        Ok(())
    }

    /// Notes how far the log is compacted; gives the offset for the checkpoint.
    pub fn finish_cleaning(&mut self, cleaning: &Cleaning) -> Result<Offset, CleanError> {
        if self.is_void(cleaning) {
            return Err(CleanError::Aborted);
        }
        let offset = cleaning.cleaned_to().max(self.log_start_offset);
        self.cleaned_to = Some(offset);
        Ok(offset)
    }

    /// Whether the log is no more what the cleaning takes it for, so that an error of it means nothing.
    #[must_use]
    pub fn is_void(&self, cleaning: &Cleaning) -> bool {
        self.offline
            || self.dir != cleaning.plan.dir
            || !self.config.cleanup_policy.compact
            || self.flush.truncations() != cleaning.plan.truncations
    }

    /// Removes what an ended cleaning leaves behind.
    pub fn abandon_cleaning(&mut self, cleaning: &mut Cleaning) -> Result<(), StorageError> {
        // Offline: the directory may be another partition's by now, or is on a disk that has failed.
        if self.offline {
            return Ok(());
        }
        self.cancel_swap()?;
        let Some(replacement) = cleaning.take_replacement() else { return Ok(()) };
        self.remove_stage(Stage::Cleaned, replacement.segment.base_offset())
    }

    /// Takes back [`PartitionLog::begin_swap`]: what was to be replaced changes.
    pub(super) fn cancel_swap(&mut self) -> Result<(), StorageError> {
        let Some(base_offset) = self.swap.take() else { return Ok(()) };
        // Also those that were not yet renamed.
        self.remove_stage(Stage::Swap, base_offset)?;
        self.remove_stage(Stage::Cleaned, base_offset)?;
        self.disk.sync_dir(&self.dir).synced(&self.dir)
    }

    /// Removes the files of a replacement: what `swap::finish_interrupted` would bring back by itself, then the `.log`,
    /// without which the others are nothing.
    fn remove_stage(&self, stage: Stage, base_offset: Offset) -> Result<(), StorageError> {
        for suffix in [stage.txn_index()].into_iter().chain(stage.suffixes()) {
            remove_if_exists(&*self.disk, &self.path(base_offset, suffix))?;
        }
        Ok(())
    }

    fn path(&self, base_offset: Offset, suffix: &str) -> std::path::PathBuf {
        self.dir.join(format!("{:020}{suffix}", base_offset.get()))
    }

    /// The number of the first of the group's segments and its base offset, if all are still there as they were.
    fn find_sources(
        &self,
        cleaning: &Cleaning,
        group: &std::ops::Range<usize>,
    ) -> Result<(usize, Offset), CleanError> {
        let wanted = cleaning.plan.sources.get(group.clone()).unwrap_or_default();
        let base_offset = wanted.first().map(|first| first.base_offset).ok_or(CleanError::Aborted)?;
        let first = self.segments.number_of(base_offset).ok_or(CleanError::Aborted)?;
        for (number, source) in (first..).zip(wanted) {
            let is_there = self.segments.base(number) == Some(source.base_offset);
            if !is_there || self.segments.size(number)? != u64::from(source.size) {
                return Err(CleanError::Aborted);
            }
        }
        if self.is_void(cleaning) { Err(CleanError::Aborted) } else { Ok((first, base_offset)) }
    }
}

fn source(segment: &Segment) -> Source {
    Source {
        base_offset: segment.base_offset(),
        size: segment.size(),
        index_bytes: segment.index().bytes(),
        time_index_bytes: segment.time_index().bytes(),
        modified: segment.modified(),
    }
}
