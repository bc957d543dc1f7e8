//! Builds each group of broker settings from the layers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ottla_model::BrokerId;
use ottla_model::batch::Compression;

use super::layers::Layers;
use super::listeners;
use super::types::{
    CleanerConfig, ControllerConfig, FetchConfig, GroupCoordinatorConfig, ListenerLimits, LogDirsConfig,
    MemoryConfig, MigrationPolicy, NetConfig, NodeConfig, OffsetsConfig, ProducerIdConfig, QuorumVoter,
    ReplicationConfig, Roles, TopicDefaults,
};
use crate::{ConfigError, Value, synonyms};

const MINUTE_MS: i64 = 60_000;

pub(super) fn node(layers: &Layers) -> Result<NodeConfig, ConfigError> {
    Ok(NodeConfig {
        node_id: node_id(layers)?,
        roles: roles(layers),
        cluster_id: layers.non_empty("ottla.cluster.id"),
        rack: layers.non_empty("broker.rack"),
    })
}

/// `process.roles`.
pub(super) fn roles(layers: &Layers) -> Roles {
    let roles = layers.list("process.roles");
    let has = |role: &str| roles.iter().any(|have| have == role);
    Roles { broker: has("broker"), controller: has("controller") }
}

/// `node.id`, or its old name `broker.id`.
pub(super) fn node_id(layers: &Layers) -> Result<BrokerId, ConfigError> {
    let old = layers.set("broker.id").is_some() && layers.set("node.id").is_none();
    let id = layers.int(if old { "broker.id" } else { "node.id" })?;
    if id < 0 {
        return Err(ConfigError::invalid("node.id", &id.to_string(), "Value must be at least 0"));
    }
    Ok(BrokerId(id))
}

pub(super) fn net(layers: &Layers) -> Result<NetConfig, ConfigError> {
    let listeners = listeners::resolve(layers, roles(layers))?;
    Ok(NetConfig {
        listeners: listeners.served,
        advertised_listeners: listeners.advertised,
        controller_listeners: listeners.controller,
        advertised_controller_listeners: listeners.advertised_controller,
        inter_broker_listener: listeners.inter_broker,
        request_bytes_max: layers.int("socket.request.max.bytes")?,
        send_buffer_bytes: layers.int("socket.send.buffer.bytes")?,
        receive_buffer_bytes: layers.int("socket.receive.buffer.bytes")?,
        listen_backlog_size: layers.int("socket.listen.backlog.size")?,
        connections_max_idle_ms: layers.long("connections.max.idle.ms")?,
        connections_max: layers.int("max.connections")?,
        connection_creation_rate_max: layers.int("max.connection.creation.rate")?,
        listener_limits: listener_limits(layers)?,
        connections_per_ip_max: layers.int("max.connections.per.ip")?,
        connections_per_ip_overrides: connection_overrides(layers)?,
        metrics_listen: layers.non_empty("ottla.metrics.listen").filter(|address| address != "off"),
        series_partitions_max: layers.int("ottla.metrics.partitions.max")?,
        client_series_max: layers.int("ottla.metrics.client.series.max")?,
        telemetry_bytes_max: layers.int("telemetry.max.bytes")?,
        slow_request_ms: layers.long("ottla.slow.request.ms")?,
        request_partitions_max: layers.int("max.request.partition.size.limit")?,
    })
}

pub(super) fn memory(layers: &Layers) -> Result<MemoryConfig, ConfigError> {
    Ok(MemoryConfig {
        bytes_max: layers.long("ottla.memory.max.bytes")?,
        requests_bytes_max: layers.long("queued.max.request.bytes")?,
        answers_bytes_max: layers.long("ottla.memory.answers.max.bytes")?,
        parked_bytes_max: layers.long("ottla.memory.parked.max.bytes")?,
        fetch_sessions_bytes_max: layers.long("ottla.memory.fetch.sessions.max.bytes")?,
        producers_bytes_max: layers.long("ottla.memory.producers.max.bytes")?,
        groups_bytes_max: layers.long("ottla.memory.groups.max.bytes")?,
        stall_timeout_ms: layers.long("ottla.memory.stall.timeout.ms")?,
    })
}

/// Of every listener that sets a limit of its own, in any layer.
fn listener_limits(layers: &Layers) -> Result<BTreeMap<String, ListenerLimits>, ConfigError> {
    let mut limits: BTreeMap<String, ListenerLimits> = BTreeMap::new();
    for layer in [&layers.fixed, &layers.dynamic_default, &layers.dynamic_broker] {
        for (name, text) in layer {
            let Some((listener, base)) = synonyms::of_listener(name) else { continue };
            let limits = limits.entry(listener.to_ascii_uppercase()).or_default();
            let limit = match base {
                "max.connections" => &mut limits.connections_max,
                "max.connection.creation.rate" => &mut limits.creation_rate_max,
                _ => continue,
            };
            if let Some(definition) = crate::definition(crate::Scope::Broker, base)
                && let Value::Int(n) = definition.parse(text)?
            {
                *limit = Some(n);
            }
        }
    }
    Ok(limits)
}

