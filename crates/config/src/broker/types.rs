//! The groups of broker settings that Ottla uses.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ottla_model::BrokerId;
use ottla_model::batch::Compression;

/// Who this node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// `node.id`.
    pub node_id: BrokerId,
    /// `process.roles`.
    pub roles: Roles,
    /// `ottla.cluster.id`: the id of a new cluster; a random one without.
    pub cluster_id: Option<String>,
    /// `broker.rack`.
    pub rack: Option<String>,
}

/// What a node is; at least one of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Serves clients, and keeps their records.
    pub broker: bool,
    /// Keeps the cluster's metadata, and may vote.
    pub controller: bool,
}

/// One entry of `listeners` or `advertised.listeners`: `NAME://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Upper case, as clients never see it and Kafka compares it.
    pub name: String,
    /// Empty: all interfaces.
    pub host: String,
    /// 0 in `listeners`: any free port.
    pub port: u16,
}

/// What a listener may set for itself, as `listener.name.NAME.` before the setting's name (KIP-612).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerLimits {
    /// `max.connections` of the listener.
    pub connections_max: Option<i32>,
    /// `max.connection.creation.rate` of the listener, connections a second.
    pub creation_rate_max: Option<i32>,
}

/// Listeners, sockets and requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetConfig {
    /// The listeners that Kafka clients are served on.
    pub listeners: Vec<Listener>,
    /// What Metadata tells clients, one for each listener, in the same order. Port 0 where the listener's is 0.
    pub advertised_listeners: Vec<Listener>,
    /// Listeners of `controller.listener.names`: where voters and brokers reach this node's controller.
    pub controller_listeners: Vec<Listener>,
    /// Where other nodes find them, one for each, in the same order.
    pub advertised_controller_listeners: Vec<Listener>,
    /// `inter.broker.listener.name`.
    pub inter_broker_listener: String,
    /// `socket.request.max.bytes`.
    pub request_bytes_max: i32,
    /// `socket.send.buffer.bytes`; -1: the system's default.
    pub send_buffer_bytes: i32,
    /// `socket.receive.buffer.bytes`; -1: the system's default.
    pub receive_buffer_bytes: i32,
    /// `socket.listen.backlog.size`.
    pub listen_backlog_size: i32,
    /// `connections.max.idle.ms`; negative: never closed for idleness.
    pub connections_max_idle_ms: i64,
    /// `max.connections`.
    pub connections_max: i32,
    /// `max.connection.creation.rate`: connections a second, over all listeners.
    pub connection_creation_rate_max: i32,
    /// What listeners set for themselves, by name (upper case).
    pub listener_limits: BTreeMap<String, ListenerLimits>,
    /// `max.connections.per.ip`.
    pub connections_per_ip_max: i32,
    /// `max.connections.per.ip.overrides`: (host or address, limit).
    pub connections_per_ip_overrides: Vec<(String, i32)>,
    /// `ottla.metrics.listen`: `HOST:PORT` of `/metrics` and `/health`; none where it is `off`.
    pub metrics_listen: Option<String>,
    /// `ottla.metrics.partitions.max`: partitions with series of their own; -1: all.
    pub series_partitions_max: i32,
    /// `ottla.metrics.client.series.max`: series of what clients push.
    pub client_series_max: i32,
    /// `telemetry.max.bytes`: of a client's push, packed and unpacked.
    pub telemetry_bytes_max: i32,
    /// `ottla.slow.request.ms`: a request that takes longer is logged; -1: none is.
    pub slow_request_ms: i64,
    /// `max.request.partition.size.limit`: partitions in one DescribeTopicPartitions answer.
    pub request_partitions_max: i32,
}

/// Where logs live and how often their housekeeping runs. A partition's own settings are a [`crate::TopicConfig`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirsConfig {
    /// `log.dirs`, or `log.dir`.
    pub dirs: Vec<PathBuf>,
    /// `cordoned.log.dirs`, those of `dirs` that get no new replicas; `*` is all of them.
    pub cordoned: Vec<PathBuf>,
    /// `replica.alter.log.dirs.io.max.bytes.per.second`; `i64::MAX`: no limit.
    pub alter_bytes_per_second: i64,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval_ms: i64,
    /// `log.flush.scheduler.interval.ms`; `i64::MAX`: no scheduled flush.
    pub flush_scheduler_interval_ms: i64,
    /// `log.flush.offset.checkpoint.interval.ms`: the recovery points.
    pub recovery_point_checkpoint_interval_ms: i32,
    /// `log.flush.start.offset.checkpoint.interval.ms`: the log start offsets.
    pub start_offset_checkpoint_interval_ms: i32,
    /// `log.segment.delete.delay.ms`: how long the files of removed logs stay.
    pub delete_delay_ms: i64,
    /// `log.initial.task.delay.ms`: before the first housekeeping.
    pub initial_task_delay_ms: i64,
    /// `num.recovery.threads.per.data.dir`.
    pub recovery_threads_per_dir: i32,
    /// `log.dir.failure.timeout.ms`: how long the controller may not know of a failed dir before the broker stops.
    pub failure_timeout_ms: i64,
}

