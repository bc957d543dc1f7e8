//! Every setting whose effect is honoured while the broker runs names the test that shows it.

use std::collections::BTreeSet;
use std::path::Path;

use ottla_config::{Effect, Scope, UpdateMode, definitions, dynamic_only_definitions};

/// A test: the file below `crates/`, the function, and the settings whose effect it shows.
struct Shown {
    file: &'static str,
    test: &'static str,
    broker: &'static [&'static str],
    topic: &'static [&'static str],
    group: &'static [&'static str],
    client_metrics: &'static [&'static str],
}

const fn shown(
    file: &'static str,
    test: &'static str,
    broker: &'static [&'static str],
    topic: &'static [&'static str],
) -> Shown {
    Shown { file, test, broker, topic, group: &[], client_metrics: &[] }
}

const HERE: &str = "broker/tests/in_process/effects/mod.rs";
const AT_START: &str = "broker/tests/in_process/effects/at_start.rs";
const COMPACTION: &str = "broker/tests/in_process/effects/compaction.rs";
const NODE: &str = "broker/tests/in_process/effects/node.rs";
const SEGMENTS: &str = "broker/tests/in_process/effects/segments.rs";
const LOG_DIRS: &str = "broker/tests/in_process/log_dirs.rs";
const LOG: &str = "storage/src/log/tests.rs";
const CLUSTER: &str = "../compat-tests/tests/replication/main.rs";
const CLUSTER_SETTINGS: &str = "../compat-tests/tests/replication/settings.rs";
const REPLICATION: &str = "broker/src/replication/tests.rs";