/// `host:limit` pairs, separated by commas.
fn connection_overrides(layers: &Layers) -> Result<Vec<(String, i32)>, ConfigError> {
    const NAME: &str = "max.connections.per.ip.overrides";
    let entries = layers.list(NAME);
    entries.iter().filter(|entry| !entry.is_empty()).map(|entry| connection_override(NAME, entry)).collect()
}

fn connection_override(name: &str, entry: &str) -> Result<(String, i32), ConfigError> {
    // The words are those of the JVM's exceptions, which Kafka hands on.
    let Some((host, limit)) = entry.rsplit_once(':') else {
        let len = entry.encode_utf16().count();
        let message = format!("Error parsing configuration property '{name}': begin 0, end -1, length {len}");
        return Err(ConfigError::refused(name, message));
    };
    match limit.trim().parse() {
        Ok(limit) => Ok((host.trim().to_owned(), limit)),
        Err(_) => Err(ConfigError::refused(name, format!("For input string: \"{}\"", limit.trim()))),
    }
}

pub(super) fn log(layers: &Layers) -> Result<LogDirsConfig, ConfigError> {
    Ok(LogDirsConfig {
        dirs: log_dirs(layers)?,
        cordoned: cordoned_log_dirs(layers)?,
        alter_bytes_per_second: dynamic_rate(layers, "replica.alter.log.dirs.io.max.bytes.per.second"),
        retention_check_interval_ms: layers.long("log.retention.check.interval.ms")?,
        flush_scheduler_interval_ms: layers.long("log.flush.scheduler.interval.ms")?,
        recovery_point_checkpoint_interval_ms: layers.int("log.flush.offset.checkpoint.interval.ms")?,
        start_offset_checkpoint_interval_ms: layers.int("log.flush.start.offset.checkpoint.interval.ms")?,
        delete_delay_ms: layers.long("log.segment.delete.delay.ms")?,
        initial_task_delay_ms: layers.long("log.initial.task.delay.ms")?,
        recovery_threads_per_dir: layers.int("num.recovery.threads.per.data.dir")?,
        failure_timeout_ms: layers.long("log.dir.failure.timeout.ms")?,
    })
}

pub(super) fn cleaner(layers: &Layers) -> Result<CleanerConfig, ConfigError> {
    Ok(CleanerConfig {
        enable: layers.boolean("log.cleaner.enable")?,
        threads: layers.int("log.cleaner.threads")?,
        dedupe_buffer_bytes: layers.long("log.cleaner.dedupe.buffer.size")?,
        dedupe_load_factor: layers.double("log.cleaner.io.buffer.load.factor")?,
        io_buffer_bytes: layers.int("log.cleaner.io.buffer.size")?,
        io_bytes_per_second_max: layers.double("log.cleaner.io.max.bytes.per.second")?,
        backoff_ms: layers.long("log.cleaner.backoff.ms")?,
    })
}

fn cordoned_log_dirs(layers: &Layers) -> Result<Vec<PathBuf>, ConfigError> {
    let named = layers.list("cordoned.log.dirs");
    if named.iter().any(|name| name == "*") {
        return log_dirs(layers);
    }
    Ok(named.into_iter().filter(|name| !name.is_empty()).map(PathBuf::from).collect())
}

/// A setting that only exists dynamically; what is set has been checked.
fn dynamic_rate(layers: &Layers, name: &'static str) -> i64 {
    layers.set(name).and_then(|text| text.trim().parse().ok()).unwrap_or(i64::MAX)
}

/// `log.dirs`; `log.dir` where only that is set.
pub(super) fn log_dirs(layers: &Layers) -> Result<Vec<PathBuf>, ConfigError> {
    let old = layers.set("log.dirs").is_none() && layers.set("log.dir").is_some();
    let name = if old { "log.dir" } else { "log.dirs" };
    let dirs: Vec<PathBuf> =
        layers.list(name).into_iter().filter(|dir| !dir.is_empty()).map(PathBuf::from).collect();
    if dirs.is_empty() {
        return Err(ConfigError::conflict(
            "At least one log directory must be defined via log.dirs or log.dir.",
        ));
    }
    Ok(dirs)
}

pub(super) fn topics(layers: &Layers) -> Result<TopicDefaults, ConfigError> {
    Ok(TopicDefaults {
        auto_create_enable: layers.boolean("auto.create.topics.enable")?,
        delete_enable: layers.boolean("delete.topic.enable")?,
        num_partitions: layers.int("num.partitions")?,
        replication_factor: layers.int("default.replication.factor")?,
    })
}

