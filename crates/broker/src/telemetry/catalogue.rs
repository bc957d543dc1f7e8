//! The names of all series, each once: kind, unit and help. A name that stands here stays.

use metrics::Unit;

/// What a series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A series' name and what it means.
#[derive(Clone, Copy, Debug)]
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) unit: Unit,
    /// The names of its labels.
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

macro_rules! catalogue {
    ($($id:ident = $name:literal, $kind:ident, $unit:ident, $([$($label:literal),*],)? $help:literal;)*) => {
        $(pub(super) const $id: Series = Series {
            name: $name,
            kind: Kind::$kind,
            unit: Unit::$unit,
            labels: &[$($($label),*)?],
            help: $help,
        };)*

        /// Every series of this page.
        pub(super) const ALL: &[Series] = &[$($id,)*];
    };
}

catalogue! {
    REQUESTS = "ottla_requests_total", Counter, Count, ["api"], "Requests answered, by API.";
    REQUEST_ERRORS = "ottla_request_errors_total", Counter, Count, ["api", "error"],
        "Partitions of Produce and Fetch answered with an error, by API and error.";
    REQUEST_SECONDS = "ottla_request_duration_seconds", Histogram, Seconds, ["api"],
        "Time from a request's decoding to its answer, waiting included, by API.";
    REQUEST_PHASE_SECONDS = "ottla_request_phase_seconds", Histogram, Seconds, ["api", "phase"],
        "Where a request's time went, by API: queue (from its last byte to its turn), local (until it was answered or waited), remote (it waited for others), throttle (its client was asked to wait before it asks again), send (until the socket had taken its answer).";
    REQUESTS_SLOW = "ottla_requests_slow_total", Counter, Count,
        "Requests that took longer than ottla.slow.request.ms and were logged.";
    REQUEST_BYTES = "ottla_request_bytes_total", Counter, Bytes, ["api"], "Bytes of requests received, by API.";
    RESPONSE_BYTES = "ottla_response_bytes_total", Counter, Bytes, ["api"], "Bytes of answers sent, by API.";

    PRODUCE_BYTES = "ottla_produce_bytes_total", Counter, Bytes, "Bytes of record batches appended.";
    PRODUCE_RECORDS = "ottla_produce_records_total", Counter, Count, "Records appended.";
    PRODUCE_REJECTED_BYTES = "ottla_produce_rejected_bytes_total", Counter, Bytes,
        "Bytes of record batches refused.";
    PRODUCE_FAILED = "ottla_produce_partitions_failed_total", Counter, Count,
        "Partitions of produce requests answered with an error.";
    FETCH_BYTES = "ottla_fetch_bytes_total", Counter, Bytes, "Bytes of record batches sent to consumers.";
    FETCH_FAILED = "ottla_fetch_partitions_failed_total", Counter, Count,
        "Partitions of fetch requests answered with an error.";
    FETCH_DISK_BYTES = "ottla_fetch_disk_bytes_total", Counter, Bytes,
        "Bytes of logs and indexes that were not in the page cache when a fetch needed them, and were read from the disk first, up to 1 MiB at a time.";
    REPLICATION_BYTES_IN = "ottla_replication_bytes_in_total", Counter, Bytes,
        "Bytes of record batches that were copied from leaders.";
    REPLICATION_BYTES_OUT = "ottla_replication_bytes_out_total", Counter, Bytes,
        "Bytes of record batches sent to followers.";
    ISR_SHRINKS = "ottla_isr_shrinks_total", Counter, Count,
        "Times that a leader here had a lagging replica dropped from the in-sync set.";
    ISR_EXPANDS = "ottla_isr_expands_total", Counter, Count,
        "Times that a leader here had a replica added to the in-sync set.";
    REPLICA_LAG_MAX = "ottla_replica_lag_records_max", Gauge, Count,
        "Records that the most lagging replica here lacks of what its leader has committed.";
    COLD_READS = "ottla_cold_reads_total", Counter, Count,
        "Times that a fetch had something read from the disk first, because it was not in the page cache.";

    CONNECTIONS = "ottla_connections", Gauge, Count, "Open client connections.";
    CONNECTIONS_CREATED = "ottla_connections_created_total", Counter, Count, "Client connections accepted.";
    CONNECTIONS_REJECTED = "ottla_connections_rejected_total", Counter, Count,
        "Client connections closed at once, over a limit.";

    PARTITIONS = "ottla_partitions", Gauge, Count, "Partitions with a replica on this broker.";
    LEADERS = "ottla_partitions_led", Gauge, Count, "Partitions that this broker leads.";
    UNDER_REPLICATED = "ottla_partitions_under_replicated", Gauge, Count,
        "Led partitions whose ISR is smaller than their replica set.";
    UNDER_MIN_ISR = "ottla_partitions_under_min_isr", Gauge, Count,
        "Led partitions whose ISR is smaller than min.insync.replicas.";
    OFFLINE = "ottla_partitions_offline", Gauge, Count, "Partitions without a leader.";
    TOPICS = "ottla_topics", Gauge, Count, "Topics of the cluster.";
    LOG_BYTES = "ottla_log_size_bytes", Gauge, Bytes, "Bytes of all logs on this broker.";
    LOG_SEGMENTS = "ottla_log_segments", Gauge, Count, "Segments of all logs on this broker.";
    LOG_FLUSH_SECONDS = "ottla_log_flush_duration_seconds", Histogram, Seconds, "Time of a log's flush to disk.";
    LOG_DIRS_OFFLINE = "ottla_log_dirs_offline", Gauge, Count, "Log directories that failed.";
    LOG_DIRS_FULL = "ottla_log_dirs_full", Gauge, Count, "Log directories that have no room.";
    LOG_DAMAGES = "ottla_log_damaged_places", Gauge, Count, "Places in logs that were found damaged since the start.";
    LOG_DIR_REFUSALS = "ottla_log_dir_refusals_total", Counter, Count, "Writes refused because a log directory was full.";

    CLEANER_CLEANINGS = "ottla_cleaner_cleanings_total", Counter, Count, "Compactions of a log that were finished.";
    CLEANER_READ_BYTES = "ottla_cleaner_read_bytes_total", Counter, Bytes, "Bytes read by compactions.";
    CLEANER_WRITTEN_BYTES = "ottla_cleaner_written_bytes_total", Counter, Bytes, "Bytes written by compactions.";
    CLEANER_BAD_BATCHES = "ottla_cleaner_bad_batches_total", Counter, Count,
        "Batches that a compaction could not read and left as they are.";
    CLEANER_FAILURES = "ottla_cleaner_failures_total", Counter, Count, ["reason"],
        "Compactions that failed and are tried again, by reason.";
    CLEANER_THREADS = "ottla_cleaner_threads", Gauge, Count, "Threads that compact logs.";
    CLEANER_DEAD_THREADS = "ottla_cleaner_dead_threads", Gauge, Count, "Cleaner threads that ended unasked.";
    CLEANER_DIRTY_RATIO = "ottla_cleaner_dirty_ratio_max", Gauge, Count,
        "Share of dirty bytes of the dirtiest compacted log, 0 to 1.";
    CLEANER_COMPACTION_DELAY = "ottla_cleaner_compaction_delay_seconds_max", Gauge, Seconds,
        "How late the latest log is by max.compaction.lag.ms.";
    CLEANER_SINCE_LAST_RUN = "ottla_cleaner_since_last_run_seconds", Gauge, Seconds,
        "Time since a cleaner thread last looked for a log to compact.";
    CLEANER_UNCLEANABLE_PARTITIONS = "ottla_cleaner_uncleanable_partitions", Gauge, Count,
        "Logs that could not be compacted and wait to be tried again.";
    CLEANER_UNCLEANABLE_BYTES = "ottla_cleaner_uncleanable_bytes", Gauge, Bytes, "Dirty bytes of those logs.";
    CLEANER_RECOPY_RATIO = "ottla_cleaner_recopy_ratio", Gauge, Count,
        "Bytes written by bytes read of each thread's last compaction.";
    CLEANER_CLEAN_SECONDS = "ottla_cleaner_clean_seconds_max", Gauge, Seconds,
        "Time of the longest of each thread's last compaction.";
    CLEANER_MAP_UTILIZATION = "ottla_cleaner_map_utilization_max", Gauge, Count,
        "Largest share of its key map that a thread's last compaction used, 0 to 1.";

    MEMORY_USED = "ottla_memory_used_bytes", Gauge, Bytes, ["pool"], "Memory that requests and state hold, by pool.";
    MEMORY_LIMIT = "ottla_memory_limit_bytes", Gauge, Bytes, ["pool"], "What each pool may hold.";
    MEMORY_PUSHED_BACK = "ottla_memory_pushed_back_total", Counter, Count, ["pool"],
        "How often somebody was made to wait, refused or sent away for want of memory, by pool.";

    PARKED = "ottla_parked_requests", Gauge, Count, ["api"],
        "Requests that wait for the high watermark or for data, by API.";
    FETCH_SESSIONS = "ottla_fetch_sessions", Gauge, Count, "Incremental fetch sessions in memory.";

    TASKS = "ottla_tasks", Gauge, Count, "Tasks of the runtime: one a connection, and those of the broker itself.";

    GROUPS = "ottla_groups", Gauge, Count, ["type", "state"], "Groups, by type and state.";

    GROUP_COMMITTED = "ottla_group_committed_offset", Gauge, Count, ["group", "topic", "partition"],
        "Committed offset of a group, for the partitions it is behind most in.";
    GROUP_LAG = "ottla_group_lag_records", Gauge, Count, ["group", "topic", "partition"],
        "Records between the committed offset of a group and the high watermark.";
    GROUP_LAG_SECONDS = "ottla_group_lag_seconds", Gauge, Seconds, ["group", "topic", "partition"],
        "Age of the first batch that a group has not committed; 0 if there is none.";

    TOPIC_PRODUCE_BYTES = "ottla_topic_produce_bytes_total", Counter, Bytes, ["topic"], "Bytes of record batches appended.";
    TOPIC_PRODUCE_RECORDS = "ottla_topic_produce_records_total", Counter, Count, ["topic"], "Records appended.";
    TOPIC_FETCH_BYTES = "ottla_topic_fetch_bytes_total", Counter, Bytes, ["topic"],
        "Bytes of record batches sent to consumers.";
    TOPIC_LOG_BYTES = "ottla_topic_log_size_bytes", Gauge, Bytes, ["topic"], "Bytes of a topic's logs on this broker.";
    PARTITION_LOG_START = "ottla_partition_log_start_offset", Gauge, Count, ["topic", "partition"],
        "First offset of a log.";
    PARTITION_LOG_END = "ottla_partition_log_end_offset", Gauge, Count, ["topic", "partition"],
        "The offset after the last one of a log.";
    PARTITION_HIGH_WATERMARK = "ottla_partition_high_watermark_offset", Gauge, Count, ["topic", "partition"],
        "The offset below which a log is committed.";
    PARTITION_LOG_BYTES = "ottla_partition_log_size_bytes", Gauge, Bytes, ["topic", "partition"], "Bytes of a log.";
    PARTITION_LOG_SEGMENTS = "ottla_partition_log_segments", Gauge, Count, ["topic", "partition"], "Segments of a log.";

    CLIENT_INSTANCES = "ottla_client_metrics_instances", Gauge, Count,
        "Clients that asked for a subscription to their metrics, or pushed some (KIP-714).";
    CLIENT_PUSHES = "ottla_client_metrics_pushes_total", Counter, Count, ["error"], "Pushes of clients' metrics, by answer.";
    CLIENT_THROTTLED = "ottla_client_metrics_gets_throttled_total", Counter, Count,
        "Clients that asked for their subscription before their interval had passed.";
    CLIENT_SERIES = "ottla_client_metrics_series", Gauge, Count,
        "Series that clients have pushed; at most ottla.metrics.client.series.max.";
    CLIENT_POINTS_DROPPED = "ottla_client_metrics_points_dropped_total", Counter, Count, ["reason"],
        "Data points that clients pushed and that are not shown, by reason.";
    CLIENT_INFO = "ottla_client_info", Gauge, Count,
        ["client_instance_id", "client_id", "client_software_name", "client_software_version", "client_source_address"],
        "1 for each client whose metrics are shown.";
    CLIENT_GAUGE = "ottla_client_gauge", Gauge, Count, ["metric", "client_id", "client_instance_id"],
        "What clients pushed of their gauges, and of sums that may fall; with labels for the attributes that the client gave.";
    CLIENT_SUM = "ottla_client_sum_total", Counter, Count, ["metric", "client_id", "client_instance_id"],
        "What clients pushed of their counters, added up; with labels for the attributes that the client gave.";

    UNCLEAN_ELECTIONS = "ottla_controller_unclean_elections_total", Counter, Count, "Leaders elected by this node's controller that may lack acknowledged records.";
    CONTROLLER_ACTIVE = "ottla_controller_active", Gauge, Count, "1 on the node whose controller leads.";
    METADATA_OFFSET = "ottla_metadata_offset", Gauge, Count, "Last applied offset of the metadata log.";

    UPTIME = "ottla_uptime_seconds", Gauge, Seconds, "Seconds since the broker started.";
    BUILD_INFO = "ottla_build_info", Gauge, Count, ["version"], "1, with the version as a label.";

    PROCESS_CPU = "process_cpu_seconds_total", Counter, Seconds, "User and system CPU time of the process.";
    PROCESS_RSS = "process_resident_memory_bytes", Gauge, Bytes, "Resident memory of the process.";
    PROCESS_VIRTUAL = "process_virtual_memory_bytes", Gauge, Bytes, "Virtual memory of the process.";
    PROCESS_FDS = "process_open_fds", Gauge, Count, "Open file descriptors of the process.";
    PROCESS_FDS_MAX = "process_max_fds", Gauge, Count, "Most file descriptors that the process may open.";
    PROCESS_THREADS = "process_threads", Gauge, Count, "Threads of the process.";
    PROCESS_START = "process_start_time_seconds", Gauge, Seconds, "Start of the process, seconds since the epoch.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_follow_prometheus() {
        let names: BTreeSet<&str> = ALL.iter().map(|series| series.name).collect();
        assert_eq!(names.len(), ALL.len());
        for series in ALL {
            assert!(
                series.name.starts_with("ottla_") || series.name.starts_with("process_"),
                "{}",
                series.name
            );
            assert!(series.kind != Kind::Counter || series.name.ends_with("_total"), "{}", series.name);
            assert!(series.help.ends_with('.'), "{}", series.name);
        }
    }
}