const SHOWN: &[Shown] = &[
    shown(
        HERE,
        "what_a_produce_is_judged_by_changes_at_once",
        &["message.max.bytes", "log.message.timestamp.before.max.ms", "log.cleanup.policy"],
        &["max.message.bytes", "message.timestamp.before.max.ms", "cleanup.policy"],
    ),
    shown(
        HERE,
        "records_may_be_as_far_in_the_future_as_the_setting_says_now",
        &["log.message.timestamp.after.max.ms"],
        &["message.timestamp.after.max.ms"],
    ),
    shown(
        HERE,
        "a_record_may_unpack_to_what_the_setting_says_now",
        &["max.decompressed.message.bytes"],
        &["max.decompressed.message.bytes"],
    ),
    shown(
        HERE,
        "times_are_given_as_the_setting_says_now",
        &["log.message.timestamp.type"],
        &["message.timestamp.type"],
    ),
    shown(
        HERE,
        "batches_are_compressed_as_the_setting_says_now",
        &["compression.type"],
        &["compression.type"],
    ),
    shown(
        HERE,
        "batches_are_compressed_as_hard_as_the_setting_says_now",
        &["compression.gzip.level", "compression.lz4.level", "compression.zstd.level"],
        &["compression.gzip.level", "compression.lz4.level", "compression.zstd.level"],
    ),
    shown(
        HERE,
        "segments_roll_and_expire_as_the_settings_say_now",
        &["log.retention.ms", "log.retention.check.interval.ms", "log.initial.task.delay.ms"],
        &["internal.segment.bytes"],
    ),
    shown(SEGMENTS, "records_expire_as_the_topics_own_setting_says_now", &[], &["retention.ms"]),
    shown(SEGMENTS, "a_segment_ends_at_the_size_that_holds_now", &["log.segment.bytes"], &["segment.bytes"]),
    shown(SEGMENTS, "a_segment_ends_at_the_age_that_holds_now", &["log.roll.ms"], &["segment.ms"]),
    // How much earlier is chance: what it may be is shown where the chance is given.
    shown(LOG, "jitter_rolls_a_segment_earlier_never_later", &["log.roll.jitter.ms"], &["segment.jitter.ms"]),
    shown(
        SEGMENTS,
        "a_log_is_cut_to_the_size_that_holds_now_and_its_files_wait_as_long_as_the_setting_says",
        &["log.retention.bytes", "log.segment.delete.delay.ms"],
        &["retention.bytes", "file.delete.delay.ms"],
    ),
    shown(
        SEGMENTS,
        "offsets_are_indexed_as_often_as_the_setting_says_now_and_a_full_index_ends_a_segment",
        &["log.index.interval.bytes", "log.index.size.max.bytes"],
        &["index.interval.bytes", "segment.index.bytes"],
    ),
    shown(
        SEGMENTS,
        "a_new_segment_has_its_blocks_if_the_setting_says_so_now",
        &["log.preallocate"],
        &["preallocate"],
    ),
    // An append is flushed within seconds in any case, so the broker as a whole does not show the difference.
    shown(
        LOG,
        "a_flush_is_due_by_count_time_and_roll",
        &["log.flush.interval.messages", "log.flush.interval.ms"],
        &["flush.messages", "flush.ms"],
    ),
    shown(
        REPLICATION,
        "followers_ask_as_the_settings_say",
        &[
            "replica.fetch.max.bytes",
            "replica.fetch.min.bytes",
            "replica.fetch.response.max.bytes",
            "replica.fetch.wait.max.ms",
            "num.replica.fetchers",
        ],
        &[],
    ),
    shown(
        CLUSTER_SETTINGS,
        "a_replica_that_was_not_in_sync_leads_only_where_the_setting_says_so",
        &["unclean.leader.election.enable"],
        &["unclean.leader.election.enable"],
    ),
    shown(
        CLUSTER_SETTINGS,
        "what_is_not_in_sync_is_copied_as_fast_as_the_settings_say",
        &["leader.replication.throttled.rate", "follower.replication.throttled.rate"],
        &["leader.replication.throttled.replicas", "follower.replication.throttled.replicas"],
    ),
    shown(CLUSTER, "a_consumer_reads_in_its_own_rack", &["replica.selector.class"], &[]),
    shown(
        REPLICATION,
        "a_partition_that_is_refused_is_left_out_for_the_time_that_the_setting_says",
        &["replica.fetch.backoff.ms"],
        &[],
    ),
    shown(
        REPLICATION,
        "a_leader_that_says_nothing_is_hung_up_on_after_the_time_that_the_setting_says",
        &["replica.socket.timeout.ms"],
        &[],
    ),
    // One replica is as many as there can be: the rule is shown on a partition with more.
    shown(
        "replication/src/partition/tests/against_a_naive_model.rs",
        "hw_moves_only_up_to_what_every_possible_member_has",
        &["min.insync.replicas"],
        &["min.insync.replicas"],
    ),
    shown(
        COMPACTION,
        "a_log_is_compacted_when_it_is_as_dirty_as_the_setting_says_now",
        &["log.cleaner.min.cleanable.ratio"],
        &["min.cleanable.dirty.ratio"],
    ),
    shown(
        COMPACTION,
        "records_are_left_alone_and_taken_at_the_latest_as_the_lags_say_now",
        &["log.cleaner.min.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"],
        &["min.compaction.lag.ms", "max.compaction.lag.ms"],
    ),
    shown(
        COMPACTION,
        "tombstones_stay_as_long_as_the_setting_says_now",
        &["log.cleaner.delete.retention.ms"],
        &["delete.retention.ms"],
    ),
    shown(COMPACTION, "the_cleaner_looks_as_often_as_the_setting_says_now", &["log.cleaner.backoff.ms"], &[]),
    shown(
        COMPACTION,
        "the_cleaner_is_as_fast_as_the_setting_says_now",
        &["log.cleaner.io.max.bytes.per.second"],
        &[],
    ),
    shown(COMPACTION, "without_a_cleaner_nothing_is_compacted", &["log.cleaner.enable"], &[]),
    shown(
        COMPACTION,
        "the_cleaner_has_as_many_threads_as_the_setting_says_now",
        &["log.cleaner.threads"],
        &[],
    ),
    // Asked at the start of each cleaning.
    shown(
        "broker/src/partitions/cleaner/clean.rs",
        "a_thread_has_its_share_of_what_the_settings_say",
        &[
            "log.cleaner.dedupe.buffer.size",
            "log.cleaner.io.buffer.load.factor",
            "log.cleaner.io.buffer.size",
        ],
        &[],
    ),
    shown(NODE, "as_many_connections_are_served_as_the_setting_says_now", &["max.connections"], &[]),
    shown(NODE, "connections_come_as_fast_as_the_setting_says_now", &["max.connection.creation.rate"], &[]),
    shown(
        NODE,
        "an_address_has_as_many_connections_as_the_settings_say_now",
        &["max.connections.per.ip", "max.connections.per.ip.overrides"],
        &[],
    ),
    shown(
        NODE,
        "producers_are_forgotten_as_soon_as_the_setting_says_now",
        &["producer.id.expiration.ms", "producer.id.expiration.check.interval.ms"],
        &[],
    ),
    Shown {
        file: NODE,
        test: "a_groups_members_beat_and_are_missed_as_its_settings_say_now",
        broker: &["group.consumer.min.session.timeout.ms", "group.consumer.min.heartbeat.interval.ms"],
        topic: &[],
        group: &["consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"],
        client_metrics: &[],
    },
    Shown {
        file: "group-coordinator/src/consumer/tests.rs",
        test: "targets_are_spaced_by_the_assignment_interval",
        broker: &["group.consumer.assignment.interval.ms"],
        topic: &[],
        group: &["consumer.assignment.interval.ms"],
        client_metrics: &[],
    },
    Shown {
        file: "broker/tests/in_process/client_metrics.rs",
        test: "clients_are_asked_and_what_they_push_is_shown_as_the_subscription_says_now",
        broker: &[],
        topic: &[],
        group: &[],
        client_metrics: &["interval.ms", "match", "metrics"],
    },
    shown(
        "broker/tests/in_process/client_metrics.rs",
        "what_a_push_may_be_is_as_the_file_says",
        &["telemetry.max.bytes", "ottla.metrics.client.series.max"],
        &[],
    ),
    // Both are set up when the broker starts; a change is refused.
    shown(
        "broker/tests/in_process/admin.rs",
        "listeners_of_a_running_broker_are_not_said_to_change",
        &["listeners", "listener.security.protocol.map"],
        &[],
    ),
    // Logs are recovered before anything can be changed.
    shown(
        "storage/src/log_dirs/threads.rs",
        "as_many_threads_work_at_once_as_are_asked_for",
        &["num.recovery.threads.per.data.dir"],
        &[],
    ),
    shown(
        LOG_DIRS,
        "new_replicas_go_to_the_emptiest_dir_that_is_not_cordoned",
        &["cordoned.log.dirs", "log.dirs"],
        &[],
    ),
    shown(
        LOG_DIRS,
        "a_throttled_move_is_seen_taken_back_and_begun_anew_after_a_restart_and_a_kill",
        &["replica.alter.log.dirs.io.max.bytes.per.second"],
        &[],
    ),
    shown(
        AT_START,
        "topics_are_made_and_deleted_as_the_file_says",
        &["num.partitions", "default.replication.factor", "auto.create.topics.enable", "delete.topic.enable"],
        &[],
    ),
    shown(
        AT_START,
        "frames_answers_and_silence_are_as_long_as_the_file_says",
        &["socket.request.max.bytes", "fetch.max.bytes", "connections.max.idle.ms"],
        &[],
    ),
    shown(
        AT_START,
        "checkpoints_are_written_as_often_as_the_file_says",
        &[
            "replica.high.watermark.checkpoint.interval.ms",
            "log.flush.offset.checkpoint.interval.ms",
            "log.flush.start.offset.checkpoint.interval.ms",
        ],
        &[],
    ),
    shown(
        AT_START,
        "snapshots_of_the_metadata_are_taken_as_often_as_the_file_says",
        &["metadata.log.max.snapshot.interval.ms", "metadata.log.max.record.bytes.between.snapshots"],
        &[],
    ),
    shown(
        AT_START,
        "committed_offsets_are_compressed_and_bounded_as_the_file_says",
        &["offsets.topic.compression.codec", "offset.metadata.max.bytes", "offsets.topic.num.partitions"],
        &[],
    ),
    shown(
        AT_START,
        "a_protocol_that_the_file_leaves_out_is_not_served",
        &["group.coordinator.rebalance.protocols"],
        &[],
    ),
    shown(
        AT_START,
        "classic_groups_are_bounded_as_the_file_says",
        &[
            "group.min.session.timeout.ms",
            "group.max.session.timeout.ms",
            "group.max.size",
            "group.initial.rebalance.delay.ms",
        ],
        &[],
    ),
    shown(AT_START, "consumer_groups_beat_as_the_file_says", &["group.consumer.heartbeat.interval.ms"], &[]),
];

