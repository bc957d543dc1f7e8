//! Alert rules for Prometheus.

use std::fmt::Write as _;

/// One rule: it fires where `expr` has been on the wrong side of `limit` for as long as `lasts`.
#[derive(Clone, Copy, Debug)]
pub struct Alert {
    pub name: &'static str,
    pub expr: &'static str,
    /// The comparison that fires, such as `> 0`.
    pub limit: &'static str,
    /// Prometheus's duration.
    pub lasts: &'static str,
    pub severity: &'static str,
    pub summary: &'static str,
}

const fn critical(
    name: &'static str,
    expr: &'static str,
    limit: &'static str,
    lasts: &'static str,
    summary: &'static str,
) -> Alert {
    Alert { name, expr, limit, lasts, severity: "critical", summary }
}

const fn warning(
    name: &'static str,
    expr: &'static str,
    limit: &'static str,
    lasts: &'static str,
    summary: &'static str,
) -> Alert {
    Alert { name, expr, limit, lasts, severity: "warning", summary }
}

/// All rules.
pub const ALERTS: &[Alert] = &[
    critical("OttlaDown", "up{job=\"ottla\"}", "== 0", "1m", "{{ $labels.instance }} cannot be scraped."),
    critical(
        "OttlaOfflinePartitions",
        "max(ottla_partitions_offline)",
        "> 0",
        "1m",
        "{{ $value }} partitions have no leader: nothing can be written to them or read from them.",
    ),
    critical(
        "OttlaUnderMinIsr",
        "sum(ottla_partitions_under_min_isr)",
        "> 0",
        "1m",
        "{{ $value }} partitions have fewer in-sync replicas than min.insync.replicas: acks=all is refused.",
    ),
    warning(
        "OttlaUnderReplicated",
        "sum(ottla_partitions_under_replicated)",
        "> 0",
        "5m",
        "{{ $value }} partitions have replicas that are not in sync.",
    ),
    critical(
        "OttlaNoActiveController",
        "sum(ottla_controller_active)",
        "!= 1",
        "1m",
        "{{ $value }} controllers are active instead of one.",
    ),
    critical(
        "OttlaLogDirOffline",
        "ottla_log_dirs_offline",
        "> 0",
        "0m",
        "{{ $value }} log directories of {{ $labels.instance }} have failed and stay offline until a restart.",
    ),
    critical(
        "OttlaLogDirFull",
        "ottla_log_dirs_full",
        "> 0",
        "0m",
        "{{ $value }} log directories of {{ $labels.instance }} are full: writes are refused until there is room.",
    ),
    critical(
        "OttlaCleanerThreadDead",
        "ottla_cleaner_dead_threads",
        "> 0",
        "0m",
        "A cleaner thread of {{ $labels.instance }} has ended.",
    ),
    warning(
        "OttlaUncleanablePartitions",
        "ottla_cleaner_uncleanable_partitions",
        "> 0",
        "15m",
        "{{ $value }} logs of {{ $labels.instance }} cannot be compacted.",
    ),
    warning(
        "OttlaConsumerLag",
        "max by (group) (ottla_group_lag_seconds)",
        "> 300",
        "5m",
        "Group {{ $labels.group }} is {{ $value | humanizeDuration }} behind.",
    ),
    warning(
        "OttlaSlowProduce",
        "histogram_quantile(0.99, sum by (le, instance) (rate(ottla_request_duration_seconds_bucket{api=\"Produce\"}[5m])))",
        "> 1",
        "5m",
        "One of a hundred Produce requests to {{ $labels.instance }} takes longer than {{ $value | humanizeDuration }}.",
    ),
    warning(
        "OttlaSlowRequests",
        "rate(ottla_requests_slow_total[5m])",
        "> 1",
        "5m",
        "{{ $labels.instance }} has {{ $value }} slow requests a second; its log says where their time goes.",
    ),
    warning(
        "OttlaErrors",
        "sum by (instance) (rate(ottla_produce_partitions_failed_total[5m]))",
        "> 1",
        "5m",
        "{{ $labels.instance }} refuses {{ $value }} partitions of produce requests a second.",
    ),
    warning(
        "OttlaMemoryShort",
        "sum by (instance, pool) (rate(ottla_memory_pushed_back_total[5m]))",
        "> 0",
        "10m",
        "The memory pool {{ $labels.pool }} of {{ $labels.instance }} is full: clients are made to wait.",
    ),
    warning(
        "OttlaDescriptorsShort",
        "process_open_fds{job=\"ottla\"} / process_max_fds{job=\"ottla\"}",
        "> 0.8",
        "5m",
        "{{ $labels.instance }} uses {{ $value | humanizePercentage }} of the file descriptors it may open.",
    ),
];

/// The file of rules.
pub(super) fn rules() -> String {
    let mut file = String::from("groups:\n  - name: ottla\n    rules:\n");
    for alert in ALERTS {
        let _ = write!(
            file,
            "      - alert: {}\n        expr: {}\n        for: {}\n        labels:\n          severity: {}\n        \
             annotations:\n          summary: {}\n",
            alert.name,
            quoted(&format!("{} {}", alert.expr, alert.limit)),
            alert.lasts,
            alert.severity,
            quoted(alert.summary),
        );
    }
    file
}

/// A YAML string in single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
