//! All series of one broker: handles held in structs, read by one [`Metrics::render`].
//!
//! Nothing here is global: a test may run several brokers in one process.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use metrics::{Counter, Gauge, Key, KeyName, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use ottla_protocol::ApiKey;
use parking_lot::Mutex;

use super::api_metrics::ApiMetrics;
use super::broker_metrics::BrokerMetrics;
use super::catalogue::{
    self as names, ALL, Kind, LOG_FLUSH_SECONDS, REQUEST_PHASE_SECONDS, REQUEST_SECONDS, Series,
};
use super::cleaner_metrics::CleanerMetrics;
use super::client_metrics_counters::ClientMetricsCounters;
use super::rows::{self, Row, Table};
use super::scrape::Scrape;
use super::slow::SlowLog;
use super::{process, quantiles};

/// Brings gauges up to date before a scrape, and adds the series that are made when they are asked for.
pub type Refresh = Box<dyn Fn(&Metrics, &mut PerObject) + Send + Sync>;

/// Whose names the series have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// Side by side.
    #[default]
    Both,
    Ottla,
    /// Those that the JMX exporter gives Kafka's.
    Jmx,
}

/// The series of one broker.
pub struct Metrics {
    /// The counters and gauges of the broker as a whole.
    pub broker: BrokerMetrics,
    /// The series of log compaction.
    pub cleaner: CleanerMetrics,
    /// The series about clients' own metrics.
    pub clients: ClientMetricsCounters,
    /// Requests that took too long.
    pub slow: SlowLog,
    apis: Vec<OnceLock<Arc<ApiMetrics>>>,
    registry: Arc<Registry>,
    refreshes: Mutex<Vec<Refresh>>,
    started: Instant,
}

impl Metrics {
    /// An empty set; `started` is the process's start on the monotone clock.
    #[must_use]
    pub fn new(started: Instant) -> Self {
        let registry = Arc::new(Registry::new());
        let mut apis = Vec::new();
        apis.resize_with(API_SLOTS, OnceLock::new);
        Self {
            broker: BrokerMetrics::new(&registry),
            cleaner: CleanerMetrics::new(&registry),
            clients: ClientMetricsCounters::new(&registry),
            slow: SlowLog::new(&registry, started),
            apis,
            registry,
            refreshes: Mutex::default(),
            started,
        }
    }

    /// The series of an API, made when it is first asked for.
    pub fn api(&self, api: ApiKey) -> &Arc<ApiMetrics> {
        let slot = usize::try_from(api.code()).unwrap_or(0).min(API_SLOTS - 1);
        self.apis[slot].get_or_init(|| Arc::new(ApiMetrics::new(api, &self.registry)))
    }

    /// A client connection was accepted and is served.
    pub fn connection_opened(&self) {
        self.broker.connection_opened();
    }

    /// A served client connection has ended.
    pub fn connection_closed(&self) {
        self.broker.connection_closed();
    }

    /// Registers what is asked before each scrape.
    pub fn on_scrape(&self, refresh: Refresh) {
        self.refreshes.lock().push(refresh);
    }

    /// All series in Prometheus's text format, under our names and Kafka's.
    #[must_use]
    pub fn render(&self) -> String {
        self.scrape(Names::Both).collect()
    }

    /// All series of this moment in Prometheus's text format, in pieces.
    #[must_use]
    pub fn scrape(&self, names: Names) -> Scrape {
        let mut objects = PerObject::default();
        for refresh in self.refreshes.lock().iter() {
            refresh(self, &mut objects);
        }
        self.broker.settle();
        self.apis.iter().filter_map(OnceLock::get).for_each(|api| api.settle());
        self.broker.uptime.set(self.started.elapsed().as_secs_f64());
        let mut text = self.registry.render();
        self.render_histograms(&mut text);
        let mut tail = if names == Names::Jmx { String::new() } else { objects.clients };
        if names != Names::Ottla {
            let now = Instant::now();
            let apis = self.apis.iter().filter_map(OnceLock::get);
            quantiles::render(&mut tail, &apis.map(|api| api.times(now)).collect::<Vec<_>>());
        }
        process::append(&mut tail);
        Scrape::new(text, objects.tables, tail, names)
    }

    fn render_histograms(&self, out: &mut String) {
        let apis = || self.apis.iter().filter_map(OnceLock::get);
        head(out, REQUEST_SECONDS);
        apis().for_each(|api| api.render_duration(out));
        head(out, REQUEST_PHASE_SECONDS);
        apis().for_each(|api| api.render_phases(out));
        head(out, LOG_FLUSH_SECONDS);
        self.broker.log_flush.counts().render(out, LOG_FLUSH_SECONDS.name, "");
    }
}

/// Series with a row for each topic, partition or group.
#[derive(Debug, Default)]
pub struct PerObject {
    tables: Vec<Table>,
    /// Of clients' own metrics, as text.
    clients: String,
}

impl PerObject {
    /// Of topics: bytes and records produced, bytes fetched, bytes of the logs.
    pub fn topics(&mut self, rows: Vec<Row<4>>) {
        let series = [
            names::TOPIC_PRODUCE_BYTES,
            names::TOPIC_PRODUCE_RECORDS,
            names::TOPIC_FETCH_BYTES,
            names::TOPIC_LOG_BYTES,
        ];
        self.tables.push(Table::new(series, rows));
    }

    /// Of partitions: log start, log end, high watermark, bytes, segments.
    pub fn partitions(&mut self, rows: Vec<Row<5>>) {
        let series = [
            names::PARTITION_LOG_START,
            names::PARTITION_LOG_END,
            names::PARTITION_HIGH_WATERMARK,
            names::PARTITION_LOG_BYTES,
            names::PARTITION_LOG_SEGMENTS,
        ];
        self.tables.push(Table::new(series, rows));
    }

