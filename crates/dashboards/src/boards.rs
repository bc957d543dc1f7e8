//! The dashboards.

use super::Unit::{Bytes, BytesPerSecond, Count, PerSecond, Seconds, Share};
use super::{Board, Panel, Query, Unit, Variable};

const fn query(expr: &'static str, legend: &'static str) -> Query {
    Query { expr, legend }
}

const fn curves(title: &'static str, unit: Unit, queries: &'static [Query]) -> Panel {
    Panel { title, unit, is_stat: false, queries }
}

const fn stat(title: &'static str, unit: Unit, queries: &'static [Query]) -> Panel {
    Panel { title, unit, is_stat: true, queries }
}

/// All dashboards.
#[must_use]
pub const fn boards() -> [Board; 4] {
    [OVERVIEW, TOPICS, GROUPS, INTERNALS]
}

const OVERVIEW: Board = Board {
    uid: "ottla-overview",
    title: "Ottla: overview",
    variables: &[],
    panels: &[
        stat("Brokers", Count, &[query("count(ottla_uptime_seconds)", "")]),
        stat("Partitions offline", Count, &[query("max(ottla_partitions_offline)", "")]),
        stat("Partitions under-replicated", Count, &[query("sum(ottla_partitions_under_replicated)", "")]),
        stat("Partitions under min ISR", Count, &[query("sum(ottla_partitions_under_min_isr)", "")]),
        stat("Active controllers", Count, &[query("sum(ottla_controller_active)", "")]),
        stat(
            "Log directories failed or full",
            Count,
            &[query("sum(ottla_log_dirs_offline) + sum(ottla_log_dirs_full)", "")],
        ),
        curves(
            "Bytes in and out",
            BytesPerSecond,
            &[
                query("sum(rate(ottla_produce_bytes_total[$__rate_interval]))", "in"),
                query("sum(rate(ottla_fetch_bytes_total[$__rate_interval]))", "out"),
            ],
        ),
        curves(
            "Records in",
            PerSecond,
            &[query(
                "sum by (instance) (rate(ottla_produce_records_total[$__rate_interval]))",
                "{{instance}}",
            )],
        ),
        curves(
            "Requests by API",
            PerSecond,
            &[query("sum by (api) (rate(ottla_requests_total[$__rate_interval]))", "{{api}}")],
        ),
        curves(
            "Time of a request, 99th percentile",
            Seconds,
            &[query(
                "histogram_quantile(0.99, sum by (le, api) (rate(ottla_request_duration_seconds_bucket{api=~\"Produce|Fetch|Metadata|OffsetCommit\"}[$__rate_interval])))",
                "{{api}}",
            )],
        ),
        curves(
            "Errors by API",
            PerSecond,
            &[query(
                "sum by (api, error) (rate(ottla_request_errors_total[$__rate_interval]))",
                "{{api}} {{error}}",
            )],
        ),
        curves(
            "Largest lag of each group",
            Seconds,
            &[query("max by (group) (ottla_group_lag_seconds)", "{{group}}")],
        ),
        curves("Connections", Count, &[query("ottla_connections", "{{instance}}")]),
        curves("Size of the logs", Bytes, &[query("ottla_log_size_bytes", "{{instance}}")]),
        curves(
            "CPU",
            Count,
            &[query("rate(process_cpu_seconds_total{job=\"ottla\"}[$__rate_interval])", "{{instance}}")],
        ),
        curves(
            "Resident memory",
            Bytes,
            &[query("process_resident_memory_bytes{job=\"ottla\"}", "{{instance}}")],
        ),
    ],
};

const TOPICS: Board = Board {
    uid: "ottla-topics",
    title: "Ottla: topics and partitions",
    variables: &[Variable { name: "topic", series: "ottla_topic_log_size_bytes" }],
    panels: &[
        stat("Topics", Count, &[query("max(ottla_topics)", "")]),
        stat("Partitions", Count, &[query("sum(ottla_partitions_led)", "")]),
        stat("Segments", Count, &[query("sum(ottla_log_segments)", "")]),
        stat("Size of the logs", Bytes, &[query("sum(ottla_log_size_bytes)", "")]),
        curves(
            "Bytes in by topic",
            BytesPerSecond,
            &[query(
                "sum by (topic) (rate(ottla_topic_produce_bytes_total{topic=~\"$topic\"}[$__rate_interval]))",
                "{{topic}}",
            )],
        ),
        curves(
            "Bytes out by topic",
            BytesPerSecond,
            &[query(
                "sum by (topic) (rate(ottla_topic_fetch_bytes_total{topic=~\"$topic\"}[$__rate_interval]))",
                "{{topic}}",
            )],
        ),
        curves(
            "Records in by topic",
            PerSecond,
            &[query(
                "sum by (topic) (rate(ottla_topic_produce_records_total{topic=~\"$topic\"}[$__rate_interval]))",
                "{{topic}}",
            )],
        ),
        curves(
            "Size by topic",
            Bytes,
            &[query("sum by (topic) (ottla_topic_log_size_bytes{topic=~\"$topic\"})", "{{topic}}")],
        ),
        curves(
            "Records in a partition",
            Count,
            &[query(
                "topk(20, ottla_partition_log_end_offset{topic=~\"$topic\"} - ottla_partition_log_start_offset{topic=~\"$topic\"})",
                "{{topic}}-{{partition}}",
            )],
        ),
        curves(
            "Records that are not committed",
            Count,
            &[query(
                "topk(20, ottla_partition_log_end_offset{topic=~\"$topic\"} - ottla_partition_high_watermark_offset{topic=~\"$topic\"})",
                "{{topic}}-{{partition}}",
            )],
        ),
        curves(
            "Size by partition",
            Bytes,
            &[query(
                "topk(20, ottla_partition_log_size_bytes{topic=~\"$topic\"})",
                "{{topic}}-{{partition}}",
            )],
        ),
        curves(
            "Segments by partition",
            Count,
            &[query("topk(20, ottla_partition_log_segments{topic=~\"$topic\"})", "{{topic}}-{{partition}}")],
        ),
    ],
};

