//! Which part of a log can be compacted, how dirty it is, and which segments go together. Source: Kafka's
//! `LogCleanerManager.cleanableOffsets`, `LogToClean` and `Cleaner.groupSegmentsBySize`.

use std::ops::Range;

use ottla_model::{Offset, TimestampMs};

/// What a log offers to compaction.
///
/// ```text
///   log start       first_dirty_offset      first_uncleanable_offset       log end
///      |   clean_bytes   |     cleanable_bytes    |   active, undecided, unflushed or too young   |
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleanable {
    pub first_dirty_offset: Offset,
    /// A segment's base offset.
    pub first_uncleanable_offset: Offset,
    pub clean_bytes: u64,
    pub cleanable_bytes: u64,
    /// How long ago `max.compaction.lag.ms` wanted the first dirty record to be compacted; 0 if it did not yet.
    pub compaction_delay_ms: i64,
}

impl Cleanable {
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.clean_bytes + self.cleanable_bytes
    }

    /// Share of the dirty bytes, by which the dirtiest log is chosen.
    #[must_use]
    pub fn dirty_ratio(&self) -> f64 {
        if self.total_bytes() == 0 { 0.0 } else { self.cleanable_bytes as f64 / self.total_bytes() as f64 }
    }

    /// Whether the log is to be compacted now.
    #[must_use]
    pub fn is_due(&self, min_cleanable_dirty_ratio: f64) -> bool {
        let is_late = self.compaction_delay_ms > 0 && self.cleanable_bytes > 0;
        is_late || self.dirty_ratio() > min_cleanable_dirty_ratio
    }
}

/// A segment that is to be compacted, as it was when the plan was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) base_offset: Offset,
    /// Bytes of its `.log`.
    pub(crate) size: u32,
    pub(crate) index_bytes: u64,
    pub(crate) time_index_bytes: u64,
    pub(crate) modified: TimestampMs,
}

/// What a segment may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentLimits {
    pub(crate) bytes: u64,
    pub(crate) index_bytes: u64,
}

/// Parts `sources` into runs that fit into one segment each; `end` is the offset after the last one.
pub(super) fn groups(sources: &[Source], end: Offset, limits: SegmentLimits) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for number in 0..sources.len() {
        match groups.last_mut() {
            Some(group) if fits(&sources[group.start..=number], sources.get(number + 1), end, limits) => {
                group.end = number + 1;
            }
            _ => groups.push(number..number + 1),
        }
    }
    groups
}

fn fits(run: &[Source], next: Option<&Source>, end: Offset, limits: SegmentLimits) -> bool {
    let total = |bytes: fn(&Source) -> u64| run.iter().map(bytes).sum::<u64>();
    // Relative offsets are INT32; an empty segment adds none.
    let base = run.first().map_or(Offset::ZERO, |first| first.base_offset);
    let last_offset = next.map_or(end, |next| next.base_offset).get() - 1;
    let is_empty = run.last().is_some_and(|last| last.size == 0);
    total(|source| u64::from(source.size)) <= limits.bytes
        && total(|source| source.index_bytes) <= limits.index_bytes
        && total(|source| source.time_index_bytes) <= limits.index_bytes
        && (is_empty || i32::try_from(last_offset - base.get()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(base_offset: i64, size: u32, index_bytes: u64) -> Source {
        let base_offset = Offset(base_offset);
        Source { base_offset, size, index_bytes, time_index_bytes: 12, modified: TimestampMs(0) }
    }

    /// How many segments go together, run by run.
    fn grouped(sources: &[Source], end: i64) -> Vec<usize> {
        let groups = groups(sources, Offset(end), SegmentLimits { bytes: 100, index_bytes: 64 });
        let mut next = 0;
        for group in &groups {
            assert_eq!(group.start, next);
            next = group.end;
        }
        assert_eq!(next, sources.len());
        groups.into_iter().map(|group| group.len()).collect()
    }

    #[test]
    fn small_segments_go_together_within_the_limits() {
        let by_size = [source(0, 40, 0), source(10, 40, 0), source(20, 40, 0), source(30, 10, 0)];
        assert_eq!(grouped(&by_size, 40), [2, 2]);
        let by_index = [source(0, 1, 40), source(10, 1, 24), source(20, 1, 8)];
        assert_eq!(grouped(&by_index, 40), [2, 1]);
        let large = [source(0, 400, 0), source(10, 0, 0), source(20, 100, 0)];
        assert_eq!(grouped(&large, 40), [1, 2]);
        assert_eq!(grouped(&[], 0), [0; 0]);
    }

    #[test]
    fn offsets_stay_within_what_an_index_can_say() {
        let far = i64::from(i32::MAX);
        let sources = [source(0, 1, 0), source(10, 1, 0), source(far, 1, 0), source(far + 1, 0, 0)];
        assert_eq!(grouped(&sources[..3], far + 1), [3]);
        assert_eq!(grouped(&sources[..3], far + 2), [2, 1]);
        assert_eq!(grouped(&sources[1..], far + 50), [3]);
    }

    #[test]
    fn a_log_is_due_by_its_ratio_or_by_its_age() {
        let log = |clean_bytes, cleanable_bytes, compaction_delay_ms| Cleanable {
            clean_bytes,
            cleanable_bytes,
            compaction_delay_ms,
            ..Cleanable::default()
        };
        assert!(!log(50, 50, 0).is_due(0.5));
        assert!(log(49, 50, 0).is_due(0.5));
        assert!(log(100, 1, 1).is_due(0.5));
        assert!(!log(100, 0, 1).is_due(0.5));
        assert!(!log(0, 0, 0).is_due(0.0));
        assert!(!log(100, 0, 0).is_due(0.0));
    }
}