    /// Of partitions that groups read: committed offset, records and seconds behind.
    pub fn group_lags(&mut self, rows: Vec<Row<3>>) {
        let series = [names::GROUP_COMMITTED, names::GROUP_LAG, names::GROUP_LAG_SECONDS];
        self.tables.push(Table::new(series, rows));
    }

    /// Of clients' own metrics, labels and values: what is known of each client, gauges, counters.
    pub fn client_metrics<'a>(
        &mut self,
        clients: impl Iterator<Item = &'a str>,
        gauges: impl Iterator<Item = (&'a str, f64)>,
        sums: impl Iterator<Item = (&'a str, f64)>,
    ) {
        rows::append_labelled(&mut self.clients, names::CLIENT_INFO, clients.map(|labels| (labels, 1.0)));
        rows::append_labelled(&mut self.clients, names::CLIENT_GAUGE, gauges);
        rows::append_labelled(&mut self.clients, names::CLIENT_SUM, sums);
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").field("started", &self.started).finish_non_exhaustive()
    }
}

/// Above the highest API key of 4.4.0.
const API_SLOTS: usize = 100;

/// Where counters and gauges are registered and read.
pub(super) struct Registry {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

const METADATA: Metadata<'static> = Metadata::new("ottla", Level::INFO, None);

impl Registry {
    pub(super) fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        for series in ALL {
            let (name, help) = (KeyName::from_const_str(series.name), SharedString::const_str(series.help));
            match series.kind {
                Kind::Counter => recorder.describe_counter(name, Some(series.unit), help),
                Kind::Gauge => recorder.describe_gauge(name, Some(series.unit), help),
                Kind::Histogram => {}
            }
        }
        let handle = recorder.handle();
        Self { recorder, handle }
    }

    /// All counters and gauges as text.
    fn render(&self) -> String {
        let mut out = Vec::new();
        // Writing to memory cannot fail, and the text is ours.
        let _ = self.handle.render_to_write(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    pub(super) fn counter(&self, series: Series, labels: &[(&'static str, &'static str)]) -> Counter {
        self.recorder.register_counter(&key(series, labels), &METADATA)
    }

    pub(super) fn gauge(&self, series: Series, labels: &[(&'static str, &'static str)]) -> Gauge {
        self.recorder.register_gauge(&key(series, labels), &METADATA)
    }
}

fn key(series: Series, labels: &[(&'static str, &'static str)]) -> Key {
    let labels: Vec<Label> =
        labels.iter().map(|(name, value)| Label::from_static_parts(name, value)).collect();
    Key::from_parts(series.name, labels)
}

/// The two comment lines that go before a series.
pub(super) fn head(out: &mut String, series: Series) {
    use std::fmt::Write as _;
    let kind = match series.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let _ = writeln!(out, "# HELP {} {}\n# TYPE {} {kind}", series.name, series.help, series.name);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ottla_protocol::ErrorCode;

    use super::*;

    #[test]
    fn a_request_shows_under_both_spellings() {
        let metrics = Metrics::new(Instant::now());
        let produce = metrics.api(ApiKey::Produce);
        produce.received(100, Duration::ZERO);
        produce.answered(Duration::from_millis(3), 40);
        produce.error(ErrorCode::NotLeaderOrFollower);
        produce.error(ErrorCode::None);
        metrics.broker.produced(2, 1_000);
        let text = metrics.render();
        for line in [
            "ottla_requests_total{api=\"Produce\"} 1",
            "kafka_network_requestmetrics_requests_total{request=\"Produce\"} 1",
            "ottla_request_errors_total{api=\"Produce\",error=\"NOT_LEADER_OR_FOLLOWER\"} 1",
            "ottla_request_duration_seconds_bucket{api=\"Produce\",le=\"0.005\"} 1",
            "ottla_request_bytes_total{api=\"Produce\"} 100",
            "ottla_produce_records_total 2",
            "kafka_server_brokertopicmetrics_messagesin_total 2",
            "kafka_server_brokertopicmetrics_bytesin_total 1000",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        let errors = text.lines().filter(|line| line.starts_with("ottla_request_errors_total"));
        assert!(!errors.into_iter().any(|line| line.contains("NONE")));
    }

    #[test]
    fn apis_that_nobody_calls_have_no_series() {
        let metrics = Metrics::new(Instant::now());
        metrics.api(ApiKey::Fetch);
        let text = metrics.render();
        assert!(text.contains("ottla_requests_total{api=\"Fetch\"}"));
        assert!(!text.contains("ottla_requests_total{api=\"Produce\"}"));
    }

    #[test]
    fn gauges_are_refreshed_before_a_scrape() {
        let metrics = Metrics::new(Instant::now());
        metrics.on_scrape(Box::new(|metrics, _| metrics.broker.partitions.set(7.0)));
        let text = metrics.render();
        assert!(text.contains("ottla_partitions 7\n"), "{text}");
        assert!(text.contains("kafka_server_replicamanager_partitioncount 7\n"), "{text}");
    }

    #[test]
    fn every_line_is_a_comment_or_a_sample_and_heads_are_unique() {
        let metrics = Metrics::new(Instant::now());
        metrics.api(ApiKey::Fetch).answered(Duration::ZERO, 1);
        let text = metrics.render();
        let mut heads = std::collections::BTreeSet::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                assert!(heads.insert(rest.to_owned()), "twice: {line}");
                continue;
            }
            if line.starts_with('#') {
                continue;
            }
            let (_, value) = line.rsplit_once(' ').expect(line);
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
}