fn all_shown(scope: Scope) -> BTreeSet<&'static str> {
    let of_scope = |shown: &Shown| match scope {
        Scope::Broker => shown.broker,
        Scope::Topic => shown.topic,
        Scope::Group => shown.group,
        Scope::ClientMetrics => shown.client_metrics,
    };
    SHOWN.iter().flat_map(of_scope).copied().collect()
}

#[test]
fn every_honoured_setting_that_changes_while_the_broker_runs_has_its_test() {
    let mut missing = Vec::new();
    for scope in [Scope::Broker, Scope::Topic, Scope::Group, Scope::ClientMetrics] {
        let only_dynamic = dynamic_only_definitions().filter(|_| scope == Scope::Broker);
        let honoured = definitions(scope).chain(only_dynamic).filter(|row| row.effect == Effect::Honoured);
        let mut shown = all_shown(scope);
        for row in honoured {
            if !shown.remove(row.name) && row.update != UpdateMode::ReadOnly {
                missing.push((scope, row.name));
            }
        }
        assert!(shown.is_empty(), "no honoured settings of {scope:?}: {shown:?}");
    }
    assert!(missing.is_empty(), "name a test of the effect in SHOWN: {missing:?}");
}

#[test]
fn every_named_test_is_there_and_speaks_of_its_settings() {
    for shown in SHOWN {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(shown.file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", shown.file));
        assert!(text.contains(&format!("fn {}(", shown.test)), "{} is not in {}", shown.test, shown.file);
        let of_a_whole_broker = shown.file.contains("in_process/effects");
        for name in
            [shown.broker, shown.topic, shown.group].concat().into_iter().filter(|_| of_a_whole_broker)
        {
            assert!(text.contains(&format!("\"{name}\"")), "{} does not set {name}", shown.file);
        }
    }
}
