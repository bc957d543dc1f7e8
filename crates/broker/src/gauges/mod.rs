//! What a scrape reads off the broker's state: nothing counts these while requests are served.

mod lag;
mod partitions;

use std::sync::Arc;

use ottla_group_coordinator::manage::{GroupType, ListedGroup};
use ottla_metadata::MetadataImage;
use ottla_model::BrokerId;

use crate::apis::FetchSessions;
use crate::client_metrics::Family;
use crate::groups::Groups;
use crate::memory::{Memory, SESSION_PARTITION_LEN};
use crate::services::Services;
use crate::telemetry::{BrokerMetrics, GroupState, Metrics};

/// Has each scrape bring the gauges up to date.
pub(crate) fn register(metrics: &Metrics, services: &Services) {
    let partitions = Arc::clone(&services.partitions);
    let sessions = Arc::clone(&services.fetch_sessions);
    let logs = Arc::clone(&services.logs);
    let failures = logs.failures();
    let groups = Arc::clone(&services.groups);
    let view = Arc::clone(&services.metadata);
    let memory = Arc::clone(&services.memory);
    // Not kept alive: the cleaner holds the metrics.
    let cleaner = Arc::downgrade(&services.cleaner);
    let (client_metrics, clock) = (Arc::clone(&services.client_metrics), services.clock);
    let node_id = services.identity.node_id;
    // Not kept alive after its end: it only answers that it has stopped.
    let controller = services.controller.clone();
    let tasks = tokio::runtime::Handle::try_current().ok().map(|runtime| runtime.metrics());
    let max = usize::try_from(services.config.load().net.series_partitions_max).unwrap_or(usize::MAX);
    metrics.on_scrape(Box::new(move |metrics, out| {
        let gauges = &metrics.broker;
        cluster(gauges, &view.image(), node_id);
        gauges.tasks.set(number(tasks.as_ref().map_or(0, tokio::runtime::RuntimeMetrics::num_alive_tasks)));
        // Looked at once for all that is shown of them.
        let found = partitions::find(&partitions);
        replicas(gauges, &found);
        let offline = logs.dirs().iter().filter(|dir| dir.is_offline()).count() + logs.missing().count();
        gauges.log_dirs_offline.set(number(offline));
        gauges.log_dirs_full.set(number(failures.room().full_count()));
        gauges.log_dir_refusals.absolute(failures.room().refusals());
        gauges.unclean_elections.absolute(controller.unclean_elections());
        gauges.log_damages.set(number(failures.damage().count()));
        fetch_sessions(gauges, &sessions.lock(), &memory);
        for (at, pool) in memory.pools().into_iter().enumerate() {
            gauges.memory(at, pool.used(), pool.limit(), pool.pushed_back());
        }
        if let Some(cleaner) = cleaner.upgrade() {
            cleaner.measure();
        }
        count_groups(gauges, &groups);
        client_metrics.measure(clock.now().mono);
        partitions::append(out, found, max);
        lag::append(out, &groups, &partitions, max, clock.now().wall);
        client_metrics.with_series(|series| {
            out.client_metrics(series.clients(), series.of(Family::Gauge), series.of(Family::Counter));
        });
    }));
}

/// What all replicas here have together.
fn replicas(gauges: &BrokerMetrics, found: &partitions::Found) {
    let censuses = || found.iter().map(|(_, census)| census);
    gauges.partitions.set(number(found.len()));
    gauges.log_bytes.set(wide(censuses().map(|census| census.bytes).sum()));
    gauges.log_segments.set(number(censuses().map(|census| census.segments).sum()));
    gauges.under_min_isr.set(number(censuses().filter(|census| census.is_under_min_isr).count()));
    gauges.replica_lag_max.set(wide(censuses().map(|census| census.lag).max().unwrap_or(0)));
}

fn fetch_sessions(gauges: &BrokerMetrics, sessions: &FetchSessions, memory: &Memory) {
    gauges.fetch_sessions.set(number(sessions.len()));
    let partitions = u64::try_from(sessions.partition_count()).unwrap_or(u64::MAX);
    let pushed_back = sessions.evictions() + sessions.refusals();
    memory.fetch_sessions.measured(partitions.saturating_mul(SESSION_PARTITION_LEN), pushed_back);
}

/// Groups by type and state; those of coordinators that still load are not counted.
fn count_groups(gauges: &BrokerMetrics, groups: &Groups) {
    let listed = groups.read_all(|shard| shard.list_groups(&[], &[])).unwrap_or_default();
    let listed: Vec<ListedGroup> = listed.into_iter().flatten().collect();
    let count = |kind: GroupType, state: GroupState| {
        let is_it = |group: &&ListedGroup| group.group_type == kind && group.state == state.kafka_name();
        number(listed.iter().filter(is_it).count())
    };
    for (gauge, state) in gauges.classic_groups.iter().zip(GroupState::CLASSIC) {
        gauge.set(count(GroupType::Classic, state));
    }
    for (gauge, state) in gauges.consumer_groups.iter().zip(GroupState::CONSUMER) {
        gauge.set(count(GroupType::Consumer, state));
    }
}

/// What the cluster's state says of topics and of the partitions that this broker leads.
fn cluster(gauges: &BrokerMetrics, image: &MetadataImage, node_id: BrokerId) {
    let (mut led, mut under_replicated, mut offline) = (0, 0, 0);
    let topics = image.topics();
    for (_, partition) in topics.iter().flat_map(|topic| topic.partitions()) {
        if partition.leader == BrokerId::NONE {
            offline += 1;
        }
        if partition.leader == node_id {
            led += 1;
            under_replicated += usize::from(partition.isr.len() < partition.replicas.len());
        }
    }
    gauges.topics.set(number(topics.len()));
    gauges.leaders.set(number(led));
    gauges.under_replicated.set(number(under_replicated));
    gauges.offline_partitions.set(number(offline));
    gauges.controller_active.set(if image.controller_id() == node_id { 1.0 } else { 0.0 });
    let offset = image.provenance().offset.get();
    gauges.metadata_offset.set(u64::try_from(offset).map_or(-1.0, wide));
}

fn number(count: usize) -> f64 {
    u64::try_from(count).map_or(0.0, wide)
}

fn wide(count: u64) -> f64 {
    count as f64
}
