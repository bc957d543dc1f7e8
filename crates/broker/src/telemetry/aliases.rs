//! The spellings that the JMX exporter gives Kafka's own metrics, so that existing dashboards and alerts work.
//!
//! They are made from the rendered text, so they cost nothing while requests are served.

use std::fmt::Write as _;

/// One of our series under Kafka's name.
struct Alias {
    ours: &'static str,
    /// The labels that our series must have, as rendered; `None`: any.
    labels: Option<&'static str>,
    kafka: &'static str,
    /// How the labels are rewritten.
    rewrite: Rewrite,
    kind: &'static str,
}

#[derive(Clone, Copy)]
enum Rewrite {
    None,
    /// Our label `api` is called so.
    Api(&'static str),
    /// Kafka's whole number is so many times ours.
    Times(f64),
}

const fn counter(ours: &'static str, kafka: &'static str) -> Alias {
    Alias { ours, labels: None, kafka, rewrite: Rewrite::None, kind: "counter" }
}

const fn gauge(ours: &'static str, kafka: &'static str) -> Alias {
    Alias { ours, labels: None, kafka, rewrite: Rewrite::None, kind: "gauge" }
}

const fn scaled(ours: &'static str, kafka: &'static str, factor: f64) -> Alias {
    Alias { ours, labels: None, kafka, rewrite: Rewrite::Times(factor), kind: "gauge" }
}

const fn by_api(kind: &'static str, ours: &'static str, kafka: &'static str, label: &'static str) -> Alias {
    Alias { ours, labels: None, kafka, rewrite: Rewrite::Api(label), kind }
}

const fn of_api(ours: &'static str, labels: &'static str, kafka: &'static str) -> Alias {
    Alias { ours, labels: Some(labels), kafka, rewrite: Rewrite::None, kind: "counter" }
}

const ALIASES: &[Alias] = &[
    by_api("counter", "ottla_requests_total", "kafka_network_requestmetrics_requests_total", "request"),
    by_api("counter", "ottla_request_errors_total", "kafka_network_requestmetrics_errors_total", "request"),
    counter("ottla_produce_bytes_total", "kafka_server_brokertopicmetrics_bytesin_total"),
    counter("ottla_produce_records_total", "kafka_server_brokertopicmetrics_messagesin_total"),
    counter("ottla_produce_rejected_bytes_total", "kafka_server_brokertopicmetrics_bytesrejected_total"),
    counter(
        "ottla_produce_partitions_failed_total",
        "kafka_server_brokertopicmetrics_failedproducerequests_total",
    ),
    counter("ottla_fetch_bytes_total", "kafka_server_brokertopicmetrics_bytesout_total"),
    counter(
        "ottla_fetch_partitions_failed_total",
        "kafka_server_brokertopicmetrics_failedfetchrequests_total",
    ),
    of_api(
        "ottla_requests_total",
        "{api=\"Produce\"}",
        "kafka_server_brokertopicmetrics_totalproducerequests_total",
    ),
    of_api(
        "ottla_requests_total",
        "{api=\"Fetch\"}",
        "kafka_server_brokertopicmetrics_totalfetchrequests_total",
    ),
    gauge("ottla_partitions", "kafka_server_replicamanager_partitioncount"),
    gauge("ottla_partitions_led", "kafka_server_replicamanager_leadercount"),
    gauge("ottla_partitions_under_replicated", "kafka_server_replicamanager_underreplicatedpartitions"),
    gauge("ottla_partitions_under_min_isr", "kafka_server_replicamanager_underminisrpartitioncount"),
    gauge("ottla_partitions_offline", "kafka_controller_kafkacontroller_offlinepartitionscount"),
    gauge("ottla_topics", "kafka_controller_kafkacontroller_globaltopiccount"),
    gauge("ottla_controller_active", "kafka_controller_kafkacontroller_activecontrollercount"),
    gauge("ottla_log_dirs_offline", "kafka_log_logmanager_offlinelogdirectorycount"),
    scaled("ottla_cleaner_dirty_ratio_max", "kafka_log_logcleanermanager_max_dirty_percent", 100.0),
    scaled(
        "ottla_cleaner_since_last_run_seconds",
        "kafka_log_logcleanermanager_time_since_last_run_ms",
        1000.0,
    ),
    gauge("ottla_cleaner_uncleanable_partitions", "kafka_log_logcleanermanager_uncleanable_partitions_count"),
    gauge("ottla_cleaner_uncleanable_bytes", "kafka_log_logcleanermanager_uncleanable_bytes"),
    scaled("ottla_cleaner_recopy_ratio", "kafka_log_logcleaner_cleaner_recopy_percent", 100.0),
    scaled("ottla_cleaner_clean_seconds_max", "kafka_log_logcleaner_max_clean_time_secs", 1.0),
    scaled("ottla_cleaner_map_utilization_max", "kafka_log_logcleaner_max_buffer_utilization_percent", 100.0),
    scaled(
        "ottla_cleaner_compaction_delay_seconds_max",
        "kafka_log_logcleaner_max_compaction_delay_secs",
        1.0,
    ),
    gauge("ottla_cleaner_dead_threads", "kafka_log_logcleaner_deadthreadcount"),
    gauge("ottla_connections", "kafka_server_socketservermetrics_connection_count"),
    gauge("ottla_fetch_sessions", "kafka_server_fetchsessioncache_numincrementalfetchsessions"),
    by_api(
        "gauge",
        "ottla_parked_requests",
        "kafka_server_delayedoperationpurgatory_purgatorysize",
        "delayedoperation",
    ),
];

/// Appends the samples of `text` that have a well-known name under that name too.
pub(super) fn append(text: &mut String) {
    let mut out = String::new();
    for alias in ALIASES {
        append_alias(&mut out, text, alias);
    }
    text.push_str(&out);
}

fn append_alias(out: &mut String, text: &str, alias: &Alias) {
    let mut headed = false;
    for line in text.lines() {
        let Some(rest) = line.strip_prefix(alias.ours) else { continue };
        let Some((labels, value)) = split_sample(rest) else { continue };
        if alias.labels.is_some_and(|wanted| wanted != labels) {
            continue;
        }
        if !headed {
            let _ = writeln!(out, "# TYPE {} {}", alias.kafka, alias.kind);
            headed = true;
        }
        let labels = match alias.rewrite {
            Rewrite::None => String::new(),
            Rewrite::Times(factor) => {
                let value = value.parse::<f64>().map_or(0.0, |value| (value * factor).trunc());
                let _ = writeln!(out, "{} {value}", alias.kafka);
                continue;
            }
            Rewrite::Api(label) => labels.replacen("{api=", &format!("{{{label}="), 1),
        };
        let _ = writeln!(out, "{}{labels} {value}", alias.kafka);
    }
}

/// The labels (with braces, or nothing) and the value; `None` if the name goes on, so that it is another series.
fn split_sample(rest: &str) -> Option<(&str, &str)> {
    if let Some(value) = rest.strip_prefix(' ') {
        return Some(("", value));
    }
    let end = rest.find('}').filter(|_| rest.starts_with('{'))?;
    let (labels, value) = rest.split_at(end + 1);
    Some((labels, value.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::ALL;
    use super::*;

    #[test]
    fn every_alias_is_of_a_series_that_exists() {
        for alias in ALIASES {
            assert!(ALL.iter().any(|series| series.name == alias.ours), "{}", alias.ours);
        }
    }

    #[test]
    fn a_longer_name_is_another_series() {
        let mut text = "ottla_partitions_led 3\nottla_partitions 5\n".to_owned();
        append(&mut text);
        assert!(text.contains("kafka_server_replicamanager_partitioncount 5\n"));
        assert!(text.contains("kafka_server_replicamanager_leadercount 3\n"));
        assert_eq!(text.matches("partitioncount").count(), 2, "{text}");
    }

    #[test]
    fn shares_are_whole_percents() {
        let mut text = "ottla_cleaner_dirty_ratio_max 0.559\n".to_owned();
        append(&mut text);
        assert!(text.contains("kafka_log_logcleanermanager_max_dirty_percent 55\n"), "{text}");
    }

    #[test]
    fn labels_are_renamed() {
        let mut text = "ottla_parked_requests{api=\"Fetch\"} 2\n".to_owned();
        append(&mut text);
        assert!(text.contains(
            "kafka_server_delayedoperationpurgatory_purgatorysize{delayedoperation=\"Fetch\"} 2\n"
        ));
    }
}
