//! The spellings that the JMX exporter gives Kafka's own metrics, and those of the usual exporter of consumer lag, so that
//! existing dashboards and alerts work.
//!
//! They are made from the rendered text, so they cost nothing while requests are served.

use std::collections::HashMap;
use std::fmt::Write as _;

/// One of our series under Kafka's name.
#[derive(Debug)]
pub(super) struct Alias {
    pub(super) ours: &'static str,
    /// The labels that our series must have, as rendered; `None`: any.
    labels: Option<&'static str>,
    pub(super) kafka: &'static str,
    /// How the labels are rewritten.
    rewrite: Rewrite,
    kind: &'static str,
}

#[derive(Clone, Copy, Debug)]
enum Rewrite {
    None,
    /// Our first label is called otherwise.
    First(&'static str),
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

const fn renamed(kind: &'static str, ours: &'static str, kafka: &'static str, first: &'static str) -> Alias {
    Alias { ours, labels: None, kafka, rewrite: Rewrite::First(first), kind }
}

const fn of_api(ours: &'static str, labels: &'static str, kafka: &'static str) -> Alias {
    Alias { ours, labels: Some(labels), kafka, rewrite: Rewrite::None, kind: "counter" }
}

pub(super) const ALIASES: &[Alias] = &[
    renamed("counter", "ottla_requests_total", "kafka_network_requestmetrics_requests_total", "request"),
    renamed("counter", "ottla_request_errors_total", "kafka_network_requestmetrics_errors_total", "request"),
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
    counter("ottla_topic_produce_bytes_total", "kafka_server_brokertopicmetrics_bytesin_total"),
    counter("ottla_topic_produce_records_total", "kafka_server_brokertopicmetrics_messagesin_total"),
    counter("ottla_topic_fetch_bytes_total", "kafka_server_brokertopicmetrics_bytesout_total"),
    gauge("ottla_partition_log_size_bytes", "kafka_log_log_size"),
    gauge("ottla_partition_log_segments", "kafka_log_log_numlogsegments"),
    gauge("ottla_partition_log_start_offset", "kafka_log_log_logstartoffset"),
    gauge("ottla_partition_log_end_offset", "kafka_log_log_logendoffset"),
    gauge("ottla_partition_log_start_offset", "kafka_topic_partition_oldest_offset"),
    gauge("ottla_partition_high_watermark_offset", "kafka_topic_partition_current_offset"),
    renamed("gauge", "ottla_group_committed_offset", "kafka_consumergroup_current_offset", "consumergroup"),
    renamed("gauge", "ottla_group_lag_records", "kafka_consumergroup_lag", "consumergroup"),
    counter("ottla_replication_bytes_in_total", "kafka_server_brokertopicmetrics_replicationbytesin_total"),
    counter("ottla_replication_bytes_out_total", "kafka_server_brokertopicmetrics_replicationbytesout_total"),
    counter("ottla_isr_shrinks_total", "kafka_server_replicamanager_isrshrinks_total"),
    counter("ottla_isr_expands_total", "kafka_server_replicamanager_isrexpands_total"),
    gauge("ottla_replica_lag_records_max", "kafka_server_replicafetchermanager_maxlag"),
    gauge("ottla_partitions", "kafka_server_replicamanager_partitioncount"),
    gauge("ottla_partitions_led", "kafka_server_replicamanager_leadercount"),
    gauge("ottla_partitions_under_replicated", "kafka_server_replicamanager_underreplicatedpartitions"),
    gauge("ottla_partitions_under_min_isr", "kafka_server_replicamanager_underminisrpartitioncount"),
    gauge("ottla_partitions_offline", "kafka_controller_kafkacontroller_offlinepartitionscount"),
    counter(
        "ottla_controller_unclean_elections_total",
        "kafka_controller_controllerstats_uncleanleaderelections_total",
    ),
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
    gauge("ottla_client_metrics_instances", "kafka_server_client_metrics_instance_count"),
    gauge("ottla_fetch_sessions", "kafka_server_fetchsessioncache_numincrementalfetchsessions"),
    renamed(
        "gauge",
        "ottla_parked_requests",
        "kafka_server_delayedoperationpurgatory_purgatorysize",
        "delayedoperation",
    ),
];

/// What stands under one of Kafka's names.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) head: String,
    /// Those of `blocks`' text.
    pub(super) samples: String,
    /// Our series that have this name.
    pub(super) aliases: Vec<&'static Alias>,
}

/// All of Kafka's names, with the samples of `text` that have them.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut by_name: HashMap<&str, Vec<(usize, &Alias)>> = HashMap::new();
    for alias in ALIASES {
        let same_name = |block: &Block| block.aliases.iter().any(|first| first.kafka == alias.kafka);
        let at = blocks.iter().position(same_name).unwrap_or(blocks.len());
        if at == blocks.len() {
            let head = format!("# TYPE {} {}\n", alias.kafka, alias.kind);
            blocks.push(Block { head, samples: String::new(), aliases: Vec::new() });
        }
        blocks[at].aliases.push(alias);
        by_name.entry(alias.ours).or_default().push((at, alias));
    }
    for line in text.lines() {
        let Some((name, labels, value)) = split_sample(line) else { continue };
        for (at, alias) in by_name.get(name).into_iter().flatten() {
            append_sample(&mut blocks[*at].samples, alias, labels, value);
        }
    }
    blocks
}