const GROUPS: Board = Board {
    uid: "ottla-groups",
    title: "Ottla: consumer groups and lag",
    variables: &[Variable { name: "group", series: "ottla_group_lag_records" }],
    panels: &[
        curves(
            "Lag by group, records",
            Count,
            &[query("sum by (group) (ottla_group_lag_records{group=~\"$group\"})", "{{group}}")],
        ),
        curves(
            "Lag by group, time",
            Seconds,
            &[query("max by (group) (ottla_group_lag_seconds{group=~\"$group\"})", "{{group}}")],
        ),
        curves(
            "Largest lags by partition, records",
            Count,
            &[query(
                "topk(20, ottla_group_lag_records{group=~\"$group\"})",
                "{{group}} {{topic}}-{{partition}}",
            )],
        ),
        curves(
            "Largest lags by partition, time",
            Seconds,
            &[query(
                "topk(20, ottla_group_lag_seconds{group=~\"$group\"})",
                "{{group}} {{topic}}-{{partition}}",
            )],
        ),
        curves(
            "Records committed",
            PerSecond,
            &[query(
                "sum by (group, topic) (rate(ottla_group_committed_offset{group=~\"$group\"}[$__rate_interval]))",
                "{{group}} {{topic}}",
            )],
        ),
        curves(
            "Groups by state",
            Count,
            &[query("sum by (type, state) (ottla_groups)", "{{type}} {{state}}")],
        ),
        curves(
            "Requests of members",
            PerSecond,
            &[query(
                "sum by (api) (rate(ottla_requests_total{api=~\"JoinGroup|SyncGroup|Heartbeat|LeaveGroup|OffsetCommit|OffsetFetch|ConsumerGroupHeartbeat\"}[$__rate_interval]))",
                "{{api}}",
            )],
        ),
        curves(
            "Memory of groups",
            Bytes,
            &[query("ottla_memory_used_bytes{pool=\"groups\"}", "{{instance}}")],
        ),
    ],
};

const INTERNALS: Board = Board {
    uid: "ottla-internals",
    title: "Ottla: broker internals",
    variables: &[],
    panels: &[
        curves(
            "Where Produce takes its time, 99th percentile",
            Seconds,
            &[query(
                "histogram_quantile(0.99, sum by (le, phase) (rate(ottla_request_phase_seconds_bucket{api=\"Produce\"}[$__rate_interval])))",
                "{{phase}}",
            )],
        ),
        curves(
            "Where Fetch takes its time, 99th percentile",
            Seconds,
            &[query(
                "histogram_quantile(0.99, sum by (le, phase) (rate(ottla_request_phase_seconds_bucket{api=\"Fetch\"}[$__rate_interval])))",
                "{{phase}}",
            )],
        ),
        curves("Requests that wait", Count, &[query("sum by (api) (ottla_parked_requests)", "{{api}}")]),
        curves(
            "Slow requests",
            PerSecond,
            &[query("rate(ottla_requests_slow_total[$__rate_interval])", "{{instance}}")],
        ),
        curves(
            "Memory by pool, share of its limit",
            Share,
            &[query("ottla_memory_used_bytes / ottla_memory_limit_bytes", "{{instance}} {{pool}}")],
        ),
        curves(
            "Pushed back for want of memory",
            PerSecond,
            &[query("sum by (pool) (rate(ottla_memory_pushed_back_total[$__rate_interval]))", "{{pool}}")],
        ),
        curves("Fetch sessions", Count, &[query("ottla_fetch_sessions", "{{instance}}")]),
        curves(
            "Connections accepted and refused",
            PerSecond,
            &[
                query("sum(rate(ottla_connections_created_total[$__rate_interval]))", "accepted"),
                query("sum(rate(ottla_connections_rejected_total[$__rate_interval]))", "refused"),
            ],
        ),
        curves(
            "Time of a flush, 99th percentile",
            Seconds,
            &[query(
                "histogram_quantile(0.99, sum by (le, instance) (rate(ottla_log_flush_duration_seconds_bucket[$__rate_interval])))",
                "{{instance}}",
            )],
        ),
        curves(
            "Writes refused on full disks",
            PerSecond,
            &[query("rate(ottla_log_dir_refusals_total[$__rate_interval])", "{{instance}}")],
        ),
        curves("Dirtiest compacted log", Share, &[query("ottla_cleaner_dirty_ratio_max", "{{instance}}")]),
        curves(
            "Cleaner",
            BytesPerSecond,
            &[
                query("rate(ottla_cleaner_read_bytes_total[$__rate_interval])", "{{instance}} read"),
                query("rate(ottla_cleaner_written_bytes_total[$__rate_interval])", "{{instance}} written"),
            ],
        ),
        curves(
            "Compactions that failed",
            PerSecond,
            &[query("sum by (reason) (rate(ottla_cleaner_failures_total[$__rate_interval]))", "{{reason}}")],
        ),
        curves("Metadata offset", Count, &[query("ottla_metadata_offset", "{{instance}}")]),
        curves(
            "Descriptors",
            Count,
            &[
                query("process_open_fds{job=\"ottla\"}", "{{instance}} open"),
                query("process_max_fds{job=\"ottla\"}", "{{instance}} allowed"),
            ],
        ),
        curves("Threads", Count, &[query("process_threads{job=\"ottla\"}", "{{instance}}")]),
    ],
};
