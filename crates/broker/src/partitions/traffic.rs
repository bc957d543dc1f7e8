//! What has gone in and out of a partition since the broker started.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counted beside the partition's lock.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    produced_bytes: AtomicU64,
    produced_records: AtomicU64,
    fetched_bytes: AtomicU64,
}

/// The counters at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TrafficCounts {
    pub produced_bytes: u64,
    pub produced_records: u64,
    pub fetched_bytes: u64,
}

impl Traffic {
    /// Record batches were appended.
    pub(crate) fn produced(&self, records: u64, bytes: usize) {
        self.produced_records.fetch_add(records, Ordering::Relaxed);
        self.produced_bytes.fetch_add(wide(bytes), Ordering::Relaxed);
    }

    /// Record batches leave in an answer.
    pub(crate) fn fetched(&self, bytes: usize) {
        self.fetched_bytes.fetch_add(wide(bytes), Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> TrafficCounts {
        TrafficCounts {
            produced_bytes: self.produced_bytes.load(Ordering::Relaxed),
            produced_records: self.produced_records.load(Ordering::Relaxed),
            fetched_bytes: self.fetched_bytes.load(Ordering::Relaxed),
        }
    }
}

impl std::ops::AddAssign for TrafficCounts {
    fn add_assign(&mut self, other: Self) {
        self.produced_bytes += other.produced_bytes;
        self.produced_records += other.produced_records;
        self.fetched_bytes += other.fetched_bytes;
    }
}

fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