/// `labels` with braces, or empty.
pub(super) fn append_sample(out: &mut String, alias: &Alias, labels: &str, value: &str) {
    if alias.labels.is_some_and(|wanted| wanted != labels) {
        return;
    }
    let _ = match alias.rewrite {
        Rewrite::None => {
            out.extend([alias.kafka, labels, " ", value, "\n"]);
            Ok(())
        }
        Rewrite::Times(factor) => {
            let value = value.parse::<f64>().map_or(0.0, |value| (value * factor).trunc());
            writeln!(out, "{} {value}", alias.kafka)
        }
        Rewrite::First(name) => match labels.split_once('=') {
            Some((_, rest)) => writeln!(out, "{}{{{name}={rest} {value}", alias.kafka),
            None => writeln!(out, "{} {value}", alias.kafka),
        },
    };
}

/// The name, the labels (with braces, or nothing) and the value of a line that is a sample.
fn split_sample(line: &str) -> Option<(&str, &str, &str)> {
    let (series, value) = line.rsplit_once(' ').filter(|_| !line.starts_with('#'))?;
    let (name, labels) = series.split_at(series.find('{').unwrap_or(series.len()));
    Some((name, labels, value))
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::ALL;
    use super::*;

    fn of(text: &str) -> String {
        let blocks = blocks(text).into_iter().filter(|block| !block.samples.is_empty());
        blocks.map(|block| block.head + &block.samples).collect()
    }

    #[test]
    fn every_alias_is_of_a_series_that_exists() {
        for alias in ALIASES {
            assert!(ALL.iter().any(|series| series.name == alias.ours), "{}", alias.ours);
            assert_eq!(alias.kind == "counter", alias.kafka.ends_with("_total"), "{}", alias.kafka);
        }
    }

    #[test]
    fn a_longer_name_is_another_series() {
        let text = of("ottla_partitions_led 3\nottla_partitions 5\n");
        assert!(text.contains("kafka_server_replicamanager_partitioncount 5\n"));
        assert!(text.contains("kafka_server_replicamanager_leadercount 3\n"));
        assert_eq!(text.matches("partitioncount").count(), 2, "{text}");
    }

    #[test]
    fn shares_are_whole_percents() {
        let text = of("ottla_cleaner_dirty_ratio_max 0.559\n");
        assert!(text.contains("kafka_log_logcleanermanager_max_dirty_percent 55\n"), "{text}");
    }

    #[test]
    fn the_sum_and_the_topics_stand_under_one_head() {
        let text = of("ottla_produce_bytes_total 3\nottla_topic_produce_bytes_total{topic=\"a b\"} 2\n");
        assert_eq!(
            text,
            "# TYPE kafka_server_brokertopicmetrics_bytesin_total counter\n\
             kafka_server_brokertopicmetrics_bytesin_total 3\n\
             kafka_server_brokertopicmetrics_bytesin_total{topic=\"a b\"} 2\n"
        );
    }

    #[test]
    fn labels_are_renamed() {
        let text = of("ottla_parked_requests{api=\"Fetch\"} 2\n\
                       ottla_group_lag_records{group=\"a{b\",topic=\"t\",partition=\"0\"} 7\n");
        assert!(text.contains(
            "kafka_server_delayedoperationpurgatory_purgatorysize{delayedoperation=\"Fetch\"} 2\n"
        ));
        assert!(
            text.contains("kafka_consumergroup_lag{consumergroup=\"a{b\",topic=\"t\",partition=\"0\"} 7\n")
        );
    }
}