pub(super) fn fetch(layers: &Layers) -> Result<FetchConfig, ConfigError> {
    Ok(FetchConfig {
        response_bytes_max: layers.int("fetch.max.bytes")?,
        sendfile_min_bytes: layers.int("ottla.fetch.sendfile.min.bytes")?,
        session_cache_slots: layers.int("max.incremental.fetch.session.cache.slots")?,
    })
}

pub(super) fn replication(layers: &Layers) -> Result<ReplicationConfig, ConfigError> {
    Ok(ReplicationConfig {
        fetchers: layers.int("num.replica.fetchers")?,
        fetch_backoff_ms: layers.int("replica.fetch.backoff.ms")?,
        fetch_bytes_max: layers.int("replica.fetch.max.bytes")?,
        fetch_bytes_min: layers.int("replica.fetch.min.bytes")?,
        fetch_response_bytes_max: layers.int("replica.fetch.response.max.bytes")?,
        fetch_wait_max_ms: layers.int("replica.fetch.wait.max.ms")?,
        leader_throttled_rate: dynamic_rate(layers, "leader.replication.throttled.rate"),
        follower_throttled_rate: dynamic_rate(layers, "follower.replication.throttled.rate"),
        to_closest_replica: is_rack_aware(layers)?,
        socket_timeout_ms: layers.int("replica.socket.timeout.ms")?,
        lag_time_max_ms: layers.long("replica.lag.time.max.ms")?,
        high_watermark_checkpoint_interval_ms: layers
            .long("replica.high.watermark.checkpoint.interval.ms")?,
    })
}

/// Kafka's two selectors of replicas (KIP-392), by the names of their classes.
fn is_rack_aware(layers: &Layers) -> Result<bool, ConfigError> {
    const NAME: &str = "replica.selector.class";
    match layers.non_empty(NAME).as_deref() {
        None | Some("org.apache.kafka.common.replica.LeaderSelector") => Ok(false),
        Some("org.apache.kafka.common.replica.RackAwareReplicaSelector") => Ok(true),
        Some(other) => Err(ConfigError::not_yet(NAME, other, "loading a class of the JVM's", "remove it")),
    }
}

pub(super) fn group_coordinator(layers: &Layers) -> Result<GroupCoordinatorConfig, ConfigError> {
    Ok(GroupCoordinatorConfig {
        classic_session_timeout_min_ms: layers.int("group.min.session.timeout.ms")?,
        classic_session_timeout_max_ms: layers.int("group.max.session.timeout.ms")?,
        classic_initial_rebalance_delay_ms: layers.int("group.initial.rebalance.delay.ms")?,
        classic_size_max: layers.int("group.max.size")?,
        consumer_session_timeout_ms: layers.int("group.consumer.session.timeout.ms")?,
        consumer_session_timeout_min_ms: layers.int("group.consumer.min.session.timeout.ms")?,
        consumer_session_timeout_max_ms: layers.int("group.consumer.max.session.timeout.ms")?,
        consumer_heartbeat_interval_ms: layers.int("group.consumer.heartbeat.interval.ms")?,
        consumer_heartbeat_interval_min_ms: layers.int("group.consumer.min.heartbeat.interval.ms")?,
        consumer_heartbeat_interval_max_ms: layers.int("group.consumer.max.heartbeat.interval.ms")?,
        consumer_assignment_interval_ms: layers.int("group.consumer.assignment.interval.ms")?,
        consumer_assignment_interval_min_ms: layers.int("group.consumer.min.assignment.interval.ms")?,
        consumer_assignment_interval_max_ms: layers.int("group.consumer.max.assignment.interval.ms")?,
        consumer_enabled: layers
            .list("group.coordinator.rebalance.protocols")
            .iter()
            .any(|p| p == "consumer"),
        consumer_size_max: layers.int("group.consumer.max.size")?,
        consumer_assignors: layers.list("group.consumer.assignors"),
        consumer_regex_refresh_interval_ms: layers.int("group.consumer.regex.refresh.interval.ms")?,
        consumer_migration_policy: migration_policy(layers),
    })
}

fn migration_policy(layers: &Layers) -> MigrationPolicy {
    let text = layers.non_empty("group.consumer.migration.policy").unwrap_or_default();
    match text.to_ascii_lowercase().as_str() {
        "disabled" => MigrationPolicy::Disabled,
        "downgrade" => MigrationPolicy::Downgrade,
        "upgrade" => MigrationPolicy::Upgrade,
        _ => MigrationPolicy::Bidirectional,
    }
}