/// Log compaction (`log.cleaner.*`). What a topic may say itself is in [`crate::TopicConfig`].
#[derive(Clone, Debug, PartialEq)]
pub struct CleanerConfig {
    /// `log.cleaner.enable`.
    pub enable: bool,
    /// `log.cleaner.threads`.
    pub threads: i32,
    /// `log.cleaner.dedupe.buffer.size`: the most that all threads' maps of keys take.
    pub dedupe_buffer_bytes: i64,
    /// `log.cleaner.io.buffer.load.factor`: the share of those maps that may be in use.
    pub dedupe_load_factor: f64,
    /// `log.cleaner.io.buffer.size`: of all threads.
    pub io_buffer_bytes: i32,
    /// `log.cleaner.io.max.bytes.per.second`: read and written, of all threads.
    pub io_bytes_per_second_max: f64,
    /// `log.cleaner.backoff.ms`: between two looks for something to compact.
    pub backoff_ms: i64,
}

/// What a topic gets that is created without saying it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDefaults {
    /// `auto.create.topics.enable`.
    pub auto_create_enable: bool,
    /// `delete.topic.enable`.
    pub delete_enable: bool,
    /// `num.partitions`.
    pub num_partitions: i32,
    /// `default.replication.factor`.
    pub replication_factor: i32,
}

/// Fetch limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchConfig {
    /// `fetch.max.bytes`: the most that one answer carries.
    pub response_bytes_max: i32,
    /// `ottla.fetch.sendfile.min.bytes`: from this length on slices leave by sendfile; 0: none do.
    pub sendfile_min_bytes: i32,
    /// `max.incremental.fetch.session.cache.slots`.
    pub session_cache_slots: i32,
}

/// How followers fetch, and when they lag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationConfig {
    /// `num.replica.fetchers`, for each leader.
    pub fetchers: i32,
    /// `replica.fetch.backoff.ms`.
    pub fetch_backoff_ms: i32,
    /// `replica.fetch.max.bytes`, of one partition.
    pub fetch_bytes_max: i32,
    /// `replica.fetch.min.bytes`.
    pub fetch_bytes_min: i32,
    /// `replica.fetch.response.max.bytes`, of one answer.
    pub fetch_response_bytes_max: i32,
    /// `replica.fetch.wait.max.ms`.
    pub fetch_wait_max_ms: i32,
    /// `replica.selector.class`: consumers are sent to a replica in their rack (KIP-392), if it is Kafka's rack-aware one.
    pub to_closest_replica: bool,
    /// `leader.replication.throttled.rate`, bytes a second; `i64::MAX`: no limit.
    pub leader_throttled_rate: i64,
    /// `follower.replication.throttled.rate`, bytes a second; `i64::MAX`: no limit.
    pub follower_throttled_rate: i64,
    /// `replica.socket.timeout.ms`.
    pub socket_timeout_ms: i32,
    /// `replica.lag.time.max.ms`.
    pub lag_time_max_ms: i64,
    /// `replica.high.watermark.checkpoint.interval.ms`.
    pub high_watermark_checkpoint_interval_ms: i64,
}

/// Classic and consumer (KIP-848) groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupCoordinatorConfig {
    /// `group.min.session.timeout.ms`.
    pub classic_session_timeout_min_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub classic_session_timeout_max_ms: i32,
    /// `group.initial.rebalance.delay.ms`.
    pub classic_initial_rebalance_delay_ms: i32,
    /// `group.max.size`.
    pub classic_size_max: i32,
    /// `group.consumer.session.timeout.ms`.
    pub consumer_session_timeout_ms: i32,
    /// `group.consumer.min.session.timeout.ms`.
    pub consumer_session_timeout_min_ms: i32,
    /// `group.consumer.max.session.timeout.ms`.
    pub consumer_session_timeout_max_ms: i32,
    /// `group.consumer.heartbeat.interval.ms`.
    pub consumer_heartbeat_interval_ms: i32,
    /// `group.consumer.min.heartbeat.interval.ms`.
    pub consumer_heartbeat_interval_min_ms: i32,
    /// `group.consumer.max.heartbeat.interval.ms`.
    pub consumer_heartbeat_interval_max_ms: i32,
    /// `group.consumer.assignment.interval.ms`.
    pub consumer_assignment_interval_ms: i32,
    /// `group.consumer.min.assignment.interval.ms`.
    pub consumer_assignment_interval_min_ms: i32,
    /// `group.consumer.max.assignment.interval.ms`.
    pub consumer_assignment_interval_max_ms: i32,
    /// `group.coordinator.rebalance.protocols` has `consumer`.
    pub consumer_enabled: bool,
    /// `group.consumer.max.size`.
    pub consumer_size_max: i32,
    /// `group.consumer.assignors`, the default first.
    pub consumer_assignors: Vec<String>,
    /// `group.consumer.regex.refresh.interval.ms`.
    pub consumer_regex_refresh_interval_ms: i32,
    /// `group.consumer.migration.policy`.
    pub consumer_migration_policy: MigrationPolicy,
}

