//! The series of the broker as a whole.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge};

use super::api_metrics::wide;
use super::catalogue as names;
use super::histogram::Histogram;
use super::metrics::Registry;
use super::sharded::Sharded;

/// Counters that the paths of requests bump, and gauges that a scrape brings up to date.
pub struct BrokerMetrics {
    traffic: Sharded<Traffic>,
    /// Brought up to date by a scrape, as is [`Self::fetch_bytes`].
    produce_bytes: Counter,
    produce_records: Counter,
    produce_rejected_bytes: Counter,
    produce_failed: Counter,
    fetch_bytes: Counter,
    fetch_failed: Counter,
    fetch_disk_bytes: Counter,
    pub replication_bytes_in: Counter,
    pub replication_bytes_out: Counter,
    pub isr_shrinks: Counter,
    pub isr_expands: Counter,
    pub replica_lag_max: Gauge,
    pub cold_reads: Counter,
    connections: Gauge,
    connections_created: Counter,
    connections_rejected: Counter,
    pub partitions: Gauge,
    pub leaders: Gauge,
    pub under_replicated: Gauge,
    pub under_min_isr: Gauge,
    pub offline_partitions: Gauge,
    pub topics: Gauge,
    pub log_bytes: Gauge,
    pub log_segments: Gauge,
    pub log_dirs_offline: Gauge,
    pub log_dirs_full: Gauge,
    pub log_damages: Gauge,
    /// What was refused because a log dir was full.
    pub log_dir_refusals: Counter,
    pub unclean_elections: Counter,
    /// Time of each flush of a log.
    pub log_flush: Histogram,
    pub fetch_sessions: Gauge,
    pub tasks: Gauge,
    memory: [PoolMetrics; MEMORY_POOLS.len()],
    pub classic_groups: [Gauge; GroupState::CLASSIC.len()],
    pub consumer_groups: [Gauge; GroupState::CONSUMER.len()],
    pub controller_active: Gauge,
    pub metadata_offset: Gauge,
    pub(super) uptime: Gauge,
}

/// What requests that move records add to.
#[derive(Debug, Default)]
struct Traffic {
    produce_bytes: AtomicU64,
    produce_records: AtomicU64,
    fetch_bytes: AtomicU64,
}

/// The pools of the memory budget, as `ottla_memory_used_bytes` labels them.
pub const MEMORY_POOLS: [&str; 6] =
    ["requests", "answers", "parked", "fetch_sessions", "producers", "groups"];

struct PoolMetrics {
    used: Gauge,
    limit: Gauge,
    pushed_back: Counter,
}

/// A group's state, as `ottla_groups` labels it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupState {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Assigning,
    Reconciling,
    Stable,
    Dead,
}

impl GroupState {
    /// The states of classic groups, in the order of [`BrokerMetrics::classic_groups`].
    pub const CLASSIC: [Self; 5] =
        [Self::Empty, Self::PreparingRebalance, Self::CompletingRebalance, Self::Stable, Self::Dead];
    /// The states of consumer groups, in the order of [`BrokerMetrics::consumer_groups`].
    pub const CONSUMER: [Self; 5] =
        [Self::Empty, Self::Assigning, Self::Reconciling, Self::Stable, Self::Dead];

    /// The state as Kafka spells it.
    pub(crate) const fn kafka_name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::PreparingRebalance => "preparing_rebalance",
            Self::CompletingRebalance => "completing_rebalance",
            Self::Assigning => "assigning",
            Self::Reconciling => "reconciling",
            Self::Stable => "stable",
            Self::Dead => "dead",
        }
    }
}