pub(super) fn offsets(layers: &Layers) -> Result<OffsetsConfig, ConfigError> {
    Ok(OffsetsConfig {
        metadata_bytes_max: layers.int("offset.metadata.max.bytes")?,
        commit_timeout_ms: layers.int("offsets.commit.timeout.ms")?,
        retention_ms: layers.long("offsets.retention.minutes")?.saturating_mul(MINUTE_MS),
        retention_check_interval_ms: layers.long("offsets.retention.check.interval.ms")?,
        topic_compression: offsets_compression(layers)?,
        topic_num_partitions: layers.int("offsets.topic.num.partitions")?,
        topic_replication_factor: layers.short("offsets.topic.replication.factor")?,
        topic_segment_bytes: layers.int("offsets.topic.segment.bytes")?,
    })
}

/// By Kafka's numbers of codecs (`CompressionType.id`).
fn offsets_compression(layers: &Layers) -> Result<Compression, ConfigError> {
    Ok(match layers.int("offsets.topic.compression.codec")? {
        0 => Compression::None,
        1 => Compression::Gzip,
        2 => Compression::Snappy,
        3 => Compression::Lz4,
        4 => Compression::Zstd,
        other => return Err(ConfigError::conflict(format!("Unknown compression type id: {other}"))),
    })
}

pub(super) fn producer_ids(layers: &Layers) -> Result<ProducerIdConfig, ConfigError> {
    Ok(ProducerIdConfig {
        expiration_ms: layers.int("producer.id.expiration.ms")?,
        expiration_check_interval_ms: layers.int("producer.id.expiration.check.interval.ms")?,
    })
}

pub(super) fn controller(layers: &Layers) -> Result<ControllerConfig, ConfigError> {
    let metadata_dir = match layers.non_empty("metadata.log.dir") {
        Some(dir) => PathBuf::from(dir),
        None => log_dirs(layers)?.into_iter().next().unwrap_or_default(),
    };
    Ok(ControllerConfig {
        metadata_dir,
        segment_bytes: layers.int("metadata.log.segment.bytes")?,
        record_bytes_between_snapshots_max: layers.long("metadata.log.max.record.bytes.between.snapshots")?,
        snapshot_interval_max_ms: layers.long("metadata.log.max.snapshot.interval.ms")?,
        voters: voters(layers)?,
        bootstrap_servers: bootstrap_servers(layers)?,
        auto_join: layers.boolean("controller.quorum.auto.join.enable")?,
        join_voters_max: u8::try_from(layers.int("ottla.join.voters.max")?).unwrap_or(u8::MAX),
        join: None,
        listener_is_implied: false,
        election_timeout_ms: layers.int("controller.quorum.election.timeout.ms")?,
        balance_leaders_interval_s: if layers.boolean("auto.leader.rebalance.enable")? {
            Some(layers.long("leader.imbalance.check.interval.seconds")?)
        } else {
            None
        },
        elect_uncleanly_interval_ms: layers.long("unclean.leader.election.interval.ms")?,
        heartbeat_interval_ms: layers.int("broker.heartbeat.interval.ms")?,
        session_timeout_ms: layers.int("broker.session.timeout.ms")?,
    })
}

/// `controller.quorum.voters`, whose entries have been checked, by ascending id.
pub(super) fn voters(layers: &Layers) -> Result<Vec<QuorumVoter>, ConfigError> {
    const NAME: &str = "controller.quorum.voters";
    let parse = |entry: &String| {
        let (id, address) = entry.split_once('@')?;
        let (host, port) = crate::check::host_and_port(address)?;
        Some(QuorumVoter { id: BrokerId(id.trim().parse().ok()?), host: host.to_owned(), port })
    };
    let mut voters = Vec::new();
    for entry in layers.list(NAME).iter().filter(|entry| !entry.is_empty()) {
        let bad = || ConfigError::invalid(NAME, entry, "Expected id@host:port");
        voters.push(parse(entry).ok_or_else(bad)?);
    }
    voters.sort_by_key(|voter: &QuorumVoter| voter.id);
    voters.dedup_by_key(|voter| voter.id);
    Ok(voters)
}

/// `controller.quorum.bootstrap.servers`.
pub(super) fn bootstrap_servers(layers: &Layers) -> Result<Vec<(String, u16)>, ConfigError> {
    const NAME: &str = "controller.quorum.bootstrap.servers";
    let entries = layers.list(NAME).into_iter().filter(|entry| !entry.is_empty());
    let servers = entries.map(|entry| {
        let bad = || ConfigError::invalid(NAME, &entry, "Expected host:port");
        crate::check::host_and_port(&entry).map(|(host, port)| (host.to_owned(), port)).ok_or_else(bad)
    });
    servers.collect()
}