/// `group.consumer.migration.policy`: which way a group may change between classic and consumer while it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationPolicy {
    Disabled,
    Downgrade,
    Upgrade,
    Bidirectional,
}

/// Committed offsets and their topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetsConfig {
    /// `offset.metadata.max.bytes`.
    pub metadata_bytes_max: i32,
    /// `offsets.commit.timeout.ms`.
    pub commit_timeout_ms: i32,
    /// `offsets.retention.minutes`, in milliseconds.
    pub retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub retention_check_interval_ms: i64,
    /// `offsets.topic.compression.codec`: how the coordinators compress what they write.
    pub topic_compression: Compression,
    /// `offsets.topic.num.partitions`.
    pub topic_num_partitions: i32,
    /// `offsets.topic.replication.factor`, as set; [`crate::clamp_replication_factor`] fits it to the cluster.
    pub topic_replication_factor: i16,
    /// `offsets.topic.segment.bytes`.
    pub topic_segment_bytes: i32,
}

/// Idempotent producers' state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerIdConfig {
    /// `producer.id.expiration.ms`.
    pub expiration_ms: i32,
    /// `producer.id.expiration.check.interval.ms`.
    pub expiration_check_interval_ms: i32,
}

/// The metadata log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerConfig {
    /// `metadata.log.dir`, or the first of `log.dirs`.
    pub metadata_dir: PathBuf,
    /// `metadata.log.segment.bytes`.
    pub segment_bytes: i32,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub record_bytes_between_snapshots_max: i64,
    /// `metadata.log.max.snapshot.interval.ms`; 0: only by size.
    pub snapshot_interval_max_ms: i64,
    /// `controller.quorum.voters`, by ascending id; empty: this node is the only one.
    pub voters: Vec<QuorumVoter>,
    /// `controller.quorum.bootstrap.servers`, host and port: where controllers are found whose ids are not known yet.
    pub bootstrap_servers: Vec<(String, u16)>,
    /// `controller.quorum.auto.join.enable`.
    pub auto_join: bool,
    /// `ottla.join.voters.max`: so many voters at most that `--join` makes.
    pub join_voters_max: u8,
    /// `--join`: the cluster that this node joins.
    pub join: Option<Join>,
    /// No file has named a controller listener: one is made so that others can join, and another port will do.
    pub listener_is_implied: bool,
    /// `controller.quorum.election.timeout.ms`: a follower asks for votes when its leader has been silent for one to two of them.
    pub election_timeout_ms: i32,
    /// `leader.imbalance.check.interval.seconds`; `None` without `auto.leader.rebalance.enable`.
    pub balance_leaders_interval_s: Option<i64>,
    /// `unclean.leader.election.interval.ms`.
    pub elect_uncleanly_interval_ms: i64,
    /// `broker.heartbeat.interval.ms`.
    pub heartbeat_interval_ms: i32,
    /// `broker.session.timeout.ms`.
    pub session_timeout_ms: i32,
}

/// Whom a node joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// Where any broker of the cluster serves clients.
    pub host: String,
    pub port: u16,
    /// Nobody has said which id the node has: it takes one that is free, if it has none yet.
    pub takes_id: bool,
}

/// One entry of `controller.quorum.voters`: `id@host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumVoter {
    pub id: BrokerId,
    pub host: String,
    pub port: u16,
}

/// What may be held in memory, in bytes. A negative number is a share of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryConfig {
    /// `ottla.memory.max.bytes`: the whole; negative: a share of the machine's.
    pub bytes_max: i64,
    /// `queued.max.request.bytes`: requests that come in, over all connections.
    pub requests_bytes_max: i64,
    /// `ottla.memory.answers.max.bytes`: answers that their readers have not taken.
    pub answers_bytes_max: i64,
    /// `ottla.memory.parked.max.bytes`: requests that wait for data, the high watermark or a rebalance.
    pub parked_bytes_max: i64,
    /// `ottla.memory.fetch.sessions.max.bytes`.
    pub fetch_sessions_bytes_max: i64,
    /// `ottla.memory.producers.max.bytes`: what logs remember of idempotent producers.
    pub producers_bytes_max: i64,
    /// `ottla.memory.groups.max.bytes`: groups, their members and committed offsets.
    pub groups_bytes_max: i64,
    /// `ottla.memory.stall.timeout.ms`.
    pub stall_timeout_ms: i64,
}
