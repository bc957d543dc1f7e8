//! The series of log compaction.

use metrics::{Counter, Gauge};
use ottla_storage::CleaningStats;

use super::catalogue as names;
use super::metrics::Registry;

/// Counters that the cleaner threads bump, and gauges that a scrape brings up to date.
pub struct CleanerMetrics {
    cleanings: Counter,
    read_bytes: Counter,
    written_bytes: Counter,
    bad_batches: Counter,
    failures: [(&'static str, Counter); 3],
    pub threads: Gauge,
    pub dead_threads: Gauge,
    /// Of the dirtiest log, 0 to 1.
    pub dirty_ratio_max: Gauge,
    pub compaction_delay_max: Gauge,
    pub since_last_run: Gauge,
    pub uncleanable_partitions: Gauge,
    pub uncleanable_bytes: Gauge,
    /// Bytes written by bytes read, of the last cleanings.
    pub recopy_ratio: Gauge,
    pub clean_seconds_max: Gauge,
    pub map_utilization_max: Gauge,
}

impl CleanerMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let counter = |series| registry.counter(series, &[]);
        let gauge = |series| registry.gauge(series, &[]);
        let failure = |reason| (reason, registry.counter(names::CLEANER_FAILURES, &[("reason", reason)]));
        Self {
            cleanings: counter(names::CLEANER_CLEANINGS),
            read_bytes: counter(names::CLEANER_READ_BYTES),
            written_bytes: counter(names::CLEANER_WRITTEN_BYTES),
            bad_batches: counter(names::CLEANER_BAD_BATCHES),
            failures: ["corrupt", "io", "panic"].map(failure),
            threads: gauge(names::CLEANER_THREADS),
            dead_threads: gauge(names::CLEANER_DEAD_THREADS),
            dirty_ratio_max: gauge(names::CLEANER_DIRTY_RATIO),
            compaction_delay_max: gauge(names::CLEANER_COMPACTION_DELAY),
            since_last_run: gauge(names::CLEANER_SINCE_LAST_RUN),
            uncleanable_partitions: gauge(names::CLEANER_UNCLEANABLE_PARTITIONS),
            uncleanable_bytes: gauge(names::CLEANER_UNCLEANABLE_BYTES),
            recopy_ratio: gauge(names::CLEANER_RECOPY_RATIO),
            clean_seconds_max: gauge(names::CLEANER_CLEAN_SECONDS),
            map_utilization_max: gauge(names::CLEANER_MAP_UTILIZATION),
        }
    }

    /// A log was compacted.
    pub fn cleaned(&self, stats: &CleaningStats) {
        self.cleanings.increment(1);
        self.read_bytes.increment(stats.indexed_bytes + stats.read_bytes);
        self.written_bytes.increment(stats.written_bytes);
        self.bad_batches.increment(stats.bad_batches);
    }

    /// A log could not be compacted.
    pub fn failed(&self, reason: &str) {
        if let Some((_, counter)) = self.failures.iter().find(|(known, _)| *known == reason) {
            counter.increment(1);
        }
    }
}

impl std::fmt::Debug for CleanerMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CleanerMetrics").finish_non_exhaustive()
    }
}