impl BrokerMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let counter = |series| registry.counter(series, &[]);
        let gauge = |series| registry.gauge(series, &[]);
        let group = |kind, state: GroupState| {
            registry.gauge(names::GROUPS, &[("type", kind), ("state", state.name())])
        };
        registry.gauge(names::BUILD_INFO, &[("version", env!("CARGO_PKG_VERSION"))]).set(1.0);
        Self {
            traffic: Sharded::default(),
            produce_bytes: counter(names::PRODUCE_BYTES),
            produce_records: counter(names::PRODUCE_RECORDS),
            produce_rejected_bytes: counter(names::PRODUCE_REJECTED_BYTES),
            produce_failed: counter(names::PRODUCE_FAILED),
            fetch_bytes: counter(names::FETCH_BYTES),
            fetch_failed: counter(names::FETCH_FAILED),
            fetch_disk_bytes: counter(names::FETCH_DISK_BYTES),
            replication_bytes_in: counter(names::REPLICATION_BYTES_IN),
            replication_bytes_out: counter(names::REPLICATION_BYTES_OUT),
            isr_shrinks: counter(names::ISR_SHRINKS),
            isr_expands: counter(names::ISR_EXPANDS),
            replica_lag_max: gauge(names::REPLICA_LAG_MAX),
            cold_reads: counter(names::COLD_READS),
            connections: gauge(names::CONNECTIONS),
            connections_created: counter(names::CONNECTIONS_CREATED),
            connections_rejected: counter(names::CONNECTIONS_REJECTED),
            partitions: gauge(names::PARTITIONS),
            leaders: gauge(names::LEADERS),
            under_replicated: gauge(names::UNDER_REPLICATED),
            under_min_isr: gauge(names::UNDER_MIN_ISR),
            offline_partitions: gauge(names::OFFLINE),
            topics: gauge(names::TOPICS),
            log_bytes: gauge(names::LOG_BYTES),
            log_segments: gauge(names::LOG_SEGMENTS),
            log_dirs_offline: gauge(names::LOG_DIRS_OFFLINE),
            log_dirs_full: gauge(names::LOG_DIRS_FULL),
            log_damages: gauge(names::LOG_DAMAGES),
            log_dir_refusals: counter(names::LOG_DIR_REFUSALS),
            unclean_elections: counter(names::UNCLEAN_ELECTIONS),
            log_flush: Histogram::default(),
            fetch_sessions: gauge(names::FETCH_SESSIONS),
            tasks: gauge(names::TASKS),
            memory: MEMORY_POOLS.map(|pool| PoolMetrics {
                used: registry.gauge(names::MEMORY_USED, &[("pool", pool)]),
                limit: registry.gauge(names::MEMORY_LIMIT, &[("pool", pool)]),
                pushed_back: registry.counter(names::MEMORY_PUSHED_BACK, &[("pool", pool)]),
            }),
            classic_groups: GroupState::CLASSIC.map(|state| group("classic", state)),
            consumer_groups: GroupState::CONSUMER.map(|state| group("consumer", state)),
            controller_active: gauge(names::CONTROLLER_ACTIVE),
            metadata_offset: gauge(names::METADATA_OFFSET),
            uptime: gauge(names::UPTIME),
        }
    }

    /// What a pool of [`MEMORY_POOLS`] holds and may hold, in bytes, and how often it has pushed back.
    pub fn memory(&self, pool: usize, used: u64, limit: u64, pushed_back: u64) {
        if let Some(metrics) = self.memory.get(pool) {
            metrics.used.set(used as f64);
            metrics.limit.set(limit as f64);
            metrics.pushed_back.absolute(pushed_back);
        }
    }

    /// Brings the counters up to date.
    pub(super) fn settle(&self) {
        let sum = |of: fn(&Traffic) -> &AtomicU64| {
            self.traffic.all().map(|traffic| of(traffic).load(Ordering::Relaxed)).sum()
        };
        self.produce_bytes.absolute(sum(|traffic| &traffic.produce_bytes));
        self.produce_records.absolute(sum(|traffic| &traffic.produce_records));
        self.fetch_bytes.absolute(sum(|traffic| &traffic.fetch_bytes));
    }

    /// Record batches of one partition were appended.
    pub fn produced(&self, records: u64, bytes: usize) {
        let traffic = self.traffic.mine();
        traffic.produce_records.fetch_add(records, Ordering::Relaxed);
        traffic.produce_bytes.fetch_add(wide(bytes), Ordering::Relaxed);
    }

    /// Record batches of one partition were refused.
    pub fn produce_rejected(&self, bytes: usize) {
        self.produce_rejected_bytes.increment(wide(bytes));
        self.produce_failed.increment(1);
    }

    /// Record batches of one partition leave in an answer.
    pub fn fetched(&self, bytes: usize) {
        self.traffic.mine().fetch_bytes.fetch_add(wide(bytes), Ordering::Relaxed);
    }

    /// Bytes of logs were read from the disk, because what was to be sent was not in the page cache.
    pub fn fetched_from_disk(&self, bytes: usize) {
        self.fetch_disk_bytes.increment(wide(bytes));
    }

    /// One partition of a fetch was answered with an error.
    pub fn fetch_rejected(&self) {
        self.fetch_failed.increment(1);
    }

    /// A client connection was accepted and is served.
    pub fn connection_opened(&self) {
        self.connections_created.increment(1);
        self.connections.increment(1.0);
    }

    /// A served client connection has ended.
    pub fn connection_closed(&self) {
        self.connections.decrement(1.0);
    }

    /// A client connection was over a limit and closed at once.
    pub fn connection_rejected(&self) {
        self.connections_rejected.increment(1);
    }

    /// A log was flushed.
    pub fn log_flushed(&self, took: Duration) {
        self.log_flush.record(took);
    }
}

impl std::fmt::Debug for BrokerMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrokerMetrics").finish_non_exhaustive()
    }
}
